"""JSON patch (RFC 6902), JSON merge patch (RFC 7386) and the strategic merge patch of Kubernetes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from backends.lab.storage.schemas import Shape, root
from backends.lab.storage.selectors import Object
from backends.lab.storage.status import ApiError, bad_request


def patched(old: Object, body: Any, patch_type: str) -> Object:
    """The object after the patch; ``patch_type`` is json, merge or strategic. Raises ``ApiError`` 400 or 422."""
    base: Object = msgspec.json.decode(msgspec.json.encode(old))
    if patch_type == "json":
        if not isinstance(body, list):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
            )
        result = json_patch(base, body)
    elif not isinstance(body, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    elif patch_type == "strategic":
        result = _strategic_map(base, body, root(str(old.get("apiVersion", "")), str(old.get("kind", ""))))
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
    """RFC 6902. Raises ``ApiError`` 422 where an operation does not apply."""
    for operation in operations:
        document = _operate(document, operation)
    return document


def _refused() -> ApiError:
    """A server says no more than this, whatever the operation was."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _parts(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise _refused()
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _resolve(document: Any, parts: list[str]) -> Any:
    for part in parts:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            raise _refused()
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    kind, parts = str(operation.get("op", "")), _parts(str(operation.get("path", "")))
    if kind == "test":
        if _resolve(document, parts) != operation.get("value"):
            raise _refused()
        return document
    if kind in ("move", "copy"):
        source = _parts(str(operation.get("from", "")))
        value = msgspec.json.decode(msgspec.json.encode(_resolve(document, source)))
        if kind == "move":
            document = _change(document, source, "remove", None)
        return _change(document, parts, "add", value)
    if kind not in ("add", "replace", "remove"):
        raise _refused()
    return _change(document, parts, kind, operation.get("value"))


def _change(document: Any, parts: list[str], kind: str, value: Any) -> Any:
    if not parts:
        return value
    parent, last = _resolve(document, parts[:-1]), parts[-1]
    if isinstance(parent, dict):
        if kind != "add" and last not in parent:
            raise _refused()
        if kind == "remove":
            del parent[last]
        else:
            parent[last] = value
    elif isinstance(parent, list):
        index = len(parent) if last == "-" and kind == "add" else int(last) if last.isdigit() else -1
        if not 0 <= index < len(parent) + (kind == "add"):
            raise _refused()
        if kind == "add":
            parent.insert(index, value)
        elif kind == "remove":
            del parent[index]
        else:
            parent[index] = value
    else:
        raise _refused()
    return document


def _strategic_map(base: Object, patch: Object, shape: Shape | None) -> Object:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    retained = patch.get("$retainKeys")
    merged = {key: value for key, value in base.items() if retained is None or key in retained}
    for key, value in patch.items():
        name = key.partition("/")[2]
        below = _below(shape, name or key)
        if key.startswith("$deleteFromPrimitiveList/"):
            merged[name] = [item for item in merged.get(name) or [] if item not in value]
        elif key.startswith("$setElementOrder/"):
            if name not in patch and isinstance(merged.get(name), list):
                merged[name] = _ordered(merged[name], value, below.merge_key if below is not None else None)
        elif key in ("$patch", "$retainKeys"):
            continue
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            held = merged.get(key)
            merged[key] = _strategic_map(held if isinstance(held, dict) else {}, value, _below(shape, key))
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            merged[key] = _strategic_list(merged.get(key) or [], value, order, _below(shape, key))
        else:
            merged[key] = value
    return merged


def _below(shape: Shape | None, key: str) -> Shape | None:
    if shape is None:
        return None
    return shape.values if shape.kind == "map" else shape.field(key)


def _strategic_list(base: list[Any], patch: list[Any], order: Any, shape: Shape | None) -> list[Any]:
    key = shape.merge_key if shape is not None else None
    if key is None:
        return patch
    if key == "":
        return _ordered(base + [item for item in patch if item not in base], order, None)
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item != {"$patch": "replace"}]
    items = shape.items if shape is not None else None
    merged = list(base)
    for item in patch:
        if key not in item:
            shown = " ".join(f"{name}:{value}" for name, value in sorted(item.items()))
            raise ApiError(500, "", f"map: map[{shown}] does not contain declared merge key: {key}")
        at = next((index for index, old in enumerate(merged) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != item[key]]
        elif at is None:
            merged.append(_strategic_map({}, item, items))
        else:
            merged[at] = _strategic_map(merged[at], item, items)
    return _ordered(merged, order, key)


def _ordered(items: list[Any], order: Any, key: str | None) -> list[Any]:
    """The listed items in the wanted order; items that the order does not name keep their place relative to it."""
    if not isinstance(order, list):
        return items

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [identity(entry) for entry in order]
    listed = sorted((item for item in items if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    return listed + [item for item in items if identity(item) not in wanted]
