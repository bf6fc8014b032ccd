"""The signs of pictures, Unicode and ASCII (screens.md §5). None is drawn as an emoji."""

from typing import Final

from msgspec import Struct

from mesh.model.picture import Health


class Glyphs(Struct, frozen=True):
    """One set of signs; every field is one cell wide but ASCII ``ok``, ``to``, ``both`` and ``differs``."""

    horizontal: str = "━"
    vertical: str = "┃"
    dotted: str = "┄"
    dotted_vertical: str = "┆"
    thin: str = "─"
    right_down: str = "┓"
    right_up: str = "┛"
    left_down: str = "┏"
    left_up: str = "┗"
    bus: str = "═"
    bus_vertical: str = "║"
    box_top_left: str = "╭"
    box_top_right: str = "╮"
    box_bottom_left: str = "╰"
    box_bottom_right: str = "╯"
    box_horizontal: str = "─"
    box_vertical: str = "│"
    dashed: str = "┄"
    node: str = "●"
    node_bad: str = "○"
    left: str = "◀"
    right: str = "▶"
    left_open: str = "◁"
    right_open: str = "▷"
    here: str = "↺"
    undefined: str = "–"
    to: str = "→"
    both: str = "⇄"
    ellipsis: str = "…"
    ok: str = "✓"
    degraded: str = "▲"
    down: str = "✗"
    unknown: str = "?"
    absent: str = "◌"
    differs: str = "≠"

    def sign(self, health: Health) -> str:
        """The sign of a health."""
        return {
            Health.NOT_JUDGED: self.undefined,
            Health.OK: self.ok,
            Health.DEGRADED: self.degraded,
            Health.DOWN: self.down,
            Health.UNKNOWN: self.unknown,
            Health.ABSENT: self.absent,
        }[health]


UNICODE: Final = Glyphs()
ASCII: Final = Glyphs(
    horizontal="=", vertical="#", dotted=".", dotted_vertical=":", thin="-", right_down="+", right_up="+",
    left_down="+", left_up="+", bus="=", bus_vertical="#", box_top_left="+", box_top_right="+", box_bottom_left="+",
    box_bottom_right="+", box_horizontal="-", box_vertical="|", dashed=".", node="*", node_bad="o", left="<",
    right=">", left_open="<", right_open=">", here="@", undefined="-", to="->", both="<>", ellipsis="~",
    ok="ok", degraded="!", down="x", unknown="?", absent="o", differs="!=",
)  # fmt: skip
