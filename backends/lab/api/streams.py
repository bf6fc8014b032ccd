"""Logs and exec: what comes out of a container, over HTTP and over a WebSocket.

Source: k8s.io/apimachinery/pkg/util/remotecommand (v5.channel.k8s.io, v4.channel.k8s.io); channels 0 stdin, 1 stdout,
2 stderr, 3 status, 255 end of a channel.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from aiohttp import WSMsgType, web

from backends.lab.api import answers
from backends.lab.api.context import Context
from backends.lab.api.tables.durations import seconds_of
from backends.lab.objects import Change, Object, Resource
from backends.lab.storage.resources import PODS
from backends.lab.storage.status import bad_request, method_not_allowed, no_such_resource
from backends.lab.world import ExecFailed, ExecResult, LogOptions

_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS, _END = 0, 1, 2, 3, 255
_FRAME: Final = 32 * 1024
_KILLED: Final = 137


def _pod(context: Context, resource: Resource) -> Object:
    if resource.key != PODS.key:
        raise no_such_resource()
    pod = context.store.stored(resource, context.namespace, context.info.name)
    return context.store.need(resource, context.namespace, context.info.name) if pod is None else pod


def _container(pod: Object, wanted: str) -> str:
    """The container that is meant. Raises ``ApiError`` 400 where the name is missing or wrong."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    plain = [container["name"] for container in spec.get("containers") or ()]
    before = [container["name"] for container in spec.get("initContainers") or ()]
    if not wanted:
        if len(plain) == 1:
            return str(plain[0])
        message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(plain)}]"
        if before:
            message += f" or one of the init containers: [{' '.join(before)}]"
        raise bad_request(message)
    if wanted not in plain + before:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted


def _state(pod: Object, container: str) -> Mapping[str, Any] | None:
    status = pod.get("status") or {}
    for listed in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(listed) or ():
            if entry.get("name") == container:
                state: Mapping[str, Any] = entry
                return state
    return None


def _runs(pod: Object, container: str) -> bool:
    entry = _state(pod, container)
    if entry is None:
        return (pod.get("status") or {}).get("phase") == "Running"
    return (entry.get("state") or {}).get("running") is not None


class _Fate:
    """Fires when a container's pod is removed or the container stops running."""

    def __init__(self, context: Context, pod: Object, container: str) -> None:
        self.ended = asyncio.Event()
        self._uid = pod["metadata"]["uid"]
        self._container = container
        self.stop = context.store.history(PODS).listen(self._changed)

    def _changed(self, change: Change) -> None:
        if change.after["metadata"]["uid"] != self._uid:
            return
        if change.kind == "DELETED" or not _runs(change.after, self._container):
            self.ended.set()


async def log(context: Context, resource: Resource) -> web.StreamResponse:
    """GET of a container's log; with ``follow`` until the container ends or the client goes."""
    if context.info.verb != "get":
        raise method_not_allowed()
    pod = _pod(context, resource)
    query = context.info.query
    container = _container(pod, query.get("container", ""))
    options = _log_options(context)
    if not pod["spec"].get("nodeName"):
        return answers.answer(b"", 200, "text/plain")
    _has_log(pod, container, options.previous)
    lines = context.cluster.world.logs(context.cluster, context.info.namespace, context.info.name, container, options)
    headers = answers.base_headers({"Content-Type": "text/plain"})
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(context.request)
    fate = _Fate(context, pod, container)
    try:
        await _send_lines(response, lines, fate, context.info.number("limitBytes"))
    finally:
        fate.stop()
    await response.write_eof()
    return response


def _log_options(context: Context) -> LogOptions:
    info = context.info
    since = seconds_of(info.query.get("sinceTime"))
    seconds = info.number("sinceSeconds")
    if seconds is not None:
        since = context.store.now() - seconds
    tail = info.query.get("tailLines", "")
    if tail and not tail.lstrip("-").isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{tail}": invalid syntax')
    lines = int(tail) if tail and int(tail) >= 0 else None
    return LogOptions(info.flag("follow"), lines, since, info.flag("previous"), info.flag("timestamps"))


def _has_log(pod: Object, container: str, previous: bool) -> None:
    name = pod["metadata"]["name"]
    entry = _state(pod, container)
    if previous:
        if not ((entry or {}).get("lastState") or {}).get("terminated"):
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return
    waiting = ((entry or {}).get("state") or {}).get("waiting")
    if waiting is not None and not ((entry or {}).get("lastState") or {}).get("terminated"):
        reason = waiting.get("reason", "ContainerCreating")
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {_why(reason)}')


def _why(reason: str) -> str:
    return {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}.get(
        reason, reason
    )


async def _send_lines(
    response: web.StreamResponse, lines: AsyncIterator[bytes], fate: _Fate, limit: int | None
) -> None:
    ended = asyncio.ensure_future(fate.ended.wait())
    left = limit
    try:
        while True:
            following = asyncio.ensure_future(anext(lines, None))
            try:
                await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    return
                line = following.result()
            finally:
                following.cancel()
            if line is None:
                return
            if left is not None:
                line = line[:left]
                left -= len(line)
            await response.write(line)
            if left == 0:
                return
    finally:
        ended.cancel()


