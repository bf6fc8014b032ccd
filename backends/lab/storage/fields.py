"""Fields of an object as server-side apply knows them: paths, their tree form (``fieldsV1``), and changes by path.

Source: sigs.k8s.io/structured-merge-diff; kubernetes.io/docs/reference/using-api/server-side-apply.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from backends.lab.storage.schemas import Shape, metadata_shape

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = set[Path]

# What stands for the presence of a map, a list or a list's item, which has no value of its own to compare.
PRESENT: Final = object()

_SYSTEM_METADATA: Final = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


def flatten(shape: Shape | None, obj: Mapping[str, Any]) -> dict[Path, Any]:
    """Every owned path of an object with its value; containers have ``PRESENT``."""
    found: dict[Path, Any] = {}
    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        if key == "metadata":
            kept = {name: item for name, item in value.items() if name not in _SYSTEM_METADATA}
            _into(found, metadata_shape(), kept, ("f:metadata",), struct=True)
        else:
            _into(found, shape.field(key) if shape is not None else None, value, (f"f:{key}",))
    return found


def _into(found: dict[Path, Any], shape: Shape | None, value: Any, path: Path, *, struct: bool = False) -> None:
    if isinstance(value, dict) and not (shape is not None and shape.atomic):
        granular = struct or (shape is not None and shape.kind == "object" and not shape.custom)
        if not value:
            if not struct:
                found[path] = {}
            return
        if not granular:
            found[path] = PRESENT
        for key, item in value.items():
            below = None if shape is None else (shape.values if shape.kind == "map" else shape.field(key))
            _into(found, below, item, (*path, f"f:{key}"))
    elif isinstance(value, list) and shape is not None and (shape.map_keys or shape.is_set):
        found[path] = PRESENT
        for item in value:
            here = (*path, element(shape, item))
            found[here] = PRESENT
            if isinstance(item, dict):
                for key, inner in item.items():
                    below = shape.items.field(key) if shape.items is not None else None
                    _into(found, below, inner, (*here, f"f:{key}"))
    else:
        found[path] = value


def element(shape: Shape, item: Any) -> str:
    """The path element of a list's item: its keys, or its value."""
    if not shape.map_keys or not isinstance(item, dict):
        return "v:" + msgspec.json.encode(item).decode()
    keys = {}
    for key in sorted(shape.map_keys):
        value = item.get(key)
        if value is None and shape.items is not None:
            below = shape.items.field(key)
            value = below.default if below is not None else None
        keys[key] = value
    return "k:" + msgspec.json.encode(keys).decode()


def tree(fields: Fields) -> dict[str, Any]:
    """The ``fieldsV1`` form of a set of paths."""
    root: dict[str, Any] = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return _pruned(root)


def _pruned(node: dict[str, Any]) -> dict[str, Any]:
    """Leaves are written as empty objects, without the mark of their own presence."""
    return {
        part: {} if part == "." or set(below) == {"."} else _pruned(below)
        for part, below in sorted(node.items(), key=lambda entry: (entry[0] != ".", entry[0]))
    }


def paths(fields_v1: Mapping[str, Any], path: Path = ()) -> Fields:
    """The set of paths of a ``fieldsV1``."""
    found: Fields = set()
    for part, below in fields_v1.items():
        if part == ".":
            found.add(path)
        elif not below:
            found.add((*path, part))
        else:
            found |= paths(below, (*path, part))
    return found


def shown(path: Path) -> str:
    """A path as a conflict names it: ``.spec.ports[port=80,protocol="TCP"].targetPort``."""
    text = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            keys = msgspec.json.decode(rest)
            text += "[" + ",".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in keys.items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def merged(shape: Shape | None, live: Any, applied: Any) -> Any:
    """``applied`` laid over ``live``: maps and associative lists merge, everything else is replaced."""
    if isinstance(live, dict) and isinstance(applied, dict) and not (shape is not None and shape.atomic):
        result = dict(live)
        for key, value in applied.items():
            below = None if shape is None else (shape.values if shape.kind == "map" else shape.field(key))
            if shape is not None and key == "metadata" and below is None:
                below = metadata_shape()
            result[key] = merged(below, live[key], value) if key in live else value
        return result
    if isinstance(live, list) and isinstance(applied, list) and shape is not None and (shape.map_keys or shape.is_set):
        items = {element(shape, item): item for item in live}
        for item in applied:
            key = element(shape, item)
            items[key] = merged(shape.items, items[key], item) if key in items else item
        return list(items.values())
    return applied


def without(shape: Shape | None, obj: Any, path: Path) -> Any:
    """The object without what is at ``path``; a path that is not there changes nothing."""
    part, rest = path[0], path[1:]
    if part.startswith("f:"):
        key = part[2:]
        if not isinstance(obj, dict) or key not in obj:
            return obj
        if not rest:
            return {name: value for name, value in obj.items() if name != key}
        below = None if shape is None else (shape.values if shape.kind == "map" else shape.field(key))
        if key == "metadata" and below is None:
            below = metadata_shape()
        return {**obj, key: without(below, obj[key], rest)}
    if not isinstance(obj, list) or shape is None:
        return obj
    if not rest:
        return [item for item in obj if element(shape, item) != part]
    return [without(shape.items, item, rest) if element(shape, item) == part else item for item in obj]
