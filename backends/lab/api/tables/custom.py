"""Rows of custom kinds: the printer columns of their definition, read by JSONPath."""

import re
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.api.tables.durations import UNKNOWN, since

_STEP: Final = re.compile(
    r"""\.(?P<field>(?:[\w-]|\\\.)+)
      | \['(?P<quoted>[^']+)'\]
      | \[\?\(@\.(?P<key>[\w.-]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
      | \[(?P<index>-?\d+|\*)\]""",
    re.VERBOSE,
)
NAME: Final = {"name": "Name", "type": "string", "format": "name", "description": "Name of the object.", "priority": 0}
AGE: Final = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def columns(given: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Column definitions: the name, then those of the CRD (or the age)."""
    return [
        NAME,
        *(
            {
                "name": column["name"],
                "type": column["type"],
                "format": column.get("format", ""),
                "description": column.get(
                    "description", f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
                ),
                "priority": column.get("priority", 0),
            }
            for column in given or [AGE]
        ),
    ]


def row(obj: Mapping[str, Any], given: list[Mapping[str, Any]], now: float) -> list[Any]:
    """Cells of an object; a date is shown as an age, what is absent stays empty."""
    cells: list[Any] = [obj["metadata"].get("name", "")]
    for column in given or [AGE]:
        found = find(obj, column["jsonPath"])
        value = found[0] if found else None
        if column["type"] == "date":
            cells.append(since(value, now) if value else UNKNOWN)
        elif value is None:
            cells.append("")
        elif column["type"] == "string":
            cells.append(value if isinstance(value, str) else _shown(value))
        else:
            cells.append(value)
    return cells


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(f'"{item}"' if isinstance(item, str) else _shown(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def find(obj: Any, path: str) -> list[Any]:
    """Values at a JSONPath of the simple form that printer columns use; an unreadable path finds nothing."""
    found = [obj]
    position = 0
    path = path if path.startswith((".", "[")) else f".{path}"
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return []
        position = match.end()
        found = [value for item in found for value in _step(item, match)]
    return [value for value in found if value is not None]


def _step(item: Any, match: re.Match[str]) -> list[Any]:
    name = match["field"] or match["quoted"]
    if name:
        name = name.replace("\\.", ".")
        return [item[name]] if isinstance(item, dict) and name in item else []
    if not isinstance(item, list):
        return []
    if match["key"]:
        return [entry for entry in item if isinstance(entry, dict) and str(entry.get(match["key"])) == match["value"]]
    if match["index"] == "*":
        return item
    index = int(match["index"])
    return [item[index]] if -len(item) <= index < len(item) else []
