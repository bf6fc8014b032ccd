"""A VPC as packets see it, read out of moto's state."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.lab.clouds.aws.account import AwsAccount
from backends.lab.network.aws_rules import (
    ALL_PORTS,
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
from backends.lab.network.flow import Flow
from backends.lab.network.places import Domain, Interface, Step, TunnelEnd
from backends.lab.network.prefixes import Longest, Prefix, number, prefix, prefixes

Owners = Callable[[str, str], tuple[str, str]]
"""(domain id, address) -> (cluster, node), empty strings for what is no node."""


@dataclass(slots=True)
class AwsSubnet:
    """A subnet with its ACL and route table."""

    id: str
    range: Prefix
    acl: str
    inbound: Sequence[AclEntry]
    outbound: Sequence[AclEntry]
    table: str
    routes: Longest[Target]


@dataclass(slots=True)
class GroupRules:
    """All rules of all groups of an interface; ``checked`` False for one without any group."""

    inbound: tuple[GroupRule, ...]
    outbound: tuple[GroupRule, ...]
    checked: bool = True


class Vpc(Domain):
    """Security groups are stateful, network ACLs are not and do not apply inside a subnet."""

    def __init__(self, identifier: str, region: str, own: tuple[Prefix, ...]) -> None:
        self.id = identifier
        self.region = region
        self.prefixes = own
        self.interfaces: dict[int, Interface] = {}
        self.peers: dict[str, str] = {}
        """Peering id to the other VPC's id."""
        self.nats: dict[str, int] = {}

    def leave(self, flow: Flow, start: Interface) -> Step | None:
        """Security groups out, ACL out, route."""
        there = self.interfaces.get(flow.destination)
        rules: GroupRules = start.rules
        subnet: AwsSubnet = start.subnet
        if rules.checked and not flow.answer:
            rule = allowed_by(rules.outbound, flow, flow.destination, there.groups if there else frozenset())
            if not flow.note("security groups out", start.subject, rule is not None, rule.id if rule else "no rule"):
                return None
        if there is not None and there.subnet is subnet:
            flow.milliseconds += 0.2
            return Step("local")
        passed, entry = acl_verdict(subnet.outbound, flow, flow.destination)
        if not flow.note("network ACL out", subnet.acl, passed, f"entry {entry}"):
            return None
        return self._routed(flow, start, subnet)

    def _routed(self, flow: Flow, start: Interface, subnet: AwsSubnet) -> Step | None:
        target = subnet.routes.find(flow.destination)
        if target is None:
            flow.note("route", subnet.table, False, "no route")
            return None
        where = f"{target.id} ({target.kind})"
        if not target.active:
            flow.note("route", subnet.table, False, f"black hole: {where}")
            return None
        if target.kind == "other" or (target.kind == "igw" and not start.public):
            flow.note("route", subnet.table, False, f"leads to {where}")
            return None
        flow.note("route", subnet.table, True, where)
        if target.kind == "local":
            flow.milliseconds += 0.4
            return Step("local")
        if target.kind == "pcx":
            flow.milliseconds += 0.5
            return Step("peer", self.peers.get(target.id, ""))
        if target.kind == "nat":
            return Step("internet", target.id, self.nats.get(target.id, 0))
        if target.kind == "igw":
            return Step("internet", target.id, start.public)
        return Step("gateway", target.id)

    def enter(self, flow: Flow, end: Interface, start: Interface | None) -> bool:
        """ACL in, security groups in."""
        subnet: AwsSubnet = end.subnet
        if start is None or start.subnet is not subnet:
            passed, entry = acl_verdict(subnet.inbound, flow, flow.source)
            if not flow.note("network ACL in", subnet.acl, passed, f"entry {entry}"):
                return False
        rules: GroupRules = end.rules
        if flow.answer or not rules.checked:
            return True
        rule = allowed_by(rules.inbound, flow, flow.source, flow.groups)
        return flow.note("security groups in", end.subject, rule is not None, rule.id if rule else "no rule")

    def answer(self, flow: Flow, machine: Interface, front: Interface) -> bool:
        """Out of the machine's subnet by its ACL; into a classic balancer's, the connection's end, by its own."""
        home: AwsSubnet = machine.subnet
        edge: AwsSubnet = front.subnet
        if home is edge:
            return True
        passed, entry = acl_verdict(home.outbound, flow, flow.destination)
        if not flow.note("network ACL out", home.acl, passed, f"entry {entry}"):
            return False
        if flow.destination != front.address:
            return True
        passed, entry = acl_verdict(edge.inbound, flow, flow.source)
        return flow.note("network ACL in", edge.acl, passed, f"entry {entry}")

    def from_gateway(self, flow: Flow) -> Step | None:
        """A virtual private gateway delivers into its own VPC only."""
        if flow.note(
            "vpn gateway", self.id, self.owns(flow.destination), "" if self.owns(flow.destination) else "not here"
        ):
            return Step("local")
        return None


