"""The contexts port: what a cheap look shows, and signing in through a plugin or a login command."""

import asyncio
import base64
import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from backends.bundle import open_bundle
from backends.contexts import Contexts, RecordedContexts
from backends.credentials.plugin import Credentials
from backends.kube.reader import LiveReader
from backends.kube.session import ApiSession
from backends.kubeconfig.listing import Kubeconfig, unique_keys
from mesh.model.context import Access, ContextRef
from mesh.reading import ClusterReader
from tests.test_backends.recorded import EKS, RECORDINGS
from tests.test_backends.servers.api import Api, Authority, server_tls, serving, status
from tests.test_backends.test_collectors_live import CONFIG, RULES, daemon_set, rules

AGENTS = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium"


def kubeconfig(folder: Path, server: str, user: str = "{token: t}", ca: str = "") -> Kubeconfig:
    path = folder / "config"
    path.write_text(
        f"clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority-data: '{ca}'}}}}]\n"
        f"users: [{{name: u, user: {user}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c"
    )
    return Kubeconfig([str(path)])


def opened(config: Kubeconfig, read_seconds: float = 8.0) -> tuple[Contexts, ContextRef]:
    known = Credentials()

    def connect(ref: ContextRef) -> ClusterReader:
        return LiveReader(ApiSession(config.connection(ref), known, environment={}, read_seconds=read_seconds))

    contexts = Contexts(config, known, connect)
    return contexts, contexts.list().contexts[0]


def healthy(api: Api) -> None:
    api.on("/version", web.json_response({"gitVersion": "v1.31.4-eks-1", "major": "1", "minor": "31+"}))
    api.on("/api/v1/namespaces/kube-system", web.json_response({"metadata": {"uid": "u-1"}}))
    api.on(RULES, rules(("*", "*", "*", [])))
    api.on(AGENTS, web.json_response(daemon_set("cilium", **{"kubernetes.azure.com/managedby": "aks"})))
    data = {"cluster-name": "mesh-a", "cluster-id": "3"}
    api.on(CONFIG, web.json_response({"metadata": {}, "data": data}))


async def test_what_a_look_shows(tmp_path: Path) -> None:
    async with serving() as api:
        healthy(api)
        contexts, ref = opened(kubeconfig(tmp_path, api.url))
        seen = await contexts.peek(ref)
        assert (seen.access, seen.version, seen.cluster_uid) == (Access.READY, "1.31", "u-1")
        assert (seen.cilium_version, seen.cilium_name, seen.cilium_id) == ("1.19.5", "mesh-a", 3)
        assert (seen.managed, seen.missing) == (True, ())
        assert seen.rights[0] == seen.rights[1] > 10
        assert contexts.current() == "c"
        api.on(RULES, rules(("get list", "* apps discovery.k8s.io cilium.io batch", "*", [])))
        seen = await contexts.peek(ref)
        assert seen.access is Access.PARTIAL
        assert "create pods/exec in kube-system" in seen.missing
        assert seen.detail == f"{seen.rights[0]} of {seen.rights[1]} rights"


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "access"),
    [
        (status(401, "Unauthorized"), Access.EXPIRED),
        (hang, Access.UNREACHABLE),
        (status(503, "down"), Access.UNREACHABLE),
        (web.Response(text="<html>", content_type="text/html"), Access.INVALID),
    ],
)
async def test_access_states(tmp_path: Path, answer: Any, access: Access) -> None:
    async with serving() as api:
        healthy(api)
        api.on("/version", answer)
        contexts, ref = opened(kubeconfig(tmp_path, api.url), 0.5 if answer is hang else 8.0)
        seen = await contexts.peek(ref)
        assert seen.access is access
        assert seen.detail
        assert (seen.version, seen.cluster_uid, seen.cilium_version) == ("", "", "")


async def test_denied_everything(tmp_path: Path) -> None:
    async with serving() as api:
        for path in ("/version", "/api/v1/namespaces/kube-system", RULES, AGENTS, CONFIG):
            api.on(path, status(403, "no"))
        contexts, ref = opened(kubeconfig(tmp_path, api.url))
        assert (await contexts.peek(ref)).access is Access.DENIED


