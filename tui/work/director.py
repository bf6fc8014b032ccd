"""What the user may wish for, as work for the engine; what comes back, as the next snapshot."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from mesh.errors import MeshError
from mesh.events import CollectorProgress, Event, FactArrived
from mesh.model.context import Access, ContextList, ContextPeek
from mesh.picture import settling
from mesh.plan import Plan
from mesh.ports import Ports
from mesh.usual import timed
from tui.bridge import Bridge
from tui.messages import JobCancelled, JobDone, JobFailed
from tui.options import Options
from tui.present.choices import objections
from tui.session import Gathering, Preview, Session, announcement, on_events
from tui.work.contexts import ContextDesk
from tui.work.judge import Judgement, judge
from tui.work.running import RunDesk, really_there, who

JUDGE_PAUSE = 0.3


class Stage(Protocol):
    """What the director needs of the app."""

    session: Session

    def show_session(self, session: Session) -> None:
        """Take the next snapshot and draw it."""

    def tell(self, text: str) -> None:
        """Announce."""

    def go(self, place: str) -> None:
        """Open a place."""

    def show_failure(self, job: str, what: str, error: Exception) -> None:
        """Open the error screen: a mistake of ours, not of a cluster."""


class Director:
    """Turns wishes into jobs and answers into snapshots."""

    def __init__(self, stage: Stage, ports: Ports, options: Options, bridge: Bridge) -> None:
        self.stage = stage
        self.ports = ports
        self.options = options
        self.bridge = bridge
        self._again = False
        self._judged_in = 0.0
        self._before_edit: Plan | None = None
        self.changed_steps: frozenset[str] = frozenset()
        self._retry: dict[str, Any] = {}
        self.contexts = ContextDesk(self)
        self.runs = RunDesk(self)

    @property
    def session(self) -> Session:
        """The snapshot."""
        return self.stage.session

    def update(self, **changes: Any) -> None:
        """The next snapshot."""
        self.stage.show_session(replace(self.session, **changes))

    def begin(self) -> None:
        """The first work: the lab or the contexts."""
        lab = self.ports.lab
        collectors = tuple(self.ports.gatherer.collectors())
        self.update(
            collectors=collectors,
            scenarios=tuple(lab.scenarios()) if lab else (),
            simulated=self.options.demo or self.options.simulated,
            now=self.ports.clock.now(),
        )
        if self.options.demo and self.options.scenario:
            self.contexts.start_lab(self.options.scenario)
        elif not self.options.demo:
            self.contexts.list()

    def read(self, clusters: tuple[str, ...] = ()) -> None:
        """Read the facts of the chosen clusters; of some of them only, what is known of the others is kept."""
        session = self.session
        refs = [ref for ref in session.chosen_refs if not clusters or ref.key in clusters]
        if not refs:
            return
        partly = bool(clusters) and set(session.gathering.clusters) == set(session.chosen)
        progress = {place: told for place, told in session.gathering.progress.items() if place[0] not in clusters}
        usual = (self.ports.store.get("usual") or {}).get(_usual_key(session.chosen), 0.0)
        now = self.ports.clock.now()
        gathering = Gathering("reading", session.chosen, progress if partly else {}, now, 0.0, float(usual))
        base = session.store if partly else None
        if not partly:
            self.update(store=type(session.store)(), judged=None)
        self.update(gathering=gathering, now=now)
        self.submit("gather", "reading facts", lambda: self.ports.gatherer.gather(refs, self.bridge.emit, base=base))

    def stop_reading(self) -> None:
        """Stop; what was not read is unknown."""
        if not self.bridge.running("gather"):
            self.stage.tell("nothing is being read")
            return
        self.bridge.cancel("gather")

    def _on_gathered(self, store: Any) -> None:
        now = self.ports.clock.now()
        from mesh.facts import Known

        known = sum(isinstance(fact, Known) for _, fact in store.items())
        gathering = replace(self.session.gathering, state="done", ended=now, known=known, unknown=len(store) - known)
        self.update(store=store, gathering=gathering, now=now)
        usual = self.ports.store.get("usual") or {}
        usual[_usual_key(gathering.clusters)] = now - gathering.started
        self.ports.store.put("usual", usual)
        self.stage.tell("")
        self.rejudge()

    def rejudge(self) -> None:
        """Judge the facts again, soon; at most one judgement is under way."""
        if self.bridge.running("judge"):
            self._again = True
            return
        self._again = False
        self.update(judging=True)
        session = self.session
        clusters, pause = session.gathering.clusters or session.chosen, JUDGE_PAUSE if session.gathering.running else 0

        async def work() -> tuple[Judgement, Mapping[str, str], float]:
            await asyncio.sleep(max(pause, self._judged_in * 3 if pause else 0))
            began = time.monotonic()
            latest = self.session
            made = judge(latest.store, clusters, latest.edits, self.ports.clock.now())
            if made.plan is not None:
                made = replace(made, plan=timed(made.plan, self.ports.store))
            return made, really_there(latest.run, latest.store), time.monotonic() - began

        self.submit("judge", "judging facts", work)

    def _on_judged(self, result: tuple[Judgement, Mapping[str, str], float]) -> None:
        judged, there, self._judged_in = result
        run = self.session.run
        if run is not None and run.state == "cut off" and there and not self.session.gathering.running:
            steps = {name: replace(run.of(name), state=state) for name, state in there.items()}
            run = replace(run, steps={**run.steps, **steps})
        if self._before_edit is not None and judged.plan is not None:
            before = {step.id: step for step in self._before_edit.steps}
            self.changed_steps |= {step.id for step in judged.plan.steps if before.get(step.id) != step}
            self._before_edit = None
        settles = self.runs.settles(judged.picture)
        if settles:
            judged = replace(judged, picture=settling(judged.picture))
        self.update(judged=judged, judging=False, settling=settles, run=run)
        if self._again:
            self.rejudge()
        else:
            self.runs.settle()

    def edit(self, field: str, text: str | None) -> None:
        """Change a choice of the plan, or with None back to its default; the plan is made again."""
        edits = {name: value for name, value in self.session.edits.items() if name != field}
        if text is not None:
            edits[field] = text
        self._before_edit = self.session.plan
        self.update(edits=edits, preview=None)
        self.rejudge()

    def preview(self, field: str, text: str) -> None:
        """Judge what a choice would mean while it is typed."""
        session = self.session
        clusters = session.gathering.clusters or session.chosen

        async def work() -> Preview:
            made = judge(session.store, clusters, {**session.edits, field: text}, self.ports.clock.now())
            before = session.judged.findings if session.judged else ()
            return Preview(field, text, objections(before, made.findings), made.refusal)

        self.submit("preview", "judging a choice", work)

    def step_seen(self, step: str) -> None:
        """A step that an edit changed was looked at."""
        self.changed_steps -= {step}

    def who(self) -> tuple[str, ...]:
        """As whom each cluster is written to."""
        return who(self.session)

    def on_events(self) -> None:
        """Take what the engine told."""
        arrived: list[Event] = self.bridge.take_events()
        if not arrived:
            return
        self.stage.show_session(on_events(self.session, arrived))
        said = [text for event in arrived if (text := announcement(event, self.session.run))]
        if said:
            self.stage.tell(said[-1])
        if any(isinstance(event, FactArrived) for event in arrived):
            self.rejudge()

    def on_done(self, message: JobDone) -> None:
        """A job ended well."""
        if not self.bridge.is_current(message):
            return
        kind, _, name = message.job.partition(":")
        match kind:
            case "lab":
                self.update(lab_state="running")
                self.contexts.list()
            case "contexts":
                self.contexts.listed(message.result)
            case "peek":
                self.contexts.peeked(name, message.result)
            case "gather":
                self._on_gathered(message.result)
            case "judge":
                self._on_judged(message.result)
            case "preview":
                self.update(preview=message.result)
            case "settle":
                self.runs.settled(message.result)
            case "run":
                self.runs.ended(message.result)

    def on_failed(self, message: JobFailed) -> None:
        """A job raised: a designed error is announced, anything else opens the error screen."""
        if not self.bridge.is_current(message):
            return
        kind, _, name = message.job.partition(":")
        error = message.error
        text = error.sentence() if isinstance(error, MeshError) else f"{message.what} failed"
        self._state_after_failure(kind, name, text)
        if isinstance(error, MeshError):
            self.stage.tell(text)
        else:
            self.stage.show_failure(message.job, message.what, error)

    def _state_after_failure(self, kind: str, name: str, text: str) -> None:
        session, now = self.session, self.ports.clock.now()
        match kind:
            case "lab":
                self.update(lab_state="failed", lab="", lab_error=text)
            case "contexts":
                self.update(contexts=session.contexts or ContextList())
            case "peek":
                peeks = {**session.peeks, name: ContextPeek(name, Access.INVALID, text)}
                self.update(peeks=peeks, peeking=session.peeking - {name})
            case "gather":
                self.update(gathering=replace(session.gathering, state="failed", ended=now))
            case "judge":
                self.update(judging=False)
            case "run":
                self.runs.failed(text)

    def on_cancelled(self, message: JobCancelled) -> None:
        """A job was stopped."""
        if not self.bridge.is_current(message) or self.bridge.running(message.job):
            return
        session = self.session
        if message.job == "gather" and session.gathering.running:
            progress = {
                place: told if told.state not in ("", "reading", "waiting") else replace_state(told, "cancelled")
                for place, told in session.gathering.progress.items()
            }
            ended = replace(session.gathering, state="stopped", ended=self.ports.clock.now(), progress=progress)
            self.update(gathering=ended)
            self.stage.tell("Reading stopped; what was not read is ?.")
            self.rejudge()

    def retry(self, job: str) -> None:
        """Do a failed job again."""
        again = self._retry.get(job)
        if again is not None:
            self.submit(*again)

    def submit(self, job: str, what: str, work: Any) -> None:
        """Hand work to the engine; it can be tried again."""
        self._retry[job] = (job, what, work)
        self.bridge.submit(job, what, work)


def replace_state(told: CollectorProgress, state: str) -> CollectorProgress:
    """The same progress in another state."""
    return CollectorProgress(told.cluster, told.collector, state, told.done, told.total, told.text)


def _usual_key(clusters: tuple[str, ...]) -> str:
    return ",".join(sorted(clusters))
