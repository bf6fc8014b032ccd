"""What a run did, as it happens: one record before each change is sent and one after its answer (DESIGN §3)."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from mesh.errors import Undetermined
from mesh.model.picture import Proof
from mesh.plan import Plan
from mesh.ports import Clock, Outcome, Store


class StepRecord(Struct, frozen=True):
    """The last known state of a step: done, already, failed, cancelled, skipped, started or sent (answer not seen)."""

    state: str
    at: float = 0.0
    seconds: float = 0.0
    message: str = ""


class Change(Struct, frozen=True):
    """One effect that was answered: objects changed and what undo needs."""

    step: str
    effect: int
    changed: tuple[str, ...]
    undo: dict[str, Any] = {}


class RunRecord(Struct, frozen=True):
    """A run as its journal tells it. ``state`` is "" while it is unfinished."""

    run: int
    plan: Plan
    started: float
    state: str = ""
    seconds: float = 0.0
    steps: dict[str, StepRecord] = {}
    changes: tuple[Change, ...] = ()
    contexts: dict[str, str] = {}
    proof: Proof | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the run can go on: it was cut off, cancelled or failed."""
        return self.state not in ("done", "undone", "abandoned")

    @property
    def cut_off(self) -> str:
        """Id of the step that was under way when the journal ends without an end record, or ""."""
        if self.state:
            return ""
        return next((step for step, record in self.steps.items() if record.state in ("started", "sent")), "")


class Journal:
    """Writes one run's records through the store."""

    def __init__(self, store: Store, clock: Clock, run: int) -> None:
        self._store = store
        self._clock = clock
        self.run = run

    def begin(self, plan: Plan, contexts: dict[str, str], at: float) -> None:
        """The plan, in full, and the contexts that its cluster keys were; ``at`` is when the run began."""
        self._write("run", at=at, plan=msgspec.to_builtins(plan), contexts=contexts)

    def resume(self) -> None:
        """The run goes on."""
        self._write("resume")

    def started(self, step: str) -> None:
        """A step begins."""
        self._write("step", step=step, state="started")

    def intent(self, step: str, effect: int, what: str) -> None:
        """A change is about to be sent."""
        self._write("intent", step=step, effect=effect, what=what)

    def child(self, step: str, pid: int, started: float) -> None:
        """A program was started for a step; resume waits for one that still lives."""
        self._write("child", step=step, pid=pid, started=started)

    def outcome(self, step: str, effect: int, outcome: Outcome) -> None:
        """A change was answered."""
        proof = {"proof": msgspec.to_builtins(outcome.proof)} if outcome.proof else {}
        self._write("outcome", step=step, effect=effect, changed=list(outcome.changed), undo=outcome.undo, **proof)

    def ended(self, step: str, state: str, seconds: float, message: str = "") -> None:
        """A step ended."""
        self._write("step", step=step, state=state, seconds=seconds, message=message)

    def end(self, state: str, seconds: float) -> None:
        """The run ended."""
        self._write("end", state=state, seconds=seconds)

    def _write(self, kind: str, **fields: Any) -> None:
        self._store.append(self.run, {"kind": kind, "at": self._clock.now(), **fields})


def read_run(run: int, records: Sequence[dict[str, Any]]) -> RunRecord | None:
    """The run that these records tell of, or None if they begin with no plan. Raises ``Undetermined`` for another
    format.
    """
    if not records or records[0].get("kind") != "run":
        return None
    try:
        plan = msgspec.convert(records[0]["plan"], Plan)
    except (msgspec.ValidationError, KeyError) as error:
        raise Undetermined(f"The journal of run {run} is of another version", str(error), "Make a new plan.") from error
    steps: dict[str, StepRecord] = {}
    changes: list[Change] = []
    state, seconds, proof = "", 0.0, None
    for record in records[1:]:
        kind = record.get("kind")
        if kind == "step":
            steps[record["step"]] = StepRecord(
                record["state"], record["at"], record.get("seconds", 0.0), record.get("message", "")
            )
        elif kind == "intent":
            steps[record["step"]] = StepRecord("sent", record["at"], message=record.get("what", ""))
        elif kind == "outcome":
            changes.append(Change(record["step"], record["effect"], tuple(record["changed"]), record.get("undo", {})))
            steps[record["step"]] = StepRecord("started", record["at"])
            proof = msgspec.convert(record["proof"], Proof) if "proof" in record else proof
        elif kind == "end":
            state, seconds = record["state"], record["seconds"]
        elif kind == "resume":
            state = ""
    contexts = records[0].get("contexts", {})
    return RunRecord(run, plan, records[0]["at"], state, seconds, steps, tuple(changes), contexts, proof)


def latest_unfinished(store: Store, gone: Callable[[RunRecord], bool] = lambda _: False) -> RunRecord | None:
    """The newest run if it did not end done; older unfinished runs are history once a newer one exists.

    Runs whose clusters are ``gone``, as a lab's are with it, say nothing about other clusters and are passed over.
    """
    for run in reversed(store.runs()):
        record = read_run(run, store.read(run))
        if record is not None and not gone(record):
            return record if record.unfinished else None
    return None
