"""What is not read, not understood or not modelled on a way makes it unknown, and says what is missing."""

from collections.abc import Callable

import pytest
from msgspec import json
from msgspec.structs import replace

from mesh.model.network import Firewall, FirewallRule
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vnet import AzureRoute
from mesh.model.vpc import TgwRoute, TgwRouteTable, VpcRoute
from mesh.reach.hops import Passage
from mesh.reach.rules import Flow
from tests.test_mesh.shapes import (
    Pair,
    connections,
    cut_short,
    edge,
    elsewhere,
    kinds,
    table,
    tgw_tables,
    to_premises,
    unread_learned,
    vpc_peering,
    without_hub,
)
from tests.test_mesh.sites import (
    FLOWS,
    aks,
    default_nacl,
    eks,
    entry,
    local,
    peered_vnets,
    premises,
    propagated,
    spoke,
    static,
    tgw_vpn,
    verdict,
    vpn,
    with_aws,
    with_azure,
    with_routes,
    with_user_routes,
)

OWN = local("192.168.0.0/16")
PEER = "10.224.0.0/12"


AWS_PARTS = {
    "nacls": "ec2:DescribeNetworkAcls",
    "route_tables": "ec2:DescribeRouteTables",
    "vgws": "ec2:DescribeVpnGateways",
    "vpns": "ec2:DescribeVpnConnections",
}
AZURE_PARTS = {
    "vnets": "Microsoft.Network/virtualNetworks/read",
    "gateways": "Microsoft.Network/virtualNetworkGateways/read",
    "connections": "Microsoft.Network/connections/read",
    "local_gateways": "Microsoft.Network/localNetworkGateways/read",
}


@pytest.mark.parametrize("part", AWS_PARTS)
@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_a_withdrawn_aws_right_is_named_and_nothing_is_open(part: str, flow: Flow) -> None:
    source = with_aws(eks(), **{part: Unread(AWS_PARTS[part])})
    for pair in ((source, aks()), (aks(), source)):
        way = verdict(*pair, flow).way
        assert way.passage is Passage.UNKNOWN
        assert AWS_PARTS[part] in {hop.missing for hop in way.doubts}
        assert {hop.missing for hop in way.doubts} <= {AWS_PARTS[part]}


@pytest.mark.parametrize("part", AZURE_PARTS)
@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_a_withdrawn_azure_right_is_named_and_nothing_is_open(part: str, flow: Flow) -> None:
    site = with_azure(aks(), **{part: Unread(AZURE_PARTS[part])})
    for pair in ((site, eks()), (eks(), site)):
        way = verdict(*pair, flow).way
        assert way.passage is Passage.UNKNOWN
        assert AZURE_PARTS[part] in {hop.missing for hop in way.doubts}


def test_a_firewall_that_was_not_read_is_unknown_and_names_the_right() -> None:
    site = replace(eks(), firewall=None, lacks=Unread("ec2:DescribeSecurityGroups", why="UnauthorizedOperation"))
    decides = verdict(aks(), site).way.decides
    assert decides is not None
    assert (decides.kind, decides.passage) == ("SG in", Passage.UNKNOWN)
    assert decides.missing == "ec2:DescribeSecurityGroups"


def test_a_closed_hop_makes_the_way_closed_although_another_is_unknown() -> None:
    source = with_aws(eks(), nacls=Unread("ec2:DescribeNetworkAcls"))
    made = verdict(source, connections("NotConnected"))
    assert made.passage is Passage.CLOSED
    assert [hop.kind for hop in made.way.doubts] == ["NACL out"]


