"""Collectors of the cloud rows: which reader serves a cluster is decided by its provider, here and nowhere else."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from mesh import catalogue as fact
from mesh.facts import Fact, FactName, FactStore, Known, Origin
from mesh.model.cilium import MeshApiServer
from mesh.model.context import ContextRef, Provider, Right
from mesh.model.kubernetes import Node, provider_of
from mesh.model.network import CloudIdentity, CloudNetwork, Firewall, LoadBalancer, VpnConnection
from mesh.model.site import CloudPaths
from mesh.reading import Cached, Collected, Cost, NotRead, Scope
from mesh.subject import OfCluster
from mesh.text import plural


class CloudReader(Protocol):
    """One cluster's cloud, to read only. Methods block, may be called from any thread, and raise ``NotRead`` only."""

    def identity(self) -> CloudIdentity:
        """Account, region and name, proven by the API server's address."""

    def network(self) -> CloudNetwork:
        """The nodes' VPC or VNet."""

    def firewall(self) -> Firewall:
        """Rules of the groups on the nodes."""

    def vpn(self) -> tuple[VpnConnection, ...]:
        """Site-to-site connections of that network."""

    def paths(self, seconds: float) -> CloudPaths:
        """Where the nodes stand and what lies between them and the edge; a list not read in time is ``Unread``."""

    def load_balancer(self, server: MeshApiServer) -> LoadBalancer | None:
        """The load balancer behind the mesh API's Service."""


T = TypeVar("T")
_THREADS: Final = 32
# Less than a row has: what has come by then is kept.
_PATHS_SECONDS: Final = 50.0
Make = Callable[[ContextRef, tuple[Node, ...], Cached], CloudReader]
Read = Callable[[CloudReader, FactStore, ContextRef], Any]


class Once:
    """A ``Cached`` with one lock per name, so that different tables are fetched side by side and each only once."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()

    def forget(self) -> None:
        """Begin anew; what is being fetched for an earlier reading is not kept for the next."""
        with self._guard:
            self._values, self._locks = {}, {}

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        """See ``Cached``."""
        with self._guard:
            values = self._values
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            if name not in values:
                try:
                    values[name] = make()
                except NotRead as error:
                    # What is denied or throttled is not asked again by every row that needs it.
                    values[name] = error
            value: T | NotRead = values[name]
        if isinstance(value, NotRead):
            raise value
        return value


class _Held:
    """A cluster's reader, the nodes it was made for, what it remembers, and of which reading."""

    def __init__(self, nodes: tuple[Node, ...], once: Once, reader: "CloudReader", reading: float) -> None:
        self.nodes = nodes
        self.once = once
        self.reader = reader
        self.reading = reading


