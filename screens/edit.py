"""The choices behind a plan: a list of them, and one field with its rule and what the change would mean (§3.5)."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input

from tui.frame import Framed, bindings
from tui.present import choices as present
from tui.present.keys import COMMON, COPY, Key
from tui.present.lines import Line
from tui.widgets.field import Field
from tui.widgets.modal import Box, Prompt, Push
from tui.widgets.rows import RowList

PAUSE = 0.3


class Choices(Framed):
    """Every choice with its value and where that comes from."""

    PLACE = "plan"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "edit the choice", "edit"),
        Key("backspace", "choices.default", "default", "back to the default", "default"),
        COPY,
        Key("q", "app.back", "back", "back to the plan", "back"),
        *(key for key in COMMON if key.name != "back"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    TOP = False

    def body(self) -> ComposeResult:
        """The list."""
        yield RowList(id="list")

    def title_words(self) -> tuple[str, str]:
        """How many were edited."""
        edited = len(self.session.edits)
        return "Choices of the plan", f"{edited} edited" if edited else "none edited"

    def status_words(self) -> str:
        """The rule of the choice under the cursor."""
        return present.rule_of(self.field)

    def draw_body(self) -> None:
        """The choices."""
        plan = self.session.plan
        rows = present.rows(plan.goal, self.app.size.width, self.signs) if plan else []
        self.query_one("#list", RowList).set_rows(rows)

    @property
    def field(self) -> str:
        """The choice under the cursor."""
        return self.query_one("#list", RowList).cursor

    @on(RowList.Moved)
    def _moved(self) -> None:
        self.app.said = ""
        self.draw_status()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.key_open()

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        if name == "default" and self.field not in self.session.edits:
            return "this choice was not edited"
        return ""

    def key_open(self) -> None:
        """Edit it."""
        plan = self.session.plan
        if plan is not None and self.field:
            value = present.value_of(plan.goal, self.field)
            self.app.push_screen(Edit(self.field, value), self._edited)

    def _edited(self, value: str | None) -> None:
        if value is not None:
            self.app.director.edit(self.field, value)

    def key_default(self) -> None:
        """Back to the default."""
        self.app.director.edit(self.field, None)

    def key_copy(self) -> None:
        """As the command line takes it."""
        plan = self.session.plan
        if plan is not None:
            self.app.copy(f"--set {self.field}={present.value_of(plan.goal, self.field)}", "the --set argument")


class Edit(Box[str]):
    """One field, its rule, and a verdict on what is typed."""

    FOOT = (("enter", "press"), ("tab", "next"), ("esc", "cancel"))

    def __init__(self, field: str, value: str) -> None:
        super().__init__()
        self.field = field
        self.value = value
        self._pause: Timer | None = None

    def box_title(self) -> str:
        """The choice."""
        return present.label_of(self.field)

    def lines(self, width: int) -> Sequence[Line]:
        """Rule and verdict."""
        return present.edit_lines(self.mw.session, self.field, self.typed, width, self.signs)

    def fields(self) -> ComposeResult:
        """The value."""
        with Horizontal(classes="field"):
            yield Prompt()
            yield Field(self.value, id="value")

    def buttons(self) -> Sequence[Push]:
        """Cancel and change."""
        return Push("cancel", "Cancel"), Push("change", "Change")

    @property
    def typed(self) -> str:
        """What stands in the field."""
        found = self.query("#value")
        return found.first(Input).value.strip() if found else self.value

    def on_mount(self) -> None:
        """The field has the focus."""
        super().on_mount()
        self.query_one("#value", Input).focus()

    @on(Input.Changed)
    def _changed(self) -> None:
        self.redraw()
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self._ask)

    def _ask(self) -> None:
        if self.typed != self.value and not self.problem:
            self.mw.director.preview(self.field, self.typed)

    @property
    def problem(self) -> str:
        """Why the value breaks its rule."""
        return present.problem(self.mw.session, self.field, self.typed)

    def session_changed(self) -> None:
        """The verdict has come."""
        self.redraw()

    def redraw(self) -> None:
        """Rule, verdict and button again."""
        self.draw_text()
        self.query_one("#push-change", Push).set_note(self.problem and "not a valid value")

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        message.prevent_default()
        self.pushed("change")

    def pushed(self, name: str) -> None:
        """Change the value, or leave it."""
        if name == "cancel":
            self.dismiss(None)
        elif self.problem:
            self.say(self.problem)
        else:
            self.dismiss(self.typed)
