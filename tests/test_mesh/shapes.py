"""Shapes of two sites, healthy or with something changed, for the tests of reachability."""

from typing import Any

from msgspec.structs import replace

from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vnet import (
    AzureRoute,
    AzureRouteTable,
    GatewayConnection,
    LearnedRoute,
    LocalNetworkGateway,
    VnetPeering,
)
from mesh.model.vpc import TgwRoute, VpcRoute, VpcRouteTable, VpcSubnet, VpnTunnel
from tests.test_mesh.sites import (
    ARM,
    TUNNELS,
    aks,
    default_nacl,
    eks,
    local,
    peered_vnets,
    peered_vpcs,
    premises,
    propagated,
    spoke,
    tgw_vpn,
    vnet_id,
    vpn,
    with_aws,
    with_azure,
    with_routes,
    with_user_routes,
)

Pair = tuple[Site, Site]


def bgp_vpn(learned: int = 3) -> Any:
    tunnels = tuple(VpnTunnel(address, "UP", learned=learned) for address in TUNNELS)
    return vpn(static_only=False, routes=(), tunnels=tunnels)


def bgp_azure(*learned: str, peer: str = "169.254.21.1") -> Site:
    """The AKS site over BGP: its local network gateways have no address space."""
    site = aks()
    azure = site.azure
    assert azure is not None and isinstance(azure.gateways, tuple) and isinstance(azure.connections, tuple)
    assert isinstance(azure.local_gateways, tuple)
    routes = tuple(LearnedRoute(prefix, "169.254.21.1") for prefix in learned)
    return with_azure(
        site,
        gateways=(replace(azure.gateways[0], bgp=True, learned=routes),),
        connections=tuple(replace(item, bgp=True) for item in azure.connections),
        local_gateways=tuple(replace(item, prefixes=(), bgp_peer=peer) for item in azure.local_gateways),
    )


def kinds() -> Pair:
    one, other = premises("kind-a"), premises("kind-b")
    return (
        Site("kind-a", one.nodes, "docker/kind"),
        Site("kind-b", (replace(other.nodes[0], addresses=("172.30.0.6",)),), "docker/kind"),
    )


def in_one_vpc() -> Pair:
    one, other = eks("eks-a", peer="192.168.0.0/16"), eks("eks-b", subnet="192.168.2.0/24", peer="192.168.0.0/16")
    assert one.aws is not None
    aws = replace(one.aws, nacls=(default_nacl("subnet-eks-a", "subnet-eks-b"),))
    return replace(one, aws=aws), replace(other, aws=aws)


def to_premises() -> Pair:
    site = with_routes(eks(peer="172.30.0.0/16"), local("192.168.0.0/16"), propagated("172.30.0.0/16"))
    return with_aws(site, vpns=(vpn(peer_address="9.9.9.9", routes=("172.30.0.0/16",)),)), premises(
        gateways=("9.9.9.9",)
    )


def two_spokes() -> Pair:
    """Two AKS clusters in spokes of one hub; user routes lead to the hub's gateway."""
    made = []
    hub = spoke().azure
    assert hub is not None and isinstance(hub.vnets, tuple) and isinstance(hub.gateways, tuple)
    for name, own, other in (("aks-a", 1, 2), ("aks-b", 2, 1)):
        site = aks(name, f"10.{own}.0.0/16", f"10.{own}.1.0/24")
        table = AzureRouteTable(
            f"{ARM}/routeTables/rt-{name}", (AzureRoute("other", f"10.{other}.0.0/16", "VirtualNetworkGateway"),)
        )
        site = with_user_routes(site, table)
        assert site.azure is not None and isinstance(site.azure.vnets, tuple)
        to_hub = VnetPeering("to-hub", vnet_id("hub"), "Connected", ("10.0.0.0/24",), use_remote_gateways=True)
        own_vnet = replace(site.azure.vnets[0], peerings=(to_hub,))
        both = tuple(
            VnetPeering(f"to-{letter}", vnet_id(f"vnet-aks-{letter}"), "Connected", allow_gateway_transit=True)
            for letter in "ab"
        )
        gateway = replace(hub.gateways[0], vnet=vnet_id("hub"))
        made.append(
            with_azure(
                site, vnets=(own_vnet, replace(hub.vnets[1], peerings=both)), gateways=(gateway,), connections=()
            )
        )
    return made[0], made[1]


def table(*routes: AzureRoute, **more: Any) -> AzureRouteTable:
    return AzureRouteTable(f"{ARM}/routeTables/rt-aks", routes, **more)


def connections(status: str = "Connected", **more: Any) -> Site:
    site = aks()
    assert site.azure is not None and isinstance(site.azure.connections, tuple)
    changed = tuple(replace(item, status=status, **more) for item in site.azure.connections)
    return with_azure(site, connections=changed)


