"""One thing in full, on a screen of its own: a fact, a step, a context, a pair."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.frame import Framed, bindings
from tui.present.keys import COMMON, COPY, Key
from tui.present.lines import Line, plain
from tui.widgets.rows import TextPane


class Detail(Framed):
    """Lines made for the width by ``make``. ``copied`` is what the copy key copies, the lines if it is empty."""

    KEYS: ClassVar[tuple[Key, ...]] = (COPY, Key("q", "app.back", "back", "back", "back"), *COMMON[:3], COMMON[4])
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    AUTO_FOCUS = "#text"
    TOP = False

    def __init__(self, place: str, subject: str, make: Callable[[int], Sequence[Line]], copied: str = "") -> None:
        super().__init__()
        self._place = place
        self._subject = subject
        self._make = make
        self._copied = copied

    def body(self) -> ComposeResult:
        """The lines."""
        yield TextPane(id="text", focusable=True)

    def title_words(self) -> tuple[str, str]:
        """What it is about."""
        return self._subject, ""

    def draw_body(self) -> None:
        """The lines again, for this width."""
        self.query_one("#text", TextPane).show(self._make)

    def key_copy(self) -> None:
        """The whole of it."""
        text = self._copied or "\n".join(plain(row).rstrip() for row in self._make(100))
        self.app.copy(text, self._subject or "the text")
