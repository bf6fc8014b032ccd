"""What lies between an AKS cluster's nodes and the edge of Azure: VNets, peerings, routes, gateways, connections.

Each docstring names the operation of azure-mgmt-network whose ARM JSON fills the record (cloud-network §3.3). Ids are
compared without regard to case by ``same``. A list that could not be read is ``Unread``.
"""

from typing import Final

from msgspec import Struct

from mesh.model.network import FirewallRule
from mesh.model.unread import Unread


def same(one: str, other: str) -> bool:
    """Whether two ARM ids name one resource."""
    return one.casefold() == other.casefold()


def leaf(resource_id: str) -> str:
    """The name at the end of an ARM id."""
    return resource_id.rpartition("/")[2]


class VnetPeering(Struct, frozen=True, order=True):
    """``virtualNetworkPeerings[]`` of ``virtual_networks.get``, one side: the other VNet has its own record."""

    name: str
    remote_vnet: str
    state: str
    remote_prefixes: tuple[str, ...] = ()
    sync: str = "FullyInSync"
    allow_access: bool = True
    allow_forwarded: bool = False
    allow_gateway_transit: bool = False
    use_remote_gateways: bool = False
    complete_vnets: bool = True


class VnetSubnet(Struct, frozen=True, order=True):
    """``subnets[]`` of ``virtual_networks.get``; ``route_table`` is an ARM id, "" = none."""

    id: str
    prefixes: tuple[str, ...] = ()
    route_table: str = ""

    @property
    def name(self) -> str:
        """``aks-subnet``, ``GatewaySubnet``."""
        return leaf(self.id)


class Vnet(Struct, frozen=True, order=True):
    """``virtual_networks.get``. A VNet that is named as a peer's remote but is absent here could not be read."""

    id: str
    prefixes: tuple[str, ...] = ()
    subnets: tuple[VnetSubnet, ...] = ()
    peerings: tuple[VnetPeering, ...] = ()


class AzureRoute(Struct, frozen=True, order=True):
    """``routes[]`` of ``route_tables.get``; ``prefix`` may be a service tag; ``bgp_override`` = ``hasBgpOverride``."""

    name: str
    prefix: str
    next_hop_type: str
    next_hop: str = ""
    bgp_override: bool = False


class AzureRouteTable(Struct, frozen=True, order=True):
    """``route_tables.get``: ``disableBgpRoutePropagation`` takes away learned *and* static gateway routes."""

    id: str
    routes: tuple[AzureRoute, ...] = ()
    disable_bgp: bool = False
    disable_peering: bool = False


class LocalNetworkGateway(Struct, frozen=True, order=True):
    """``local_network_gateways.get``: ``address`` is ``gatewayIpAddress`` or ``fqdn``, ``prefixes`` its space,
    ``bgp_peer`` the ``bgpSettings.bgpPeeringAddress`` that routes are learned from.
    """

    id: str
    address: str = ""
    prefixes: tuple[str, ...] = ()
    bgp_peer: str = ""


class GatewayConnection(Struct, frozen=True, order=True):
    """``virtual_network_gateway_connections.get``: status is right only when read one by one.

    ``kind`` = ``connectionType`` (``IPsec``, ``Vnet2Vnet``, ``ExpressRoute``); ``local_gateway`` the LNG's id,
    ``remote_gateway`` the id of ``virtualNetworkGateway2``. ``selectors`` are pairs of own and far CIDR where
    ``usePolicyBasedTrafficSelectors`` or ``trafficSelectorPolicies`` is set, else empty = any to any.
    """

    id: str
    gateway: str
    status: str
    kind: str = "IPsec"
    bgp: bool = False
    local_gateway: str = ""
    remote_gateway: str = ""
    selectors: tuple[tuple[str, str], ...] = ()


class LearnedRoute(Struct, frozen=True, order=True):
    """``begin_get_learned_routes`` → ``value[]``; ``origin`` ``Network`` is the gateway's own side."""

    prefix: str
    next_hop: str = ""
    origin: str = "EBgp"
    source_peer: str = ""


class VnetGateway(Struct, frozen=True, order=True):
    """``virtual_network_gateways.get``: ``vnet`` by ``ipConfigurations[].subnet.id``, ``addresses`` the public ones
    (``public_ip_addresses.get``), None = not read.
    """

    id: str
    vnet: str
    addresses: tuple[str, ...] | None = ()
    provisioning: str = "Succeeded"
    kind: str = "Vpn"
    active_active: bool = False
    bgp: bool = False
    learned: tuple[LearnedRoute, ...] | Unread = ()


class AdminRule(Struct, frozen=True, order=True):
    """A security admin rule of a Virtual Network Manager in force on the nodes' VNet: judged before the NSGs.

    ``network_manager_effective_security_admin_rules`` (``listNetworkManagerEffectiveSecurityAdminRules``). ``access``
    is ``Allow`` (the NSGs decide), ``Deny`` or ``AlwaysAllow`` (the NSGs are passed over); ``rule`` the rest of it.
    """

    rule: FirewallRule
    access: str


class AzureNetwork(Struct, frozen=True):
    """All of it for one subscription: the nodes' VNets and the hubs they are peered with.

    ``tags`` are the prefixes of service tags that routes and rules name (``service_tags.list``).
    """

    vnets: tuple[Vnet, ...] | Unread = ()
    route_tables: tuple[AzureRouteTable, ...] | Unread = ()
    gateways: tuple[VnetGateway, ...] | Unread = ()
    connections: tuple[GatewayConnection, ...] | Unread = ()
    local_gateways: tuple[LocalNetworkGateway, ...] | Unread = ()
    admin_rules: tuple[AdminRule, ...] | Unread = ()
    tags: dict[str, tuple[str, ...]] = {}


_NETWORK: Final = "Microsoft.Network"
# The right that each list needs, by its field.
AZURE_RIGHTS: Final = {
    "vnets": f"{_NETWORK}/virtualNetworks/read",
    "route_tables": f"{_NETWORK}/routeTables/read",
    "gateways": f"{_NETWORK}/virtualNetworkGateways/read",
    "connections": f"{_NETWORK}/connections/read",
    "local_gateways": f"{_NETWORK}/localNetworkGateways/read",
    "admin_rules": f"{_NETWORK}/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action",
}
