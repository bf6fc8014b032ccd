"""Ways between sites: healthy shapes are open, each fault alone closes its own hop."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mesh.model.network import Firewall
from mesh.model.vnet import AzureRoute, AzureRouteTable
from mesh.model.vpc import TgwRoute, Vgw, VpcRouteTable, VpcSubnet, VpnTunnel
from mesh.reach.hops import Passage, asymmetric
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow
from tests.test_mesh.shapes import (
    Pair,
    attachment,
    bgp_azure,
    bgp_vpn,
    connections,
    edge,
    elsewhere,
    hub,
    in_one_vpc,
    kinds,
    other_device,
    table,
    tgw_tables,
    to_premises,
    two_spokes,
    vnet_peering,
    vpc_peering,
    vpn_attachment,
    zoned,
)
from tests.test_mesh.sites import (
    API,
    ARM,
    FLOWS,
    HEALTH,
    TUNNELS,
    VXLAN,
    aks,
    default_nacl,
    eks,
    entry,
    local,
    peered_vnets,
    peered_vpcs,
    propagated,
    spoke,
    static,
    tgw_vpcs,
    tgw_vpn,
    verdict,
    vpn,
    with_aws,
    with_routes,
    with_user_routes,
)

HEALTHY: dict[str, Callable[[], Pair]] = {
    "static VPN": lambda: (eks(), aks()),
    "VPN by BGP": lambda: (with_aws(eks(), vpns=(bgp_vpn(),)), bgp_azure("192.168.0.0/16")),
    "VPN at a transit gateway": lambda: (tgw_vpn(), aks()),
    "gateway in a hub": lambda: (eks(), spoke()),
    "one tunnel of two": lambda: (
        with_aws(eks(), vpns=(vpn(tunnels=(VpnTunnel(TUNNELS[0], "UP"), VpnTunnel(TUNNELS[1], "DOWN"))),)),
        aks(),
    ),
    "peered VPCs": peered_vpcs,
    "transit gateway": tgw_vpcs,
    "peered VNets": peered_vnets,
    "VNets behind one gateway": lambda: two_spokes(),
    "a wider route elsewhere": lambda: (elsewhere("192.0.0.0/8"), eks()),
    "one VPC": in_one_vpc,
    "another VPC's VPN to the same device": lambda: (
        with_aws(
            eks(),
            vgws=(Vgw("vgw-07d2", attached={"vpc-1": "attached"}), Vgw("vgw-2", attached={"vpc-2": "attached"})),
            vpns=(vpn("vgw-2", id="vpn-2"), vpn()),
        ),
        aks(),
    ),
    "one host": kinds,
    "premises": to_premises,
    "user route to the gateway": lambda: (
        eks(),
        with_user_routes(
            aks(),
            AzureRouteTable(
                f"{ARM}/routeTables/rt",
                (AzureRoute("aws", "192.168.0.0/16", "VirtualNetworkGateway"),),
                disable_bgp=True,
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_a_healthy_shape_is_open_both_ways(name: str, flow: Flow) -> None:
    for source, target in (HEALTHY[name](), HEALTHY[name]()[::-1]):
        made = verdict(source, target, flow)
        assert [(hop.kind, hop.rule) for hop in (*made.way.blocks, *made.way.doubts)] == []
        assert made.passage is Passage.OPEN
        assert [hop.index for hop in (*made.way.hops, *made.way.reply)] == list(
            range(1, len(made.way.hops) + len(made.way.reply) + 1)
        )


OWN = local("192.168.0.0/16")
PEER = "10.224.0.0/12"
# Name: sites, from first to second; the first closed hop's kind and a part of its words.
CLOSED: dict[str, tuple[Callable[[], Pair], str, str]] = {
    "blackhole": (
        lambda: (with_routes(eks(), OWN, static(PEER, "tgw", "tgw-1", "blackhole")), aks()),
        "route",
        "its target is gone",
    ),
    "longer blackhole": (
        lambda: (
            with_routes(eks(), OWN, propagated(PEER), static("10.224.0.0/16", "eni", "eni-1", "blackhole")),
            aks(),
        ),
        "route",
        "blackhole",
    ),
    "no route at all": (lambda: (with_routes(eks(), OWN), aks()), "route", "no route to 10.224.0.4"),
    "overlapping networks": (
        lambda: (eks(), aks(cidr="192.168.0.0/16", subnet="192.168.5.0/24")),
        "route",
        "this VPC's own range",
    ),
    "explicit table without the route": (
        lambda: (
            with_aws(
                eks(),
                route_tables=(
                    VpcRouteTable("rtb-main", "vpc-1", main=True, routes=(OWN, propagated(PEER))),
                    VpcRouteTable("rtb-own", "vpc-1", ("subnet-eks-tokyo",), routes=(OWN,)),
                ),
            ),
            aks(),
        ),
        "route",
        "no route",
    ),
    "gateway detached": (
        lambda: (with_aws(eks(), vgws=(Vgw("vgw-07d2"),)), aks()),
        "gateway",
        "detached",
    ),
    "gateway deleted": (lambda: (with_aws(eks(), vgws=()), aks()), "gateway", "deleted"),
    "both tunnels down": (
        lambda: (
            with_aws(eks(), vpns=(vpn(tunnels=tuple(VpnTunnel(a, "DOWN", "IPSEC IS DOWN") for a in TUNNELS)),)),
            aks(),
        ),
        "VPN",
        "0/2 tunnels up: IPSEC IS DOWN",
    ),
    "VPN has no static route": (
        lambda: (with_aws(eks(), vpns=(vpn(routes=("10.0.0.0/16",)),)), aks()),
        "VPN",
        "no static route to 10.224.0.4",
    ),
    "BGP brought nothing": (
        lambda: (
            with_routes(with_aws(eks(), vpns=(bgp_vpn(0),)), OWN, static(PEER, "vgw", "vgw-07d2")),
            bgp_azure("192.168.0.0/16"),
        ),
        "VPN",
        "BGP brought no route",
    ),
    "selectors": (
        lambda: (with_aws(eks(), vpns=(vpn(far_cidr="10.0.0.0/16"),)), aks()),
        "VPN",
        "selector of the far side is 10.0.0.0/16",
    ),
    "customer gateway of another": (
        lambda: (with_aws(eks(), vpns=(vpn(peer_address="8.8.8.8"),)), aks()),
        "VPN",
        "no connection to aks-east",
    ),
    "connection down": (lambda: (eks(), connections("NotConnected")), "gateway", "NotConnected"),
    "LNG with another address": (
        lambda: (eks(), other_device()),
        "gateway",
        "no connection leads to eks-tokyo",
    ),
    "Azure selectors": (
        lambda: (eks(), connections(selectors=(("10.224.0.0/16", "192.168.9.0/24"),))),
        "gateway",
        "selectors of",
    ),
    "gateway sends it elsewhere": (
        lambda: (elsewhere("192.168.1.0/24"), eks()),
        "gateway",
        "sends 192.168.1.10/31 to to-office",
    ),
    "learned from another peer": (
        lambda: (bgp_azure("192.168.0.0/16", peer="169.254.21.5"), eks()),
        "gateway",
        "sends 192.168.1.10/31 to BGP peer 169.254.21.1",
    ),
    "no gateway transit": (
        lambda: (eks(), hub(lent={"allow_gateway_transit": False})),
        "gateway",
        "allowGatewayTransit",
    ),
    "no remote gateways": (lambda: (hub(own={"use_remote_gateways": False}), eks()), "route", "Azure drops it"),
    "peering to the hub cut": (lambda: (eks(), hub(lent={"state": "Disconnected"})), "gateway", "is Disconnected"),
    "GatewaySubnet without propagation": (
        lambda: (with_user_routes(aks(), table(disable_bgp=True), "GatewaySubnet"), eks()),
        "gateway",
        "disableBgpRoutePropagation",
    ),
    "GatewaySubnet drops": (
        lambda: (
            eks(),
            with_user_routes(aks(), table(AzureRoute("drop", "10.224.0.0/16", "None")), "GatewaySubnet"),
        ),
        "edge route",
        "10.224.0.0/16 → None",
    ),
    "gateway does not know": (lambda: (bgp_azure(), eks()), "route", "the gateway does not know it, Azure drops it"),
    "Azure route drops": (
        lambda: (with_user_routes(aks(), table(AzureRoute("drop", "192.168.1.0/24", "None"))), eks()),
        "route",
        "dropped by a user route",
    ),
    "propagation off": (
        lambda: (with_user_routes(aks(), table(disable_bgp=True)), eks()),
        "route",
        "disableBgpRoutePropagation hides",
    ),
    "default route to the Internet": (
        lambda: (
            with_user_routes(aks(), table(AzureRoute("net", "192.168.1.0/24", "Internet"), disable_bgp=True)),
            eks(),
        ),
        "route",
        "no route to the VPN",
    ),
    "edge route into nothing": (
        lambda: (aks(), edge(OWN, static("192.168.1.0/24", "eni", "eni-1", "blackhole"))),
        "edge route",
        "blackhole",
    ),
    "VPC peering pending": (lambda: vpc_peering("pending-acceptance"), "peering", "pending-acceptance"),
    "VPC peering to another": (
        lambda: (peered_vpcs()[0], replace(peered_vpcs()[1], network="vpc-3")),
        "peering",
        "leads to vpc-2, not to vpc-3",
    ),
    "VNet peering cut": (lambda: vnet_peering(state="Disconnected"), "peering", "Disconnected"),
    "VNet peering without access": (lambda: vnet_peering(allow_access=False), "peering", "allowVirtualNetworkAccess"),
    "TGW attachment deleted": (lambda: (attachment(state="deleting"), aks()), "gateway", "is deleting"),
    "TGW attachment in another zone": (lambda: (zoned(), aks()), "gateway", "no subnet in apne1-az1"),
    "VPN attachment failed": (lambda: (aks(), vpn_attachment("failed")), "gateway", "tgw-attach-vpn is failed"),
    "TGW association missing": (lambda: (attachment(route_table=""), aks()), "TGW route", "no route table"),
    "TGW blackhole": (
        lambda: (tgw_tables(vpc=(TgwRoute((PEER,), (), "static", "blackhole"),)), aks()),
        "TGW route",
        "blackhole",
    ),
    "TGW route back missing": (lambda: (aks(), tgw_tables(vpn=())), "TGW route", "no route to 192.168.1.10"),
    "NACL of the TGW's subnet": (
        lambda: (
            with_aws(
                attachment(subnets=("subnet-tgw",)),
                subnets=(
                    VpcSubnet("subnet-eks-tokyo", "vpc-1", (), "z"),
                    VpcSubnet("subnet-tgw", "vpc-1", (), "z"),
                ),
                nacls=(
                    default_nacl("subnet-eks-tokyo"),
                    replace(default_nacl(), id="acl-tgw", subnets=("subnet-tgw",), entries=(entry(100, "out", True),)),
                ),
            ),
            aks(),
        ),
        "NACL of TGW subnet in",
        "rule * deny",
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_a_fault_alone_closes_its_own_hop(name: str) -> None:
    make, kind, words = CLOSED[name]
    made = verdict(*make())
    decides = made.way.decides
    assert made.passage is Passage.CLOSED
    assert decides is not None
    assert decides.kind == kind
    assert words in decides.rule


def test_what_lies_behind_the_first_block_is_judged_too() -> None:
    source = with_routes(eks(), OWN, static("0.0.0.0/0", "nat", "nat-1"))
    source = with_aws(source, vpns=(vpn(routes=()),))
    target = connections("NotConnected")
    blocks = verdict(source, target).way.blocks
    assert [(hop.site, hop.kind) for hop in blocks] == [
        ("eks-tokyo", "route"),
        ("eks-tokyo", "VPN"),
        ("aks-east", "gateway"),
    ]


def test_one_direction_alone_is_shut_when_only_the_way_back_lacks_a_route() -> None:
    source, target = with_routes(eks(), OWN), aks()
    assert verdict(source, target).passage is Passage.CLOSED
    assert verdict(target, source).passage is Passage.OPEN
    # TCP needs the way back, so it fails in the direction that looks open.
    made = verdict(target, source, HEALTH)
    assert made.way.forward is Passage.OPEN
    assert [hop.kind for hop in made.way.blocks] == ["route"]
    assert made.way.blocks[0].index > len(made.way.hops)


def test_a_way_back_over_other_gateways_is_told() -> None:
    one, other = peered_vpcs()
    tgw_one, tgw_other = tgw_vpcs()
    assert tgw_other.aws is not None and tgw_one.aws is not None
    both = {"tgw_attachments": tgw_one.aws.tgw_attachments, "tgw_route_tables": tgw_one.aws.tgw_route_tables}
    back = with_routes(with_aws(other, **both), local("10.2.0.0/16"), static("10.1.0.0/16", "tgw", "tgw-1"))
    way = verdict(with_aws(one, **both), back, HEALTH).way
    assert way.passage is Passage.OPEN
    assert asymmetric(way)
    assert not asymmetric(verdict(one, other, HEALTH).way)


def test_premises_pass_only_what_is_declared() -> None:
    source, target = to_premises()
    assert verdict(source, target, Flow("tcp", 443)).passage is not Passage.OPEN
    assert verdict(source, target, API).passage is Passage.OPEN


def test_hops_are_named_and_numbered_in_path_order() -> None:
    way = verdict(aks(), eks()).way
    assert [(hop.index, hop.kind) for hop in way.hops] == [
        (1, "NSG of NIC"),
        (2, "NSG of subnet"),
        (3, "route"),
        (4, "gateway"),
        (5, "VPN"),
        (6, "edge route"),
        (7, "NACL in"),
        (8, "SG in"),
        (9, "node"),
    ]
    assert not way.hops[-1].judged


def test_a_tgw_lookup_takes_the_longest_prefix_and_static_before_propagated() -> None:
    lost = TgwRoute(("10.224.0.0/16",), ("tgw-attach-gone",), "propagated", source="vpc")
    kept = TgwRoute(("10.224.0.0/16",), ("tgw-attach-vpn",), "static")
    wide = TgwRoute(("10.0.0.0/8",), ("tgw-attach-gone",), "static")
    for routes in ((lost, kept, wide), (wide, kept, lost)):
        assert verdict(tgw_tables(vpc=routes), aks()).passage is Passage.OPEN
    assert verdict(tgw_tables(vpc=(lost, wide)), aks()).passage is Passage.UNKNOWN


def test_a_table_of_another_account_is_looked_up_in_the_other_site() -> None:
    one, other = tgw_vpcs()
    assert one.aws is not None and isinstance(one.aws.tgw_attachments, tuple)
    one = with_aws(one, tgw_route_tables=(), tgw_attachments=one.aws.tgw_attachments[:1])
    assert verdict(one, other).passage is Passage.OPEN
    gone = with_aws(other, tgw_route_tables=())
    assert verdict(one, gone).passage is Passage.UNKNOWN


def test_the_class_whose_rules_shut_the_flow_is_named() -> None:
    site = eks()
    assert site.firewall is not None
    group = site.firewall.groups[0]
    shut = replace(group, id="sg-shut", rules=group.rules[-1:], nodes=("eks-tokyo-11",))
    site = replace(site, firewall=Firewall((replace(group, nodes=("eks-tokyo-10",)), shut)))
    made = verdict(aks(), site)
    assert made.passage is Passage.CLOSED
    assert made.closed == ("eks-tokyo-11",)
    assert made.way.target == "eks-tokyo-11"
    assert made.way.blocks[0].object == "sg-shut"


def test_sites_of_different_families_do_not_reach_each_other() -> None:
    site = eks()
    six = replace(site, nodes=tuple(replace(node, addresses=("fd00::1",)) for node in site.nodes))
    assert verdict(six, aks()).passage is Passage.CLOSED


def test_a_site_without_nodes_has_no_verdict() -> None:
    assert Reach((replace(eks(), nodes=()), aks())).verdict("eks-tokyo", "aks-east", VXLAN) is None
