"""Commands in containers over a WebSocket: channel 1 is standard output, 2 standard error, 3 how it ended."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from backends.kube.failures import Retry
from backends.kube.session import ApiSession, Budget
from mesh.facts import Reason
from mesh.reading import NotRead
from mesh.text import one_line

_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_OUTPUT, _ERRORS, _END = 1, 2, 3
_MAX_ERRORS: Final = 64 * 1024


class _Cause(Struct):
    reason: str = ""
    message: str = ""


class _Details(Struct):
    causes: list[_Cause] | None = None


class _End(Struct):
    status: str = ""
    reason: str = ""
    message: str = ""
    details: _Details | None = None


class _Heard:
    """What came so far on the three channels."""

    def __init__(self, budget: Budget | None) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self.end: bytes | None = None
        self._budget = budget

    def take(self, frame: bytes) -> None:
        """Sort one frame to its channel."""
        if self._budget is not None:
            self._budget.spend(len(frame))
        channel, content = frame[0] if frame else -1, frame[1:]
        if channel == _OUTPUT:
            self.output += content
        elif channel == _ERRORS:
            self.errors += content[: max(_MAX_ERRORS - len(self.errors), 0)]
        elif channel == _END:
            self.end = (self.end or b"") + content


async def execute(
    session: ApiSession,
    namespace: str,
    pod: str,
    container: str,
    argv: Sequence[str],
    seconds: float,
    *,
    budget: Budget | None = None,
) -> tuple[int, bytes, str]:
    """Run a command in a container: exit code, standard output, standard error. Raises ``NotRead``.

    A pod that goes away while the command runs, and a command that is not done after ``seconds``, are ``NotRead`` too.
    """
    query = [("container", container), *(("command", word) for word in argv), ("stdout", "true"), ("stderr", "true")]
    place, name = quote(namespace, safe=""), quote(pod, safe="")
    path = f"/api/v1/namespaces/{place}/pods/{name}/exec?{urlencode(query)}"
    heard = _Heard(budget)
    try:
        async with asyncio.timeout(seconds):
            await _listen(session, path, namespace, heard)
    except TimeoutError as error:
        raise NotRead(Reason.TIMEOUT, f"no end within {seconds:g} s", "Look at the pod and its node.") from error
    return _code(heard, argv), bytes(heard.output), heard.errors.decode(errors="replace")


async def _listen(session: ApiSession, path: str, namespace: str, heard: _Heard) -> None:
    import aiohttp

    try:
        socket = await session.websocket(path, _PROTOCOLS)
    except aiohttp.WSServerHandshakeError as error:
        raise _refused(error.status, error.message, namespace) from error
    except Retry as retry:
        raise retry.failure from retry
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                heard.take(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                heard.take(message.data.encode(errors="replace"))
    finally:
        await socket.close()


def _refused(status: int, words: str, namespace: str) -> NotRead:
    right = f"create and get pods/exec in {namespace}"
    if status == 401:
        return NotRead(Reason.EXPIRED, "the API server did not accept the credentials (401)")
    if status == 403:
        return NotRead(Reason.FORBIDDEN, f"not allowed: {right}", right)
    if status == 404:
        return NotRead(Reason.UNREACHABLE, "the pod is no longer there", "Read again.")
    if status == 429:
        return NotRead(Reason.THROTTLED, "the API server is overloaded (429)", "Try again in a few minutes.")
    if status >= 500:
        hint = "Check the way from the API server to the kubelets (port 10250)."
        return NotRead(Reason.UNREACHABLE, f"the API server cannot reach the node's kubelet ({status})", hint)
    return NotRead(Reason.INVALID, f"the API server refused the command ({status} {one_line(words, 100)})")


def _code(heard: _Heard, argv: Sequence[str]) -> int:
    if heard.end is None:
        raise NotRead(
            Reason.UNREACHABLE, "the connection broke off before the command ended: the pod or its node went away"
        )
    try:
        end = msgspec.json.decode(heard.end, type=_End)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotRead(Reason.INVALID, "the end of the command was not told in a form we know") from error
    if end.status == "Success":
        return 0
    causes = (end.details.causes if end.details else None) or []
    code = next((cause.message for cause in causes if cause.reason == "ExitCode"), "")
    if code.isdigit():
        return int(code)
    words = one_line(end.message, 200)
    if "executable file not found" in words or "no such file or directory" in words:
        return 127
    raise NotRead(Reason.UNREACHABLE, f"{argv[0] if argv else 'command'} did not run: {words or end.reason}")
