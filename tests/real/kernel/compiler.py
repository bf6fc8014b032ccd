"""Rule documents to nftables and routes, by the clouds' documentation alone.

Written apart from the evaluator and from the readers of the product: nothing of them is imported here.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from tests.real.kernel.documents import IN_AWS, IN_AZURE, NODES, VNET, VPC, Document, Documents

# The packets that tell when all others have been handled pass everywhere.
CONTROL = "198.18.0.0/15"
_STATIC, _LIST, _PROPAGATED = 10, 20, 30
_USER, _GATEWAY, _SYSTEM = 10, 20, 30
_NUMBER = {"tcp": "6", "udp": "17", "icmp": "1", "esp": "50", "ah": "51"}
_SILENT = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


@dataclass(frozen=True)
class Compiled:
    """By namespace: an nftables ruleset, and the routes to add to its tables."""

    rulesets: dict[str, str]
    routes: dict[str, tuple[str, ...]]


def compiled(documents: Documents, zone: int) -> Compiled:
    """Everything of one set of documents; ``zone`` keeps the connections of one set from those of another."""
    rulesets = {"vpc": _nacl_ruleset(documents), "vnet": _vnet_ruleset(documents, zone)}
    for subnet in ("a1", "a2"):
        rulesets[subnet] = _sg_ruleset(documents, subnet, zone)
    for subnet in ("b1", "b2"):
        rulesets[subnet] = _nic_ruleset(documents, subnet, zone)
    tables: dict[str, list[tuple[int, list[_Route]]]] = {
        "vpc": [(101, _vpc_routes(documents, "a1")), (102, _vpc_routes(documents, "a2"))],
        "vnet": [(101, _vnet_routes(documents, "b1")), (102, _vnet_routes(documents, "b2"))],
        "core": [(101, _vpn_routes(documents)), (102, _gateway_routes(documents))],
    }
    lines = {place: tuple(line for one in each for line in _lines(*one)) for place, each in tables.items()}
    return Compiled(rulesets, lines)


# Routes: prefix, metric (of equal prefixes the lowest wins), what to do

_Route = tuple[str, int, str]


def _lines(table: int, routes: Iterable[_Route]) -> Iterator[str]:
    first: dict[tuple[str, int], str] = {}
    for prefix, metric, action in routes:
        first.setdefault((prefix, metric), action)
    for (prefix, metric), action in first.items():
        kind, _, device = action.partition(" ")
        yield f"{kind} {prefix} {device} metric {metric} table {table}"


def _inside(inner: str, outer: str) -> bool:
    one, other = ip_network(inner), ip_network(outer)
    return one.prefixlen >= other.prefixlen and one.network_address in other


def _vpc_routes(documents: Documents, subnet: str) -> list[_Route]:
    table = next((one for one in documents.route_tables if {"SubnetId": subnet} in one["Associations"]), None)
    table = table or next(one for one in documents.route_tables if {"Main": True} in one["Associations"])
    found: list[_Route] = []
    for row in table["Routes"]:
        if row.get("GatewayId") == "local":
            found.append((row["DestinationCidrBlock"], _STATIC, "throw"))
            continue
        target = row.get("GatewayId", row.get("NatGatewayId", ""))
        action = "unicast dev core" if target.startswith("vgw-") else "unicast dev void"
        if row["State"] == "blackhole":
            action = "blackhole"
        named = row.get("DestinationPrefixListId")
        prefixes = documents.prefix_lists[named] if named else (row["DestinationCidrBlock"],)
        metric = _LIST if named else _STATIC
        if row["Origin"] == "EnableVgwRoutePropagation":
            metric = _PROPAGATED
            prefixes = tuple(prefix for prefix in prefixes if not _inside(prefix, VPC))
        found += ((prefix, metric, action) for prefix in prefixes)
    return found


def _vnet_routes(documents: Documents, subnet: str) -> list[_Route]:
    found: list[_Route] = [(VNET, _SYSTEM, "throw"), ("0.0.0.0/0", _SYSTEM, "unicast dev void")]
    found += ((prefix, _SYSTEM, "blackhole") for prefix in _SILENT)
    table = documents.azure_tables.get(subnet, {"properties": {"routes": []}})["properties"]
    actions = {
        "VirtualNetworkGateway": "unicast dev core",
        "VnetLocal": "throw",
        "None": "blackhole",
        "Internet": "unicast dev void",
    }
    overriding = [VNET]
    for row in table["routes"]:
        properties = row["properties"]
        found.append((properties["addressPrefix"], _USER, actions[properties["nextHopType"]]))
        overriding += [properties["addressPrefix"]] if properties["hasBgpOverride"] else []
    if not table.get("disableBgpRoutePropagation"):
        for prefix in documents.local_prefixes:
            if not any(_inside(prefix, other) for other in overriding):
                found.append((prefix, _GATEWAY, "unicast dev core"))
    return found


def _vpn_routes(documents: Documents) -> list[_Route]:
    """Of the AWS gateway: what comes from the VPC goes on by the connection's static routes."""
    return [(prefix, _STATIC, "unicast dev vnet") for prefix in documents.vpn_routes]


