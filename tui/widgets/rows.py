"""A list of rows drawn line by line: keyed, so that updates move neither the cursor nor the view."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.present.lines import Line, Row
from tui.widgets.scrolled import Scrolled
from tui.widgets.styled import Styled


class RowList(Styled, ScrollView, can_focus=True):
    """Rows with a cursor. ``Moved`` tells where the cursor went, ``Opened`` that a row was double-clicked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(0)", show=False),
        Binding("end", "end(1)", show=False),
    ]
    cursor: var[str] = var("", init=False)

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, rows: "RowList", key: str, by_user: bool = False) -> None:
            super().__init__()
            self.rows = rows
            self.key = key
            self.by_user = by_user

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    class Opened(Moved):
        """A row was double-clicked."""

    class Resized(Message):
        """The list has another width: its rows are to be made again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[Row, ...] = ()
        self._starts: list[int] = []
        self._where: dict[str, int] = {}
        self._lines: list[tuple[int, int]] = []
        self._by_user = False

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows shown."""
        return self._rows

    def keys(self) -> list[str]:
        """Keys of the rows that can be chosen, in order."""
        return [row.key for row in self._rows if row.key]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. The cursor stays on its key; if that is gone, on the row now in its place."""
        place = self._where.get(self.cursor, 0)
        anchor = self._anchor()
        self._rows = tuple(rows)
        self._index()
        self.virtual_size = Size(self.size.width, len(self._lines))
        if self.cursor not in self._where:
            keys = [row.key for row in self._rows[place:] if row.key] or self.keys()[-1:]
            before, key = self.cursor, keys[0] if keys else ""
            self.set_reactive(RowList.cursor, key)
            if key != before:
                self.post_message(self.Moved(self, key))
        self._restore(anchor)
        self.refresh()

    def _index(self) -> None:
        self._starts, self._lines, self._where = [], [], {}
        for number, row in enumerate(self._rows):
            self._starts.append(len(self._lines))
            self._lines += [(number, offset) for offset in range(len(row.lines))]
            if row.key:
                self._where.setdefault(row.key, number)

    def _anchor(self) -> tuple[str, int]:
        """The row at the top of the view and how far it is scrolled into."""
        top = int(self.scroll_offset.y)
        if not top or top >= len(self._lines):
            return "", 0
        number, offset = self._lines[top]
        return self._rows[number].key, offset

    def _restore(self, anchor: tuple[str, int]) -> None:
        key, offset = anchor
        if key in self._where:
            self.scroll_to(y=self._starts[self._where[key]] + offset, animate=False, force=True, immediate=True)

    def watch_cursor(self, _: str, key: str) -> None:
        """Scroll to it and tell."""
        self._show_cursor()
        self.refresh()
        self.post_message(self.Moved(self, key, self._by_user))
        self._by_user = False

    def _show_cursor(self) -> None:
        number = self._where.get(self.cursor)
        if number is None or not self.size.height:
            return
        top = self._starts[number]
        # Headings above the first row belong to it.
        if not any(row.key for row in self._rows[:number]):
            top = 0
        height = self._starts[number] + len(self._rows[number].lines) - top
        region = Region(0, top, max(self.size.width, 1), min(height, self.size.height))
        self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def on_resize(self, _: events.Resize) -> None:
        """The cursor stays in view."""
        if self.virtual_size.width != self.size.width:
            self.post_message(self.Resized())
        self.virtual_size = Size(self.size.width, len(self._lines))
        self._show_cursor()

    def action_move(self, by: int) -> None:
        """Cursor up or down by one row that can be chosen."""
        keys = self.keys()
        if not keys:
            return
        place = keys.index(self.cursor) if self.cursor in keys else 0
        self._to(keys[min(max(place + by, 0), len(keys) - 1)])

    def _to(self, key: str) -> None:
        self._by_user = key != self.cursor
        self.cursor = key

    def action_page(self, by: int) -> None:
        """Cursor by one page."""
        self.action_move(by * max(self.size.height - 1, 1))

    def action_end(self, last: int) -> None:
        """Cursor to the first or last row."""
        keys = self.keys()
        if keys:
            self._to(keys[-1 if last else 0])

    def render_line(self, y: int) -> Strip:
        """One line; the cursor row is drawn in the cursor's colours alone."""
        # The cell under the scroll bar is not seen: what is cut ends before it.
        width = self.scrollable_content_region.width
        number = y + int(self.scroll_offset.y)
        if not 0 <= number < len(self._lines):
            return Strip.blank(width, self.rich_style)
        index, offset = self._lines[number]
        row = self._rows[index]
        if not row.key or row.key != self.cursor:
            return self.strip(row.lines[offset], width)
        style = self.screen.get_component_rich_style("t-cursor" if self.has_focus else "t-cursor-blurred")
        drawn = row.lines[offset] if offset else marked(row.lines[0], self.signs.cursor)
        return self.strip(drawn, width, style)

    def on_click(self, event: events.Click) -> None:
        """Click chooses; double click opens."""
        number = event.y + int(self.scroll_offset.y)
        if not 0 <= number < len(self._lines):
            return
        key = self._rows[self._lines[number][0]].key
        if key:
            self._to(key)
            if event.chain == 2:
                self.post_message(self.Opened(self, key))

    def on_focus(self) -> None:
        """The cursor row changes its colours."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor row changes its colours."""
        self.refresh()


