"""A small lab served inside the test's own loop, and a client for one of its API servers."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from backends.lab.api.identity import Identity
from backends.lab.api.server import ApiServer
from backends.lab.world import LabCluster, World
from tests.test_lab import small_lab

ADMIN = "admin-token"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass
class Answer:
    """One answer: status, decoded body (text where it is no JSON), headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """``reason`` of a ``Status``."""
        return str(self.body["reason"])

    @property
    def message(self) -> str:
        """``message`` of a ``Status``."""
        return str(self.body["message"])


@dataclass
class Api:
    """A client of one cluster as one user."""

    cluster: LabCluster
    session: aiohttp.ClientSession
    token: str = ADMIN
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def world(self) -> World:
        """The world behind it."""
        return self.cluster.world

    def as_user(self, token: str) -> "Api":
        """The same server for another token; "" is nobody."""
        return Api(self.cluster, self.session, token, self.tls)

    def headers(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Headers of a request."""
        return {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(extra or {})}

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; underscores in header names become hyphens. ``body`` is sent as JSON unless it is bytes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, self.cluster.server_url + path, data=data, headers=self.headers(named), ssl=self.tls
        ) as response:
            raw = await response.read()
            try:
                decoded = json.loads(raw)
            except ValueError:
                decoded = raw.decode()
            return Answer(response.status, decoded, response.headers)

    async def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return await self("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST."""
        return await self("POST", path, body, **headers)

    async def put(self, path: str, body: Any) -> Answer:
        """PUT."""
        return await self("PUT", path, body)

    async def patch(self, path: str, body: Any, kind: str = MERGE) -> Answer:
        """PATCH of one of the four kinds."""
        return await self("PATCH", path, body, Content_Type=kind)

    async def delete(self, path: str, body: Any = None) -> Answer:
        """DELETE."""
        return await self("DELETE", path, body)


@asynccontextmanager
async def served() -> AsyncIterator[Api]:
    """The EKS-like cluster of the small lab, served, with an administrator's client."""
    world = World(seed=3)
    small_lab.build(world)
    cluster = world.clusters["eks-one"]
    cluster.identities.add(ADMIN, Identity("admin", ("system:masters",)))
    server = ApiServer(cluster)
    await server.start()
    world.start()
    tls = ssl.create_default_context(cadata=cluster.authority.pem.decode())
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            yield Api(cluster, session, tls=tls)
    finally:
        await server.stop()
        await world.close()
