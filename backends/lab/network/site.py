"""A site outside any cloud: one flat network behind a gateway, with no rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.lab.network.flow import Flow
from backends.lab.network.places import Domain, Interface, Step, TunnelEnd
from backends.lab.network.prefixes import Prefix, inside, number, prefixes, within


@dataclass(slots=True)
class SiteConfig:
    """What a site is made of: CIDRs, its public gateway address, and the remote CIDRs it sends into tunnels."""

    name: str
    cidrs: tuple[str, ...]
    gateway: str
    routes: list[str] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)


class Site(Domain):
    """Everything inside reaches everything; remote prefixes go to the gateway, the rest to the internet."""

    def __init__(self, config: SiteConfig) -> None:
        self.id = f"site/{config.name}"
        self.name = config.name
        self.prefixes: tuple[Prefix, ...] = prefixes(config.cidrs)
        self.interfaces: dict[int, Interface] = {}
        self.routes = prefixes(config.routes)
        self.public = number(config.gateway)

    def leave(self, flow: Flow, start: Interface) -> Step | None:
        """Route."""
        flow.milliseconds += 0.2
        return self._step(flow)

    def _step(self, flow: Flow) -> Step:
        if self.owns(flow.destination):
            return Step("local")
        if inside(flow.destination, self.routes):
            flow.note("route", self.name, True, "into the tunnel")
            return Step("gateway", self.id)
        return Step("internet", self.name, self.public)

    def enter(self, flow: Flow, end: Interface, start: Interface | None) -> bool:
        """No rules."""
        return True

    def answer(self, flow: Flow, machine: Interface, front: Interface) -> bool:
        """There are no load balancers."""
        return True

    def from_gateway(self, flow: Flow) -> Step | None:
        """Into the flat network, nowhere else."""
        if flow.note(
            "gateway", self.name, self.owns(flow.destination), "" if self.owns(flow.destination) else "not here"
        ):
            return Step("local")
        return None


def site_tunnels(
    config: SiteConfig,
    others: list[TunnelEnd],
    owned: Mapping[str, tuple[Prefix, ...]],
    sites: Mapping[str, SiteConfig],
) -> list[TunnelEnd]:
    """The site's ends of the tunnels that others have configured towards its gateway, and of those between sites.

    ``owned`` are the prefixes of each domain: a tunnel is used for those of the site's routes that lead to its far end.
    """
    made = [
        TunnelEnd(
            f"site/{config.name}",
            f"site/{config.name}",
            config.name,
            frozenset([config.gateway]),
            address,
            True,
            tuple(
                where
                for where in prefixes(config.routes)
                if any(within(where, range) or within(range, where) for range in owned.get(other.domain, ()))
            ),
        )
        for other in others
        if other.peer == config.gateway
        for address in other.own
    ]
    for name in config.peers:
        peer = sites[name]
        made.append(
            TunnelEnd(
                f"site/{config.name}",
                f"site/{config.name}",
                f"{config.name}-{name}",
                frozenset([config.gateway]),
                peer.gateway,
                True,
                prefixes(peer.cidrs),
            )
        )
    return made
