"""How single packets are judged: security groups, ACLs, routes, NSGs. One row per sentence of cloud-network §4.4."""

from typing import Any

import pytest

from backends.lab.clouds.azure.rules import default_rules, normal_rule
from backends.lab.network.aws_rules import (
    DEFAULT_ACL,
    RANK_PREFIX_LIST,
    RANK_PROPAGATED,
    RANK_STATIC,
    AclEntry,
    GroupRule,
    Target,
    acl_verdict,
    allowed_by,
    protocol_name,
    route_table,
)
from backends.lab.network.azure_rules import PLATFORM, Tags, compiled, routes, verdict
from backends.lab.network.flow import Flow
from backends.lab.network.prefixes import EVERYWHERE, number, prefix, prefixes

AKS_NODE, EKS_NODE = "10.224.0.4", "192.168.1.10"
VPC, VNET = prefix("192.168.0.0/16"), prefix("10.224.0.0/12")


def flow(
    protocol: str = "udp", port: int = 8472, source: str = AKS_NODE, destination: str = EKS_NODE, icmp: int = 8
) -> Flow:
    return Flow(number(source), number(destination), protocol, port, 45678, icmp, 0)


def group(protocol: str, low: int, high: int, *cidrs: str, reference: str = "") -> GroupRule:
    return GroupRule("sgr-1", protocol_name(protocol), low, high, prefixes(cidrs), reference)


# -- security groups -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        pytest.param(group("udp", 8472, 8472, "10.224.0.0/12"), True, id="exact port and range"),
        pytest.param(group("tcp", 8472, 8472, "10.224.0.0/12"), False, id="other protocol"),
        pytest.param(group("-1", -1, -1, reference="sg-workers"), False, id="own group says nothing about a VPN"),
        pytest.param(group("-1", -1, -1, "10.0.0.0/8"), True, id="all protocols"),
        pytest.param(group("17", 8000, 9000, "0.0.0.0/0"), True, id="protocol by number, port range"),
        pytest.param(group("udp", 8472, 8472, "10.225.0.0/16"), False, id="neighbouring range"),
        pytest.param(group("udp", 8473, 9000, "10.224.0.0/12"), False, id="first port above"),
        pytest.param(group("udp", 0, 8471, "10.224.0.0/12"), False, id="last port below"),
    ],
)
def test_a_security_group_rule_admits_what_it_names(rule: GroupRule, passes: bool) -> None:
    assert (allowed_by([rule], flow(), number(AKS_NODE)) is not None) is passes


@pytest.mark.parametrize(
    ("low", "high", "passes"), [(8, -1, True), (8, 0, True), (-1, -1, True), (3, 4, False), (8, 3, False)]
)
def test_icmp_rules_hold_type_and_code_in_the_port_fields(low: int, high: int, passes: bool) -> None:
    echo = flow("icmp", 0)
    assert (allowed_by([group("icmp", low, high, "10.224.0.0/12")], echo, echo.source) is not None) is passes


def test_a_group_reference_admits_interfaces_of_that_group() -> None:
    rules = [group("-1", -1, -1, reference="sg-workers")]
    inside = flow(source="192.168.2.11")
    assert allowed_by(rules, inside, inside.source, frozenset({"sg-workers", "sg-other"})) is rules[0]
    assert allowed_by(rules, inside, inside.source, frozenset({"sg-other"})) is None


def test_groups_are_a_union() -> None:
    rules = [group("tcp", 4240, 4240, "10.224.0.0/12"), group("udp", 8472, 8472, "10.224.0.0/12")]
    assert allowed_by(rules, flow(), number(AKS_NODE)) is rules[1]


# -- network ACLs ----------------------------------------------------------------------------------------------------


def entry(number_: int, allow: bool, protocol: str = "-1", cidr: str = "0.0.0.0/0", **more: int) -> AclEntry:
    return AclEntry(number_, protocol_name(protocol), allow, prefix(cidr), **more)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param([], (True, "100"), id="default"),
        pytest.param([entry(90, False, "17", "10.0.0.0/8")], (False, "90"), id="deny before"),
        pytest.param([entry(110, False, "17", "10.0.0.0/8")], (True, "100"), id="deny behind"),
        pytest.param([entry(90, False, "6", "10.0.0.0/8")], (True, "100"), id="deny of another protocol"),
    ],
)
def test_the_first_entry_of_an_acl_decides(extra: list[AclEntry], expected: tuple[bool, str]) -> None:
    entries = sorted([*DEFAULT_ACL, *extra], key=lambda one: one.number)
    assert acl_verdict(entries, flow(), number(AKS_NODE)) == expected


