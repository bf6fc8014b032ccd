"""Security group rules in common words (cloud-network §4.4)."""

from collections.abc import Callable, Iterable
from typing import Any

from mesh.model.network import FirewallRule
from mesh.text import clean

PROTOCOLS = {"-1": "*", "6": "tcp", "17": "udp", "1": "icmp", "50": "esp", "58": "icmpv6"}
Expand = Callable[[str], tuple[str, ...] | None]


def rule_from(row: dict[str, Any], expand: Expand) -> FirewallRule:
    """One row of DescribeSecurityGroupRules. Prefix lists that cannot be read stay in ``peers``."""
    protocol = PROTOCOLS.get(str(row["IpProtocol"]), str(row["IpProtocol"]).lower())
    low, high = int(row.get("FromPort", -1)), int(row.get("ToPort", -1))
    if protocol not in ("tcp", "udp", "icmp", "icmpv6") or (protocol in ("tcp", "udp") and low == -1):
        low, high = 0, 65535
    addresses = tuple(clean(row[key]) for key in ("CidrIpv4", "CidrIpv6") if row.get(key))
    peers: tuple[str, ...] = ()
    if row.get("PrefixListId"):
        entries = expand(row["PrefixListId"])
        addresses, peers = (addresses + entries, ()) if entries is not None else (addresses, (row["PrefixListId"],))
    if row.get("ReferencedGroupInfo"):
        peers += (str(row["ReferencedGroupInfo"]["GroupId"]),)
    outbound = bool(row.get("IsEgress"))
    return FirewallRule(
        id=str(row["SecurityGroupRuleId"]),
        direction="out" if outbound else "in",
        allow=True,
        protocol=protocol,
        from_port=low,
        to_port=high,
        sources=() if outbound else addresses,
        destinations=addresses if outbound else (),
        peers=peers,
        name=clean(str(row.get("Description") or ""), 120),
    )


def owner_of(tags: Iterable[dict[str, str]]) -> str:
    """Who manages an object, by its tags: EKS, CloudFormation, Terraform, Crossplane; "" when nothing says so."""
    found = {tag["Key"]: tag.get("Value", "") for tag in tags}
    if "aws:eks:cluster-name" in found:
        return "EKS"
    if "aws:cloudformation:stack-name" in found:
        return f"CloudFormation stack {clean(found['aws:cloudformation:stack-name'], 60)}"
    lowered = {key.lower(): value.lower() for key, value in found.items()}
    if any("terraform" in key or value in ("terraform", "opentofu") for key, value in lowered.items()):
        return "Terraform"
    return "Crossplane" if any(key.startswith("crossplane") for key in lowered) else ""


def permission(rule: FirewallRule) -> dict[str, Any]:
    """The IpPermissions entry of a rule that allows addresses."""
    entry: dict[str, Any] = {"IpProtocol": {"*": "-1", "esp": "50"}.get(rule.protocol, rule.protocol)}
    if rule.protocol in ("tcp", "udp", "icmp"):
        entry |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
    note = (rule.name or "opened by meshwright")[:255]
    addresses = rule.sources or rule.destinations
    four = [{"CidrIp": cidr, "Description": note} for cidr in addresses if ":" not in cidr]
    six = [{"CidrIpv6": cidr, "Description": note} for cidr in addresses if ":" in cidr]
    return entry | ({"IpRanges": four} if four else {}) | ({"Ipv6Ranges": six} if six else {})
