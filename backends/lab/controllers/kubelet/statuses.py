"""``status`` of a pod as its kubelet reports it."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.objects import Object

_ORDER: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def conditions(old: Object, wanted: Mapping[str, tuple[bool, str, str]], now: float) -> list[Object]:
    """The conditions in the kubelet's order; ``lastTransitionTime`` moves only where the status does."""
    entries = []
    for kind in _ORDER:
        if kind not in wanted:
            continue
        true, reason, message = wanted[kind]
        before = reading.condition({"status": old}, kind)
        status = "True" if true else "False"
        since = before["lastTransitionTime"] if before and before.get("status") == status else reading.stamp(now)
        entry: Object = {"lastProbeTime": None, "lastTransitionTime": since, "status": status, "type": kind}
        if message:
            entry["message"] = message
        if reason:
            entry["reason"] = reason
        entries.append(entry)
    return entries


def image_id(image: str) -> str:
    """The image's digest reference: the one it was asked for by, or one that belongs to its tag."""
    if "@" in image:
        return image.partition(":")[0] + "@" + image.partition("@")[2] if ":" in image.partition("@")[0] else image
    return f"{image.rpartition(':')[0] or image}@sha256:{_digest(image)}"


def _container(spec: Mapping[str, Any], uid: str, boot: int, body: Mapping[str, Any]) -> Object:
    entry: Object = {
        "name": spec["name"],
        "image": spec.get("image", ""),
        "imageID": "",
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "started": False,
        "state": {},
    }
    entry.update(body)
    if "waiting" not in entry["state"]:
        entry["imageID"] = image_id(str(spec.get("image", "")))
        entry["containerID"] = "containerd://" + _digest(f"{uid}/{spec['name']}/{boot}")
    return entry


def waiting(pod: Object, reason: str, message: str, restarts: int, last: Object | None, now: float) -> Object:
    """Status of a pod whose containers do not run (yet, or any more)."""
    spec, old = pod["spec"], pod.get("status") or {}
    names = [container["name"] for container in spec["containers"]]
    inits = spec.get("initContainers") or ()
    unready = f"containers with unready status: [{' '.join(names)}]"
    started = restarts > 0 or last is not None
    wanted: dict[str, tuple[bool, str, str]] = {
        "PodReadyToStartContainers": (started, "", ""),
        "Initialized": (
            (True, "", "")
            if started or not inits
            else (
                False,
                "ContainersNotInitialized",
                f"containers with incomplete status: [{' '.join(part['name'] for part in inits)}]",
            )
        ),
        "Ready": (False, "ContainersNotReady", unready),
        "ContainersReady": (False, "ContainersNotReady", unready),
        "PodScheduled": (True, "", ""),
    }
    state: Object = {"waiting": {"reason": reason}}
    if message:
        state["waiting"]["message"] = message
    status: Object = {
        **{key: value for key, value in old.items() if key not in ("conditions", "containerStatuses", "phase")},
        "phase": "Running" if started else "Pending",
        "conditions": conditions(old, wanted, now),
        "containerStatuses": [
            _container(part, pod["metadata"]["uid"], restarts, _waiting_body(state, restarts, last))
            for part in spec["containers"]
        ],
    }
    if inits and not started:
        first: Object = {"waiting": {"reason": "PodInitializing" if reason == "ContainerCreating" else reason}}
        status["initContainerStatuses"] = [
            _container(part, pod["metadata"]["uid"], 0, {"state": dict(first)}) for part in inits
        ]
        if reason == "ContainerCreating":
            for entry in status["containerStatuses"]:
                entry["state"] = {"waiting": {"reason": "PodInitializing"}}
    return _placed(status, now)


def _waiting_body(state: Object, restarts: int, last: Object | None) -> Object:
    body: Object = {"state": dict(state), "restartCount": restarts}
    if last is not None:
        body["lastState"] = {"terminated": last}
    return body


def running(
    pod: Object, started_at: float, ip: str, host_ip: str, ready: bool, boot: int, last: Object | None, now: float
) -> Object:
    """Status of a pod whose containers run."""
    spec, old = pod["spec"], pod.get("status") or {}
    names = [container["name"] for container in spec["containers"]]
    unready = (False, "ContainersNotReady", f"containers with unready status: [{' '.join(names)}]")
    good = (True, "", "")
    wanted = {
        "PodReadyToStartContainers": good,
        "Initialized": good,
        "Ready": good if ready else unready,
        "ContainersReady": good if ready else unready,
        "PodScheduled": good,
    }
    body: Object = {
        "state": {"running": {"startedAt": reading.stamp(started_at)}},
        "started": True,
        "ready": ready,
        "restartCount": boot,
    }
    if last is not None:
        body["lastState"] = {"terminated": last}
    status: Object = {
        **{key: value for key, value in old.items() if key not in ("conditions", "containerStatuses", "phase")},
        "phase": "Running",
        "conditions": conditions(old, wanted, now),
        "containerStatuses": [_container(part, pod["metadata"]["uid"], boot, body) for part in spec["containers"]],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = _ended_inits(pod, started_at)
    return _placed(status, now)


def _ended_inits(pod: Object, ended: float) -> list[Object]:
    body: Object = {
        "ready": True,
        "state": {"terminated": terminated(0, "Completed", ended - 1, ended, pod["metadata"]["uid"])},
    }
    return [_container(part, pod["metadata"]["uid"], 0, body) for part in pod["spec"]["initContainers"]]


def ended(pod: Object, started_at: float, code: int, reason: str, now: float) -> Object:
    """Status of a pod that ran to its end: Succeeded with exit code 0, else Failed."""
    old = pod.get("status") or {}
    word = "PodCompleted" if code == 0 else "PodFailed"
    wanted = {
        "PodReadyToStartContainers": (False, "", ""),
        "Initialized": (True, word if code == 0 else "", ""),
        "Ready": (False, word, ""),
        "ContainersReady": (False, word, ""),
        "PodScheduled": (True, "", ""),
    }
    body: Object = {"state": {"terminated": terminated(code, reason, started_at, now, pod["metadata"]["uid"])}}
    return {
        **old,
        "phase": "Succeeded" if code == 0 else "Failed",
        "conditions": conditions(old, wanted, now),
        "containerStatuses": [_container(part, pod["metadata"]["uid"], 0, body) for part in pod["spec"]["containers"]],
    }


def terminated(code: int, reason: str, started_at: float, ended_at: float, uid: str) -> Object:
    """``state.terminated`` of a container."""
    return {
        "containerID": "containerd://" + _digest(f"{uid}/{ended_at}"),
        "exitCode": code,
        "finishedAt": reading.stamp(ended_at),
        "reason": reason,
        "startedAt": reading.stamp(started_at),
    }


def _placed(status: Object, now: float) -> Object:
    status.setdefault("startTime", reading.stamp(now))
    return status
