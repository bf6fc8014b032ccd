"""Pod to pod: inside a node, over the tunnel to another node, or as plain packets in native routing.

Both ends decide by themselves: the sender by what its agent knows and its own settings, the receiver by its own.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backends.lab.controllers import reading
from backends.lab.controllers.kubelet.host import CILIUM
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.storage.resources import CONFIGMAPS, NODES

if TYPE_CHECKING:
    from backends.lab.agents.mesh.processes import Readers
    from backends.lab.agents.wire import Wire
    from backends.lab.controllers.simulation import Simulation

OVERHEAD: Final = 50
ETHERNET: Final = 1500
HEADERS: Final = 52
"""IPv4 and TCP with timestamps."""
_PORTS: Final = {"vxlan": 8472, "geneve": 6081}


@dataclass(frozen=True, slots=True)
class Overlay:
    """How an agent carries pod packets between nodes: ``port`` 0 means native routing."""

    protocol: str
    port: int


def overlay(settings: Mapping[str, str]) -> Overlay:
    """The overlay of these settings (§2.1: absent means a VXLAN tunnel, port 0 the protocol's own)."""
    if settings.get("routing-mode", "tunnel") == "native":
        return Overlay("", 0)
    protocol = settings.get("tunnel-protocol") or "vxlan"
    port = settings.get("tunnel-port") or "0"
    return Overlay(protocol, (int(port) if port.isdigit() else 0) or _PORTS.get(protocol, 8472))


@dataclass(frozen=True, slots=True)
class Spot:
    """A place packets come from or go to: an address on a node of a lab cluster."""

    cluster: str
    node: str
    address: str


@dataclass(frozen=True, slots=True)
class Carried:
    """One packet's fate: the pod that got it, or why nobody did."""

    runtime: PodRuntime | None
    spot: Spot | None
    why: str = ""


class Datapath:
    """Carries packets of pods."""

    def __init__(self, simulation: "Simulation", wire: "Wire") -> None:
        self._simulation = simulation
        self._wire = wire
        self.readers: Readers | None = None

    # -- who is who ----------------------------------------------------------------------------------------------

    def node_address(self, cluster: str, node: str) -> str:
        """A node's InternalIP."""
        found = self._simulation.clusters[cluster].cluster.objects.stored(NODES, None, node)
        return reading.internal_ip(found) if found else ""

    def node_at(self, address: str) -> tuple[str, str] | None:
        """Cluster and name of the node with this InternalIP."""
        for name, one in self._simulation.clusters.items():
            for node in one.cluster.objects.view(NODES):
                if reading.internal_ip(node) == address:
                    return name, str(node["metadata"]["name"])
        return None

    def settings(self, cluster: str, node: str) -> Mapping[str, str] | None:
        """Settings in force on a node; a loaded datapath outlives its agent. None where Cilium does not run."""
        one = self._simulation.clusters[cluster]
        for runtime in one.kubelets.runtimes.values():
            if runtime.node == node and "cilium-agent" in runtime.processes:
                return runtime.processes["cilium-agent"].settings
        if one.ground.host(node).cni != CILIUM:
            return None
        config = next(
            (c for c in one.cluster.objects.view(CONFIGMAPS) if c["metadata"]["name"] == "cilium-config"), None
        )
        return dict(config.get("data") or {}) if config else None

    def pod_at(self, cluster: str, address: str, node: str = "") -> PodRuntime | None:
        """What runs behind a pod address of a cluster."""
        for runtime in self._simulation.clusters[cluster].kubelets.runtimes.values():
            if runtime.ip == address and not runtime.host_network and node in ("", runtime.node):
                return runtime
        return None

    # -- carrying ------------------------------------------------------------------------------------------------

    def next_node(self, here: Spot, address: str) -> tuple[str, str] | None:
        """Cluster and node address to which the agent of ``here`` sends a pod address; own cluster first."""
        store_nodes = self.readers.exports(here.cluster).nodes if self.readers else {}
        own = self.pod_at(here.cluster, address)
        if own is not None:
            return here.cluster, self.node_address(here.cluster, own.node)
        if self._in(address, [cidr for one in store_nodes.values() for cidr in one.pod_cidrs]):
            return None
        for _, seen in self.readers.seen_by(here.cluster, here.node) if self.readers else ():
            if address in seen.endpoints:
                return seen.cluster, seen.endpoints[address]
            for one in seen.nodes.values():
                if self._in(address, one.pod_cidrs) or address in (one.cilium_address, one.health_address):
                    return seen.cluster, one.address
        return None

    @staticmethod
    def _in(address: str, cidrs: "list[str] | tuple[str, ...]") -> bool:
        wanted = ipaddress.IPv4Address(address)
        return any(wanted in ipaddress.IPv4Network(cidr) for cidr in cidrs)

    def within(self, cluster: str, one: str, other: str) -> bool:
        """Whether pod traffic passes both ways between two nodes of one cluster."""
        if one == other:
            return True
        here, there = self.node_address(cluster, one), self.node_address(cluster, other)
        return self.hop(cluster, one, here, there) and self.hop(cluster, other, there, here)

    def hop(self, cluster: str, node: str, source: str, destination: str, size: int = 0) -> bool:
        """Whether a pod packet leaves ``node`` and is taken in by the node at ``destination``."""
        found = self.node_at(destination)
        mine = self.settings(cluster, node)
        if found is None or mine is None:
            return found is not None and found[0] == cluster
        theirs = self.settings(*found)
        sent = overlay(mine)
        if not sent.port:
            return found[0] == cluster
        if theirs is None or overlay(theirs) != sent:
            return False
        return self._wire.reaches(cluster, source, destination, "udp", sent.port, size + OVERHEAD if size else 0)

    def carry(self, here: Spot, address: str, protocol: str, port: int, size: int = 0) -> Carried:
        """Take one packet from a pod to a pod address; one way only."""
        mine = self.settings(here.cluster, here.node)
        if mine is None:
            return self._plain(here, address)
        target = self.next_node(here, address)
        if target is None:
            return Carried(None, None, "no route")
        source = self.node_address(here.cluster, here.node)
        cluster, node_address = target
        if node_address != source or cluster != here.cluster:
            native = not overlay(mine).port
            if native and cluster != here.cluster:
                if not self._wire.reaches(here.cluster, here.address, address, protocol, port, size):
                    return Carried(None, None, "native routing: not delivered")
            elif not self.hop(here.cluster, here.node, source, node_address, size):
                return Carried(None, None, "tunnel: not delivered")
        found = self.node_at(node_address)
        if found is None:
            return Carried(None, None, "no such node")
        runtime = self.pod_at(found[0], address, found[1])
        return Carried(runtime, Spot(found[0], found[1], address), "" if runtime else "no such pod")

    def _plain(self, here: Spot, address: str) -> Carried:
        """Pods of other CNIs reach pods of their own cluster."""
        runtime = self.pod_at(here.cluster, address)
        if runtime is None:
            return Carried(None, None, "no route")
        return Carried(runtime, Spot(here.cluster, runtime.node, address))

    def route_mtu(self, cluster: str, node: str) -> int:
        """Largest inner packet that a pod of this node sends to others: the agent's MTU without the tunnel's header."""
        mine = self.settings(cluster, node)
        if mine is None:
            return ETHERNET
        text = mine.get("mtu", "0")
        underlay = (int(text) if text.isdigit() else 0) or ETHERNET
        return underlay - (OVERHEAD if overlay(mine).port else 0)

    def swallows(self, there: Spot, here: Spot, body: int) -> bool:
        """Whether a full-sized packet of an answer of ``body`` bytes gets lost while small ones pass (§11.2)."""
        size = min(body + HEADERS, self.route_mtu(there.cluster, there.node))
        return self.carry(there, here.address, "tcp", 0, size).runtime is None

    def converse(self, here: Spot, address: str, port: int) -> Carried:
        """A TCP connection: the first packet there and its answer back."""
        there = self.carry(here, address, "tcp", port)
        if there.runtime is None or there.spot is None:
            return there
        back = self.carry(there.spot, here.address, "tcp", port)
        if back.spot != Spot(here.cluster, here.node, here.address):
            return Carried(None, None, "the answer does not come back")
        return there
