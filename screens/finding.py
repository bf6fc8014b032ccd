"""One finding in full: evidence in path order, why, fixes, what it explains (screens.md §3.4)."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from mesh.finding import Finding, Problem, State
from tui.frame import Framed, bindings
from tui.present import finding as one
from tui.present import findings as present
from tui.present import words
from tui.present.keys import COMMON, EXPORT, Key
from tui.present.lines import Line, line
from tui.widgets.rows import TextPane


class FindingScreen(Framed):
    """The finding of a key; ``n`` and ``N`` go through the list it came from."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("left_square_bracket", "finding.prev_fix", "prev_fix", "the fix before"),
        Key("right_square_bracket", "finding.next_fix", "next_fix", "the next fix", "fix", face="[ ]"),
        Key("v", "app.raw", "raw", "raw evidence", "raw"),
        Key("n", "app.next_match", "next_match", "next finding", "next"),
        Key("N", "app.prev_match", "prev_match", "finding before"),
        Key("enter", "app.open", "open", "what it waits for"),
        Key("c", "app.copy", "copy", "copy the command", "copy command"),
        EXPORT,
        Key("q", "app.back", "back", "back", "back"),
        *(key for key in COMMON if key.name != "back"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    AUTO_FOCUS = "#text"
    TOP = False

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.fix = 0
        self.raw = False

    @property
    def PLACE(self) -> str:  # type: ignore[override]  # the rail shows the place below
        """The place it was opened over."""
        return self.app.place

    def body(self) -> ComposeResult:
        """The text."""
        yield TextPane(id="text", focusable=True)

    @property
    def found(self) -> Finding | None:
        """The finding, as it was judged last."""
        judged = self.session.judged
        return present.by_key(judged, self.key) if judged else None

    @property
    def problem(self) -> Problem | None:
        """The problem that it is the root of."""
        judged = self.session.judged
        found = judged.problems if judged else ()
        return next((item for item in found if present.finding_key(item.root) == self.key), None)

    def title_words(self) -> tuple[str, str]:
        """Code, state, and its place in the list."""
        found, judged = self.found, self.session.judged
        if found is None or judged is None:
            return self.key, "gone"
        siblings = [present.finding_key(item) for item in present.place_of(judged, found)]
        place = siblings.index(self.key) + 1 if self.key in siblings else 0
        severity = f" {found.severity.word}" if found.state is State.FAIL else ""
        confidence = [self.problem.confidence] if self.problem else []
        right = " · ".join([words.layer(found.layer), *confidence, words.basis(found)])
        return f"{found.code} {found.state.value}{severity} · {place} of {len(siblings)}", right

    def draw_body(self) -> None:
        """The text for this width."""
        self.query_one("#text", TextPane).show(self._lines)

    def _lines(self, width: int) -> list[Line]:
        found = self.found
        if found is None:
            return [line("  this finding is not among the latest: the facts have changed")]
        return one.full(found, self.problem, width, self.signs, self.session.now, self.fix, self.raw)

    def status_words(self) -> str:
        """Which fix is shown."""
        found = self.found
        if found is None or not found.fixes:
            return "v shows raw evidence."
        if len(found.fixes) == 1:
            return "Fix 1 of 1. v shows raw evidence."
        return f"Fix {self.fix + 1} of {len(found.fixes)}. [ and ] change the fix; v shows raw evidence."

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        found = self.found
        if name in ("next_fix", "prev_fix") and (found is None or len(found.fixes) < 2):
            return "there is no other fix"
        return ""

    def key_next_fix(self) -> None:
        """The next fix."""
        self._to_fix(1)

    def key_prev_fix(self) -> None:
        """The fix before."""
        self._to_fix(-1)

    def _to_fix(self, by: int) -> None:
        found = self.found
        if found is not None and found.fixes:
            self.fix = (self.fix + by) % len(found.fixes)
            self.app.said = ""
            self.draw()

    def key_raw(self) -> None:
        """With the facts' keys, or without."""
        self.raw = not self.raw
        self.draw()

    def key_next_match(self) -> None:
        """The next finding of the list."""
        self._to(1)

    def key_prev_match(self) -> None:
        """The finding before."""
        self._to(-1)

    def _to(self, by: int) -> None:
        judged, found = self.session.judged, self.found
        if judged is None or found is None:
            return
        keys = [present.finding_key(item) for item in present.place_of(judged, found)]
        self._show(keys[(keys.index(self.key) + by) % len(keys)])

    def _show(self, key: str) -> None:
        self.key, self.fix = key, 0
        self.app.said = ""
        self.draw()
        self.query_one("#text", TextPane).scroll_to(y=0, animate=False)

    def key_open(self) -> None:
        """A blocked finding leads to what blocks it."""
        found = self.found
        if found is not None and found.blocked_by:
            code, subject = found.blocked_by[0]
            self._show(f"{code} {subject}")

    def key_copy(self) -> None:
        """The shown fix's commands in full."""
        found = self.found
        self.app.copy(one.fix_command(found, self.fix) if found else "", "the command")

    def key_export(self) -> None:
        """This finding."""
        from screens.export import Export
        from tui.present import export

        if self.found is not None:
            self.app.push_screen(Export("finding", export.of_finding(self.found, self.problem, self.session.now)))
