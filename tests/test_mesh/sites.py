"""Sites for the tests of reachability: an EKS and an AKS cluster over a VPN, and others, each healthy until changed."""

from typing import Any

from msgspec.structs import replace

from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.model.site import NodePlace, Premises, Site
from mesh.model.vnet import (
    AzureNetwork,
    AzureRouteTable,
    GatewayConnection,
    LocalNetworkGateway,
    Vnet,
    VnetGateway,
    VnetPeering,
    VnetSubnet,
)
from mesh.model.vpc import (
    AwsNetwork,
    Nacl,
    NaclEntry,
    SiteToSiteVpn,
    TgwAttachment,
    TgwRoute,
    TgwRouteTable,
    Vgw,
    Vpc,
    VpcPeering,
    VpcRoute,
    VpcRouteTable,
    VpcSubnet,
    VpnTunnel,
)
from mesh.reach.hops import Verdict
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow

VXLAN = Flow("udp", 8472)
HEALTH = Flow("tcp", 4240)
ECHO = Flow("icmp", 8)
API = Flow("tcp", 2379)
FLOWS = (VXLAN, HEALTH, ECHO, API)

AZURE_PUBLIC = "20.1.2.3"
TUNNELS = ("52.0.0.1", "52.0.0.2")


def entry(number: int, direction: str, allow: bool, cidr: str = "0.0.0.0/0", protocol: str = "-1", **more: Any) -> Any:
    return NaclEntry(number, direction, allow, protocol, cidr, **more)


def default_nacl(*subnets: str, extra: tuple[NaclEntry, ...] = ()) -> Nacl:
    return Nacl("acl-0d18", subnets, (entry(100, "in", True), entry(100, "out", True), *extra), default=True)


def local(cidr: str) -> VpcRoute:
    return VpcRoute((cidr,), "local", "local", "CreateRouteTable")


def static(cidr: str, kind: str, target: str, state: str = "active") -> VpcRoute:
    return VpcRoute((cidr,), kind, target, "CreateRoute", state)


def propagated(cidr: str, target: str = "vgw-07d2") -> VpcRoute:
    return VpcRoute((cidr,), "vgw", target, "EnableVgwRoutePropagation")


def vpn(gateway: str = "vgw-07d2", **more: Any) -> SiteToSiteVpn:
    made = SiteToSiteVpn(
        "vpn-0e31",
        "available",
        gateway,
        AZURE_PUBLIC,
        static_only=True,
        routes=("10.224.0.0/12",),
        tunnels=tuple(VpnTunnel(address, "UP") for address in TUNNELS),
    )
    return replace(made, **more)


def security_group(nodes: tuple[str, ...], *sources: str, name: str = "sg-0a1b") -> FirewallGroup:
    asks = (("udp", 8472, 8472), ("tcp", 4240, 4240), ("icmp", 8, -1), ("tcp", 2379, 2379))
    rules = tuple(
        FirewallRule(f"sgr-{number}", "in", True, *ask, sources) for number, ask in enumerate(asks, 1) if sources
    )
    leave = FirewallRule("sgr-out", "out", True, "-1", -1, -1, destinations=("0.0.0.0/0",))
    return FirewallGroup(name, "worker", "sg", nodes, (*rules, leave))


def eks(
    name: str = "eks-tokyo",
    cidr: str = "192.168.0.0/16",
    subnet: str = "192.168.1.0/24",
    peer: str = "10.224.0.0/12",
    vpc: str = "vpc-1",
    **more: Any,
) -> Site:
    """A cluster of two nodes behind a VGW with a static VPN."""
    base = subnet.rpartition(".")[0]
    first = subnet_id(name)
    nodes = tuple(NodePlace(f"{name}-{n}", (f"{base}.{n}",), first) for n in (10, 11))
    aws = AwsNetwork(
        vpcs=(Vpc(vpc, (cidr,)),),
        subnets=(VpcSubnet(first, vpc, (subnet,), "apne1-az1"),),
        nacls=(default_nacl(first),),
        route_tables=(
            VpcRouteTable(
                f"rtb-{name}",
                vpc,
                main=True,
                routes=(local(cidr), static("0.0.0.0/0", "nat", "nat-1"), propagated(peer)),
            ),
        ),
        vgws=(Vgw("vgw-07d2", attached={vpc: "attached"}),),
        vpns=(vpn(),),
    )
    firewall = Firewall((security_group(tuple(node.name for node in nodes), peer),))
    return replace(Site(name, nodes, vpc, firewall, aws=aws), **more)


