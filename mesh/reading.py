"""How clusters are read: what a collector is, and the reader of one cluster's Kubernetes API that it reads through."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from mesh.facts import Fact, FactName, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.context import ContextRef, Right
from mesh.model.kinds import Resource

T = TypeVar("T")


class NotRead(Exception):
    """Something could not be read; ``unknown`` says why and what would lift it. Collectors turn it into facts.

    ``right`` is the action of a cloud that was asked for, ``code`` the error code it answered with.
    """

    def __init__(self, reason: Reason, detail: str = "", lift: str = "", *, right: str = "", code: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.unknown = Unknown(reason, detail, lift)
        self.right = right
        self.code = code


class Answer(Struct, frozen=True):
    """What a command in a pod gave: raw standard output, cleaned standard error, exit code."""

    code: int
    output: bytes
    errors: str = ""


Count = Callable[[int, int], None]


class ClusterReader(Protocol):
    """One cluster's Kubernetes API, to read only. Every method raises ``NotRead`` only, and within its deadline.

    ``shape`` is the msgspec type that an object is projected to; strings in it are raw text from outside. ``skew``
    is the
    cluster's clock minus ours in seconds, once an answer told it (to a second).
    """

    origin: Origin
    where: str
    skew: float | None

    async def version(self, shape: type[T]) -> T:
        """Body of ``GET /version``."""

    async def list(
        self,
        resource: Resource,
        shape: type[T],
        *,
        namespace: str = "",
        labels: str = "",
        count: Count | None = None,
        metadata_only: bool = False,
    ) -> list[T]:
        """All objects, page by page; ``count`` is told (read, total or 0). ``ABSENT_API`` = no such kind."""

    async def get(self, resource: Resource, shape: type[T], name: str, namespace: str = "") -> T | None:
        """One object; None = it does not exist."""

    async def review(self, resource: Resource, body: Mapping[str, Any], shape: type[T]) -> T:
        """POST of a review (SelfSubjectRulesReview and its like): asks, changes nothing."""

    async def execute(self, namespace: str, pod: str, container: str, argv: Sequence[str], seconds: float) -> Answer:
        """Run a command in a container without a terminal and wait at most ``seconds``."""

    def bounded(self, max_bytes: int, waits: Callable[[float], None] | None = None) -> "ClusterReader":
        """The same reader with a budget of its own: reading more than ``max_bytes`` is ``TRUNCATED``.

        ``waits`` is told the seconds when the API server asks for patience (429).
        """

    async def close(self) -> None:
        """Give connections back."""


class Cost(StrEnum):
    """How much a collector asks of the cluster."""

    CHEAP = "cheap"
    NORMAL = "normal"
    HEAVY = "heavy"
    INTRUSIVE = "intrusive"


class Collected(Struct):
    """What a collector found: a fact for each name it provides, and what its cell on the Facts screen says."""

    facts: dict[FactName[Any], Fact]
    text: str = ""


Progress = Callable[[int, int, str], None]


class Scope(Struct):
    """What a collector gets: the context, a reader, what is known of the cluster so far, the time, where progress goes.

    ``progress`` takes (done, total or 0, text); ``now`` is epoch seconds when the reading began.
    """

    ref: ContextRef
    reader: ClusterReader
    facts: FactStore
    now: float
    progress: Progress

    def known(self, value: Any, what: str, origin: Origin | None = None) -> Known:
        """A fact just read from this cluster; ``what`` is the verb and resource, or the command."""
        return Known(value, Source(origin or self.reader.origin, what, self.reader.where), self.now)


class Collector(Protocol):
    """Reads some facts of one cluster. Never raises but for ``NotRead``, which loses every fact it provides.

    ``needs`` are facts that must have been read before (known or not). A collector that needs ``version`` is not run
    where the API server could not be reached; its facts are then unknown for that same reason. ``rbac`` are the
    Kubernetes rights it uses, ``timeout_s`` the deadline of the whole collection, ``max_bytes`` the most it reads.
    """

    id: str
    label: str
    provides: tuple[FactName[Any], ...]
    needs: tuple[FactName[Any], ...]
    rbac: tuple[Right, ...]
    cost: Cost
    timeout_s: float
    max_bytes: int

    async def collect(self, scope: Scope) -> Collected:
        """Read. Facts that it provides and does not return become ``Unknown(NOT_COLLECTED)``."""


class Cached(Protocol):
    """Remembers by name what was fetched once in a reading; safe to call from several threads."""

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        """The remembered value, or what ``make`` gives; its ``NotRead`` is remembered too, other errors are not."""
