"""Rows of workloads: what is wanted, what there is, what it runs."""

from collections.abc import Mapping
from typing import Any

from backends.lab.api.tables.durations import human, seconds_of, since
from backends.lab.api.tables.texts import NONE, containers, equalities, selector


def _template(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = (obj["spec"].get("template") or {}).get("spec") or {}
    return spec


def _age(obj: Mapping[str, Any], now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def daemonset(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a DaemonSet."""
    status = obj.get("status") or {}
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    return [
        obj["metadata"]["name"],
        *(status.get(count, 0) for count in counts),
        equalities(_template(obj).get("nodeSelector")),
        _age(obj, now),
        *containers(_template(obj)),
        selector(obj["spec"].get("selector")),
    ]


def deployment(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Deployment."""
    status = obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        *containers(_template(obj)),
        selector(obj["spec"].get("selector")),
    ]


def replicaset(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a ReplicaSet or ReplicationController."""
    status = obj.get("status") or {}
    wanted = obj["spec"].get("selector")
    return [
        obj["metadata"]["name"],
        obj["spec"].get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj, now),
        *containers(_template(obj)),
        selector(wanted) if obj.get("kind") == "ReplicaSet" else equalities(wanted),
    ]


def statefulset(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a StatefulSet."""
    ready = (obj.get("status") or {}).get("readyReplicas", 0)
    return [
        obj["metadata"]["name"],
        f"{ready}/{obj['spec'].get('replicas', 0)}",
        _age(obj, now),
        *containers(_template(obj)),
    ]


def _job_status(obj: Mapping[str, Any]) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    held = {condition["type"] for condition in conditions if condition.get("status") == "True"}
    for kind in ("Complete", "Failed"):
        if kind in held:
            return kind
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if kind in held:
            return kind
    return "Running"


def job(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Job."""
    spec, status = obj["spec"], obj.get("status") or {}
    done, wanted, side = status.get("succeeded", 0), spec.get("completions"), spec.get("parallelism") or 0
    completions = f"{done}/{wanted}" if wanted is not None else f"{done}/1" + (f" of {side}" if side > 1 else "")
    started, ended = seconds_of(status.get("startTime")), seconds_of(status.get("completionTime"))
    duration = "" if started is None else human((now if ended is None else ended) - started)
    return [
        obj["metadata"]["name"],
        _job_status(obj),
        completions,
        duration,
        _age(obj, now),
        *containers(_template(obj)),
        selector(spec.get("selector")),
    ]


def cronjob(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a CronJob."""
    spec, status = obj["spec"], obj.get("status") or {}
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        since(last, now) if last else NONE,
        _age(obj, now),
        *containers((inner.get("template") or {}).get("spec")),
        selector(inner.get("selector")),
    ]
