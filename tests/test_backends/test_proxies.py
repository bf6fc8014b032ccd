"""Through which proxy a server is reached: the rules of Go's net/http, which kubectl follows."""

import asyncio

import pytest
from aiohttp import web

from backends.kube.proxies import proxy_for
from mesh.facts import Reason
from mesh.model.kinds import Resource
from mesh.reading import NotRead
from tests.test_backends.servers.api import reading, serving
from tests.test_backends.test_kube_reader import Named

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("server", "no_proxy", "direct"),
    [
        ("https://api.corp:6443", "", False),
        ("https://api.corp:6443", "corp", True),
        ("https://api.corp:6443", ".corp", True),
        ("https://api.corp:6443", "*.corp", True),
        ("https://api.corp:6443", "api.corp", True),
        ("https://api.corp:6443", "API.corp", True),
        ("https://api.corp:6443", ".api.corp", False),
        ("https://api.corp:6443", "orp", False),
        ("https://api.corp:6443", "api.corp:6443", True),
        ("https://api.corp:6443", "api.corp:443", False),
        ("https://api.corp", "api.corp:443", True),
        ("https://api.corp:6443", "x, *", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", True),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:443", False),
        ("https://10.1.2.3:6443", "11.0.0.0/8", False),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://localhost:6443", "", True),
        ("https://127.0.0.1:6443", "", True),
        ("https://[::1]:6443", "", True),
        ("https://api.corp:6443", "nonsense/x,,:80", False),
    ],
)
def test_no_proxy(server: str, no_proxy: str, direct: bool) -> None:
    assert proxy_for(server, "", {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) == ("" if direct else PROXY)


def test_which_variable_counts() -> None:
    assert proxy_for("https://a", "", {"https_proxy": "proxy:1"}) == "http://proxy:1"
    assert proxy_for("http://a", "", {"HTTPS_PROXY": PROXY}) == ""
    assert proxy_for("http://a", "", {"HTTP_PROXY": PROXY, "no_proxy": "b"}) == PROXY
    assert proxy_for("https://127.0.0.1", "https://own", {"NO_PROXY": "*"}) == "https://own"
    assert proxy_for("https://a", "", {}) == ""


def test_proxies_that_cannot_be_used() -> None:
    with pytest.raises(NotRead) as caught:
        proxy_for("https://a", "socks5://p:1080", {})
    assert caught.value.unknown.reason is Reason.UNSUPPORTED
    with pytest.raises(NotRead) as caught:
        proxy_for("https://a", "", {"HTTPS_PROXY": "http://p:x"})
    assert caught.value.unknown.reason is Reason.INVALID


async def test_requests_go_through_the_proxy() -> None:
    async with serving() as proxy:
        proxy.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        async with reading("http://api.corp", proxy_url=proxy.url) as reader:
            assert await reader.list(Resource("pods"), Named) == []
        assert [str(request.url) for request in proxy.seen] == ["http://api.corp/api/v1/pods?limit=500"]


async def test_a_proxy_that_refuses_or_is_not_there() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with reading("https://api.corp", environment={"HTTPS_PROXY": url}) as reader:
            with pytest.raises(NotRead) as caught:
                await reader.list(Resource("pods"), Named)
            assert caught.value.unknown.detail == "the proxy answered 403 to CONNECT"
    async with reading("https://api.corp", environment={"HTTPS_PROXY": url}) as reader:
        with pytest.raises(NotRead) as caught:
            await reader.list(Resource("pods"), Named)
        assert caught.value.unknown.reason is Reason.UNREACHABLE
        assert "the proxy cannot be reached: connection refused" in caught.value.unknown.detail
