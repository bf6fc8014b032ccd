"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and the strategic merge patch of Kubernetes."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backends.lab.storage.selectors import Object
from backends.lab.storage.status import ApiError, bad_request

# Lists that a strategic patch merges by a key, by the name of their field (k8s.io/api struct tags). Lists that are not
# here are replaced. The same name may have another key in another place: the path decides.
_MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "secrets": "name",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "webhooks": "name",
    "podIPs": "ip",
    "hostIPs": "ip",
}
_SETS: Final = frozenset({"finalizers"})
_ATOMIC_IN: Final[Mapping[str, frozenset[str]]] = {
    # EndpointSlices and Endpoints hold addresses that are replaced; only a Node's are merged.
    "addresses": frozenset({"EndpointSlice", "Endpoints", "Gateway"}),
}


def patched(old: Object, body: Any, patch_type: str) -> Object:
    """The object after the patch; ``patch_type`` is json, merge or strategic. Raises ``ApiError`` 400 or 422."""
    base: Object = msgspec.json.decode(msgspec.json.encode(old))
    if patch_type == "json":
        if not isinstance(body, list):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
            )
        result = json_patch(base, body)
    elif not isinstance(body, dict):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    elif patch_type == "strategic":
        result = _strategic_map(base, body, str(old.get("kind", "")), "")
    else:
        result = merge_patch(base, body)
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        raise bad_request("the patch does not leave an object with metadata")
    return result


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(document: Any, operations: list[Any]) -> Any:
    """RFC 6902. Raises ``ApiError`` 422 with the words of the server's library where an operation does not apply."""
    for operation in operations:
        document = _operate(document, operation)
    return document


def _refused(operation: str, path: str, why: str) -> ApiError:
    message = f"the server rejected our request due to an error in our request: {operation} operation does not apply"
    del message
    return ApiError(
        422, "Invalid", f"{operation} operation does not apply: doc is missing {why}: {path}: missing value", {}
    )


def _parts(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise ApiError(422, "Invalid", f"add operation does not apply: invalid path {path}", {})
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _resolve(document: Any, parts: list[str], operation: str, path: str) -> Any:
    for part in parts:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            raise _refused(operation, path, "path")
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    kind, path = str(operation.get("op", "")), str(operation.get("path", ""))
    parts = _parts(path)
    if kind == "test":
        if _resolve(document, parts, kind, path) != operation.get("value"):
            raise ApiError(422, "Invalid", f"testing value {path} failed: test failed", {})
        return document
    if kind in ("move", "copy"):
        source = _parts(str(operation.get("from", "")))
        value = msgspec.json.decode(msgspec.json.encode(_resolve(document, source, kind, path)))
        if kind == "move":
            document = _change(document, source, "remove", None, path)
        return _change(document, parts, "add", value, path)
    if kind not in ("add", "replace", "remove"):
        raise ApiError(422, "Invalid", f"Unexpected kind: {kind}", {})
    return _change(document, parts, kind, operation.get("value"), path)


def _change(document: Any, parts: list[str], kind: str, value: Any, path: str) -> Any:
    if not parts:
        return value
    parent, last = _resolve(document, parts[:-1], kind, path), parts[-1]
    if isinstance(parent, dict):
        if kind != "add" and last not in parent:
            raise _refused(kind, path, "key")
        if kind == "remove":
            del parent[last]
        else:
            parent[last] = value
    elif isinstance(parent, list):
        index = len(parent) if last == "-" and kind == "add" else int(last) if last.isdigit() else -1
        if not 0 <= index < len(parent) + (kind == "add"):
            raise _refused(kind, path, "key")
        if kind == "add":
            parent.insert(index, value)
        elif kind == "remove":
            del parent[index]
        else:
            parent[index] = value
    else:
        raise _refused(kind, path, "path")
    return document


def merge_key(field: str, kind: str, sample: list[Any]) -> str | None:
    """The key by which a list merges in a strategic patch; None where the list is replaced."""
    if kind in _ATOMIC_IN.get(field, ()):
        return None
    if field == "ports":
        # A Service's ports and a container's ports are merged by different fields.
        return "port" if kind == "Service" else "containerPort" if kind != "EndpointSlice" else None
    if field == "podIPs" and not all(isinstance(item, dict) for item in sample):
        return None
    return _MERGE_KEYS.get(field)


def _strategic_map(base: Object, patch: Object, kind: str, where: str) -> Object:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    retained = patch.get("$retainKeys")
    merged = {key: value for key, value in base.items() if retained is None or key in retained}
    for key, value in patch.items():
        if key in ("$patch", "$retainKeys"):
            continue
        if key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            merged[field] = [item for item in merged.get(field) or [] if item not in value]
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = _strategic_map(below if isinstance(below, dict) else {}, value, kind, key)
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            merged[key] = _strategic_list(merged.get(key) or [], value, order, kind, key)
        else:
            merged[key] = value
    for key, order in patch.items():
        field = key.removeprefix("$setElementOrder/")
        if field != key and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _ordered(merged[field], order, merge_key(field, kind, merged[field]))
    return merged


def _strategic_list(base: list[Any], patch: list[Any], order: Any, kind: str, field: str) -> list[Any]:
    if field in _SETS:
        return _ordered(base + [item for item in patch if item not in base], order, None)
    key = merge_key(field, kind, base + patch)
    if key is None or not all(isinstance(item, dict) for item in base + patch):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item != {"$patch": "replace"}]
    merged = list(base)
    for item in patch:
        at = next((i for i, old in enumerate(merged) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(_strategic_map({}, item, kind, field))
        else:
            merged[at] = _strategic_map(merged[at], item, kind, field)
    return _ordered(merged, order, key)


def _ordered(items: list[Any], order: Any, key: str | None) -> list[Any]:
    if not isinstance(order, list):
        return items
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    listed = [item for item in items if identity(item) in wanted]
    listed.sort(key=lambda item: wanted.index(identity(item)))
    return listed + [item for item in items if identity(item) not in wanted]
