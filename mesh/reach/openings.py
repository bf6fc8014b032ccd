"""Remedies for closed flows: the narrowest rule for each group, as data and as the clouds' own commands.

Source: cloud-network §5.1, §5.3.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from mesh.addresses import collapse, overlap, ranges
from mesh.finding import Command, Fix, Opening, Risk
from mesh.model.network import CloudIdentity, FirewallGroup, FirewallRule
from mesh.reach.path import Closed
from mesh.reach.rules import DEFAULTS_FROM, IN, Flow, nsg_rules

_AWS_RIGHT: Final = {"in": "ec2:AuthorizeSecurityGroupIngress", "out": "ec2:AuthorizeSecurityGroupEgress"}
_AZURE_RIGHT: Final = "Microsoft.Network/networkSecurityGroups/securityRules/write"


def far_ranges(closed: Closed, subnets: Iterable[str]) -> tuple[str, ...]:
    """What a rule for a closed flow should name: the far node subnets it concerns, else the addresses themselves."""
    blocked = ranges(closed.far)
    touched = tuple(subnet for subnet in subnets if overlap(ranges((subnet,)), blocked))
    rest = tuple(text for text in closed.far if not overlap(ranges(touched), ranges((text,))))
    return collapse((*touched, *rest))


def opening(closed: Closed, far: tuple[str, ...], near: tuple[str, ...], taken: Iterable[int] = ()) -> Opening:
    """The rule that lets the flow through this group; ``near`` are the own node subnets: Azure rules name both ends."""
    low, high = _ports(closed.flow)
    peer_end, own_end = (far, near) if closed.direction == IN else (near, far)
    azure = closed.group.kind != "sg"
    if not azure:
        peer_end, own_end = (far, ()) if closed.direction == IN else ((), far)
    rule = FirewallRule(
        id="",
        direction=closed.direction,
        allow=True,
        protocol=closed.flow.protocol,
        from_port=low,
        to_port=high,
        sources=peer_end,
        destinations=own_end,
        priority=free_priority(closed.group, closed.direction, closed.decided, taken) if azure else 0,
        name=rule_name(closed.flow, closed.direction) if azure else "",
    )
    return Opening(closed.cluster, closed.group.id, rule, closed.group.resource_id)


def _ports(flow: Flow) -> tuple[int, int]:
    return (8, -1) if flow.protocol == "icmp" else (flow.port, flow.port)


def rule_name(flow: Flow, direction: str) -> str:
    """A stable name of our own for an NSG rule: ``meshwright-udp-8472-in``."""
    what = "echo" if flow.protocol == "icmp" else f"{flow.protocol}-{flow.port}"
    return f"meshwright-{what}-{direction}"


def free_priority(group: FirewallGroup, direction: str, decided: FirewallRule | None, taken: Iterable[int] = ()) -> int:
    """The highest free priority below the rule that decides now, in gaps of ten where there are some; 0 = none free."""
    used = {rule.priority for rule in nsg_rules(group, direction)} | set(taken)
    below = min(decided.priority if decided and decided.priority < DEFAULTS_FROM else 4097, 4097)
    tens = (number for number in range((below - 1) // 10 * 10, 99, -10) if number not in used)
    every = (number for number in range(below - 1, 99, -1) if number not in used)
    return next(tens, next(every, 0))


def open_fix(
    closed: Sequence[Closed],
    clouds: dict[str, CloudIdentity],
    far_subnets: tuple[str, ...],
    near_subnets: tuple[str, ...],
    peer: str,
    purpose: str,
) -> Fix:
    """One fix that opens every closed group for the peer's node ranges; in the plan unless no rule can be placed."""
    opens: list[Opening] = []
    commands: list[Command] = []
    taken: dict[tuple[str, str], list[int]] = {}
    for item in closed:
        used = taken.setdefault((item.group.id, item.direction), [])
        one = opening(item, far_ranges(item, far_subnets), near_subnets, used)
        used.append(one.rule.priority)
        opens.append(one)
        commands.append(command(one, item.group, clouds.get(item.cluster), f"cilium {purpose} {peer}"))
    words = ", ".join(dict.fromkeys(str(item.flow) for item in closed))
    far = ", ".join(dict.fromkeys(cidr for item in opens for cidr in _far_of(item.rule)))
    way = "from" if closed[0].direction == IN else "to"
    groups = ", ".join(dict.fromkeys(item.group.id for item in closed))
    kept = [item.group for item in closed if item.group.managed_by not in ("", "EKS")]
    note = f"; {kept[0].managed_by} owns {kept[0].id} and may revert it" if kept else ""
    placed = all(item.rule.priority or item.rule.name == "" for item in opens)
    return Fix(
        id="open-rule",
        text=f"open {words} {way} {far} on {groups}{note}",
        commands=tuple(commands),
        risk=Risk.LOW,
        reversible=True,
        needs=tuple(dict.fromkeys(_right(item) for item in closed)),
        in_plan=placed,
        opens=tuple(opens),
    )


