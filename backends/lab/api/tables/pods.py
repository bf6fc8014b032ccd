"""The row of a pod: readiness, the status that sums up its containers, restarts."""

from collections.abc import Mapping, Sequence
from typing import Any

from backends.lab.api.tables.durations import seconds_of, since
from backends.lab.api.tables.texts import or_none

_TERMINAL = ("Succeeded", "Failed")


class _Restarts:
    """Restarts of several containers and when the last of them was."""

    def __init__(self) -> None:
        self.count = 0
        self.last: str | None = None

    def add(self, status: Mapping[str, Any]) -> None:
        self.count += int(status.get("restartCount") or 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        if ended and (seconds_of(ended) or 0) > (seconds_of(self.last) or 0):
            self.last = ended

    def text(self, now: float) -> str:
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


def row(pod: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a pod, wide ones included."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    reason = status.get("reason") or status.get("phase", "")
    if any(c.get("reason") == "SchedulingGated" for c in status.get("conditions") or () if c["type"] == "PodScheduled"):
        reason = "SchedulingGated"
    restarts, kept = _Restarts(), _Restarts()
    stuck, ready = _initializing(spec, status, sidecars, restarts, kept)
    if stuck:
        reason = stuck
    if not stuck or _condition(status, "Initialized"):
        restarts = kept
        reason, more = _running(reason, status, restarts)
        ready += more
    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in _TERMINAL:
            reason = "Terminating"
    addresses: Sequence[Mapping[str, Any]] = status.get("podIPs") or ()
    address = addresses[0].get("ip") if addresses else ""
    return [
        meta.get("name", ""),
        f"{ready}/{total}",
        reason,
        restarts.text(now),
        since(meta.get("creationTimestamp"), now),
        or_none(address),
        or_none(spec.get("nodeName")),
        or_none(status.get("nominatedNodeName")),
        _gates(spec, status),
    ]


def _condition(status: Mapping[str, Any], kind: str) -> bool:
    return any(c["type"] == kind and c.get("status") == "True" for c in status.get("conditions") or ())


def _initializing(
    spec: Mapping[str, Any], status: Mapping[str, Any], sidecars: set[str], restarts: _Restarts, kept: _Restarts
) -> tuple[str, int]:
    """What an init container still waits for (empty: nothing), and how many sidecars are ready."""
    ready = 0
    count = len(spec.get("initContainers") or ())
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        restarts.add(container)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        sidecar = container.get("name") in sidecars
        if sidecar:
            kept.add(container)
        if ended is not None and not ended.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if ended is not None:
            cause = ended.get("reason") or _code(ended)
            return f"Init:{cause}", ready
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}", ready
        return f"Init:{index}/{count}", ready
    return "", ready


def _code(ended: Mapping[str, Any]) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _running(reason: str, status: Mapping[str, Any], restarts: _Restarts) -> tuple[str, int]:
    """The status after initialization, and how many containers are ready."""
    ready, runs = 0, False
    for container in reversed(status.get("containerStatuses") or ()):
        restarts.add(container)
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = ended.get("reason") or _code(ended)
        elif container.get("ready") and state.get("running") is not None:
            runs = True
            ready += 1
    if reason == "Completed" and runs:
        reason = "Running" if _condition(status, "Ready") else "NotReady"
    return reason, ready


def _gates(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    gates = spec.get("readinessGates") or ()
    met = sum(_condition(status, gate["conditionType"]) for gate in gates)
    return f"{met}/{len(gates)}" if gates else "<none>"
