"""Kernel counters of nodes and the burst that proves one direction of the tunnel (cilium-clustermesh §11.1, §11.2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backends.lab.agents.datapath.routing import overlay

if TYPE_CHECKING:
    from backends.lab.agents.datapath.routing import Datapath
    from backends.lab.agents.wire import Wire

INNER: Final = 28
"""Bytes of the inner IP and UDP headers."""


@dataclass(slots=True)
class Count:
    """What one node has counted since it started."""

    rx_packets: int = 4120
    rx_bytes: int = 512_000
    tx_packets: int = 4210
    tx_bytes: int = 530_000
    tx_dropped: int = 0
    no_ports: int = 0

    def vxlan(self) -> dict[str, int]:
        """Files of ``/sys/class/net/cilium_vxlan/statistics``."""
        return {
            "rx_packets": self.rx_packets,
            "rx_bytes": self.rx_bytes,
            "rx_dropped": 0,
            "tx_packets": self.tx_packets,
            "tx_bytes": self.tx_bytes,
            "tx_dropped": self.tx_dropped,
        }

    def snmp(self) -> str:
        """``/proc/net/snmp``, as far as it is read."""
        return (
            "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards "
            "InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs "
            "FragFails FragCreates OutTransmits\n"
            f"Ip: 1 64 {self.rx_packets * 3} 0 0 0 0 0 {self.rx_packets * 3} {self.tx_packets * 3} 0 0 0 0 0 0 0 0 0 "
            f"{self.tx_packets * 3}\n"
            "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti "
            "MemErrors\n"
            f"Udp: {self.rx_packets} {self.no_ports} 0 {self.tx_packets} 0 0 0 0 0\n"
        )


class Counters:
    """Counters of all nodes, and bursts between them."""

    def __init__(self, datapath: "Datapath", wire: "Wire") -> None:
        self._datapath = datapath
        self._wire = wire
        self._counts: dict[tuple[str, str], Count] = {}

    def of(self, cluster: str, node: str) -> Count:
        """The counters of one node."""
        return self._counts.setdefault((cluster, node), Count())

    def burst(self, cluster: str, node: str, address: str, sizes: list[int]) -> None:
        """Send UDP datagrams of these payload sizes from the node to closed ports of another node's Cilium address."""
        mine = self._datapath.settings(cluster, node)
        there = self._owner(cluster, node, address)
        if mine is None or there is None or not overlay(mine).port:
            return
        here = self.of(cluster, node)
        found = self._datapath.node_at(there)
        for size in sizes:
            here.tx_packets += 1
            here.tx_bytes += size + INNER
            if found is None:
                continue
            if self._datapath.hop(cluster, node, self._datapath.node_address(cluster, node), there, size + INNER):
                receiver = self.of(*found)
                receiver.rx_packets += 1
                receiver.rx_bytes += size + INNER
                receiver.no_ports += 1

    def _owner(self, cluster: str, node: str, address: str) -> str | None:
        """Node address behind a ``cilium_host`` or health address, as the sender's agent knows it."""
        readers = self._datapath.readers
        if readers is None:
            return None
        known = list(readers.exports(cluster).nodes.values())
        known += [one for _, seen in readers.seen_by(cluster, node) for one in seen.nodes.values()]
        return next((one.address for one in known if address in (one.cilium_address, one.health_address)), None)
