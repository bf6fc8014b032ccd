"""Inputs of one row: no border, and a cursor that does not blink."""

from textual import events
from textual.message import Message
from textual.widgets import Input

from tui.widgets.styled import harmless


class Field(Input):
    """One line to type in."""

    def __init__(self, value: str = "", *, id: str, max_length: int = 0) -> None:
        super().__init__(harmless(value), id=id, max_length=max_length, compact=True, select_on_focus=False)
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """What is pasted is text without control characters."""
        return harmless(value)


class TypedOnly(Field):
    """A field that takes keys, not pastes: a name that is typed was read."""

    class Refused(Message):
        """A paste was refused."""

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(self.Refused())

    def action_paste(self) -> None:
        """Refused as well."""
        self.post_message(self.Refused())
