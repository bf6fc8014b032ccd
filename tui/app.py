"""The app: places as modes, themes, what the engine tells, and an end that always restores the terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from mesh.errors import Exit
from mesh.model.context import ContextRef
from mesh.ports import Ports
from tui import starting, themes
from tui.bridge import Bridge
from tui.commands import Commands
from tui.copy import copy_text
from tui.messages import EventsReady, JobCancelled, JobDone, JobEnded, JobFailed
from tui.options import Options
from tui.present import crash
from tui.present.frame import ORDER, PLACES
from tui.session import Session
from tui.signs import ASCII, UNICODE, Signs
from tui.tell import Announcer
from tui.widgets.typeahead import TypeAhead
from tui.work.director import Director
from tui.work.logs import StepLogs

__all__ = ["MeshwrightApp", "Options", "run_app"]
_SIGNALS = {signal.SIGTERM: Exit.TERM, signal.SIGHUP: Exit.HUP, signal.SIGINT: Exit.INT}


def _clusters() -> Screen[None]:
    from screens.contexts import Clusters

    return Clusters()


def _facts() -> Screen[None]:
    from screens.gather import Facts

    return Facts()


def _preconditions() -> Screen[None]:
    from screens.preconditions import Preconditions

    return Preconditions()


def _plan() -> Screen[None]:
    from screens.plan import PlanPlace

    return PlanPlace()


def _setup() -> Screen[None]:
    from screens.setup import SetUp

    return SetUp()


def _mesh() -> Screen[None]:
    from screens.graph import Mesh

    return Mesh()


class MeshwrightApp(App[int], inherit_bindings=False):
    """``ports`` are the gateways, ``options`` the call's choices, ``environment`` the process's variables."""

    TITLE = "Meshwright"
    # All at once: a style sheet that comes with a screen has everything parsed and applied again when it first opens.
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "app.tcss",
        *sorted(Path(__file__).parent.parent.joinpath("screens").glob("*.tcss")),
    ]
    CSS = themes.token_css()
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[Any]] = {Commands}
    MODES: ClassVar[dict[str, Any]] = {
        "clusters": _clusters,
        "facts": _facts,
        "preconditions": _preconditions,
        "plan": _plan,
        "setup": _setup,
        "mesh": _mesh,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(place.key, f"go('{place.id}')", place.label, show=False, id=f"go.{place.id}") for place in PLACES),
        Binding("ctrl+p", "command_palette", "all commands by name", show=False, id="app.palette", priority=True),
        Binding("ctrl+c", "how_to_quit", show=False, system=True),
    ]

    def __init__(self, ports: Ports, options: Options, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        no_color = environment.get("NO_COLOR", "") != ""
        super().__init__(driver_class=starting.driver(), ansi_color=True if no_color else None)
        self.ports = ports
        self.options = options
        self.environment = environment
        self.session = Session(simulated=options.demo or options.simulated)
        self.said = ""
        self.signs: Signs = ASCII if starting.wants_ascii(options, environment) else UNICODE
        self.logs = StepLogs()
        self.keymap_changes: dict[str, str] = {}
        self.fatal: crash.Failure | None = None
        self.announcer = Announcer(ports.clock.now)
        self.bridge = Bridge(self.post_message, ports.store.log_path)
        self.director = Director(self, ports, options, self.bridge)
        self.animation_level = "none"
        self._typeahead = TypeAhead(self, super().on_event)
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.ANSI_DARK if no_color else self._first_theme()

    def _first_theme(self) -> str:
        wanted = self.options.theme or self.ports.store.get("theme") or ""
        if wanted in self.available_themes:
            return str(wanted)
        few = self.environment.get("TERM", "") in ("linux", "xterm", "vt100", "screen")
        return themes.ANSI_DARK if few and not self.environment.get("COLORTERM") else themes.DARK

    @property
    def state_folder(self) -> Path:
        """Where reports, copies and exports without a place go."""
        return self.ports.store.journal_path(1).parent.parent

    def on_mount(self) -> None:
        """First frame first: work begins when it is on the screen."""
        self.keymap_changes = dict(self.ports.store.get("keys") or {})
        self.set_keymap(self.keymap_changes)
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number, code in _SIGNALS.items():
                loop.add_signal_handler(number, self._signalled, code)
        self.switch_mode("clusters")
        if self.options.demo and not self.options.scenario:
            from screens.lab import LabStart

            self.push_screen(LabStart())
        self.set_interval(1.0, self._tick)
        self._lines = self.set_interval(1 / 20, self.take_lines, pause=True)
        self.call_after_refresh(self.director.begin)

    async def on_event(self, event: events.Event) -> None:
        """Keys are handled one after another, also when they come in a burst."""
        if isinstance(event, events.Key) and not event.is_forwarded and self._screen_stack:
            await self._typeahead.take(event)
        else:
            await super().on_event(event)

    def _signalled(self, code: Exit) -> None:
        self.exit(return_code=int(code))

    def _tick(self) -> None:
        now = self.ports.clock.now()
        if now != self.session.now:
            self.director.update(now=now)

    def show_session(self, session: Session) -> None:
        """Take the next snapshot; screens of the place that is open draw it."""
        self.session = session
        under_way = session.run is not None and session.run.under_way
        if self.is_running and hasattr(self, "_lines"):
            (self._lines.resume if under_way else self._lines.pause)()
        for screen in self.screen_stack if self.is_running else ():
            changed = getattr(screen, "session_changed", None)
            if changed is not None:
                changed()

    def take_lines(self) -> None:
        """Log lines that waited; twenty times a second while a run is under way."""
        fresh = self.logs.add(self.bridge.take_lines())
        for screen in self.screen_stack if fresh else ():
            arrived = getattr(screen, "lines_arrived", None)
            if arrived is not None:
                arrived(fresh)

    @on(EventsReady)
    def _events_ready(self) -> None:
        self.director.on_events()

    @on(JobDone)
    def _job_done(self, message: JobDone) -> None:
        self._take_last_lines(message)
        self.director.on_done(message)

    @on(JobFailed)
    def _job_failed(self, message: JobFailed) -> None:
        self._take_last_lines(message)
        self.director.on_failed(message)

    @on(JobCancelled)
    def _job_cancelled(self, message: JobCancelled) -> None:
        self._take_last_lines(message)
        self.director.on_cancelled(message)

    def _take_last_lines(self, message: JobEnded) -> None:
        """However a run ends, what it said last is shown: after it nobody asks for lines."""
        if message.job == "run":
            self.take_lines()

    @on(Worker.StateChanged)
    def _worker_ended(self, message: Worker.StateChanged) -> None:
        """No worker fails in silence."""
        error = message.worker.error
        if message.state is WorkerState.ERROR and isinstance(error, Exception):
            self.show_failure("", message.worker.description or "working", error)

    def show_failure(self, job: str, what: str, error: Exception) -> None:
        """Open the error screen: a mistake of ours."""
        from screens.error import ErrorScreen

        found = crash.failure(what, error, self.ports.clock.now(), job)
        self.tell(f"{what} failed ({found.reference}). Nothing was changed by that.")
        self.push_screen(ErrorScreen(found))

    def tell(self, text: str) -> None:
        """Announce in the status row of the place that is open."""
        self.said = self.announcer.say(text)
        draw = getattr(self.screen if self.is_running else None, "draw_status", None)
        if draw is not None:
            draw()

    @property
    def place(self) -> str:
        """The place that is open."""
        return self.current_mode

    def go(self, place: str) -> None:
        """Open a place of the rail; what was said at the other is not repeated here."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if place != self.current_mode:
            self.said = ""
            self.switch_mode(place)

    def action_go(self, place: str) -> None:
        """A digit was pressed."""
        self.go(place)

    def step(self, by: int) -> None:
        """Along the rail; at its ends nothing happens."""
        place = ORDER.index(self.place) + by
        if 0 <= place < len(ORDER):
            self.go(ORDER[place])

    def open_help(self) -> None:
        """Help for what is on the screen."""
        from screens.help import Help

        self.push_screen(Help(self.screen))

    def copy(self, text: str, what: str) -> None:
        """Copy and say so."""
        if not text:
            self.tell(f"there is no {what.removeprefix('the ')} to copy")
            return
        self.tell(copy_text(text, what, self.copy_to_clipboard, self.state_folder / "copies", self.environment))

    def run_is_open(self) -> bool:
        """Whether something may be changing now."""
        return self.session.run is not None and self.session.run.under_way

    def sign_in(self, ref: ContextRef) -> None:
        """Run the login command on this terminal, then look again."""
        try:
            with self.suspend():
                code = self.ports.contexts.sign_in(ref)
        except SuspendNotSupported:
            code = self.ports.contexts.sign_in(ref)
        if code:
            self.tell(f"the login command ended with {code}; {ref.key} is looked at again")
        self.director.contexts.peek(ref.key, again=True)

    def watch_theme(self, theme: str) -> None:
        """Remember the user's choice."""
        if self.is_running and theme in themes.NAMES and not self.no_color:
            self.ports.store.put("theme", theme)

    def ask_to_quit(self) -> None:
        """At once when nothing runs, else after a question."""
        run = self.session.run
        if run is not None and (run.under_way or (run.state in ("failed", "cancelled") and run.number)):
            from screens.confirm import Quit

            self.push_screen(Quit(run, simulated=bool(self.session.lab)), self._quit)
        else:
            self.exit(return_code=int(Exit.CLEAN))

    def _quit(self, sure: bool | None) -> None:
        if sure:
            self.exit(return_code=int(Exit.PARTIAL))

    def action_how_to_quit(self) -> None:
        """Ctrl-C copies a selection; without one it says how to leave."""
        self.tell("q quits at the top of a place; a run that is under way is asked about first")

    def _fatal_error(self) -> None:
        """End after a mistake of ours: what happened, without locals (DESIGN §8.6)."""
        error = self._exception or sys.exc_info()[1] or RuntimeError()
        self.fatal = crash.failure("showing the app", error, self.ports.clock.now())
        self._return_code = int(Exit.INTERNAL)
        self._close_messages_no_wait()


def run_app(ports: Ports, options: Options) -> int:
    """Run until the user leaves; the exit code. Raises ``UsageError`` for contexts that do not exist."""
    app = MeshwrightApp(ports, starting.settled(ports, options))
    try:
        app.run(mouse=options.mouse)
    finally:
        app.bridge.close(ports.lab.stop if ports.lab is not None else None)
    run = app.session.run
    if app.fatal is not None:
        number = run.number if run is not None and run.state != "done" else 0
        starting.say_fatal(app.fatal, app.state_folder, app.place, number)
        return int(Exit.INTERNAL)
    if run is not None and run.under_way and run.number and not options.demo:
        starting.say_cut_off(run.number)
    return app.return_code or 0
