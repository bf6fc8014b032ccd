"""Laws of reachability: against naive evaluators that look at one packet at a time, and of the pruning of classes."""

from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mesh.addresses import meets, overlap, ranges
from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.model.site import NodePlace, Site
from mesh.model.unread import Unread
from mesh.model.vnet import AzureNetwork, AzureRoute, AzureRouteTable, Vnet, VnetPeering
from mesh.model.vpc import Nacl, NaclEntry, TgwRoute, TgwRouteTable, VpcRoute, VpcRouteTable, VpcSubnet
from mesh.reach.between.vnet_routes import vnet_steps
from mesh.reach.between.vpc_routes import tgw_steps, vpc_steps
from mesh.reach.hops import Passage, worst
from mesh.reach.nacl import LINUX_PORTS, denied, entries_for, replies
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow
from tests.test_mesh.sites import FLOWS, aks, default_nacl, eks, local, with_aws, with_azure

# A small world, so that prefixes and addresses often meet.
ADDRESSES = st.builds(lambda a, b: f"10.{a}.0.{b}", st.integers(0, 3), st.integers(0, 7))
PREFIXES = st.builds(
    lambda address, length: str(ip_network(f"{address}/{length}", strict=False)),
    ADDRESSES,
    st.sampled_from((0, 8, 14, 15, 16, 24, 29, 30, 32)),
)
PORTS = st.sampled_from((0, 443, 2379, 8472, 32767, 32768, 40000, 60999, 61000, 65535))
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)


def within(address: str, prefix: str) -> bool:
    return ip_address(address) in ip_network(prefix)


@st.composite
def entries(draw: st.DrawFn) -> tuple[NaclEntry, ...]:
    numbers = draw(st.lists(st.integers(1, 300), unique=True, max_size=7))
    made = []
    for number in numbers:
        low, high = sorted((draw(PORTS), draw(PORTS)))
        kind, code = draw(st.sampled_from(((-1, -1), (0, -1), (8, 0), (8, -1), (3, 4))))
        protocol = draw(st.sampled_from(("-1", "6", "17", "1")))
        direction, allow = draw(st.sampled_from(("in", "out"))), draw(st.booleans())
        made.append(NaclEntry(number, direction, allow, protocol, draw(PREFIXES), low, high, kind, code))
    return tuple(made)


NUMBER = {"tcp": "6", "udp": "17", "icmp": "1"}


def naive_nacl(nacl: Nacl, direction: str, protocol: str, port: int, address: str) -> bool:
    for entry in sorted(nacl.entries, key=lambda item: item.number):
        if entry.direction != direction or not within(address, entry.cidr):
            continue
        if entry.protocol == "-1":
            return entry.allow
        if entry.protocol != NUMBER[protocol]:
            continue
        if protocol == "icmp":
            if entry.icmp_type == -1 or (entry.icmp_type == port and entry.icmp_code in (-1, 0)):
                return entry.allow
        elif entry.from_port <= port <= entry.to_port:
            return entry.allow
    return False


@SETTINGS
@given(entries(), st.sampled_from(FLOWS), st.sampled_from(("in", "out")), st.lists(ADDRESSES, min_size=1, max_size=6))
def test_a_nacl_says_of_each_address_what_a_packet_meets(
    made: tuple[NaclEntry, ...], flow: Flow, direction: str, far: list[str]
) -> None:
    nacl = Nacl("acl", (), made)
    shut, _, _ = denied(entries_for(nacl, direction, flow.protocol, flow.port), ranges(tuple(far)))
    for address in far:
        expected = naive_nacl(nacl, direction, flow.protocol, flow.port, address)
        assert expected is not bool(overlap(shut, ranges((address,))))


@SETTINGS
@given(entries(), st.lists(ADDRESSES, min_size=1, max_size=3), st.lists(PORTS, min_size=1, max_size=4))
def test_the_missing_part_of_the_ephemeral_ports_is_exactly_what_no_reply_comes_back_to(
    made: tuple[NaclEntry, ...], far: list[str], ports: list[int]
) -> None:
    nacl = Nacl("acl", (), made)
    judged = replies(nacl, "in", Flow("tcp", 2379), ranges(tuple(far)))
    for port in ports:
        if not LINUX_PORTS[0] <= port <= LINUX_PORTS[1]:
            continue
        lost = any(not naive_nacl(nacl, "in", "tcp", port, address) for address in far)
        assert lost is any(low <= port <= high for low, high in judged.missing)


