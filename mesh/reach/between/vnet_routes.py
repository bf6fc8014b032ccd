"""Which route a packet takes in a VNet, and what the tag VirtualNetwork holds (cloud-network §3.4, §3.5)."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from mesh.addresses import EVERYTHING, AddressError, Ranges, cidrs, interval, minus, ranges
from mesh.intervals import Steps, layered
from mesh.model.unread import Unread
from mesh.model.vnet import (
    AzureNetwork,
    AzureRoute,
    AzureRouteTable,
    GatewayConnection,
    Vnet,
    VnetGateway,
    VnetPeering,
    VnetSubnet,
    same,
)
from mesh.reach.between.vpc_routes import length

WIRE_SERVER: Final = "168.63.129.16/32"
GATEWAY: Final = "VirtualNetworkGateway"
_SYSTEM, _BGP, _USER = 1, 2, 3
_DROPPED: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
_DEFAULT: Final = ("0.0.0.0/0", "::/0")


class NextHop(Struct, frozen=True):
    """What the chosen route says: where from (``system``, ``gateway``, the user route's name), prefix, kind, target."""

    source: str
    prefix: str
    kind: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.prefix} → {self.kind}" + (f" {self.target}" if self.target else "")


class Known(Struct, frozen=True):
    """Prefixes a gateway knows: surely, and those it may know because what it learned was not read."""

    prefixes: tuple[str, ...] = ()
    perhaps: bool = False
    missing: str = ""


def find_vnet(azure: AzureNetwork, vnet_id: str) -> Vnet | None:
    """The VNet of that id, where it was read."""
    vnets = () if isinstance(azure.vnets, Unread) else azure.vnets
    return next((vnet for vnet in vnets if same(vnet.id, vnet_id)), None)


def connected(peering: VnetPeering) -> bool:
    """Whether traffic of the VNets themselves may cross, as this side says."""
    return peering.state == "Connected" and peering.allow_access


def gateway_vnets(vnet: Vnet) -> tuple[str, ...]:
    """VNets whose gateway serves this one: its own, and those it uses by a peering."""
    remote = (item.remote_vnet for item in vnet.peerings if item.use_remote_gateways and item.state == "Connected")
    return (vnet.id, *remote)


def gateways_of(azure: AzureNetwork, vnet: Vnet) -> tuple[VnetGateway, ...] | Unread:
    """The gateways that serve a VNet."""
    if isinstance(azure.gateways, Unread):
        return azure.gateways
    places = gateway_vnets(vnet)
    return tuple(item for item in azure.gateways if any(same(item.vnet, place) for place in places))


def connections_of(azure: AzureNetwork, gateway: VnetGateway) -> tuple[GatewayConnection, ...] | Unread:
    """The connections of a gateway."""
    if isinstance(azure.connections, Unread):
        return azure.connections
    return tuple(item for item in azure.connections if same(item.gateway, gateway.id))


def gateway_knows(azure: AzureNetwork, gateway: VnetGateway) -> Known:
    """What a gateway has routes for: learned ones, else the LNGs' prefixes; with BGP unread, perhaps more."""
    connections = connections_of(azure, gateway)
    if isinstance(connections, Unread):
        return Known(perhaps=True, missing=connections.right)
    found: list[str] = []
    missing = ""
    if isinstance(gateway.learned, Unread):
        # Without BGP the LNGs tell all there is to know.
        missing = gateway.learned.right if gateway.bgp or any(item.bgp for item in connections) else ""
    else:
        found += (item.prefix for item in gateway.learned)
    for item in connections:
        if not item.local_gateway:
            continue
        if isinstance(azure.local_gateways, Unread):
            missing = missing or azure.local_gateways.right
            continue
        local = next((one for one in azure.local_gateways if same(one.id, item.local_gateway)), None)
        found += local.prefixes if local else ()
    return Known(tuple(dict.fromkeys(found)), bool(missing), missing)


def served(azure: AzureNetwork, vnet: Vnet) -> Known:
    """What all gateways that serve a VNet know together."""
    gateways = gateways_of(azure, vnet)
    if isinstance(gateways, Unread):
        return Known(perhaps=True, missing=gateways.right)
    each = [gateway_knows(azure, item) for item in gateways]
    missing = next((item.missing for item in each if item.missing), "")
    return Known(tuple(dict.fromkeys(p for item in each for p in item.prefixes)), bool(missing), missing)


