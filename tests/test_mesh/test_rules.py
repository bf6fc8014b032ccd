"""Security groups and NSGs against the golden vectors of the cloud network reference, and in three values."""

import random
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from msgspec.structs import replace

from mesh.addresses import NOTHING, covers, ranges, union
from mesh.model.kubernetes import Node
from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.reach.openings import far_ranges, free_priority, open_fix
from mesh.reach.path import Guard, far_of, judge_side
from mesh.reach.rules import (
    ECHO,
    IN,
    OUT,
    FarEnd,
    Flow,
    judge_group,
    judge_interface,
    judge_security_groups,
    protocol_of,
)

VXLAN = Flow("udp", 8472)
AKS_NODE = FarEnd(ranges(("10.224.0.4",)))
EKS_NODE = FarEnd(ranges(("192.168.1.10",)))


def rule(protocol: str, low: int, high: int, *sources: str, **fields: Any) -> FirewallRule:
    return replace(FirewallRule("sgr-1", IN, True, protocol, low, high, sources), **fields)


def group(*rules: FirewallRule) -> FirewallGroup:
    return FirewallGroup("sg-1", "worker", "sg", ("n",), rules)


def nsg(*rules: FirewallRule, tag: tuple[str, ...] | None = ("10.224.0.0/12",)) -> FirewallGroup:
    return FirewallGroup("nsg", "nsg", "nsg-subnet", ("n",), rules, tag_prefixes={"VirtualNetwork": tag})


def custom(
    priority: int, allow: bool, protocol: str = "*", ports: tuple[int, int] = (0, 65535), **more: Any
) -> FirewallRule:
    return rule(protocol, *ports, allow=allow, priority=priority, name=f"rule-{priority}", **more)