@SETTINGS
@given(st.lists(st.tuples(PREFIXES, st.integers(0, 2)), max_size=10), st.lists(ADDRESSES, min_size=1, max_size=6))
def test_a_vpc_route_is_the_longest_prefix_and_the_best_of_equal_ones(
    made: list[tuple[str, int]], far: list[str]
) -> None:
    own = "10.3.0.0/16"
    origins = ("EnableVgwRoutePropagation", "CreateRoute", "CreateRoute")
    routes = tuple(
        VpcRoute((prefix,), "vgw", f"vgw-{place}", origins[rank], prefix_list="pl" if rank == 1 else "")
        for place, (prefix, rank) in enumerate(made)
    )
    table = VpcRouteTable("rtb", "vpc", main=True, routes=(local(own), *routes))
    found = vpc_steps(table).over(ranges(tuple(far)))
    for address in far:
        candidates = [
            ((ip_network(prefix).prefixlen, rank, -place), routes[place])
            for place, (prefix, rank) in enumerate(made)
            if within(address, prefix) and not (rank == 0 and within(address, own))
        ]
        candidates += [((16, 9, 0), table.routes[0])] if within(address, own) else []
        best = max(candidates, key=lambda item: item[0], default=None)
        chosen = [route for route, addresses in found if meets(addresses, ranges((address,)))]
        if best is not None and best[1].kind == "local":
            # A static route of exactly the VPC's own CIDR cannot be: local is listed first and stays.
            assert [route.kind for route in chosen if route] in (["local"], ["vgw"])
        else:
            assert chosen == [best[1] if best else None]


@SETTINGS
@given(st.lists(st.tuples(PREFIXES, st.booleans()), max_size=10), st.lists(ADDRESSES, min_size=1, max_size=6))
def test_a_tgw_route_is_the_longest_prefix_static_first(made: list[tuple[str, bool]], far: list[str]) -> None:
    routes = tuple(
        TgwRoute((prefix,), (f"a-{place}",), "static" if is_static else "propagated", source="vpc")
        for place, (prefix, is_static) in enumerate(made)
    )
    found = tgw_steps(TgwRouteTable("t", "tgw", routes)).over(ranges(tuple(far)))
    for address in far:
        candidates = [
            ((ip_network(prefix).prefixlen, is_static, -place), routes[place])
            for place, (prefix, is_static) in enumerate(made)
            if within(address, prefix)
        ]
        best = max(candidates, key=lambda item: item[0], default=None)
        chosen = [route for route, addresses in found if meets(addresses, ranges((address,)))]
        assert chosen == [best[1] if best else None]


@SETTINGS
@given(
    st.lists(st.tuples(PREFIXES, st.booleans()), max_size=6),
    st.lists(PREFIXES, max_size=6),
    st.booleans(),
    st.lists(ADDRESSES, min_size=1, max_size=6),
)
def test_an_azure_next_hop_is_user_before_gateway_before_system(
    users: list[tuple[str, bool]], learned: list[str], disabled: bool, far: list[str]
) -> None:
    own, peer = "10.0.0.0/16", "10.1.0.0/16"
    vnet = Vnet("v", (own,), (), (VnetPeering("p", "w", "Connected", (peer,)),))
    routes = tuple(
        AzureRoute(f"u{n}", prefix, "VirtualAppliance", f"{n}", over) for n, (prefix, over) in enumerate(users)
    )
    table = AzureRouteTable("t", routes, disable_bgp=disabled)
    found = vnet_steps(AzureNetwork(), vnet, table, learned).over(ranges(tuple(far)))
    for address in far:
        system = [own, peer, "10.0.0.0/8", "0.0.0.0/0"]
        candidates = [((ip_network(p).prefixlen, 1, 0), p) for p in system if within(address, p)]
        candidates += [
            ((ip_network(p).prefixlen, 3, -n), f"u{n}") for n, (p, _) in enumerate(users) if within(address, p)
        ]
        beaten = within(address, own) or within(address, peer) or any(o and within(address, p) for p, o in users)
        if not disabled and not beaten:
            candidates += [((ip_network(p).prefixlen, 2, 0), "gateway") for p in learned if within(address, p)]
        best = max(candidates, key=lambda item: item[0])[1]
        [chosen] = [hop for hop, addresses in found if meets(addresses, ranges((address,)))]
        assert chosen is not None
        assert best == (chosen.prefix if chosen.source == "system" else chosen.source)


SOURCES = st.lists(st.sampled_from(("10.224.0.0/12", "10.224.0.4/32", "10.224.0.5/32", "9.0.0.0/8")), max_size=2)


