"""Closing one port for some sources at a cluster's cloud rules, as it happens: rules taken away, a deny added."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Final

from backends.lab.faults.fault import Undo
from backends.lab.world import LabCluster, World

_EVERYTHING: Final = (("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1))


def close(world: World, target: LabCluster, protocol: str, port: int, sources: Sequence[str]) -> Undo:
    """Close a port of a cluster's nodes for these CIDRs; returns what opens it. Raises ``ValueError`` for kind."""
    if target.provider == "eks":
        return close_group(world, target, target.facts["worker_group"], protocol, port, sources)
    if target.provider == "aks":
        return deny(world, target, protocol, port, sources)
    raise ValueError(f"{target.name} has no cloud rules")


def close_group(
    world: World, cluster: LabCluster, group_id: str, protocol: str, port: int, sources: Sequence[str]
) -> Undo:
    """Take the port out of every rule of a security group that admits one of the sources."""
    aws = world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(cluster.region)
        group = ec2.get_security_group_from_id(group_id)
        before = list(group.ingress_rules)
        doomed = [rule for rule in before if _admits(rule, protocol, port, sources)]
        group.ingress_rules[:] = [rule for rule in before if rule not in doomed]
        added: list[Any] = []
        for rule in doomed:
            for what, low, high in _rest(rule, protocol, port):
                rules, _ = ec2.authorize_security_group_ingress(group_id, what, low, high, [dict(rule.ip_range)])
                added += rules

    def undo() -> None:
        with aws.writing():
            kept = [rule for rule in group.ingress_rules if rule not in added]
            group.ingress_rules[:] = [*kept, *(rule for rule in doomed if rule not in kept)]

    return undo


def _admits(rule: Any, protocol: str, port: int, sources: Sequence[str]) -> bool:
    cidr = rule.ip_range.get("CidrIp")
    if not cidr or rule.ip_protocol not in ("-1", protocol):
        return False
    if rule.from_port is not None and not rule.from_port <= port <= rule.to_port:
        return False
    admitted = ipaddress.IPv4Network(cidr)
    return any(admitted.overlaps(ipaddress.IPv4Network(source)) for source in sources)


def _rest(rule: Any, protocol: str, port: int) -> Iterator[tuple[str, int, int]]:
    """What a rule allowed besides the port."""
    parts = _EVERYTHING if rule.ip_protocol == "-1" else ((rule.ip_protocol, rule.from_port, rule.to_port),)
    for what, low, high in parts:
        if what != protocol:
            yield what, low, high
            continue
        if low < port:
            yield what, low, port - 1
        if high > port:
            yield what, port + 1, high


def deny(world: World, target: LabCluster, protocol: str, port: int, sources: Sequence[str]) -> Undo:
    """A deny rule before all others in the group of an AKS cluster's subnet (of its NICs, if the subnet has none)."""
    azure = world.clouds.azure
    group = target.facts["subnet_nsg"] or target.facts["nic_nsg"]
    used = {
        rule["properties"]["priority"]
        for rule in azure.need(group)["properties"]["securityRules"]
        if rule["properties"]["direction"].lower() == "inbound"
    }
    priority = next(number for number in range(110, 4096) if number not in used)
    identifier = f"{group}/securityRules/deny-{protocol}-{port}-{priority}"
    azure.put_child(
        identifier,
        {
            "properties": {
                "protocol": protocol.capitalize(),
                "sourcePortRange": "*",
                "sourcePortRanges": [],
                "destinationPortRange": "*" if protocol == "icmp" else str(port),
                "destinationPortRanges": [],
                "sourceAddressPrefixes": list(sources),
                "destinationAddressPrefix": "*",
                "destinationAddressPrefixes": [],
                "access": "Deny",
                "direction": "Inbound",
                "priority": priority,
            }
        },
    )

    def undo() -> None:
        azure.remove(identifier)

    return undo
