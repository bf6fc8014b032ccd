"""The port over HTTPS, with the user's kubeconfig."""

import json
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from backends.lab.commands.kube.kinds import Kind
from backends.lab.commands.kube.kubeconfig import Target, data_or_file
from backends.lab.commands.kube.login import Login, log_in
from backends.lab.commands.kube.port import ApiFailure, Object, Unreachable

SECONDS: Final = 30.0
MERGE_PATCH: Final = "application/merge-patch+json"


class HttpPort:
    """One API server, asked over one kept-alive connection as ``agent``."""

    def __init__(self, target: Target, agent: str) -> None:
        self.target = target
        self._agent = agent
        self._connection: HTTPConnection | None = None
        self._headers: dict[str, str] = {}
        self._ahead = 0.0

    def version(self) -> str:
        """The API server's version."""
        return str(self.call("GET", "/version").get("gitVersion", ""))

    def now(self) -> float:
        """The server's clock: this machine's, moved by what the last answer's ``Date`` said."""
        return time.time() + self._ahead

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or ``None``."""
        try:
            return self.call("GET", kind.path(namespace, name))
        except ApiFailure as error:
            if error.missing:
                return None
            raise

    def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The objects of a kind with these labels."""
        query = {}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        items: list[Object] = []
        while True:
            answer = self.call("GET", kind.path(namespace), query=query)
            items += [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer.get("items") or []]
            query["continue"] = (answer.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                return items

    def create(self, kind: Kind, item: Object) -> Object:
        """Create an object."""
        return self.call("POST", kind.path(item["metadata"].get("namespace")), item)

    def replace(self, kind: Kind, item: Object) -> Object:
        """Replace an object as a whole."""
        metadata = item["metadata"]
        return self.call("PUT", kind.path(metadata.get("namespace"), metadata["name"]), item)

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Object) -> Object:
        """Change an object by a JSON merge patch."""
        return self.call("PATCH", kind.path(namespace, name), body, content_type=MERGE_PATCH)

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object, its dependents in the background."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self.call("DELETE", kind.path(namespace, name), body)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request; the JSON of the answer. Raises ``ApiFailure`` for an error status, ``Unreachable``."""
        wanted = {key: value for key, value in (query or {}).items() if value}
        if method in ("POST", "PUT", "PATCH"):
            wanted["fieldManager"] = self._agent
        full = f"{path}?{urlencode(wanted)}" if wanted else path
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if data is not None:
            headers["Content-Type"] = content_type
        status, text = self._exchange(method, full, data, headers)
        return _decoded(status, text, method, f"{self.target.server}{path}")

    def connect(self) -> tuple[HTTPConnection, dict[str, str]]:
        """A new connection with its authorization headers, for callers that speak another protocol over it."""
        login = log_in(self.target)
        parts = urlsplit(self.target.server)
        host, port = parts.hostname or "localhost", parts.port
        headers = {"Authorization": f"Bearer {login.token}"} if login.token else {}
        if parts.scheme != "https":
            return HTTPConnection(host, port or 80, timeout=SECONDS), headers
        tls = _tls(self.target, login)
        name = str(self.target.cluster.get("tls-server-name") or "")
        connection = (
            _NamedConnection(host, port or 443, name, tls)
            if name
            else HTTPSConnection(host, port or 443, timeout=SECONDS, context=tls)
        )
        return connection, headers

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        fresh = self._connection is None
        if self._connection is None:
            self._connection, self._headers = self.connect()
        try:
            self._connection.request(method, path, data, {**headers, **self._headers})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            self._connection = None
            # A kept-alive connection may have been closed by the server meanwhile: reading again is harmless.
            if not fresh and method == "GET":
                return self._exchange(method, path, data, headers)
            verb = method.capitalize()
            raise Unreachable(f'{verb} "{self.target.server}{path}": {_network(self.target, error)}') from error
        except BaseException:
            # Somebody cancelled: the answer that is still to come is not the next request's.
            self._connection.close()
            self._connection = None
            raise
        self._note_time(answer)
        return answer.status, text

    def _note_time(self, answer: HTTPResponse) -> None:
        stamp = answer.getheader("Date")
        if not stamp:
            return
        try:
            ahead = parsedate_to_datetime(stamp).timestamp() - time.time()
        except ValueError:
            return
        # The header has whole seconds; less than that is no difference.
        self._ahead = ahead if abs(ahead) > 1.5 else 0.0


class _NamedConnection(HTTPSConnection):
    """HTTPS to a host whose certificate carries another name."""

    def __init__(self, host: str, port: int, name: str, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=tls)
        self._tls = tls
        self._name = name

    def connect(self) -> None:
        HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _tls(target: Target, login: Login) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    authority = data_or_file(target.cluster, "certificate-authority")
    if authority:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            tls.load_verify_locations(cadata=authority.decode())
        except (ssl.SSLError, ValueError) as error:
            raise Unreachable("unable to load root certificates: unable to parse bytes as PEM block") from error
    if target.cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if login.certificate and login.key:
        _load_pair(tls, login.certificate, login.key)
    return tls


def _load_pair(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """The ``ssl`` module reads key pairs from files only: one that is gone as soon as it is read."""
    descriptor, name = tempfile.mkstemp(prefix="client-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip(b"\n") + b"\n" + key)
        tls.load_cert_chain(name)
    except ssl.SSLError as error:
        raise Unreachable("tls: failed to find any PEM data in certificate input") from error
    finally:
        os.unlink(name)


def _network(target: Target, error: Exception) -> str:
    parts = urlsplit(target.server)
    place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {place}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if isinstance(error, OSError) and error.strerror and error.errno and error.errno < 0:
        return f"dial tcp: lookup {parts.hostname}: no such host"
    return "EOF" if isinstance(error, HTTPException) else str(error)


def _decoded(status: int, text: bytes, method: str, url: str) -> Object:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if status < 400 and isinstance(body, dict):
        return body
    if isinstance(body, dict) and body.get("kind") == "Status":
        raise ApiFailure(status, str(body.get("reason", "")), _message(status, body))
    reason = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}.get(status, "")
    shown = text.decode(errors="replace").strip().splitlines()[0] if text.strip() else ""
    raise ApiFailure(status, reason, f"an error on the server ({shown!r}) has prevented the request from succeeding")


def _message(status: int, body: Object) -> str:
    if status == 401:
        return "the server has asked for the client to provide credentials"
    return str(body.get("message", ""))
