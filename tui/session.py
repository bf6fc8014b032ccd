"""What the app knows, as one frozen snapshot, and how events change it. No terminal, no thread, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mesh import events as ev
from mesh.facts import FactStore
from mesh.finding import Finding
from mesh.journal import RunRecord
from mesh.model.context import ContextList, ContextPeek, ContextRef
from mesh.model.picture import Proof
from mesh.plan import Plan
from mesh.ports import Scenario
from tui.work.judge import Judgement

STALE_AFTER = 900.0
ENDED = ("done", "undone")


@dataclass(frozen=True)
class Gathering:
    """One reading of all collectors: what each says, and how long it takes and usually took (seconds)."""

    state: str = ""
    clusters: tuple[str, ...] = ()
    progress: Mapping[tuple[str, str], ev.CollectorProgress] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    usual: float = 0.0
    known: int = 0
    unknown: int = 0

    @property
    def running(self) -> bool:
        """Whether facts are being read."""
        return self.state == "reading"


@dataclass(frozen=True)
class StepView:
    """One step of a run as the screen knows it. ``state`` "" = not begun; ``waiting`` and ``until`` from its wait."""

    state: str = ""
    started: float = 0.0
    seconds: float = 0.0
    attempt: int = 0
    waiting: str = ""
    until: float = 0.0
    message: str = ""
    finding: Finding | None = None
    lines: int = 0


@dataclass(frozen=True)
class RunView:
    """A run: ``state`` is confirming, running, pausing, stopping, done, failed, cancelled or cut off."""

    plan: Plan
    number: int = 0
    state: str = "confirming"
    started: float = 0.0
    seconds: float = 0.0
    steps: Mapping[str, StepView] = field(default_factory=dict)
    summary: str = ""
    refusal: str = ""
    log_file: str = ""
    proof: Proof | None = None
    who: tuple[str, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether something may be changing."""
        return self.state in ("confirming", "running", "paused", "stopping")

    @property
    def armed(self) -> bool:
        """Whether a confirmed plan is open: running, paused or failed (screens.md §2.1)."""
        return self.under_way or self.state == "failed"

    def of(self, step: str) -> StepView:
        """The state of a step."""
        return self.steps.get(step, StepView())


