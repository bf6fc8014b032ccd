"""An API server whose every answer a test decides, over HTTP or HTTPS, and certificates for it."""

import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backends.credentials.connection import ClusterEntry, Connection, UserEntry
from backends.credentials.plugin import Credentials
from backends.kube.reader import LiveReader
from backends.kube.session import ApiSession
from mesh.model.context import ContextRef

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Authority:
    """A CA that issues leaves for tests."""

    def __init__(self, name: str = "test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, ca=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def leaf(self, name: str, *sans: str, begins: int = -1, ends: int = 30) -> tuple[bytes, bytes]:
        """Certificate and key in PEM; ``begins`` and ``ends`` in days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [_general(san) for san in sans]
        certificate = self._sign(subject, key, names=names, begins=begins, ends=ends)
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        names: list[x509.GeneralName] | None = None,
        begins: int = -1,
        ends: int = 30,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begins))
            .not_valid_after(now + timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Api:
    """A running server: ``on`` says what a path answers, ``seen`` are the requests that came."""

    def __init__(self) -> None:
        self.answers: dict[str, Handler] = {}
        self.seen: list[web.Request] = []
        self.url = ""

    def on(self, path: str, *answers: Handler | web.Response | Callable[[], web.Response]) -> None:
        """Answer a path with these in turn, the last one for ever."""
        left = list(answers)

        async def answer(request: web.Request) -> web.StreamResponse:
            found = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(found, web.StreamResponse):
                return _copy(found)
            given: Any = found(request) if found.__code__.co_argcount else found()  # type: ignore[call-arg]  # either arity
            return await given if hasattr(given, "__await__") else given  # type: ignore[no-any-return]  # as above

        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Route a request."""
        self.seen.append(request)
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=404, text="404 page not found\n")
        return await answer(request)


def _copy(response: web.StreamResponse) -> web.Response:
    assert isinstance(response, web.Response)
    headers = {key: value for key, value in response.headers.items() if key.lower() != "content-length"}
    return web.Response(status=response.status, body=response.body, headers=headers)


def status(code: int, message: str = "", **more: Any) -> web.Response:
    """A Kubernetes ``Status``."""
    headers = more.pop("headers", None)
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code, **more}
    return web.json_response(body, status=code, headers=headers)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Api]:
    """A server on a free port of loopback."""
    api = Api()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        api.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield api
    finally:
        await runner.cleanup()


def server_tls(certificate: bytes, key: bytes, client_ca: bytes | None = None) -> ssl.SSLContext:
    """A server's TLS context; with ``client_ca`` it demands a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def reading(
    server: str,
    *,
    user: UserEntry | None = None,
    credentials: Credentials | None = None,
    read_seconds: float = 5.0,
    environment: dict[str, str] | None = None,
    **cluster: Any,
) -> AsyncIterator[LiveReader]:
    """A reader of a server, closed at the end."""
    connection = Connection(
        ContextRef("c", "c", "/kubeconfig", user="u"), ClusterEntry(server, **cluster), user or UserEntry()
    )
    session = ApiSession(
        connection, credentials or Credentials(environment={}), environment=environment or {}, read_seconds=read_seconds
    )
    reader = LiveReader(session)
    try:
        yield reader
    finally:
        await reader.close()
