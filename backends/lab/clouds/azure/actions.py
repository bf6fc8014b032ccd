"""POST actions: what a gateway has learned and advertises, its BGP peers, and resets."""

import copy
from typing import Any, Final

from backends.lab.clouds.azure.errors import ArmError, not_found
from backends.lab.clouds.azure.paths import ArmPath, last
from backends.lab.clouds.azure.rendering import reference
from backends.lab.clouds.azure.subscription import AzureSubscription, Document

_GATEWAY: Final = "microsoft.network/virtualnetworkgateways"
_VNET: Final = "microsoft.network/virtualnetworks"
# Answered with 200 at once; the others are long-running.
AT_ONCE: Final = frozenset({"listnetworkmanagereffectivesecurityadminrules"})


def perform(subscription: AzureSubscription, path: ArmPath, action: str, peer: str) -> Any:
    """The result of an action on the resource at ``path``. Raises ``ArmError``."""
    resource = subscription.find(path)
    if resource is None:
        raise not_found(path)
    known = _ACTIONS.get((path.type_key, action.lower()))
    if known is None:
        raise ArmError(404, "InvalidResourceType", f"The action '{action}' was not found for '{path.type}'.")
    return known(subscription, resource, peer)


def connections_of(subscription: AzureSubscription, gateway: Document) -> list[Document]:
    """The connections of a virtual network gateway."""
    mine = str(gateway["id"]).lower()
    rows = subscription.of_type("microsoft.network/connections")
    return [row for row in rows if reference(row, "virtualNetworkGateway1") == mine]


def gateway_vnet(subscription: AzureSubscription, gateway: Document) -> Document | None:
    """The VNet whose GatewaySubnet the gateway is in."""
    for configuration in gateway["properties"].get("ipConfigurations", []):
        subnet = reference(configuration, "subnet")
        if subnet:
            return subscription.resources.get(subnet.partition("/subnets/")[0])
    return None


def connection_prefixes(subscription: AzureSubscription, connection: Document) -> list[str]:
    """Remote prefixes behind a connection: of its local network gateway, or received by BGP while it is connected."""
    found: list[str] = []
    local = subscription.resources.get(reference(connection, "localNetworkGateway2"))
    if local is not None:
        found += (local["properties"].get("localNetworkAddressSpace") or {}).get("addressPrefixes") or []
    properties = connection["properties"]
    if properties.get("enableBgp") and properties.get("connectionStatus") == "Connected":
        found += [prefix for prefix in connection.get("learned", []) if prefix not in found]
    return found


def _admin_rules(_: AzureSubscription, __: Document, ___: str) -> Document:
    """No Virtual Network Manager governs the lab's VNets."""
    return {"value": []}


def _learned(subscription: AzureSubscription, gateway: Document, _peer: str) -> Document:
    address = _bgp_address(gateway)
    vnet = gateway_vnet(subscription, gateway)
    own = vnet["properties"]["addressSpace"]["addressPrefixes"] if vnet else []
    rows = [_route(address, prefix, "Network", address, "") for prefix in own]
    for connection in connections_of(subscription, gateway):
        received = set(connection.get("learned", []))
        for prefix in connection_prefixes(subscription, connection):
            bgp = prefix in received and connection["properties"].get("enableBgp")
            neighbor = _neighbor(subscription, connection) if bgp else ""
            rows.append(_route(address, prefix, "EBgp" if bgp else "Network", neighbor or address, neighbor))
    return {"value": rows}


def _advertised(subscription: AzureSubscription, gateway: Document, peer: str) -> Document:
    for connection in connections_of(subscription, gateway):
        if connection["properties"].get("enableBgp") and _neighbor(subscription, connection) == peer:
            vnet = gateway_vnet(subscription, gateway)
            own = vnet["properties"]["addressSpace"]["addressPrefixes"] if vnet else []
            address = _bgp_address(gateway)
            return {"value": [_route(address, prefix, "Igp", address, address) for prefix in own]}
    return {"value": []}


def _peers(subscription: AzureSubscription, gateway: Document, _peer: str) -> Document:
    rows = []
    for connection in connections_of(subscription, gateway):
        if not connection["properties"].get("enableBgp"):
            continue
        up = connection["properties"].get("connectionStatus") == "Connected"
        local = subscription.resources.get(reference(connection, "localNetworkGateway2")) or {"properties": {}}
        rows.append(
            {
                "localAddress": _bgp_address(gateway),
                "neighbor": _neighbor(subscription, connection),
                "asn": (local["properties"].get("bgpSettings") or {}).get("asn", 0),
                "state": "Connected" if up else "Connecting",
                "connectedDuration": "01:00:00" if up else "00:00:00",
                "routesReceived": len(connection.get("learned", [])) if up else 0,
                "messagesSent": 60,
                "messagesReceived": 60 if up else 0,
            }
        )
    return {"value": rows}


def _reset(_subscription: AzureSubscription, resource: Document, _peer: str) -> Document:
    return copy.deepcopy(resource)


def _route(local: str, network: str, origin: str, source: str, hop: str) -> Document:
    return {
        "localAddress": local,
        "network": network,
        "nextHop": hop,
        "sourcePeer": source,
        "origin": origin,
        "asPath": "64512" if origin == "EBgp" else "",
        "weight": 32768,
    }


def _bgp_address(gateway: Document) -> str:
    return str((gateway["properties"].get("bgpSettings") or {}).get("bgpPeeringAddress", ""))


def _neighbor(subscription: AzureSubscription, connection: Document) -> str:
    local = subscription.resources.get(reference(connection, "localNetworkGateway2"))
    settings = (local or {"properties": {}})["properties"].get("bgpSettings") or {}
    return str(settings.get("bgpPeeringAddress") or last(str(connection["id"])))


_ACTIONS: Final = {
    (_GATEWAY, "getlearnedroutes"): _learned,
    (_GATEWAY, "getadvertisedroutes"): _advertised,
    (_GATEWAY, "getbgppeerstatus"): _peers,
    (_GATEWAY, "reset"): _reset,
    (_VNET, "listnetworkmanagereffectivesecurityadminrules"): _admin_rules,
    ("microsoft.network/connections", "resetconnection"): _reset,
}
