"""Credential plugins: no terminal, answers kept until they end, every failure with its reason and way out."""

import asyncio
import base64
import json
import os
import stat
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends import process
from backends.credentials.connection import ClusterEntry, Connection, ExecPlugin, UserEntry
from backends.credentials.login import login_command
from backends.credentials.plugin import Credentials, exec_info
from mesh.facts import Reason, Unknown
from mesh.model.context import ContextRef
from mesh.reading import NotRead
from mesh.text import Secret

V1 = "client.authentication.k8s.io/v1"
BETA = "client.authentication.k8s.io/v1beta1"
REF = ContextRef("c", "c", "/f")


def connection(plugin: ExecPlugin | None, *, trusted: bool = True, **user: Any) -> Connection:
    ref = ContextRef("c", "c", "/f", trusted=trusted)
    return Connection(ref, ClusterEntry("https://c:6443"), UserEntry(plugin=plugin, **user))


def answer(version: str = BETA, **status: object) -> bytes:
    return json.dumps({"kind": "ExecCredential", "apiVersion": version, "status": status}).encode()


class Plugin:
    """Answers as a plugin would, and counts."""

    def __init__(self, *answers: process.Finished | process.NotStarted) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[str], Mapping[str, str]]] = []

    async def __call__(
        self, argv: list[str], *, environment: Mapping[str, str], path: str | None, seconds: float
    ) -> process.Finished:
        self.asked.append((argv, environment))
        await asyncio.sleep(0)
        said = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(said, process.NotStarted):
            raise said
        return said


def said(errors: str, code: int = 255, *, timed_out: bool = False) -> process.Finished:
    return process.Finished(code, b"", errors, timed_out)


async def unknown(plugin: ExecPlugin, end: process.Finished | process.NotStarted, **variables: str) -> Unknown:
    credentials = Credentials(run=Plugin(end), environment=variables)
    with pytest.raises(NotRead) as caught:
        await credentials.of(connection(plugin))
    return caught.value.unknown


AWS = ExecPlugin("aws", ("eks", "get-token", "--cluster-name", "x"), {"AWS_PROFILE": "prod"}, BETA)
AZURE = ExecPlugin(
    "kubelogin", ("get-token", "--login", "azurecli", "--server-id", "6dae42f8", "--tenant-id", "t1"), {}, BETA
)
GKE = ExecPlugin("gke-gcloud-auth-plugin", (), {}, BETA, install_hint="get it\nfrom there")


@pytest.mark.parametrize(
    ("plugin", "errors", "reason", "lift"),
    [
        (
            AWS,
            "\nThe SSO session associated with this profile has expired or is otherwise invalid. "
            "To refresh this SSO session run aws sso login with the corresponding profile.\n",
            Reason.EXPIRED,
            "aws sso login --profile prod",
        ),
        (AWS, "Error loading SSO Token: Token for x does not exist", Reason.EXPIRED, "aws sso login --profile prod"),
        (
            AWS,
            "Error when retrieving token from sso: Token has expired and refresh failed",
            Reason.EXPIRED,
            "aws sso login --profile prod",
        ),
        (
            AWS,
            "Your session has expired. Please reauthenticate using 'aws login'.",
            Reason.EXPIRED,
            "aws login --profile prod",
        ),
        (AWS, "Unable to locate credentials. You can configure credentials", Reason.EXPIRED, "aws sso login"),
        (AWS, "An error occurred (ExpiredTokenException) when calling", Reason.EXPIRED, "aws sso login"),
        (AWS, "The config profile (prod) could not be found", Reason.INVALID, "run it yourself: aws eks"),
        (
            AZURE,
            "AzureCLICredential: ERROR: AADSTS700082: The refresh token has expired due to inactivity.",
            Reason.EXPIRED,
            "az login --tenant t1",
        ),
        (AZURE, "E0101 failed to get token: Please run 'az login' to setup account.", Reason.EXPIRED, "az login"),
        (AZURE, "AzureCLICredential: Azure CLI not found on path", Reason.NO_PLUGIN, "install the Azure CLI"),
        (
            GKE,
            "ERROR: (gcloud.config) There was a problem refreshing your current auth tokens: invalid_grant",
            Reason.EXPIRED,
            "gcloud auth login",
        ),
        (GKE, "You do not currently have an active account selected.", Reason.EXPIRED, "gcloud auth login"),
        (
            ExecPlugin("tsh", ("kube", "credentials", "--proxy=p:443"), {}, V1),
            "not logged in",
            Reason.EXPIRED,
            "tsh login --proxy=p:443",
        ),
        (ExecPlugin("own", (), {}, V1), "panic: index out of range", Reason.INVALID, "run it yourself: own"),
        (ExecPlugin("own", (), {}, V1), "", Reason.INVALID, "run it yourself: own"),
        (ExecPlugin("own", (), {}, V1), "login has expired", Reason.EXPIRED, "sign in for own"),
    ],
)
async def test_what_a_failed_plugin_means(plugin: ExecPlugin, errors: str, reason: Reason, lift: str) -> None:
    found = await unknown(plugin, said(errors))
    assert (found.reason, found.lift[: len(lift)]) == (reason, lift)
    assert found.detail.startswith(f"{plugin.command}: ended with code 255: ")


