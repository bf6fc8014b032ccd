"""An API server that is down, hangs, or has something in front of it; and two that do not know each other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from backends.lab.api.server import ApiServer
from tests.test_lab.serving import Api, served

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


async def settled(api: Api, mode: str, **settings: Any) -> None:
    """Change the condition and let the server follow."""
    api.cluster.conditions.set(mode, **settings)  # type: ignore[arg-type]  # the parameters are modes
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_server_that_is_down_refuses_connections_and_comes_back_at_its_address(api: Api) -> None:
    url = api.cluster.server_url
    await settled(api, "down")
    for _ in range(3):
        with pytest.raises(aiohttp.ClientConnectorError):
            await api.get(PODS)
    await settled(api, "serving")
    assert api.cluster.server_url == url
    assert (await api.get(PODS)).status == 200


async def test_open_watches_break_when_the_server_goes_down(api: Api) -> None:
    async with api.session.get(f"{api.cluster.server_url}{PODS}?watch=1", headers=api.headers(), ssl=api.tls) as watch:
        await watch.content.readline()
        await settled(api, "down")
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(watch.read(), 5)


async def test_a_server_that_hangs_takes_the_connection_and_says_nothing(api: Api) -> None:
    await settled(api, "hanging")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(api.get(PODS), 0.2)
    await settled(api, "serving")
    assert (await api.get(PODS)).status == 200


async def test_a_portal_answers_with_a_page(api: Api) -> None:
    await settled(api, "html")
    answer = await api.get(PODS)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.body.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ],
)
async def test_a_server_that_answers_everything_with_one_status(api: Api, status: int, reason: str) -> None:
    await settled(api, "status", status=status, retry_after=7 if status == 429 else None)
    answer = await api.get(PODS)
    assert (answer.status, answer.reason, answer.body["kind"]) == (status, reason, "Status")
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


@pytest.mark.parametrize(("mode", "status"), [("asleep", 503), ("status", 200)])
async def test_a_condition_that_cannot_be_is_refused_and_changes_nothing(api: Api, mode: str, status: int) -> None:
    with pytest.raises(ValueError, match=r"no such mode|must be an error"):
        await settled(api, mode, status=status)
    assert (await api.get(PODS)).status == 200


async def test_two_clusters_of_a_world_have_their_own_authority_tokens_and_objects(api: Api) -> None:
    other = api.world.clusters["kind-two"]
    server = ApiServer(other)
    await server.start()
    try:
        there = Api(other, api.session, "kind-token", api.tls)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await there.get(PODS)
        import ssl

        there.tls = ssl.create_default_context(cadata=other.authority.pem.decode())
        assert (await there.get(PODS)).status == 200
        assert (await there.as_user(api.token).get(PODS)).status == 401
        await api.delete(f"{PODS}/web-1")
        assert (await there.get(f"{PODS}/web-1")).status == 200
        assert api.cluster.uid != other.uid
    finally:
        await server.stop()
