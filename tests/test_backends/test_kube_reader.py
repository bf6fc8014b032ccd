"""The live reader against a server that behaves in every bad way there is: always a reason, nothing else."""

import asyncio
import base64
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from backends import process
from backends.credentials.connection import ExecPlugin, Impersonation, UserEntry
from backends.credentials.plugin import Credentials
from backends.kube.reader import LiveReader
from mesh.facts import Reason, Unknown
from mesh.model.kinds import Resource
from mesh.reading import NotRead
from mesh.text import Secret
from tests.test_backends.servers.api import Api, Authority, reading, server_tls, serving, status

PODS = Resource("pods")
LIST = "/api/v1/pods"


class Metadata(Struct):
    name: str = ""


class Named(Struct):
    metadata: Metadata


def page(names: list[str], resume: str = "", remaining: int = 0) -> web.Response:
    items = [{"metadata": {"name": name}, "spec": {"ignored": [1, 2]}} for name in names]
    return web.json_response({"metadata": {"continue": resume, "remainingItemCount": remaining}, "items": items})


async def listed(reader: LiveReader, **more: Any) -> list[str]:
    return [item.metadata.name for item in await reader.list(PODS, Named, **more)]


async def failure(reader: LiveReader) -> Unknown:
    with pytest.raises(NotRead) as caught:
        await reader.list(PODS, Named)
    return caught.value.unknown


async def test_all_pages_are_read_and_counted() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(LIST, page(["a", "b"], "next=&1", 3), page(["c"], "last", 2), page(["d", "e"]))
        counts: list[tuple[int, int]] = []
        assert await listed(reader, labels="k8s-app=cilium", count=lambda *c: counts.append(c)) == list("abcde")
        assert counts == [(2, 5), (3, 5), (5, 5)]
        assert [request.query.get("continue") for request in api.seen] == [None, "next=&1", "last"]
        assert {request.query["limit"] for request in api.seen} == {"500"}
        assert {request.query["labelSelector"] for request in api.seen} == {"k8s-app=cilium"}


async def test_a_forgotten_continue_token_begins_the_list_again() -> None:
    async with serving() as api, reading(api.url) as reader:
        gone = status(410, "The provided continue parameter is too old", reason="Expired")
        api.on(LIST, page(["a"], "x"), gone, page(["a"], "y"), page(["b"]))
        assert await listed(reader) == ["a", "b"]
        api.on(LIST, gone)
        found = await failure(reader)
        assert found.reason is Reason.TIMEOUT
        assert "410" in found.detail