GROUPS = {
    "S1": (group(rule("udp", 8472, 8472, "10.224.0.0/12")), "allow", ""),
    "S2": (group(rule("tcp", 8472, 8472, "10.224.0.0/12")), "deny", "protocol"),
    "S3": (group(rule("*", 0, 65535, peers=("sg-1",))), "deny", "source"),
    "S4": (group(rule("-1", -1, -1, "10.0.0.0/8")), "allow", ""),
    "S5": (group(rule("17", 8000, 9000, "0.0.0.0/0")), "allow", ""),
    "S6": (group(rule("udp", 8472, 8472, "10.224.0.0/16")), "allow", ""),
    "S6 unreadable": (group(rule("udp", 8472, 8472, peers=("pl-1",))), "unsure", ""),
    "S7": (group(rule("udp", 8472, 8472, "10.225.0.0/16")), "deny", "source"),
    "empty prefix list": (group(rule("udp", 8472, 8472)), "deny", "source"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_security_group(name: str) -> None:
    made, verdict, miss = GROUPS[name]
    judged = judge_security_groups([made], IN, VXLAN, AKS_NODE)
    parts = {"allow": judged.allowed, "deny": judged.denied, "unsure": judged.unsure}
    assert {key for key, part in parts.items() if part} == {verdict}
    assert parts[verdict] == AKS_NODE.addresses
    assert (judged.nearest.fails if judged.nearest else ()) == ((miss,) if miss else ())


@pytest.mark.parametrize(
    ("kind", "code", "allowed"),
    [(8, -1, True), (8, 0, True), (-1, -1, True), (3, 4, False), (0, 0, False), (8, 1, False)],
)
def test_echo_through_a_security_group(kind: int, code: int, allowed: bool) -> None:
    judged = judge_security_groups([group(rule("icmp", kind, code, "10.0.0.0/8"))], IN, ECHO, AKS_NODE)
    assert bool(judged.allowed) is allowed


FROM_EKS = {
    "Z1": (nsg(tag=("10.224.0.0/12", "192.168.0.0/16")), IN, "allow", "AllowVnetInBound"),
    "Z2": (nsg(), IN, "deny", "DenyAllInBound"),
    "Z3": (nsg(custom(4096, False), tag=("192.168.0.0/16",)), IN, "deny", "rule-4096"),
    "Z4": (nsg(custom(200, True, "UDP"), custom(300, False)), IN, "allow", "rule-200"),
    "Z5": (nsg(custom(200, True, "Tcp"), custom(300, False)), IN, "deny", "rule-300"),
    "Z6": (nsg(custom(200, False, peers=("Internet",), direction=OUT)), OUT, "deny", "rule-200"),
    "Z6 in tag": (
        nsg(custom(200, False, peers=("Internet",), direction=OUT), tag=("192.168.0.0/16",)), OUT, "allow",
        "AllowVnetOutBound",
    ),
    "Z7": (nsg(custom(200, True, "*", (4240, 4240)), custom(200, True, "*", (8000, 9000))), IN, "allow", "rule-200"),
    "tag unknown": (nsg(tag=None), IN, "unsure", ""),
    "tag unknown, denied before": (nsg(custom(100, False), tag=None), IN, "deny", "rule-100"),
    "tag unknown, allowed either way": (
        nsg(custom(65000, True, peers=("VirtualNetwork",)), custom(65100, True), tag=None), IN, "allow", "",
    ),
    "ports of a source": (nsg(custom(200, True, "Udp", source_ports=(500, 500))), IN, "unsure", ""),
    "application group": (nsg(custom(200, True, peers=("/asg/1",))), IN, "unsure", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FROM_EKS)
def test_network_security_group(name: str) -> None:
    made, direction, verdict, decided = FROM_EKS[name]
    judged = judge_group(made, direction, VXLAN, EKS_NODE)
    parts = {"allow": judged.allowed, "deny": judged.denied, "unsure": judged.unsure}
    assert {key for key, part in parts.items() if part} == {verdict}
    if decided:
        assert decided == next(r.name for r in judged.by if r.allow is (verdict == "allow"))


def test_subnet_and_interface_must_both_allow() -> None:
    open_, shut = nsg(custom(100, True)), nsg(custom(100, False))
    assert judge_interface([open_, open_], IN, VXLAN, EKS_NODE).allowed == EKS_NODE.addresses
    assert judge_interface([open_, shut], IN, VXLAN, EKS_NODE).denied == EKS_NODE.addresses
    assert judge_interface([], IN, VXLAN, EKS_NODE).allowed == EKS_NODE.addresses


def test_security_groups_add_up() -> None:
    half, rest = group(rule("udp", 8472, 8472, "10.224.0.0/24")), group(rule("udp", 8472, 8472, "10.224.1.0/24"))
    far = FarEnd(ranges(("10.224.0.0/23", "10.224.4.0/24")))
    judged = judge_security_groups([half, rest], IN, VXLAN, far)
    assert judged.allowed == ranges(("10.224.0.0/23",)) and judged.denied == ranges(("10.224.4.0/24",))
    unread = judge_security_groups([half, rest], IN, VXLAN, far, unread=True)
    assert unread.denied == NOTHING and unread.unsure == ranges(("10.224.4.0/24",))


def test_a_group_names_its_members_in_the_same_network_only() -> None:
    made = [group(rule("*", 0, 65535, peers=("sg-far",)))]
    here = FarEnd(AKS_NODE.addresses, frozenset({"sg-far"}), same_network=True)
    away = FarEnd(AKS_NODE.addresses, frozenset({"sg-far"}), same_network=False)
    unknown = FarEnd(AKS_NODE.addresses, None, same_network=True)
    assert judge_security_groups(made, IN, VXLAN, here).allowed
    assert judge_security_groups(made, IN, VXLAN, away).unsure
    assert judge_security_groups(made, IN, VXLAN, unknown).unsure
    assert judge_security_groups(made, IN, VXLAN, AKS_NODE).denied


@pytest.mark.parametrize(
    ("word", "said"), [("-1", "*"), ("17", "udp"), ("UDP", "udp"), ("6", "tcp"), ("1", "icmp"), ("50", "esp")]
)
def test_protocols_by_number_and_case(word: str, said: str) -> None:
    assert protocol_of(rule(word, 0, 65535)) == said


def by_hand(rules: list[FirewallRule], protocol: str, port: int, address: str) -> bool:
    """First match by priority, one address at a time: the plain reading of the documentation."""
    for one in sorted(rules, key=lambda r: r.priority):
        fits = one.protocol in ("*", protocol) and one.from_port <= port <= one.to_port
        networks = [ip_network(cidr, strict=False) for cidr in one.sources]
        if fits and (not networks or any(ip_address(address) in network for network in networks)):
            return one.allow
    return False


def test_sets_of_addresses_agree_with_one_address_at_a_time() -> None:
    dice = random.Random(3)
    for _ in range(300):
        rules = []
        for priority in dice.sample(range(100, 4000), dice.randint(1, 6)):
            sources = tuple(f"10.{dice.randint(0, 3)}.0.0/{dice.choice((14, 16))}" for _ in range(dice.randint(0, 2)))
            low = dice.choice((0, 8000, 8472))
            rules.append(
                custom(priority, dice.random() < 0.5, dice.choice(("*", "udp", "tcp")), (low, 65535), sources=sources)
            )
        closing = FirewallRule("end", IN, False, "*", priority=65500)
        addresses = [f"10.{n}.0.7" for n in range(5)]
        judged = judge_group(nsg(*rules, closing), IN, VXLAN, FarEnd(ranges(tuple(addresses))))
        for address in addresses:
            wanted = by_hand([*rules, closing], "udp", 8472, address)
            assert covers(judged.allowed, ranges((address,))) is wanted
            assert covers(judged.denied, ranges((address,))) is not wanted


def guard(
    *groups: FirewallGroup, unguarded: tuple[str, ...] = (), nodes: tuple[Node, ...] = (Node("n", ("10.0.0.1",)),)
) -> Guard:
    return Guard("c", Firewall(groups, unguarded), nodes, "net")


def test_nodes_without_a_group() -> None:
    far = far_of((Node("f", ("10.224.0.4",)),), Firewall())
    assert judge_side(guard(unguarded=("n",)), IN, VXLAN, far).unsure == ()
    assert judge_side(guard(), IN, VXLAN, far).unsure


def test_a_rule_for_one_destination_counts_for_that_node_only() -> None:
    nodes = (Node("n", ("10.0.0.1",)), Node("m", ("10.0.0.2",)))
    made = nsg(custom(100, True, destinations=("10.0.0.1/32",)), custom(200, False), tag=())
    both = FirewallGroup(made.id, made.name, made.kind, ("n", "m"), made.rules, "", made.tag_prefixes)
    far = far_of((Node("f", ("192.168.1.10",)),), Firewall())
    side = judge_side(guard(both, nodes=nodes), IN, VXLAN, far)
    assert [closed.nodes for closed in side.closed] == [("m",)]


def test_two_groups_of_one_name_are_two() -> None:
    near = FirewallGroup("nsg", "nsg", "nsg-subnet", ("n",), (custom(100, True),), resource_id="/a")
    other = FirewallGroup("nsg", "nsg", "nsg-nic", ("n",), (custom(100, False),), resource_id="/b")
    far = far_of((Node("f", ("192.168.1.10",)),), Firewall())
    assert [c.group.resource_id for c in judge_side(guard(near, other), IN, VXLAN, far).closed] == ["/b"]


def test_subnets_behind_the_nodes_are_told_apart() -> None:
    made = group(rule("udp", 8472, 8472, "10.224.0.4/32"))
    far = far_of((Node("f", ("10.224.0.4",)),), Firewall(), ("10.224.0.0/29",))
    side = judge_side(guard(made), IN, VXLAN, far)
    assert side.closed == () and covers(
        union(ranges(side.later[0].far), ranges(("10.224.0.4",))), ranges(("10.224.0.0/29",))
    )


def test_the_remedy_names_the_far_subnets_and_opens_what_was_closed() -> None:
    closed = judge_side(guard(group()), IN, VXLAN, far_of((Node("f", ("10.224.0.4",)),), Firewall())).closed
    assert far_ranges(closed[0], ("10.224.0.0/20", "10.9.0.0/16")) == ("10.224.0.0/20",)
    fix = open_fix(closed, {}, ("10.224.0.0/20",), (), "aks-east", "vxlan")
    assert fix.in_plan and fix.opens[0].rule.sources == ("10.224.0.0/20",)
    assert fix.commands[0].argv[:6] == (
        "aws",
        "ec2",
        "authorize-security-group-ingress",
        "--group-id",
        "sg-1",
        "--ip-permissions",
    )
    assert (
        'IpProtocol=udp,FromPort=8472,ToPort=8472,IpRanges=[{CidrIp=10.224.0.0/20,Description="cilium vxlan aks-east"}]'
        in (fix.commands[0].argv)
    )
    opened = group(*group().rules, fix.opens[0].rule)
    assert judge_security_groups([opened], IN, VXLAN, AKS_NODE).allowed == AKS_NODE.addresses


def test_an_azure_remedy_goes_before_the_rule_that_denies() -> None:
    deny = custom(300, False)
    made = nsg(deny, custom(290, True, "Tcp"), tag=("192.168.0.0/16",))
    closed = judge_side(guard(made), IN, VXLAN, far_of((Node("f", ("192.168.1.10",)),), Firewall())).closed
    assert closed[0].decided == deny and free_priority(made, IN, deny) == 280
    fix = open_fix(closed, {}, (), ("10.224.0.0/20",), "eks", "vxlan")
    new = fix.opens[0].rule
    assert new.priority == 280 and new.destinations == ("10.224.0.0/20",)
    assert judge_group(nsg(*made.rules, new), IN, VXLAN, EKS_NODE, ranges(("10.224.0.4",))).allowed
    full = nsg(custom(100, False))
    stuck = judge_side(guard(full), IN, VXLAN, far_of((Node("f", ("192.168.1.10",)),), Firewall())).closed
    assert not open_fix(stuck, {}, (), (), "eks", "vxlan").in_plan


@pytest.mark.parametrize(
    ("near", "expected"),
    [("AzureCloud.eastus", "allow"), ("Storage", "deny"), ("Internet", "deny"), ("/asg/web", "unsure")],
)
def test_a_tag_at_the_nodes_own_end_narrows_a_rule_like_a_prefix(near: str, expected: str) -> None:
    own = ranges(("10.224.0.4",))
    opening = custom(200, True, sources=("192.168.0.0/16",), near=(near,))
    closing = custom(300, False)
    tags = {"VirtualNetwork": ("10.224.0.0/12",), "AzureCloud.eastus": ("10.224.0.0/16",), "Storage": ("20.0.0.0/8",)}
    one = replace(nsg(opening, closing), tag_prefixes=tags)
    judged = judge_group(one, IN, VXLAN, EKS_NODE, own)
    found = {"allow": judged.allowed, "deny": judged.denied, "unsure": judged.unsure}
    assert found[expected] == EKS_NODE.addresses
