"""The readers of a world: every agent and KVStoreMesh with its links, in step with what runs and is mounted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from backends.lab.agents.mesh.dialing import Attempt, Caller, Dialer
from backends.lab.agents.mesh.entries import Entry, entries
from backends.lab.agents.mesh.exports import Exports, Publisher
from backends.lab.agents.mesh.links import Link, RemoteConfig
from backends.lab.agents.mesh.servers import MeshServer, MeshServers
from backends.lab.controllers import reading
from backends.lab.controllers.cilium.release import version_of
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.controllers.loop import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.lab.agents.wire import Wire
    from backends.lab.controllers.simulation import Simulation

AGENT: Final = "cilium-agent"
CACHE: Final = "kvstoremesh"
RESTORED: Final = 60.0
"""Lab seconds after an agent's start during which it waits for peers before it drops what it found."""


@dataclass
class Reader:
    """A process that reads other clusters: its own name and id, and a link per peer."""

    caller: Caller
    name: str
    number: int
    max_connected: int
    minor: int
    links: dict[str, Link] = field(default_factory=dict)
    synced_at: float = -1.0
    reads_at: float = NEVER
    """When it will have noticed that its mounted folder changed."""
    found: dict[str, Exports] = field(default_factory=dict)
    """What the agent before it left in the kernel, for a minute after its start."""


def _reader(cluster: str, runtime: PodRuntime) -> Reader | None:
    agent, cache = runtime.processes.get(AGENT), runtime.processes.get(CACHE)
    if agent is not None:
        number = agent.settings.get("cluster-id") or "0"
        most = agent.settings.get("max-connected-clusters") or "255"
        name = agent.settings.get("cluster-name", "default")
        return Reader(Caller(cluster, runtime, AGENT), name, int(number), int(most), version_of(agent.image)[1])
    if cache is not None:
        number = cache.environment.get("CLUSTER_ID") or "0"
        most = cache.settings.get("max-connected-clusters") or "255"
        name = cache.environment.get("CLUSTER_NAME", "")
        return Reader(Caller(cluster, runtime, CACHE), name, int(number), int(most), version_of(cache.image)[1])
    return None


