"""Which node a pod may run on, and the scheduler's choice."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import NODES, PODS

_SOURCE: Final = "default-scheduler"


def selected(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether ``nodeSelector`` and required node affinity of a pod spec admit the node."""
    have = reading.labels(node)
    if any(have.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not required:
        return True
    return any(_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term(term: Mapping[str, Any], node: Object) -> bool:
    have = reading.labels(node)
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_holds(item, have.get(item["key"])) for item in expressions) and all(
        _holds(item, node["metadata"]["name"]) for item in fields
    )


def _holds(item: Mapping[str, Any], value: str | None) -> bool:
    values = list(item.get("values") or ())
    match item["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case "Lt":
            return value is not None and int(value) < int(values[0])
    return False


def repelled(spec: Mapping[str, Any], node: Object, effects: tuple[str, ...]) -> Object | None:
    """The first taint of the node with one of these effects that the pod spec does not tolerate."""
    tolerations = spec.get("tolerations") or ()
    for taint in node.get("spec", {}).get("taints") or ():
        if taint.get("effect") in effects and not reading.tolerates(tolerations, taint):
            return dict(taint)
    return None


class Scheduler:
    """Binds pods without a node to the node that carries the fewest pods of the same owner."""

    watches = frozenset({PODS.key, NODES.key})

    def __init__(self, store: ObjectStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def reconcile(self, now: float) -> float:
        """Bind every pod that fits somewhere; the others are marked Unschedulable."""
        pending = [
            pod
            for pod in self._store.view(PODS)
            if not reading.node_of(pod) and not reading.terminating(pod) and not reading.finished(pod)
        ]
        if not pending:
            return NEVER
        nodes = [node for node in self._store.view(NODES) if not reading.terminating(node)]
        for pod in pending:
            self._place(pod, nodes, now)
        return NEVER

    def _place(self, pod: Object, nodes: list[Object], now: float) -> None:
        spec = pod["spec"]
        reasons: Counter[str] = Counter()
        fitting = []
        for node in nodes:
            reason = self._misfit(spec, node)
            if reason:
                reasons[reason] += 1
            else:
                fitting.append(node)
        if not fitting:
            self._unschedulable(pod, len(nodes), reasons, now)
            return
        load: Counter[str] = Counter()
        mates: Counter[str] = Counter()
        for other in self._store.view(PODS):
            load[reading.node_of(other)] += 1
            if reading.owner(other) and reading.owner(other) == reading.owner(pod):
                mates[reading.node_of(other)] += 1
        best = min(fitting, key=lambda node: (mates[_name(node)], load[_name(node)], _name(node)))
        self._bind(pod, _name(best), now)

    def _misfit(self, spec: Mapping[str, Any], node: Object) -> str:
        if node.get("spec", {}).get("unschedulable"):
            return "node(s) were unschedulable"
        taint = repelled(spec, node, ("NoSchedule", "NoExecute"))
        if taint is not None:
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"
        if not selected(spec, node):
            return "node(s) didn't match Pod's node affinity/selector"
        return ""

    def _bind(self, pod: Object, node: str, now: float) -> None:
        meta = pod["metadata"]
        fresh = self._store.need(PODS, meta["namespace"], meta["name"])
        fresh["spec"]["nodeName"] = node
        conditions = [item for item in fresh["status"].get("conditions") or () if item["type"] != "PodScheduled"]
        conditions.append({"lastTransitionTime": reading.stamp(now), "status": "True", "type": "PodScheduled"})
        fresh["status"]["conditions"] = conditions
        self._store.update(PODS, fresh)
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._recorder.record(PODS, fresh, "Scheduled", message, source=_SOURCE)

    def _unschedulable(self, pod: Object, total: int, reasons: Counter[str], now: float) -> None:
        parts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        message = f"0/{total} nodes are available: {parts}." if total else "no nodes available to schedule pods"
        seen = reading.condition(pod, "PodScheduled")
        if seen is not None and seen.get("message") == message:
            return
        meta = pod["metadata"]
        status = dict(pod.get("status") or {})
        entry = {
            "lastTransitionTime": reading.stamp(now),
            "message": message,
            "reason": "Unschedulable",
            "status": "False",
            "type": "PodScheduled",
        }
        others = [item for item in status.get("conditions") or () if item["type"] != "PodScheduled"]
        self._store.set_status(PODS, meta["namespace"], meta["name"], {**status, "conditions": [*others, entry]})
        self._recorder.record(PODS, pod, "FailedScheduling", message, source=_SOURCE, warn=True)


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])