async def test_a_missing_plugin_says_how_to_get_it() -> None:
    found = await unknown(GKE, process.NotStarted("gke-gcloud-auth-plugin", "it is not installed", missing=True))
    assert (found.reason, found.lift) == (Reason.NO_PLUGIN, "get it from there")
    found = await unknown(AZURE, process.NotStarted("kubelogin", "it is not installed", missing=True))
    assert (found.reason, found.lift) == (Reason.NO_PLUGIN, "az aks install-cli")
    found = await unknown(AWS, process.NotStarted("aws", "it may not be run", missing=False))
    assert found.reason is Reason.INVALID


async def test_a_plugin_that_hangs() -> None:
    found = await unknown(AWS, said("", -15, timed_out=True))
    assert (found.reason, found.detail) == (Reason.TIMEOUT, "aws: no answer in 20 s")
    device = "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code X"
    interactive = ExecPlugin("kubelogin", ("get-token", "--server-id", "6dae42f8", "--login", "devicecode"), {}, BETA)
    found = await unknown(interactive, said(device, -15, timed_out=True))
    assert found.reason is Reason.EXPIRED
    assert found.lift == "kubelogin get-token --server-id 6dae42f8 --login devicecode"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"", "no ExecCredential"),
        (b"<html>", "no ExecCredential"),
        (b"[" * 100_000, "no ExecCredential"),
        (b"\xff", "no ExecCredential"),
        (answer(V1, token="t"), f"it answered {V1} ExecCredential"),
        (b'{"kind": "Pod", "apiVersion": "v1"}', "it answered v1 Pod"),
        (answer(), "neither a token"),
        (answer(token=""), "neither a token"),
        (answer(clientCertificateData="x"), "without key"),
        (answer(token="t", expirationTimestamp="tomorrow"), "no ExecCredential"),
        (answer(token=7), "no ExecCredential"),
    ],
)
async def test_a_wrong_answer(output: bytes, words: str) -> None:
    found = await unknown(AWS, process.Finished(0, output, ""))
    assert found.reason is Reason.INVALID
    assert words in found.detail
    assert "run it yourself" in found.lift


async def test_the_token_is_never_quoted() -> None:
    found = await unknown(AWS, process.Finished(0, b'{"kind": "ExecCredential", "token": "S3CRET"', ""))
    assert "S3CRET" not in repr(found)


