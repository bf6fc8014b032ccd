"""Values trees as helm keeps them: merged table by table, lists replaced, ``null`` taking a default away."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

Tree = dict[str, Any]
MISSING: Any = object()


def dig(tree: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """The value at a dotted path, or ``default`` where a step is missing or not a table."""
    node: Any = tree
    for step in path.split("."):
        if not isinstance(node, Mapping) or step not in node:
            return default
        node = node[step]
    return node


def plant(tree: Tree, path: str, value: Any) -> None:
    """Set the value at a dotted path, making tables on the way."""
    *steps, last = path.split(".")
    for step in steps:
        node = tree.get(step)
        if not isinstance(node, dict):
            node = tree[step] = {}
        tree = node
    tree[last] = value


def overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> Tree:
    """``top`` over ``base`` as helm merges several values files: tables merge, everything else (null too) replaces."""
    merged = copy.deepcopy(dict(base))
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, dict):
            merged[key] = overlay(below, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def coalesce(defaults: Mapping[str, Any], given: Mapping[str, Any], *, keep_null: bool = True) -> Tree:
    """The chart's defaults under the given values; a given ``null`` removes the default (cilium-clustermesh §2.6).

    ``keep_null=False`` also drops defaults that are null themselves, as helm 4 and the ``cilium`` CLI do.
    """
    merged: Tree = {}
    for key, value in defaults.items():
        if key not in given:
            if value is not None or keep_null:
                merged[key] = _copied(value, keep_null)
        elif given[key] is None:
            continue
        elif isinstance(value, Mapping) and isinstance(given[key], Mapping):
            merged[key] = coalesce(value, given[key], keep_null=keep_null)
        else:
            merged[key] = copy.deepcopy(given[key])
    for key, value in given.items():
        if key not in defaults:
            merged[key] = copy.deepcopy(value)
    return merged


def reuse(given: Mapping[str, Any], previous: Mapping[str, Any]) -> Tree:
    """New values over those of the previous release (``--reuse-values``): a new ``null`` removes the old value."""
    merged: Tree = {}
    for key, value in previous.items():
        if key not in given:
            merged[key] = copy.deepcopy(value)
        elif given[key] is None and value is not None:
            continue
        elif isinstance(value, Mapping) and isinstance(given[key], Mapping):
            merged[key] = reuse(given[key], value)
        else:
            merged[key] = copy.deepcopy(given[key])
    for key, value in given.items():
        if key not in previous:
            merged[key] = copy.deepcopy(value)
    return merged


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every path and value that is not a non-empty table, in the tree's order."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def text(value: Any) -> str:
    """A value as a template prints it: ``true``, ``255``, ``0.0025``, the empty string for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _copied(value: Any, keep_null: bool) -> Any:
    if isinstance(value, Mapping) and not keep_null:
        return {key: _copied(item, keep_null) for key, item in value.items() if item is not None}
    return copy.deepcopy(value)
