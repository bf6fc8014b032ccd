"""Short questions about pods, nodes and templates that several controllers ask."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from backends.lab.objects import Object

_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"


def parse_time(text: str | None) -> float:
    """Epoch seconds of an RFC 3339 timestamp; 0 where there is none."""
    if not text:
        return 0.0
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def stamp(seconds: float) -> str:
    """RFC 3339 with whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(obj: Object, kind: str) -> Mapping[str, Any] | None:
    """A condition of ``status.conditions`` by its type."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry.get("type") == kind:
            return dict(entry)
    return None


def is_true(obj: Object, kind: str) -> bool:
    """Whether the object has this condition and it is True."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def terminating(obj: Object) -> bool:
    """Whether deletion was requested."""
    return "deletionTimestamp" in obj["metadata"]


def finished(pod: Object) -> bool:
    """Whether the pod's containers have ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def ready(pod: Object) -> bool:
    """Whether the pod runs, is not being deleted and is Ready."""
    return not terminating(pod) and is_true(pod, "Ready")


def host_network(pod: Object) -> bool:
    """Whether the pod has the node's address."""
    return bool(pod.get("spec", {}).get("hostNetwork"))


def node_of(pod: Object) -> str:
    """Name of the pod's node, or ""."""
    return str(pod.get("spec", {}).get("nodeName") or "")


def pod_ip(pod: Object) -> str:
    """The pod's address, or ""."""
    return str(pod.get("status", {}).get("podIP") or "")


def labels(obj: Object) -> dict[str, str]:
    """The object's labels."""
    return dict(obj["metadata"].get("labels") or {})


def annotations(obj: Object) -> dict[str, str]:
    """The object's annotations."""
    return dict(obj["metadata"].get("annotations") or {})


def internal_ip(node: Object) -> str:
    """The node's InternalIP, or ""."""
    for entry in node.get("status", {}).get("addresses") or ():
        if entry.get("type") == "InternalIP":
            return str(entry["address"])
    return ""


def owner(obj: Object, kind: str = "") -> str:
    """Uid of the controlling owner (of this kind, if given), or ""."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller") and (not kind or reference.get("kind") == kind):
            return str(reference["uid"])
    return ""


def owned_by(api_version: str, kind: str, obj: Object) -> list[Object]:
    """The ``ownerReferences`` that make ``obj`` a controlling owner."""
    meta = obj["metadata"]
    return [
        {
            "apiVersion": api_version,
            "kind": kind,
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def template_hash(template: Object, salt: int = 0) -> str:
    """Ten characters that change with the template, as ``pod-template-hash`` and ``controller-revision-hash`` do."""
    body = msgspec.json.encode([template, salt], order="sorted")
    number = int.from_bytes(hashlib.sha256(body).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, rest = divmod(number, len(_SAFE))
        letters.append(_SAFE[rest])
    return "".join(letters)


def share(seed: str, low: float, high: float) -> float:
    """A number between ``low`` and ``high``, always the same for this text: delays that differ from pod to pod."""
    part = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") / 2**64
    return low + (high - low) * part


def int_or_percent(value: Any, total: int, *, up: bool) -> int:
    """A number of pods from ``2`` or ``"25%"`` of ``total``."""
    if isinstance(value, str) and value.endswith("%"):
        scaled = int(value[:-1]) * total
        return -(-scaled // 100) if up else scaled // 100
    return int(value or 0)


def tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    """Whether one of the tolerations covers the taint."""
    for item in tolerations:
        if item.get("effect") not in (None, "", taint.get("effect")):
            continue
        if not item.get("key"):
            if item.get("operator") == "Exists":
                return True
            continue
        if item["key"] != taint.get("key"):
            continue
        if item.get("operator", "Equal") == "Exists" or (item.get("value") or "") == (taint.get("value") or ""):
            return True
    return False
