"""What drives the controllers: a change of an object or a due time, never polling."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from backends.lab.objects import Object, ObjectStore, Resource

log: Final = logging.getLogger(__name__)

NEVER: Final = math.inf
PASSES: Final = 400


class Reconciler(Protocol):
    """One controller. It looks at everything it needs each time (level-triggered) and says when it must look again."""

    watches: frozenset[tuple[str, str]]
    """Keys of the resources whose changes concern it; empty: only its due times do."""

    def reconcile(self, now: float) -> float:
        """Bring the cluster nearer to what is wanted; returns when there is more to do (lab time)."""


class ClusterLoop:
    """The controllers of one cluster, run until none of them has anything to do."""

    def __init__(
        self, name: str, store: ObjectStore, reconcilers: Sequence[Reconciler], wake: Callable[[], None]
    ) -> None:
        self._name = name
        self._reconcilers = tuple(reconcilers)
        self._due: list[float] = [0.0] * len(self._reconcilers)
        self._interested: dict[tuple[str, str], list[int]] = {}
        for number, reconciler in enumerate(self._reconcilers):
            for key in reconciler.watches:
                self._interested.setdefault(key, []).append(number)
        self._wake = wake
        self._unsubscribe = store.subscribe(self._changed)

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()

    def touch(self) -> None:
        """Let every controller look again, after a change outside the objects (a cloud, the network)."""
        self._due = [0.0] * len(self._reconcilers)
        self._wake()

    def run(self, now: float) -> float:
        """Run what is due until nothing is; returns the next due time."""
        for _ in range(PASSES):
            number = min(range(len(self._due)), key=self._due.__getitem__, default=None)
            if number is None:
                return NEVER
            if self._due[number] > now:
                return self._due[number]
            # Set before the call: its own writes may make it due again.
            self._due[number] = NEVER
            due = self._reconcilers[number].reconcile(now)
            self._due[number] = min(self._due[number], due)
        log.warning("controllers of %s still had work after %d passes", self._name, PASSES)
        return now + 1.0

    def _changed(self, kind: str, resource: Resource, obj: Object) -> None:
        interested = self._interested.get(resource.key)
        if interested:
            for number in interested:
                self._due[number] = 0.0
            self._wake()
