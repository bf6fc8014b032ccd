"""Help for the place it was opened over, from its bindings (screens.md §3.14)."""

import os
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from mesh import __version__
from tui.frame import Framed, bindings
from tui.present import help as present
from tui.present.frame import PLACES
from tui.present.keys import COMMON, FIND, Key
from tui.present.lines import Line
from tui.widgets.rows import TextPane

ABOUT = present.PAGES.index("About")


class Help(Framed):
    """Keys of the place, all keys, signs, concepts, about."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("tab", "help.page", "page", "next page", "page"),
        Key("shift+tab", "help.page_back", "page_back", "page before"),
        Key("c", "app.copy", "copy", "copy what About says", "copy About"),
        *(Key(k.keys, k.id, k.name, k.help, k.label) for k in FIND[:1]),
        Key("q", "app.back", "back", "back", "back"),
        *COMMON[:3],
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    AUTO_FOCUS = "#text"
    TOP = False

    def __init__(self, over: Screen[Any]) -> None:
        super().__init__()
        self.over = over
        self.page = 0

    def label_of(self, key: Key) -> str:
        """Only About has something to copy."""
        return "" if key.name == "copy" and self.page != ABOUT else key.label

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        return "c is off: it copies what About says, tab leads there" if name == "copy" and self.page != ABOUT else ""

    def body(self) -> ComposeResult:
        """The page."""
        yield TextPane(id="text", focusable=True)

    def header_subject(self) -> str:
        """Help."""
        return "help"

    def title_words(self) -> tuple[str, str]:
        """The pages, and what it is help for."""
        place = next((item.label for item in PLACES if item.id == self.app.place), "")
        return present.tabs(self.page), place

    def status_words(self) -> str:
        """How to leave."""
        return "Tab moves to the next page; Escape goes back."

    def draw_body(self) -> None:
        """The page for this width."""
        self.query_one("#text", TextPane).show(self._lines)

    def _lines(self, width: int) -> list[Line]:
        keys = getattr(self.over, "KEYS", ())
        reason = getattr(self.over, "reason_off", lambda _: "")
        return present.lines(self.page, keys, reason, width, self.signs, self.about(), self.find)

    def about(self) -> list[tuple[str, str]]:
        """Versions, process, places of files, terminal."""
        app = self.app
        colours = "none (NO_COLOR)" if app.no_color else app.console.color_system or "none"
        return [
            ("version", __version__),
            ("pid", str(os.getpid())),
            ("state", str(app.state_folder)),
            ("theme", app.theme),
            ("terminal", f"{app.size.width}x{app.size.height}, {app.environment.get('TERM', '')}, colours {colours}"),
            ("signs", "ASCII" if app.signs.ascii else "Unicode"),
            ("licence", "Apache-2.0"),
        ]

    def key_page(self) -> None:
        """The next page."""
        self._to(1)

    def key_page_back(self) -> None:
        """The page before."""
        self._to(-1)

    def _to(self, by: int) -> None:
        self.page = (self.page + by) % len(present.PAGES)
        self.draw()
        self.query_one("#text", TextPane).scroll_to(y=0, animate=False)

    def key_copy(self) -> None:
        """About, for a report."""
        self.app.copy("\n".join(f"{label}: {text}" for label, text in self.about()), "what About says")
