"""Deployments and ReplicaSets: a set per template, scaled over within the bounds of the strategy."""

from typing import Final

import msgspec

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.controllers.workloads.making import PodMaker, pod_of
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import DEPLOYMENTS, PODS, RESOURCES

REPLICASETS: Final = RESOURCES["apps", "replicasets"]
HASH: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"


class ReplicaSets:
    """The ReplicaSet controller."""

    watches = frozenset({REPLICASETS.key, PODS.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._maker = PodMaker(store, recorder, "replicaset-controller")

    def reconcile(self, now: float) -> float:
        """Create and delete pods until every set has its number, then write its status."""
        pods: dict[str, list[Object]] = {}
        for pod in self._store.view(PODS):
            uid = reading.owner(pod, "ReplicaSet")
            if uid and not reading.finished(pod):
                pods.setdefault(uid, []).append(pod)
        for replica_set in list(self._store.view(REPLICASETS)):
            if not reading.terminating(replica_set):
                self._sync(replica_set, pods.get(replica_set["metadata"]["uid"], []))
        return NEVER

    def _sync(self, replica_set: Object, pods: list[Object]) -> None:
        spec = replica_set["spec"]
        live = [pod for pod in pods if not reading.terminating(pod)]
        missing = int(spec.get("replicas", 1)) - len(live)
        for _ in range(max(0, missing)):
            if self._maker.create(REPLICASETS, replica_set, pod_of(spec["template"], replica_set, REPLICASETS)) is None:
                break
        if missing < 0:
            # As kubectl scale shows: pods without a node and pods that are not ready go first, then the youngest.
            order = sorted(
                live,
                key=lambda pod: (
                    bool(reading.node_of(pod)),
                    reading.ready(pod),
                    -reading.parse_time(pod["metadata"]["creationTimestamp"]),
                ),
            )
            for pod in order[:-missing]:
                self._maker.delete(REPLICASETS, replica_set, pod)
        labelled = (spec["template"].get("metadata") or {}).get("labels") or {}
        ready = sum(1 for pod in live if reading.ready(pod))
        status: Object = {
            "replicas": len(live),
            "observedGeneration": replica_set["metadata"].get("generation", 1),
        }
        full = sum(1 for pod in live if labelled.items() <= reading.labels(pod).items())
        if full:
            status["fullyLabeledReplicas"] = full
        if ready:
            status["readyReplicas"] = status["availableReplicas"] = ready
        meta = replica_set["metadata"]
        if replica_set.get("status") != status and self._store.stored(REPLICASETS, meta["namespace"], meta["name"]):
            self._store.set_status(REPLICASETS, meta["namespace"], meta["name"], status)


class Deployments:
    """The Deployment controller."""

    watches = frozenset({DEPLOYMENTS.key, REPLICASETS.key, PODS.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def reconcile(self, now: float) -> float:
        """Bring every Deployment's sets nearer to its template, then write its status."""
        due = NEVER
        for deployment in list(self._store.view(DEPLOYMENTS)):
            if not reading.terminating(deployment):
                self._sync(deployment, now)
        return due

    def _sets(self, deployment: Object) -> list[Object]:
        meta = deployment["metadata"]
        return [
            replica_set
            for replica_set in self._store.view(REPLICASETS, meta["namespace"])
            if reading.owner(replica_set) == meta["uid"] and not reading.terminating(replica_set)
        ]

    def _sync(self, deployment: Object, now: float) -> None:
        template = deployment["spec"]["template"]
        current_hash = reading.template_hash(template)
        sets = self._sets(deployment)
        current = next((one for one in sets if reading.labels(one).get(HASH) == current_hash), None)
        old = [one for one in sets if one is not current]
        if current is None:
            current = self._new_set(deployment, current_hash, old)
        if not deployment["spec"].get("paused"):
            self._scale(deployment, current, old)
        self._number(deployment, current, old)
        sets = self._sets(deployment)
        current = next((one for one in sets if reading.labels(one).get(HASH) == current_hash), current)
        self._prune(deployment, [one for one in sets if one["metadata"]["uid"] != current["metadata"]["uid"]])
        self._status(deployment, current, sets, now)

    def _new_set(self, deployment: Object, current_hash: str, old: list[Object]) -> Object:
        template = msgspec.json.decode(msgspec.json.encode(deployment["spec"]["template"]))
        meta = template.setdefault("metadata", {})
        meta["labels"] = {**(meta.get("labels") or {}), HASH: current_hash}
        revision = max((int(reading.annotations(one).get(REVISION, 0)) for one in old), default=0) + 1
        selector = deployment["spec"].get("selector") or {}
        body = {
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{current_hash}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": meta["labels"],
                "annotations": {
                    "deployment.kubernetes.io/desired-replicas": str(deployment["spec"].get("replicas", 1)),
                    REVISION: str(revision),
                },
                "ownerReferences": reading.owned_by("apps/v1", "Deployment", deployment),
            },
            "spec": {
                "replicas": 0,
                "selector": {
                    **selector,
                    "matchLabels": {**(selector.get("matchLabels") or {}), HASH: current_hash},
                },
                "template": template,
            },
        }
        return self._store.create(REPLICASETS, body)

    def _resize(self, deployment: Object, replica_set: Object, replicas: int) -> None:
        have = int(replica_set["spec"].get("replicas", 0))
        if have == replicas:
            return
        meta = replica_set["metadata"]
        fresh = self._store.need(REPLICASETS, meta["namespace"], meta["name"])
        fresh["spec"]["replicas"] = replicas
        self._store.update(REPLICASETS, fresh)
        word = "up" if replicas > have else "down"
        text = f"Scaled {word} replica set {meta['name']} from {have} to {replicas}"
        self._recorder.record(DEPLOYMENTS, deployment, "ScalingReplicaSet", text, source="deployment-controller")

    def _scale(self, deployment: Object, current: Object, old: list[Object]) -> None:
        spec = deployment["spec"]
        desired = int(spec.get("replicas", 1))
        strategy = spec.get("strategy") or {}
        old_total = sum(int(one["spec"].get("replicas", 0)) for one in old)
        if strategy.get("type") == "Recreate":
            for one in old:
                self._resize(deployment, one, 0)
            alive = sum(self._count(one)[0] for one in old)
            if alive == 0:
                self._resize(deployment, current, desired)
            return
        rolling = strategy.get("rollingUpdate") or {}
        surge = reading.int_or_percent(rolling.get("maxSurge", "25%"), desired, up=True)
        unavailable = reading.int_or_percent(rolling.get("maxUnavailable", "25%"), desired, up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        have = int(current["spec"].get("replicas", 0))
        room = max(0, desired + surge - old_total - have)
        target = min(desired, have + room) if have < desired else desired
        self._resize(deployment, current, target)
        if not old_total:
            return
        ready = sum(self._count(one)[1] for one in (*old, current))
        spare = ready - (desired - unavailable)
        for one in sorted(old, key=lambda one: int(reading.annotations(one).get(REVISION, 0))):
            replicas = int(one["spec"].get("replicas", 0))
            alive, good = self._count(one)
            # Replicas that are not ready can go without costing availability.
            cut = min(replicas, (replicas - good) + max(0, spare))
            spare -= max(0, cut - (replicas - good))
            self._resize(deployment, one, replicas - cut)

    def _count(self, replica_set: Object) -> tuple[int, int]:
        uid = replica_set["metadata"]["uid"]
        pods = [
            pod
            for pod in self._store.view(PODS, replica_set["metadata"]["namespace"])
            if reading.owner(pod) == uid and not reading.finished(pod)
        ]
        return len(pods), sum(1 for pod in pods if reading.ready(pod))

    def _number(self, deployment: Object, current: Object, old: list[Object]) -> None:
        """Keep revision numbers: the set in force has the highest one, and the Deployment shows it."""
        newest = max((int(reading.annotations(one).get(REVISION, 0)) for one in old), default=0)
        mine = int(reading.annotations(current).get(REVISION, 0))
        if mine <= newest:
            mine = newest + 1
            meta = current["metadata"]
            fresh = self._store.need(REPLICASETS, meta["namespace"], meta["name"])
            fresh["metadata"]["annotations"] = {**reading.annotations(fresh), REVISION: str(mine)}
            self._store.update(REPLICASETS, fresh)
        if reading.annotations(deployment).get(REVISION) != str(mine):
            meta = deployment["metadata"]
            fresh = self._store.need(DEPLOYMENTS, meta["namespace"], meta["name"])
            fresh["metadata"]["annotations"] = {**reading.annotations(fresh), REVISION: str(mine)}
            self._store.update(DEPLOYMENTS, fresh)

    def _prune(self, deployment: Object, old: list[Object]) -> None:
        limit = int(deployment["spec"].get("revisionHistoryLimit", 10))
        idle = [one for one in old if not int(one["spec"].get("replicas", 0)) and not self._count(one)[0]]
        idle.sort(key=lambda one: int(reading.annotations(one).get(REVISION, 0)))
        for one in idle[: max(0, len(idle) - limit)]:
            self._store.delete(REPLICASETS, one["metadata"]["namespace"], one["metadata"]["name"])

    def _status(self, deployment: Object, current: Object, sets: list[Object], now: float) -> None:
        meta = deployment["metadata"]
        stored = self._store.stored(DEPLOYMENTS, meta["namespace"], meta["name"])
        if stored is None:
            return
        desired = int(deployment["spec"].get("replicas", 1))
        by_set = {one["metadata"]["uid"]: one.get("status") or {} for one in sets}
        total = sum(int(status.get("replicas", 0)) for status in by_set.values())
        ready = sum(int(status.get("readyReplicas", 0)) for status in by_set.values())
        updated = int(by_set.get(current["metadata"]["uid"], {}).get("replicas", 0))
        status: Object = {"observedGeneration": stored["metadata"].get("generation", 1)}
        counts = {
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, desired - ready),
        }
        status.update({key: value for key, value in counts.items() if value})
        status["conditions"] = self._conditions(stored, current, counts, now)
        if stored.get("status") != status:
            self._store.set_status(DEPLOYMENTS, meta["namespace"], meta["name"], status)

    @staticmethod
    def _conditions(deployment: Object, current: Object, counts: dict[str, int], now: float) -> list[Object]:
        desired = int(deployment["spec"].get("replicas", 1))
        rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
        slack = reading.int_or_percent(rolling.get("maxUnavailable", 0), desired, up=False)
        available = counts["availableReplicas"] >= desired - slack
        complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == desired
        name = current["metadata"]["name"]
        done = f'ReplicaSet "{name}" has successfully progressed.'
        wanted = {
            "Available": (
                ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
                if available
                else ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            ),
            "Progressing": (
                ("True", "NewReplicaSetAvailable", done)
                if complete
                else ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
            ),
        }
        entries = []
        for kind, (value, reason, message) in wanted.items():
            before = reading.condition(deployment, kind)
            if before and (before["status"], before["reason"], before["message"]) == (value, reason, message):
                entries.append(dict(before))
                continue
            since = before["lastTransitionTime"] if before and before["status"] == value else reading.stamp(now)
            entries.append(
                {
                    "lastTransitionTime": since,
                    "lastUpdateTime": reading.stamp(now),
                    "message": message,
                    "reason": reason,
                    "status": value,
                    "type": kind,
                }
            )
        return entries
