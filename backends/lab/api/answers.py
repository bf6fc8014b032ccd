"""Answers: JSON or YAML in the shape of a real server, ``Status`` for errors, and what the client accepts."""

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import yaml
from aiohttp import web

from backends.lab.storage.selectors import Object
from backends.lab.storage.status import ApiError

_ENCODER: Final = msgspec.json.Encoder()
_AS: Final = re.compile(r"(?:^|;)\s*as=(\w+)")
_READABLE_AGENTS: Final = ("curl", "Wget", "Mozilla/5.0")
_UNACCEPTABLE: Final = (
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
    "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
    "application/vnd.kubernetes.protobuf;stream=watch"
)


class Accepted:
    """What an ``Accept`` header asks for: ``form`` json or yaml, ``kind`` Table, PartialObjectMetadata or empty."""

    def __init__(self, form: str = "json", kind: str = "", version: str = "") -> None:
        self.form = form
        self.kind = kind
        self.version = version


def accepted(request: web.BaseRequest) -> Accepted:
    """The first representation in the header that can be given. Raises ``ApiError`` 406."""
    header = request.headers.get("Accept", "*/*")
    for choice in header.split(","):
        media, _, parameters = choice.strip().partition(";")
        form = {"application/json": "json", "application/yaml": "yaml", "*/*": "json", "application/*": "json"}.get(
            media.strip()
        )
        if form is None:
            continue
        kind = _AS.search(parameters)
        version = re.search(r"(?:^|;)\s*v=(\w+)", parameters)
        if kind and kind[1] not in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            continue
        return Accepted(form, kind[1] if kind else "", version[1] if version else "")
    raise ApiError(406, "NotAcceptable", _UNACCEPTABLE, {})


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return _ENCODER.encode(value)


def respond(
    request: web.BaseRequest, body: bytes | Object, code: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer in the form the client accepts; indented for ``pretty`` and for people's own tools."""
    raw = body if isinstance(body, bytes) else encode(body)
    try:
        form = accepted(request).form
    except ApiError:
        form = "json"
    if form == "yaml":
        text = yaml.safe_dump(msgspec.json.decode(raw), sort_keys=True, default_flow_style=False).encode()
        return answer(text, code, "application/yaml", headers)
    if readable(request):
        raw = msgspec.json.format(raw, indent=2)
    return answer(raw, code, "application/json", headers)


def readable(request: web.BaseRequest) -> bool:
    """Whether JSON is indented: as ``pretty`` says, else for clients that people read."""
    wanted = request.query.get("pretty")
    if wanted is not None:
        return wanted.lower() not in ("false", "0", "f")
    return request.headers.get("User-Agent", "").startswith(_READABLE_AGENTS)


def answer(body: bytes, code: int, content_type: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response with the headers that every answer of an API server has."""
    response = web.Response(body=body, status=code, headers=base_headers(headers))
    response.headers["Content-Type"] = content_type
    return response


def base_headers(headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """``Audit-Id`` and ``Cache-Control``, then the given ones."""
    return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private", **(headers or {})}


def text(body: str, code: int = 200) -> web.Response:
    """A plain text answer."""
    return answer(body.encode(), code, "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})


def refuse(request: web.BaseRequest, error: ApiError) -> web.Response:
    """The ``Status`` of an error."""
    return respond(request, error.status(), error.code, error.headers)
