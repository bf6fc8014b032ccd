"""One API server: its connections, credentials, single requests and WebSockets, without generated API classes."""

import asyncio
import base64
import os
import re
import shlex
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from backends.certificates import ended_at
from backends.credentials.connection import Connection, Credential
from backends.credentials.plugin import Credentials
from backends.kube.failures import of_answer, of_exception
from backends.kube.proxies import proxy_for
from mesh.facts import Reason
from mesh.model.context import Right
from mesh.reading import NotRead
from mesh.text import Secret

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
USER_AGENT: Final = "meshwright"
_TOKEN_CHARACTERS: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]")


class Reply(Struct, frozen=True):
    """An answer of the API server, whatever its status."""

    status: int
    headers: Any
    body: bytes


class Budget:
    """How many bytes may still be read."""

    def __init__(self, max_bytes: int) -> None:
        self.max = max_bytes
        self.left = max_bytes

    def spend(self, size: int) -> None:
        """Raises ``NotRead(TRUNCATED)`` when the budget is used up."""
        self.left -= size
        if self.left < 0:
            raise NotRead(
                Reason.TRUNCATED, f"the answer is larger than {self.max / 1e6:g} MB", "Read it with kubectl instead."
            )


class ApiSession:
    """Requests to one API server as its kubeconfig entry says: proxy, names, certificates, impersonation.

    Imports the kubernetes package when the first request is made. ``connect_seconds`` and ``read_seconds`` bound each
    request: until the connection stands, and between two pieces of an answer.
    """

    def __init__(
        self,
        connection: Connection,
        credentials: Credentials,
        *,
        environment: Mapping[str, str] | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.connection = connection
        self._credentials = credentials
        self._environment = os.environ if environment is None else environment
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._client: Any = None
        self._credential: Credential | None = None
        self._opening = asyncio.Lock()

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        budget: Budget | None = None,
    ) -> Reply:
        """One request and its whole answer. A refused plugin credential is asked for again, once.

        Raises ``NotRead`` when no answer comes, ``failures.Retry`` when the connection broke off.
        """
        reply = await self._exchange(method, path, body, headers, budget)
        if reply.status == 401 and self._credentials.forget(self.connection):
            reply = await self._exchange(method, path, body, headers, budget)
        if reply.status == 401:
            raise self._refused(reply)
        return reply

    async def websocket(self, path: str, protocols: tuple[str, ...]) -> Any:
        """An open WebSocket (aiohttp's). Raises ``NotRead``, ``Retry``, or aiohttp's handshake error."""
        import aiohttp

        try:
            return await self._connect(path, protocols)
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 401 or not self._credentials.forget(self.connection):
                raise
        return await self._connect(path, protocols)

    async def _connect(self, path: str, protocols: tuple[str, ...]) -> Any:
        import aiohttp

        client, credential = await self._open()
        # WsApiClient would lose tls-server-name and the proxy, so its pool is used without it.
        name = self.connection.cluster.tls_server_name or None
        try:
            async with asyncio.timeout(self._connect_seconds + self._read_seconds):
                return await _pool(client).ws_connect(
                    self._url(path),
                    protocols=protocols,
                    headers=self._headers(credential),
                    server_hostname=name,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                )
        except aiohttp.WSServerHandshakeError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failure(error) from error

    async def close(self) -> None:
        """Give connections back."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _exchange(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None, budget: Budget | None
    ) -> Reply:
        import aiohttp

        client, credential = await self._open()
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=self._connect_seconds + 2.0,  # the name's resolution besides
            sock_connect=self._connect_seconds,
            sock_read=self._read_seconds,
        )
        try:
            answer = await client.rest_client.request(
                method,
                self._url(path),
                headers=self._headers(credential, headers),
                body=body,
                _request_timeout=timeout,
            )
            return Reply(answer.status, answer.headers, await _read(answer.response, budget))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> Exception:
        host = urlsplit(self.connection.cluster.server).netloc.rpartition("@")[2]
        return of_exception(error, host, self._connect_seconds, self._read_seconds)

    def _url(self, path: str) -> str:
        return self.connection.cluster.server + path

    async def _open(self) -> tuple[Any, Credential]:
        async with self._opening:
            credential = await self._credentials.of(self.connection)
            changed = self._credential is not None and credential.certificate != self._credential.certificate
            if self._client is not None and changed:
                await self.close()
            if self._client is None:
                self._client = await asyncio.to_thread(self._make, credential)
            self._credential = credential
            return self._client, credential

    def _make(self, credential: Credential) -> Any:
        # Importing takes half a second: in a thread, the screen goes on meanwhile.
        from kubernetes.aio.client import ApiClient, Configuration

        from backends.kube.tls import context_for

        cluster = self.connection.cluster
        proxy = proxy_for(cluster.server, cluster.proxy_url, self._environment) or None
        # What the environment says is decided here, by kubectl's rules; ~/.netrc is none of our business.
        session = {
            "trust_env": False,
            "proxy": proxy,
            "headers": self._impersonation(),
            "middlewares": (_no_redirects,),
        }
        context = context_for(cluster, credential) if self.connection.secure else None
        configuration = Configuration(
            host=cluster.server,
            # Our context replaces the client's; with the CA it at least does not load the system's roots for nothing.
            ca_cert_data=cluster.ca.decode("ascii", errors="ignore") if cluster.ca else None,
            proxy=proxy,
            tls_server_name=cluster.tls_server_name or None,
            client_session_kwargs=session,
        )
        client = ApiClient(configuration)
        client.rest_client.ssl_context = context or client.rest_client.ssl_context
        return client

    def _headers(self, credential: Credential, more: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, **(more or {})}
        user = self.connection.user
        if credential.token:
            headers["Authorization"] = f"Bearer {credential.token.reveal()}"
        elif user.username and self.connection.secure:
            pair = f"{user.username}:{(user.password or Secret('')).reveal()}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self.connection.cluster.disable_compression:
            headers["Accept-Encoding"] = "identity"
        return headers

    def _impersonation(self) -> list[tuple[str, str]]:
        who = self.connection.user.impersonation
        pairs = [("User", who.user), ("Uid", who.uid), *(("Group", group) for group in who.groups)]
        pairs += [(f"Extra-{_escape(key)}", value) for key, values in who.extra.items() for value in values]
        return [(f"Impersonate-{name}", value) for name, value in pairs if value]

    def _refused(self, reply: Reply) -> NotRead:
        found = of_answer(401, reply.headers, reply.body, Right("get", "version"))
        detail = found.unknown.detail if isinstance(found, NotRead) else "the API server did not accept the credentials"
        command = self._credentials.login_command(self.connection)
        ended = ended_at(self.connection.user.certificate)
        if ended and ended < time.time():
            detail = f"{detail}; the client certificate ended {datetime.fromtimestamp(ended, UTC):%Y-%m-%d %H:%M} UTC"
        entry = f"the user entry {self.connection.ref.user} in {self.connection.ref.file}"
        lift = shlex.join(command) or f"Renew {entry}."
        if self._credential == Credential() and not self.connection.user.username:
            lift = f"Add a token, a certificate or a plugin: {entry} has none."
        return NotRead(Reason.EXPIRED, detail, lift)


async def _read(response: Any, budget: Budget | None) -> bytes:
    parts = []
    try:
        async for part in response.content.iter_any():
            if budget is not None:
                budget.spend(len(part))
            parts.append(part)
    except BaseException:
        response.close()
        raise
    return b"".join(parts)


def _pool(client: Any) -> Any:
    rest = client.rest_client
    if rest.pool_manager is None:
        rest.pool_manager = rest._create_pool_manager()
    return rest.pool_manager


async def _no_redirects(request: Any, handler: Any) -> Any:
    """An API server never redirects; following would take our requests to somebody the kubeconfig does not name."""
    response = await handler(request)
    if response.status in (301, 302, 303, 307, 308):
        location = urlsplit(str(response.headers.get("Location", ""))).netloc
        response.close()
        raise NotRead(
            Reason.INVALID,
            f"something in between answered {response.status}: go to {location or 'another place'}",
            "Check the server's URL and the proxy; a login page may be in between.",
        )
    return response


def _escape(key: str) -> str:
    return "".join(ch if _TOKEN_CHARACTERS.match(ch) and ch != "%" else quote(ch, safe="") for ch in key.lower())
