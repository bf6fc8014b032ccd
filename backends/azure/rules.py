"""NSG rules in common words, and what their service tags mean for given nodes (cloud-network §3.4)."""

import re
from collections.abc import Iterable
from typing import Any

from mesh.model.network import FirewallRule
from mesh.text import clean

_PORT = re.compile(r"^(\d+)(?:-(\d+))?$")
_EVERYWHERE = ("0.0.0.0/0", "::/0")


def rules_from(nsg: dict[str, Any]) -> tuple[FirewallRule, ...]:
    """All rules of an NSG, own and default, in the order of their priority; one row per port range."""
    properties = nsg.get("properties", {})
    rows = [*properties.get("securityRules", []), *properties.get("defaultSecurityRules", [])]
    return tuple(
        sorted(
            (rule for row in rows for rule in _rules(row)), key=lambda rule: (rule.direction, rule.priority, rule.id)
        )
    )


def _rules(row: dict[str, Any]) -> Iterable[FirewallRule]:
    properties = row.get("properties", {})
    sources, source_peers = _addresses(properties, "source")
    destinations, destination_peers = _addresses(properties, "destination")
    inbound = str(properties.get("direction", "")).lower() == "inbound"
    protocol = str(properties.get("protocol", "*")).lower()
    ranges = (
        list(_ports(properties))
        if protocol in ("tcp", "udp", "*")
        else [(-1, -1) if protocol == "icmp" else (0, 65535)]
    )
    for low, high in ranges:
        yield FirewallRule(
            id=clean(str(row.get("name", "")), 120),
            direction="in" if inbound else "out",
            allow=str(properties.get("access", "")).lower() == "allow",
            protocol=protocol,
            from_port=low,
            to_port=high,
            sources=sources,
            destinations=destinations,
            peers=source_peers if inbound else destination_peers,
            near=tuple(peer for peer in (destination_peers if inbound else source_peers) if peer != "VirtualNetwork"),
            priority=int(properties.get("priority", 0)),
            source_ports=_source_ports(properties),
            name=clean(str(row.get("name", "")), 120),
        )


def _addresses(properties: dict[str, Any], side: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """CIDRs and what is not an address: tags, application security groups. Both the singular and plural field count."""
    texts = [properties.get(f"{side}AddressPrefix"), *(properties.get(f"{side}AddressPrefixes") or [])]
    cidrs: list[str] = []
    peers: list[str] = []
    for text in texts:
        if not text:
            continue
        if text in ("*", "Any", "any"):
            cidrs += _EVERYWHERE
        elif re.match(r"^[0-9a-fA-F.:]+(/\d+)?$", text):
            cidrs.append(text if "/" in text else f"{text}/{128 if ':' in text else 32}")
        else:
            peers.append(clean(str(text), 80))
    groups = properties.get(f"{side}ApplicationSecurityGroups") or []
    peers += [str(group.get("id", "")) for group in groups]
    return tuple(cidrs), tuple(peers)


def _ports(properties: dict[str, Any]) -> Iterable[tuple[int, int]]:
    texts = [properties.get("destinationPortRange"), *(properties.get("destinationPortRanges") or [])]
    for text in texts:
        if not text:
            continue
        if text == "*":
            yield 0, 65535
        elif found := _PORT.match(str(text)):
            yield int(found[1]), int(found[2] or found[1])


def _source_ports(properties: dict[str, Any]) -> tuple[int, int]:
    """The range of source ports; several ranges count as their common part, so that no rule matches too much."""
    texts = [properties.get("sourcePortRange"), *(properties.get("sourcePortRanges") or [])]
    found = [_PORT.match(str(text)) for text in texts if text and text != "*"]
    if not found or "*" in texts or not all(found):
        return 0, 65535
    ends = [(int(match[1]), int(match[2] or match[1])) for match in found if match]
    return ends[0] if len(ends) == 1 else (max(low for low, _ in ends), min(high for _, high in ends))


def free_priority(nsg: dict[str, Any], direction: str) -> int | None:
    """The highest free number below the custom deny that decides now, in steps of ten where possible (§5.3)."""
    rows = [row.get("properties", {}) for row in nsg.get("properties", {}).get("securityRules", [])]
    mine = [row for row in rows if str(row.get("direction", "")).lower() == direction]
    used = {int(row["priority"]) for row in mine}
    denies = [int(row["priority"]) for row in mine if str(row.get("access", "")).lower() == "deny"]
    limit = min(denies, default=4097)
    for step in (10, 1):
        for number in range((limit - 1) // step * step, 99, -step):
            if number not in used and number <= 4096:
                return number
    return None


def body(rule: FirewallRule, priority: int) -> dict[str, Any]:
    """The REST body of a rule that allows addresses."""
    ports = "*" if rule.protocol in ("icmp", "*", "esp") else _range(rule)
    return {
        "properties": {
            "protocol": {"*": "*"}.get(rule.protocol, rule.protocol.capitalize()),
            "sourceAddressPrefixes": list(rule.sources) or None,
            "sourceAddressPrefix": None if rule.sources else "*",
            "sourcePortRange": "*",
            "destinationAddressPrefixes": list(rule.destinations) or None,
            "destinationAddressPrefix": None if rule.destinations else "*",
            "destinationPortRange": ports,
            "access": "Allow",
            "direction": "Inbound" if rule.direction == "in" else "Outbound",
            "priority": priority,
            "description": (rule.name or "opened by meshwright")[:140],
        }
    }


def _range(rule: FirewallRule) -> str:
    return str(rule.from_port) if rule.from_port == rule.to_port else f"{rule.from_port}-{rule.to_port}"
