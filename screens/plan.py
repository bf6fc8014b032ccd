"""Plan: the steps that would change something, with everything needed to judge them; nothing runs here (§3.5)."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from mesh.plan import Plan, Step
from tui.frame import Framed, bindings
from tui.present import plan as present
from tui.present.frame import needed_place
from tui.present.keys import COMMON, FIND, Key
from tui.present.lines import Line, at_most, rule
from tui.widgets.bar import Bar
from tui.widgets.rows import RowList, TextPane


class PlanPlace(Framed):
    """Steps, choices, and the highlighted step."""

    PLACE = "plan"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("enter", "app.open", "open", "the step in full; without a plan, what it needs", "open"),
        Key("g", "plan.choices", "choices", "edit the choices behind the plan", "edit choices"),
        Key("v", "app.raw", "raw", "the whole values diff of the step", "values diff"),
        Key("A", "plan.apply", "apply", "apply the plan", "apply", acts=True),
        Key("e", "app.export", "export", "export the plan or Helm values", "export"),
        *(Key(k.keys, k.id, k.name, k.help, k.label, wide=True) for k in FIND),
        Key("c", "app.copy", "copy", "copy the step's command", "copy"),
        Key("r", "app.refresh", "refresh", "read the facts again"),
        *COMMON,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self.values = False

    def body(self) -> ComposeResult:
        """Steps at the left or on top, then choices, then the step."""
        with Vertical(id="columns"):
            with Vertical(id="main"):
                yield RowList(id="list")
                yield Bar(id="rule")
                yield TextPane(id="choices")
            with Vertical(id="side"):
                yield TextPane(id="detail")

    @property
    def plan(self) -> Plan | None:
        """The plan shown."""
        return self.session.plan

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        key = self.query_one("#list", RowList).cursor
        plan = self.plan
        return next((step for step in plan.steps if step.id == key), None) if plan else None

    def title_words(self) -> tuple[str, str]:
        """What it joins, and how many steps."""
        return present.title(self.session)

    def status_words(self) -> str:
        """Why A is on or off."""
        return present.status(self.session)

    def draw_body(self) -> None:
        """List, choices, detail."""
        rows = self.query_one("#list", RowList)
        width = rows.size.width or self.app.size.width
        rows.set_rows(present.rows(self.session, width, self.signs, self.find, self.app.director.changed_steps))
        goal = self.plan.goal if self.plan else None
        self.query_one("#rule", Bar).show(rule("choices (g edits)" if goal else "", "", width, self.signs, lead=1))
        self.query_one("#choices", TextPane).show(lambda width: present.choice_lines(goal, width) if goal else [])
        self._draw_detail()

    def _draw_detail(self) -> None:
        self.query_one("#detail", TextPane).show(self._detail, top=True)

    def _detail(self, width: int) -> list[Line]:
        plan, step = self.plan, self.step
        if plan is None:
            return []
        off = present.blocker_lines(self.session, width)
        if self.wide:
            return [*off, *(present.step_detail(step, plan, width, self.signs, self.values) if step else [])]
        short = present.step_short(step, plan, width, self.signs) if step else []
        return [*at_most(off, 2, width, self.signs), *short]

    @on(RowList.Moved)
    def _moved(self, message: RowList.Moved) -> None:
        self.app.director.step_seen(message.key)
        self._draw_detail()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        if name == "apply":
            return present.off(self.session)
        letters = {"choices": "g", "raw": "v", "export": "e", "find": "/", "copy": "c"}
        if name in letters and self.plan is None:
            return f"{letters[name]} is off: there is no plan yet"
        if name == "choices" and self.app.run_is_open():
            return "g is off: a run is under way"
        if name == "refresh" and self.app.run_is_open():
            return "r is off: a run is under way, it reads what it needs"
        return ""

    @property
    def _first(self) -> str:
        """The place that comes first while there is no plan: one cluster makes none."""
        return needed_place(self.session) or "clusters"

    def label_of(self, key: Key) -> str:
        """While there is no plan Enter leads to what it needs."""
        return self._first if key.name == "open" and self.plan is None else key.label

    def key_open(self) -> None:
        """The step in full; with a plan that is off and no step, to what keeps it off."""
        from screens.detail import Detail

        plan, step = self.plan, self.step
        if plan is None:
            self.app.go(self._first)
        elif step is None:
            self.key_next_step()
        else:
            self.app.push_screen(
                Detail(
                    "plan",
                    step.title,
                    lambda width: present.step_detail(step, plan, width, self.signs, values=True),
                    present.command_of(step),
                )
            )

    def key_choices(self) -> None:
        """Edit the choices."""
        from screens.edit import Choices

        self.app.push_screen(Choices())

    def key_raw(self) -> None:
        """The whole diff, or as much as fits in a line."""
        self.values = not self.values
        if self.narrow or not self.wide:
            self.key_open()
        else:
            self._draw_detail()

    def key_apply(self) -> None:
        """Ask, then apply."""
        from screens.confirm import Confirm

        plan = self.plan
        if plan is not None:
            self.app.push_screen(Confirm(plan, self.app.director.who()), self._confirmed)

    def _confirmed(self, sure: bool | None) -> None:
        if sure:
            self.app.logs.clear()
            self.app.director.runs.apply()
            self.app.go("setup")
        else:
            self.tell("Cancelled: nothing was changed.")

    def key_refresh(self) -> None:
        """Read the facts again."""
        self.app.director.read()
        self.tell("reading the facts again")

    def key_copy(self) -> None:
        """The step's commands."""
        step = self.step
        self.app.copy(present.command_of(step) if step else "", "the command")

    def key_export(self) -> None:
        """The plan to read, or Helm values."""
        from screens.export import Export
        from tui.present import export

        if self.plan is not None:
            self.app.push_screen(Export("plan", export.of_plan(self.plan)))