async def test_a_credential_is_kept_until_it_ends_and_asked_for_once() -> None:
    time = [1000.0]
    until = datetime.fromtimestamp(1900, UTC).isoformat().replace("+00:00", "Z")
    plugin = Plugin(process.Finished(0, answer(token="one", expirationTimestamp=until), ""))
    credentials = Credentials(run=plugin, now=lambda: time[0], environment={})
    got = await asyncio.gather(*(credentials.of(connection(AWS)) for _ in range(8)))
    assert [found.token.reveal() for found in got if found.token] == 8 * ["one"]
    assert len(plugin.asked) == 1
    time[0] = 1885.0
    await credentials.of(connection(AWS))
    assert len(plugin.asked) == 1
    time[0] = 1895.0
    await credentials.of(connection(AWS))
    assert len(plugin.asked) == 2
    assert "one" not in repr(got).replace("None", "")


async def test_a_refused_credential_is_dropped_once() -> None:
    plugin = Plugin(process.Finished(0, answer(token="one"), ""))
    credentials = Credentials(run=plugin, environment={})
    await credentials.of(connection(AWS))
    assert credentials.forget(connection(AWS))
    assert not credentials.forget(connection(AWS))
    await credentials.of(connection(AWS))
    assert len(plugin.asked) == 2
    assert not credentials.forget(connection(None, token=Secret("t")))


async def test_contexts_with_the_same_plugin_share_its_answer_and_others_do_not() -> None:
    plugin = Plugin(process.Finished(0, answer(token="one"), ""))
    credentials = Credentials(run=plugin, environment={})
    await credentials.of(connection(AWS))
    other = ExecPlugin("aws", ("eks", "get-token", "--cluster-name", "y"), {"AWS_PROFILE": "prod"}, BETA)
    await credentials.of(connection(other))
    await credentials.of(connection(AWS))
    assert len(plugin.asked) == 2


async def test_what_the_kubeconfig_holds_goes_before_the_plugin(tmp_path: Path) -> None:
    plugin = Plugin(process.Finished(0, answer(token="one"), ""))
    credentials = Credentials(run=plugin, environment={})
    got = await credentials.of(connection(AWS, token=Secret("static")))
    assert got.token is not None
    assert got.token.reveal() == "static"
    token_file = tmp_path / "token"
    token_file.write_text("rotated\n")
    got = await credentials.of(connection(None, token=Secret("old"), token_file=str(token_file)))
    assert got.token is not None
    assert got.token.reveal() == "rotated"
    token_file.unlink()
    got = await credentials.of(connection(None, token=Secret("old"), token_file=str(token_file)))
    assert got.token is not None
    assert got.token.reveal() == "old"
    with pytest.raises(NotRead, match="No such file"):
        await credentials.of(connection(None, token_file=str(token_file)))
    assert (await credentials.of(connection(None))).token is None
    assert not plugin.asked


async def test_auth_providers_are_named_as_gone() -> None:
    with pytest.raises(NotRead) as caught:
        await Credentials(environment={}).of(connection(None, auth_provider="gcp"))
    assert caught.value.unknown.reason is Reason.UNSUPPORTED
    assert "gke-gcloud-auth-plugin" in caught.value.unknown.lift


async def test_a_foreign_plugin_and_an_interactive_one_are_not_run() -> None:
    plugin = Plugin(process.Finished(0, answer(token="one"), ""))
    credentials = Credentials(run=plugin, environment={})
    with pytest.raises(NotRead) as caught:
        await credentials.of(connection(AWS, trusted=False))
    assert "its plugin was not run: aws eks get-token" in caught.value.unknown.detail
    always = ExecPlugin("kubectl-oidc_login", (), {}, V1, interactive_mode="Always")
    with pytest.raises(NotRead) as caught:
        await credentials.of(connection(always))
    assert caught.value.unknown.reason is Reason.EXPIRED
    assert not plugin.asked
    credentials.keep(connection(always), answer(V1, token="typed"))
    got = await credentials.of(connection(always))
    assert got.token is not None
    assert got.token.reveal() == "typed"


