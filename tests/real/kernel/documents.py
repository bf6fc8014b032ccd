"""Random rule documents in the clouds' own shapes: what the APIs answer, made from a seed.

One VPC and one VNet, joined by a healthy VPN; each has two subnets. Drawn is what rules can say, at
the borders where a reader or a judge may be wrong, and so that a good part of the packets gets through.
"""

import random
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

VPC, VNET = "192.168.0.0/16", "10.224.0.0/12"
SUBNETS = {"a1": "192.168.1.0/24", "a2": "192.168.2.0/24", "b1": "10.224.1.0/24", "b2": "10.225.2.0/24"}
# Name: subnet and address.
NODES = {
    "a1x": ("a1", "192.168.1.10"),
    "a1y": ("a1", "192.168.1.11"),
    "a2x": ("a2", "192.168.2.10"),
    "b1x": ("b1", "10.224.1.4"),
    "b1y": ("b1", "10.224.1.5"),
    "b2x": ("b2", "10.225.2.4"),
}
IN_AWS = tuple(name for name in NODES if name.startswith("a"))
IN_AZURE = tuple(name for name in NODES if name.startswith("b"))
UDP_PORTS = (53, 4789, 8472, 51871)
TCP_PORTS = (443, 2379, 4240, 8472)
PORTS = sorted({*UDP_PORTS, *TCP_PORTS})
# Ports at which ranges begin and end: those that are asked for, and their neighbours.
BOUNDS = (0, 1, 1024, *(port + step for port in PORTS for step in (-1, 0, 1)), 65535)
EPHEMERAL = (1024, 32767, 32768, 32769, 40000, 49152, 60998, 60999, 61000, 65535)
WIDE = (
    "0.0.0.0/0", "10.0.0.0/8", "10.224.0.0/12", "10.224.0.0/15", "192.168.0.0/16", "172.16.0.0/12", "192.168.0.0/22",
)  # fmt: skip
# What the AWS gateway knows of Azure, and the Azure gateway of AWS; mostly all.
VPN_ROUTES = (("10.224.0.0/12",), ("10.224.0.0/12",), ("10.0.0.0/8",), ("10.224.0.0/16", "10.225.2.4/32"))
LOCAL_PREFIXES = (("192.168.0.0/16",), ("192.168.0.0/16",), ("192.168.0.0/17", "172.31.0.0/16"), ("192.168.1.0/24",))
ARM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"


@dataclass(frozen=True)
class Documents:
    """What the clouds answer about one pair of networks; ``members`` and ``nic_nsg`` are of the nodes' interfaces."""

    seed: int
    security_group_rules: tuple[Document, ...]
    members: dict[str, tuple[str, ...]]
    prefix_lists: dict[str, tuple[str, ...]]
    network_acls: tuple[Document, ...]
    route_tables: tuple[Document, ...]
    vpn_routes: tuple[str, ...]
    nsgs: dict[str, Document]
    subnet_nsg: dict[str, str]
    nic_nsg: dict[str, str]
    azure_tables: dict[str, Document]
    local_prefixes: tuple[str, ...]
    service_tags: dict[str, tuple[str, ...]] = field(default_factory=dict)


def documents(seed: int) -> Documents:
    """The documents of one seed."""
    return _Draw(random.Random(seed)).everything(seed)


def network(address: str, length: int) -> str:
    """The network of that length around an address, host bits cleared."""
    value = int.from_bytes(bytes(map(int, address.split("."))), "big")
    kept = value >> (32 - length) << (32 - length)
    return ".".join(map(str, kept.to_bytes(4, "big"))) + f"/{length}"


