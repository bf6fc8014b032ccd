"""Which route a packet takes in a VPC and in a transit gateway (cloud-network §4.4)."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from mesh.addresses import Ranges, interval, minus, overlap, ranges
from mesh.intervals import Steps, layered
from mesh.model.vpc import TgwRoute, TgwRouteTable, VpcRoute, VpcRouteTable

# Nothing here leads to another cloud: packets to a private address are lost or lose their source.
EXITS: Final = frozenset(("nat", "igw", "eigw", "local gateway", "carrier gateway"))
# Something inside the network that forwards, or does not: it is named and not judged.
APPLIANCES: Final = frozenset(("eni", "instance", "vpce"))
LIVE: Final = "active"
GONE: Final = "blackhole"
_NOT_INSTALLED: Final = "filtered"
_TGW_SOURCES: Final = ("vpc", "direct-connect-gateway", "connect", "vpn")


def length(low: int, high: int) -> int:
    """Prefix length of an interval that is a CIDR; 128 bits of IPv6 count as longer than 32 of IPv4, never meeting."""
    size = (high - low + 1).bit_length() - 1
    return (128 if low >= 1 << 33 else 32) - size


def table_of(tables: Iterable[VpcRouteTable], vpc: str, subnet: str) -> VpcRouteTable | None:
    """The table explicitly associated with the subnet, else the VPC's main one."""
    main: VpcRouteTable | None = None
    for table in tables:
        if subnet and subnet in table.subnets:
            return table
        if table.vpc == vpc and table.main:
            main = table
    return main


def edge_table(tables: Iterable[VpcRouteTable], gateway: str) -> VpcRouteTable | None:
    """The table that steers what comes in through a gateway; None = packets go straight to their subnet."""
    return next((table for table in tables if gateway in table.gateways), None)


@lru_cache(maxsize=1024)
def vpc_steps(table: VpcRouteTable) -> Steps[VpcRoute]:
    """For each destination the route: longest prefix; static before prefix list before propagated; local before any
    propagated route inside it.
    """
    layers: list[tuple[Ranges, tuple[int, ...], VpcRoute]] = []
    local = ranges(tuple(cidr for route in table.routes if route.kind == "local" for cidr in route.cidrs or ()))
    for route in table.routes:
        if route.state == _NOT_INSTALLED:
            continue
        origin = 1 if route.propagated else 2 if route.prefix_list else 3
        for cidr in route.cidrs or ():
            low, high = interval(cidr)
            reach = minus(((low, high),), local) if route.propagated else ((low, high),)
            layers.append((reach, (length(low, high), origin), route))
    return layered(layers)


def unread_routes(table: VpcRouteTable) -> tuple[VpcRoute, ...]:
    """Routes to prefix lists whose entries are not known: any of them may be the longest prefix."""
    return tuple(route for route in table.routes if route.cidrs is None and route.state != _NOT_INSTALLED)


@lru_cache(maxsize=1024)
def tgw_steps(table: TgwRouteTable) -> Steps[TgwRoute]:
    """For each destination the route of a TGW's table: longest prefix, then static, prefix list, and by source."""
    layers: list[tuple[Ranges, tuple[int, ...], TgwRoute]] = []
    for route in table.routes if isinstance(table.routes, tuple) else ():
        source = len(_TGW_SOURCES) - _TGW_SOURCES.index(route.source) if route.source in _TGW_SOURCES else 0
        origin = (3 if route.kind == "static" else 1, source) if not route.prefix_list else (2, source)
        for cidr in route.cidrs or ():
            low, high = interval(cidr)
            layers.append((((low, high),), (length(low, high), *origin), route))
    return layered(layers)


def shadowed(table: VpcRouteTable, route: VpcRoute, destinations: Ranges, transit: Sequence[str]) -> VpcRoute | None:
    """The route to one of the ``transit`` gateways that would lead there, were it not for ``route``."""
    for other in table.routes:
        if other is route or other.target not in transit or other.cidrs is None:
            continue
        if overlap(ranges(other.cidrs), destinations):
            return other
    return None


def route_words(route: VpcRoute) -> str:
    """``10.224.0.0/12 → vgw-07d2 propagated``."""
    where = route.prefix_list or ", ".join(route.cidrs or ())
    how = "propagated" if route.propagated else "static" if route.kind != "local" else ""
    gone = "" if route.state == LIVE else route.state
    return " ".join(part for part in (where, "→", route.target or route.kind, how, gone) if part)
