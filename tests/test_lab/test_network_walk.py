"""Packets between clusters over what the clouds hold: a change of an object changes what it should, no more."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.aws.repairs.routes import propagating
from backends.lab.network import Packet
from backends.lab.topology import aks, eks, kind, open_mesh, open_nodes, peering, vpn
from backends.lab.world import LabCluster, World
from tests.test_lab.cloud_lab import addresses, cloud_world, send

EKS_NODES = ["192.168.1.10", "192.168.1.48", "192.168.2.11"]
AKS_NODES = ["10.224.0.4", "10.224.0.5", "10.224.0.6"]
FLOWS = [("udp", 8472), ("tcp", 4240), ("icmp", 0)]


class Pair:
    """EKS and AKS over a VPN."""

    def __init__(self, world: World, *, bgp: bool = False) -> None:
        self.world = world
        self.eks = eks(world, "eks-tokyo")
        self.aks = aks(world, "aks-east")
        vpn(world, self.eks, self.aks, bgp=bgp)
        self.ec2 = world.clouds.aws.ec2(self.eks.region)
        self.azure = world.clouds.azure

    def out(self, protocol: str = "udp", port: int = 8472, **more: Any) -> bool:
        """EKS to AKS."""
        return send(self.world, self.eks, AKS_NODES[0], protocol, port, **more).delivered

    def back(self, protocol: str = "udp", port: int = 8472, **more: Any) -> bool:
        """AKS to EKS."""
        return send(self.world, self.aks, EKS_NODES[0], protocol, port, **more).delivered

    def where(self, source: LabCluster, destination: str, protocol: str, port: int = 0) -> str:
        """Where a packet is lost."""
        return send(self.world, source, destination, protocol, port).where


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with cloud_world(tmp_path) as world:
        yield Pair(world)


def test_nodes_have_the_addresses_of_the_plan(pair: Pair) -> None:
    assert addresses(pair.eks) == EKS_NODES
    assert addresses(pair.aks) == AKS_NODES


def test_a_fresh_pair_reaches_azure_but_not_aws(pair: Pair) -> None:
    for protocol, port in FLOWS:
        assert pair.out(protocol, port), protocol
        assert not pair.back(protocol, port), protocol
        assert pair.where(pair.aks, EKS_NODES[0], protocol, port).startswith("security groups in eni-")


def test_opening_the_worker_group_is_all_that_is_missing(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    for node in range(3):
        for there in EKS_NODES:
            for protocol, port in FLOWS:
                assert send(pair.world, pair.aks, there, protocol, port, node=node).delivered
    assert not pair.back("tcp", 22)


def test_one_opened_flow_opens_no_other(pair: Pair) -> None:
    open_nodes(pair.world, pair.eks, pair.aks, [("udp", 8472)])
    assert pair.back("udp", 8472)
    assert not pair.back("tcp", 4240)
    assert not pair.back("icmp")


def test_vxlan_answers_are_packets_of_their_own(pair: Pair) -> None:
    # The tracked connection of the request lets a TCP answer in, but never a UDP packet to port 8472.
    assert pair.out("tcp", 4240)
    assert pair.out("udp", 8472)
    assert not pair.back("udp", 8472)


def test_nodes_of_one_cluster_reach_each_other_and_the_trace_shows_how(pair: Pair) -> None:
    crossing = send(pair.world, pair.eks, EKS_NODES[2], "udp", 8472)
    assert [hop.place for hop in crossing.trace] == [
        "security groups out",
        "network ACL out",
        "route",
        "network ACL in",
        "security groups in",
    ]
    same_subnet = send(pair.world, pair.eks, EKS_NODES[1], "udp", 8472)
    assert not any("ACL" in hop.place for hop in same_subnet.trace)
    assert crossing.delivered
    assert same_subnet.delivered
    assert crossing.arrival is not None
    assert crossing.arrival.node == "ip-192-168-2-11.ap-northeast-1.compute.internal"
    assert send(pair.world, pair.aks, AKS_NODES[1], "tcp", 4240).delivered


def test_egress_rules_count(pair: Pair) -> None:
    with pair.world.clouds.aws.writing():
        pair.ec2.get_security_group_from_id(pair.eks.facts["worker_group"]).egress_rules.clear()
    assert not pair.out()
    open_mesh(pair.world, pair.eks, pair.aks)
    assert pair.back("tcp", 4240), "the answer of a tracked connection needs no egress rule"


def acl(pair: Pair, *entries: tuple[int, str, str, bool, int, int]) -> None:
    """(number, protocol, allow/deny, egress, from, to) into the VPC's default ACL."""
    with pair.world.clouds.aws.writing():
        held = next(one for one in pair.ec2.network_acls.values() if one.vpc_id == pair.eks.facts["vpc_id"])
        for number, protocol, action, egress, low, high in entries:
            pair.ec2.create_network_acl_entry(
                held.id, number, protocol, action, egress, "10.224.0.0/12", None, None, low, high, None
            )


