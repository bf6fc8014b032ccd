"""A VNet as packets see it, read out of the ARM documents."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from backends.lab.clouds.azure.actions import connection_prefixes, connections_of, gateway_vnet
from backends.lab.clouds.azure.rendering import configurations, interfaces, reference
from backends.lab.clouds.azure.subscription import AzureSubscription, Document
from backends.lab.network.azure_rules import PLATFORM, NextHop, NsgRule, Tags, compiled, routes, verdict
from backends.lab.network.flow import Flow
from backends.lab.network.places import Domain, Interface, Step, TunnelEnd
from backends.lab.network.prefixes import Longest, Prefix, number, prefix, prefixes

Owners = Callable[[str, str], tuple[str, str]]
NsgRules = tuple[str, tuple[NsgRule, ...]]
"""(name, rules) of a network security group; ("", ()) where there is none, which lets everything pass."""

NONE: NsgRules = ("", ())


@dataclass(slots=True)
class AzureSubnet:
    """A subnet with its group, its effective routes and the meaning of the tags there."""

    id: str
    range: tuple[Prefix, ...]
    group: NsgRules
    routes: Longest[NextHop]
    tags: Tags


class Vnet(Domain):
    """Groups of subnet and NIC are stateful and both must allow; without a group everything passes."""

    def __init__(self, identifier: str, own: tuple[Prefix, ...]) -> None:
        self.id = identifier
        self.prefixes = own
        self.interfaces: dict[int, Interface] = {}
        self.peers: dict[str, bool] = {}
        self.gateway = ""
        self.gateway_subnet: AzureSubnet | None = None
        self.outbound = 0

    def leave(self, flow: Flow, start: Interface) -> Step | None:
        """Group of the NIC out, group of the subnet out, route."""
        subnet: AzureSubnet = start.subnet
        if not flow.answer:
            for place, group in (("NIC group out", start.rules or NONE), ("subnet group out", subnet.group)):
                if not _passes(flow, place, group, subnet.tags, inbound=False):
                    return None
        hop = subnet.routes.find(flow.destination)
        return self._next(flow, subnet.id, hop)

    def _next(self, flow: Flow, where: str, hop: NextHop | None) -> Step | None:
        kind = hop.kind if hop else "None"
        known = kind in ("VnetLocal", "VNetPeering", "VirtualNetworkGateway", "Internet")
        gateway_missing = kind == "VirtualNetworkGateway" and not self.gateway
        detail = f"next hop {kind}" + (f" by {hop.name}" if hop and hop.source == "User" else "")
        if not flow.note("route", where.rpartition("/")[2], known and not gateway_missing, detail):
            return None
        flow.milliseconds += 0.3
        if kind == "VnetLocal":
            return Step("local")
        if kind == "VNetPeering" and hop is not None:
            return Step("peer", hop.name)
        if kind == "VirtualNetworkGateway":
            return Step("gateway", self.gateway)
        return Step("internet", "Internet", self.outbound)

    def enter(self, flow: Flow, end: Interface, start: Interface | None) -> bool:
        """Group of the subnet in, group of the NIC in."""
        if flow.answer or end.balancer is not None:
            return True  # rules stand before machines, not before a balancer's front end
        subnet: AzureSubnet = end.subnet
        return all(
            _passes(flow, place, group, subnet.tags, inbound=True)
            for place, group in (("subnet group in", subnet.group), ("NIC group in", end.rules or NONE))
        )

    def answer(self, flow: Flow, machine: Interface, front: Interface) -> bool:
        """Stateful all along."""
        return True

    def from_gateway(self, flow: Flow) -> Step | None:
        """The routes of GatewaySubnet steer what comes out of a tunnel."""
        if self.gateway_subnet is None:
            flow.note("vpn gateway", self.id, False, "no GatewaySubnet")
            return None
        step = self._next(flow, self.gateway_subnet.id, self.gateway_subnet.routes.find(flow.destination))
        if step is not None and step.kind not in ("local", "peer"):
            flow.note("vpn gateway", self.gateway.rpartition("/")[2], False, "no such network behind the gateway")
            return None
        return step


def _passes(flow: Flow, place: str, group: NsgRules, tags: Tags, *, inbound: bool) -> bool:
    name, rules = group
    if not name:
        return True
    passed, rule = verdict(rules, flow, tags, inbound=inbound)
    return flow.note(place, name, passed, rule)


def read_vnets(azure: AzureSubscription, owners: Owners) -> list[Vnet]:
    """Every VNet with its NICs."""
    return [_vnet(azure, document, owners) for document in azure.of_type("microsoft.network/virtualnetworks")]


def _vnet(azure: AzureSubscription, document: Document, owners: Owners) -> Vnet:
    own = prefixes(document["properties"]["addressSpace"]["addressPrefixes"])
    vnet = Vnet(str(document["id"]).lower(), own)
    peerings = [row["properties"] for row in document["properties"].get("virtualNetworkPeerings", [])]
    connected = [row for row in peerings if str(row.get("peeringState")).lower() == "connected"]
    for row in connected:
        vnet.peers[row["remoteVirtualNetwork"]["id"].lower()] = bool(row.get("allowVirtualNetworkAccess", True))
    vnet.linked = frozenset(other for other, allowed in vnet.peers.items() if allowed)
    gateway = _gateway_for(azure, vnet.id, connected)
    vnet.gateway = str(gateway["id"]).lower() if gateway else ""
    known = _known(azure, gateway)
    subnets = {
        str(child["id"]).lower(): _subnet(azure, child, vnet, connected, known)
        for child in document["properties"].get("subnets", [])
    }
    vnet.gateway_subnet = subnets.get(f"{vnet.id}/subnets/gatewaysubnet")
    for nic in interfaces(azure):
        _add_nic(azure, vnet, subnets, nic, owners)
    return vnet


def _add_nic(
    azure: AzureSubscription, vnet: Vnet, subnets: dict[str, AzureSubnet], nic: Document, owners: Owners
) -> None:
    group = group_rules(azure, reference(nic, "networkSecurityGroup"))
    for configuration in configurations(nic):
        subnet = subnets.get(reference(configuration, "subnet"))
        address = configuration["properties"].get("privateIPAddress")
        if subnet is None or not address:
            continue
        cluster, node = owners(vnet.id, address)
        card = Interface(number(address), str(nic["id"]).lower(), subnet, cluster, node, rules=group)
        vnet.interfaces[card.address] = card


def group_rules(azure: AzureSubscription, identifier: str) -> NsgRules:
    """The rules of a group by its id; ``NONE`` where there is none."""
    document = azure.resources.get(identifier)
    return (str(document["name"]), compiled(document["properties"])) if document else NONE


def _gateway_for(azure: AzureSubscription, vnet: str, peerings: Iterable[dict[str, Any]]) -> Document | None:
    """The VNet's own gateway, or the hub's where the peering uses it and the hub lets it."""
    homes = [vnet]
    for row in peerings:
        hub = row["remoteVirtualNetwork"]["id"].lower()
        if row.get("useRemoteGateways") and _lends(azure, hub, vnet):
            homes.append(hub)
    for home in homes:
        for gateway in azure.of_type("microsoft.network/virtualnetworkgateways"):
            found = gateway_vnet(azure, gateway)
            if found is not None and str(found["id"]).lower() == home:
                return gateway
    return None


def _lends(azure: AzureSubscription, hub: str, spoke: str) -> bool:
    document = azure.resources.get(hub)
    rows = document["properties"].get("virtualNetworkPeerings", []) if document else []
    return any(
        row["properties"]["remoteVirtualNetwork"]["id"].lower() == spoke
        and row["properties"].get("allowGatewayTransit")
        and str(row["properties"].get("peeringState")).lower() == "connected"
        for row in rows
    )


def _known(azure: AzureSubscription, gateway: Document | None) -> tuple[Prefix, ...]:
    if gateway is None:
        return ()
    rows = [connection_prefixes(azure, connection) for connection in connections_of(azure, gateway)]
    return prefixes(cidr for row in rows for cidr in row)


def _subnet(
    azure: AzureSubscription,
    child: Document,
    vnet: Vnet,
    peerings: list[dict[str, Any]],
    known: tuple[Prefix, ...],
) -> AzureSubnet:
    properties = child["properties"]
    table = azure.resources.get(reference(child, "routeTable"), {"properties": {}})["properties"]
    user = [
        (prefix(row["properties"]["addressPrefix"]), row["properties"]["nextHopType"], row["name"])
        for row in table.get("routes", [])
        if "/" in row["properties"].get("addressPrefix", "")
    ]
    peered = [
        (where, row["remoteVirtualNetwork"]["id"].lower())
        for row in peerings
        for where in prefixes((row.get("remoteAddressSpace") or {}).get("addressPrefixes", []))
    ]
    reachable = [where for where, other in peered if vnet.peers.get(other)]
    brought = () if table.get("disableBgpRoutePropagation") else known
    ranges = [properties.get("addressPrefix"), *(properties.get("addressPrefixes") or [])]
    tag = (*vnet.prefixes, *reachable, *known, *(where for where, _, _ in user), prefix(PLATFORM))
    return AzureSubnet(
        str(child["id"]).lower(),
        prefixes(cidr for cidr in ranges if cidr),
        group_rules(azure, reference(child, "networkSecurityGroup")),
        routes(vnet.prefixes, peered, brought, user),
        Tags(tag),
    )


def read_tunnels(azure: AzureSubscription) -> list[TunnelEnd]:
    """The Azure ends of all IPsec connections."""
    found = []
    for gateway in azure.of_type("microsoft.network/virtualnetworkgateways"):
        vnet = gateway_vnet(azure, gateway)
        if vnet is None:
            continue
        own = frozenset(_gateway_addresses(azure, gateway))
        for connection in connections_of(azure, gateway):
            local = azure.resources.get(reference(connection, "localNetworkGateway2"))
            if local is None:
                continue
            found.append(
                TunnelEnd(
                    str(vnet["id"]).lower(),
                    str(gateway["id"]).lower(),
                    connection["name"],
                    own,
                    str(local["properties"].get("gatewayIpAddress", "")),
                    connection["properties"].get("connectionStatus") == "Connected",
                    prefixes(connection_prefixes(azure, connection)),
                )
            )
    return found


def _gateway_addresses(azure: AzureSubscription, gateway: Document) -> Iterable[str]:
    for configuration in gateway["properties"].get("ipConfigurations", []):
        public = azure.resources.get(reference(configuration, "publicIPAddress"))
        if public is not None:
            yield str(public["properties"].get("ipAddress", ""))