def read_vpcs(account: AwsAccount, owners: Owners) -> list[Vpc]:
    """Every VPC that has interfaces, of every region in use."""
    found = []
    for region in tuple(account.regions):
        ec2 = account.ec2(region)
        by_vpc: dict[str, list[Any]] = {}
        for card in list(ec2.enis.values()):
            by_vpc.setdefault(card.subnet.vpc_id, []).append(card)
        for identifier, cards in by_vpc.items():
            vpc = ec2.vpcs.get(identifier)
            if vpc is not None:
                found.append(_vpc(ec2, vpc, region, cards, owners))
    return found


def _vpc(ec2: Any, held: Any, region: str, cards: Iterable[Any], owners: Owners) -> Vpc:
    blocks = held.get_cidr_block_association_set(ipv6=False)
    own = prefixes(block["cidr_block"] for block in blocks if block["cidr_block_state"]["state"] == "associated")
    vpc = Vpc(held.id, region, own)
    subnets: dict[str, AwsSubnet] = {}
    for card in cards:
        if card.subnet.id not in subnets:
            subnets[card.subnet.id] = _subnet(ec2, card.subnet, own)
        rules = _group_rules(ec2, card.group_set)
        for row in card.private_ip_addresses:
            address = row["PrivateIpAddress"]
            cluster, node = owners(held.id, address)
            vpc.interfaces[number(address)] = Interface(
                number(address),
                card.id,
                subnets[card.subnet.id],
                cluster,
                node,
                frozenset(group.id for group in card.group_set),
                rules,
                number(card.public_ip) if card.public_ip else 0,
            )
    for link in list(ec2.vpc_pcxs.values()):
        if link._status.code == "active" and held.id in (link.vpc.id, link.peer_vpc.id):
            vpc.peers[link.id] = link.peer_vpc.id if link.vpc.id == held.id else link.vpc.id
    vpc.linked = frozenset(vpc.peers.values())
    for nat in list(ec2.nat_gateways.values()):
        public = next((row.get("publicIp") for row in nat.address_set if row.get("publicIp")), None)
        vpc.nats[nat.id] = number(public) if public else 0
    return vpc


def _subnet(ec2: Any, held: Any, own: tuple[Prefix, ...]) -> AwsSubnet:
    acl = next(
        acl
        for acl in ec2.network_acls.values()
        if any(association.subnet_id == held.id for association in acl._associations.values())
    )
    tables = [table for table in ec2.route_tables.values() if table.vpc_id == held.vpc_id]
    table = next((one for one in tables if held.id in one._associations.values()), None) or next(
        one for one in tables if one.main_association_id
    )
    rows = sorted((row for row in acl.network_acl_entries if row.cidr_block), key=lambda row: int(row.rule_number))
    return AwsSubnet(
        held.id,
        prefix(held.cidr_block),
        acl.id,
        tuple(_entry(row) for row in rows if not row.egress),
        tuple(_entry(row) for row in rows if row.egress),
        table.id,
        route_table(_route_rows(ec2, table), own),
    )


def _entry(row: Any) -> AclEntry:
    ports = (row.port_range_from, row.port_range_to)
    low, high = (0, 65535) if None in ports else ports
    return AclEntry(
        int(row.rule_number),
        protocol_name(row.protocol),
        row.rule_action == "allow",
        prefix(row.cidr_block),
        int(low),
        int(high),
        -1 if row.icmp_type is None else int(row.icmp_type),
        -1 if row.icmp_code is None else int(row.icmp_code),
    )


