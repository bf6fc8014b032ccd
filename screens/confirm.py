"""The one gate before change, and the questions before stopping and quitting (screens.md §3.6)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input

from mesh.finding import Risk
from mesh.join import consent_needed
from mesh.plan import Plan
from tui.present import plan as present
from tui.present.lines import Line, cut, line, wrapped
from tui.session import RunView
from tui.widgets.bar import Bar
from tui.widgets.field import TypedOnly
from tui.widgets.modal import Box, Prompt, Push

IRREVERSIBLE = "irreversible"


class Confirm(Box[bool]):
    """What will happen, as whom, what it disturbs; names are typed, Cancel has the focus when none is asked."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "copy", "copy", show=False)]

    def __init__(
        self, plan: Plan, who: tuple[str, ...], verb: str = "Apply", numbers: Mapping[str, int] | None = None
    ) -> None:
        super().__init__()
        self.plan = plan
        # In a run that goes on a step keeps the number that its list shows.
        self.numbers = plan.numbers if numbers is None else numbers
        self.who = who
        self.verb = verb
        self.asked = consent_needed(plan)
        self.words = [(cluster, "Type the cluster name to allow this:") for cluster in self.asked]
        if any(step.risk is Risk.IRREVERSIBLE for step in plan.todo()):
            self.words.append((IRREVERSIBLE, "Some steps cannot be undone. Type:"))

    def kind(self) -> str:
        """The border tells the worst risk."""
        risks = {step.risk for step in self.plan.todo()}
        return "-irreversible" if Risk.IRREVERSIBLE in risks else "-disruptive" if Risk.DISRUPTIVE in risks else ""

    def box_title(self) -> str:
        """The plan."""
        return f"{self.verb} plan {self.plan.id}"

    def lines(self, width: int) -> Sequence[Line]:
        """What will happen."""
        return present.confirm_lines(self.plan, self.who, self.numbers, width, self.signs)

    def fields(self) -> ComposeResult:
        """One per name that must be typed."""
        for place, (word, _) in enumerate(self.words):
            yield Bar(id=f"ask-{place}")
            with Horizontal(classes="field"):
                yield Prompt()
                yield TypedOnly(id=f"name-{place}", max_length=len(word) + 8)

    def buttons(self) -> Sequence[Push]:
        """Cancel stands left."""
        return Push("cancel", "Cancel"), Push("apply", self.verb, "name not complete" if self.words else "")

    def on_mount(self) -> None:
        """The first field has the focus, else Cancel."""
        super().on_mount()
        for place, (word, told) in enumerate(self.words):
            shown = cut(word, 30, self.signs)
            said = told if self.app.size.width >= 60 else "Type:"
            self.query_one(f"#ask-{place}", Bar).show(line(said + "  ", (shown, "title")))
        self.query_one("#name-0" if self.words else "#push-cancel").focus()

    def status_words(self) -> str:
        """Nothing has happened; in a run that goes on, nothing more."""
        done = any(step.already for step in self.plan.steps) and self.verb != "Apply"
        return f"Nothing {'more ' if done else ''}has been changed. Escape cancels."

    @property
    def complete(self) -> bool:
        """Whether every name stands there."""
        return all(self.query_one(f"#name-{place}", Input).value == word for place, (word, _) in enumerate(self.words))

    def entered(self) -> None:
        """To the name that is not complete, or to the button that applies: never to Cancel by the way."""
        if self.complete:
            self.query_one("#push-apply").focus()
            return
        self.say("name not complete")
        fields = [self.query_one(f"#name-{place}", Input) for place in range(len(self.words))]
        next(field for field, (word, _) in zip(fields, self.words, strict=True) if field.value != word).focus()

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#push-apply", Push).set_note("" if self.complete else "name not complete")

    def pushed(self, name: str) -> None:
        """Apply only with every name typed."""
        if name == "cancel":
            self.dismiss(False)
        elif self.complete:
            self.dismiss(True)
        else:
            self.say("name not complete")

    def action_copy(self) -> None:
        """The summary."""
        self.mw.copy(present.summary_text(self.plan, self.who, self.numbers), "the summary")


class Question(Box[bool]):
    """A short question: Cancel has the focus."""

    TITLE_WORDS: ClassVar[str] = ""
    VERB: ClassVar[str] = ""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.told = text

    def box_title(self) -> str:
        """The question."""
        return self.TITLE_WORDS

    def lines(self, width: int) -> Sequence[Line]:
        """What it means."""
        return wrapped(self.told, width)

    def buttons(self) -> Sequence[Push]:
        """Cancel stands left."""
        return Push("cancel", "Cancel"), Push("do", self.VERB)

    def on_mount(self) -> None:
        """Cancel has the focus."""
        super().on_mount()
        self.query_one("#push-cancel").focus()

    def pushed(self, name: str) -> None:
        """Do it, or not."""
        self.dismiss(name == "do")


class Stop(Question):
    """Before a run is stopped."""

    TITLE_WORDS = "Stop the run"
    VERB = "Stop"

    def __init__(self, run: RunView) -> None:
        super().__init__(
            f"{_named(run)} stops after the calls that are under way; they are not interrupted. What is done stays"
            " done, and R goes on later from what is really there."
        )


class Quit(Question):
    """Before leaving with a run that is not done."""

    TITLE_WORDS = "Quit"
    VERB = "Quit"

    def __init__(self, run: RunView, *, simulated: bool = False) -> None:
        later = "it ends with the lab" if simulated else "its journal is kept, and meshwright resume goes on"
        if run.under_way:
            text = (
                f"{_named(run)} is under way. Quitting stops it after the calls that are under way; {later}."
                " Exit code 4: partly applied."
            )
        else:
            text = f"{_named(run)} is partly applied; {later}. Exit code 4."
        super().__init__(text)


def _named(run: RunView) -> str:
    """A run has its number only from its first record on."""
    return f"Run {run.number}" if run.number else "The run"