def wider_fix(fix: Fix, closed: Sequence[Closed], clouds: dict[str, CloudIdentity], prefixes: tuple[str, ...]) -> Fix:
    """The same with the whole VPC or VNet of the peer, so that new subnets are let in too."""
    opens: list[Opening] = []
    commands: list[Command] = []
    for item, narrow in zip(closed, fix.opens, strict=True):
        rule = narrow.rule
        wide = {"sources": prefixes} if item.direction == IN else {"destinations": prefixes}
        fields = {name: getattr(rule, name) for name in rule.__struct_fields__} | wide
        one = Opening(narrow.cluster, narrow.group, FirewallRule(**fields), narrow.resource_id)
        opens.append(one)
        commands.append(command(one, item.group, clouds.get(item.cluster), "cilium"))
    text = f"wider: {', '.join(prefixes)} (new subnets too)"
    return Fix("open-wider", text, tuple(commands), fix.risk, fix.reversible, fix.needs, False, tuple(opens))


def command(one: Opening, group: FirewallGroup, cloud: CloudIdentity | None, description: str) -> Command:
    """The command a person would type to add the rule."""
    words = _aws(one, cloud, description) if group.kind == "sg" else _azure(one, group, cloud)
    return Command(words, one.cluster)


def _aws(one: Opening, cloud: CloudIdentity | None, description: str) -> tuple[str, ...]:
    rule = one.rule
    region = ("--region", cloud.region) if cloud and cloud.region else ()
    verb = "ingress" if rule.direction == IN else "egress"
    note = "".join(c for c in description if c.isalnum() or c in " ._-:/()#,@[]+=&;{}!$*")[:255]
    fields = (("IpRanges", "CidrIp", False), ("Ipv6Ranges", "CidrIpv6", True))
    lists = [
        f"{field}=[" + ",".join(f'{{{key}={text},Description="{note}"}}' for text in texts) + "]"
        for field, key, six in fields
        if (texts := [text for text in _far_of(rule) if (":" in text) is six])
    ]
    permission = f"IpProtocol={rule.protocol},FromPort={rule.from_port},ToPort={rule.to_port},{','.join(lists)}"
    return (
        "aws",
        "ec2",
        f"authorize-security-group-{verb}",
        *region,
        "--group-id",
        one.group,
        "--ip-permissions",
        permission,
    )


def _azure(one: Opening, group: FirewallGroup, cloud: CloudIdentity | None) -> tuple[str, ...]:
    rule = one.rule
    parts = (group.resource_id or group.id).split("/")
    place = {parts[i].lower(): parts[i + 1] for i in range(1, len(parts) - 1, 2)}
    resource_group = place.get("resourcegroups") or (cloud.node_resource_group if cloud else "")
    subscription = place.get("subscriptions") or (cloud.account if cloud else "")
    ports = "*" if rule.protocol == "icmp" else str(rule.from_port)
    return (
        *("az", "network", "nsg", "rule", "create"),
        *(("--subscription", subscription) if subscription else ()),
        *("-g", resource_group, "--nsg-name", group.name or parts[-1], "-n", rule.name),
        *("--priority", str(rule.priority), "--direction", "Inbound" if rule.direction == IN else "Outbound"),
        *("--access", "Allow", "--protocol", rule.protocol.capitalize()),
        *("--source-address-prefixes", *(rule.sources or ("*",))),
        *("--destination-address-prefixes", *(rule.destinations or ("*",))),
        *("--destination-port-ranges", ports),
    )


def _far_of(rule: FirewallRule) -> tuple[str, ...]:
    return rule.sources if rule.direction == IN else rule.destinations


def _right(closed: Closed) -> str:
    return _AWS_RIGHT[closed.direction] if closed.group.kind == "sg" else _AZURE_RIGHT
