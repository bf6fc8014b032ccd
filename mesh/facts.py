"""Facts: what was observed, from where and when, or why it is not known. JSON in and out is the snapshot format.

A fact about an object that does not exist is ``Known(None)``, never ``Unknown`` (anchors-features §2.3).
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from mesh.subject import Subject


class Reason(StrEnum):
    """Why a fact is not known."""

    NOT_COLLECTED = "not collected"
    FORBIDDEN = "forbidden"
    EXPIRED = "login ended"
    NO_PLUGIN = "no plugin"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    UNSUPPORTED = "unsupported"
    ABSENT_API = "absent API"
    INVALID = "invalid answer"
    REDACTED = "redacted"
    STALE = "stale"
    TRUNCATED = "truncated"
    CANCELLED = "cancelled"


class Origin(StrEnum):
    """The kind of place a fact came from."""

    LIVE = "live"
    EXEC = "exec"
    CLOUD = "cloud"
    PROBE = "probe"
    BUNDLE = "bundle"
    SIMULATOR = "simulator"
    PLANNED = "planned"


class Source(Struct, frozen=True):
    """``what`` was asked (verb and resource, command, API action) and ``where`` (context, pod, region, file)."""

    origin: Origin
    what: str = ""
    where: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.where) if part) or self.origin.value


class Known(Struct, frozen=True, tag="known"):
    """An observed value; ``observed_at`` in epoch seconds of the observer's clock."""

    value: Any
    source: Source
    observed_at: float = 0.0


class Unknown(Struct, frozen=True, tag="unknown"):
    """Why there is no value; ``lift`` is the right, login or flag that would give one."""

    reason: Reason
    detail: str = ""
    lift: str = ""
    source: Source | None = None


Fact = Known | Unknown
NOT_COLLECTED = Unknown(Reason.NOT_COLLECTED)

V = TypeVar("V")


class FactName(Generic[V]):
    """The name of a fact and the type of its value; the registry is ``mesh.catalogue``."""

    __slots__ = ("doc", "max_age", "name", "type")

    def __init__(self, name: str, type_: Any, doc: str, max_age: float | None = None) -> None:
        self.name = name
        self.type = type_
        self.doc = doc
        self.max_age = max_age

    def __repr__(self) -> str:
        return f"FactName({self.name})"


class FactKey(Struct, frozen=True, order=True):
    """A fact's place in the store."""

    name: str
    subject: Subject

    def __str__(self) -> str:
        return f"{self.name} of {self.subject}"


class FactStore:
    """An immutable set of facts; changes make a new store."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Mapping[FactKey, Fact] | None = None) -> None:
        self._facts: dict[FactKey, Fact] = dict(facts or {})

    def get(self, name: FactName[Any] | str, subject: Subject) -> Fact:
        """The fact, or ``Unknown(NOT_COLLECTED)``."""
        return self._facts.get(FactKey(_name(name), subject), NOT_COLLECTED)

    def value(self, name: FactName[V], subject: Subject, default: V | None = None) -> V | None:
        """The value if known, else ``default``: for display only, never for a verdict."""
        fact = self.get(name, subject)
        return fact.value if isinstance(fact, Known) else default

    def put(self, facts: Iterable[tuple[FactKey, Fact]]) -> "FactStore":
        """A new store with these facts added or replaced."""
        return FactStore({**self._facts, **dict(facts)})

    def since(self, before: "FactStore") -> Iterator[tuple[FactKey, Fact]]:
        """The facts that are not the ones of ``before``: what a reading that began with it has brought."""
        return ((key, fact) for key, fact in self._facts.items() if before._facts.get(key) is not fact)

    def without(self, keys: Iterable[FactKey]) -> "FactStore":
        """A new store in which these facts were never collected."""
        gone = set(keys)
        return FactStore({key: fact for key, fact in self._facts.items() if key not in gone})

    def clusters(self) -> tuple[str, ...]:
        """Keys of all clusters that any fact is about, sorted."""
        return tuple(sorted({name for key in self._facts for name in key.subject.clusters()}))

    def items(self) -> Iterator[tuple[FactKey, Fact]]:
        """All facts in canonical order."""
        return iter(sorted(self._facts.items(), key=lambda item: (item[0].name, str(item[0].subject))))

    def __len__(self) -> int:
        return len(self._facts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FactStore) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(frozenset(self._facts))


def _name(name: FactName[Any] | str) -> str:
    return name if isinstance(name, str) else name.name