@st.composite
def aws_site(draw: st.DrawFn) -> Site:
    """Nodes in two subnets with groups, NACLs and route tables of any kind."""
    site = eks()
    nodes = tuple(NodePlace(f"n{n}", (f"192.168.{n % 2}.{n + 10}",), f"subnet-{n % 2}") for n in range(4))
    groups = []
    for number in range(2):
        rules = tuple(
            FirewallRule(f"r{n}", "in", True, draw(st.sampled_from(("udp", "tcp", "-1"))), sources=tuple(draw(SOURCES)))
            for n in range(2)
        )
        peers = draw(st.sampled_from(((), ("sg-0",), ("pl-1",))))
        rules += (FirewallRule("p", "in", True, "icmp", 8, -1, peers=peers),) if peers else ()
        out = FirewallRule(
            "o", "out", True, "-1", -1, -1, destinations=(draw(st.sampled_from(("0.0.0.0/0", "10.224.0.4/32"))),)
        )
        members = tuple(node.name for node in nodes if draw(st.booleans()) or number == 0)
        groups.append(FirewallGroup(f"sg-{number}", "g", "sg", members, (*rules, out)))
    nacls = draw(st.sampled_from(("default", "other", "unread")))
    deny = NaclEntry(5, draw(st.sampled_from(("in", "out"))), False, "6", "10.224.0.5/32")
    acl = (default_nacl("subnet-0"), replace(default_nacl("subnet-1", extra=(deny,)), id="acl-2"))
    lists = {
        "default": (default_nacl("subnet-0", "subnet-1"),),
        "other": acl,
        "unread": Unread("ec2:DescribeNetworkAcls"),
    }
    subnets = tuple(VpcSubnet(f"subnet-{n}", "vpc-1", (), "z") for n in range(2))
    assert site.aws is not None and isinstance(site.aws.route_tables, tuple)
    tables = site.aws.route_tables
    if draw(st.booleans()):
        tables += (VpcRouteTable("rtb-2", "vpc-1", ("subnet-1",), routes=(local("192.168.0.0/16"),)),)
    site = with_aws(site, nacls=lists[nacls], subnets=subnets, route_tables=tables)
    return replace(site, nodes=nodes, firewall=Firewall(tuple(groups), unread=draw(st.sampled_from(((), ("n1",))))))


@st.composite
def azure_site(draw: st.DrawFn) -> Site:
    site = aks()
    assert site.firewall is not None
    group = site.firewall.groups[0]
    rules = tuple(
        FirewallRule(
            f"r{n}",
            draw(st.sampled_from(("in", "out"))),
            draw(st.booleans()),
            draw(st.sampled_from(("*", "Udp", "Tcp"))),
            sources=tuple(draw(st.lists(st.sampled_from(("192.168.0.0/24", "10.224.0.4/32")), max_size=1))),
            destinations=tuple(draw(st.lists(st.sampled_from(("192.168.1.11/32", "10.224.0.5/32")), max_size=1))),
            peers=draw(st.sampled_from(((), (), ("Internet",), ("VirtualNetwork",)))),
            priority=200 + n,
            name=f"r{n}",
        )
        for n in range(draw(st.integers(0, 3)))
    )
    if draw(st.booleans()):
        site = with_azure(site, local_gateways=Unread("Microsoft.Network/localNetworkGateways/read"))
    members = draw(st.sampled_from((group.nodes, group.nodes[:1])))
    lone = tuple(set(group.nodes) - set(members))
    return replace(site, firewall=Firewall((replace(group, rules=rules, nodes=members),), unguarded=lone))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(aws_site(), azure_site(), st.sampled_from(FLOWS), st.booleans())
def test_the_verdict_of_two_sites_is_the_worst_of_all_pairs_of_classes(
    one: Site, other: Site, flow: Flow, back: bool
) -> None:
    source, target = (other, one) if back else (one, other)
    reach = Reach((source, target))
    made = reach.verdict(source.name, target.name, flow)
    assert made is not None
    every = reach.ways(source.name, target.name, flow)
    assert made.passage is worst(way.passage for way in every)
    shut = {
        name
        for way in every
        for hop in (*way.hops, *way.reply)
        if hop.passage is Passage.CLOSED and hop.kind.startswith(("SG", "NACL", "NSG"))
        for name in [way.source if hop.site == way.from_site else way.target]
    }
    assert set(made.closed) == shut


@settings(max_examples=40, deadline=None, derandomize=True)
@given(aws_site(), azure_site(), st.sampled_from(FLOWS))
def test_each_node_by_itself_fares_as_its_class_at_worst(one: Site, other: Site, flow: Flow) -> None:
    reach = Reach((one, other))
    made = reach.verdict(one.name, other.name, flow)
    assert one.firewall is not None
    singles = []
    for node in one.nodes:
        for far in other.nodes:
            lost = tuple(name for name in one.firewall.unread if name == node.name)
            alone = replace(one, nodes=(node,), firewall=replace(one.firewall, unread=lost))
            pair = (alone, replace(other, nodes=(far,)))
            single = Reach(pair).verdict(one.name, other.name, flow)
            assert single is not None
            singles.append(single.passage)
    assert made is not None
    assert made.passage is worst(singles)
