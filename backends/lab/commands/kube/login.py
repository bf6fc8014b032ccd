"""Who we are to an API server: tokens, client certificates, credential plugins."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.lab.commands.kube.kubeconfig import Target, data_or_file
from backends.lab.commands.kube.port import Unreachable

PLUGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Login:
    """A bearer token, or a client certificate with its key (PEM), or neither."""

    token: str = ""
    certificate: bytes | None = None
    key: bytes | None = None

    def __repr__(self) -> str:
        return "Login(***)"


def log_in(target: Target) -> Login:
    """The credentials of the target's user; a plugin is run. Raises ``Unreachable``."""
    user = target.user
    if user.get("token"):
        return Login(str(user["token"]))
    if user.get("tokenFile"):
        try:
            return Login(Path(user["tokenFile"]).read_text().strip())
        except OSError as error:
            raise Unreachable(f"failed to read token file {user['tokenFile']}: {error.strerror}") from error
    if isinstance(user.get("exec"), dict):
        return _from_plugin(target, user["exec"])
    return Login("", data_or_file(user, "client-certificate"), data_or_file(user, "client-key"))


def _from_plugin(target: Target, plugin: dict[str, Any]) -> Login:
    command = str(plugin.get("command", ""))
    version = str(plugin.get("apiVersion") or "client.authentication.k8s.io/v1")
    info: dict[str, Any] = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if plugin.get("provideClusterInfo"):
        info["spec"]["cluster"] = {
            key: target.cluster[key] for key in ("server", "certificate-authority-data") if key in target.cluster
        }
    env = dict(os.environ, KUBERNETES_EXEC_INFO=json.dumps(info))
    env.update({str(item["name"]): str(item["value"]) for item in plugin.get("env") or []})
    argv = [command, *(str(argument) for argument in plugin.get("args") or [])]
    try:
        done = subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PLUGIN_SECONDS, check=False
        )
    except FileNotFoundError as error:
        hint = str(plugin.get("installHint") or "").strip()
        raise Unreachable(
            f"getting credentials: exec: executable {command} not found{f'{chr(10)}{chr(10)}{hint}' if hint else ''}"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"getting credentials: exec: {error}") from error
    if done.returncode:
        raise Unreachable(f"getting credentials: exec: executable {command} failed with exit code {done.returncode}")
    return _credential(done.stdout)


def _credential(output: bytes) -> Login:
    try:
        status = json.loads(output)["status"]
        token = str(status.get("token") or "")
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(
            "getting credentials: decoding stdout: couldn't get version/kind; json parse error"
        ) from error
    return Login(
        token,
        certificate.encode() if isinstance(certificate, str) else None,
        key.encode() if isinstance(key, str) else None,
    )