def test_login_commands() -> None:
    assert login_command(("aws-iam-authenticator", "token", "-i", "x"), {}) == ("aws", "sso", "login")
    assert login_command(("/usr/bin/aws", "--profile=dev", "eks", "get-token"), {"AWS_PROFILE": "prod"}) == (
        "aws", "sso", "login", "--profile", "dev"
    )  # fmt: skip
    assert login_command(("kubelogin", "get-token", "--server-id", "x", "-l", "spn"), {}) == ()
    assert login_command(("kubelogin", "get-token", "--oidc-issuer-url=https://x"), {})[0] == "kubelogin"
    assert login_command(("az", "aks", "x"), {}) == ("az", "login")
    assert login_command((), {}) == ()


def test_exec_info_is_what_the_plugin_asked_for() -> None:
    plain = connection(ExecPlugin("x", (), {}, V1))
    assert json.loads(exec_info(plain, interactive=False)) == {
        "kind": "ExecCredential",
        "apiVersion": V1,
        "spec": {"interactive": False},
    }
    cluster = ClusterEntry("https://c", "inner", ca=b"PEM", proxy_url="http://p", exec_config={"audience": "a"})
    full = Connection(REF, cluster, UserEntry(plugin=ExecPlugin("x", (), {}, V1, provide_cluster_info=True)))
    assert json.loads(exec_info(full, interactive=True))["spec"] == {
        "cluster": {
            "server": "https://c",
            "tls-server-name": "inner",
            "certificate-authority-data": base64.b64encode(b"PEM").decode(),
            "proxy-url": "http://p",
            "config": {"audience": "a"},
        },
        "interactive": True,
    }


@pytest.fixture
def script(tmp_path: Path) -> ExecPlugin:
    path = tmp_path / "plugin"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "mode = sys.argv[1]\n"
        "if mode == 'hang': import time; print('waiting', file=sys.stderr, flush=True); time.sleep(60)\n"
        "if mode == 'fail': sys.exit('\\x1b[31mToken has expired and refresh failed\\x1b[0m')\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "tty = sys.stdin.isatty() or sys.stderr.isatty()\n"
        "token = '|'.join([os.environ['EXTRA'], sys.stdin.read(), str(tty), str(info['spec']['interactive'])])\n"
        "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': info['apiVersion'], 'status': {'token': token}}))\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return ExecPlugin(str(path), ("good",), {"EXTRA": "seen"}, V1)


async def test_a_real_plugin_gets_no_terminal_and_no_input(script: ExecPlugin) -> None:
    got = await Credentials().of(connection(script))
    assert got.token is not None
    assert got.token.reveal() == "seen||False|False"


async def test_a_real_plugin_that_fails_or_hangs(script: ExecPlugin) -> None:
    def of(mode: str) -> Connection:
        return connection(ExecPlugin(script.command, (mode,), script.env, V1))

    with pytest.raises(NotRead) as caught:
        await Credentials().of(of("fail"))
    assert caught.value.unknown.detail == "plugin: ended with code 1: Token has expired and refresh failed"
    began = time.monotonic()
    with pytest.raises(NotRead) as caught:
        await Credentials(seconds=0.7).of(of("hang"))
    assert caught.value.unknown.reason is Reason.TIMEOUT
    assert time.monotonic() - began < 5


async def test_the_plugin_is_found_on_our_path_only(script: ExecPlugin, tmp_path: Path) -> None:
    named = ExecPlugin("plugin", ("good",), {"EXTRA": "seen", "PATH": str(tmp_path)}, V1)
    with pytest.raises(NotRead) as caught:
        await Credentials().of(connection(named))
    assert caught.value.unknown.reason is Reason.NO_PLUGIN
    found = Credentials(environment={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (await found.of(connection(ExecPlugin("plugin", ("good",), {"EXTRA": "x"}, V1)))).token is not None
