"""What a network is made of, whatever the cloud: interfaces, load balancers, domains, ends of tunnels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from backends.lab.network.flow import Flow
from backends.lab.network.prefixes import Prefix, inside


@dataclass(slots=True)
class Interface:
    """Something with an address: a node, a load balancer, a gateway. ``subject`` is the cloud's name for it.

    ``subnet`` is the domain's own object; ``groups`` are AWS security groups; ``public`` is its public address or 0.
    """

    address: int
    subject: str
    subnet: Any = None
    cluster: str = ""
    node: str = ""
    groups: frozenset[str] = frozenset()
    rules: Any = None
    public: int = 0
    balancer: "Balancer | None" = None


@dataclass(slots=True)
class Pool:
    """What a listener sends to: interfaces and ports. ``floating``: address and port stay the balancer's."""

    targets: list[tuple[Interface, int]]
    floating: bool = False
    probe_port: int = 0


@dataclass(slots=True)
class Balancer:
    """``kind`` is network, classic or azure; ``active`` False while it is being made."""

    id: str
    kind: str
    listeners: dict[tuple[str, int], Pool]
    active: bool = True
    hostname: str = ""
    groups: frozenset[str] = frozenset()
    rules: Any = None
    addresses: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a packet goes on: ``kind`` is local, peer, gateway or internet; ``target`` a domain or gateway."""

    kind: str
    target: str = ""
    public: int = 0


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """One end of one tunnel as its side has configured it: own and peer's outside address, and what lies behind it."""

    domain: str
    gateway: str
    subject: str
    own: frozenset[str]
    peer: str
    up: bool
    behind: tuple[Prefix, ...]
    local: Prefix = (0, 0)
    remote: Prefix = (0, 0)

    def meets(self, other: "TunnelEnd") -> bool:
        """Whether the two ends are configured for each other."""
        return other.peer in self.own and self.peer in other.own

    def selects(self, source: int, destination: int) -> bool:
        """Whether the traffic selectors hold a packet that leaves by this end."""
        return inside(source, (self.local,)) and inside(destination, (self.remote,))


class Domain(ABC):
    """One routed network: a VPC, a VNet or a site."""

    id: str
    region: str = ""
    prefixes: tuple[Prefix, ...]
    interfaces: dict[int, Interface]
    linked: frozenset[str] = frozenset()
    """Ids of domains with which a peering is in force."""

    def owns(self, address: int) -> bool:
        """Whether the address is in the domain's ranges."""
        return inside(address, self.prefixes)

    @abstractmethod
    def leave(self, flow: Flow, start: Interface) -> Step | None:
        """Judge a packet on its way out of an interface and route it; None = dropped, with the reason in the trace."""

    @abstractmethod
    def enter(self, flow: Flow, end: Interface, start: Interface | None) -> bool:
        """Judge a packet on its way into an interface; ``start`` is where it came from inside the domain, if it did."""

    @abstractmethod
    def answer(self, flow: Flow, machine: Interface, front: Interface) -> bool:
        """Judge an answer between a load balancer's machine and its front end."""

    @abstractmethod
    def from_gateway(self, flow: Flow) -> Step | None:
        """Route a packet that came out of a tunnel."""
