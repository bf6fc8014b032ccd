"""Three-way merge: what the release wanted, what it wants now, and what is live become one merge patch.

As helm's strategic merge: tables merge, lists of known fields merge by their key, fields the release no longer
wants go, fields that others added stay unless the release wants them null.
"""

from collections.abc import Mapping
from typing import Any, Final

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
}


def merge_patch(before: Any, wanted: Any, live: Any) -> dict[str, Any]:
    """The RFC 7396 patch from ``live`` to the three-way merge; empty when nothing changes."""
    merged = _merged(before, wanted, live, "")
    patch = _patch(live, merged)
    return patch if isinstance(patch, dict) else {}


def _merged(before: Any, wanted: Any, live: Any, field: str) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict):
        past = before if isinstance(before, dict) else {}
        if field == "emptyDir" or _union(past, wanted):
            return without_null(wanted)
        found = {key: value for key, value in live.items() if key in wanted or key not in past}
        for key, value in wanted.items():
            if value is None:
                found.pop(key, None)
            else:
                found[key] = _merged(past.get(key), value, live.get(key), key)
        return found
    if isinstance(wanted, list) and isinstance(live, list):
        key = _key(field, wanted, live)
        if key:
            return _merged_items(before if isinstance(before, list) else [], wanted, live, key)
    return without_null(wanted)


def without_null(value: Any) -> Any:
    """A copy without fields that are null, as an API server drops them from what is created."""
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


def _union(past: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a one-of changed its kind: then nothing of the old one may stay (volume sources, probes)."""
    kinds = {"secret", "configMap", "projected", "hostPath", "emptyDir"}
    old, new = kinds & past.keys(), kinds & wanted.keys()
    return bool(old and new and old != new)


def _key(field: str, *lists: list[Any]) -> str:
    for key in KEYS.get(field, ()):
        items = [item for each in lists for item in each]
        if items and all(isinstance(item, dict) and key in item for item in items):
            return key
    return ""


def _merged_items(before: list[Any], wanted: list[Any], live: list[Any], key: str) -> list[Any]:
    past = {item.get(key): item for item in before if isinstance(item, dict)}
    current = {item[key]: item for item in live}
    found = [
        _merged(past.get(item[key]), item, current[item[key]], "") if item[key] in current else without_null(item)
        for item in wanted
    ]
    names = {item[key] for item in wanted}
    return found + [item for item in live if item[key] not in names and item[key] not in past]


def _patch(live: Any, merged: Any) -> Any:
    """The difference as a merge patch; lists are replaced as a whole."""
    if not (isinstance(live, dict) and isinstance(merged, dict)):
        return merged
    found: dict[str, Any] = {key: None for key in live if key not in merged}
    for key, value in merged.items():
        if key not in live:
            found[key] = value
        elif value != live[key]:
            found[key] = _patch(live[key], value)
    return found