def test_an_acl_without_entries_denies() -> None:
    assert acl_verdict([], flow(), number(AKS_NODE)) == (False, "*")


def test_an_acl_judges_the_answer_as_a_packet_of_its_own() -> None:
    request = flow("tcp", 2379, source=EKS_NODE, destination=AKS_NODE)
    answer = request.back(request.destination)
    egress, ingress = [entry(100, True, "6", low=0, high=65535)], [entry(100, True, "6", low=443, high=443)]
    assert acl_verdict(egress, request, request.destination)[0]
    assert acl_verdict(ingress, answer, answer.source) == (False, "*")
    wide = [entry(100, True, "6", low=1024, high=65535)]
    assert acl_verdict(wide, answer, answer.source)[0]


def test_an_echo_reply_is_another_type() -> None:
    echo = flow("icmp", 0, source=EKS_NODE, destination=AKS_NODE)
    only_requests = [entry(100, True, "1", icmp_type=8)]
    assert acl_verdict(only_requests, echo, echo.destination)[0]
    answer = echo.back(echo.destination)
    assert (answer.icmp_type, acl_verdict(only_requests, answer, answer.source)) == (0, (False, "*"))


# -- VPC routes ------------------------------------------------------------------------------------------------------

LOCAL, NAT, VGW = Target("local", "local"), Target("nat", "nat-1"), Target("vgw", "vgw-1")
BASE = [(VPC, RANK_STATIC, LOCAL), (EVERYWHERE, RANK_STATIC, NAT)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param([(VNET, RANK_PROPAGATED, VGW)], VGW, id="longer than the default route"),
        pytest.param([(VNET, RANK_PROPAGATED, VGW), (VNET, RANK_STATIC, NAT)], NAT, id="static shadows propagated"),
        pytest.param([(VNET, RANK_PROPAGATED, VGW), (VNET, RANK_PREFIX_LIST, NAT)], NAT, id="list shadows propagated"),
        pytest.param([], NAT, id="no route to the VPN"),
        pytest.param([(VNET, RANK_PROPAGATED, VGW), (prefix("10.0.0.0/8"), RANK_STATIC, NAT)], VGW, id="longest wins"),
    ],
)
def test_a_route_is_chosen_by_length_and_then_by_kind(more: Any, expected: Target) -> None:
    assert route_table([*BASE, *more], (VPC,)).find(number(AKS_NODE)) is expected


def test_propagated_routes_inside_the_vpc_lose_to_local() -> None:
    rows = [*BASE, (prefix("192.168.1.0/24"), RANK_PROPAGATED, VGW)]
    assert route_table(rows, (VPC,)).find(number(EKS_NODE)) is LOCAL


def test_no_route_is_no_target() -> None:
    assert route_table([(VPC, RANK_STATIC, LOCAL)], (VPC,)).find(number(AKS_NODE)) is None


# -- network security groups -----------------------------------------------------------------------------------------

KNOWN = Tags((VNET, VPC, prefix(PLATFORM)))
UNKNOWN = Tags((VNET, prefix(PLATFORM)))


def nsg(*rows: dict[str, Any]) -> Any:
    own = [{"name": row.pop("name"), "properties": normal_rule("x", row)} for row in rows]
    return compiled({"securityRules": own, "defaultSecurityRules": default_rules()})


def custom(name: str, priority: int, access: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "*",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
        "access": access,
        "direction": "Inbound",
        "priority": priority,
        **more,
    }


def to_azure(protocol: str = "udp", port: int = 8472, source: str = EKS_NODE) -> Flow:
    return flow(protocol, port, source=source, destination=AKS_NODE)


