"""The golden vectors of the cloud network reference, each under the name it has there (§4.4)."""

from typing import Any

import pytest
from msgspec.structs import replace

from mesh.addresses import ranges
from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.model.site import Site
from mesh.model.vpc import Nacl, NaclEntry
from mesh.reach.between.vpc_routes import vpc_steps
from mesh.reach.hops import Hop, Passage, Way
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow
from tests.test_mesh.sites import (
    API,
    ECHO,
    VXLAN,
    aks,
    default_nacl,
    eks,
    entry,
    local,
    propagated,
    static,
    with_aws,
    with_azure,
    with_routes,
)

OPEN, CLOSED, UNKNOWN = Passage.OPEN, Passage.CLOSED, Passage.UNKNOWN


def way(source: Site, target: Site, flow: Flow = VXLAN) -> Way:
    verdict = Reach((source, target)).verdict(source.name, target.name, flow)
    assert verdict is not None
    return verdict.way


def hop(made: Way, kind: str) -> Hop:
    """The hop of that kind; the verdict must not be better than it."""
    found = next(item for item in (*made.hops, *made.reply) if item.kind == kind)
    if found.passage is CLOSED:
        assert made.passage is CLOSED
    assert found.passage is OPEN or made.passage is not OPEN
    return found


def rule(protocol: str, low: int = 0, high: int = 65535, *sources: str, **fields: Any) -> FirewallRule:
    return replace(FirewallRule("sgr-1", "in", True, protocol, low, high, sources), **fields)


def with_group(made: FirewallRule) -> Site:
    site = eks()
    group = FirewallGroup("sg-1", "worker", "sg", tuple(node.name for node in site.nodes), (made,))
    return replace(site, firewall=Firewall((group,)))


SECURITY_GROUPS: dict[str, tuple[FirewallRule, Flow, Passage, tuple[str, ...]]] = {
    "S1": (rule("udp", 8472, 8472, "10.224.0.0/12"), VXLAN, OPEN, ()),
    "S2": (rule("tcp", 8472, 8472, "10.224.0.0/12"), VXLAN, CLOSED, ("protocol",)),
    "S3": (rule("-1", peers=("sg-1",)), VXLAN, CLOSED, ("source",)),
    "S4": (rule("-1", -1, -1, "10.0.0.0/8"), VXLAN, OPEN, ()),
    "S5": (rule("17", 8000, 9000, "0.0.0.0/0"), VXLAN, OPEN, ()),
    "S6": (rule("udp", 8472, 8472, "10.224.0.0/16"), VXLAN, OPEN, ()),
    "S6, entries not read": (rule("udp", 8472, 8472, peers=("pl-1",)), VXLAN, UNKNOWN, ()),
    "S7": (rule("udp", 8472, 8472, "10.225.0.0/16"), VXLAN, CLOSED, ("source",)),
    "S8 8/-1": (rule("icmp", 8, -1, "10.0.0.0/8"), ECHO, OPEN, ()),
    "S8 8/0": (rule("icmp", 8, 0, "10.0.0.0/8"), ECHO, OPEN, ()),
    "S8 3/4": (rule("icmp", 3, 4, "10.0.0.0/8"), ECHO, CLOSED, ("port",)),
}


@pytest.mark.parametrize("name", SECURITY_GROUPS)
def test_security_group(name: str) -> None:
    made, flow, passage, fails = SECURITY_GROUPS[name]
    found = hop(way(aks(), with_group(made), flow), "SG in")
    assert (found.passage, found.fails) == (passage, fails)
    if passage is UNKNOWN:
        assert found.missing == "ec2:GetManagedPrefixListEntries"


def with_entries(*entries: NaclEntry, custom: bool = False) -> Site:
    site = eks()
    subnet = site.nodes[0].subnet
    nacl = Nacl("acl-1", (subnet,), entries) if custom else default_nacl(subnet, extra=entries)
    return with_aws(site, nacls=(nacl,))


DENY = entry(90, "in", False, "10.0.0.0/8", "17")

NACLS: dict[str, tuple[Site, Passage, str]] = {
    "N1": (with_entries(), OPEN, "rule 100 allow"),
    "N2 at 90": (with_entries(DENY), CLOSED, "rule 90 deny"),
    "N2 at 110": (with_entries(replace(DENY, number=110)), OPEN, "rule 100 allow"),
    "N3": (with_entries(custom=True), CLOSED, "rule * deny"),
}


@pytest.mark.parametrize("name", NACLS)
def test_nacl(name: str) -> None:
    site, passage, words = NACLS[name]
    found = hop(way(aks(), site), "NACL in")
    assert (found.passage, found.rule) == (passage, words)