class CloudReaders:
    """One reader per cluster and set of nodes, made when first asked for, so that collectors share what was fetched."""

    def __init__(self, makers: Mapping[Provider, Make]) -> None:
        self._makers = makers
        self._readers: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._seats = threading.Semaphore(_THREADS)

    async def ask(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, which blocks, from a thread that nobody waits for once the answer is not wanted.

        The threads of the event loop are waited for when it ends and again when Python does: a cloud that hangs would
        keep the terminal for as long as its SDK tries again.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(how: Callable[[Any], None], what: object) -> None:
            if not answer.done():
                how(what)

        def run() -> None:
            with self._seats:
                if answer.done():
                    return
                try:
                    told = partial(tell, answer.set_result, work())
                except Exception as error:
                    told = partial(tell, answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(told)

        threading.Thread(target=run, name="cloud", daemon=True).start()
        return await answer

    def of(
        self, ref: ContextRef, nodes: tuple[Node, ...], reading: float, *, fresh: bool = False
    ) -> CloudReader | None:
        """The reader for a cluster, or None where it is in no cloud we read.

        What was fetched serves all rows of one ``reading`` and none of a later one; ``fresh`` signs in anew too.
        """
        make = self._makers.get(provider_of(ref, nodes))
        if make is None:
            return None
        with self._lock:
            known = self._readers.get(ref.key)
            if known is None or fresh or known.nodes != nodes:
                once = Once()
                known = self._readers[ref.key] = _Held(nodes, once, make(ref, nodes, once), reading)
            elif known.reading != reading:
                known.once.forget()
                known.reading = reading
            return known.reader

    def nodes(self, key: str) -> tuple[Node, ...]:
        """The nodes a cluster's reader was last made for."""
        known = self._readers.get(key)
        return known.nodes if known else ()


class CloudCollector:
    """A row of the Facts screen that asks a cloud for a fact, and beside it for others that stand by themselves."""

    rbac: tuple[Right, ...] = ()
    cost = Cost.NORMAL
    max_bytes = 64_000_000

    def __init__(
        self,
        id_: str,
        label: str,
        provides: FactName[Any],
        read: Read,
        readers: CloudReaders,
        *,
        needs: tuple[FactName[Any], ...] = (),
        beside: Mapping[FactName[Any], Read] | None = None,
    ) -> None:
        self.id = id_
        self.label = label
        self._reads = {provides: read, **(beside or {})}
        self.provides: tuple[FactName[Any], ...] = tuple(self._reads)
        self.needs: tuple[FactName[Any], ...] = (fact.NODES, *needs)
        self.timeout_s = 60.0
        self._fact = provides
        self._readers = readers

    async def collect(self, scope: Scope) -> Collected:
        """Ask in a thread: the SDKs block."""
        nodes = scope.facts.get(fact.NODES, OfCluster(scope.ref.key))
        known = nodes.value if isinstance(nodes, Known) else ()
        reader = self._readers.of(scope.ref, known, scope.now, fresh=self._fact is fact.CLOUD)
        if reader is None:
            return Collected({name: scope.known(None, "no cloud") for name in self.provides}, "no cloud")
        if not isinstance(nodes, Known):
            raise NotRead(nodes.reason, "the nodes are not known, and they name the cloud's objects", nodes.lift)
        found = await asyncio.gather(*(self._one(read, reader, scope) for read in self._reads.values()))
        lost = [one for one in found if isinstance(one, NotRead)]
        if len(lost) == len(found):
            raise lost[0]
        facts: dict[FactName[Any], Fact] = {
            name: one.unknown if isinstance(one, NotRead) else one for name, one in zip(self._reads, found, strict=True)
        }
        words = (_cell(one.value) for one in facts.values() if isinstance(one, Known))
        return Collected(facts, " · ".join(filter(None, words)))

    async def _one(self, read: Read, reader: CloudReader, scope: Scope) -> Known | NotRead:
        """A fact, or why there is none: another of the same row is not lost with it."""
        try:
            value = await self._readers.ask(partial(read, reader, scope.facts, scope.ref))
        except NotRead as error:
            return error
        return scope.known(value, self.label, Origin.CLOUD)


def _mesh_api(reader: CloudReader, facts: FactStore, ref: ContextRef) -> LoadBalancer | None:
    server = facts.get(fact.MESH_API, OfCluster(ref.key))
    if not isinstance(server, Known):
        raise NotRead(server.reason, "the mesh API's Service is not known", server.lift)
    if server.value is None or server.value.service_type != "LoadBalancer":
        return None
    return reader.load_balancer(server.value)


def cloud_collectors(readers: CloudReaders) -> tuple[CloudCollector, ...]:
    """All cloud rows."""
    return (
        CloudCollector("cloud", "cloud: account, cluster", fact.CLOUD, lambda r, _, __: r.identity(), readers),
        CloudCollector(
            "cloud-network",
            "cloud: network",
            fact.CLOUD_NETWORK,
            lambda r, _, __: r.network(),
            readers,
            needs=(fact.CLOUD,),
            beside={fact.CLOUD_PATHS: lambda r, _, __: r.paths(_PATHS_SECONDS)},
        ),
        CloudCollector(
            "cloud-firewall",
            "cloud: firewall",
            fact.FIREWALL,
            lambda r, _, __: r.firewall(),
            readers,
            needs=(fact.CLOUD,),
        ),
        CloudCollector("cloud-vpn", "cloud: VPN", fact.VPN, lambda r, _, __: r.vpn(), readers, needs=(fact.CLOUD,)),
        CloudCollector(
            "cloud-lb",
            "cloud: load balancer",
            fact.LOAD_BALANCER,
            _mesh_api,
            readers,
            needs=(fact.CLOUD, fact.MESH_API),
        ),
    )


def _cell(value: object) -> str:
    """What the Facts screen's cell says."""
    match value:
        case CloudIdentity():
            return f"{value.provider.value} {value.name} {value.region}".strip()
        case CloudNetwork():
            return f"{value.id.rpartition('/')[2]} {', '.join(value.prefixes[:2])}"
        case CloudPaths():
            return f"{plural(len(value.unread), 'list')} not read" if value.unread else ""
        case Firewall():
            rules = sum(len(group.rules) for group in value.groups)
            return f"{plural(len(value.groups), 'group')}, {plural(rules, 'rule')}"
        case LoadBalancer():
            scheme = {True: "private", False: "public", None: "scheme unknown"}[value.internal]
            return f"{scheme} {', '.join(value.addresses[:2])}".strip()
        case tuple():
            up = sum(item.tunnels_up for item in value)
            return f"{up}/{sum(item.tunnels for item in value)} tunnels up" if value else "no VPN"
        case _:
            return "none"
