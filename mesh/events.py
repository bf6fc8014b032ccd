"""What happens, as one union of frozen records. The app and the command line are two consumers of the same stream."""

from collections.abc import Callable

from msgspec import Struct

from mesh.facts import Fact, FactKey
from mesh.finding import Finding
from mesh.model.picture import Proof


class CollectorProgress(Struct, frozen=True):
    """A collector of one cluster: ``state`` is reading, done, denied, expired, failed, waiting or cancelled.

    ``done``/``total`` count what it reads (total 0 = not known yet); ``text`` is what a cell shows; ``seconds``
    elapsed.
    """

    cluster: str
    collector: str
    state: str
    done: int = 0
    total: int = 0
    text: str = ""
    detail: str = ""
    lift: str = ""
    seconds: float = 0.0


class FactArrived(Struct, frozen=True):
    """One fact, known or not."""

    key: FactKey
    fact: Fact


class GatherDone(Struct, frozen=True):
    """All collectors have ended; counts of known and unknown facts, seconds it took."""

    known: int
    unknown: int
    seconds: float


class FindingChanged(Struct, frozen=True):
    """A finding's state after re-evaluation; ``before`` is "" when it is new."""

    finding: Finding
    before: str = ""


class RunStarted(Struct, frozen=True):
    """A plan began or goes on; ``resumed`` tells which."""

    run: int
    plan: str
    resumed: bool = False


class StepStarted(Struct, frozen=True):
    """A step began its ``attempt``-th try."""

    step: str
    at: float
    attempt: int = 1


class StepOutput(Struct, frozen=True):
    """One cleaned line of a step's output."""

    step: str
    at: float
    line: str


class StepWaiting(Struct, frozen=True):
    """What a step waits for, and until when (epoch seconds of the run's clock)."""

    step: str
    what: str
    until: float


class ServiceProven(Struct, frozen=True):
    """The proof's answers were all right."""

    step: str
    proof: Proof


class StepDone(Struct, frozen=True):
    """A step ended: ``state`` is done, already, failed, blocked, cancelled, skipped or undone."""

    step: str
    state: str
    at: float
    seconds: float
    message: str = ""
    finding: Finding | None = None


class RunDone(Struct, frozen=True):
    """A run ended: ``state`` is done, failed, cancelled or undone; ``summary`` is one sentence."""

    run: int
    state: str
    seconds: float
    summary: str = ""


class Announcement(Struct, frozen=True):
    """A sentence for the status line."""

    text: str


Event = (
    CollectorProgress
    | FactArrived
    | GatherDone
    | FindingChanged
    | RunStarted
    | StepStarted
    | StepOutput
    | StepWaiting
    | ServiceProven
    | StepDone
    | RunDone
    | Announcement
)
Emit = Callable[[Event], None]
