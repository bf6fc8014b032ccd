"""What goes over the wire: the real kubectl and our reader against one server and one proxy, header by header."""

import asyncio
import base64
import contextlib
import json
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from backends.credentials.plugin import Credentials, exec_info
from backends.kube.proxies import proxy_for
from backends.kube.reader import LiveReader
from backends.kube.session import ApiSession
from mesh.model.kinds import Resource
from mesh.reading import NotRead
from tests.real.test_kubeconfig_kubectl import BETA, PLAIN, V1, ours
from tests.test_backends.servers.api import Authority, server_tls, serving
from tests.test_backends.test_kube_reader import Named

pytestmark = pytest.mark.real


def write(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    path = folder / "config"
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(document))
    return path


async def by_kubectl(kubectl: Path, path: Path, *argv: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        kubectl, "--kubeconfig", path, *argv,
        env={**PLAIN, **variables}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


async def by_us(path: Path, **variables: str) -> None:
    config = ours([path])
    session = ApiSession(config.connection(config.contexts().contexts[0]), Credentials(), environment=variables)
    reader = LiveReader(session)
    try:
        await reader.list(Resource("pods"), Named)
    finally:
        await reader.close()


WHO = {"as": "jane doe", "as-uid": "7", "as-groups": ["dev", "ops"], "as-user-extra": {"Ex.com/Why%": ["a", "b"]}}
TELLING = ("authorization", "impersonate-")
USERS: tuple[dict[str, Any], ...] = (
    {"token": "tok"}, {"username": "u", "password": "p:w"}, {**WHO, "token": "t"}, {}, {"username": "only"},
)  # fmt: skip


# Over TLS and without any credentials kubectl would ask for a name and password on the terminal.
CASES = [(user, secure) for user in USERS for secure in (True, False) if user or not secure]


@pytest.mark.parametrize(("user", "secure"), CASES)
@pytest.mark.parametrize("place", ["", "/k8s/clusters/c-1/"])
async def test_the_same_request_arrives(
    kubectl: Path, tmp_path: Path, user: dict[str, Any], secure: bool, place: str
) -> None:
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1")) if secure else None) as api:
        api.on(place.rstrip("/") + "/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        trust = {"certificate-authority-data": base64.b64encode(ca.pem).decode()} if secure else {}
        path = write(tmp_path, {"server": api.url + place, **trust}, user)
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods?limit=500")
        assert code == 0, said
        await by_us(path)
        theirs, mine = api.seen
    assert theirs.path_qs == mine.path_qs
    assert telling(theirs.headers) == telling(mine.headers)
    assert bool(telling(mine.headers)) is bool(user and (secure or "as" in user))


def telling(headers: Any) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in headers.items() if name.lower().startswith(TELLING))


@pytest.mark.parametrize(
    ("names", "cluster", "good"),
    [
        (("127.0.0.1",), {}, True),
        (("other.example",), {}, False),
        (("other.example",), {"tls-server-name": "other.example"}, True),
        (("other.example",), {"insecure-skip-tls-verify": True, "certificate-authority-data": ""}, True),
        (("127.0.0.1",), {"certificate-authority-data": ""}, False),
        (("127.0.0.1",), {"insecure-skip-tls-verify": True}, False),
        ((), {}, False),
    ],
)
async def test_the_same_servers_are_trusted(
    kubectl: Path, tmp_path: Path, names: Sequence[str], cluster: dict[str, Any], good: bool
) -> None:
    ca = Authority()
    tls = server_tls(*ca.leaf("127.0.0.1", *names))
    async with serving(tls) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        whole = {"server": api.url, "certificate-authority-data": base64.b64encode(ca.pem).decode(), **cluster}
        path = write(tmp_path, {key: value for key, value in whole.items() if value}, {"token": "t"})
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods")
        assert (code == 0) is good, said
        if good:
            await by_us(path)
        else:
            with pytest.raises(NotRead):
                await by_us(path)


async def test_the_same_client_certificate_is_shown(kubectl: Path, tmp_path: Path) -> None:
    ca = Authority()
    tls = server_tls(*ca.leaf("api", "127.0.0.1"), client_ca=ca.pem)
    certificate, key = ca.leaf("me")
    subjects: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert")
        subjects.append(shown["subject"][0][0][1])
        return web.json_response({"metadata": {}, "items": []})

    async with serving(tls) as api:
        api.on("/api/v1/pods", answer)
        data = {"client-certificate-data": certificate, "client-key-data": key}
        user = {name: base64.b64encode(value).decode() for name, value in data.items()}
        cluster = {"server": api.url, "certificate-authority-data": base64.b64encode(ca.pem).decode()}
        path = write(tmp_path, cluster, user)
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods")
        assert code == 0, said
        await by_us(path)
    assert subjects == ["me", "me"]


EXTENSION = "client.authentication.k8s.io/exec"
NOBODY = "https://127.0.0.1:9"
PLUGIN = """#!{python}
import json, os, sys
info = os.environ["KUBERNETES_EXEC_INFO"]
with open(os.environ["WRITE_TO"], "a") as told:
    told.write(json.dumps([info, sys.argv[1:], os.environ.get("EXTRA"), sys.stdin.read()]) + "\\n")
version = json.loads(info)["apiVersion"]
print(json.dumps({{"kind": "ExecCredential", "apiVersion": version, "status": {{"token": "from plugin"}}}}))
"""


@pytest.mark.parametrize(
    ("version", "provide", "cluster"),
    [
        (V1, False, {}),
        (BETA, True, {}),
        (V1, True, {"tls-server-name": "inner", "disable-compression": True}),
        (V1, True, {"proxy-url": "http://127.0.0.1:9"}),
        (V1, True, {"extensions": [{"name": EXTENSION, "extension": {"audience": "x", "n": [1]}}]}),
        (V1, True, {"certificate-authority-data": base64.b64encode(Authority().pem).decode(), "server": NOBODY}),
        (V1, True, {"insecure-skip-tls-verify": True, "server": NOBODY}),
    ],
)  # fmt: skip
async def test_plugins_are_given_the_same(
    kubectl: Path, tmp_path: Path, version: str, provide: bool, cluster: dict[str, Any]
) -> None:
    program, told = tmp_path / "deep" / "plugin", tmp_path / "told"
    program.parent.mkdir()
    program.write_text(PLUGIN.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    entry = {
        "apiVersion": version, "command": "./deep/plugin", "args": ["a b", "c"], "interactiveMode": "IfAvailable",
        "provideClusterInfo": provide,
        "env": [{"name": "WRITE_TO", "value": str(told)}, {"name": "EXTRA", "value": "e"}],
    }  # fmt: skip
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1", "inner"))) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        trust = {} if "server" in cluster else {"certificate-authority-data": base64.b64encode(ca.pem).decode()}
        path = write(tmp_path, {"server": api.url, **trust, **cluster}, {"exec": entry})
        await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods")
        answered = "server" not in cluster and "proxy-url" not in cluster
        with contextlib.nullcontext() if answered else pytest.raises(NotRead):
            await by_us(path)
        if answered:
            assert {request.headers["Authorization"] for request in api.seen} == {"Bearer from plugin"}
    theirs, *_, mine = (json.loads(line) for line in told.read_text().splitlines())
    assert json.loads(theirs[0]) == json.loads(mine[0])
    assert theirs[1:] == mine[1:]
    config = ours([path])
    assert exec_info(config.connection(config.contexts().contexts[0]), interactive=False) == mine[0]


MODES = [
    (version, mode)
    for version in (V1, BETA, "client.authentication.k8s.io/v1alpha1", "")
    for mode in (None, "Never", "IfAvailable", "Always", "never", "Sometimes")
]


@pytest.mark.parametrize(("version", "mode"), MODES)
async def test_the_same_plugins_are_run_without_a_terminal(
    kubectl: Path, tmp_path: Path, version: str, mode: str | None
) -> None:
    program, told = tmp_path / "plugin", tmp_path / "told"
    program.write_text(PLUGIN.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    entry: dict[str, Any] = {"command": "./plugin", "env": [{"name": "WRITE_TO", "value": str(told)}]}
    entry |= {"apiVersion": version} if version else {}
    entry |= {"interactiveMode": mode} if mode else {}
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1"))) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        trust = {"certificate-authority-data": base64.b64encode(ca.pem).decode()}
        path = write(tmp_path, {"server": api.url, **trust}, {"exec": entry})
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods")
        theirs = len(told.read_text().splitlines()) if told.exists() else 0
        assert bool(theirs) is (code == 0), said
        with contextlib.nullcontext() if theirs else pytest.raises(NotRead):
            await by_us(path)
    assert (len(told.read_text().splitlines()) if told.exists() else 0) == 2 * theirs


@pytest.mark.parametrize("command", ["plugin", "./plugin", "deep/plugin", "gone", "./gone", "deep/text", ""])
async def test_the_same_program_is_found(
    kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A bare name on PATH, a path beside the kubeconfig, and neither of them relative to where one stands."""
    places = {"path": tmp_path / "path", "beside": tmp_path, "deep": tmp_path / "deep", "here": tmp_path / "here"}
    told = tmp_path / "told"
    for name, folder in places.items():
        folder.mkdir(exist_ok=True)
        program = folder / "plugin"
        program.write_text(PLUGIN.format(python=sys.executable).replace("sys.argv[1:]", repr(name)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "deep" / "text").write_text("no program")
    entry = {"apiVersion": BETA, "command": command, "env": [{"name": "WRITE_TO", "value": str(told)}]}
    monkeypatch.chdir(places["here"])
    search = f"{places['path']}:{PLAIN['PATH']}"
    monkeypatch.setenv("PATH", search)
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1"))) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        trust = {"certificate-authority-data": base64.b64encode(ca.pem).decode()}
        path = write(tmp_path, {"server": api.url, **trust}, {"exec": entry})
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods", PATH=search)
        with contextlib.nullcontext() if code == 0 else pytest.raises(NotRead):
            await by_us(path)
    ran = [json.loads(line)[1] for line in told.read_text().splitlines()] if told.exists() else []
    assert len(ran) == (2 if code == 0 else 0) and len(set(ran)) <= 1, said


async def test_files_that_an_entry_names_lie_beside_it(
    kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CA, client certificate, key and token file by relative paths, from another folder."""
    ca = Authority()
    certificate, key = ca.leaf("me")
    (tmp_path / "pki").mkdir()
    for name, content in {"ca.pem": ca.pem, "me.pem": certificate, "me.key": key, "token": b"from file\n"}.items():
        (tmp_path / "pki" / name).write_bytes(content)
    user = {"client-certificate": "pki/me.pem", "client-key": "pki/me.key", "tokenFile": "pki/token"}
    monkeypatch.chdir("/")
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1"), client_ca=ca.pem)) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        path = write(tmp_path, {"server": api.url, "certificate-authority": "pki/ca.pem"}, user)
        code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods?limit=500")
        assert code == 0, said
        await by_us(path)
    theirs, mine = (telling(request.headers) for request in api.seen)
    assert mine == theirs == [("authorization", "Bearer from file")]


SERVERS = (
    "https://api.corp:6443",
    "https://10.9.8.7:6443",
    "https://[fd00::1]:6443",
    "http://api.corp",
    "https://localhost:9",
)
NO_PROXY = (
    "", "corp", ".corp", "*.corp", "api.corp:6443", "api.corp:443", "x, *", "10.0.0.0/8", "10.9.8.7", "10.9.8.7:443",
    "fd00::/8", "[fd00::1]:6443", "API.CORP", "orp", ",,", "*",
)  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
async def test_the_same_servers_are_reached_through_the_proxy(kubectl: Path, tmp_path: Path, server: str) -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        path = write(tmp_path, {"server": server}, {"token": "t"})
        for no_proxy in NO_PROXY:
            variables = {"HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": no_proxy}
            heard.clear()
            argv = ("--request-timeout", "1s", "get", "--raw", "/version")
            await by_kubectl(kubectl, path, *argv, **variables)
            expected = proxy_for(server, "", variables)
            assert bool(heard) == bool(expected), (server, no_proxy, heard)


@contextlib.asynccontextmanager
async def tunnelling(port: int) -> AsyncIterator[tuple[int, list[list[str]]]]:
    """A proxy whose every CONNECT leads to one port of this machine: its own port, and what it was asked."""
    asked: list[list[str]] = []

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await source.read(65536):
                target.write(part)
                await target.drain()
        target.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        asked.append([head[0], *sorted(line for line in head if line.lower().startswith("proxy-auth"))])
        inner = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, inner[1]), pump(inner[0], writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.mark.parametrize("login", ["", "me:s%40cret@"])
@pytest.mark.parametrize("by", ["proxy-url", "HTTPS_PROXY", "https_proxy"])
async def test_the_same_is_asked_of_the_proxy_and_behind_it(kubectl: Path, tmp_path: Path, by: str, login: str) -> None:
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "api.corp"))) as api:
        api.on("/api/v1/pods", web.json_response({"metadata": {}, "items": []}))
        async with tunnelling(int(api.url.rpartition(":")[2])) as (port, asked):
            proxy = f"http://{login}127.0.0.1:{port}"
            trust = {"certificate-authority-data": base64.b64encode(ca.pem).decode()}
            named = {"proxy-url": proxy} if by == "proxy-url" else {}
            path = write(tmp_path, {"server": "https://api.corp:6443", **trust, **named}, {"token": "tok"})
            variables = {} if named else {by: proxy}
            code, said = await by_kubectl(kubectl, path, "get", "--raw", "/api/v1/pods?limit=500", **variables)
            assert code == 0, said
            await by_us(path, **variables)
    theirs, mine = asked
    assert mine == theirs and theirs[0] == "CONNECT api.corp:6443 HTTP/1.1" and len(theirs) == (2 if login else 1)
    assert [request.path_qs for request in api.seen] == ["/api/v1/pods?limit=500"] * 2
    assert {request.headers["Authorization"] for request in api.seen} == {"Bearer tok"}