def hub(own: dict[str, Any] | None = None, lent: dict[str, Any] | None = None) -> Site:
    """The spoke with flags of either side of the peering changed."""
    site = spoke()
    assert site.azure is not None and isinstance(site.azure.vnets, tuple)
    spoke_vnet, hub_vnet = site.azure.vnets
    return with_azure(
        site,
        vnets=(
            replace(spoke_vnet, peerings=(replace(spoke_vnet.peerings[0], **(own or {})),)),
            replace(hub_vnet, peerings=(replace(hub_vnet.peerings[0], **(lent or {})),)),
        ),
    )


def vnet_peering(**changed: Any) -> Pair:
    one, other = peered_vnets()
    assert other.azure is not None and isinstance(other.azure.vnets, tuple)
    vnet = other.azure.vnets[0]
    return one, with_azure(other, vnets=(replace(vnet, peerings=(replace(vnet.peerings[0], **changed),)),))


def vpc_peering(state: str) -> Pair:
    one, other = peered_vpcs()
    assert one.aws is not None and isinstance(one.aws.peerings, tuple)
    changed = tuple(replace(item, state=state) for item in one.aws.peerings)
    return with_aws(one, peerings=changed), with_aws(other, peerings=changed)


def tgw_tables(**routes: tuple[TgwRoute, ...]) -> Site:
    """The site with its VPN at a transit gateway, with other routes in the tables named."""
    site = tgw_vpn()
    assert site.aws is not None and isinstance(site.aws.tgw_route_tables, tuple)
    changed = tuple(
        replace(item, routes=routes.get(item.id.rpartition("-")[2], item.routes)) for item in site.aws.tgw_route_tables
    )
    return with_aws(site, tgw_route_tables=changed)


def attachment(**changed: Any) -> Site:
    site = tgw_vpn()
    assert site.aws is not None and isinstance(site.aws.tgw_attachments, tuple)
    own, *others = site.aws.tgw_attachments
    return with_aws(site, tgw_attachments=(replace(own, **changed), *others))


def zoned() -> Site:
    """The transit gateway's attachment has a subnet in another zone than the nodes'."""
    site = attachment(subnets=("subnet-other",))
    assert site.aws is not None and isinstance(site.aws.subnets, tuple)
    return with_aws(site, subnets=(*site.aws.subnets, VpcSubnet("subnet-other", "vpc-1", (), "apne1-az2")))


def edge(*routes: VpcRoute) -> Site:
    site = eks()
    assert site.aws is not None and isinstance(site.aws.route_tables, tuple)
    made = VpcRouteTable("rtb-edge", "vpc-1", gateways=("vgw-07d2",), routes=routes)
    return with_aws(site, route_tables=(*site.aws.route_tables, made))


def unread_learned() -> Site:
    site = bgp_azure()
    assert site.azure is not None and isinstance(site.azure.gateways, tuple)
    right = Unread("Microsoft.Network/virtualNetworkGateways/getLearnedRoutes/action")
    return with_azure(site, gateways=(replace(site.azure.gateways[0], learned=right),))


def other_device() -> Site:
    """The AKS site whose local network gateways name addresses that no tunnel has."""
    site = aks()
    assert site.azure is not None and isinstance(site.azure.local_gateways, tuple)
    return with_azure(
        site, local_gateways=tuple(replace(item, address="7.7.7.7") for item in site.azure.local_gateways)
    )


def without_hub() -> Site:
    """The spoke whose hub could not be read."""
    site = spoke()
    assert site.azure is not None and isinstance(site.azure.vnets, tuple)
    return with_azure(site, vnets=site.azure.vnets[:1])


def cut_short() -> Site:
    """The site with its VPN at a transit gateway whose tables did not come whole."""
    site = tgw_vpn()
    assert site.aws is not None and isinstance(site.aws.tgw_route_tables, tuple)
    return with_aws(site, tgw_route_tables=tuple(replace(item, complete=False) for item in site.aws.tgw_route_tables))


def elsewhere(prefix: str) -> Site:
    """The AKS site whose gateway has one more connection, to another device, for these addresses."""
    site = aks()
    azure = site.azure
    assert azure is not None and isinstance(azure.gateways, tuple)
    assert isinstance(azure.connections, tuple) and isinstance(azure.local_gateways, tuple)
    other = GatewayConnection(
        f"{ARM}/connections/to-office", azure.gateways[0].id, "Connected", local_gateway=f"{ARM}/lng/office"
    )
    local_gateway = LocalNetworkGateway(f"{ARM}/lng/office", "9.9.9.9", (prefix,))
    return with_azure(
        site, connections=(*azure.connections, other), local_gateways=(*azure.local_gateways, local_gateway)
    )


def vpn_attachment(state: str) -> Site:
    """The site with its VPN at a transit gateway, whose attachment is in this state."""
    site = tgw_vpn()
    assert site.aws is not None and isinstance(site.aws.tgw_attachments, tuple)
    own, other = site.aws.tgw_attachments
    return with_aws(site, tgw_attachments=(own, replace(other, state=state)))
