"""A log that keeps up with floods: bounded, drawn by line, following until it is scrolled (anchors.md §3.4)."""

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.present.lines import Line, cut
from tui.signs import ascii_cells
from tui.widgets.styled import Styled, harmless

MAX_LINES = 10_000


class LogPane(Styled, ScrollView, can_focus=True):
    """Lines of text, the newest last. The file behind it has all; the pane has the last ``MAX_LINES``."""

    ALLOW_SELECT = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", show=False),
        Binding("down,j", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_page(-1)", show=False),
        Binding("pagedown", "scroll_page(1)", show=False),
        Binding("home", "to_start", show=False),
        Binding("end", "follow", show=False),
    ]
    follow: var[bool] = var(True, init=False)

    class FollowChanged(Message):
        """The pane began or ceased to follow."""

    def __init__(self, *, id: str | None = None, max_lines: int = MAX_LINES) -> None:
        super().__init__(id=id)
        self._lines: deque[str] = deque(maxlen=max_lines)
        self._shown: deque[str] = self._lines
        self._needle = ""
        self._match = -1
        self.total = 0

    @property
    def lines(self) -> list[str]:
        """The lines kept, before filtering."""
        return list(self._lines)

    @property
    def shown(self) -> list[str]:
        """The lines that pass the filter."""
        return list(self._shown)

    def replace(self, lines: Iterable[str], total: int | None = None) -> None:
        """Show another log from its end."""
        self._lines.clear()
        self._lines.extend(lines)
        self.total = len(self._lines) if total is None else total
        self._filter()
        self.follow = True
        self._settle(0)

    def append_lines(self, lines: list[str], total: int | None = None) -> None:
        """Add lines at the end: any number at once. ``total`` counts those too that were dropped before they came."""
        if not lines:
            return
        before = len(self._shown)
        self._lines.extend(lines)
        self.total = self.total + len(lines) if total is None else total
        if self._needle:
            matching = [line for line in lines if self._needle in line.lower()]
            self._shown.extend(matching)
            added = len(matching)
        else:
            added = len(lines)
        self._settle(max(before + added - len(self._shown), 0))

    def find(self, text: str) -> int:
        """Show only lines with this text, in any case; "" shows all. How many there are."""
        self._needle = text.lower()
        self._filter()
        self._settle(0)
        return len(self._shown)

    def _filter(self) -> None:
        if self._needle:
            kept = (line for line in self._lines if self._needle in line.lower())
            self._shown = deque(kept, maxlen=self._lines.maxlen)
        else:
            self._shown = self._lines

    def _settle(self, dropped: int) -> None:
        """The view stays on the same lines, or at the end when it follows."""
        self.virtual_size = Size(self.size.width, len(self._shown))
        if self.follow:
            self.scroll_to(y=self._bottom, animate=False, force=True, immediate=True)
        elif dropped:
            self.scroll_to(y=max(self.scroll_offset.y - dropped, 0), animate=False, force=True, immediate=True)
        self.refresh()

    @property
    def _bottom(self) -> int:
        return max(len(self._shown) - self.size.height, 0)

    def on_mouse_scroll_up(self) -> None:
        """The wheel away from the end ends following."""
        self.follow = False

    def on_mouse_scroll_down(self) -> None:
        """The wheel to the end follows again."""
        self.call_after_refresh(self._follow_at_end)

    def on_scroll_to(self) -> None:
        """The bar was dragged."""
        self.call_after_refresh(self._follow_at_end)

    def _follow_at_end(self) -> None:
        self.follow = round(self.scroll_offset.y) >= self._bottom

    def watch_follow(self) -> None:
        """Tell, so that the title can say it."""
        self.post_message(self.FollowChanged())

    def on_resize(self, _: events.Resize) -> None:
        """The end stays in view while following."""
        self._settle(0)

    def action_scroll_by(self, by: int) -> None:
        """Scroll by lines: up ends following, to the end begins it again."""
        place = min(max(self.scroll_offset.y + by, 0), self._bottom)
        self.follow = place >= self._bottom
        self.scroll_to(y=place, animate=False, force=True, immediate=True)

    def action_scroll_page(self, by: int) -> None:
        """Scroll by pages."""
        self.action_scroll_by(by * max(self.size.height - 1, 1))

    def action_to_start(self) -> None:
        """To the oldest line kept."""
        self.follow = False
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def action_follow(self) -> None:
        """To the newest line, and follow."""
        self.follow = True
        self._settle(0)

    def render_line(self, y: int) -> Strip:
        """One line, with the part of it that is selected by mouse marked."""
        scroll_x, scroll_y = self.scroll_offset
        number, width = y + int(scroll_y), self.size.width
        if not 0 <= number < len(self._shown):
            return Strip.blank(width, self.rich_style)
        # The cell under the scroll bar is not seen: what is cut ends before it.
        strip = self._line_strip(number, self.scrollable_content_region.width)
        return strip.crop_extend(int(scroll_x), int(scroll_x) + width, self.rich_style).apply_offsets(
            int(scroll_x), number
        )

    def _line_strip(self, number: int, width: int) -> Strip:
        """A line cut to the width, which its end tells; what is copied and exported is the whole line."""
        text = harmless(self._shown[number])
        if self.signs.ascii:
            text = ascii_cells(text)
        text = cut(text.rstrip(), max(width - 1, 1), self.signs)
        spans = tokens_of(" " + text)
        strip = Strip([Segment(part, self.token_style(token)) for part, token in spans])
        selection = self.text_selection
        span = selection.get_span(number) if selection is not None else None
        if span is None:
            return strip
        start, end = span
        cells = cell_len(" " + text)
        cuts = [cell_len((" " + text)[:start]), cells if end == -1 else cell_len((" " + text)[:end]), cells]
        before, inside, after = strip.divide(cuts)
        marked = self.screen.get_component_rich_style("screen--selection")
        return Strip.join(
            [before, Strip([Segment(s.text, (s.style or self.rich_style) + marked) for s in inside]), after]
        )

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text."""
        return selection.extract("\n".join(" " + harmless(line) for line in self._shown)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the marks again."""
        self.refresh()


def tokens_of(text: str) -> Line:
    """A log line with its command, time and trouble set off."""
    bare = text.lstrip()
    if bare.startswith("$ "):
        return ((text, "key"),)
    stamp = len(text) - len(bare) + 8
    has_time = len(bare) > 8 and bare[2] == ":" and bare[5] == ":" and bare[8] == " "
    head, rest = (text[:stamp], text[stamp:]) if has_time else ("", text)
    sign = rest.lstrip()[:1]
    token = {"✗": "fail", "▲": "warn", "✓": "ok"}.get(sign, "")
    return tuple(span for span in ((head, "muted"), (rest, token)) if span[0])
