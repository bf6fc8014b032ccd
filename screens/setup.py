"""Set-up: runs the plan, shows what happens and waits, and how to stop or go on (screens.md §3.7)."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from mesh.plan import Step
from tui.frame import Framed, bindings
from tui.present import setup as present
from tui.present.findings import finding_key
from tui.present.frame import FootKey
from tui.present.keys import COMMON, EXPORT, FIND, Key
from tui.present.lines import Line
from tui.present.plan import command_of
from tui.session import RunView
from tui.widgets.bar import Bar
from tui.widgets.log_pane import LogPane
from tui.widgets.rows import RowList, TextPane


class SetUp(Framed):
    """Steps with their states, and the log of the highlighted one."""

    PLACE = "setup"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("p", "setup.pause", "pause", "begin no new step, or go on", "pause"),
        Key("X", "setup.stop", "stop", "stop after the calls under way", "stop", acts=True),
        Key("R", "setup.retry", "retry", "go on with a run that failed or was stopped", "retry", acts=True),
        Key("greater_than_sign", "app.next_step", "next_step", "next step of the rail: the mesh", "mesh"),
        Key("A", "setup.continue", "continue", "continue a run that was cut off", "continue", acts=True),
        Key("enter", "app.open", "open", "the finding behind a failed step, else the step", "finding"),
        *(Key(k.keys, k.id, k.name, k.help, k.label and "filter", wide=True) for k in FIND),
        Key("c", "app.copy", "copy", "copy the step's command", "copy command"),
        EXPORT,
        *(key for key in COMMON if key.name != "next_step"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[float, str] = (0.0, "")
        self._moved_in = 0.0

    def body(self) -> ComposeResult:
        """Steps and outcome, the wait, the log."""
        with Vertical(id="columns"):
            with Vertical(id="main"):
                yield RowList(id="list")
            with Vertical(id="side"):
                yield TextPane(id="detail")
        yield Bar(id="wait")
        yield LogPane(id="log")

    @property
    def run_view(self) -> RunView | None:
        """The run shown."""
        return self.session.run

    @property
    def step(self) -> Step | None:
        """The step under the cursor."""
        run, key = self.run_view, self.query_one("#list", RowList).cursor
        return next((step for step in run.plan.steps if step.id == key), None) if run else None

    def title_words(self) -> tuple[str, str]:
        """How far it is."""
        return present.title(self.session)

    def status_words(self) -> str:
        """What takes long, or how it ended."""
        return present.status(self.session)

    def draw_body(self) -> None:
        """Steps, outcome, wait, log."""
        rows = self.query_one("#list", RowList)
        width = rows.size.width or self.app.size.width
        made = present.rows(self.session, width, self.signs)
        rows.set_rows(made)
        self._follow_step(rows)
        if not self.wide and self.size_name != "small":
            # The log keeps eight rows, six on a narrow screen; the frame and the wait have the others.
            others = 11 if self.size_name == "narrow" else 14
            rows.styles.height = min(len(made), max(self.app.size.height - others, 4))
        else:
            rows.styles.height = "1fr"
        self.query_one("#detail", TextPane).show(self._outcome)
        self._draw_log()

    def _follow_step(self, rows: RowList) -> None:
        """Until the user moves, the cursor is where things happen, and in the end on what happened last."""
        run = self.run_view
        here = present.step_of_interest(run) if run is not None and run.started != self._moved_in else ""
        if here:
            rows.cursor = here

    def _outcome(self, width: int) -> list[Line]:
        if self.wide:
            return present.outcome(self.session, self.step, width, self.signs)
        return present.narrow_outcome(self.session, self.step, width, self.signs)

    def _draw_log(self) -> None:
        log, run, step = self.query_one(LogPane), self.run_view, self.step
        if run is None:
            return
        key = (run.started, step.id if step else "")
        if key != self._shown:
            self._shown = key
            log.replace(*self.app.logs.of(key[1]))
        # While another screen is open nobody hands the lines over.
        log.append_lines(*self.app.logs.after(key[1], log.total))
        if step is not None:
            width = self.app.size.width
            head = present.log_head(step, run, self.session.now, width, self.signs, log.follow, log.total, self.find)
            self.query_one("#wait", Bar).show(head)

    def lines_arrived(self, fresh: dict[str, list[str]]) -> None:
        """Lines of the shown step are added; the others wait until it is shown."""
        if self._shown[1] in fresh:
            self._draw_log()

    @on(RowList.Moved)
    def _moved(self, message: RowList.Moved) -> None:
        run = self.run_view
        if message.by_user and run is not None:
            self._moved_in = run.started
        self.draw()

    @on(LogPane.FollowChanged)
    def _follow_changed(self) -> None:
        self._draw_log()

    @on(RowList.Opened)
    def _opened(self) -> None:
        self.action_press("open")

    def set_find(self, text: str) -> None:
        """Filter the log."""
        super().set_find(text)
        self.query_one(LogPane).find(text)

    def label_of(self, key: Key) -> str:
        """What the key does in this state."""
        run, step = self.run_view, self.step
        state = run.state if run else ""
        if (key.name, state) in (("pause", "paused"), ("retry", "cancelled")):
            return "go on"
        if key.name == "open":
            found = run is not None and step is not None and run.of(step.id).finding
            return "finding" if found else "step" if run is not None else "plan"
        return key.label

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        run = self.run_view
        state = run.state if run else ""
        if name in ("pause", "stop"):
            if state == "stopping":
                return "it is stopping: calls that are under way cannot be interrupted"
            return "" if state in ("running", "paused", "confirming") else "nothing is running"
        if name == "retry":
            return "" if state in ("failed", "cancelled") and run and run.number else "R is off: no run failed"
        if name == "continue":
            if state == "cut off" and self.session.gathering.running:
                return "A is off: reading what is really there"
            return "" if state == "cut off" else "A is off: no run was cut off"
        if name in ("export", "copy", "find") and run is None:
            return "nothing has run yet"
        return ""

    def foot_keys(self) -> list[FootKey]:
        """Keys that this state has no use for give way to those it needs."""
        run = self.run_view
        state = run.state if run else ""
        kept = {"cut off": {"continue"}, "failed": {"retry"}, "cancelled": {"retry"}, "done": {"next_step"}}
        under_way = {"pause", "stop"} if run is not None and run.under_way else set()
        hidden = {"pause", "stop", "retry", "continue", "next_step"} - kept.get(state, under_way)
        return [key for key in super().foot_keys() if key.action.partition(":")[2] not in hidden]

    def key_pause(self) -> None:
        """Begin no new step, or go on."""
        self.app.director.runs.pause()

    def key_stop(self) -> None:
        """Ask, then stop."""
        from screens.confirm import Stop

        run = self.run_view
        if run is not None:
            self.app.push_screen(Stop(run), self._stopped)

    def _stopped(self, sure: bool | None) -> None:
        if sure:
            self.app.director.runs.stop()

    def key_retry(self) -> None:
        """Ask, then go on."""
        run = self.run_view
        self._ask_to_go_on("Retry" if run is not None and run.state == "failed" else "Continue")

    def key_continue(self) -> None:
        """Ask, then go on."""
        self._ask_to_go_on("Continue")

    def _ask_to_go_on(self, verb: str) -> None:
        from screens.confirm import Confirm

        run, rest = self.run_view, self.app.director.runs.rest()
        if run is not None and rest is not None:
            numbers = run.plan.numbers
            self.app.push_screen(Confirm(rest, self.app.director.who(), verb, numbers), self._going_on)

    def _going_on(self, sure: bool | None) -> None:
        if sure:
            self._moved_in = 0.0
            self.app.director.runs.go_on()
        else:
            self.tell("Cancelled: nothing more was changed.")

    def key_open(self) -> None:
        """The finding behind a failed step, else the step."""
        from screens.detail import Detail
        from screens.finding import FindingScreen

        run, step = self.run_view, self.step
        if run is None:
            self.app.go("plan")
        elif step is not None:
            found = run.of(step.id).finding
            if found is not None:
                self.app.push_screen(FindingScreen(finding_key(found)))
            else:
                make = lambda width: present.outcome(self.session, step, width, self.signs)  # noqa: E731
                self.app.push_screen(Detail("setup", step.title, make, command_of(step)))

    def key_copy(self) -> None:
        """The step's commands."""
        step = self.step
        self.app.copy(command_of(step) if step else "", "the command")

    def key_export(self) -> None:
        """Log or report."""
        from screens.export import Export
        from tui.present import export

        run = self.run_view
        if run is not None:
            self.app.push_screen(Export("setup", export.of_run(run, lambda step: self.app.logs.of(step)[0])))
