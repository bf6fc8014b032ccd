"""Shows a drawing of ``mesh.draw`` and moves a selection over its regions."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region as Area
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from mesh.draw.canvas import Drawing, Region
from tui.present.lines import Line, Span
from tui.widgets.scrolled import Scrolled


class CanvasView(Scrolled):
    """A drawing with one of its regions selected. What does not touch the selection is dimmed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(0,-1)", show=False),
        Binding("down,j", "move(0,1)", show=False),
        Binding("left", "move(-1,0)", show=False),
        Binding("right", "move(1,0)", show=False),
        Binding("home", "move_to(0)", show=False),
        Binding("end", "move_to(-1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]
    selected: var[str] = var("", init=False)

    class Selected(Message):
        """Another region is selected; ``key`` is ``kind:id``."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Opened(Selected):
        """A region was double-clicked."""

    class Resized(Message):
        """The view has another width: the picture is to be drawn again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawing = Drawing(0, ())
        self._related: frozenset[str] = frozenset()
        self._width = 0

    @property
    def drawing(self) -> Drawing:
        """What is shown."""
        return self._drawing

    def show(self, drawing: Drawing, related: frozenset[str] = frozenset()) -> None:
        """Show a drawing; ``related`` are the keys that stay bright beside the selected one (none = all)."""
        self._drawing, self._related = drawing, related
        self.virtual_size = Size(drawing.width, len(drawing.rows))
        keys = self._keys()
        if self.selected not in keys:
            self.selected = keys[0] if keys else ""
        self.refresh()

    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key_of(region) for region in self._ordered()))

    def _ordered(self) -> list[Region]:
        return sorted(self._drawing.regions, key=lambda region: (region.y, region.x))

    def _region(self, key: str) -> Region | None:
        return next((region for region in self._drawing.regions if key_of(region) == key), None)

    def watch_selected(self, _: str, key: str) -> None:
        """Bring it into view and tell."""
        region = self._region(key)
        if region is not None:
            area = Area(region.x, region.y, region.width, min(region.height, max(self.room.height, 1)))
            self.scroll_to_region(area, animate=False, force=True, immediate=True)
        self.refresh()
        self.post_message(self.Selected(key))

    def action_move(self, x: int, y: int) -> None:
        """To the nearest region in that direction; sideways steps end in reading order where nothing lies that way."""
        here = self._region(self.selected)
        if here is None:
            self.action_move_to(0)
            return
        found = [region for region in self._drawing.regions if key_of(region) != self.selected]
        ahead = [region for region in found if _distance(here, region, x, y) is not None]
        if ahead:
            self.selected = key_of(min(ahead, key=lambda region: _distance(here, region, x, y) or 0.0))
            return
        keys = self._keys()
        place = keys.index(self.selected) + (x or y)
        if 0 <= place < len(keys):
            self.selected = keys[place]

    def action_move_to(self, place: int) -> None:
        """To the first or last region."""
        keys = self._keys()
        if keys:
            self.selected = keys[place]

    def on_resize(self, _: events.Resize) -> None:
        """Another width, or a bar that takes a column of it."""
        if self.room.width != self._width:
            self._width = self.room.width
            self.post_message(self.Resized())

    def action_page(self, by: int) -> None:
        """Scroll by pages."""
        self.scroll_to(y=self.scroll_offset.y + by * self.room.height, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """One row of the drawing."""
        scroll_x, scroll_y = self.scroll_offset
        number, width = y + int(scroll_y), self.room.width
        if not 0 <= number < len(self._drawing.rows):
            return Strip.blank(width, self.rich_style)
        row = self._marked(self._drawing.rows[number], number)
        strip = self.strip(row, max(self._drawing.width, width))
        return strip.crop_extend(int(scroll_x), int(scroll_x) + width, self.rich_style)

    def _marked(self, row: Line, y: int) -> Line:
        """The selected region in reverse, what is not related to it without colour."""
        chosen = self._region(self.selected)
        cells: list[Span] = [(char, token) for text, token in row for char in text]
        bright = [region for region in self._drawing.regions if self._is_bright(region)]
        for x, (char, token) in enumerate(cells):
            if self._related and not any(_inside(region, x, y) for region in bright) and token not in ("", "muted"):
                cells[x] = (char, "muted")
            if chosen is not None and char != " " and _on_edge(chosen, x, y):
                cells[x] = (char, "here")
        return _joined(cells)

    def _is_bright(self, region: Region) -> bool:
        return key_of(region) == self.selected or key_of(region) in self._related

    def on_click(self, event: events.Click) -> None:
        """Click selects, double click opens."""
        x, y = event.x + int(self.scroll_offset.x), event.y + int(self.scroll_offset.y)
        hits = [region for region in self._drawing.regions if _inside(region, x, y)]
        if hits:
            self.selected = key_of(min(hits, key=lambda region: region.width * region.height))
            if event.chain == 2:
                self.post_message(self.Opened(self.selected))


def key_of(region: Region) -> str:
    """``kind:id``."""
    return f"{region.kind}:{region.id}"


def _inside(region: Region, x: int, y: int) -> bool:
    return region.x <= x < region.x + region.width and region.y <= y < region.y + region.height


def _on_edge(region: Region, x: int, y: int) -> bool:
    """A box is marked on its title row, a line on all of it."""
    return _inside(region, x, y) and (region.kind != "cluster" or y == region.y)


def _distance(here: Region, there: Region, x: int, y: int) -> float | None:
    """How far in that direction, sideways counted double; None if elsewhere. Cells are twice as high as wide."""
    dx = (there.x + there.width / 2 - here.x - here.width / 2) / 2
    dy = there.y + there.height / 2 - here.y - here.height / 2
    along, across = (dx * x, abs(dy)) if x else (dy * y, abs(dx))
    return along + 2 * across if along > 0 and along >= across / 4 else None


def _joined(cells: list[Span]) -> Line:
    runs: list[Span] = []
    for char, token in cells:
        if runs and runs[-1][1] == token:
            runs[-1] = (runs[-1][0] + char, token)
        else:
            runs.append((char, token))
    return tuple(runs)
