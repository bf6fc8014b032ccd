"""What lies between an AKS cluster's nodes and the edge of Azure, out of ARM's answers (cloud-network §3.3)."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from backends.azure.rules import rules_from
from backends.azure.tables import Row, VnetTables, gateway_vnet, items, reference
from backends.parts import Part, attempt, together
from mesh.model.unread import Unread
from mesh.model.vnet import (
    AZURE_RIGHTS,
    AdminRule,
    AzureNetwork,
    AzureRoute,
    AzureRouteTable,
    GatewayConnection,
    LearnedRoute,
    LocalNetworkGateway,
    Vnet,
    VnetGateway,
    VnetPeering,
    VnetSubnet,
)
from mesh.reading import NotRead

_NETWORK: Final = "Microsoft.Network"
_ADDRESSES: Final = re.compile(r"^[0-9a-fA-F.:]+(/\d+)?$")


def read_network(tables: VnetTables, seconds: float) -> AzureNetwork:
    """Every list by itself, within ``seconds``."""
    readers: dict[str, tuple[str, Callable[[], object]]] = {
        "vnets": ("virtual_networks.get", lambda: vnets(tables)),
        "route_tables": ("route_tables.list", lambda: route_tables(tables.route_tables().values())),
        "gateways": ("virtual_network_gateways.list", lambda: gateways(tables)),
        "connections": ("virtual_network_gateway_connections.get", lambda: connections(tables)),
        "local_gateways": ("local_network_gateways.list", lambda: local_gateways(tables.local_gateways().values())),
        "admin_rules": (
            "list_network_manager_effective_security_admin_rules",
            lambda: admin_rules(tables.admin_rules()),
        ),
    }
    parts = {name: Part(right, *readers[name]) for name, right in AZURE_RIGHTS.items()}
    network = AzureNetwork(**together(parts, seconds))
    return replace(network, tags=_tags(tables, network))


def vnets(tables: VnetTables) -> tuple[Vnet, ...]:
    """The nodes' VNet and its hubs; a peer that is absent could not be read."""
    return tuple(sorted(_vnet(row) for row in (tables.vnet, *tables.hubs())))


def _vnet(row: Row) -> Vnet:
    return Vnet(
        id=str(row["id"]),
        prefixes=_space(row["properties"], "addressSpace"),
        subnets=tuple(
            VnetSubnet(str(item["id"]), prefixes_of(item), reference(item.get("properties") or {}, "routeTable"))
            for item in items(row, "subnets")
        ),
        peerings=tuple(sorted(_peering(item) for item in items(row, "virtualNetworkPeerings"))),
    )


def _space(properties: Row, field: str) -> tuple[str, ...]:
    return tuple(str(item) for item in (properties.get(field) or {}).get("addressPrefixes") or [])


def prefixes_of(subnet: Row) -> tuple[str, ...]:
    """A subnet's prefixes: the singular and the plural field count."""
    properties = subnet.get("properties") or {}
    found = (properties.get("addressPrefix"), *(properties.get("addressPrefixes") or []))
    return tuple(dict.fromkeys(str(item) for item in found if item))


def _peering(row: Row) -> VnetPeering:
    properties = row["properties"]
    return VnetPeering(
        name=str(row.get("name", "")),
        remote_vnet=reference(properties, "remoteVirtualNetwork"),
        state=str(properties.get("peeringState", "")),
        remote_prefixes=_space(properties, "remoteAddressSpace"),
        sync=str(properties.get("peeringSyncLevel") or "FullyInSync"),
        allow_access=bool(properties.get("allowVirtualNetworkAccess", True)),
        allow_forwarded=bool(properties.get("allowForwardedTraffic")),
        allow_gateway_transit=bool(properties.get("allowGatewayTransit")),
        use_remote_gateways=bool(properties.get("useRemoteGateways")),
        complete_vnets=properties.get("peerCompleteVnets") is not False,
    )