def _route_rows(ec2: Any, table: Any) -> Iterable[tuple[Prefix, int, Target]]:
    for route in table.routes:
        target = _target(route)
        if route.destination_cidr_block:
            rank = RANK_PROPAGATED if route.origin == "EnableVgwRoutePropagation" else RANK_STATIC
            yield prefix(route.destination_cidr_block), rank, target
        elif route.destination_prefix_list is not None:
            for where in _prefix_list(ec2, route.destination_prefix_list.id):
                yield where, RANK_PREFIX_LIST, target


def _target(route: Any) -> Target:
    active, origin = route.state == "active", route.origin
    if route.local:
        return Target("local", "local", active, origin)
    if route.gateway is not None:
        kind = route.gateway.id.partition("-")[0]
        return Target(kind if kind in ("vgw", "igw") else "other", route.gateway.id, active, origin)
    if route.nat_gateway is not None:
        return Target("nat", route.nat_gateway.id, active, origin)
    if route.vpc_pcx is not None:
        return Target("pcx", route.vpc_pcx.id, active, origin)
    for other in (route.transit_gateway, route.interface, route.instance, route.egress_only_igw):
        if other is not None:
            return Target("other", other.id, active, origin)
    return Target("other", "?", False, origin)


def _prefix_list(ec2: Any, identifier: str) -> tuple[Prefix, ...]:
    held = ec2.managed_prefix_lists.get(identifier)
    if held is None:
        return ()
    entries = held.entries.get(held.version) or []
    return prefixes(entry["Cidr"] for entry in entries)


def _group_rules(ec2: Any, groups: Iterable[Any]) -> GroupRules:
    inbound: list[GroupRule] = []
    outbound: list[GroupRule] = []
    count = 0
    for group in sorted(groups, key=lambda one: str(one.id)):
        count += 1
        inbound += [_group_rule(ec2, rule) for rule in group.ingress_rules]
        outbound += [_group_rule(ec2, rule) for rule in group.egress_rules]
    return GroupRules(tuple(inbound), tuple(outbound), checked=count > 0)


def _group_rule(ec2: Any, rule: Any) -> GroupRule:
    protocol = protocol_name(rule.ip_protocol)
    low, high = ALL_PORTS if rule.from_port is None else (rule.from_port, rule.to_port)
    if protocol in ("tcp", "udp") and (low, high) == ALL_PORTS:
        low, high = 0, 65535
    ranges = prefixes([rule.ip_range["CidrIp"]] if rule.ip_range.get("CidrIp") else [])
    if rule.prefix_list_id:
        ranges = _prefix_list(ec2, rule.prefix_list_id)
    return GroupRule(rule.id, protocol, int(low), int(high), ranges, rule.source_group.get("GroupId", ""))


def read_tunnels(account: AwsAccount) -> list[TunnelEnd]:
    """The AWS ends of all VPN connections of attached virtual private gateways."""
    from backends.lab.clouds.aws.repairs.vpn import prefixes_of

    found = []
    for region in tuple(account.regions):
        ec2 = account.ec2(region)
        for connection in list(ec2.vpn_connections.values()):
            gateway = ec2.vpn_gateways.get(connection.vpn_gateway_id)
            customer = ec2.customer_gateways.get(connection.customer_gateway_id)
            if connection.state != "available" or not connection.options or gateway is None or customer is None:
                continue
            vpc = next((one.vpc_id for one in gateway.attachments.values() if one.state == "attached"), None)
            if vpc is None or gateway.state != "available":
                continue
            states = {row["OutsideIpAddress"]: row["Status"] == "UP" for row in connection.vgw_telemetry}
            found += [
                TunnelEnd(
                    vpc,
                    gateway.id,
                    connection.id,
                    frozenset([tunnel["OutsideIpAddress"]]),
                    str(customer.ip_address),
                    states.get(tunnel["OutsideIpAddress"], False),
                    prefixes(prefixes_of(connection)),
                    # AWS calls its own side remote, and the customer's local.
                    local=prefix(connection.options["RemoteIpv4NetworkCidr"]),
                    remote=prefix(connection.options["LocalIpv4NetworkCidr"]),
                )
                for tunnel in connection.options["TunnelOptions"]
            ]
    return found