def test_an_acl_can_cut_either_way(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    acl(pair, (50, "17", "deny", True, 8472, 8472))
    assert (pair.out(), pair.back()) == (False, True)
    acl(pair, (50, "17", "deny", False, 8472, 8472))
    assert (pair.out(), pair.back()) == (False, False)


def test_an_acl_that_swallows_answers_lets_the_request_arrive(pair: Pair) -> None:
    acl(pair, (50, "6", "deny", False, 32768, 60999))
    lost = send(pair.world, pair.eks, AKS_NODES[0], "tcp", 4240)
    assert (lost.arrived, lost.delivered) == (True, False)
    assert lost.where.startswith("answer: network ACL in")
    assert send(pair.world, pair.eks, AKS_NODES[0], "tcp", 4240, source_port=61000).delivered


def test_without_propagation_packets_leave_for_the_internet(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    with pair.world.clouds.aws.writing():
        for table in pair.eks.facts["route_tables"]:
            propagating(pair.ec2.get_route_table(table)).clear()
    assert pair.where(pair.eks, AKS_NODES[0], "udp", 8472).startswith("internet nat-")
    assert pair.back("udp"), "the other direction needs no route here"
    answerless = send(pair.world, pair.aks, EKS_NODES[0], "tcp", 4240)
    assert (answerless.arrived, answerless.delivered) == (True, False)


def test_a_detached_gateway_is_a_black_hole_for_static_routes(pair: Pair) -> None:
    with pair.world.clouds.aws.writing():
        for table in pair.eks.facts["route_tables"]:
            pair.ec2.create_route(table, "10.224.0.0/12", gateway_id=pair.eks.facts["vpn_gateway"])
    assert pair.out()
    with pair.world.clouds.aws.writing():
        pair.ec2.detach_vpn_gateway(pair.eks.facts["vpn_gateway"], pair.eks.facts["vpc_id"])
    assert pair.where(pair.eks, AKS_NODES[0], "udp", 8472).startswith("route rtb-")


def connection(pair: Pair) -> Any:
    return next(iter(pair.ec2.vpn_connections.values()))


def without_static_prefix(pair: Pair) -> None:
    # The subnet still routes to the gateway, which drops what it does not know.
    for table in pair.eks.facts["route_tables"]:
        pair.ec2.create_route(table, "10.224.0.0/12", gateway_id=pair.eks.facts["vpn_gateway"])
    connection(pair).routes.clear()


def wrong_customer_address(pair: Pair) -> None:
    next(iter(pair.ec2.customer_gateways.values())).ip_address = "198.51.100.1"


def narrow_selector(pair: Pair) -> None:
    connection(pair).options["LocalIpv4NetworkCidr"] = "10.0.0.0/16"


def both_down(pair: Pair) -> None:
    from backends.lab.clouds.aws.repairs.vpn import set_tunnels

    set_tunnels(connection(pair), [False, False])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (without_static_prefix, "vpn gateway vgw-"),
        (wrong_customer_address, "vpn vpn-"),
        (narrow_selector, "vpn vpn-"),
        (both_down, "vpn vpn-"),
    ],
)
def test_the_aws_end_of_a_tunnel(pair: Pair, change: Callable[[Pair], None], where: str) -> None:
    assert pair.out()
    with pair.world.clouds.aws.writing():
        change(pair)
    assert pair.where(pair.eks, AKS_NODES[0], "udp", 8472).startswith(where)


