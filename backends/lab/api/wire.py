"""Kubernetes' protobuf envelope, read into JSON: typed clients send it even where they also take JSON answers.

Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf; field numbers from ``storage.schemas.wire``.
"""

import base64
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from backends.lab.storage import schemas
from backends.lab.storage.status import bad_request

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1"
_VARINTS: Final = frozenset({"int32", "int64", "uint32", "uint64", "bool"})


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope, with ``apiVersion`` and ``kind``. Raises ``ApiError`` 400 for what cannot be read."""
    try:
        return _envelope(body)
    except (IndexError, ValueError, KeyError) as problem:
        raise bad_request(f"the body of the request could not be decoded: {problem}") from None


def _envelope(body: bytes) -> dict[str, Any]:
    if not body.startswith(_MAGIC):
        raise ValueError("it does not start with the protobuf envelope's magic number")
    raw, api_version, kind = b"", "", ""
    for number, value in _fields(body[len(_MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            meta = {key: text.decode() for key, text in _fields(value) if isinstance(text, bytes)}
            api_version, kind = meta.get(1, ""), meta.get(2, "")
        elif number == 2 and isinstance(value, bytes):
            raw = value
    message = _message(api_version, kind)
    return {"apiVersion": api_version, "kind": kind, **_decoded(message, raw)}


def _message(api_version: str, kind: str) -> str:
    name = schemas.schema_name(api_version, kind)
    if name is None:
        raise ValueError(f"no such kind: {api_version} {kind}")
    return name.removeprefix("io.").replace("k8s.", "k8s.io.", 1)


def _fields(data: bytes) -> "list[tuple[int, int | bytes]]":
    """Field numbers with their raw values."""
    found: list[tuple[int, int | bytes]] = []
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, form = key >> 3, key & 7
        if form == 0:
            value, position = _varint(data, position)
            found.append((number, value))
        elif form == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field is cut off")
            found.append((number, data[position : position + length]))
            position += length
        elif form in (1, 5):
            position += 8 if form == 1 else 4
        else:
            raise ValueError(f"wire type {form}")
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _decoded(message: str, data: bytes) -> dict[str, Any]:
    described = schemas.wire()[message]
    body: dict[str, Any] = {}
    for number, raw in _fields(data):
        field = described.get(str(number))
        if field is None:
            continue
        name, kind, label = field
        if label == "map" and isinstance(raw, bytes):
            key, value = _entry(kind, raw)
            body.setdefault(name, {})[key] = value
            continue
        value = _value(kind, raw)
        if label == "repeated":
            body.setdefault(name, []).append(value)
        elif label == "inline":
            body |= value
        elif label == "pointer" or value not in ("", 0, False, None, {}, []):
            body[name] = value
    return body


def _entry(kind: str, raw: bytes) -> tuple[str, Any]:
    parts = dict(_fields(raw))
    key = parts.get(1, b"")
    empty: int | bytes = 0 if kind in _VARINTS else b""
    return key.decode() if isinstance(key, bytes) else str(key), _value(kind, parts.get(2, empty))


def _value(kind: str, raw: "int | bytes") -> Any:
    if isinstance(raw, int):
        if kind == "bool":
            return bool(raw)
        return raw - (1 << 64) if raw >= 1 << 63 else raw
    if kind == "string":
        return raw.decode()
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    special = _SPECIAL.get(kind)
    return special(raw) if special is not None else _decoded(kind, raw)


def _time(raw: bytes) -> str | None:
    parts = {number: value for number, value in _fields(raw) if isinstance(value, int)}
    if not parts:
        return None
    return datetime.fromtimestamp(parts.get(1, 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(raw: bytes) -> str | None:
    parts = {number: value for number, value in _fields(raw) if isinstance(value, int)}
    if not parts:
        return None
    at = datetime.fromtimestamp(parts.get(1, 0), UTC).replace(microsecond=parts.get(2, 0) // 1000)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _quantity(raw: bytes) -> str:
    return "".join(value.decode() for number, value in _fields(raw) if number == 1 and isinstance(value, bytes))


def _int_or_string(raw: bytes) -> int | str:
    parts = dict(_fields(raw))
    if parts.get(1, 0) == 1:
        text = parts.get(3, b"")
        return text.decode() if isinstance(text, bytes) else ""
    number = parts.get(2, 0)
    return number if isinstance(number, int) else 0


def _raw_json(raw: bytes) -> Any:
    content = next((value for number, value in _fields(raw) if number == 1 and isinstance(value, bytes)), b"null")
    return msgspec.json.decode(content)


def _list(raw: bytes) -> list[str]:
    return [value.decode() for number, value in _fields(raw) if number == 1 and isinstance(value, bytes)]


_SPECIAL: Final = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.FieldsV1": _raw_json,
    f"{_META}.Verbs": _list,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _quantity,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "k8s.io.api.authentication.v1.ExtraValue": _list,
    "k8s.io.api.authorization.v1.ExtraValue": _list,
    "k8s.io.api.certificates.v1.ExtraValue": _list,
}