@pytest.mark.parametrize(
    ("answer", "reason", "detail", "lift"),
    [
        (
            status(403, 'pods is forbidden: User "x" cannot list', reason="Forbidden"),
            Reason.FORBIDDEN,
            'pods is forbidden: User "x" cannot list',
            "list pods",
        ),
        (
            web.Response(status=403, text="<html>no\x1b[2J</html>", content_type="text/html"),
            Reason.INVALID,
            "something in between answered 403 (text/html; charset=utf-8): <html>no</html>",
            "Check the server's URL",
        ),
        (status(401, "Unauthorized"), Reason.EXPIRED, "did not accept the credentials (401: Unauthorized)", "Add a"),
        (web.Response(status=401, text="<html>"), Reason.EXPIRED, "did not accept the credentials (401)", "Add a"),
        (web.Response(status=404, text="404 page not found\n"), Reason.ABSENT_API, "knows no pods", ""),
        (status(404, "not found"), Reason.ABSENT_API, "knows no pods", ""),
        (
            web.Response(status=404, text="<h1>nginx</h1>", content_type="text/html"),
            Reason.INVALID,
            "no API server answered 404 (text/html; charset=utf-8): <h1>nginx</h1>",
            "Check the server's URL.",
        ),
        (
            web.Response(status=200, text="<html>sign in", content_type="text/html"),
            Reason.INVALID,
            "not JSON",
            "login page",
        ),
        (web.Response(status=200), Reason.INVALID, "the answer is empty", ""),
        (web.json_response([1]), Reason.INVALID, "not JSON", ""),
        (web.json_response({"metadata": {}, "items": {"a": 1}}), Reason.INVALID, "not the shape", ""),
        (web.json_response({"metadata": {}, "items": [7]}), Reason.INVALID, "not the shape", ""),
        (web.Response(body=b'{"metadata": {}, "items": [', content_type="application/json"), Reason.INVALID, "", ""),
        (web.Response(body=b"{" * 100_000, content_type="application/json"), Reason.INVALID, "", ""),
        (web.Response(body=b'{"metadata":{},"items":[{"metadata":{"name":"\xff"}}]}'), Reason.INVALID, "", ""),
        (
            web.Response(status=302, headers={"Location": "https://login.example/x"}),
            Reason.INVALID,
            "login.example",
            "",
        ),
        (status(400, "bad \x1b]0;x\x07field"), Reason.INVALID, "answered 400: bad field", ""),
        (web.Response(status=400, text="Client sent an HTTP request to an HTTPS server."), Reason.INVALID, "400", ""),
        (web.Response(status=407, text=""), Reason.UNREACHABLE, "407", "proxy-url"),
        (status(500, "etcdserver: request timed out"), Reason.INVALID, "500: etcdserver: request timed out", ""),
        (web.Response(status=503, text="no healthy upstream"), Reason.UNREACHABLE, "503: no healthy upstream", ""),
        (status(429, "slow down", headers={"Retry-After": "60"}), Reason.THROTTLED, "429: slow down", "few minutes"),
        (status(500, "x", details={"retryAfterSeconds": 99}), Reason.INVALID, "500: x", ""),
    ],
)
async def test_every_answer_that_is_none_has_its_reason(
    answer: web.Response, reason: Reason, detail: str, lift: str
) -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(LIST, answer)
        began = time.monotonic()
        found = await failure(reader)
        assert found.reason is reason
        assert detail in found.detail
        assert lift in found.lift
        assert "\x1b" not in found.detail
        assert time.monotonic() - began < 4