async def execute(context: Context, resource: Resource) -> web.StreamResponse:
    """A command in a container, over a WebSocket. Raises ``ApiError`` where it cannot be started."""
    if context.info.verb not in ("get", "create"):
        raise method_not_allowed()
    pod = _pod(context, resource)
    query = context.request.query
    container = _container(pod, query.get("container", ""))
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    argv = query.getall("command", [])
    if not argv:
        raise bad_request("you must specify at least 1 command for the container")
    request = context.request
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        raise bad_request("Upgrade request required")
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if not set(offered) & set(_PROTOCOLS):
        raise bad_request(f"unable to upgrade: no protocol in common, offered {offered}, supported {list(_PROTOCOLS)}")
    if not _runs(pod, container) and "v5.channel.k8s.io" not in offered:
        # Without the translating stream the kubelet's own refusal reaches the client.
        return answers.text(f'container not found ("{container}")\n', 404)
    socket = web.WebSocketResponse(protocols=_PROTOCOLS, autoping=True, max_msg_size=0)
    await socket.prepare(request)
    session = _Session(context, socket, pod, container, argv)
    await session.run()
    return socket


class _Session:
    """One exec: stdin in, the hook's answer out, the exit status last."""

    def __init__(
        self, context: Context, socket: web.WebSocketResponse, pod: Object, container: str, argv: list[str]
    ) -> None:
        self._context = context
        self._socket = socket
        self._pod = pod
        self._container = container
        self._argv = argv
        self._v5 = socket.ws_protocol == _PROTOCOLS[0]
        self._wants = {name: context.info.flag(name) for name in ("stdin", "stdout", "stderr", "tty")}
        self._left = context.cluster.conditions.exec_cut

    async def run(self) -> None:
        """Carry it out; every ending but a lost connection is told on the status channel."""
        if not _runs(self._pod, self._container):
            await self._end(_internal(f'unable to upgrade connection: container not found ("{self._container}")'))
            return
        fate = _Fate(self._context, self._pod, self._container)
        try:
            result = await self._result(fate)
        except ExecFailed as problem:
            await self._end(_internal(f"error executing command in container: {problem}"))
            return
        finally:
            fate.stop()
        if result is None:
            return
        await self._send(_STDOUT, result.stdout, self._wants["stdout"])
        await self._send(_STDOUT if self._wants["tty"] else _STDERR, result.stderr, self._wants["stderr"])
        await self._end(self._status(result.exit_code))

    async def _result(self, fate: _Fate) -> ExecResult | None:
        """What the command gave; None when the client went away first."""
        stdin = b""
        if self._wants["stdin"] and not self._wants["tty"]:
            read = await self._read_stdin()
            if read is None:
                return None
            stdin = read
        context = self._context
        work = asyncio.ensure_future(
            context.cluster.world.exec(
                context.cluster, context.info.namespace, context.info.name, self._container, self._argv, stdin
            )
        )
        ended = asyncio.ensure_future(fate.ended.wait())
        left = asyncio.ensure_future(self._client_left())
        try:
            await asyncio.wait({work, ended, left}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return ExecResult(exit_code=_KILLED) if ended.done() else None
        finally:
            for task in (work, ended, left):
                task.cancel()

    async def _read_stdin(self) -> bytes | None:
        data = bytearray()
        async for message in self._socket:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            channel, payload = message.data[0], message.data[1:]
            if channel == _STDIN:
                data += payload
                if not self._v5:
                    # This version of the protocol cannot say that stdin ended; what came first is all there is.
                    return bytes(data)
            elif channel == _END and payload[:1] == bytes([_STDIN]):
                return bytes(data)
        return None

    async def _client_left(self) -> None:
        async for _ in self._socket:
            pass

    async def _send(self, channel: int, data: bytes, wanted: bool) -> None:
        if not wanted:
            return
        for start in range(0, len(data), _FRAME):
            chunk = data[start : start + _FRAME]
            if self._left is not None:
                chunk = chunk[: self._left]
                self._left -= len(chunk)
            await self._socket.send_bytes(bytes([channel]) + chunk)
            if self._left == 0:
                transport = self._context.request.transport
                if transport is not None:
                    transport.close()
                raise ConnectionResetError("the node went away")

    def _status(self, code: int) -> Object:
        if code == 0:
            return {"metadata": {}, "status": "Success"}
        shown = f"command terminated with exit code {code}"
        if not self._v5:
            shown = f"error executing command [{' '.join(self._argv)}], exit code {code}"
        return {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: {shown}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }

    async def _end(self, status: Object) -> None:
        await self._socket.send_bytes(bytes([_STATUS]) + answers.encode(status))
        await self._socket.close()


def _internal(message: str) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
