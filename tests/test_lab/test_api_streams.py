"""Logs and exec: what a container says, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
import pytest

from backends.lab.storage.resources import PODS
from tests.test_lab.serving import Api, served

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
LOG = "/api/v1/namespaces/default/pods/web-1/log"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


class Exec:
    """An exec: what came on each channel, and the status at its end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.channels: dict[int, bytes] = {}

    async def send(self, data: bytes) -> None:
        await self.socket.send_bytes(b"\0" + data)

    async def close_stdin(self) -> None:
        await self.socket.send_bytes(bytes([255, 0]))

    async def end(self) -> dict[str, object]:
        """Read to the end; the status, or {} where none came."""
        async with asyncio.timeout(10):
            async for message in self.socket:
                if message.type == aiohttp.WSMsgType.BINARY and message.data:
                    held = self.channels.get(message.data[0], b"")
                    self.channels[message.data[0]] = held + message.data[1:]
        status: dict[str, object] = json.loads(self.channels.get(3, b"{}"))
        return status


@asynccontextmanager
async def running(
    api: Api, *argv: str, pod: str = "web-1", container: str = "", protocol: str = V5, stdin: bool = False
) -> AsyncIterator[Exec]:
    query = [("stdout", "true"), ("stderr", "true"), *(("command", word) for word in argv)]
    query += [("container", container)] * bool(container) + [("stdin", "true")] * stdin
    url = f"{api.cluster.server_url}/api/v1/namespaces/default/pods/{pod}/exec?{urlencode(query)}"
    async with api.session.ws_connect(url, protocols=(protocol,), headers=api.headers(), ssl=api.tls) as socket:
        assert socket.protocol == protocol
        yield Exec(socket)


@pytest.mark.parametrize("protocol", [V5, V4])
async def test_output_and_success(api: Api, protocol: str) -> None:
    async with running(api, "echo", "hello", "there", protocol=protocol) as run:
        assert await run.end() == {"metadata": {}, "status": "Success"}
    assert run.channels[1] == b"hello there\n"


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (V5, "command terminated with non-zero exit code: command terminated with exit code 3"),
        (V4, "command terminated with non-zero exit code: error executing command [false], exit code 3"),
    ],
)
async def test_a_failure_tells_its_exit_code_on_the_status_channel(api: Api, protocol: str, message: str) -> None:
    async with running(api, "false", protocol=protocol) as run:
        status = await run.end()
    assert status["reason"] == "NonZeroExitCode"
    assert status["message"] == message
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert run.channels[2] == b"it is false\n" and 1 not in run.channels


async def test_stdin_reaches_the_program_when_it_is_closed(api: Api) -> None:
    async with running(api, "cat", stdin=True) as run:
        await run.send(b"one ")
        await run.send(b"two")
        await run.close_stdin()
        await run.end()
    assert run.channels[1] == b"one two"


async def test_much_output_comes_whole(api: Api) -> None:
    async with running(api, "big") as run:
        assert (await run.end())["status"] == "Success"
    assert run.channels[1] == b"x" * 300_000


async def test_a_program_that_is_not_there(api: Api) -> None:
    async with running(api, "none") as run:
        status = await run.end()
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert str(status["message"]).startswith("Internal error occurred: error executing command in container: ")


async def test_a_pod_that_goes_in_the_middle_kills_the_program(api: Api) -> None:
    async with running(api, "wait") as run:
        api.cluster.objects.delete(PODS, "default", "web-1")
        status = await run.end()
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "137"}]}


async def test_a_container_that_stops_in_the_middle_kills_the_program(api: Api) -> None:
    pod = api.cluster.objects.need(PODS, "default", "web-1")
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}
    async with running(api, "wait") as run:
        api.cluster.objects.set_status(PODS, "default", "web-1", pod["status"])
        assert (await run.end())["reason"] == "NonZeroExitCode"


async def test_a_node_that_goes_in_the_middle_leaves_no_status(api: Api) -> None:
    api.cluster.conditions.exec_cut = 1000
    async with running(api, "big") as run:
        assert await run.end() == {}
    assert run.channels[1] == b"x" * 1000


@pytest.mark.parametrize(
    ("pod", "query", "status", "message"),
    [
        ("none", "command=echo", 404, 'pods "none" not found'),
        ("web-2", "command=echo", 400, "a container name must be specified for pod web-2, choose one of: [main side]"),
        ("web-1", "command=echo&container=other", 400, "container other is not valid for pod web-1"),
        ("web-1", "", 400, "you must specify at least 1 command for the container"),
        ("web-1", "command=echo", 400, "Upgrade request required"),
    ],
)
async def test_what_cannot_be_run_is_refused_before_the_upgrade(
    api: Api, pod: str, query: str, status: int, message: str
) -> None:
    answer = await api.get(f"/api/v1/namespaces/default/pods/{pod}/exec?{query}")
    assert (answer.status, answer.message) == (status, message)


async def test_a_container_that_does_not_run_is_not_found(api: Api) -> None:
    pod = api.cluster.objects.need(PODS, "default", "web-1")
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    api.cluster.objects.set_status(PODS, "default", "web-1", pod["status"])
    async with running(api, "echo") as run:
        status = await run.end()
    assert status["message"] == 'Internal error occurred: unable to upgrade connection: container not found ("main")'
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with running(api, "echo", protocol=V4):
            pass
    assert refused.value.status == 404


async def test_a_log_and_its_tail(api: Api) -> None:
    assert (await api.get(LOG)).body == "first\nsecond\nthird\n"
    assert (await api.get(f"{LOG}?tailLines=1")).body == "third\n"
    assert (await api.get(f"{LOG}?limitBytes=8")).body == "first\nse"


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (LOG.replace("web-1", "none"), 404, 'pods "none" not found'),
        (
            LOG.replace("web-1", "web-2"),
            400,
            "a container name must be specified for pod web-2, choose one of: [main side]",
        ),
        (f"{LOG}?container=other", 400, "container other is not valid for pod web-1"),
        (f"{LOG}?previous=true", 400, 'previous terminated container "main" in pod "web-1" not found'),
    ],
)
async def test_a_log_that_is_not_there(api: Api, path: str, status: int, message: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.message) == (status, message)


async def test_a_followed_log_goes_on_and_ends_with_the_pod(api: Api) -> None:
    api.world.clock.speed = 50
    async with (
        api.session.get(
            f"{api.cluster.server_url}{LOG}?follow=true&tailLines=1", headers=api.headers(), ssl=api.tls
        ) as response,
        asyncio.timeout(10),
    ):
        lines = [await response.content.readline() for _ in range(3)]
        assert lines == [b"third\n", b"line 4\n", b"line 5\n"]
        api.cluster.objects.delete(PODS, "default", "web-1")
        while await response.content.readline():
            pass
        assert response.content.at_eof()


async def test_a_container_that_waits_has_no_log_yet(api: Api) -> None:
    pod = api.cluster.objects.need(PODS, "default", "web-1")
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    api.cluster.objects.set_status(PODS, "default", "web-1", pod["status"])
    answer = await api.get(LOG)
    assert (answer.status, answer.message) == (
        400,
        'container "main" in pod "web-1" is waiting to start: ContainerCreating',
    )