def route_tables(rows: Iterable[Row]) -> tuple[AzureRouteTable, ...]:
    """``route_tables.list``."""
    return tuple(
        sorted(
            AzureRouteTable(
                id=str(row["id"]),
                routes=tuple(sorted(_route(item) for item in items(row, "routes"))),
                disable_bgp=bool((row.get("properties") or {}).get("disableBgpRoutePropagation")),
                disable_peering=(row.get("properties") or {}).get("disablePeeringRoute") == "All",
            )
            for row in rows
        )
    )


def _route(row: Row) -> AzureRoute:
    properties = row["properties"]
    several = (properties.get("nextHop") or {}).get("nextHopIpAddresses") or []
    return AzureRoute(
        name=str(row.get("name", "")),
        prefix=str(properties["addressPrefix"]),
        next_hop_type=str(properties["nextHopType"]),
        next_hop=str(properties.get("nextHopIpAddress") or ", ".join(map(str, several))),
        bgp_override=bool(properties.get("hasBgpOverride")),
    )


def gateways(tables: VnetTables) -> tuple[VnetGateway, ...]:
    """Gateways with their public addresses and, where BGP is spoken, what they have learned.

    Where none serves the VNet, those of its peers are told: the way may lack no more than a flag of the peering.
    """
    rows = tables.gateways() or _of_peers(tables)
    public: Mapping[str, Row] | None
    try:
        public = tables.addresses()
    except NotRead:
        public = None
    return tuple(sorted((_gateway(row, public, tables) for row in rows), key=lambda item: item.id))


def _of_peers(tables: VnetTables) -> list[Row]:
    hubs = [str(hub["id"]) for hub in tables.hubs()]
    try:
        return tables.gateways(hubs) if hubs else []
    except NotRead:
        return []  # they do not serve this VNet: what is told of it stays true without them


def _gateway(row: Row, public: Mapping[str, Row] | None, tables: VnetTables) -> VnetGateway:
    properties = row["properties"]
    named = [reference(item.get("properties") or {}, "publicIPAddress") for item in items(row, "ipConfigurations")]
    return VnetGateway(
        id=str(row["id"]),
        vnet=gateway_vnet(row),
        addresses=_addresses([one.lower() for one in named if one], public),
        provisioning=str(properties.get("provisioningState", "")),
        kind=str(properties.get("gatewayType", "")),
        active_active=bool(properties.get("activeActive")),
        bgp=bool(properties.get("enableBgp")),
        learned=_learned(row, tables) if _speaks_bgp(row, tables) else (),
    )


def _addresses(named: list[str], public: Mapping[str, Row] | None) -> tuple[str, ...] | None:
    if public is None or any(one not in public for one in named):
        return None
    found = (str((public[one].get("properties") or {}).get("ipAddress") or "") for one in named)
    return tuple(filter(None, found))


def _speaks_bgp(row: Row, tables: VnetTables) -> bool:
    """By its connections; where these cannot be read, by the gateway's own flag."""
    try:
        rows = [item.get("properties") or {} for item in tables.connections()]
    except NotRead:
        return bool((row.get("properties") or {}).get("enableBgp"))
    own = str(row["id"]).lower()
    return any(item.get("enableBgp") and reference(item, "virtualNetworkGateway1").lower() == own for item in rows)


def _learned(row: Row, tables: VnetTables) -> tuple[LearnedRoute, ...] | Unread:
    def read() -> tuple[LearnedRoute, ...]:
        return tuple(
            sorted(
                LearnedRoute(
                    prefix=str(item["network"]),
                    next_hop=str(item.get("nextHop") or ""),
                    origin=str(item.get("origin") or ""),
                    source_peer=str(item.get("sourcePeer") or ""),
                )
                for item in tables.learned(row)
                if item.get("network")
            )
        )

    right = f"{_NETWORK}/virtualNetworkGateways/getLearnedRoutes/action"
    found: tuple[LearnedRoute, ...] | Unread = attempt(Part(right, "begin_get_learned_routes", read))
    return found