def subnet_id(name: str) -> str:
    return f"subnet-{name}"


ARM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"


def vnet_id(name: str) -> str:
    return f"{ARM}/virtualNetworks/{name}"


def aks(
    name: str = "aks-east", cidr: str = "10.224.0.0/12", subnet: str = "10.224.0.0/16", peer: str = "192.168.0.0/16"
) -> Site:
    """A cluster of two nodes behind a gateway of its own VNet with a static connection."""
    vnet = vnet_id(f"vnet-{name}")
    place = f"{vnet}/subnets/aks-subnet"
    base = subnet.rpartition(".0/")[0]
    nodes = tuple(NodePlace(f"{name}-{n}", (f"{base}.{n}",), place) for n in (4, 5))
    gateway = f"{ARM}/virtualNetworkGateways/vng-{name}"
    azure = AzureNetwork(
        vnets=(
            Vnet(
                vnet,
                (cidr,),
                (VnetSubnet(place, (subnet,)), VnetSubnet(f"{vnet}/subnets/GatewaySubnet", ("10.225.255.0/27",))),
            ),
        ),
        gateways=(VnetGateway(gateway, vnet, (AZURE_PUBLIC,)),),
        connections=tuple(
            GatewayConnection(f"{ARM}/connections/to-aws-{n}", gateway, "Connected", local_gateway=f"{ARM}/lng/{n}")
            for n in (1, 2)
        ),
        local_gateways=tuple(
            LocalNetworkGateway(f"{ARM}/lng/{n}", address, (peer,)) for n, address in enumerate(TUNNELS, 1)
        ),
    )
    group = FirewallGroup("aks-agentpool-nsg", "aks-agentpool-nsg", "nsg-subnet", tuple(node.name for node in nodes))
    return Site(name, nodes, vnet, Firewall((group,)), azure=azure)


def with_aws(site: Site, **more: Any) -> Site:
    assert site.aws is not None
    return replace(site, aws=replace(site.aws, **more))


def with_azure(site: Site, **more: Any) -> Site:
    assert site.azure is not None
    return replace(site, azure=replace(site.azure, **more))


def with_routes(site: Site, *routes: VpcRoute) -> Site:
    assert site.aws is not None and isinstance(site.aws.route_tables, tuple)
    return with_aws(site, route_tables=(replace(site.aws.route_tables[0], routes=routes),))


def with_user_routes(site: Site, table: AzureRouteTable, subnet: str = "aks-subnet") -> Site:
    """The route table on one of the VNet's subnets."""
    assert site.azure is not None and isinstance(site.azure.vnets, tuple)
    own, *others = site.azure.vnets
    subnets = tuple(replace(item, route_table=table.id) if item.name == subnet else item for item in own.subnets)
    return with_azure(site, vnets=(replace(own, subnets=subnets), *others), route_tables=(table,))


def peered_vpcs() -> tuple[Site, Site]:
    """Two EKS clusters whose VPCs are peered."""
    made = []
    for name, own, other in (("eks-a", 1, 2), ("eks-b", 2, 1)):
        cidr, peer = f"10.{own}.0.0/16", f"10.{other}.0.0/16"
        peering = VpcPeering("pcx-1", "active", "vpc-1", "vpc-2", ("10.1.0.0/16",), ("10.2.0.0/16",))
        site = eks(name, cidr, f"10.{own}.1.0/24", peer, f"vpc-{own}")
        site = with_aws(site, vgws=(), vpns=(), peerings=(peering,))
        made.append(with_routes(site, local(cidr), static(peer, "pcx", "pcx-1")))
    return made[0], made[1]


