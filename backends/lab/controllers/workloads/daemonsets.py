"""DaemonSets: one pod per admitted node, replaced in steps when the template changes."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.controllers.scheduling import repelled, selected
from backends.lab.controllers.workloads.making import PodMaker, pod_of
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import DAEMONSETS, NODES, PODS, RESOURCES

HASH: Final = "controller-revision-hash"
_REVISIONS: Final = RESOURCES["apps", "controllerrevisions"]
_ALWAYS: Final = (
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
)
_HOST: Final = {"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"}


def _tolerations(spec: Mapping[str, Any]) -> list[Object]:
    added = [*_ALWAYS, _HOST] if spec.get("hostNetwork") else list(_ALWAYS)
    given = [dict(item) for item in spec.get("tolerations") or ()]
    return given + [item for item in added if item not in given]


def _affinity(node: str) -> Object:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}},
    }


class DaemonSets:
    """The DaemonSet controller."""

    watches = frozenset({DAEMONSETS.key, PODS.key, NODES.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._maker = PodMaker(store, recorder, "daemonset-controller")

    def reconcile(self, now: float) -> float:
        """Create, replace and delete pods of every DaemonSet, then write its status."""
        pods: dict[str, list[Object]] = {}
        for pod in self._store.view(PODS):
            uid = reading.owner(pod, "DaemonSet")
            if uid:
                pods.setdefault(uid, []).append(pod)
        for daemon_set in list(self._store.view(DAEMONSETS)):
            if not reading.terminating(daemon_set):
                self._sync(daemon_set, pods.get(daemon_set["metadata"]["uid"], []))
        return NEVER

    def _sync(self, daemon_set: Object, pods: list[Object]) -> None:
        template = daemon_set["spec"]["template"]
        current = reading.template_hash(template)
        self._keep_revision(daemon_set, current)
        spec = {**template["spec"], "tolerations": _tolerations(template["spec"])}
        wanted, may_stay = [], set()
        for node in self._store.view(NODES):
            name = node["metadata"]["name"]
            if not selected(spec, node) or repelled(spec, node, ("NoExecute",)):
                continue
            may_stay.add(name)
            if not repelled(spec, node, ("NoSchedule",)):
                wanted.append(name)
        have: dict[str, list[Object]] = {}
        for pod in pods:
            if reading.finished(pod) or (not reading.terminating(pod) and reading.node_of(pod) not in may_stay):
                if not reading.terminating(pod):
                    self._maker.delete(DAEMONSETS, daemon_set, pod)
                continue
            have.setdefault(reading.node_of(pod), []).append(pod)
        for name in wanted:
            if not have.get(name):
                labels = {HASH: current, "pod-template-generation": self._generation(daemon_set)}
                pod = pod_of(template, daemon_set, DAEMONSETS, labels, nodeName=name, affinity=_affinity(name))
                pod["spec"]["tolerations"] = spec["tolerations"]
                self._maker.create(DAEMONSETS, daemon_set, pod)
        self._roll(daemon_set, have, wanted, current)
        self._status(daemon_set, have, wanted, current, sum(1 for pod in pods if reading.node_of(pod) not in may_stay))

    @staticmethod
    def _generation(daemon_set: Object) -> str:
        return str(daemon_set["metadata"].get("generation", 1))

    def _keep_revision(self, daemon_set: Object, current: str) -> None:
        meta = daemon_set["metadata"]
        name = f"{meta['name']}-{current}"
        if self._store.stored(_REVISIONS, meta["namespace"], name) is not None:
            return
        older = [
            revision.get("revision", 0)
            for revision in self._store.view(_REVISIONS, meta["namespace"])
            if reading.owner(revision) == meta["uid"]
        ]
        template = msgspec.json.decode(msgspec.json.encode(daemon_set["spec"]["template"]))
        body = {
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": {**(template.get("metadata", {}).get("labels") or {}), HASH: current},
                "annotations": {"deprecated.daemonset.template.generation": self._generation(daemon_set)},
                "ownerReferences": reading.owned_by("apps/v1", "DaemonSet", daemon_set),
            },
            "data": {"spec": {"template": {"$patch": "replace", **template}}},
            "revision": max(older, default=0) + 1,
        }
        self._store.create(_REVISIONS, body)

    def _roll(self, daemon_set: Object, have: Mapping[str, list[Object]], wanted: list[str], current: str) -> None:
        strategy = daemon_set["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        rolling = strategy.get("rollingUpdate") or {}
        allowed = max(1, reading.int_or_percent(rolling.get("maxUnavailable", 1), len(wanted), up=True))
        old: list[Object] = []
        unavailable = 0
        for name in wanted:
            live = [pod for pod in have.get(name, ()) if not reading.terminating(pod)]
            if not any(reading.ready(pod) for pod in live):
                unavailable += 1
            old.extend(pod for pod in live if reading.labels(pod).get(HASH) != current)
        # A pod that is not ready costs nothing to replace.
        for pod in [pod for pod in old if not reading.ready(pod)]:
            self._maker.delete(DAEMONSETS, daemon_set, pod)
        for pod in [pod for pod in old if reading.ready(pod)][: max(0, allowed - unavailable)]:
            self._maker.delete(DAEMONSETS, daemon_set, pod)

    def _status(
        self, daemon_set: Object, have: Mapping[str, list[Object]], wanted: list[str], current: str, astray: int
    ) -> None:
        live = {name: [pod for pod in have.get(name, ()) if not reading.terminating(pod)] for name in wanted}
        ready = sum(1 for pods in live.values() if any(reading.ready(pod) for pod in pods))
        fresh = sum(1 for pods in live.values() if any(reading.labels(pod).get(HASH) == current for pod in pods))
        status: Object = {
            "currentNumberScheduled": sum(1 for pods in live.values() if pods),
            "desiredNumberScheduled": len(wanted),
            "numberMisscheduled": astray,
            "numberReady": ready,
            "observedGeneration": daemon_set["metadata"].get("generation", 1),
        }
        if fresh:
            status["updatedNumberScheduled"] = fresh
        if ready:
            status["numberAvailable"] = ready
        if len(wanted) - ready:
            status["numberUnavailable"] = len(wanted) - ready
        meta = daemon_set["metadata"]
        if daemon_set.get("status") != status and self._store.stored(DAEMONSETS, meta["namespace"], meta["name"]):
            self._store.set_status(DAEMONSETS, meta["namespace"], meta["name"], status)
