"""What every drawn widget that scrolls shares: the room it can draw in, and how much lies below it."""

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView

from tui.widgets.styled import Styled


class Scrolled(Styled, ScrollView, can_focus=True):
    """Tells by ``Seen`` when more or less of it lies below what is in view."""

    class Seen(Message):
        """More or less of it lies below what is in view."""

    _below = 0

    @property
    def room(self) -> Size:
        """The cells that can be drawn on: ``size`` counts those under the scroll bars as well."""
        return self.scrollable_content_region.size

    @property
    def below(self) -> int:
        """How many rows lie below what is in view; 0 before it is laid out."""
        hidden = self.virtual_size.height - self.room.height - int(self.scroll_offset.y)
        return max(hidden, 0) if self.room.height else 0

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are in view."""
        super().watch_scroll_y(old_value, new_value)
        self.look()

    def watch_virtual_size(self, _: Size) -> None:
        """It has more rows, or fewer."""
        self.look()

    def watch_show_horizontal_scrollbar(self) -> None:
        """A bar takes a row, or gives it back."""
        self.look()

    def on_resize(self, _: events.Resize) -> None:
        """It has more room, or less."""
        self.look()

    def look(self) -> None:
        """Tell, if something has changed."""
        if self.below != self._below:
            self._below = self.below
            self.post_message(self.Seen())