def admin_rules(rows: Iterable[Row]) -> tuple[AdminRule, ...]:
    """``list_network_manager_effective_security_admin_rules``: rules as an NSG's, but for how they write their ends."""
    return tuple(
        sorted(
            AdminRule(rule, str(row["properties"]["access"]))
            for row in rows
            for rule in rules_from({"properties": {"securityRules": [_as_nsg_rule(row)]}})
        )
    )


def _as_nsg_rule(row: Row) -> Row:
    """A list that is left out is any end and any port: a rule without ports would be no rule."""
    properties = row["properties"]
    made = dict(properties)
    for end in ("source", "destination"):
        made[f"{end}AddressPrefixes"] = [str(item["addressPrefix"]) for item in properties.get(f"{end}s") or []] or [
            "*"
        ]
        made[f"{end}PortRanges"] = properties.get(f"{end}PortRanges") or ["*"]
    if str(properties["protocol"]) == "Any":
        made["protocol"] = "*"
    name = str(row.get("id") or properties.get("flag") or "admin rule").rpartition("/")[2]
    return {"name": name, "properties": made}


def local_gateways(rows: Iterable[Row]) -> tuple[LocalNetworkGateway, ...]:
    """``local_network_gateways.list``."""
    return tuple(
        sorted(
            LocalNetworkGateway(
                id=str(row["id"]),
                address=str(row["properties"].get("gatewayIpAddress") or row["properties"].get("fqdn") or ""),
                prefixes=_space(row["properties"], "localNetworkAddressSpace"),
                bgp_peer=str((row["properties"].get("bgpSettings") or {}).get("bgpPeeringAddress") or ""),
            )
            for row in rows
        )
    )


def connections(tables: VnetTables) -> tuple[GatewayConnection, ...]:
    """``virtual_network_gateway_connections.get`` of each."""
    return tuple(sorted(_connection(row, tables) for row in tables.connections()))


def _connection(row: Row, tables: VnetTables) -> GatewayConnection:
    """Shared keys that an answer may carry are not taken over."""
    properties = row["properties"]
    return GatewayConnection(
        id=str(row["id"]),
        gateway=reference(properties, "virtualNetworkGateway1"),
        status=str(properties.get("connectionStatus") or "Unknown"),
        kind=str(properties.get("connectionType", "")),
        bgp=bool(properties.get("enableBgp")),
        local_gateway=reference(properties, "localNetworkGateway2"),
        remote_gateway=reference(properties, "virtualNetworkGateway2"),
        selectors=_selectors(properties, tables),
    )


def _selectors(properties: Row, tables: VnetTables) -> tuple[tuple[str, str], ...]:
    """Policies as they are written; without any, those of the two address spaces where selectors are policy-based."""
    policies = properties.get("trafficSelectorPolicies") or []
    pairs = [
        (str(own), str(far))
        for policy in policies
        for own in policy["localAddressRanges"]
        for far in policy["remoteAddressRanges"]
    ]
    if not pairs and properties.get("usePolicyBasedTrafficSelectors"):
        local = tables.local_gateways().get(reference(properties, "localNetworkGateway2").lower())
        far_side = _space(local["properties"], "localNetworkAddressSpace") if local else ()
        pairs = [(own, far) for own in _space(tables.vnet["properties"], "addressSpace") for far in far_side]
    return tuple(pairs)


def _tags(tables: VnetTables, network: AzureNetwork) -> dict[str, tuple[str, ...]]:
    """Prefixes of the service tags that routes name; a tag that is absent could not be read."""
    found = () if isinstance(network.route_tables, Unread) else network.route_tables
    named = {route.prefix for table in found for route in table.routes if not _ADDRESSES.match(route.prefix)}
    if not named:
        return {}
    right = f"{_NETWORK}/locations/serviceTags/read"
    known = attempt(Part(right, "service_tags.list", lambda: tables.service_tags(str(tables.vnet["location"]))))
    return {} if isinstance(known, Unread) else {name: known[name] for name in sorted(named & known.keys())}
