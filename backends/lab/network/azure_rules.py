"""How Azure judges one packet: network security groups with service tags, and the choice of a route."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.network.flow import Flow
from backends.lab.network.prefixes import EVERYWHERE, Longest, Prefix, inside, prefix, prefixes, within

PLATFORM: Final = "168.63.129.16"
"""The address of the platform: health probes, DNS."""

_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
RANK_USER: Final = 0
RANK_GATEWAY: Final = 1
RANK_SYSTEM: Final = 2


@dataclass(frozen=True, slots=True)
class Tags:
    """What the service tags mean for one subnet's machines."""

    virtual_network: tuple[Prefix, ...]

    def holds(self, tag: str, address: int) -> bool:
        """Whether the address belongs to the tag; unknown tags hold nothing."""
        if tag == "virtualnetwork":
            return inside(address, self.virtual_network)
        if tag == "azureloadbalancer":
            return inside(address, (_PLATFORM,))
        if tag == "internet":
            return not inside(address, self.virtual_network)
        return False


@dataclass(frozen=True, slots=True)
class Side:
    """The source or destination of a rule: address ranges, tags, port ranges."""

    ranges: tuple[Prefix, ...]
    tags: tuple[str, ...]
    ports: tuple[tuple[int, int], ...]

    def fits(self, address: int, port: int | None, tags: Tags) -> bool:
        """``port`` None is a packet without ports (ICMP): only a rule for all ports speaks about it."""
        if port is None:
            if (0, 65535) not in self.ports:
                return False
        elif not any(low <= port <= high for low, high in self.ports):
            return False
        return inside(address, self.ranges) or any(tags.holds(tag, address) for tag in self.tags)


@dataclass(frozen=True, slots=True)
class NsgRule:
    """One rule; ``protocol`` is "" for any."""

    name: str
    priority: int
    inbound: bool
    protocol: str
    allow: bool
    source: Side
    destination: Side

    def fits(self, flow: Flow, tags: Tags) -> bool:
        """Whether the rule speaks about the packet."""
        if self.protocol and self.protocol != flow.protocol:
            return False
        has_ports = flow.protocol in ("tcp", "udp")
        ports = (flow.source_port, flow.port) if has_ports else (None, None)
        return self.source.fits(flow.source, ports[0], tags) and self.destination.fits(flow.destination, ports[1], tags)


def compiled(properties: dict[str, Any]) -> tuple[NsgRule, ...]:
    """The rules of an NSG's REST document, own and default, in order of priority."""
    rows = [*properties.get("securityRules", []), *properties.get("defaultSecurityRules", [])]
    return tuple(sorted((_rule(row) for row in rows), key=lambda rule: rule.priority))


def _rule(row: dict[str, Any]) -> NsgRule:
    properties = row["properties"]
    protocol = str(properties["protocol"]).lower()
    return NsgRule(
        name=row["name"],
        priority=int(properties["priority"]),
        inbound=str(properties["direction"]).lower() == "inbound",
        protocol="" if protocol == "*" else protocol,
        allow=str(properties["access"]).lower() == "allow",
        source=_side(properties, "source"),
        destination=_side(properties, "destination"),
    )


def _side(properties: dict[str, Any], side: str) -> Side:
    ranges: list[Prefix] = []
    tags: list[str] = []
    for word in _words(properties, f"{side}AddressPrefix", f"{side}AddressPrefixes"):
        if word.lower() in ("*", "any"):
            ranges.append(EVERYWHERE)
            continue
        try:
            ranges.append(prefix(word))
        except ValueError:
            tags.append(word.lower())
    ports = []
    for word in _words(properties, f"{side}PortRange", f"{side}PortRanges"):
        found = _RANGE.fullmatch(word)
        if word == "*":
            ports.append((0, 65535))
        elif found:
            ports.append((int(found[1]), int(found[2] or found[1])))
    return Side(tuple(ranges), tuple(tags), tuple(ports))


def _words(properties: dict[str, Any], single: str, several: str) -> list[str]:
    words = [properties.get(single), *(properties.get(several) or [])]
    return [str(word) for word in words if word]


def verdict(rules: Sequence[NsgRule], flow: Flow, tags: Tags, *, inbound: bool) -> tuple[bool, str]:
    """(passes, name of the rule): the first in order of priority that speaks about the packet."""
    for rule in rules:
        if rule.inbound == inbound and rule.fits(flow, tags):
            return rule.allow, rule.name
    return False, "no rule"


@dataclass(frozen=True, slots=True)
class NextHop:
    """``kind`` as Azure names it: VnetLocal, VNetPeering, VirtualNetworkGateway, Internet, VirtualAppliance, None."""

    kind: str
    source: str
    name: str = ""


def routes(
    own: Sequence[Prefix],
    peered: Iterable[tuple[Prefix, str]],
    gateway: Iterable[Prefix],
    user: Iterable[tuple[Prefix, str, str]],
) -> Longest[NextHop]:
    """The effective routes of a subnet: ``peered`` are (prefix, VNet id), ``user`` (prefix, next hop type, name)."""
    peered = list(peered)
    system = [*own, *(where for where, _ in peered)]
    rows: list[tuple[Prefix, int, NextHop]] = [
        (where, RANK_USER, NextHop(kind, "User", name)) for where, kind, name in user
    ]
    rows += [(where, RANK_SYSTEM, NextHop("VnetLocal", "Default")) for where in own]
    rows += [(where, RANK_SYSTEM, NextHop("VNetPeering", "Default", vnet)) for where, vnet in peered]
    # The VNet's own and peered ranges win even over more specific routes that the gateway brings.
    rows += [
        (where, RANK_GATEWAY, NextHop("VirtualNetworkGateway", "VirtualNetworkGateway"))
        for where in gateway
        if not any(within(where, mine) for mine in system)
    ]
    rows.append((EVERYWHERE, RANK_SYSTEM, NextHop("Internet", "Default")))
    rows += [(where, RANK_SYSTEM, NextHop("None", "Default")) for where in _RESERVED]
    return Longest(rows)


_PLATFORM: Final = prefix(PLATFORM)
_RESERVED: Final = prefixes(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
