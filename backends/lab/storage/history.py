"""The writes of a cluster in order: what watches replay and what is too old to be replayed."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from backends.lab.storage.resources import Resource
from backends.lab.storage.selectors import Object

Listener: TypeAlias = Callable[["Change"], None]

Listed: TypeAlias = list[tuple[Object, Callable[[], bytes]]]

LENGTH: Final = 4096
_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Change:
    """One write: ``kind`` is ADDED, MODIFIED or DELETED; ``before`` and ``after`` are read-only."""

    version: int
    kind: str
    resource: Resource
    before: Object | None
    after: Object


class History:
    """The last ``length`` writes of one resource and who listens to new ones."""

    def __init__(self, start: int, length: int = LENGTH) -> None:
        self._changes: deque[Change] = deque(maxlen=length)
        self._listeners: list[Listener] = []
        self._oldest = start

    @property
    def oldest(self) -> int:
        """The oldest resource version from which a watch can still start."""
        return self._oldest

    def record(self, change: Change) -> None:
        """Keep the change; when the log is full the oldest one is forgotten."""
        if len(self._changes) == self._changes.maxlen:
            self._oldest = self._changes[0].version
        self._changes.append(change)

    def forget(self, version: int) -> None:
        """Drop every change up to ``version``, as compaction does."""
        while self._changes and self._changes[0].version <= version:
            self._changes.popleft()
        self._oldest = max(self._oldest, version)

    def since(self, version: int) -> list[Change]:
        """Changes after ``version``, oldest first; the caller has compared it with ``oldest``."""
        newer: list[Change] = []
        for change in reversed(self._changes):
            if change.version <= version:
                break
            newer.append(change)
        newer.reverse()
        return newer

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every later change; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def notify(self, change: Change) -> None:
        """Tell the listeners."""
        for listener in tuple(self._listeners):
            listener(change)


class Snapshots:
    """Lists that clients read in chunks, by resource version; the oldest are forgotten, as by compaction."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[Any, ...], Listed] = OrderedDict()

    def keep(self, key: tuple[Any, ...], listed: Listed) -> None:
        """Hold a list for later chunks."""
        self._held[key] = listed
        while len(self._held) > _KEPT:
            self._held.popitem(last=False)

    def find(self, key: tuple[Any, ...]) -> Listed | None:
        """A held list, or None when it was forgotten."""
        return self._held.get(key)

    def forget(self) -> None:
        """Forget all of them: the next chunk of any list is answered with 410."""
        self._held.clear()