def _gateway_routes(documents: Documents) -> list[_Route]:
    """Of the Azure gateway: its local network gateways, and its own VNet."""
    there = [(prefix, _STATIC, "unicast dev vpc") for prefix in documents.local_prefixes]
    return [*there, (VNET, _STATIC, "unicast dev vnet")]


# Rules

_Chains = dict[str, list[str]]


def _ruleset(chains: _Chains, sets: dict[str, Iterable[str]] | None = None) -> str:
    text = ["flush ruleset", "table ip judge {"]
    for name, elements in (sets or {}).items():
        kind = "type ipv4_addr; flags interval; auto-merge"
        text.append(f"set {name} {{ {kind}; elements = {{ {', '.join(elements)} }}; }}")
    for name, lines in chains.items():
        text += [f"chain {name} {{", *lines, "}"]
    return "\n".join([*text, "}", ""])


def _zone(zone: int, *hooks: str) -> _Chains:
    """Each set of documents has connections of its own: none is established because of an earlier one."""
    lines = [f"ct zone set {zone}"]
    return {f"zone_{hook}": [f"type filter hook {hook} priority raw; policy accept;", *lines] for hook in hooks}


def _base(hook: str, stateful: bool) -> list[str]:
    lines = [f"type filter hook {hook} priority filter; policy drop;", f"ip daddr {CONTROL} accept"]
    return [*lines, "ct state established,related accept"] if stateful else lines


def _sg_ruleset(documents: Documents, subnet: str, zone: int) -> str:
    """On the nodes of a subnet: stateful, what no rule of any of the interface's groups allows is dropped."""
    chains: _Chains = _zone(zone, "prerouting", "output")
    for hook, side, egress in (("input", "daddr", False), ("output", "saddr", True)):
        base = _base(hook, True)
        for node in IN_AWS:
            if NODES[node][0] == subnet:
                chains[f"{hook}_{node}"] = [*_sg_lines(documents, documents.members[node], egress), "drop"]
                base.append(f"ip {side} {NODES[node][1]} jump {hook}_{node}")
        chains[f"base_{hook}"] = [*base, "accept"]
    return _ruleset(chains)


def _sg_lines(documents: Documents, groups: Iterable[str], egress: bool) -> Iterator[str]:
    side = "daddr" if egress else "saddr"
    for row in documents.security_group_rules:
        if row["GroupId"] not in groups or row["IsEgress"] is not egress:
            continue
        if "PrefixListId" in row:
            far = documents.prefix_lists[row["PrefixListId"]]
        elif "ReferencedGroupInfo" in row:
            named = row["ReferencedGroupInfo"]["GroupId"]
            far = tuple(NODES[node][1] for node in IN_AWS if named in documents.members[node])
        else:
            far = (row["CidrIpv4"],)
        what = _protocol(row["IpProtocol"], (row["FromPort"], row["ToPort"]), (row["FromPort"], row["ToPort"]))
        yield from (f"ip {side} {cidr} {what} return" for cidr in far)


def _protocol(protocol: str, ports: tuple[int, int], icmp: tuple[int, int]) -> str:
    """The match of an AWS protocol; ports -1 and type -1 are all."""
    number = _NUMBER.get(protocol, protocol)
    if number == "-1":
        return ""
    if number in ("6", "17"):
        return f"meta l4proto {number} th dport {ports[0]}-{ports[1]}" if ports[0] != -1 else f"meta l4proto {number}"
    if number != "1":
        return f"meta l4proto {number}"
    if icmp[0] == -1:
        return "meta l4proto 1"
    # Bytes of the header: nft 1.0 shows the code of one type as the word of another.
    code = "" if icmp[1] == -1 else f" @th,8,8 {icmp[1]}"
    return f"meta l4proto 1 @th,0,8 {icmp[0]}{code}"


def _nacl_ruleset(documents: Documents) -> str:
    """At the edge of each subnet, without memory: ascending numbers, the first match decides."""
    chains: _Chains = {}
    base = _base("forward", False)
    for document in documents.network_acls:
        name = document["NetworkAclId"].replace("-", "_")
        for egress, side in ((True, "daddr"), (False, "saddr")):
            chain = f"{name}_{'out' if egress else 'in'}"
            rows = sorted(
                (row for row in document["Entries"] if row["Egress"] is egress), key=lambda row: int(row["RuleNumber"])
            )
            chains[chain] = [f"ip {side} {row['CidrBlock']} {_acl_match(row)}" for row in rows] + ["drop"]
    for document in documents.network_acls:
        name = document["NetworkAclId"].replace("-", "_")
        for tied in document["Associations"]:
            base.append(f"iifname {tied['SubnetId']} jump {name}_out")
    for document in documents.network_acls:
        name = document["NetworkAclId"].replace("-", "_")
        for tied in document["Associations"]:
            base.append(f"oifname {tied['SubnetId']} jump {name}_in")
    return _ruleset(chains | {"base": [*base, "accept"]})


