"""When the objects of a release are ready: ``--wait``, and the Jobs that are hooks."""

from collections.abc import Callable, Sequence
from typing import Any

from backends.lab.charts.context import Object
from backends.lab.commands.kube.kinds import JOB, REPLICA_SET, kind_of
from backends.lab.commands.kube.port import ApiFailure, Port
from backends.lab.commands.releases.errors import ReleaseError
from backends.lab.commands.releases.objects.changes import present
from backends.lab.commands.releases.options import Patience

TEMPLATE_HASH = "pod-template-hash"


def wait(port: Port, objects: Sequence[Object], patience: Patience, *, jobs: bool) -> None:
    """Until all are ready; raises ``ReleaseError`` when time is up."""
    pending = list(objects)

    def settled() -> bool:
        while pending:
            if not _ready(port, pending[0], jobs):
                return False
            pending.pop(0)
        return True

    until(port, settled, patience, "context deadline exceeded")


def gone(port: Port, objects: Sequence[Object], patience: Patience) -> None:
    """Until all are deleted; raises ``ReleaseError`` when time is up."""
    until(port, lambda: not any(present(port, item) for item in objects), patience, "context deadline exceeded")


def until(port: Port, done: Callable[[], bool], patience: Patience, failure: str) -> None:
    """Look until ``done``; raises ``ReleaseError(failure)`` when the cluster's clock is past the limit."""
    limit = port.now() + patience.seconds
    while not done():
        if port.now() >= limit:
            raise ReleaseError(failure)
        patience.sleep(patience.poll)


def finished(port: Port, namespace: str | None, name: str) -> bool:
    """Whether a Job has completed; raises ``ReleaseError`` with its reason when it has failed."""
    job = port.get(JOB, namespace, name)
    for condition in ((job or {}).get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return True
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            raise ReleaseError(f"job {name} failed: {condition.get('reason', '')}")
    return False


def _ready(port: Port, item: Object, jobs: bool) -> bool:
    check = _CHECKS.get(item["kind"])
    if check is None or (item["kind"] == "Job" and not jobs):
        return True
    try:
        live = present(port, item)
    except ApiFailure as error:
        if error.code >= 500 or error.code == 429:
            return False
        raise ReleaseError(str(error)) from error
    if live is None:
        kind = kind_of(item)
        raise ReleaseError(f'{kind.qualified} "{item["metadata"]["name"]}" not found')
    return check(port, live)


def _observed(live: Object) -> bool:
    seen = (live.get("status") or {}).get("observedGeneration", 0)
    return bool(seen == live["metadata"].get("generation", 0))


def _daemon_set(port: Port, live: Object) -> bool:
    del port
    spec, status = live["spec"], live.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if not _observed(live):
        return False
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return True
    desired = int(status.get("desiredNumberScheduled", 0))
    if int(status.get("updatedNumberScheduled", 0)) != desired:
        return False
    allowed = share((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), desired, up=True)
    return int(status.get("numberReady", 0)) >= desired - allowed


def _deployment(port: Port, live: Object) -> bool:
    spec = live["spec"]
    if spec.get("paused"):
        return True
    newest = _replica_set(port, live)
    if newest is None or not (_observed(newest) and _observed(live)):
        return False
    replicas = int(spec.get("replicas", 1))
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", 0), replicas, up=True)
    allowed = share(rolling.get("maxUnavailable", 0), replicas, up=False)
    if (spec.get("strategy") or {}).get("type") == "Recreate":
        allowed = 0
    elif not surge and not allowed:
        allowed = 1
    ready = int((newest.get("status") or {}).get("readyReplicas", 0))
    return ready >= replicas - min(allowed, replicas)


def _replica_set(port: Port, live: Object) -> Object | None:
    """The ReplicaSet of a Deployment's present template."""
    for item in port.list(REPLICA_SET, live["metadata"].get("namespace")):
        owners = item["metadata"].get("ownerReferences") or []
        if any(owner.get("uid") == live["metadata"].get("uid") for owner in owners) and _template(item) == _template(
            live
        ):
            return item
    return None


def _template(item: Object) -> dict[str, Any]:
    template: dict[str, Any] = item["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _service(port: Port, live: Object) -> bool:
    del port
    spec = live["spec"]
    if spec.get("type") == "ExternalName":
        return True
    if not spec.get("clusterIP"):
        return False
    if spec.get("type") == "LoadBalancer" and not spec.get("externalIPs"):
        return bool(((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"))
    return True


def _job(port: Port, live: Object) -> bool:
    del port
    spec, status, metadata = live["spec"], live.get("status") or {}, live["metadata"]
    if int(status.get("failed", 0)) > int(spec.get("backoffLimit", 6)):
        raise ReleaseError(f"job is failed: {metadata.get('namespace', '')}/{metadata['name']}")
    return int(status.get("succeeded", 0)) >= int(spec.get("completions") or 1)


_CHECKS: dict[str, Callable[[Port, Object], bool]] = {
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Service": _service,
    "Job": _job,
}


def share(value: object, total: int, *, up: bool) -> int:
    """``2`` or ``25%`` of a total, rounded up or down; everything where it is neither."""
    if isinstance(value, int):
        return value
    digits = str(value).removesuffix("%")
    if not (str(value).endswith("%") and digits.isdigit()):
        return total
    part = int(digits) * total
    return -(-part // 100) if up else part // 100
