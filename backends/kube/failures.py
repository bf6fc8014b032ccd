"""What an API server's refusal or silence means, in our words, with what would lift it."""

import errno
import ssl
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from mesh.facts import Reason
from mesh.model.context import Right
from mesh.reading import NotRead
from mesh.text import one_line

_MAX_WORDS: Final = 300
_VPN: Final = "Check that you are in the network (VPN) from which this API server can be reached."
_NAMES: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ENETUNREACH: "there is no route to its network",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ECONNRESET: "the connection was reset",
    errno.ETIMEDOUT: "it did not answer",
}


class _Details(Struct):
    retry_after: int = field(name="retryAfterSeconds", default=0)


class _Status(Struct):
    kind: str = ""
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


class Retry(Exception):
    """The same request may succeed when sent again after ``seconds``; ``failure`` is what to say if it does not."""

    def __init__(self, seconds: float, failure: NotRead) -> None:
        super().__init__(str(failure))
        self.seconds = seconds
        self.failure = failure


class Expired(Exception):
    """The list's continue token is too old (410): read the list from its beginning."""


def of_answer(status: int, headers: Any, body: bytes, right: Right) -> Exception:
    """The exception for an answer that is not 2xx: ``NotRead``, ``Retry`` or ``Expired``."""
    said = _status(body)
    words = one_line(said.message or "", _MAX_WORDS) if said else one_line(_excerpt(body), 120)
    if said is None and status not in (404, 407) and (status in (401, 403) or 300 <= status < 500):
        if status == 401:
            return NotRead(Reason.EXPIRED, "the API server did not accept the credentials (401)")
        kind = one_line(str(headers.get("Content-Type", "something")), 60)
        detail = f"something in between answered {status} ({kind}): {words}"
        return NotRead(Reason.INVALID, detail, "Check the server's URL and the proxy.")
    if status == 401:
        return NotRead(Reason.EXPIRED, f"the API server did not accept the credentials (401{_tail(words)})")
    if status == 403:
        return NotRead(Reason.FORBIDDEN, words or f"not allowed: {right}", str(right))
    if status == 404:
        return _not_found(said is not None, headers, body, right)
    if status == 407:
        return NotRead(Reason.UNREACHABLE, "the proxy wants a login (407)", "Put the login into proxy-url.")
    if status == 410:
        return Expired()
    return _server_error(status, headers, words, said)


def _server_error(status: int, headers: Any, words: str, said: _Status | None) -> Exception:
    wait = _retry_after(headers, said)
    if status == 429:
        failure = NotRead(
            Reason.THROTTLED, f"the API server is overloaded (429{_tail(words)})", "Try again in a few minutes."
        )
        return Retry(1.0 if wait is None else wait, failure)
    if status >= 500:
        detail = f"the API server answered {status}{_tail(words)}"
        reason = Reason.UNREACHABLE if status in (502, 503, 504) else Reason.INVALID
        failure = NotRead(reason, detail, "Look at the API server's own health; then read again.")
        return Retry(0.2 if wait is None else wait, failure)
    return NotRead(Reason.INVALID, f"the API server answered {status}{_tail(words)}")


def _not_found(is_status: bool, headers: Any, body: bytes, right: Right) -> NotRead:
    name = f"{right.resource}.{right.group}" if right.group else right.resource
    if is_status or body.strip() == b"404 page not found":
        return NotRead(Reason.ABSENT_API, f"the API server knows no {name}")
    kind = one_line(str(headers.get("Content-Type", "something")), 60)
    return NotRead(
        Reason.INVALID,
        f"something that is no API server answered 404 ({kind}): {one_line(_excerpt(body), 120)}",
        "Check the server's URL.",
    )


def not_json(headers: Any, body: bytes) -> NotRead:
    """A 2xx answer that is not what was asked for."""
    kind = one_line(str(headers.get("Content-Type", "no type")), 60)
    if "json" in kind and body[:1] == b"{":
        return NotRead(Reason.INVALID, "its JSON has not the shape of a Kubernetes answer")
    words = one_line(_excerpt(body), 120)
    detail = f"the answer is {kind}, not JSON: {words}" if words else f"the answer is empty ({kind})"
    return NotRead(Reason.INVALID, detail, "Check the server's URL and the proxy; a login page may be in between.")


def of_exception(error: BaseException, server: str, connect_seconds: float, read_seconds: float) -> Exception:
    """The exception for what went wrong on the way. Source: aiohttp client exceptions."""
    import aiohttp

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NotRead(Reason.TIMEOUT, f"no connection within {connect_seconds:g} s", _VPN)
    if isinstance(error, TimeoutError):
        return NotRead(Reason.TIMEOUT, f"no answer within {read_seconds:g} s", _VPN)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return _tls(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return NotRead(Reason.UNREACHABLE, f"the proxy answered {error.status} to CONNECT", "Check proxy-url.")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return NotRead(Reason.UNREACHABLE, f"the proxy cannot be reached: {_cause(error)}", "Check proxy-url.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NotRead(Reason.UNREACHABLE, f"the name of {one_line(server, 100)} does not resolve", _VPN)
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotRead(Reason.UNREACHABLE, _cause(error), _VPN)
    if isinstance(error, aiohttp.InvalidURL):
        return NotRead(Reason.INVALID, f"{one_line(server, 100)} is no URL", "Correct the server in the kubeconfig.")
    failure = NotRead(Reason.UNREACHABLE, f"the connection broke off: {_cause(error)}", "Read again.")
    return Retry(0.2, failure)


def _tls(error: BaseException) -> NotRead:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    why = getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or str(inner)
    why = one_line(str(why).replace("_", " ").lower(), 200)
    if "mismatch" in why or "doesn't match" in why or "not valid for" in why:
        lift = "Set tls-server-name in the kubeconfig to a name that its certificate has."
    elif "expired" in why:
        lift = "The API server's certificate has ended; whoever runs it must renew it."
    elif "self" in why or "unable to get" in why:
        lift = "Write the cluster entry again: its certificate-authority did not sign this server's certificate."
    else:
        lift = "Check that the server's URL names the API server itself."
    return NotRead(Reason.UNREACHABLE, f"TLS: {why}", lift)


def _cause(error: BaseException) -> str:
    inner = getattr(error, "os_error", None) or error
    number = getattr(inner, "errno", None)
    words = _NAMES.get(number) if isinstance(number, int) else None
    return words or one_line(getattr(inner, "strerror", None) or str(inner) or type(inner).__name__, 200)


def _status(body: bytes) -> _Status | None:
    try:
        found = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.kind == "Status" else None


def _retry_after(headers: Any, said: _Status | None) -> float | None:
    text = str(headers.get("Retry-After", "")).strip()
    if text.isdigit():
        return float(text)
    return float(said.details.retry_after) if said and said.details and said.details.retry_after > 0 else None


def _excerpt(body: bytes) -> str:
    return body[:400].decode(errors="replace")


def _tail(words: str) -> str:
    return f": {words}" if words else ""
