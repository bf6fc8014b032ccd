"""PodDisruptionBudgets: how many of their pods may be evicted now.

Source: kubernetes.io/docs/concepts/scheduling-eviction/api-eviction.
"""

from typing import Final

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import DEPLOYMENTS, PODS, RESOURCES
from backends.lab.storage.selectors import from_label_selector, labels_match

BUDGETS: Final = RESOURCES["policy", "poddisruptionbudgets"]
_REPLICASETS: Final = RESOURCES["apps", "replicasets"]


def _covered(store: ObjectStore, budget: Object) -> list[Object]:
    requirements = from_label_selector(budget["spec"].get("selector") or {})
    namespace = budget["metadata"]["namespace"]
    return [pod for pod in store.view(PODS, namespace) if labels_match(requirements, pod) and not reading.finished(pod)]


def _expected(store: ObjectStore, pods: list[Object]) -> int:
    """Pods that the owners want (their scale), else those that are there."""
    owners = {reading.owner(pod) for pod in pods} - {""}
    total = sum(
        int(one["spec"].get("replicas", 1)) for one in store.view(_REPLICASETS) if one["metadata"]["uid"] in owners
    )
    return max(total, len(pods))


def budget_status(store: ObjectStore, budget: Object) -> Object:
    """``status`` of a budget: how many pods are wanted, healthy, and may be disrupted now."""
    pods = _covered(store, budget)
    healthy = sum(1 for pod in pods if reading.ready(pod))
    expected = _expected(store, pods)
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        desired = expected - reading.int_or_percent(spec["maxUnavailable"], expected, up=True)
    else:
        desired = reading.int_or_percent(spec.get("minAvailable", 1), expected, up=True)
    desired = max(0, desired)
    return {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": max(0, healthy - desired) if pods else 0,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"].get("generation", 1),
    }


class Budgets:
    """Keeps the status of PodDisruptionBudgets."""

    watches = frozenset({BUDGETS.key, PODS.key, DEPLOYMENTS.key})

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def reconcile(self, now: float) -> float:
        """Write the status of every budget."""
        for budget in list(self._store.view(BUDGETS)):
            status = budget_status(self._store, budget)
            if budget.get("status") != status:
                meta = budget["metadata"]
                self._store.set_status(BUDGETS, meta["namespace"], meta["name"], status)
        return NEVER
