"""What of two answers must be equal, and what is each server's own: ids, versions, times, allocated addresses."""

import re
from typing import Any

from tests.real.conformance.server import Answer

# Each server's own values, by the key they stand under.
OWN = frozenset(
    "clusterIP clusterIPs continue creationTimestamp deletionTimestamp expirationTimestamp lastTransitionTime"
    " lastUpdateTime nodePort podIP podIPs hostIP hostIPs remainingItemCount resourceVersion startTime token uid"
    " observedAt renewTime acquireTime storageVersionHash serverAddress clientCIDR".split()
)
# Who owns which field, and by which credential somebody signed in: no reader of ours looks at them.
LEFT_OUT = frozenset({"managedFields", "extra"})
NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b\d{2,}\b")


def normal(value: Any, key: str = "") -> Any:
    """The value with what is the server's own replaced by its type."""
    if key in OWN and value not in ("", None, [], 0, "None"):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return {name: normal(each, name) for name, each in value.items() if name not in LEFT_OUT}
    if isinstance(value, list):
        return [normal(each) for each in value]
    return value


def shape(value: Any) -> Any:
    """Keys and types only; a list is the shape of all its elements together."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name not in LEFT_OUT}
    if isinstance(value, list):
        merged: Any = None
        for each in value:
            merged = _merged(merged, shape(each))
        return [] if merged is None else [merged]
    return type(value).__name__


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {name: _merged(one.get(name), each) for name, each in other.items()}
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0])] if one and other else one or other
    return other if one is None else one


def subset(lab: Any, real: Any) -> Any:
    """What of ``real`` the lab's answer speaks about: list elements of the same name (or group version) only."""
    if isinstance(lab, dict) and isinstance(real, dict):
        return {name: subset(lab.get(name), each) for name, each in real.items()}
    if isinstance(lab, list) and isinstance(real, list):
        known = {_name(each): each for each in lab}
        return [subset(known[_name(each)], each) for each in real if _name(each) in known]
    return real


def _name(each: Any) -> str:
    return str(each.get("name", each.get("groupVersion"))) if isinstance(each, dict) else str(each)


def _sorted_by_name(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted_by_name(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted((_sorted_by_name(each) for each in value), key=_name)
    return value


def differences(lab: Answer, real: Answer, how: str) -> list[str]:
    """Lines that say where the lab's answer is not the real one; none if it is. ``how``: see ``Request``."""
    found = []
    if lab.status != real.status:
        found.append(f"status: lab {lab.status}, real {real.status}")
    if lab.media_type != real.media_type:
        found.append(f"media type: lab {lab.media_type!r}, real {real.media_type!r}")
    refused = isinstance(real.body, dict) and real.body.get("kind") == "Status"
    if how == "message":
        one, other = _numberless(normal(lab.body)), _numberless(normal(real.body))
    elif refused or how == "exact":
        one, other = normal(lab.body), normal(real.body)
    elif how == "spec":
        one, other = ({"spec": normal(answer.body).get("spec")} for answer in (lab, real))
    elif how == "subset":
        one, other = _sorted_by_name(normal(lab.body)), _sorted_by_name(subset(normal(lab.body), normal(real.body)))
    else:
        one, other = shape(lab.body), shape(real.body)
    return found + list(_unequal(one, other, "body"))


def _numberless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numberless(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numberless(each) for each in value]
    return NUMBERS.sub("<n>", value) if isinstance(value, str) else value


def _unequal(lab: Any, real: Any, at: str) -> list[str]:
    if isinstance(lab, dict) and isinstance(real, dict):
        found = [f"{at}.{name}: lab has {lab[name]!r}, real nothing" for name in lab if name not in real]
        for name, each in real.items():
            if name not in lab:
                found.append(f"{at}.{name}: lab has nothing, real {each!r}")
            else:
                found += _unequal(lab[name], each, f"{at}.{name}")
        return found
    if isinstance(lab, list) and isinstance(real, list) and len(lab) == len(real):
        return [line for n, pair in enumerate(zip(lab, real, strict=True)) for line in _unequal(*pair, f"{at}[{n}]")]
    return [] if lab == real else [f"{at}: lab {lab!r}, real {real!r}"]