APPLIANCE = AzureRoute("fw", "0.0.0.0/0", "VirtualAppliance", "10.0.0.4")
UNKNOWN: dict[str, tuple[Callable[[], Pair], str, str]] = {
    "learned routes not read": (lambda: (unread_learned(), eks()), "route", "unless the gateway learned a route"),
    "appliance in the hub": (
        lambda: (with_user_routes(aks(), table(replace(APPLIANCE, prefix="192.168.0.0/16"))), eks()),
        "route",
        "appliance 10.0.0.4 is not modelled",
    ),
    "appliance behind the edge": (
        lambda: (aks(), edge(OWN, static("192.168.1.0/24", "vpce", "vpce-1"))),
        "edge route",
        "vpce-1 is not modelled",
    ),
    "next hop of a newer API": (
        lambda: (with_user_routes(aks(), table(AzureRoute("x", "192.168.1.0/24", "Teleport"))), eks()),
        "route",
        "not understood",
    ),
    "route target of a newer API": (
        lambda: (with_routes(eks(), OWN, static(PEER, "odb", "odb-1")), aks()),
        "route",
        "odb-1 is not modelled",
    ),
    "route state of a newer API": (
        lambda: (with_routes(eks(), OWN, static(PEER, "vgw", "vgw-07d2", "resting")), aks()),
        "route",
        "not understood",
    ),
    "prefix list not read": (
        lambda: (
            with_routes(eks(), OWN, propagated(PEER), VpcRoute(None, "nat", "nat-1", prefix_list="pl-1")),
            aks(),
        ),
        "route",
        "pl-1",
    ),
    "two connections with the same prefix": (
        lambda: (elsewhere("192.168.0.0/16"), eks()),
        "gateway",
        "by which connection 192.168.1.10/31 goes is not known",
    ),
    "two VPNs with the same route": (
        lambda: (with_aws(eks(), vpns=(vpn(), vpn(id="vpn-2", peer_address="9.9.9.9"))), aks()),
        "VPN",
        "vpn-2 has a static route",
    ),
    "connection status Unknown": (lambda: (eks(), connections("Unknown")), "gateway", "Unknown"),
    "hub not read": (
        lambda: (eks(), without_hub()),
        "gateway",
        "hub was not read",
    ),
    "peering not accepted by any answer": (lambda: vpc_peering("sleeping"), "peering", "sleeping"),
    "TGW answer cut short": (
        lambda: (cut_short(), aks()),
        "TGW route",
        "did not hold all routes",
    ),
    "malformed CIDR in a route": (
        lambda: (with_routes(eks(), OWN, static("10.224.0.0/99", "vgw", "vgw-07d2")), aks()),
        "route",
        "not understood",
    ),
    "malformed CIDR in a NACL": (
        lambda: (
            with_aws(eks(), nacls=(default_nacl("subnet-eks-tokyo", extra=(entry(5, "out", True, "x"),)),)),
            aks(),
        ),
        "rules",
        "not understood",
    ),
    "premises behind a firewall": (
        lambda: (to_premises()[0], premises(gateways=("9.9.9.9",), appliances=("fw-hub",))),
        "site",
        "appliance fw-hub is not modelled",
    ),
    "no facts of a cloud": (lambda: (replace(kinds()[0], network=""), kinds()[1]), "network", "not modelled"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_or_not_modelled_is_never_open(name: str) -> None:
    make, kind, words = UNKNOWN[name]
    way = verdict(*make()).way
    decides = way.decides
    assert way.passage is Passage.UNKNOWN, [(hop.kind, hop.rule) for hop in way.blocks]
    assert decides is not None
    assert decides.kind == kind
    assert words in decides.rule


def test_a_tgw_table_that_was_not_read_is_unknown_with_its_right() -> None:
    site = with_aws(
        tgw_vpn(), tgw_route_tables=(TgwRouteTable("tgw-rtb-vpc", "tgw-1", Unread("ec2:SearchTransitGatewayRoutes")),)
    )
    way = verdict(site, aks()).way
    assert way.passage is Passage.UNKNOWN
    assert "ec2:SearchTransitGatewayRoutes" in {hop.missing for hop in way.doubts}


def test_a_node_whose_address_is_none_is_unknown() -> None:
    site = eks()
    broken = replace(site, nodes=(replace(site.nodes[0], addresses=("not-an-address",)),))
    way = verdict(aks(), broken).way
    assert way.passage is Passage.UNKNOWN
    assert [hop.rule for hop in way.doubts] == ["no address of eks-tokyo-10 is known"]


def test_a_rule_whose_near_end_is_no_address_is_not_understood() -> None:
    site = aks()
    assert site.firewall is not None
    rule = FirewallRule("r", "in", True, "*", destinations=("10.224.0.0/99",), priority=200, name="r")
    broken = replace(site, firewall=Firewall((replace(site.firewall.groups[0], rules=(rule,)),)))
    assert verdict(eks(), broken).passage is Passage.UNKNOWN


def test_unread_learned_routes_leave_what_is_a_peers_alone_known() -> None:
    one, other = peered_vnets()
    assert one.azure is not None
    hidden = with_azure(one, gateways=Unread("Microsoft.Network/virtualNetworkGateways/read"))
    assert verdict(hidden, other).passage is Passage.OPEN


@pytest.mark.parametrize("part", ["route_tables", "gateways", "connections"])
def test_rights_of_the_gateways_subnet_are_missed_too(part: str) -> None:
    site = with_user_routes(aks(), table(), "GatewaySubnet")
    way = verdict(with_azure(site, **{part: Unread(f"right to {part}")}), eks()).way
    assert way.passage is Passage.UNKNOWN
    assert f"right to {part}" in {hop.missing for hop in way.doubts}


def test_an_attachment_that_a_route_names_and_was_not_read_makes_the_way_unknown() -> None:
    route = TgwRoute(("10.224.0.0/12",), ("tgw-attach-vpn", "tgw-attach-other"), source="vpn")
    way = verdict(tgw_tables(vpc=(route,)), aks()).way
    assert way.doubts[0].rule == "attachment tgw-attach-other was not read"


def test_sites_survive_a_snapshot() -> None:
    for site in (eks(), tgw_vpn(), spoke(), premises(), with_azure(aks(), connections=Unread("right", "call", "403"))):
        assert json.decode(json.encode(site), type=Site) == site