def test_n4_the_reply_to_a_port_the_nacl_does_not_let_in() -> None:
    site = with_entries(
        entry(100, "out", True, protocol="6"),
        entry(100, "in", True, protocol="6", from_port=443, to_port=443),
        custom=True,
    )
    made = way(site, aks(), API)
    assert made.forward is OPEN
    assert made.passage is CLOSED
    assert [item.kind for item in made.blocks] == ["NACL in, reply"]
    assert made.blocks[0].rule == "rule * deny: replies to ports 32768-60999"


def test_n5_the_echo_reply_is_of_another_type() -> None:
    request: dict[str, Any] = {"protocol": "1", "icmp_type": 8}
    site = with_entries(entry(100, "out", True, **request), entry(100, "in", True, **request), custom=True)
    made = way(site, aks(), ECHO)
    assert made.forward is OPEN
    assert [(item.kind, item.rule) for item in made.blocks] == [
        ("NACL in, reply", "rule * deny: the echo reply (type 0)")
    ]


NAT = static("0.0.0.0/0", "nat", "nat-1")
OWN = local("192.168.0.0/16")
ROUTES = {
    "R1": ((OWN, NAT, propagated("10.224.0.0/12")), OPEN, "vgw-07d2"),
    "R2": (
        (OWN, propagated("10.224.0.0/12"), static("10.224.0.0/12", "nat", "nat-1")),
        CLOSED,
        "static route shadows the VPN",
    ),
    "R3": ((OWN, NAT), CLOSED, "no route to the VPN"),
    "R4": ((OWN, propagated("10.224.0.0/12"), static("10.0.0.0/8", "nat", "nat-1")), OPEN, "vgw-07d2"),
}


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("backwards", [False, True])
def test_route(name: str, backwards: bool) -> None:
    routes, passage, words = ROUTES[name]
    found = hop(way(with_routes(eks(), *(routes[::-1] if backwards else routes)), aks()), "route")
    assert found.passage is passage
    assert words in found.rule


def test_r5_a_propagated_route_inside_the_vpc_loses_to_local() -> None:
    site = with_routes(eks(), OWN, propagated("192.168.1.0/24"))
    assert site.aws is not None and isinstance(site.aws.route_tables, tuple)
    [(chosen, _)] = vpc_steps(site.aws.route_tables[0]).over(ranges(("192.168.1.10",)))
    assert chosen is not None
    assert chosen.kind == "local"


def custom(
    priority: int, allow: bool, protocol: str = "*", low: int = 0, high: int = 65535, **more: Any
) -> FirewallRule:
    name = f"rule-{priority}"
    made = FirewallRule(name, "in", allow, protocol, low, high, priority=priority, name=name)
    return replace(made, **more)


def azure(*rules: FirewallRule, known: bool = True) -> Site:
    """The AKS site with these rules; ``known`` = its gateway knows the VPC's prefix, so that the tag holds it."""
    site = aks()
    assert site.azure is not None
    assert isinstance(site.azure.local_gateways, tuple)
    if not known:
        empty = tuple(replace(item, prefixes=()) for item in site.azure.local_gateways)
        site = with_azure(site, local_gateways=empty)
    own = aks().firewall
    assert own is not None
    return replace(site, firewall=Firewall((replace(own.groups[0], rules=rules),)))


NO_INTERNET = custom(200, False, peers=("Internet",), direction="out")
NSGS = {
    "Z1": (azure(), "in", OPEN, "65000 AllowVnetInBound"),
    "Z2": (azure(known=False), "in", CLOSED, "65500 DenyAllInBound"),
    "Z3": (azure(custom(4096, False)), "in", CLOSED, "4096 rule-4096"),
    "Z4": (azure(custom(200, True, "UDP"), custom(300, False)), "in", OPEN, "200 rule-200"),
    "Z5": (azure(custom(200, True, "Tcp"), custom(300, False)), "in", CLOSED, "300 rule-300"),
    "Z6, not in tag": (azure(NO_INTERNET, known=False), "out", CLOSED, "200 rule-200"),
    "Z6, in tag": (azure(NO_INTERNET), "out", OPEN, "65000 AllowVnetOutBound"),
    "Z7": (
        azure(custom(200, True, "*", 4240, 4240), custom(200, True, "*", 8000, 9000), custom(300, False)),
        "in",
        OPEN,
        "200 rule-200",
    ),
}


@pytest.mark.parametrize("name", NSGS)
def test_nsg(name: str) -> None:
    site, direction, passage, words = NSGS[name]
    made = way(eks(), site) if direction == "in" else way(site, eks())
    found = hop(made, "NSG of subnet")
    assert (found.passage, found.rule) == (passage, words)
