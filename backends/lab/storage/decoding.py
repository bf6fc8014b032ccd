"""A request body as a typed server reads it: types checked, unknown fields found and dropped, empty values gone."""

import string
from typing import Any, Final

from backends.lab.storage.schemas import Shape
from backends.lab.storage.status import ApiError, bad_request

_JSON_NAMES: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/")
_GO_NAMES: Final = {"string": "string", "boolean": "bool", "number": "float64"}


def normalized(shape: Shape | None, obj: dict[str, Any], unknown: list[str], path: str = "") -> dict[str, Any]:
    """The object with unknown fields dropped (their paths go to ``unknown``) and empty optional values removed.

    Raises ``ApiError`` 400 where a value has the wrong type. Kinds without a schema pass unchanged.
    """
    if shape is None:
        return obj
    return _fields(shape, obj, path, unknown, (str(obj.get("apiVersion", "")), str(obj.get("kind", ""))))


def _fields(shape: Shape, obj: dict[str, Any], path: str, unknown: list[str], kind: tuple[str, str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    required, pointers = shape.required, shape.pointers
    for key, value in obj.items():
        below = shape.field(key)
        where = f"{path}.{key}" if path else key
        if below is None:
            if shape.open or (shape.custom and path == "" and key in ("apiVersion", "kind", "metadata")):
                kept[key] = value
            else:
                unknown.append(where)
            continue
        if shape.custom and path == "" and key == "metadata":
            kept[key] = value
            continue
        if value is None:
            continue
        clean = _value(below, value, where, unknown, kind, shape)
        if not shape.custom and key not in required and key not in pointers and _empty(below, clean):
            continue
        kept[key] = clean
    return kept


def _empty(shape: Shape, value: Any) -> bool:
    if shape.kind == "object":
        return False
    return value in ("", 0, False, [], {}) and shape.kind != "any"


def _value(
    shape: Shape, value: Any, path: str, unknown: list[str], kind: tuple[str, str], parent: Shape | None = None
) -> Any:
    expected = shape.kind
    if expected == "any":
        return value
    if expected in ("object", "map"):
        if not isinstance(value, dict):
            raise _mismatch(shape, value, path, kind, parent)
        if expected == "object":
            return _fields(shape, value, path, unknown, kind)
        values = shape.values
        if values is None:
            return value
        return {
            key: _value(values, item, path, unknown, kind, parent) for key, item in value.items() if item is not None
        }
    if expected == "array":
        if not isinstance(value, list):
            raise _mismatch(shape, value, path, kind, parent)
        items = shape.items
        if items is None:
            return value
        return [_value(items, item, f"{path}[{index}]", unknown, kind, parent) for index, item in enumerate(value)]
    if not _fits(expected, value):
        raise _mismatch(shape, value, path, kind, parent)
    if shape.inner.get("format") == "byte" and not shape.custom:
        _check_base64(value, kind)
    return value


def _check_base64(text: str, kind: tuple[str, str]) -> None:
    """Raises ``ApiError`` 400 with the place at which Go's decoder gives up."""
    at = _base64_fault(text)
    if at is not None:
        version = kind[0].rpartition("/")[2]
        what = f'{kind[1]} in version "{version}" cannot be handled as a {kind[1]}'
        raise bad_request(f"{what}: illegal base64 data at input byte {at}")


def _base64_fault(text: str) -> int | None:
    """Where the text stops being base64, or None (encoding/base64, ``decodeQuantum``)."""
    places = [(at, character) for at, character in enumerate(text) if character not in "\r\n"]
    for start in range(0, len(places), 4):
        quantum = places[start : start + 4]
        for position, (at, character) in enumerate(quantum):
            if character in _BASE64:
                continue
            if character != "=" or position < 2:
                return at
            if position == 2 and len(quantum) == 3:
                return len(text)
            if position == 2 and quantum[3][1] != "=":
                return at
            return places[start + 4][0] if len(places) > start + 4 else None
        if len(quantum) < 4:
            return quantum[0][0]
    return None


def _fits(expected: str, value: Any) -> bool:
    if expected == "string":
        return isinstance(value, str)
    if expected == "boolean":
        return isinstance(value, bool)
    if expected == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mismatch(shape: Shape, value: Any, path: str, kind: tuple[str, str], parent: Shape | None) -> ApiError:
    plain = _plain(path)
    if shape.kind == "array":
        element = shape.items.name.rpartition(".")[2] if shape.items is not None and shape.items.name else "string"
        wanted = f"[]{element}"
    elif shape.inner.get("format") == "byte":
        wanted = "[]uint8"
    elif shape.kind == "map":
        wanted = "map[string]string"
    elif shape.kind == "integer":
        wanted = str(shape.inner.get("format", "int64"))
    else:
        wanted = _GO_NAMES.get(shape.kind) or shape.name.rpartition(".")[2]
    holder = parent.name.rpartition(".")[2] if parent is not None and parent.name else kind[1]
    version = kind[0].rpartition("/")[2]
    return bad_request(
        f'{kind[1]} in version "{version}" cannot be handled as a {kind[1]}: json: cannot unmarshal '
        f"{_JSON_NAMES.get(type(value), 'value')} into Go struct field {holder}.{plain} of type {wanted}"
    )


def _plain(path: str) -> str:
    """The path without list positions, as Go's decoder names it."""
    return ".".join(part.partition("[")[0] for part in path.split("."))
