"""What every drawn widget shares: tokens become styles, lines become strips, ASCII terminals get ASCII."""

from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget

from mesh.text import clean
from tui.present.lines import Line, clip, plain, width_of
from tui.signs import UNICODE, Signs, ascii_cells
from tui.themes import TOKENS

if TYPE_CHECKING:
    _Base = Widget
else:
    _Base = object


def harmless(text: str) -> str:
    """The text as one line without control characters: what was not cleaned at the boundary is cleaned here."""
    return text if text.isprintable() else clean(text).translate({9: " ", 10: " "})


# The component classes of every screen that holds such widgets. Textual matches the style sheet against each component
# class of each widget whenever styles change: on the widgets themselves that was half of the time to open a place.
PALETTE: Final = {f"t-{name}" for name in TOKENS} | {"t-cursor", "t-cursor-blurred"}


class WholeCells(ScrollBarRender):
    """A scroll bar without the block characters of its ends: for ASCII terminals."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "]


class Styled(_Base):
    """Mixin for widgets that draw lines of (text, token), on a screen whose component classes are ``PALETTE``."""

    def on_mount(self) -> None:
        """Bars of ASCII terminals are drawn in ASCII too."""
        if self.signs.ascii and self.is_scrollable:
            for bar in (self.vertical_scrollbar, self.horizontal_scrollbar):
                setattr(bar, "renderer", WholeCells)  # noqa: B010  # Textual's own way: one bar may differ from its class

    @property
    def signs(self) -> Signs:
        """The app's set of signs."""
        signs = getattr(self.app, "signs", UNICODE)
        return signs if isinstance(signs, Signs) else UNICODE

    def token_style(self, token: str) -> Style:
        """The style of a token on this widget's ground; an unknown token has the plain one."""
        if not token or token not in TOKENS:
            return self.rich_style
        return self.rich_style + self.screen.get_component_rich_style(f"t-{token}", partial=True)

    def strip(self, given: Line, width: int, over: Style | None = None) -> Strip:
        """Exactly ``width`` cells of a line; ``over`` replaces every token's style (the cursor row).

        What does not fit ends with an ellipsis, unless only blanks are left out.
        """
        shown = ascii_cells if self.signs.ascii else str
        cells = tuple((shown(harmless(text)), token) for text, token in given)
        if width_of(cells) > width and cell_len(plain(cells).rstrip()) > width:
            cells = clip(cells, width, self.signs)
        segments = [Segment(text, over or self.token_style(token)) for text, token in cells]
        return Strip(segments).adjust_cell_length(width, over or self.rich_style)