def tgw_vpcs() -> tuple[Site, Site]:
    """Two EKS clusters whose VPCs are attached to one transit gateway."""
    attachments = tuple(
        TgwAttachment(
            f"tgw-attach-{n}", "tgw-1", "vpc", f"vpc-{n}", route_table="tgw-rtb-1", subnets=(f"subnet-eks-{letter}",)
        )
        for n, letter in ((1, "a"), (2, "b"))
    )
    table = TgwRouteTable(
        "tgw-rtb-1",
        "tgw-1",
        tuple(TgwRoute((f"10.{n}.0.0/16",), (f"tgw-attach-{n}",), source="vpc") for n in (1, 2)),
    )
    made = []
    for name, own, other in (("eks-a", 1, 2), ("eks-b", 2, 1)):
        cidr, peer = f"10.{own}.0.0/16", f"10.{other}.0.0/16"
        site = eks(name, cidr, f"10.{own}.1.0/24", peer, f"vpc-{own}")
        site = with_aws(site, vgws=(), vpns=(), tgw_attachments=attachments, tgw_route_tables=(table,))
        made.append(with_routes(site, local(cidr), static(peer, "tgw", "tgw-1")))
    return made[0], made[1]


def tgw_vpn() -> Site:
    """An EKS cluster whose VPN ends at a transit gateway."""
    site = eks()
    attachments = (
        TgwAttachment(
            "tgw-attach-vpc", "tgw-1", "vpc", "vpc-1", route_table="tgw-rtb-vpc", subnets=("subnet-eks-tokyo",)
        ),
        TgwAttachment("tgw-attach-vpn", "tgw-1", "vpn", "vpn-0e31", route_table="tgw-rtb-vpn"),
    )
    tables = (
        TgwRouteTable("tgw-rtb-vpc", "tgw-1", (TgwRoute(("10.224.0.0/12",), ("tgw-attach-vpn",), source="vpn"),)),
        TgwRouteTable("tgw-rtb-vpn", "tgw-1", (TgwRoute(("192.168.0.0/16",), ("tgw-attach-vpc",), source="vpc"),)),
    )
    site = with_aws(site, vgws=(), vpns=(vpn("tgw-1"),), tgw_attachments=attachments, tgw_route_tables=tables)
    return with_routes(site, local("192.168.0.0/16"), static("10.224.0.0/12", "tgw", "tgw-1"))


def peered_vnets() -> tuple[Site, Site]:
    """Two AKS clusters whose VNets are peered."""
    made = []
    for name, own, other in (("aks-a", 1, 2), ("aks-b", 2, 1)):
        site = aks(name, f"10.{own}.0.0/16", f"10.{own}.1.0/24")
        far = vnet_id(f"vnet-{'aks-b' if other == 2 else 'aks-a'}")
        peering = VnetPeering("to-peer", far, "Connected", (f"10.{other}.0.0/16",))
        assert site.azure is not None and isinstance(site.azure.vnets, tuple)
        vnet = replace(site.azure.vnets[0], peerings=(peering,))
        made.append(with_azure(site, vnets=(vnet,), gateways=(), connections=(), local_gateways=()))
    return made[0], made[1]


def spoke() -> Site:
    """An AKS cluster whose gateway stands in a hub that its VNet is peered with."""
    site = aks()
    assert site.azure is not None and isinstance(site.azure.vnets, tuple)
    assert isinstance(site.azure.gateways, tuple)
    own, hub = site.azure.vnets[0], vnet_id("hub")
    to_hub = VnetPeering("to-hub", hub, "Connected", ("10.0.0.0/24",), use_remote_gateways=True)
    to_spoke = VnetPeering("to-spoke", own.id, "Connected", own.prefixes, allow_gateway_transit=True)
    hub_vnet = Vnet(hub, ("10.0.0.0/24",), (VnetSubnet(f"{hub}/subnets/GatewaySubnet", ("10.0.0.0/27",)),), (to_spoke,))
    spoke_vnet = replace(own, subnets=own.subnets[:1], peerings=(to_hub,))
    return with_azure(site, vnets=(spoke_vnet, hub_vnet), gateways=(replace(site.azure.gateways[0], vnet=hub),))


def premises(name: str = "kind-dr", prefix: str = "172.30.0.0/16", **more: Any) -> Site:
    flows = ("udp/8472", "tcp/4240", "icmp", "tcp/2379")
    return Site(name, (NodePlace(f"{name}-1", ("172.30.0.5",)),), premises=Premises((prefix,), flows, **more))


def verdict(source: Site, target: Site, flow: Flow = VXLAN) -> Verdict:
    made = Reach((source, target)).verdict(source.name, target.name, flow)
    assert made is not None
    return made
