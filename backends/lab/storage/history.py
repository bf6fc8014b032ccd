"""The writes of a cluster in order: what watches replay and what is too old to be replayed."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from backends.lab.storage.resources import Resource
from backends.lab.storage.selectors import Object

Listener: TypeAlias = Callable[["Change"], None]

LENGTH: Final = 4096


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
