"""A plain HTTPS client of one context of a kubeconfig: client certificates, tokens, and credential plugins."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


@dataclass(frozen=True)
class Answer:
    """What came back: status, the media type without parameters, the decoded JSON or the text where it is none."""

    status: int
    media_type: str
    body: Any


class Server:
    """One API server as one user."""

    def __init__(self, kubeconfig: Path, context: str, env: Mapping[str, str] | None = None) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        names = _named(config["contexts"], context)["context"]
        cluster = _named(config["clusters"], names["cluster"])["cluster"]
        user = _named(config["users"], names["user"])["user"]
        self._address = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls, self._anonymous_tls = (ssl.create_default_context(cadata=authority) for _ in range(2))
        self._headers: dict[str, str] = {}
        self._sign_in(user, {**os.environ, **(env or {})})

    def _sign_in(self, user: dict[str, Any], env: dict[str, str]) -> None:
        if "exec" in user:
            user = _run_plugin(user["exec"], env)
        if "client-certificate-data" in user:
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = Path(folder, "crt"), Path(folder, "key")
                certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
                key.write_bytes(base64.b64decode(user["client-key-data"]))
                self._tls.load_cert_chain(certificate, key)
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, anonymous: bool = False
    ) -> Answer:
        """One request on a connection of its own; ``headers`` win over the user's, who is left out if ``anonymous``."""
        tls = self._anonymous_tls if anonymous else self._tls
        connection = http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, timeout=20, context=tls
        )
        try:
            connection.request(method, path, body, {**({} if anonymous else self._headers), **headers})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        media_type = (answer.getheader("Content-Type") or "").partition(";")[0]
        return Answer(answer.status, media_type, _decoded(text))


def _decoded(text: str) -> Any:
    """JSON, a stream of JSON lines as a list, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines()] or text
    except ValueError:
        return text


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _run_plugin(plugin: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    env = env | {each["name"]: each["value"] for each in plugin.get("env") or []}
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": {"interactive": False}}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    command = [plugin["command"], *(plugin.get("args") or [])]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
    status: dict[str, Any] = json.loads(done.stdout)["status"]
    return status