class _Draw:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def often(self, share: float) -> bool:
        return self.dice.random() < share

    def everything(self, seed: int) -> Documents:
        lists = {"pl-1": self.cidrs(3), "pl-2": self.cidrs(2), "pl-3": ()}
        groups = [f"sg-{number}" for number in range(4)]
        rows = [row for group in groups for row in self.security_group(group, groups)]
        nsgs = {name: self.nsg(name) for name in ("nsg-0", "nsg-1", "nsg-2")}
        tags = {"Storage": self.cidrs(2), "AzureCloud.eastus": self.cidrs(1)}
        picked = ("", *nsgs)
        return Documents(
            seed,
            tuple(rows),
            {node: tuple(self.dice.sample(groups, self.dice.randint(1, 2))) for node in IN_AWS},
            lists,
            self.network_acls(),
            tuple(self.route_table(subnet) for subnet in ("a1", "a2")),
            self.dice.choice(VPN_ROUTES),
            nsgs,
            {subnet: self.dice.choice(picked) for subnet in ("b1", "b2")},
            {node: self.dice.choice(picked) for node in IN_AZURE},
            {subnet: self.azure_table(subnet) for subnet in ("b1", "b2") if self.often(0.6)},
            self.dice.choice(LOCAL_PREFIXES),
            tags,
        )

    # Addresses and ports

    def cidr(self) -> str:
        if self.often(0.4):
            return self.dice.choice(WIDE)
        _, address = self.dice.choice(list(NODES.values()))
        return network(address, self.dice.choice((8, 12, 15, 16, 22, 23, 24, 28, 30, 31, 32, 32)))

    def cidrs(self, most: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.cidr() for _ in range(self.dice.randint(1, most))))

    def ports(self, more: tuple[int, ...] = ()) -> tuple[int, int]:
        if self.often(0.3):
            port = self.dice.choice(PORTS)
            return port, port
        low, high = sorted(self.dice.choices((*BOUNDS, *more), k=2))
        return low, high

    # AWS

    def security_group(self, group: str, groups: list[str]) -> list[Document]:
        rows = [self.sg_row(group, groups, self.often(0.4)) for _ in range(self.dice.randint(0, 6))]
        for egress, share in ((False, 0.45), (True, 0.75)):
            if self.often(share):
                rows.append({"GroupId": group, "IsEgress": egress, "IpProtocol": "-1", "FromPort": -1, "ToPort": -1})
                rows[-1]["CidrIpv4"] = "0.0.0.0/0" if self.often(0.6) else self.cidr()
        return [row | {"SecurityGroupRuleId": f"sgr-{group[3:]}{number}"} for number, row in enumerate(rows)]

    def sg_row(self, group: str, groups: list[str], egress: bool) -> Document:
        protocol = self.dice.choice(("-1", "tcp", "udp", "icmp", "6", "17", "1", "50", "tcp", "udp", "icmp"))
        row: Document = {"GroupId": group, "IsEgress": egress, "IpProtocol": protocol, "FromPort": -1, "ToPort": -1}
        if protocol in ("tcp", "udp", "6", "17"):
            row["FromPort"], row["ToPort"] = self.ports()
        elif protocol in ("icmp", "1"):
            row["FromPort"], row["ToPort"] = self.icmp()
        kind = self.dice.choice(("cidr", "cidr", "cidr", "list", "group"))
        if kind == "list":
            row["PrefixListId"] = self.dice.choice(("pl-1", "pl-2", "pl-3"))
        elif kind == "group":
            row["ReferencedGroupInfo"] = {"GroupId": self.dice.choice(groups)}
        else:
            row["CidrIpv4"] = self.cidr()
        return row

    def icmp(self) -> tuple[int, int]:
        return self.dice.choice(((8, -1), (8, 0), (-1, -1), (3, 4), (0, -1), (0, 0), (13, 0), (8, 1), (13, -1)))

    def network_acls(self) -> tuple[Document, ...]:
        shared = self.often(0.3)
        places = (("a1", "a2"),) if shared else (("a1",), ("a2",))
        return tuple(self.network_acl(f"acl-{number}", subnets) for number, subnets in enumerate(places))

    def network_acl(self, name: str, subnets: tuple[str, ...]) -> Document:
        rows = [self.acl_entry(egress, 32767, False, "-1", "0.0.0.0/0") for egress in (False, True)]
        for egress in (False, True):
            numbers = self.dice.sample(range(1, 32767), 6)
            rows += [self.random_entry(egress, number) for number in numbers[: self.dice.randint(0, 5)]]
            if self.often(0.85):
                rows.append(self.acl_entry(egress, numbers[5], True, "-1", "0.0.0.0/0"))
        # The API gives no order that could be relied on.
        self.dice.shuffle(rows)
        return {"NetworkAclId": name, "Associations": [{"SubnetId": subnet} for subnet in subnets], "Entries": rows}

    def acl_entry(self, egress: bool, number: int, allow: bool, protocol: str, cidr: str) -> Document:
        action = "allow" if allow else "deny"
        return {"Egress": egress, "RuleNumber": number, "RuleAction": action, "Protocol": protocol, "CidrBlock": cidr}

    def random_entry(self, egress: bool, number: int) -> Document:
        protocol = self.dice.choice(("-1", "6", "17", "1", "50", "6", "17"))
        allow = self.often(0.5)
        row = self.acl_entry(egress, number, allow, protocol, self.cidr())
        if protocol in ("6", "17"):
            low, high = self.ports(EPHEMERAL * 3)
            row["PortRange"] = {"From": low, "To": high}
        elif protocol == "1":
            kind, code = self.icmp()
            row["IcmpTypeCode"] = {"Type": kind, "Code": code}
        return row

    def route_table(self, subnet: str) -> Document:
        local = {"DestinationCidrBlock": VPC, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
        rows: list[Document] = [local]
        far = [network(NODES[node][1], length) for node in IN_AZURE for length in (8, 12, 15, 16, 24, 32)]
        wanted = self.dice.sample(sorted({*far, "0.0.0.0/0"}), self.dice.randint(0, 3))
        for cidr in (*wanted, *(("pl-1",) if self.often(0.1) else ())):
            if cidr == "pl-1" or not self.within_vpc(cidr):
                rows.append(self.static_route(cidr))
        propagated = ["10.224.0.0/12"] if self.often(0.85) else []
        propagated += self.dice.sample([*far, "192.168.2.0/24", "192.168.0.0/16", "192.168.1.10/32"], 2)
        for cidr in dict.fromkeys(propagated):
            row = {"DestinationCidrBlock": cidr, "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation"}
            rows.append(row | {"State": "active"})
        self.dice.shuffle(rows)
        tied = [{"SubnetId": subnet}] if subnet == "a2" else [{"Main": True}]
        return {"RouteTableId": f"rtb-{subnet}", "VpcId": "vpc-1", "Associations": tied, "Routes": rows}

    def static_route(self, cidr: str) -> Document:
        where = {"DestinationPrefixListId": cidr} if cidr.startswith("pl-") else {"DestinationCidrBlock": cidr}
        to = {"NatGatewayId": "nat-1"} if self.often(0.3) else {"GatewayId": "vgw-1" if self.often(0.85) else "igw-1"}
        return {**where, **to, "Origin": "CreateRoute", "State": "blackhole" if self.often(0.15) else "active"}

    def within_vpc(self, cidr: str) -> bool:
        return cidr.startswith("192.168.")

    # Azure

    def nsg(self, name: str) -> Document:
        rows = []
        for direction in ("Inbound", "Outbound"):
            numbers = sorted(self.dice.sample(range(100, 4097), 6))
            rows += [self.nsg_rule(direction, number) for number in numbers[: self.dice.randint(0, 5)]]
            if self.often(0.4):
                rows.append(self.arm_rule(direction, numbers[5], self.often(0.6), "*", source="*", destination="*"))
        self.dice.shuffle(rows)
        properties: Document = {"securityRules": rows}
        if self.often(0.8):
            properties["defaultSecurityRules"] = self.defaults()
        return {"id": f"{ARM}/networkSecurityGroups/{name}", "name": name, "properties": properties}

    def defaults(self) -> list[Document]:
        rows = [
            self.arm_rule("Inbound", 65000, True, "*", source="VirtualNetwork", destination="VirtualNetwork"),
            self.arm_rule("Inbound", 65001, True, "*", source="AzureLoadBalancer", destination="*"),
            self.arm_rule("Inbound", 65500, False, "*", source="*", destination="*"),
            self.arm_rule("Outbound", 65000, True, "*", source="VirtualNetwork", destination="VirtualNetwork"),
            self.arm_rule("Outbound", 65001, True, "*", source="*", destination="Internet"),
            self.arm_rule("Outbound", 65500, False, "*", source="*", destination="*"),
        ]
        return self.dice.sample(rows, len(rows))

    def arm_rule(self, direction: str, priority: int, allow: bool, protocol: str, **ends: str) -> Document:
        return {
            "name": f"{direction}-{priority}",
            "properties": {
                "direction": direction,
                "priority": priority,
                "access": "Allow" if allow else "Deny",
                "protocol": protocol,
                "sourcePortRange": "*",
                "destinationPortRange": "*",
                **{f"{end}AddressPrefix": text for end, text in ends.items()},
            },
        }

    def nsg_rule(self, direction: str, priority: int) -> Document:
        protocol = self.dice.choice(("Tcp", "Udp", "Icmp", "*", "TCP", "udp", "Esp", "*"))
        row = self.arm_rule(direction, priority, self.often(0.6), protocol)
        properties: Document = row["properties"]
        far, near = ("source", "destination") if direction == "Inbound" else ("destination", "source")
        properties |= self.end(far, 0.15) | self.end(near, 0.7)
        if protocol.lower() in ("tcp", "udp") and self.often(0.03):
            # What such a rule does to a flow is not to be told: it must never be called open or closed wrongly.
            properties["sourcePortRange"] = self.dice.choice(("1024-65535", "443", "40000-50000"))
        if protocol.lower() in ("tcp", "udp", "*") and self.often(0.7):
            texts = ["-".join(map(str, sorted(set(self.ports())))) for _ in range(self.dice.randint(1, 3))]
            if len(texts) == 1:
                properties["destinationPortRange"] = texts[0]
            else:
                properties |= {"destinationPortRange": self.dice.choice((None, "")), "destinationPortRanges": texts}
        return row

    def end(self, side: str, any_share: float) -> Document:
        """One end of an NSG rule: anything, a tag, one prefix, or several in the plural field."""
        if self.often(any_share):
            return {f"{side}AddressPrefix": self.dice.choice(("*", "0.0.0.0/0", "VirtualNetwork"))}
        if self.often(0.35):
            tags = ("VirtualNetwork", "Internet", "AzureLoadBalancer", "Storage", "AzureCloud.eastus")
            return {f"{side}AddressPrefix": self.dice.choice(tags)}
        texts = [text.removesuffix("/32") for text in self.cidrs(3)]
        if len(texts) == 1:
            return {f"{side}AddressPrefix": texts[0]}
        return {f"{side}AddressPrefix": self.dice.choice((None, "")), f"{side}AddressPrefixes": texts}

    def azure_table(self, subnet: str) -> Document:
        nodes = [NODES[node][1] for node in NODES]
        texts = sorted({network(address, length) for address in nodes for length in (12, 16, 24, 32)})
        chosen = self.dice.sample(texts, self.dice.randint(0, 3)) + (["0.0.0.0/0"] if self.often(0.05) else [])
        kinds = ("VirtualNetworkGateway", "VirtualNetworkGateway", "VnetLocal", "None", "Internet")
        rows = []
        for number, prefix in enumerate(chosen):
            more = {"nextHopType": self.dice.choice(kinds), "hasBgpOverride": self.often(0.2)}
            rows.append({"name": f"udr-{number}", "properties": {"addressPrefix": prefix, **more}})
        properties = {"routes": rows, "disableBgpRoutePropagation": self.often(0.15)}
        return {"id": f"{ARM}/routeTables/rt-{subnet}", "properties": properties}
