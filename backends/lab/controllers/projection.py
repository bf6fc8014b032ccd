"""Mounted Secrets and ConfigMaps follow their objects only with the kubelet's next sync."""

from typing import Final

from backends.lab.controllers import reading
from backends.lab.controllers.kubelet.pods import Kubelets
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import ObjectStore
from backends.lab.storage.resources import CONFIGMAPS, PODS, SECRETS

SHORTEST: Final = 60.0
LONGEST: Final = 90.0


class Projection:
    """Refreshes the volumes of running pods 60 to 90 lab seconds after a change, each pod at its own time."""

    watches = frozenset({SECRETS.key, CONFIGMAPS.key, PODS.key})

    def __init__(self, store: ObjectStore, kubelets: Kubelets) -> None:
        self._store = store
        self._kubelets = kubelets
        self._pending: dict[str, float] = {}

    def reconcile(self, now: float) -> float:
        """Note what is stale, and sync whatever is due."""
        due = NEVER
        for uid in [uid for uid in self._pending if uid not in self._kubelets.runtimes]:
            del self._pending[uid]
        for uid, runtime in self._kubelets.runtimes.items():
            mounts = runtime.mounts
            if not mounts.sources or mounts.current(self._store) == mounts.version:
                self._pending.pop(uid, None)
                continue
            at = self._pending.setdefault(uid, now + reading.share(f"sync/{uid}", SHORTEST, LONGEST))
            if at <= now:
                # A source that is gone leaves the files that were there.
                mounts.sync(self._store, now)
                mounts.version = mounts.current(self._store)
                del self._pending[uid]
            else:
                due = min(due, at)
        return due
