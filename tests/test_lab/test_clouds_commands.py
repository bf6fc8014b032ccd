"""The stand-ins of aws, az and kubelogin, run as programs, and the credentials of the real SDKs that they feed."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.commands import write_commands
from backends.lab.clouds.logins import AKS_SERVER_ID, ARM_RESOURCE, Logins


class Shell:
    """A folder of commands with two AWS profiles and one Azure login."""

    def __init__(self, folder: Path) -> None:
        self.logins = Logins(folder / "logins", random.Random(7))
        self.logins.add_aws("lab", "123456789012", "ap-northeast-1")
        self.logins.add_aws("other", "210987654321", "us-east-1", role="Viewer")
        self.logins.add_azure("t-1", [("s-1", "mesh"), ("s-2", "spare")], user="operator@mesh-lab.example")
        self.path = folder / "bin with space"
        write_commands(self.path, sys.executable, folder)

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.path / words[0]), *words[1:]],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={"PATH": os.environ["PATH"], **environment},
        )

    def json(self, *words: str, **environment: str) -> Any:
        done = self.run(*words, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


GET_TOKEN = ("aws", "--region", "ap-northeast-1", "eks", "get-token", "--cluster-name", "x", "--output", "json")
KUBELOGIN = ("kubelogin", "get-token", "--login", "azurecli", "--server-id", AKS_SERVER_ID)


def test_tokens_are_exec_credentials_of_the_version_asked_for(shell: Shell) -> None:
    version = "client.authentication.k8s.io/v1"
    asked = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}})
    for words in ((*GET_TOKEN, "--profile", "lab"), KUBELOGIN):
        credential = shell.json(*words, KUBERNETES_EXEC_INFO=asked)
        assert (credential["kind"], credential["apiVersion"]) == ("ExecCredential", version)
        assert credential["status"]["token"]
        assert shell.json(*words)["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert shell.json(*GET_TOKEN, AWS_PROFILE="lab")["status"]["token"].startswith("k8s-aws-v1.")
    assert shell.json(*KUBELOGIN)["status"]["token"] == shell.logins.azure()["tokens"][AKS_SERVER_ID]


def test_identities_and_profiles(shell: Shell) -> None:
    who = shell.json("aws", "sts", "get-caller-identity", "--profile", "other")
    assert who["Account"] == "210987654321"
    assert ":assumed-role/AWSReservedSSO_Viewer_" in who["Arn"]
    assert shell.run("aws", "configure", "list-profiles").stdout.split() == ["lab", "other"]
    assert shell.json("az", "account", "show", "-s", "spare")["id"] == "s-2"
    assert [row["id"] for row in shell.json("az", "account", "list")] == ["s-1", "s-2"]


def test_ended_logins_fail_as_the_real_commands_do_and_can_be_renewed(shell: Shell) -> None:
    shell.logins.set_valid("aws-lab", False)
    shell.logins.set_valid("azure", False)
    ended = shell.run(*GET_TOKEN, AWS_PROFILE="lab")
    assert (ended.returncode, ended.stdout) == (255, "")
    assert "Error when retrieving token from sso: Token has expired and refresh failed" in ended.stderr
    assert shell.run(*GET_TOKEN, AWS_PROFILE="other").returncode == 0, "each profile has a login of its own"
    for words in (KUBELOGIN, ("az", "account", "get-access-token", "--resource", ARM_RESOURCE)):
        ended = shell.run(*words)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "AADSTS70043" in ended.stderr
        assert "az login" in ended.stderr
    assert "Successfully logged into Start URL" in shell.run("aws", "sso", "login", "--profile", "lab").stdout
    assert json.loads(shell.run("az", "login").stdout)[0]["isDefault"] is True
    assert shell.run(*GET_TOKEN, "--profile=lab").returncode == 0
    assert shell.run(*KUBELOGIN).returncode == 0
    assert shell.logins.aws("lab")["valid"] is True
    assert shell.logins.azure()["valid"] is True


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ("aws", "eks", "get-token", "--cluster-name", "x", "--profile", "no"),
            255,
            "The config profile (no) could not",
        ),
        (("aws", "eks", "get-token", "--profile", "lab"), 255, "--cluster-name or --cluster-id"),
        (("aws", "s3", "ls"), 252, "argument command: Invalid choice"),
        (("aws", "eks", "delete-cluster"), 252, "argument operation: Invalid choice"),
        (("aws",), 252, "the following arguments are required: command"),
        (("az", "vm", "list"), 2, "'vm list' is misspelled or not recognized"),
        (("az", "account", "show", "-s", "nobody"), 1, "Subscription 'nobody' not found"),
        (("az", "account", "get-access-token", "--resource", "https://x"), 1, "AADSTS500011"),
        (("kubelogin", "get-token"), 1, 'required flag(s) "server-id" not set'),
        (("kubelogin", "get-token", "--login", "magic", "--server-id", "x"), 1, '"magic" is not supported'),
        (("kubelogin", "fly"), 1, 'unknown command "fly"'),
    ],
)
def test_mistakes_end_as_with_the_real_commands(shell: Shell, words: tuple[str, ...], code: int, text: str) -> None:
    done = shell.run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


def test_nobody_signed_in(tmp_path: Path) -> None:
    write_commands(tmp_path / "bin", sys.executable, tmp_path)
    done = subprocess.run([tmp_path / "bin" / "az", "account", "show"], capture_output=True, text=True, check=False)
    assert (done.returncode, "az login" in done.stderr) == (1, True)


def test_commands_start_faster_than_anybody_notices(shell: Shell) -> None:
    def seconds(*words: str) -> float:
        began = time.perf_counter()
        shell.run(*words, AWS_PROFILE="lab")
        return time.perf_counter() - began

    bare = min(_bare() for _ in range(5))
    # A ratio to the interpreter's own start, so that a busy machine does not fail the test; 60 ms where it is idle.
    assert min(seconds(*GET_TOKEN) for _ in range(5)) < max(0.06, 6 * bare)


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.perf_counter() - began


def test_the_real_sdks_sign_in_with_them(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import boto3
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import AzureCliCredential
    from botocore.exceptions import CredentialRetrievalError

    monkeypatch.setenv("PATH", f"{shell.path}{os.pathsep}{os.environ['PATH']}")
    config = tmp_path / "config"
    process = f'"{shell.path / "aws"}" configure export-credentials --profile lab'
    config.write_text(f"[profile plain]\nregion = ap-northeast-1\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    keys = boto3.Session(profile_name="plain").get_credentials().get_frozen_credentials()
    assert keys.access_key == shell.logins.aws("lab")["access_key"]
    token = AzureCliCredential().get_token(f"{ARM_RESOURCE}/.default")
    assert token.token == shell.logins.azure()["tokens"][ARM_RESOURCE]
    assert token.expires_on > time.time() + 600
    shell.logins.set_valid("aws-lab", False)
    shell.logins.set_valid("azure", False)
    with pytest.raises(CredentialRetrievalError, match="Token has expired"):
        boto3.Session(profile_name="plain").get_credentials().get_frozen_credentials()
    with pytest.raises(ClientAuthenticationError):
        AzureCliCredential().get_token(f"{ARM_RESOURCE}/.default")