def marked(given: Line, sign: str) -> Line:
    """The line with its first cell replaced by the cursor sign."""
    if not given:
        return ((sign, ""),)
    text, token = given[0]
    return ((sign + text[1:], token), *given[1:])


class TextPane(Scrolled):
    """Lines made for its width by a function: detail panes. Scrolls; has no cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "rows(-1)", show=False),
        Binding("down,j", "rows(1)", show=False),
        Binding("pageup", "pages(-1)", show=False),
        Binding("pagedown", "pages(1)", show=False),
        Binding("home", "pages(-9999)", show=False),
        Binding("end", "pages(9999)", show=False),
    ]

    def __init__(self, *, id: str | None = None, focusable: bool = False) -> None:
        super().__init__(id=id)
        self.can_focus = focusable
        self._make: Callable[[int], Sequence[Line]] = lambda _: ()
        self._drawn: list[Line] = []
        self._width = -1

    @property
    def drawn(self) -> list[Line]:
        """The lines as they are shown."""
        return self._drawn

    def show(self, make: Callable[[int], Sequence[Line]], *, top: bool = False) -> None:
        """Show what ``make(width)`` returns; made again when the width changes. ``top`` scrolls to the first line."""
        self._make = make
        self._draw()
        if top:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def action_rows(self, by: int) -> None:
        """Scroll by rows, at once."""
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True, immediate=True)

    def action_pages(self, by: int) -> None:
        """Scroll by pages; one row stays in view."""
        self.action_rows(by * max(self.room.height - 1, 1))

    def on_resize(self, _: events.Resize) -> None:
        """Made for another width."""
        if self.room.width != self._width:
            self._draw()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as its lines have at that width: the first frame already shows lines made for it."""
        room = width - self.scrollbar_size_vertical
        if room > 0 and room != self._width:
            self._make_for(room)
            # Not by assignment, which asks for a layout: one is under way.
            self.set_reactive(TextPane.virtual_size, Size(room, len(self._drawn)))
        return len(self._drawn)

    def _make_for(self, width: int) -> None:
        self._width = width
        self._drawn = list(self._make(width)) if width > 0 else []

    def _draw(self) -> None:
        # Hidden or not yet laid out it has no width: the app's stands in until there is one.
        self._make_for(self.room.width or self.app.size.width)
        self.virtual_size = Size(self._width, len(self._drawn))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        number = y + int(self.scroll_offset.y)
        if not 0 <= number < len(self._drawn):
            return Strip.blank(self.room.width, self.rich_style)
        return self.strip(self._drawn[number], self.room.width)
