"""The live ``ClusterReader``: lists as bytes, page by page, projected with msgspec; retries, deadlines, budgets."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct, field

from backends.kube.execute import execute
from backends.kube.failures import Expired, Retry, not_json, of_answer
from backends.kube.session import ApiSession, Budget, Reply
from mesh.facts import Origin, Reason
from mesh.model.context import Right
from mesh.model.kinds import Resource
from mesh.reading import Answer, Count, NotRead
from mesh.text import clean

T = TypeVar("T")
PAGE: Final = 500
DEFAULT_BYTES: Final = 256_000_000
_TRIES: Final = 4
_RESTARTS: Final = 3
_LONGEST_WAIT: Final = 30.0
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class _ListMetadata(Struct):
    resume: str = field(name="continue", default="")
    remaining: int = field(name="remainingItemCount", default=0)


class _Page(Struct, Generic[T]):
    metadata: _ListMetadata
    items: list[T] | None = None


class LiveReader:
    """See ``mesh.reading.ClusterReader``."""

    def __init__(
        self,
        session: ApiSession,
        *,
        origin: Origin = Origin.LIVE,
        budget: Budget | None = None,
        waits: Callable[[float], None] | None = None,
    ) -> None:
        self.session = session
        self.origin = origin
        self.where = session.connection.ref.context
        self.skew: float | None = None
        self._budget = budget or Budget(DEFAULT_BYTES)
        self._waits = waits
        self._executing = asyncio.Semaphore(32)
        self._asking = asyncio.Semaphore(12)

    def bounded(self, max_bytes: int, waits: Callable[[float], None] | None = None) -> "LiveReader":
        """See ``ClusterReader``."""
        other = LiveReader(self.session, origin=self.origin, budget=Budget(max_bytes), waits=waits)
        other._executing, other._asking = self._executing, self._asking
        return other

    async def version(self, shape: type[T]) -> T:
        """See ``ClusterReader``."""
        asked = time.time()
        reply = await self.ask("GET", "/version", Right("get", "version"))
        self.skew = _skew(reply, (asked + time.time()) / 2)
        return _decode(reply, shape)

    async def list(
        self,
        resource: Resource,
        shape: type[T],
        *,
        namespace: str = "",
        labels: str = "",
        count: Count | None = None,
        metadata_only: bool = False,
    ) -> list[T]:
        """See ``ClusterReader``. A page whose continue token is too old makes it begin again, three times at most."""
        query = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
        accept = {"Accept": _METADATA_ONLY} if metadata_only else None
        for _ in range(_RESTARTS):
            pages = _Pages(self, resource, shape, namespace, query, accept)
            try:
                return await pages.read(count)
            except Expired:
                continue
        raise NotRead(
            Reason.TIMEOUT,
            f"{resource.plural} change faster than they can be read: the API server forgot each list's place (410)",
            "Read again when the cluster is calmer.",
        )

    async def get(self, resource: Resource, shape: type[T], name: str, namespace: str = "") -> T | None:
        """See ``ClusterReader``."""
        try:
            reply = await self.ask(
                "GET", resource.path(_part(namespace), _part(name)), resource.right("get", namespace)
            )
        except NotRead as error:
            if error.unknown.reason is Reason.ABSENT_API:
                return None
            raise
        return _decode(reply, shape)

    async def review(self, resource: Resource, body: Mapping[str, Any], shape: type[T]) -> T:
        """See ``ClusterReader``."""
        whole = {"apiVersion": resource.api, **body}
        reply = await self.ask("POST", resource.path(), resource.right("create"), body=whole)
        return _decode(reply, shape)

    async def execute(self, namespace: str, pod: str, container: str, argv: Sequence[str], seconds: float) -> Answer:
        """See ``ClusterReader``; at most 32 at a time."""
        async with self._executing:
            code, output, errors = await execute(
                self.session, namespace, pod, container, argv, seconds, budget=self._budget
            )
        return Answer(code, output, clean(errors))

    async def close(self) -> None:
        """Give connections back."""
        await self.session.close()

    async def ask(
        self,
        method: str,
        path: str,
        right: Right,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """One request, sent again while the server says that this may help. Raises ``NotRead``, ``Expired``."""
        waited = 0.0
        for attempt in range(_TRIES):
            try:
                async with self._asking:
                    reply = await self.session.send(method, path, body=body, headers=headers, budget=self._budget)
                if 200 <= reply.status < 300:
                    return reply
                raise of_answer(reply.status, reply.headers, reply.body, right)
            except Retry as retry:
                pause = retry.seconds * 2**attempt if retry.seconds < 1 else retry.seconds
                waited += pause
                if attempt == _TRIES - 1 or waited > _LONGEST_WAIT:
                    raise retry.failure from retry
            if self._waits and pause >= 1:
                self._waits(pause)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")


class _Pages(Generic[T]):
    """One list from its first page to its last."""

    def __init__(
        self,
        reader: LiveReader,
        resource: Resource,
        shape: type[T],
        namespace: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None,
    ) -> None:
        self._reader = reader
        self._path = resource.path(_part(namespace))
        self._right = resource.right("list", namespace)
        self._page: Any = _Page[shape]  # type: ignore[valid-type]  # the shape is a value here
        self._query = query
        self._headers = headers

    async def read(self, count: Count | None) -> list[T]:
        """All items. Raises ``NotRead``, ``Expired``."""
        found: list[T] = []
        resume = ""
        while True:
            query = {**self._query, **({"continue": resume} if resume else {})}
            path = f"{self._path}?{urlencode(query)}"
            reply = await self._reader.ask("GET", path, self._right, headers=self._headers)
            page: _Page[T] = _decode(reply, self._page)
            found += page.items or []
            resume = page.metadata.resume
            if count:
                count(len(found), len(found) + page.metadata.remaining)
            if not resume:
                return found


def _part(name: str) -> str:
    """A name as one part of a path: names come from clusters and may hold anything."""
    return quote(name, safe="")


def _decode(reply: Reply, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(reply.headers, reply.body) from error


def _skew(reply: Reply, ours: float) -> float | None:
    """The server's clock by its Date header, which has whole seconds: less than two is no difference."""
    try:
        theirs = parsedate_to_datetime(str(reply.headers.get("Date", ""))).timestamp()
    except (ValueError, TypeError, AttributeError):
        return None
    return 0.0 if abs(theirs - ours) < 2 else theirs - ours
