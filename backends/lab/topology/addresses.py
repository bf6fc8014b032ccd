"""Where things lie in a network: subnets of a VPC or VNet, addresses of nodes."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

_SPREAD = 38
_FIRST_HOST = 10


@dataclass(frozen=True, slots=True)
class VpcPlan:
    """Two private subnets for nodes and two public ones for gateways and public load balancers."""

    private: tuple[str, str]
    public: tuple[str, str]


def vpc_plan(cidr: str, nodes: int) -> VpcPlan:
    """Subnets of a VPC; /24 each, larger where the nodes need it. Raises ``ValueError`` for a VPC that is too small."""
    network = ipaddress.IPv4Network(cidr)
    length = 24 if nodes <= 400 else 20
    length = max(length, network.prefixlen + 3)
    if length > 27:
        raise ValueError(f"{cidr} is too small for a cluster: at least /24 is needed")
    parts = [str(part) for part in network.subnets(new_prefix=length)]
    public = (101, 102) if len(parts) > 102 else (5, 6)
    return VpcPlan((parts[1], parts[2]), (parts[public[0]], parts[public[1]]))


def node_addresses(subnets: tuple[str, ...], nodes: int) -> list[tuple[int, str]]:
    """(index of the subnet, address) of each node, spread as an auto scaling group spreads them: a, a, b, a, b, b, …"""
    makers = [_hosts(subnet, index) for index, subnet in enumerate(subnets)]
    order = [0, 0, 1, 0, 1, 1] if len(subnets) == 2 else list(range(len(subnets)))
    chosen = [order[number % len(order)] for number in range(nodes)]
    return [(index, next(makers[index])) for index in chosen]


def _hosts(subnet: str, index: int) -> Iterator[str]:
    network = ipaddress.IPv4Network(subnet)
    last = network.num_addresses - 2
    used = set()
    for step in count():
        host = _FIRST_HOST + index + _SPREAD * step
        if host > last:
            break
        used.add(host)
        yield str(network[host])
    for host in range(_FIRST_HOST, last):
        if host not in used:
            yield str(network[host])


def vnet_subnets(vnet: str) -> tuple[str, str]:
    """(nodes' subnet, GatewaySubnet) of a VNet: its first part and its last /27."""
    network = ipaddress.IPv4Network(vnet)
    nodes = next(network.subnets(new_prefix=max(16, network.prefixlen + 1)))
    gateway = ipaddress.IPv4Network((int(network.broadcast_address) - 31, 27))
    return str(nodes), str(gateway)
