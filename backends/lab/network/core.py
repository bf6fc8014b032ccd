"""The lab's network: packets judged by what both clouds hold at this moment."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from backends.lab.network.flow import Flow
from backends.lab.network.packet import Arrival, Delivery, Hop, Packet
from backends.lab.network.places import Domain, Interface
from backends.lab.network.prefixes import number, text
from backends.lab.network.site import SiteConfig
from backends.lab.network.view import View, compose
from backends.lab.network.walk import Walk, answer_of
from backends.lab.storage.resources import NODES

if TYPE_CHECKING:
    from backends.lab.cluster import LabCluster
    from backends.lab.objects import Object, Resource
    from backends.lab.world import World

VPN_MTU: Final = 1422
"""Largest IP packet in a tunnel of AES-CBC with SHA1 or SHA2-256 and NAT traversal (cloud-network §4.7)."""

_KEPT: Final = 50_000


class Network:
    """Answers are kept until either cloud, a node or a site changes.

    ``deliver_to_service`` is asked whether anything on a node answers at a port that a load balancer sends to
    (kube-proxy or the agent translating a node port, a back-end behind it); without it everything answers. Whoever sets
    it calls ``touch`` when its answers may have changed.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self.sites: dict[str, SiteConfig] = {}
        self.deliver_to_service: Callable[[Arrival], bool] | None = None
        self._mtus: dict[frozenset[str], int] = {}
        self._own = 0
        self._watched: set[str] = set()
        self._view: View | None = None
        self._seen: object = None
        self._kept: dict[Packet, Delivery] = {}

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def revision(self) -> object:
        """Differs whenever a packet might fare differently than before."""
        clouds = self._world.clouds
        return (self._own, len(self._world.clusters), clouds.version if clouds is not None else 0)

    def touch(self) -> None:
        """Something outside the clouds changed."""
        self._own += 1

    def add_site(self, name: str, cidrs: Sequence[str], gateway: str) -> None:
        """A network outside any cloud with its public gateway address."""
        self.sites[name] = SiteConfig(name, tuple(cidrs), gateway)
        self.touch()

    def route_site(self, name: str, cidr: str) -> None:
        """Let a site send a remote CIDR into its tunnels."""
        if cidr not in self.sites[name].routes:
            self.sites[name].routes.append(cidr)
        self.touch()

    def join_sites(self, one: str, other: str) -> None:
        """A tunnel between two sites."""
        for here, there in ((one, other), (other, one)):
            self.sites[here].peers.append(there)
            self.sites[here].routes += self.sites[there].cidrs
        self.touch()

    def set_path_mtu(self, one: "LabCluster", other: "LabCluster", size: int) -> None:
        """The largest IP packet that the tunnels between the networks of two clusters carry."""
        view = self.view()
        self._mtus[frozenset((view.homes[one.name], view.homes[other.name]))] = size
        self.touch()

    def path_mtu(self, one: "LabCluster", other: "LabCluster") -> int:
        """What ``set_path_mtu`` set, or ``VPN_MTU``."""
        view = self.view()
        return self._mtu(view.homes[one.name], view.homes[other.name])

    def _mtu(self, one: str, other: str) -> int:
        return self._mtus.get(frozenset((one, other)), VPN_MTU)

    def view(self) -> View:
        """Everything as it is now."""
        self._watch()
        now = self.revision
        if self._view is None or now != self._seen:
            self._view, self._seen = compose(self._world, self.sites), now
            self._kept.clear()
        return self._view

    def _watch(self) -> None:
        for name, cluster in self._world.clusters.items():
            if name not in self._watched:
                self._watched.add(name)
                cluster.objects.subscribe(self._changed)

    def _changed(self, kind: str, resource: "Resource", obj: "Object") -> None:
        if resource.key == NODES.key and kind != "MODIFIED":
            self.touch()

    # -- packets -------------------------------------------------------------------------------------------------

    def passes(self, cluster: str, source: str, destination: str, protocol: str, port: int, size: int = 0) -> bool:
        """``deliver`` for whoever wants only the verdict."""
        return self.deliver(Packet(cluster, source, destination, protocol, port, size)).delivered

    def deliver(self, packet: Packet) -> Delivery:
        """Send one packet; for tcp and icmp its answer too."""
        view = self.view()
        kept = self._kept.get(packet)
        if kept is not None:
            return kept
        found, lasting = self._deliver(view, packet)
        if lasting:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[packet] = found
        return found

    def _deliver(self, view: View, packet: Packet) -> tuple[Delivery, bool]:
        domain = view.domains.get(view.homes.get(packet.source_cluster, ""))
        try:
            source, destination = number(packet.source_ip), number(packet.destination_ip)
        except ValueError:
            return _dropped((), "address", f"{packet.source_ip} to {packet.destination_ip}"), True
        start = domain.interfaces.get(source) if domain is not None else None
        if domain is None or start is None:
            # Clouds drop what does not carry the address of the interface it comes from.
            return _dropped((), "source", f"{packet.source_ip} is no interface of {packet.source_cluster}"), True
        flow = Flow(
            source,
            destination,
            packet.protocol,
            packet.port,
            packet.source_port,
            packet.icmp_type,
            packet.size,
            groups=start.groups,
        )
        if start.address == destination:
            arrival = Arrival(
                start.cluster, start.node, packet.source_ip, packet.protocol, packet.port, packet.source_ip
            )
            return Delivery(True, "node", (), True, arrival, 0.05), True
        return self._walked(view, flow, (domain, start))

    def _walked(self, view: View, flow: Flow, origin: tuple[Domain, Interface]) -> tuple[Delivery, bool]:
        walk = Walk(view, self._mtu, self._serves)
        front = walk.travel(flow, *origin)
        if front is None:
            return _lost(flow), True
        domain, card = front
        lasting = card.balancer is None
        if card.balancer is None:
            machine = front
            arrival = Arrival(card.cluster, card.node, text(card.address), flow.protocol, flow.port, text(flow.source))
        else:
            balanced = walk.balance(flow, domain, card)
            if balanced is None:
                return _lost(flow), False
            machine, arrival = balanced
            if not self._serves(arrival):
                flow.note("node port", arrival.node, False, f"nothing answers at {arrival.port}")
                return _lost(flow), False
        there = Delivery(True, "node", tuple(flow.trace), True, arrival, flow.milliseconds)
        if flow.protocol == "udp":
            return there, lasting
        if answer_of(walk, flow, front, machine, origin):
            return replace(there, trace=tuple(flow.trace), milliseconds=flow.milliseconds), lasting
        lost = _lost(flow)
        return replace(lost, arrived=True, arrival=arrival, where=f"answer: {lost.where}"), lasting

    def _serves(self, arrival: Arrival) -> bool:
        hook = self.deliver_to_service
        return hook is None or hook(arrival)

    # -- names and probes ----------------------------------------------------------------------------------------

    def resolve(self, hostname: str) -> tuple[str, ...]:
        """Addresses of a load balancer's host name; none for names that no cloud knows."""
        balancer = self.view().hostnames.get(hostname.lower().rstrip("."))
        return tuple(text(address) for address in sorted(balancer.addresses)) if balancer else ()

    def target_healthy(self, balancer_id: str, instance_address: str, port: int) -> bool:
        """Whether a balancer's probe gets to a machine and is answered."""
        view = self.view()
        walk = Walk(view, self._mtu, self._serves)
        wanted = number(instance_address)
        for domain in view.domains.values():
            for front in domain.interfaces.values():
                if front.balancer is None or front.balancer.id != balancer_id:
                    continue
                for pool in front.balancer.listeners.values():
                    for card, target in pool.targets:
                        if card.address == wanted and target == port:
                            return walk.healthy(domain, front, pool, card, target)
        return False


def _lost(flow: Flow) -> Delivery:
    last = flow.trace[-1] if flow.trace else Hop("nowhere", "", False)
    return Delivery(False, f"{last.place} {last.subject}".strip(), tuple(flow.trace))


def _dropped(trace: tuple[Hop, ...], place: str, detail: str) -> Delivery:
    return Delivery(False, place, (*trace, Hop(place, "", False, detail)))
