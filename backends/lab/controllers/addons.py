"""AKS's addon manager: puts its DaemonSets back as it made them, unless the managed cluster says otherwise.

Source: cilium-clustermesh §4.3 point 8; DESIGN §4.
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object
from backends.lab.storage.resources import DAEMONSETS

if TYPE_CHECKING:
    from backends.lab.world import LabCluster

MODE: Final = "addonmanager.kubernetes.io/mode"
AFTER: Final = 120.0
"""Lab seconds until a change is undone."""


class AddonManager:
    """Watches DaemonSets labelled ``addonmanager.kubernetes.io/mode=Reconcile`` of an AKS cluster."""

    watches = frozenset({DAEMONSETS.key})

    def __init__(self, cluster: "LabCluster") -> None:
        self._cluster = cluster
        self._store = cluster.objects
        self._made: dict[tuple[str, str], Object] = {}
        self._since: dict[tuple[str, str], float] = {}

    def reconcile(self, now: float) -> float:
        """Learn what is managed, and put back what has differed for two minutes."""
        if self._cluster.provider != "aks":
            return NEVER
        for one in self._store.view(DAEMONSETS):
            key = (one["metadata"]["namespace"], one["metadata"]["name"])
            if reading.labels(one).get(MODE) == "Reconcile" and key not in self._made:
                self._made[key] = {
                    "metadata": {"name": key[1], "namespace": key[0], "labels": reading.labels(one)},
                    "spec": msgspec.json.decode(msgspec.json.encode(one["spec"])),
                }
        due = NEVER
        for key, made in self._made.items():
            due = min(due, self._compare(key, made, now))
        return due

    def _wanted(self, key: tuple[str, str]) -> bool:
        return key[1] != "kube-proxy" or kube_proxy_enabled(self._cluster)

    def _compare(self, key: tuple[str, str], made: Object, now: float) -> float:
        have = self._store.stored(DAEMONSETS, *key)
        wanted = self._wanted(key)
        same = (have is not None and have["spec"] == made["spec"]) if wanted else have is None
        if same or (have is not None and reading.terminating(have)):
            self._since.pop(key, None)
            return NEVER
        at = self._since.setdefault(key, now) + AFTER
        if now < at:
            return at
        self._since.pop(key, None)
        if not wanted:
            self._store.delete(DAEMONSETS, *key)
        elif have is None:
            self._store.create(DAEMONSETS, made)
        else:
            fresh = self._store.need(DAEMONSETS, *key)
            self._store.update(DAEMONSETS, {**fresh, "spec": made["spec"]})
        return NEVER


def kube_proxy_enabled(cluster: "LabCluster") -> bool:
    """``networkProfile.kubeProxyConfig.enabled`` of the managed cluster; true where it is not set."""
    body: Any = cluster.facts.get("managed_cluster")
    resource = body() if callable(body) else body
    profile = ((resource or {}).get("properties") or {}).get("networkProfile") or {}
    return bool((profile.get("kubeProxyConfig") or {}).get("enabled", True))
