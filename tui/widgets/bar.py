"""One-row bars: header, rail, title, status and footer. Each draws one line; places and keys can be clicked."""

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.present.lines import Line, width_of
from tui.widgets.styled import Styled


class Bar(Styled, Widget):
    """One line. ``targets`` are (from cell, to cell, action) that a click runs."""

    class Clicked(Message):
        """A target was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._line: Line = ()
        self._targets: tuple[tuple[int, int, str], ...] = ()

    @property
    def line(self) -> Line:
        """What it shows."""
        return self._line

    def show(self, given: Line, targets: tuple[tuple[int, int, str], ...] = ()) -> None:
        """Draw this line; nothing happens if it is the same."""
        if (given, targets) != (self._line, self._targets):
            self._line, self._targets = given, targets
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line, cut or filled to the width."""
        if y:
            return Strip.blank(self.size.width, self.rich_style)
        return self.strip(self._line, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Run what was clicked."""
        for start, end, action in self._targets:
            if start <= event.x < end:
                self.post_message(self.Clicked(action))
                return


def with_targets(parts: list[tuple[Line, str]]) -> tuple[Line, tuple[tuple[int, int, str], ...]]:
    """Join parts into one line and say where each part with an action lies."""
    joined: list[tuple[str, str]] = []
    targets: list[tuple[int, int, str]] = []
    x = 0
    for part, action in parts:
        size = width_of(part)
        joined += part
        if action:
            targets.append((x, x + size, action))
        x += size
    return tuple(joined), tuple(targets)
