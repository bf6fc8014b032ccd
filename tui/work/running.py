"""Runs: apply, continue, pause, stop; and what a run that was cut off really reached."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from mesh import catalogue
from mesh.facts import FactStore
from mesh.model.picture import MeshPicture
from mesh.picture import health_lags
from mesh.plan import Plan
from tui.present import setup
from tui.session import RunView, Session, resumed
from tui.work.contexts import label

if TYPE_CHECKING:
    from tui.work.director import Director
# cilium-health needs 42 to 135 s to notice a change: asked again soon, then ever more seldom, for that long (seconds).
PAUSE, GROWS, PAUSE_MAX, PATIENCE = 1.0, 1.5, 15.0, 300.0


class RunDesk:
    """Starts and steers runs for the director."""

    def __init__(self, director: "Director") -> None:
        self.director = director
        self._control: Any = None
        self._ended = 0.0
        self._pause = PAUSE

    def apply(self) -> None:
        """Carry out the plan that was confirmed."""
        plan = self.director.session.plan
        if plan is not None:
            self._run(RunView(plan, started=self.director.ports.clock.now(), who=who(self.director.session)), None)

    def go_on(self) -> None:
        """Continue the run that was cut off, failed or stopped."""
        run = self.director.session.run
        if run is None or not run.number:
            return
        from mesh.journal import read_run

        record = read_run(run.number, self.director.ports.store.read(run.number))
        if record is None:
            self.director.stage.tell(f"the journal of run {run.number} holds no plan")
            return
        steps = {name: view for name, view in run.steps.items() if view.state in ("done", "already")}
        self._run(replace(run, state="confirming", steps=steps, refusal="", summary=""), record)

    def _run(self, view: RunView, before: Any) -> None:
        from mesh.run import Control, run_plan

        control = self._control = Control()
        refs = tuple(ref for ref in self.director.session.refs if ref.key in view.plan.clusters)
        self.director.update(run=view, unfinished=None)
        self.director.submit(
            "run",
            "carrying out the plan",
            lambda: run_plan(view.plan, refs, self.director.ports, self.director.bridge.emit, control, before),
        )

    def rest(self) -> Plan | None:
        """The plan of the run with what is done marked so: what going on would still do."""
        run = self.director.session.run
        if run is None:
            return None
        done = ("done", "already")
        steps = tuple(
            structs.replace(step, already=step.already or run.of(step.id).state in done) for step in run.plan.steps
        )
        return structs.replace(run.plan, steps=steps)

    def open_unfinished(self) -> None:
        """Show the unfinished run and read what is really there."""
        record = self.director.session.unfinished
        if record is None:
            return
        chosen = [ref for ref in self.director.session.refs if label(ref) in record.contexts.values()]
        keys = tuple(ref.key for ref in chosen)
        self.director.update(run=resumed(record), chosen=keys)
        self.director.read()

    def pause(self) -> None:
        """Begin no new step, or go on."""
        run, control = self.director.session.run, self._control
        if run is None or control is None:
            return
        paused = run.state == "paused"
        self.director.bridge.call(control.go_on if paused else control.pause)
        self.director.update(run=replace(run, state="running" if paused else "paused"))
        self.director.stage.tell(
            "The run goes on." if paused else "Paused: running steps end, no new step begins. p goes on."
        )

    def stop(self) -> None:
        """End after the calls that are under way."""
        run, control = self.director.session.run, self._control
        if run is None or control is None:
            return
        self.director.bridge.call(control.stop)
        self.director.update(run=replace(run, state="stopping"))
        self.director.stage.tell("Stopping after the calls that are under way; they cannot be interrupted.")

    def ended(self, result: Any) -> None:
        """The run came to an end of its own: say how, and read what is so now."""
        self.director.on_events()
        run = self.director.session.run
        if run is None:
            return
        self.director.update(
            run=replace(
                run, state=result.state, log_file=self.director.bridge.log_file, summary=run.summary or result.message
            )
        )
        self._control = None
        self._ended = self.director.ports.clock.now()
        self._pause = PAUSE
        self.director.stage.tell(setup.end_words(self.director.session))
        self.director.read()

    def settles(self, picture: MeshPicture) -> bool:
        """Whether a join ended so lately that cilium-health cannot know of it yet, and it alone troubles a link."""
        run, since = self.director.session.run, self.director.ports.clock.now() - self._ended
        return run is not None and run.state == "done" and since <= PATIENCE and health_lags(picture)

    def settle(self) -> None:
        """After a join read the agents' health again while it still lags: it does so by minutes."""
        director, session = self.director, self.director.session
        if not session.settling or session.gathering.running or director.bridge.running("settle"):
            return

        pause, self._pause = self._pause, min(self._pause * GROWS, PAUSE_MAX)

        async def work() -> FactStore:
            await director.ports.clock.sleep(pause)
            names = (catalogue.HEALTH.name, catalogue.AGENTS.name)
            return await director.ports.gatherer.gather(
                session.chosen_refs, lambda _: None, only=names, base=director.session.store
            )

        director.submit("settle", "reading the agents' health again", work)

    def settled(self, store: FactStore) -> None:
        """The agents were asked again."""
        gathering = replace(self.director.session.gathering, ended=self.director.ports.clock.now())
        self.director.update(store=store, gathering=gathering)
        self.director.rejudge()

    def failed(self, text: str) -> None:
        """The run raised: before its first step it was refused, later it failed."""
        run = self.director.session.run
        if run is not None:
            state = "failed" if run.number else "refused"
            refusal = text if state == "refused" else ""
            self.director.update(run=replace(run, state=state, refusal=refusal, summary=text))
            if state == "refused":
                self.director.stage.go("plan")
        self._control = None


def who(session: Session) -> tuple[str, ...]:
    """As whom each cluster is written to."""
    from mesh.subject import OfCluster

    told = []
    for key in session.chosen:
        rights = session.store.value(catalogue.RIGHTS, OfCluster(key))
        identity = session.store.value(catalogue.CLOUD, OfCluster(key))
        name = (rights.user if rights else "") or (identity.caller if identity else "")
        if name:
            told.append(f"{name} in {key}")
    return tuple(told)


def really_there(run: RunView | None, store: FactStore) -> Mapping[str, str]:
    """For a run that was cut off: what its steps really reached, by their conditions."""
    if run is None or run.state != "cut off":
        return {}
    from mesh.conditions import holds

    there: dict[str, str] = {}
    for step in run.plan.todo():
        if run.of(step.id).state in ("done", "already"):
            continue
        reached = bool(step.until) and all(holds(condition, store)[0] is True for condition in step.until)
        there[step.id] = "already" if reached else ""
    return there
