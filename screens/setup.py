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
        Key("A", "setup.continue", "continue", "continue a run that was cut off", "continue", acts=True),
        Key("enter", "app.open", "open", "the finding behind a failed step, else the step", "finding"),
        *(Key(k.keys, k.id, k.name, k.help, k.label and "filter", wide=True) for k in FIND),
        Key("c", "app.copy", "copy", "copy the step's command", "copy command"),
        EXPORT,
        *COMMON,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self) -> None:
        super().__init__()
        self._shown_step = ""
        self._followed = False

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
            rows.styles.height = min(len(made), max(self.app.size.height - 14, 4))
        else:
            rows.styles.height = "1fr"
        self.query_one("#detail", TextPane).show(self._outcome)
        self._draw_log()

    def _follow_step(self, rows: RowList) -> None:
        """Until the user moves, the cursor is on the step that runs or failed: the screen opens where things happen."""
        run = self.run_view
        if run is None or self._followed:
            return
        for state in ("failed", "running"):
            here = next((step.id for step in run.plan.todo() if run.of(step.id).state == state), "")
            if here:
                rows.cursor = here
                return

    def _outcome(self, width: int) -> list[Line]:
        if self.wide:
            return present.outcome(self.session, self.step, width, self.signs)
        return present.narrow_outcome(self.session, width, self.signs)

    def _draw_log(self) -> None:
        log, run, step = self.query_one(LogPane), self.run_view, self.step
        if run is None:
            return
        key = step.id if step else ""
        if key != self._shown_step:
            self._shown_step = key
            log.replace(*self.app.logs.of(key))
        if step is not None:
            width = self.app.size.width
            head = present.log_head(step, run, self.session.now, width, self.signs, log.follow, log.total, self.find)
            self.query_one("#wait", Bar).show(head)

    def lines_arrived(self, fresh: dict[str, list[str]]) -> None:
        """Lines of the shown step are added; the others wait until it is shown."""
        if self._shown_step in fresh:
            self.query_one(LogPane).append_lines(fresh[self._shown_step])

    @on(RowList.Moved)
    def _moved(self, message: RowList.Moved) -> None:
        self._followed = self._followed or message.by_user
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
        """``p`` goes on when paused."""
        run = self.run_view
        return "go on" if key.name == "pause" and run is not None and run.state == "paused" else key.label

    def reason_off(self, name: str) -> str:
        """Why a key does nothing now."""
        run = self.run_view
        state = run.state if run else ""
        if name in ("pause", "stop"):
            if state == "stopping":
                return "it is stopping: calls that are under way cannot be interrupted"
            return "" if state in ("running", "paused", "confirming") else "nothing is running"
        if name == "retry":
            return "" if state in ("failed", "cancelled") and run and run.number else "R is off: no run has failed"
        if name == "continue":
            if state == "cut off" and self.session.gathering.running:
                return "A is off: reading what is really there"
            return "" if state == "cut off" else "A is off: no run was cut off"
        if name == "export" and run is None:
            return "e is off: nothing has run"
        return ""

    def foot_keys(self) -> list[FootKey]:
        """Keys that this state has no use for give way to those it needs."""
        run = self.run_view
        state = run.state if run else ""
        hidden = {
            "cut off": {"pause", "stop", "retry"},
            "failed": {"pause", "stop", "continue"},
            "cancelled": {"pause", "stop", "continue"},
        }.get(state, {"retry", "continue"})
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
        self._ask_to_go_on("Retry")

    def key_continue(self) -> None:
        """Ask, then go on."""
        self._ask_to_go_on("Continue")

    def _ask_to_go_on(self, verb: str) -> None:
        from screens.confirm import Confirm

        rest = self.app.director.runs.rest()
        if rest is not None:
            self.app.push_screen(Confirm(rest, self.app.director.who(), verb), self._going_on)

    def _going_on(self, sure: bool | None) -> None:
        if sure:
            self._followed = False
            self.app.director.runs.go_on()

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
