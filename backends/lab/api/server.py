"""The API server of one cluster: TLS on loopback, authentication, authorization, dispatch."""

import asyncio
import logging
from email.utils import formatdate
from typing import Final

from aiohttp import web
from cryptography import x509

from backends.lab.api import answers, authentication, conditions, paths, resources
from backends.lab.api.authorizer import Authorizer, denial
from backends.lab.api.context import Context, attributes
from backends.lab.api.identity import Identity
from backends.lab.api.request import RequestInfo, parse
from backends.lab.cluster import LabCluster
from backends.lab.storage.status import ApiError

log: Final = logging.getLogger(__name__)


class ApiServer:
    """Serves a cluster at its ``server_url`` until ``stop``; follows the cluster's conditions while it runs."""

    def __init__(self, cluster: LabCluster) -> None:
        self.cluster = cluster
        self.authorizer = Authorizer(cluster.objects)
        self._http = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._listener: asyncio.Server | None = None
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Listen. Raises ``OSError`` where the port is not to be had."""
        self._context = self.cluster.authority.server_context(self.cluster.world.state_dir)
        self.cluster.conditions.listeners.append(self._condition_changed)
        await self._follow()

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._condition_changed in self.cluster.conditions.listeners:
            self.cluster.conditions.listeners.remove(self._condition_changed)
        await self._close()

    def _condition_changed(self) -> None:
        self.cluster.world.spawn(self._follow())

    async def _follow(self) -> None:
        """Listen or not, as the condition says; a change of it ends the connections that are open."""
        async with self._changing:
            if self.cluster.conditions.mode == "down":
                await self._close()
            elif self._listener is None:
                await self._open()
            else:
                self._drop()

    async def _open(self) -> None:
        listening = self.cluster.open_port()
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._http, sock=listening, ssl=self._context, backlog=256)
        self.cluster.release_port()

    async def _close(self) -> None:
        if self._listener is not None:
            self.cluster.hold_port()
            self._listener.close()
            self._listener = None
        self._drop()
        await asyncio.sleep(0)

    def _drop(self) -> None:
        for connection in tuple(self._http.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            answer = await self._answer(request)
        except ApiError as error:
            answer = answers.refuse(request, error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("the API of %s failed at %s %s", self.cluster.name, request.method, request.path)
            answer = answers.refuse(request, ApiError(500, "InternalError", "Internal error occurred: the lab failed"))
        if not answer.prepared:
            # The server's clock is the lab's, as it is for its certificates.
            answer.headers["Date"] = formatdate(self.cluster.world.clock.now(), usegmt=True)
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        standing = await conditions.in_front(self.cluster.conditions, request)
        if standing is not None:
            return standing
        info = parse(request.method, request.path, request.query)
        who = authentication.identify(self.cluster, request, self._peer_certificate(request), self.authorizer)
        self._authorize(who, info)
        context = Context(self.cluster, request, info, who, self.authorizer)
        if not info.is_resource:
            return await paths.serve(context)
        return await resources.serve(context)

    def _peer_certificate(self, request: web.BaseRequest) -> x509.Certificate | None:
        if request.transport is None:
            return None
        tls = request.transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        return x509.load_der_x509_certificate(der) if der else None

    def _authorize(self, who: Identity, info: RequestInfo) -> None:
        what = attributes(info)
        if self.authorizer.allows(who, what):
            return
        if not info.is_resource:
            raise ApiError(403, "Forbidden", f"forbidden: {denial(who, what)}", {})
        details: dict[str, str] = {"name": info.name} if info.name else {}
        if info.group:
            details["group"] = info.group
        details["kind"] = info.resource
        qualified = f"{info.resource}.{info.group}" if info.group else info.resource
        subject = f'{qualified} "{info.name}"' if info.name else qualified
        raise ApiError(403, "Forbidden", f"{subject} is forbidden: {denial(who, what)}", details)