@pytest.mark.parametrize(
    ("rows", "tags", "expected"),
    [
        pytest.param([], KNOWN, (True, "AllowVnetInBound"), id="the VPC is behind the gateway"),
        pytest.param([], UNKNOWN, (False, "DenyAllInBound"), id="the gateway does not know it"),
        pytest.param([custom("stop", 4096, "Deny")], KNOWN, (False, "stop"), id="every own rule comes first"),
        pytest.param(
            [custom("yes", 200, "Allow", protocol="UDP"), custom("no", 300, "Deny")],
            KNOWN,
            (True, "yes"),
            id="any case",
        ),
        pytest.param(
            [custom("yes", 200, "Allow", protocol="Tcp"), custom("no", 300, "Deny")],
            KNOWN,
            (False, "no"),
            id="protocol",
        ),
        pytest.param(
            [
                custom("yes", 200, "Allow", destinationPortRange=None, destinationPortRanges=["4240", "8000-9000"]),
                custom("no", 300, "Deny"),
            ],
            KNOWN,
            (True, "yes"),
            id="several port ranges",
        ),
        pytest.param(
            [custom("no", 200, "Deny", sourceAddressPrefix="", sourceAddressPrefixes=["192.168.1.0/24"])],
            KNOWN,
            (False, "no"),
            id="plural addresses, singular empty",
        ),
        pytest.param(
            [custom("no", 200, "Deny", destinationPortRange="8471")], KNOWN, (True, "AllowVnetInBound"), id="other port"
        ),
    ],
)
def test_an_nsg_judges_by_priority(rows: list[dict[str, Any]], tags: Tags, expected: tuple[bool, str]) -> None:
    assert verdict(nsg(*rows), to_azure(), tags, inbound=True) == expected


@pytest.mark.parametrize(
    ("tags", "expected"), [(UNKNOWN, (False, "no-internet")), (KNOWN, (True, "AllowVnetOutBound"))]
)
def test_what_the_gateway_does_not_know_is_the_internet(tags: Tags, expected: tuple[bool, str]) -> None:
    rule = custom("no-internet", 200, "Deny", direction="Outbound", destinationAddressPrefix="Internet")
    out = flow(source=AKS_NODE, destination=EKS_NODE)
    assert verdict(nsg(rule), out, tags, inbound=False) == expected


def test_probes_of_the_platform_come_in_but_nobody_else_by_that_rule() -> None:
    assert verdict(nsg(), to_azure("tcp", 31000, PLATFORM), UNKNOWN, inbound=True)[0]
    assert verdict(nsg(), to_azure("tcp", 31000, "203.0.113.9"), UNKNOWN, inbound=True) == (False, "DenyAllInBound")


def test_a_rule_for_one_port_says_nothing_about_icmp() -> None:
    rules = nsg(custom("no", 200, "Deny", destinationPortRange="80"))
    assert verdict(rules, to_azure("icmp", 0), KNOWN, inbound=True) == (True, "AllowVnetInBound")


# -- Azure routes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "user", "expected"),
    [
        pytest.param([VPC], [], "VirtualNetworkGateway", id="known to the gateway"),
        pytest.param([], [], "None", id="private and unknown is dropped"),
        pytest.param([VPC], [(VPC, "None", "u")], "None", id="user route wins at equal length"),
        pytest.param(
            [VPC], [(prefix("192.168.0.0/17"), "VirtualAppliance", "u")], "VirtualAppliance", id="longer wins"
        ),
        pytest.param([VPC], [(EVERYWHERE, "VirtualAppliance", "u")], "VirtualNetworkGateway", id="shorter loses"),
    ],
)
def test_the_next_hop_towards_aws(gateway: Any, user: Any, expected: str) -> None:
    found = routes((VNET,), [], gateway, user).find(number(EKS_NODE))
    assert found is not None
    assert found.kind == expected


def test_gateway_routes_inside_the_vnet_lose_even_when_longer() -> None:
    found = routes((VNET,), [], [prefix("10.224.0.0/24")], []).find(number(AKS_NODE))
    assert found is not None
    assert found.kind == "VnetLocal"


def test_the_rest_of_the_world_is_the_internet() -> None:
    found = routes((VNET,), [], [VPC], []).find(number("8.8.8.8"))
    assert found is not None
    assert found.kind == "Internet"
