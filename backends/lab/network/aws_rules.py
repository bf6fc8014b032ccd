"""How AWS judges one packet: security groups, network ACLs, route tables (cloud-network §4.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from backends.lab.network.flow import Flow
from backends.lab.network.prefixes import EVERYWHERE, Longest, Prefix, inside, within

ALL_PORTS: Final = (-1, -1)
_NUMBERS: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "-1": "", "all": ""}

RANK_STATIC: Final = 0
RANK_PREFIX_LIST: Final = 1
RANK_PROPAGATED: Final = 2


def protocol_name(protocol: str) -> str:
    """tcp, udp, icmp from a name or number; "" for all; other numbers as they are."""
    lowered = str(protocol).lower()
    return _NUMBERS.get(lowered, lowered)


@dataclass(frozen=True, slots=True)
class GroupRule:
    """One rule of a security group. ``low`` and ``high`` are ports, or ICMP type and code; ``ranges`` or ``group``."""

    id: str
    protocol: str
    low: int
    high: int
    ranges: tuple[Prefix, ...] = ()
    group: str = ""

    def fits(self, flow: Flow, peer: int, groups: frozenset[str]) -> bool:
        """Whether the rule allows the packet from or to ``peer``, whose interface is in ``groups``."""
        if self.protocol and self.protocol != flow.protocol:
            return False
        if self.protocol in ("tcp", "udp") and not self.low <= flow.port <= self.high:
            return False
        if self.protocol == "icmp" and not (self.low in (-1, flow.icmp_type) and self.high in (-1, 0)):
            return False
        if self.group:
            return self.group in groups
        return inside(peer, self.ranges)


def allowed_by(
    rules: Iterable[GroupRule], flow: Flow, peer: int, groups: frozenset[str] = frozenset()
) -> GroupRule | None:
    """The first rule of any group that lets the packet pass; None = denied."""
    for rule in rules:
        if rule.fits(flow, peer, groups):
            return rule
    return None


@dataclass(frozen=True, slots=True)
class AclEntry:
    """One entry of a network ACL, in the direction it is listed under."""

    number: int
    protocol: str
    allow: bool
    range: Prefix
    low: int = 0
    high: int = 65535
    icmp_type: int = -1
    icmp_code: int = -1

    def fits(self, flow: Flow, peer: int) -> bool:
        """Whether the entry speaks about the packet."""
        if peer & self.range[1] != self.range[0]:
            return False
        if not self.protocol:
            return True
        if self.protocol != flow.protocol:
            return False
        if self.protocol == "icmp":
            return self.icmp_type in (-1, flow.icmp_type) and self.icmp_code in (-1, 0)
        return self.low <= flow.port <= self.high


def acl_verdict(entries: Sequence[AclEntry], flow: Flow, peer: int) -> tuple[bool, str]:
    """(passes, which entry): ascending numbers, the first that fits decides, the last word is deny."""
    for entry in entries:
        if entry.fits(flow, peer):
            return entry.allow, "*" if entry.number >= 32767 else str(entry.number)
    return False, "*"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route leads: ``kind`` is local, vgw, igw, nat, pcx or other."""

    kind: str
    id: str
    active: bool = True
    origin: str = ""


def route_table(rows: Iterable[tuple[Prefix, int, Target]], own: Sequence[Prefix]) -> Longest[Target]:
    """A table to look addresses up in; propagated routes inside the VPC's own ranges never win."""
    kept = [
        (where, rank, target)
        for where, rank, target in rows
        if rank != RANK_PROPAGATED or not any(within(where, mine) for mine in own)
    ]
    return Longest(kept)


DEFAULT_ACL: Final = (AclEntry(100, "", True, EVERYWHERE), AclEntry(32767, "", False, EVERYWHERE))
"""The entries of a VPC's default ACL, in each direction."""
