"""The state of an API server as a service: it answers, or does not, or something in front of it answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from aiohttp import web

from backends.lab.storage.status import ApiError

Mode: TypeAlias = Literal["serving", "down", "hanging", "html", "status"]
MODES: Final = get_args(Mode)
# Reasons and sentences of a real server for a status that comes from the server itself, not from one request.
_STATUSES: Final = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: access denied by the cluster's network policy"),
    429: ("TooManyRequests", "too many requests, please try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "apiserver not ready"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


@dataclass(slots=True)
class Conditions:
    """``mode``: serving · down (connections refused) · hanging (accepts, never answers) · html (a portal answers) ·
    status (every request gets ``status`` with ``message`` and, if set, ``retry_after`` seconds).

    ``latency`` is added to every answer, in real seconds. ``exec_cut`` is the number of bytes of output after which the
    node goes away during an exec. ``listeners`` are called after every change.
    """

    mode: Mode = "serving"
    status: int = 503
    message: str = ""
    retry_after: int | None = None
    latency: float = 0.0
    exec_cut: int | None = None
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def set(self, mode: Mode, *, status: int = 503, message: str = "", retry_after: int | None = None) -> None:
        """Change how the server answers. Raises ``ValueError`` for an unknown mode or a status that is no error."""
        if mode not in MODES:
            raise ValueError(f"no such mode: {mode}; known: {', '.join(MODES)}")
        if not 400 <= status <= 599:
            raise ValueError("status must be an error, 400-599")
        self.mode, self.status, self.message, self.retry_after = mode, status, message, retry_after
        for listener in tuple(self.listeners):
            listener()


_HTML: Final = """<!DOCTYPE html>
<html><head><title>Sign in</title></head>
<body><h1>Network sign-in required</h1><p>Your session has ended. <a href="/login">Sign in</a></p></body></html>
"""


async def in_front(conditions: Conditions, request: web.BaseRequest) -> web.StreamResponse | None:
    """What answers instead of the API server, or None where it serves. Raises ``ApiError`` for a status."""
    if conditions.latency:
        await asyncio.sleep(conditions.latency)
    match conditions.mode:
        case "hanging":
            await asyncio.get_running_loop().create_future()
        case "html":
            return web.Response(text=_HTML, content_type="text/html", charset="utf-8")
        case "status":
            raise _status(conditions)
    return None


def _status(conditions: Conditions) -> ApiError:
    reason, message = _STATUSES.get(conditions.status, ("", f"the server answered {conditions.status}"))
    details = {"retryAfterSeconds": conditions.retry_after} if conditions.retry_after is not None else None
    headers = {"Retry-After": str(conditions.retry_after)} if conditions.retry_after is not None else None
    return ApiError(conditions.status, reason, conditions.message or message, details, headers)