def _acl_match(row: Document) -> str:
    ports = row.get("PortRange", {"From": -1, "To": -1})
    kind = row.get("IcmpTypeCode", {"Type": -1, "Code": -1})
    what = _protocol(row["Protocol"], (ports["From"], ports["To"]), (kind["Type"], kind["Code"]))
    return f"{what} {'return' if row['RuleAction'] == 'allow' else 'drop'}"


def _vnet_ruleset(documents: Documents, zone: int) -> str:
    """At the edge of each subnet of the VNet: the subnet's NSG, stateful."""
    chains: _Chains = _zone(zone, "prerouting")
    base = _base("forward", True)
    for direction, match in (("Outbound", "iifname"), ("Inbound", "oifname")):
        for subnet, nsg in documents.subnet_nsg.items():
            if nsg:
                chains[f"{subnet}_{direction}"] = _nsg_lines(documents, nsg, direction, subnet)
                base.append(f"{match} {subnet} jump {subnet}_{direction}")
    return _ruleset(chains | {"base": [*base, "accept"]}, _tag_sets(documents, ("b1", "b2")))


def _nic_ruleset(documents: Documents, subnet: str, zone: int) -> str:
    """On the nodes: the NSG of the network interface, stateful."""
    chains: _Chains = _zone(zone, "prerouting", "output")
    for hook, side, direction in (("input", "daddr", "Inbound"), ("output", "saddr", "Outbound")):
        base = _base(hook, True)
        for node in IN_AZURE:
            if NODES[node][0] == subnet and documents.nic_nsg[node]:
                chains[f"{hook}_{node}"] = _nsg_lines(documents, documents.nic_nsg[node], direction, subnet)
                base.append(f"ip {side} {NODES[node][1]} jump {hook}_{node}")
        chains[f"base_{hook}"] = [*base, "accept"]
    return _ruleset(chains, _tag_sets(documents, (subnet,)))


def _tag_sets(documents: Documents, subnets: Iterable[str]) -> dict[str, Iterable[str]]:
    """VirtualNetwork as it is for a subnet; a default route of the user's is not counted in."""
    found: dict[str, Iterable[str]] = {}
    for subnet in subnets:
        table = documents.azure_tables.get(subnet, {"properties": {"routes": []}})
        routed = [row["properties"]["addressPrefix"] for row in table["properties"]["routes"]]
        every = {VNET, *documents.local_prefixes, "168.63.129.16/32", *routed} - {"0.0.0.0/0"}
        found[f"virtual_network_{subnet}"] = sorted(every)
    return found


def _nsg_lines(documents: Documents, nsg: str, direction: str, subnet: str) -> list[str]:
    """By priority, the first match decides; Azure's own rules stand at the end whether the document has them or not."""
    properties = documents.nsgs[nsg]["properties"]
    rows = [row["properties"] for row in properties["securityRules"] if row["properties"]["direction"] == direction]
    lines: list[str] = []
    for row in sorted(rows, key=lambda row: int(row["priority"])):
        verdict = "return" if row["access"] == "Allow" else "drop"
        ends = itertools.product(_end(documents, row, "source", subnet), _end(documents, row, "destination", subnet))
        for (source, destination), what in itertools.product(list(ends), _nsg_what(row)):
            lines.append(f"{source} {destination} {what} {verdict}")
    tag = f"@virtual_network_{subnet}"
    lines.append(f"ip saddr {tag} ip daddr {tag} return")
    lines.append("ip saddr 168.63.129.16 return" if direction == "Inbound" else f"ip daddr != {tag} return")
    return [*lines, "drop"]


def _end(documents: Documents, row: Document, side: str, subnet: str) -> list[str]:
    field = "ip saddr" if side == "source" else "ip daddr"
    texts = [row.get(f"{side}AddressPrefix"), *(row.get(f"{side}AddressPrefixes") or [])]
    found: list[str] = []
    for text in filter(None, texts):
        if text == "*":
            found.append("")
        elif text == "VirtualNetwork":
            found.append(f"{field} @virtual_network_{subnet}")
        elif text == "Internet":
            found.append(f"{field} != @virtual_network_{subnet}")
        elif text == "AzureLoadBalancer":
            found.append(f"{field} 168.63.129.16")
        else:
            found += (f"{field} {cidr}" for cidr in documents.service_tags.get(text, (text,)))
    return found


def _nsg_what(row: Document) -> list[str]:
    protocol = row["protocol"].lower()
    texts = [row.get("destinationPortRange"), *(row.get("destinationPortRanges") or [])]
    if protocol not in ("tcp", "udp", "*"):
        return [f"meta l4proto {_NUMBER[protocol]}"]
    match = "meta l4proto { 6, 17 }" if protocol == "*" else f"meta l4proto {_NUMBER[protocol]}"
    source = row["sourcePortRange"]
    if source != "*":
        match += f" th sport {source}"
    # Azure itself shows "*" as 0-65535 among the effective rules.
    if "*" in texts or "0-65535" in texts:
        return [""] if protocol == "*" and source == "*" else [match]
    return [f"{match} th dport {text}" for text in texts if text]