async def test_a_missing_plugin_and_a_broken_entry(tmp_path: Path) -> None:
    missing = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-plugin, installHint: get it}}"
    contexts, ref = opened(kubeconfig(tmp_path, "https://127.0.0.1:1", missing))
    seen = await contexts.peek(ref)
    assert (seen.access, "not installed" in seen.detail) == (Access.NO_PLUGIN, True)
    contexts, ref = opened(kubeconfig(tmp_path, "ftp://x"))
    assert (await contexts.peek(ref)).access is Access.INVALID
    assert contexts.login_command(ref) == ()
    assert contexts.sign_in(ref) == 1


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def plugin_entry(command: Path | str, *args: str, mode: str = "IfAvailable") -> str:
    version = "client.authentication.k8s.io/v1"
    return json.dumps(
        {"exec": {"apiVersion": version, "interactiveMode": mode, "command": str(command), "args": list(args)}}
    )


async def test_a_plugin_that_leads_through_the_login_is_run_and_its_answer_is_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = (
        "import json, os, sys\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert info['spec']['interactive'] is True\n"
        "print('open the page and enter the code', file=sys.stderr)\n"
        "answer = {'kind': 'ExecCredential', 'apiVersion': info['apiVersion'], 'status': {'token': 'S3CRET'}}\n"
        "print(json.dumps(answer))\n"
    )
    plugin = script(tmp_path / "oidc", body)
    ca = Authority()
    async with serving(server_tls(*ca.leaf("api", "127.0.0.1"))) as api:
        healthy(api)
        config = kubeconfig(tmp_path, api.url, plugin_entry(plugin, mode="Always"), base64.b64encode(ca.pem).decode())
        contexts, ref = opened(config)
        assert (await contexts.peek(ref)).access is Access.EXPIRED
        assert contexts.sign_in(ref) == 0
        assert (await contexts.peek(ref)).access is Access.READY
        assert api.seen[-1].headers["Authorization"] == "Bearer S3CRET"
    shown = capfd.readouterr()
    assert "enter the code" in shown.err
    assert "S3CRET" not in shown.out + shown.err


def test_the_login_command_runs_with_the_entrys_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    told_by = "' '.join(sys.argv[1:]) + os.environ['AWS_CONFIG_FILE']"
    script(tmp_path / "aws", f"import os, sys\nopen({str(told)!r}, 'w').write({told_by})\nsys.exit(7)")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    entry = json.loads(plugin_entry("aws", "eks", "get-token", "--profile", "prod"))
    entry["exec"]["env"] = [{"name": "AWS_CONFIG_FILE", "value": "/mine"}]
    contexts, ref = opened(kubeconfig(tmp_path, "https://127.0.0.1:1", json.dumps(entry)))
    assert contexts.login_command(ref) == ("aws", "sso", "login", "--profile", "prod")
    assert contexts.sign_in(ref) == 7
    assert told.read_text() == "sso login --profile prod/mine"


def test_without_a_login_command_there_is_nothing_to_run(tmp_path: Path) -> None:
    contexts, ref = opened(kubeconfig(tmp_path, "https://127.0.0.1:1"))
    assert contexts.login_command(ref) == ()
    assert contexts.sign_in(ref) == 127


async def test_a_look_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.contexts.PEEK_SECONDS", 0.2)
    plugin = script(tmp_path / "slow", "import time; time.sleep(60)")
    contexts, ref = opened(kubeconfig(tmp_path, "https://127.0.0.1:1", plugin_entry(plugin)))
    began = time.monotonic()
    seen = await contexts.peek(ref)
    assert (seen.access, seen.detail) == (Access.UNREACHABLE, "no answer within 0.2 s")
    assert time.monotonic() - began < 4


async def test_a_bundle_has_contexts_too() -> None:
    contexts = RecordedContexts(open_bundle([str(RECORDINGS / "connected-1.19.5")], unique_keys))
    refs = contexts.list().contexts
    eks = next(ref for ref in refs if ref.key == EKS)
    seen = await contexts.peek(eks)
    assert (seen.version, seen.cilium_version, seen.cilium_id) == ("1.34", "1.19.5", 1)
    assert (seen.access, seen.where) == (Access.READY, "ap-northeast-1")
    assert (contexts.login_command(eks), contexts.sign_in(eks)) == ((), 1)
