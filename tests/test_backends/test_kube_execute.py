"""Commands in containers: channels, exit codes, and pods that go away in the middle."""

import asyncio
import json
import time

import pytest
from aiohttp import web

from backends.kube.reader import LiveReader
from mesh.facts import Reason, Unknown
from mesh.reading import Answer, NotRead
from tests.test_backends.servers.api import Handler, reading, serving, status

PATH = "/api/v1/namespaces/kube-system/pods/cilium-a/exec"
SUCCESS = json.dumps({"metadata": {}, "status": "Success"})


def ended(code: int) -> str:
    cause = {"reason": "ExitCode", "message": str(code)}
    return json.dumps({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}})


def speaking(*frames: tuple[int, bytes | str], wait: float = 0.0, close: bool = True) -> Handler:
    """A kubelet that sends these frames on their channels."""

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for channel, content in frames:
            raw = content.encode() if isinstance(content, str) else content
            await socket.send_bytes(bytes([channel]) + raw)
        await asyncio.sleep(wait)
        if close:
            await socket.close()
        elif request.transport:
            request.transport.abort()
        return socket

    return handle


async def ran(reader: LiveReader, seconds: float = 5.0) -> Answer:
    return await reader.execute(
        "kube-system", "cilium-a", "cilium-agent", ["cilium-dbg", "status", "-o", "json"], seconds
    )


async def failure(reader: LiveReader, seconds: float = 5.0) -> Unknown:
    with pytest.raises(NotRead) as caught:
        await ran(reader, seconds)
    return caught.value.unknown


async def test_output_comes_as_it_was_and_errors_cleaned() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, speaking((1, b'{"a":'), (2, b"warn\x1b[2Jing"), (1, b"\xff\x00 1}"), (1, b""), (3, SUCCESS)))
        answer = await ran(reader)
        assert (answer.code, answer.output, answer.errors) == (0, b'{"a":\xff\x00 1}', "warning")
        (request,) = api.seen
        assert request.query.getall("command") == ["cilium-dbg", "status", "-o", "json"]
        assert request.query["container"] == "cilium-agent"
        assert {"stdin", "tty"}.isdisjoint(request.query)


@pytest.mark.parametrize("code", [1, 127])
async def test_the_exit_code_arrives(code: int) -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, speaking((2, b"no\n"), (3, ended(code))))
        assert await ran(reader) == Answer(code, b"", "no\n")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ('exec: "cilium-dbg": executable file not found in $PATH: unknown', 127),
        ("stat /usr/bin/cilium-dbg: no such file or directory", 127),
    ],
)
async def test_a_command_that_is_not_in_the_image(end: str, code: int) -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, speaking((3, json.dumps({"status": "Failure", "reason": "InternalError", "message": end}))))
        assert (await ran(reader)).code == code


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (status(403, "pods is forbidden"), Reason.FORBIDDEN, "create and get pods/exec in kube-system"),
        (status(401, "Unauthorized"), Reason.EXPIRED, "401"),
        (status(404, "pods not found"), Reason.UNREACHABLE, "no longer there"),
        (status(400, "container x is not valid"), Reason.INVALID, "400"),
        (status(429, "slow"), Reason.THROTTLED, "429"),
        (status(500, "error dialing backend: no route to host"), Reason.UNREACHABLE, "kubelet (500)"),
        (speaking((1, b"half of it"), close=False), Reason.UNREACHABLE, "broke off"),
        (speaking((1, b"half of it")), Reason.UNREACHABLE, "broke off"),
        (speaking((3, b"nonsense")), Reason.INVALID, "not told"),
        (speaking((3, b'{"status":"Failure","message":"container \x1b[2Jnot running"}')), Reason.INVALID, "not told"),
        (speaking((3, '{"status":"Failure","message":"container not running"}')), Reason.UNREACHABLE, "not running"),
        (web.Response(text="<html>"), Reason.INVALID, "200"),
    ],
)
async def test_every_way_of_not_getting_an_answer(answer: Handler | web.Response, reason: Reason, words: str) -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, answer)
        found = await failure(reader)
        assert found.reason is reason
        assert words in found.detail


async def test_a_command_that_does_not_end() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, speaking((1, b"waiting"), wait=30))
        began = time.monotonic()
        found = await failure(reader, 0.3)
        assert found.reason is Reason.TIMEOUT
        assert time.monotonic() - began < 4


async def test_too_much_output_is_not_kept() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, speaking(*[(1, b"x" * 60_000)] * 40, (3, SUCCESS)))
        assert (await failure(reader.bounded(1_000_000))).reason is Reason.TRUNCATED
        assert len((await ran(reader)).output) == 2_400_000


async def test_many_at_a_time_but_not_more_than_thirty_two() -> None:
    most = now = 0

    async def counted(request: web.Request) -> web.StreamResponse:
        nonlocal most, now
        now += 1
        most = max(most, now)
        answer = await speaking((3, SUCCESS), wait=0.1)(request)
        now -= 1
        return answer

    async with serving() as api, reading(api.url) as reader:
        api.on(PATH, counted)
        began = time.monotonic()
        await asyncio.gather(*(ran(reader) for _ in range(96)))
        assert 16 < most <= 32
        assert time.monotonic() - began < 5