def user_prefixes(azure: AzureNetwork, route: AzureRoute) -> tuple[str, ...] | None:
    """The addresses of a user route; None when it names a tag whose prefixes are not known."""
    try:
        interval(route.prefix)
    except AddressError:
        return azure.tags.get(route.prefix)
    return (route.prefix,)


def vnet_steps(
    azure: AzureNetwork, vnet: Vnet, table: AzureRouteTable | None, learned: Sequence[str]
) -> Steps[NextHop]:
    """For each destination the next hop: longest prefix, then user before gateway before system.

    Routes of the gateway lose to those of the VNet and its peerings even where they are longer, and to a user route
    with ``hasBgpOverride`` wherever the two meet.
    """
    layers: list[tuple[Ranges, tuple[int, ...], NextHop]] = []
    own = [(prefix, NextHop("system", prefix, "VnetLocal")) for prefix in vnet.prefixes]
    for peering in vnet.peerings:
        if connected(peering) and not (table and table.disable_peering):
            own += (
                (prefix, NextHop("system", prefix, "VNetPeering", peering.name)) for prefix in peering.remote_prefixes
            )
    rest = [(prefix, NextHop("system", prefix, "Internet")) for prefix in _DEFAULT]
    rest += ((prefix, NextHop("system", prefix, "None")) for prefix in _DROPPED)
    for prefix, hop in (*own, *rest):
        layers.append(_layer(prefix, _SYSTEM, hop))
    cut = [prefix for prefix, _ in own]
    for route in table.routes if table else ():
        prefixes = user_prefixes(azure, route) or ()
        cut += prefixes if route.bgp_override else ()
        for prefix in prefixes:
            hop = NextHop(route.name, prefix, route.next_hop_type, route.next_hop)
            layers.append(_layer(prefix, _USER, hop))
    if not (table and table.disable_bgp):
        protected = ranges(tuple(cut))
        for prefix in learned:
            addresses, rank, hop = _layer(prefix, _BGP, NextHop("gateway", prefix, GATEWAY))
            layers.append((minus(addresses, protected), rank, hop))
    return layered(layers)


def _layer(prefix: str, source: int, hop: NextHop) -> tuple[Ranges, tuple[int, ...], NextHop]:
    low, high = interval(prefix)
    return ((low, high),), (length(low, high), source), hop


class Tag(Struct, frozen=True):
    """Prefixes of ``VirtualNetwork`` as computed for a subnet, and those that may be in it too, because of what."""

    prefixes: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    missing: str = ""


@lru_cache(maxsize=256)
def _rest(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    return cidrs(minus(EVERYTHING, ranges(prefixes)))


def virtual_network(azure: AzureNetwork, vnet: Vnet, tables: Iterable[AzureRouteTable | Unread | None]) -> Tag:
    """The tag: VNet, connected peers, what the gateway knows, prefixes of user routes, the wire server.

    A default route may or may not count, so what only it would bring in stays undecided, as does what a gateway whose
    routes could not be read may know.
    """
    known = served(azure, vnet)
    found = [*vnet.prefixes, *known.prefixes, WIRE_SERVER]
    found += (prefix for item in vnet.peerings if connected(item) for prefix in item.remote_prefixes)
    perhaps, missing = known.perhaps, known.missing
    for table in tables:
        if isinstance(table, Unread):
            perhaps, missing = True, missing or table.right
            continue
        for route in table.routes if table else ():
            prefixes = user_prefixes(azure, route)
            perhaps = perhaps or prefixes is None
            found += prefixes or ()
    sure = tuple(sorted({prefix for prefix in found if prefix not in _DEFAULT}))
    perhaps = perhaps or any(prefix in _DEFAULT for prefix in found)
    return Tag(sure, _rest(sure) if perhaps else (), missing)


def user_table(azure: AzureNetwork, vnet: Vnet, subnet: str) -> AzureRouteTable | Unread | None:
    """The route table of a subnet: None = it has none; unread when it has one that is not there."""
    place = subnet_of(vnet, subnet)
    if place is None:
        return Unread("Microsoft.Network/virtualNetworks/read", "virtual_networks.get", f"subnet {subnet} not found")
    if not place.route_table:
        return None
    if isinstance(azure.route_tables, Unread):
        return azure.route_tables
    found = next((table for table in azure.route_tables if same(table.id, place.route_table)), None)
    return found or Unread("Microsoft.Network/routeTables/read", "route_tables.get", f"{place.route_table} not found")


def subnet_of(vnet: Vnet, subnet: str) -> VnetSubnet | None:
    """The subnet of that id in a VNet."""
    return next((item for item in vnet.subnets if same(item.id, subnet)), None)