@dataclass(frozen=True)
class Preview:
    """What a choice that is being typed would mean: the findings it would bring, or why there would be no plan."""

    field: str
    text: str
    findings: tuple[Finding, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class Session:
    """One snapshot. ``chosen`` are cluster keys in the order of the list; ``twins`` maps a key to the one it equals.

    ``settling``: after a join, while cilium-health lags; the picture then holds nothing against a link that it alone
    says.
    """

    lab: str = ""
    lab_state: str = ""
    lab_error: str = ""
    simulated: bool = False
    scenarios: tuple[Scenario, ...] = ()
    contexts: ContextList | None = None
    peeks: Mapping[str, ContextPeek] = field(default_factory=dict)
    peeking: frozenset[str] = frozenset()
    chosen: tuple[str, ...] = ()
    collectors: tuple[tuple[str, str], ...] = ()
    gathering: Gathering = field(default_factory=Gathering)
    store: FactStore = field(default_factory=FactStore)
    judged: Judgement | None = None
    judging: bool = False
    settling: bool = False
    edits: Mapping[str, str] = field(default_factory=dict)
    preview: Preview | None = None
    run: RunView | None = None
    unfinished: RunRecord | None = None
    now: float = 0.0

    @property
    def refs(self) -> tuple[ContextRef, ...]:
        """All contexts, in file order."""
        return self.contexts.contexts if self.contexts else ()

    def ref(self, key: str) -> ContextRef | None:
        """The context of a key."""
        return next((ref for ref in self.refs if ref.key == key), None)

    @property
    def chosen_refs(self) -> tuple[ContextRef, ...]:
        """The contexts chosen."""
        return tuple(ref for ref in self.refs if ref.key in self.chosen)

    @property
    def twins(self) -> Mapping[str, str]:
        """Contexts of a cluster that an earlier context already is: key to that context's key (CM0003)."""
        first: dict[str, str] = {}
        found: dict[str, str] = {}
        for ref in self.refs:
            peek = self.peeks.get(ref.key)
            if peek and peek.cluster_uid:
                owner = first.setdefault(peek.cluster_uid, ref.key)
                if owner != ref.key:
                    found[ref.key] = owner
        return found

    @property
    def plan(self) -> Plan | None:
        """The plan of what is chosen now, if there is one."""
        return self.judged.plan if self.judged else None

    @property
    def stale(self) -> bool:
        """Whether the facts shown are older than facts may be."""
        return bool(self.gathering.ended) and self.now - self.gathering.ended > STALE_AFTER

    @property
    def age(self) -> float:
        """Seconds since the facts were read."""
        return max(self.now - self.gathering.ended, 0.0) if self.gathering.ended else 0.0

    @property
    def outdated(self) -> bool:
        """Whether other clusters are chosen than those the facts are of."""
        return bool(self.gathering.clusters) and set(self.gathering.clusters) != set(self.chosen)


def on_events(session: Session, arrived: list[ev.Event]) -> Session:
    """The session after these events."""
    facts = [(event.key, event.fact) for event in arrived if isinstance(event, ev.FactArrived)]
    if facts:
        session = replace(session, store=session.store.put(facts))
    progress = {(event.cluster, event.collector): event for event in arrived if isinstance(event, ev.CollectorProgress)}
    if progress:
        gathering = replace(session.gathering, progress={**session.gathering.progress, **progress})
        session = replace(session, gathering=gathering)
    for event in arrived:
        if isinstance(event, ev.GatherDone):
            gathering = replace(session.gathering, known=event.known, unknown=event.unknown)
            session = replace(session, gathering=gathering)
        elif session.run is not None:
            session = replace(session, run=_on_run(session.run, event))
    return session


def _on_run(run: RunView, event: ev.Event) -> RunView:
    match event:
        case ev.RunStarted():
            return replace(run, number=event.run, state="running")
        case ev.StepStarted():
            before = run.of(event.step)
            spent = before.seconds if before.state == "done" else 0.0
            return _with(run, event.step, StepView("running", event.at, spent, attempt=event.attempt))
        case ev.StepWaiting():
            return _with(run, event.step, replace(run.of(event.step), waiting=event.what, until=event.until))
        case ev.ServiceProven():
            return replace(run, proof=event.proof)
        case ev.StepDone():
            return _with(run, event.step, _ended(run.of(event.step), event))
        case ev.RunDone():
            return replace(run, state=event.state, seconds=event.seconds, summary=event.summary)
        case _:
            return run


def _ended(before: StepView, event: ev.StepDone) -> StepView:
    """The step after its end; one that a run going on found as it left it keeps the time that it took."""
    again = event.state == "already" and before.seconds > 0
    state, seconds = ("done", before.seconds) if again else (event.state, event.seconds)
    return replace(before, state=state, seconds=seconds, message=event.message, finding=event.finding)


def _with(run: RunView, step: str, view: StepView) -> RunView:
    return replace(run, steps={**run.steps, step: view})


def announcement(event: ev.Event, run: RunView | None) -> str:
    """What the status line says about an event; "" for nothing."""
    match event:
        case ev.Announcement():
            return event.text
        case ev.StepDone() if run is not None:
            number = {step.id: place for place, step in enumerate(run.plan.todo(), 1)}.get(event.step, 0)
            ended = {
                "done": "is done",
                "already": "was already so",
                "cancelled": "was stopped",
                "skipped": "is skipped",
            }
            said = ended.get(event.state, f"{event.state}: {event.message}" if event.message else event.state)
            return f"Step {number} {said}."
        case ev.RunDone():
            return event.summary
        case _:
            return ""


def resumed(record: RunRecord) -> RunView:
    """An unfinished run as the screen shows it before anything is read again."""
    steps = {
        name: StepView(step.state, step.at, step.seconds, message=step.message) for name, step in record.steps.items()
    }
    state = "cut off" if not record.state else record.state
    return RunView(record.plan, record.run, state, record.started, record.seconds, steps, proof=record.proof)
