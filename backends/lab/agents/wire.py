"""The network as agents use it: single packets, each judged by the clouds' rules as they are now."""

from typing import TYPE_CHECKING

from backends.lab.network.packet import Delivery, Packet

if TYPE_CHECKING:
    from backends.lab.world import World


class Wire:
    """Sends packets over ``world.network`` and remembers their fate until a cloud changes."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._kept_at: object = None
        self._kept: dict[Packet, Delivery] = {}
        self._names: dict[str, tuple[str, ...]] = {}

    @property
    def revision(self) -> object:
        """What differs whenever a packet might fare differently than before."""
        return self._world.network.revision

    def _fresh(self) -> None:
        now = self.revision
        if now != self._kept_at:
            self._kept_at = now
            self._kept.clear()
            self._names.clear()

    def send(self, cluster: str, source: str, destination: str, protocol: str, port: int, size: int = 0) -> Delivery:
        """Send the first packet of a flow of ``cluster``, a node's or a pod's."""
        self._fresh()
        packet = Packet(cluster, source, destination, protocol, port, size)
        if packet not in self._kept:
            self._kept[packet] = self._world.network.deliver(packet)
        return self._kept[packet]

    def reaches(self, cluster: str, source: str, destination: str, protocol: str, port: int, size: int = 0) -> bool:
        """Whether a packet arrives; for TCP and ICMP also that the answer does."""
        return self.send(cluster, source, destination, protocol, port, size).delivered

    def resolve(self, hostname: str) -> tuple[str, ...]:
        """Addresses of a load balancer's host name; none for names that no cloud knows."""
        self._fresh()
        if hostname not in self._names:
            self._names[hostname] = tuple(self._world.network.resolve(hostname))
        return self._names[hostname]
