"""Who manages which field: ``metadata.managedFields`` after updates, and server-side apply with its conflicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.lab.objects import Object, copy_json, timestamp
from backends.lab.storage.fields import PRESENT, Fields, Path, flatten, merged, paths, shown, tree, without
from backends.lab.storage.schemas import Shape
from backends.lab.storage.status import ApiError, Cause


@dataclass(slots=True)
class _Entry:
    manager: str
    operation: str
    api_version: str
    time: str
    subresource: str
    fields: Fields

    def same(self, manager: str, operation: str, subresource: str) -> bool:
        return (self.manager, self.operation, self.subresource) == (manager, operation, subresource)

    def json(self) -> Object:
        body: Object = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": tree(self.fields),
        }
        return {**body, "subresource": self.subresource} if self.subresource else body


def _entries(obj: Mapping[str, Any]) -> list[_Entry]:
    return [
        _Entry(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("apiVersion", ""),
            entry.get("time", ""),
            entry.get("subresource", ""),
            paths(entry.get("fieldsV1") or {}),
        )
        for entry in obj["metadata"].get("managedFields") or ()
    ]


def _store(obj: Object, entries: list[_Entry]) -> None:
    kept = [entry.json() for entry in entries if entry.fields]
    if kept:
        obj["metadata"]["managedFields"] = kept
    else:
        obj["metadata"].pop("managedFields", None)


def record_update(
    shape: Shape | None, old: Object | None, new: Object, manager: str, now: float, subresource: str = ""
) -> None:
    """Note in ``new`` that ``manager`` wrote what differs from ``old``; whoever had a changed field loses it."""
    before = _countable(flatten(shape, old), subresource) if old is not None else {}
    after = _countable(flatten(shape, new), subresource)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    removed = before.keys() - after.keys()
    entries = _entries(new)
    mine = next((entry for entry in entries if entry.same(manager, "Update", subresource)), None)
    for entry in entries:
        entry.fields -= removed
        if entry is not mine:
            entry.fields -= {path for path in changed if after[path] is not PRESENT}
    if changed:
        if mine is None:
            mine = _Entry(manager, "Update", "", "", subresource, set())
            entries.append(mine)
        mine.fields |= changed
        mine.api_version, mine.time = new["apiVersion"], timestamp(now)
    _store(new, entries)


def _countable(fields: dict[Path, Any], subresource: str) -> dict[Path, Any]:
    """Without the status, which a write of the object itself does not touch."""
    return fields if subresource else {path: value for path, value in fields.items() if path[0] != "f:status"}


def applied(
    shape: Shape | None,
    live: Object | None,
    body: Object,
    manager: str,
    now: float,
    *,
    force: bool,
    subresource: str = "",
) -> Object:
    """The object after an apply by ``manager``. Raises ``ApiError`` 409 for fields that others manage differently."""
    wanted = {
        path: value for path, value in flatten(shape, body).items() if value is not PRESENT or path[-1][0] in "kv"
    }
    base: Object = copy_json(live) if live is not None else {"metadata": {}}
    held = flatten(shape, base) if live is not None else {}
    entries = _entries(base)
    mine = next((entry for entry in entries if entry.same(manager, "Apply", subresource)), None)
    others = [entry for entry in entries if entry is not mine]
    contested = {path for path, value in wanted.items() if path in held and held[path] != value}
    conflicts = [(entry, sorted(entry.fields & contested)) for entry in others if entry.fields & contested]
    conflicts.sort(key=lambda found: f'{found[0].manager}"{found[0].operation}"{found[0].subresource}')
    if conflicts and not force:
        raise _conflict(conflicts)
    for entry, lost in conflicts:
        entry.fields -= set(lost)
    result: Object = merged(shape, base, body)
    if mine is not None:
        result = _given_up(shape, result, mine.fields - wanted.keys(), set(wanted), others)
    else:
        mine = _Entry(manager, "Apply", "", "", subresource, set())
        entries.append(mine)
    if mine.fields != set(wanted) or contested or live is None:
        mine.time = timestamp(now)
    mine.fields, mine.api_version = set(wanted), body["apiVersion"]
    _store(result, [mine, *others])
    return result


def _given_up(shape: Shape | None, obj: Object, gone: Fields, wanted: Fields, others: list[_Entry]) -> Object:
    """Take away what the manager no longer applies and nobody else manages; a list's item goes whole."""
    kept: Fields = set(wanted).union(*(entry.fields for entry in others))
    above = {path[:length] for path in kept for length in range(1, len(path) + 1)}
    removed: Fields = set()
    for path in sorted(gone, key=len):
        if path not in above and not any(path[:length] in removed for length in range(1, len(path))):
            obj = without(shape, obj, path)
            removed.add(path)
    return obj


def _conflict(conflicts: list[tuple[_Entry, list[Path]]]) -> ApiError:
    causes: list[Cause] = []
    parts: list[str] = []
    single = sum(len(contested) for _, contested in conflicts) == 1
    for entry, contested in conflicts:
        where = f'"{entry.manager}"'
        if entry.subresource:
            where += f' with subresource "{entry.subresource}"'
        if entry.operation == "Update":
            where += f" using {entry.api_version}"
        causes += [Cause("FieldManagerConflict", f"conflict with {where}", shown(path)) for path in contested]
        listed = "".join(f"\n- {shown(path)}" for path in contested)
        parts.append(f"conflict with {where}: {shown(contested[0])}" if single else f"conflicts with {where}:{listed}")
    message = f"Apply failed with {len(causes)} conflict{'' if single else 's'}: " + "\n".join(parts)
    return ApiError(409, "Conflict", message, {"causes": [cause.json() for cause in causes]})
