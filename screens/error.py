"""Something in the program failed; the rest goes on (screens.md §3.16)."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from mesh import __version__
from tui.copy import write_private
from tui.frame import Framed, bindings
from tui.present import crash
from tui.present.keys import COMMON, Key
from tui.present.lines import Line
from tui.widgets.rows import TextPane


class ErrorScreen(Framed):
    """One failure: where, with what effect, and the ways on."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("r", "app.refresh", "refresh", "try this part again", "try again"),
        Key("c", "app.copy", "copy", "copy a report without values", "copy report"),
        Key("e", "app.export", "export", "write the report to a file", "write report"),
        Key("q", "app.back", "back", "go on without it", "go on"),
        *(key for key in COMMON if key.name != "back"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    AUTO_FOCUS = "#text"
    TOP = False

    def __init__(self, found: crash.Failure) -> None:
        super().__init__()
        self.found = found

    @property
    def PLACE(self) -> str:  # type: ignore[override]  # the rail shows the place below
        """The place below."""
        return self.app.place

    def body(self) -> ComposeResult:
        """The text."""
        yield TextPane(id="text", focusable=True)

    def title_words(self) -> tuple[str, str]:
        """Whose fault it is."""
        return "Something in Meshwright failed", "not in your clusters"

    def draw_body(self) -> None:
        """The text for this width."""
        self.query_one("#text", TextPane).show(self._lines)

    def _lines(self, width: int) -> list[Line]:
        return crash.screen_lines(self.found, width, "what it would have told is ?; the rest goes on")

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        return "this part cannot be tried again by itself" if name == "refresh" and not self.found.job else ""

    def key_refresh(self) -> None:
        """Try again."""
        self.app.pop_screen()
        self.app.director.retry(self.found.job)

    @property
    def report(self) -> str:
        """The report."""
        return crash.report(self.found, __version__, self.app.place)

    def key_copy(self) -> None:
        """The report."""
        self.app.copy(self.report, "the report")

    def key_export(self) -> None:
        """The report as a file."""
        try:
            path = write_private(self.app.state_folder, f"error-{self.found.reference[2:6]}", ".txt", self.report)
        except OSError as error:
            self.tell(f"the report cannot be written: {error.strerror or error}")
            return
        self.tell(f"wrote {path}")
