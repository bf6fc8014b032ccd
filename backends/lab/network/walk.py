"""The walk of one packet, hop by hop, through whatever lies between two addresses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backends.lab.network.azure_rules import PLATFORM
from backends.lab.network.flow import Flow
from backends.lab.network.packet import Arrival
from backends.lab.network.places import Domain, Interface, Pool, Step, TunnelEnd
from backends.lab.network.prefixes import inside, number, text
from backends.lab.network.view import View
from backends.lab.network.vpc import GroupRules

Place = tuple[Domain, Interface]
Serves = Callable[[Arrival], bool]

_PLATFORM: Final = number(PLATFORM)
_TUNNEL_MS: Final = 5.5
_INTERNET_MS: Final = 9.0
_REGION_MS: Final = 4.0


@dataclass(slots=True)
class Walk:
    """``mtu`` gives the largest packet between two domains that a tunnel carries; ``serves`` whether a node answers."""

    view: View
    mtu: Callable[[str, str], int]
    serves: Serves

    def travel(self, flow: Flow, domain: Domain, start: Interface) -> Place | None:
        """From an interface to the one that has the destination address; None = dropped on the way."""
        step = domain.leave(flow, start)
        if step is None:
            return None
        if step.kind == "local":
            return self._arrive(flow, domain, start)
        if step.kind == "peer":
            return self._peer(flow, domain, step.target)
        if step.kind == "gateway":
            return self._tunnel(flow, domain, step.target)
        return self._internet(flow, step)

    def _arrive(self, flow: Flow, domain: Domain, start: Interface | None) -> Place | None:
        end = domain.interfaces.get(flow.destination)
        if end is None:
            flow.note("address", text(flow.destination), False, "nothing has this address")
            return None
        return (domain, end) if domain.enter(flow, end, start) else None

    def _peer(self, flow: Flow, domain: Domain, target: str) -> Place | None:
        other = self.view.domains.get(target)
        mutual = other is not None and domain.id in other.linked and target in domain.linked
        if not flow.note("peering", target.rpartition("/")[2], mutual, "" if mutual else "not connected"):
            return None
        assert other is not None
        if other.region != domain.region:
            flow.groups = frozenset()  # group references do not reach across regions
            flow.milliseconds += _REGION_MS
        return self._arrive(flow, other, None)

    def _tunnel(self, flow: Flow, domain: Domain, gateway: str) -> Place | None:
        mine = [end for end in self.view.tunnels if end.gateway.lower() == gateway.lower()]
        known = sorted(
            (end for end in mine if inside(flow.destination, end.behind)),
            key=lambda end: -max(mask for network, mask in end.behind if flow.destination & mask == network),
        )
        if not known:
            why = f"no connection knows {text(flow.destination)}" if mine else "no connection"
            flow.note("vpn gateway", gateway.rpartition("/")[2], False, why)
            return None
        for end in known:
            other = self._other_end(flow, end)
            if other is None:
                continue
            flow.note("vpn", end.subject, True, f"tunnel to {end.peer}")
            return self._out_of_tunnel(flow, domain, other)
        flow.note("vpn", known[0].subject, False, "no tunnel is up")
        return None

    def _other_end(self, flow: Flow, end: TunnelEnd) -> TunnelEnd | None:
        if not end.up or not end.selects(flow.source, flow.destination):
            return None
        for other in self.view.tunnels:
            if other.up and end.meets(other) and other.selects(flow.destination, flow.source):
                return other
        return None

    def _out_of_tunnel(self, flow: Flow, domain: Domain, end: TunnelEnd) -> Place | None:
        other = self.view.domains.get(end.domain)
        limit = self.mtu(domain.id, end.domain)
        if flow.size > limit:
            # A tunnel that is too small swallows the packet; nobody is told (cloud-network §4.7).
            flow.note("path mtu", end.subject, False, f"{flow.size} bytes, {limit} pass")
            return None
        flow.milliseconds += _TUNNEL_MS
        flow.groups = frozenset()
        step = other.from_gateway(flow) if other is not None else None
        if step is None or other is None:
            return None
        return self._arrive(flow, other, None) if step.kind == "local" else self._peer(flow, other, step.target)

    def _internet(self, flow: Flow, step: Step) -> Place | None:
        found = self.view.public.get(flow.destination)
        if not flow.note("internet", step.target, bool(step.public) and found is not None, text(flow.destination)):
            return None
        assert found is not None
        flow.source, flow.groups = step.public, frozenset()
        flow.milliseconds += _INTERNET_MS
        domain, end = found
        return (domain, end) if domain.enter(flow, end, None) else None

    # -- load balancers ------------------------------------------------------------------------------------------

    def balance(self, flow: Flow, domain: Domain, front: Interface) -> tuple[Place, Arrival] | None:
        """From a load balancer's front end to one of its machines."""
        balancer = front.balancer
        assert balancer is not None
        pool = balancer.listeners.get((flow.protocol, flow.port))
        name = balancer.hostname or balancer.id.rpartition("/")[2]
        if not balancer.active or pool is None or not pool.targets:
            why = "not active yet" if not balancer.active else ("no listener" if pool is None else "no targets")
            flow.note("load balancer", name, False, why)
            return None
        healthy = [target for target in pool.targets if self.healthy(domain, front, pool, *target)]
        if not healthy and balancer.kind == "network":
            healthy = pool.targets  # all unhealthy: it fails open
        if not healthy:
            flow.note("load balancer", name, False, "no healthy target")
            return None
        card, port = healthy[(flow.source_port + flow.source) % len(healthy)]
        flow.note("load balancer", name, True, f"to {text(card.address)}:{port}")
        if not self._to_target(flow, domain, front, card, port, pool):
            return None
        address = text(front.address if pool.floating else card.address)
        arrival = Arrival(card.cluster, card.node, address, flow.protocol, port, text(flow.source), balancer.id)
        return (domain, card), arrival

    def _to_target(self, flow: Flow, domain: Domain, front: Interface, card: Interface, port: int, pool: Pool) -> bool:
        balancer = front.balancer
        assert balancer is not None
        onward = Flow(
            flow.source,
            flow.destination if pool.floating else card.address,
            flow.protocol,
            port,
            flow.source_port,
            flow.icmp_type,
            flow.size,
            groups=balancer.groups,
            trace=flow.trace,
        )
        if balancer.kind == "azure":
            return domain.enter(onward, card, None)
        if balancer.kind == "classic":
            onward.source = front.address
        rules: GroupRules = front.rules
        if rules.checked and balancer.kind == "classic" and domain.leave(onward, front) is None:
            return False
        return domain.enter(onward, card, front)

    def healthy(self, domain: Domain, front: Interface, pool: Pool, card: Interface, port: int) -> bool:
        """Whether the balancer's probe gets to the machine and something answers there."""
        balancer = front.balancer
        assert balancer is not None
        azure = balancer.kind == "azure"
        target = pool.probe_port or port
        source = _PLATFORM if azure else front.address
        probe = Flow(source, card.address, "tcp", target, 45000, 8, 0, groups=balancer.groups)
        if not domain.enter(probe, card, None if azure else front):
            return False
        address = text(card.address)
        return self.serves(Arrival(card.cluster, card.node, address, "tcp", target, text(source), balancer.id))


def answer_of(walk: Walk, flow: Flow, front: Place, machine: Place, origin: Place) -> bool:
    """Whether the answer gets from the machine (through the front end it was reached by) back to the origin."""
    domain, card = machine
    _, edge = front
    back = flow.back(edge.address)
    if edge is not card and edge.balancer is not None:
        # A classic balancer ends the client's connection and has one of its own to the machine.
        inner = flow.back(card.address if edge.balancer.kind == "classic" else edge.address)
        inner.destination = edge.address if edge.balancer.kind == "classic" else flow.source
        if not domain.answer(inner, card, edge):
            return False
    if flow.source != origin[1].address:
        # The source was translated on the way out: the translation is undone where it was made.
        flow.milliseconds = 2 * flow.milliseconds
        return True
    found = walk.travel(back, front[0], edge)
    flow.milliseconds = back.milliseconds
    return found is not None and found[1] is origin[1]