async def test_what_passes_by_itself_is_waited_for() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on(LIST, status(503, "starting"), status(500, "x"), page(["a"]))
        assert await listed(reader) == ["a"]
        api.on(LIST, status(503, "down"))
        await failure(reader)
        assert len(api.seen) <= 3 + 5
        waits: list[float] = []
        api.on(LIST, status(429, "slow", headers={"Retry-After": "1"}), page(["b"]))
        began = time.monotonic()
        assert await listed(reader.bounded(10_000, waits.append)) == ["b"]
        assert 0.9 < time.monotonic() - began < 4
        assert waits == [1.0]


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"metadata": {}, "items": [')
    assert request.transport
    request.transport.close()
    return response


async def stall(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"metadata": {}, "items": [')
    await asyncio.sleep(60)
    raise AssertionError


async def test_a_server_that_hangs_or_breaks_off() -> None:
    async with serving() as api, reading(api.url, read_seconds=0.3) as reader:
        for silent in (hang, stall):
            api.on(LIST, silent)
            began = time.monotonic()
            found = await failure(reader)
            assert (found.reason, found.detail) == (Reason.TIMEOUT, "no answer within 0.3 s")
            assert time.monotonic() - began < 3
        api.on(LIST, half, page(["a"]))
        assert await listed(reader) == ["a"]
        api.on(LIST, half)
        found = await failure(reader)
        assert found.reason is Reason.UNREACHABLE
        assert "broke off" in found.detail


async def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with reading(f"http://127.0.0.1:{port}") as reader:
            found = await failure(reader)
    assert (found.reason, found.detail) == (Reason.UNREACHABLE, "connection refused")
    assert "VPN" in found.lift
    async with reading("https://no-such-name.invalid:6443") as reader:
        found = await failure(reader)
    assert found.reason is Reason.UNREACHABLE
    assert "no-such-name.invalid:6443 does not resolve" in found.detail


async def test_a_listener_that_never_speaks_tls() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with reading(f"https://127.0.0.1:{port}") as reader:
            began = time.monotonic()
            found = await failure(reader)
            assert found.reason is Reason.TIMEOUT
            assert time.monotonic() - began < 6


async def test_more_than_the_budget_is_not_read() -> None:
    async with serving() as api, reading(api.url) as reader:
        bomb = gzip.compress(b'{"metadata":{},"items":[' + b" " * 50_000_000 + b"]}")
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        api.on(LIST, web.Response(body=bomb, headers=headers))
        found = await failure(reader.bounded(1_000_000))
        assert found.reason is Reason.TRUNCATED
        assert "1 MB" in found.detail
        assert await listed(reader.bounded(60_000_000)) == []


async def test_get_and_version() -> None:
    async with serving() as api, reading(api.url) as reader:
        api.on("/api/v1/namespaces/kube-system/pods/a", web.json_response({"metadata": {"name": "a"}}))
        api.on("/version", web.json_response({"name": "v"}))
        found = await reader.get(PODS, Named, "a", "kube-system")
        assert found is not None
        assert found.metadata.name == "a"
        assert await reader.get(PODS, Named, "b", "kube-system") is None
        assert (await reader.version(Metadata)).name == "v"
        api.on("/api/v1/namespaces/kube-system/pods/a", status(403, ""))
        with pytest.raises(NotRead) as caught:
            await reader.get(PODS, Named, "a", "kube-system")
        assert caught.value.unknown.lift == "get pods in kube-system"


async def test_names_from_clusters_stay_one_part_of_the_path() -> None:
    async with serving() as api, reading(api.url) as reader:
        assert await reader.get(PODS, Named, "x/../../secrets?y=1#z", "a/b") is None
        with pytest.raises(NotRead):
            await reader.list(PODS, Named, namespace="../..")
        with pytest.raises(NotRead):
            await reader.execute("a/b", "../x?y", "c", ["true"], 2)
        got, listed_, executed = (request.rel_url.raw_path for request in api.seen)
        assert got == "/api/v1/namespaces/a%2Fb/pods/x%2F..%2F..%2Fsecrets%3Fy=1%23z"
        assert listed_ == "/api/v1/namespaces/..%2F../pods"
        assert executed == "/api/v1/namespaces/a%2Fb/pods/..%2Fx%3Fy/exec"


async def test_a_path_below_a_proxying_server_is_kept() -> None:
    async with serving() as api, reading(f"{api.url}/k8s/clusters/c-1") as reader:
        api.on("/k8s/clusters/c-1/api/v1/pods", page(["a"]))
        assert await listed(reader) == ["a"]


async def test_reviews_are_posted() -> None:
    async def echo(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"metadata": {"name": f"{body['apiVersion']} {body['spec']['namespace']}"}})

    async with serving() as api, reading(api.url) as reader:
        api.on("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", echo)
        resource = Resource("selfsubjectrulesreviews", "authorization.k8s.io")
        found = await reader.review(resource, {"spec": {"namespace": "shop"}}, Named)
        assert found.metadata.name == "authorization.k8s.io/v1 shop"


async def test_who_we_are_is_told_as_kubectl_tells_it() -> None:
    who = Impersonation("jane", "7", ("dev", "ops"), {"Example.com/Why": ("a", "b")})
    async with secure() as (api, ca):
        api.on("/version", web.json_response({}))
        async with reading(api.url, ca=ca, user=UserEntry(token=Secret("tok"), impersonation=who)) as reader:
            await reader.version(Metadata)
        async with reading(api.url, ca=ca, user=UserEntry(username="u", password=Secret("p"))) as reader:
            await reader.version(Metadata)
        first, second = (request.headers for request in api.seen)
    assert first["Authorization"] == "Bearer tok"
    assert (first["Impersonate-User"], first["Impersonate-Uid"]) == ("jane", "7")
    assert first.getall("Impersonate-Group") == ["dev", "ops"]
    assert first.getall("Impersonate-Extra-example.com%2Fwhy") == ["a", "b"]
    assert second["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    assert "Impersonate-User" not in second


@pytest.mark.parametrize("user", [UserEntry(token=Secret("t")), UserEntry(username="u", password=Secret("p"))])
async def test_over_plain_http_no_credential_is_sent(user: UserEntry) -> None:
    async with serving() as api, reading(api.url, user=user) as reader:
        api.on("/version", web.json_response({}))
        await reader.version(Metadata)
        assert "Authorization" not in api.seen[0].headers


@asynccontextmanager
async def secure() -> AsyncIterator[tuple[Api, bytes]]:
    """A server over TLS, and the CA to trust."""
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1"))) as api:
        yield api, ca.pem


PLUGIN = ExecPlugin("aws", ("eks", "get-token"), {"AWS_PROFILE": "prod"}, "client.authentication.k8s.io/v1")


def plugin_that_gives(*tokens: str) -> Credentials:
    left = list(tokens)

    async def run(
        argv: list[str], *, environment: Mapping[str, str], path: str | None, seconds: float
    ) -> process.Finished:
        kind = {"kind": "ExecCredential", "apiVersion": PLUGIN.api_version, "status": {"token": left.pop(0)}}
        return process.Finished(0, json.dumps(kind).encode(), "")

    return Credentials(run=run, environment={})


async def only_new(request: web.Request) -> web.Response:
    good = request.headers.get("Authorization") == "Bearer new"
    return page(["a"]) if good else status(401, "Unauthorized")


async def test_a_token_that_ended_early_is_renewed_once() -> None:
    user = UserEntry(plugin=PLUGIN)
    async with secure() as (api, ca):
        api.on(LIST, only_new)
        async with reading(api.url, ca=ca, user=user, credentials=plugin_that_gives("old", "new")) as reader:
            assert await listed(reader) == ["a"]
            assert await listed(reader) == ["a"]
        async with reading(api.url, ca=ca, user=user, credentials=plugin_that_gives("old", "old")) as reader:
            found = await failure(reader)
    assert (found.reason, found.lift) == (Reason.EXPIRED, "aws sso login --profile prod")


async def test_trust_and_names() -> None:
    ca, other = Authority(), Authority("other CA")
    tls = server_tls(*ca.leaf("api", "api.internal", "127.0.0.1"))
    async with serving(tls) as api:
        api.on(LIST, page(["a"]))
        async with reading(api.url, ca=ca.pem) as reader:
            assert await listed(reader) == ["a"]
        async with reading(api.url, ca=ca.pem, tls_server_name="api.internal") as reader:
            assert await listed(reader) == ["a"]
        async with reading(api.url, insecure=True) as reader:
            assert await listed(reader) == ["a"]
        for cluster, said, lift in (
            ({"ca": other.pem}, "TLS: ", "certificate-authority did not sign"),
            ({}, "TLS: ", "certificate-authority did not sign"),
            ({"ca": ca.pem, "tls_server_name": "elsewhere"}, "mismatch", "tls-server-name"),
            ({"ca": b"nonsense"}, "certificate-authority holds no certificate", "again"),
        ):
            async with reading(api.url, **cluster) as reader:
                found = await failure(reader)
                assert said in found.detail
                assert lift in found.lift
    async with (
        serving(server_tls(*ca.leaf("api", "127.0.0.1", begins=-9, ends=-1))) as api,
        reading(api.url, ca=ca.pem) as reader,
    ):
        found = await failure(reader)
        assert (found.reason, "expired" in found.detail) == (Reason.UNREACHABLE, True)
        assert "must renew it" in found.lift


async def test_client_certificates_work_without_touching_the_disk() -> None:
    ca = Authority()
    tls = server_tls(*ca.leaf("api", "127.0.0.1"), client_ca=ca.pem)
    certificate, key = ca.leaf("me")
    async with serving(tls) as api:
        api.on(LIST, page(["a"]))
        user = UserEntry(certificate=certificate, key=Secret(key))
        async with reading(api.url, ca=ca.pem, user=user) as reader:
            assert await listed(reader) == ["a"]
        wrong = UserEntry(certificate=certificate, key=Secret(ca.leaf("other")[1]))
        async with reading(api.url, ca=ca.pem, user=wrong) as reader:
            found = await failure(reader)
            assert "cannot be used" in found.detail
        async with reading(api.url, ca=ca.pem) as reader:
            assert (await failure(reader)).reason is Reason.UNREACHABLE


async def test_an_ended_client_certificate_is_named() -> None:
    certificate, key = Authority().leaf("me", begins=-9, ends=-1)
    async with secure() as (api, ca):
        api.on(LIST, status(401, "Unauthorized"))
        async with reading(api.url, ca=ca, user=UserEntry(certificate=certificate, key=Secret(key))) as reader:
            found = await failure(reader)
    assert "the client certificate ended 20" in found.detail
    assert found.lift == "Renew the user entry u in /kubeconfig."