class Readers:
    """All readers. ``advance`` moves their links on; it is cheap while nothing changes."""

    def __init__(self, simulation: "Simulation", servers: MeshServers, wire: "Wire") -> None:
        self._simulation = simulation
        self._servers = servers
        self._wire = wire
        self._all: dict[tuple[str, str, int], Reader] = {}
        self._publishers: dict[str, Publisher] = {}
        self._last: dict[tuple[str, str], Reader] = {}
        self.signature: object = None
        """Differs whenever anything a reader can notice did."""
        self.generation = 0
        """Grows whenever what a reader knows changes."""
        self.dialer: Dialer | None = None
        self.tell: Callable[[Link, str], None] = lambda link, what: None

    # -- asking --------------------------------------------------------------------------------------------------

    def of(self, cluster: str, runtime: PodRuntime) -> Reader | None:
        """The reader in a pod, or None."""
        return self._all.get((cluster, runtime.uid, runtime.boot))

    def on_node(self, cluster: str, node: str) -> Reader | None:
        """The agent of a node, or None."""
        found = (r for r in self._all.values() if r.caller.cluster == cluster and r.caller.container == AGENT)
        return next((one for one in found if one.caller.runtime.node == node), None)

    def agents(self) -> list[Reader]:
        """The readers that are agents."""
        return [one for one in self._all.values() if one.caller.container == AGENT]

    def exports(self, cluster: str) -> Exports:
        """What a cluster publishes now."""
        if cluster not in self._publishers:
            store = self._simulation.clusters[cluster].cluster.objects
            self._publishers[cluster] = Publisher(store, cluster)
        return self._publishers[cluster].current()

    def seen_by(self, cluster: str, node: str) -> Iterator[tuple[Link, Exports]]:
        """What a node knows about each peer, fresh or kept; the maps in its kernel outlive its agent."""
        reader = self.on_node(cluster, node) or self._last.get((cluster, node))
        for link in reader.links.values() if reader else ():
            seen = link.seen or (reader.found.get(link.peer) if reader else None)
            if seen is not None:
                yield link, seen

    def known_nodes(self, cluster: str, node: str) -> frozenset[str]:
        """Addresses of all nodes, own and remote, that the agent of a node knows."""
        own = {one.address for one in self.exports(cluster).nodes.values()}
        remote = {one.address for _, seen in self.seen_by(cluster, node) for one in seen.nodes.values()}
        return frozenset(own | remote)

    # -- what links ask ------------------------------------------------------------------------------------------

    def dial(self, caller: Caller, entry: Entry, now: float) -> Attempt:
        """Try to connect."""
        assert self.dialer is not None
        return self.dialer.dial(caller, entry, now)

    def path_holds(self, caller: Caller, attempt: Attempt) -> bool:
        """Whether an open connection still works."""
        assert self.dialer is not None
        return self.dialer.path_holds(caller, attempt)

    def config_of(self, attempt: Attempt, peer: str) -> RemoteConfig | None:
        """What stands under ``cilium/cluster-config/<peer>`` in the etcd that answered."""
        server = attempt.server
        if server is None:
            return None
        if server.name == peer:
            return RemoteConfig(server.number, server.max_connected, service_exports=_service_exports(server))
        link = self._cached(server, peer)
        if link is None or link.config is None:
            return None
        return RemoteConfig(link.config.number, link.config.max_connected, True, link.config.service_exports)

    def exports_of(self, attempt: Attempt, peer: str) -> Exports | None:
        """What can be read about the peer in the etcd that answered."""
        server = attempt.server
        if server is None:
            return None
        if server.name == peer:
            return self.exports(server.cluster)
        link = self._cached(server, peer)
        return link.seen if link is not None else None

    def objection(self, link: Link, config: RemoteConfig) -> str:
        """Why a peer's configuration is refused (§2.1 R01, R03; §11)."""
        reader = self.of(link.caller.cluster, link.caller.runtime)
        if reader is None:
            return ""
        if config.number == reader.number and reader.minor > 15:
            return f"ClusterID {config.number} is already used"
        taken = [one for one in reader.links.values() if one is not link and one.config is not None]
        if any(one.config is not None and one.config.number == config.number for one in taken):
            return f"clusterID {config.number} is already used"
        if config.max_connected != reader.max_connected:
            return f"mismatched MaxConnectedClusters; local={reader.max_connected}, remote={config.max_connected}"
        return ""

    def _cached(self, server: MeshServer, peer: str) -> Link | None:
        reader = self.of(server.cluster, server.runtime)
        return reader.links.get(peer) if reader is not None and reader.caller.container == CACHE else None

    # -- moving on -----------------------------------------------------------------------------------------------

    def advance(self, now: float) -> float:
        """Start and end readers, follow their folders, and move every link on."""
        signature = self._now()
        changed = signature != self.signature
        self.signature = signature
        if changed:
            self._match(now)
        # Caches first: agents read what they hold.
        order = sorted(self._all.values(), key=lambda one: one.caller.container == AGENT)
        due = NEVER
        for reader in order:
            due = min(due, self._folder(reader, now))
            if reader.found:
                forgets = reader.caller.runtime.started_at + RESTORED
                due = min(due, forgets) if now < forgets else due
                reader.found = reader.found if now < forgets else {}
            for link in reader.links.values():
                before = (link.config, link.seen, link.attempt)
                due = min(due, link.advance(self, now, changed))
                if before != (link.config, link.seen, link.attempt):
                    self.generation += 1
                    changed = changed or reader.caller.container == CACHE
        return due

    def _now(self) -> object:
        stores = tuple(one.cluster.objects.resource_version for one in self._simulation.clusters.values())
        mounts = tuple(
            runtime.mounts.synced_at
            for one in self._simulation.clusters.values()
            for runtime in one.kubelets.runtimes.values()
            if runtime.mounts.sources
        )
        return (stores, mounts, self._wire.revision)

    def _match(self, now: float) -> None:
        running = {}
        for name, one in self._simulation.clusters.items():
            for runtime in one.kubelets.runtimes.values():
                if AGENT in runtime.processes or CACHE in runtime.processes:
                    running[name, runtime.uid, runtime.boot] = runtime
        for key in [key for key in self._all if key not in running]:
            gone = self._all.pop(key)
            if gone.caller.container == AGENT:
                self._last[key[0], gone.caller.runtime.node] = gone
        for key, runtime in running.items():
            reader = self._all.get(key)
            if reader is None:
                made = _reader(key[0], runtime)
                if made is not None:
                    made.reads_at = max(now, runtime.started_at) + 1.0
                    self._inherit(key[0], made)
                    self._all[key] = made
            elif runtime.mounts.synced_at != reader.synced_at and reader.reads_at == NEVER:
                reader.reads_at = now + reading.share(f"watch/{runtime.uid}/{runtime.mounts.synced_at}", 0.3, 2.0)

    def _inherit(self, cluster: str, reader: Reader) -> None:
        before = self._last.get((cluster, reader.caller.runtime.node))
        if before is not None and reader.caller.container == AGENT:
            reader.found = {name: link.seen for name, link in before.links.items() if link.seen is not None}

    def _folder(self, reader: Reader, now: float) -> float:
        if now < reader.reads_at:
            return reader.reads_at
        runtime = reader.caller.runtime
        reader.reads_at, reader.synced_at = NEVER, runtime.mounts.synced_at
        if not reader.number:
            return NEVER
        found = entries(runtime, reader.caller.container, reader.name)
        for name in [name for name in reader.links if name not in found]:
            self.tell(reader.links.pop(name), "removed")
        for name, entry in found.items():
            link = reader.links.get(name)
            if link is None:
                link = Link(reader.caller, reader.minor, entry, self.tell, now)
                reader.links[name] = link
                self.tell(link, "connecting")
            elif link.entry.text != entry.text:
                link.replace(entry, now)
        return NEVER


def _service_exports(server: MeshServer) -> bool | None:
    process = server.runtime.processes.get("apiserver")
    if process is None or version_of(process.image)[1] < 17:
        return None
    return process.settings.get("clustermesh-enable-mcs-api") == "true"