def test_one_tunnel_of_two_is_enough(pair: Pair) -> None:
    from backends.lab.clouds.aws.repairs.vpn import set_tunnels

    with pair.world.clouds.aws.writing():
        set_tunnels(connection(pair), [False, True])
    assert pair.out()


def test_the_azure_end_of_a_tunnel(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    for identifier in pair.aks.facts["connections"]:
        assert pair.back()
        pair.azure.need(identifier)["properties"]["connectionStatus"] = "NotConnected"
        pair.azure.changes.bump()
    assert not pair.back()
    assert not pair.out()


def test_a_prefix_that_the_local_gateway_lacks_is_unknown_to_routes_and_tags(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    for document in pair.azure.of_type("microsoft.network/localnetworkgateways"):
        document["properties"]["localNetworkAddressSpace"]["addressPrefixes"] = ["172.31.0.0/16"]
    pair.azure.changes.bump()
    assert pair.where(pair.eks, AKS_NODES[0], "udp", 8472) == "subnet group in aks-agentpool-nsg"
    lost = send(pair.world, pair.aks, EKS_NODES[0], "udp", 8472)
    assert not lost.delivered
    # Unknown private addresses count as Internet for the rules, and have next hop None.
    assert [hop.detail for hop in lost.trace] == ["AllowInternetOutBound", "AllowInternetOutBound", "next hop None"]


def put_rule(pair: Pair, group: str, direction: str, access: str = "Deny") -> None:
    pair.azure.put_child(
        f"{group}/securityRules/test-{direction}",
        {
            "properties": {
                "protocol": "Udp",
                "sourcePortRange": "*",
                "destinationPortRange": "8472",
                "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*",
                "access": access,
                "direction": direction,
                "priority": 150,
            }
        },
    )


@pytest.mark.parametrize("group", ["subnet_nsg", "nic_nsg"])
@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
def test_both_groups_of_a_node_must_allow_each_direction(pair: Pair, group: str, direction: str) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    put_rule(pair, pair.aks.facts[group], direction)
    assert pair.out() is (direction == "Outbound")
    assert pair.back() is (direction == "Inbound")
    assert pair.out("tcp", 4240)


def test_without_any_group_everything_passes(pair: Pair) -> None:
    subnet = pair.azure.need(pair.aks.facts["subnet_id"])["properties"]
    subnet.pop("networkSecurityGroup")
    for nic in pair.azure.of_type("microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces"):
        nic["properties"].pop("networkSecurityGroup")
    pair.azure.changes.bump()
    arrived = send(pair.world, pair.eks, AKS_NODES[0], "tcp", 22)
    assert arrived.delivered
    assert not any("group in" in hop.place and "aks" in hop.subject for hop in arrived.trace)


@pytest.mark.parametrize(
    ("hop", "delivered"), [("None", False), ("VirtualAppliance", False), ("VirtualNetworkGateway", True)]
)
def test_user_routes_steer_packets_away(pair: Pair, hop: str, delivered: bool) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    base = pair.aks.facts["vnet_id"].partition("/virtualNetworks/")[0]
    rows = [{"name": "aws", "properties": {"addressPrefix": "192.168.0.0/16", "nextHopType": hop}}]
    pair.azure.put(f"{base}/routeTables/udr", {"properties": {"disableBgpRoutePropagation": True, "routes": rows}})
    pair.azure.need(pair.aks.facts["subnet_id"])["properties"]["routeTable"] = {"id": f"{base}/routeTables/UDR"}
    pair.azure.changes.bump()
    assert pair.back() is delivered
    assert pair.out("udp", 8472)


def test_a_tunnel_swallows_what_is_too_large(pair: Pair) -> None:
    open_mesh(pair.world, pair.eks, pair.aks)
    assert pair.out(size=1422)
    assert not pair.out(size=1423)
    assert send(pair.world, pair.eks, EKS_NODES[2], "udp", 8472, size=9001).delivered
    pair.world.network.set_path_mtu(pair.aks, pair.eks, 1300)
    assert (pair.out(size=1301), pair.back(size=1301), pair.back(size=1300)) == (False, False, True)


def test_addresses_that_nobody_has(pair: Pair) -> None:
    assert pair.where(pair.eks, "10.224.0.99", "tcp", 4240).startswith("address")
    strange: Any = pair.world.network.deliver(Packet("eks-tokyo", "192.168.1.99", AKS_NODES[0], "udp", 8472))
    assert (strange.delivered, strange.where) == (False, "source")
    assert not pair.world.network.passes("eks-tokyo", "not an address", AKS_NODES[0], "udp", 8472)


def test_answers_are_fresh_after_every_change(pair: Pair) -> None:
    network = pair.world.network
    before = network.revision
    assert not pair.back()
    assert network.revision == before
    open_mesh(pair.world, pair.eks, pair.aks)
    assert network.revision != before
    assert pair.back()


def test_thousands_of_packets_a_second(pair: Pair) -> None:
    packets = [Packet("eks-tokyo", one, other, "tcp", 4240) for one in EKS_NODES for other in AKS_NODES]
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.25:
        pair.world.network._kept.clear()  # the walk itself, not what was kept of it
        for packet in packets:
            pair.world.network.deliver(packet)
        count += len(packets)
    assert count / (time.perf_counter() - began) > 2000


async def test_bgp_prefixes_live_and_die_with_the_session(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        pair = Pair(world, bgp=True)
        open_mesh(world, pair.eks, pair.aks)
        assert (pair.out(), pair.back()) == (True, True)
        both_down(pair)
        world.clouds.aws.changes.bump()
        assert pair.where(pair.eks, AKS_NODES[0], "udp", 8472).startswith("internet"), "the propagated route is gone"


async def test_three_networks_of_three_kinds(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        clusters = [eks(world, "eks-tokyo"), aks(world, "aks-east"), kind(world, "kind-dr")]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            vpn(world, clusters[one], clusters[other])
        open_mesh(world, *clusters)
        for source in clusters:
            for target in clusters:
                for address in addresses(target):
                    assert send(world, source, address, "tcp", 4240).delivered, (source.name, target.name, address)


async def test_two_vpcs_by_peering_and_one_vnet_behind_both(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        tokyo = eks(world, "eks-tokyo")
        osaka = eks(world, "eks-osaka", region="ap-northeast-3", vpc="10.50.0.0/16")
        east = aks(world, "aks-east")
        peering(world, tokyo, osaka)
        vpn(world, tokyo, east)
        vpn(world, osaka, east)
        assert not send(world, tokyo, addresses(osaka)[0], "udp", 8472).delivered
        open_mesh(world, tokyo, osaka, east)
        for source in (tokyo, osaka, east):
            for target in (tokyo, osaka, east):
                assert send(world, source, addresses(target)[0], "udp", 8472, node=1).delivered


async def test_two_vnets_by_peering(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        east = aks(world, "aks-east")
        west = aks(world, "aks-west", region="japanwest", vnet="10.60.0.0/16")
        assert not send(world, east, addresses(west)[0], "udp", 8472).delivered
        peering(world, east, west)
        assert send(world, east, addresses(west)[0], "udp", 8472).delivered
        world.clouds.azure.remove(f"{west.facts['vnet_id']}/virtualNetworkPeerings/to-aks-east")
        assert send(world, east, addresses(west)[0], "udp", 8472).where.startswith("peering")


async def test_networks_without_anything_between_them(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        tokyo, east = eks(world, "eks-tokyo"), aks(world, "aks-east")
        assert send(world, tokyo, addresses(east)[0], "udp", 8472).where.startswith("internet")
        assert send(world, east, addresses(tokyo)[0], "udp", 8472).where.startswith("route")
