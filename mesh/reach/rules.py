"""What security groups and NSGs say about one flow (cloud-network §3.4, §4.4): allowed, denied, or not to be told.

Sets of far-end addresses are judged at once, so one evaluation answers for every node and for the subnets behind them.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from mesh.addresses import EVERYTHING, NOTHING, Ranges, minus, overlap, ranges, union
from mesh.model.network import FirewallGroup, FirewallRule

IN: Final = "in"
OUT: Final = "out"
_ALL_PORTS: Final = (0, 65535)
_NUMBERS: Final = {"-1": "*", "all": "*", "any": "*", "1": "icmp", "6": "tcp", "17": "udp", "50": "esp", "58": "icmpv6"}
_WORDS: Final = frozenset(("tcp", "udp", "icmp", "icmpv6", "esp", "ah", "*"))


class Flow(Struct, frozen=True):
    """New packets of one protocol to one destination port; for ``icmp`` the port is the type (8 = echo request)."""

    protocol: str
    port: int

    def __str__(self) -> str:
        return "ICMP echo" if self.protocol == "icmp" else f"{self.port}/{self.protocol}"


ECHO: Final = Flow("icmp", 8)


class Near(Struct, frozen=True):
    """The rule that comes closest to letting a flow in, and the fields that keep it from it."""

    rule: FirewallRule
    fails: tuple[str, ...]


class Judged(Struct, frozen=True):
    """How a set of far-end addresses fares: the three parts are disjoint. ``by`` are the rules that decided."""

    allowed: Ranges = NOTHING
    denied: Ranges = NOTHING
    unsure: Ranges = NOTHING
    by: tuple[FirewallRule, ...] = ()
    nearest: Near | None = None


class FarEnd(Struct, frozen=True):
    """Who is at the other end: addresses, and the security groups they are in.

    ``same_network`` tells whether they share the VPC: there a rule that names a group matches its members; elsewhere
    that depends on how the networks are joined, and addresses behind a VPN it never matches. ``groups`` None = not
    known.
    """

    addresses: Ranges
    groups: frozenset[str] | None = frozenset()
    same_network: bool = False


def protocol_of(rule: FirewallRule) -> str:
    """The rule's protocol as a word: numbers and ``-1`` translated, lower case."""
    return protocol_word(rule.protocol)


def protocol_word(protocol: str) -> str:
    """A protocol as a word: ``6`` and ``TCP`` are ``tcp``, ``-1`` is ``*``."""
    word = protocol.lower()
    return _NUMBERS.get(word, word)


class Fitting(Struct, frozen=True):
    """A rule whose protocol and port fit a flow, and the first and last far-end address it can be about."""

    rule: FirewallRule
    first: int
    last: int


Applicable = Callable[[FirewallGroup], tuple[Fitting, ...]]


def applicable(group: FirewallGroup, direction: str, flow: Flow) -> tuple[Fitting, ...]:
    """The group's rules of that direction whose protocol and port fit the flow, in the order they are judged."""
    rules = sorted(_of(group, direction)) if group.kind == "sg" else nsg_rules(group, direction)
    return tuple(
        Fitting(rule, *_bounds(rule))
        for rule in rules
        if protocol_of(rule) in ("*", flow.protocol) and _port_fits(rule, flow)
    )


def _bounds(rule: FirewallRule) -> tuple[int, int]:
    texts = rule.sources if rule.direction == IN else rule.destinations
    reach = ranges(texts) if texts and not rule.peers else EVERYTHING
    return reach[0][0], reach[-1][1]


def judge_group(
    group: FirewallGroup,
    direction: str,
    flow: Flow,
    far: FarEnd,
    near: Ranges = EVERYTHING,
    fitting: Applicable | None = None,
) -> Judged:
    """One NSG by itself: by priority, the first match decides; nothing matching is denied.

    ``fitting`` gives what ``applicable`` would, where the caller keeps it.
    """
    allowed: Ranges = NOTHING
    unsure: Ranges = NOTHING
    by: list[FirewallRule] = []
    # From the last rule to the first, so that what a rule may or may not match falls back to what comes after it.
    first, last = _ends(far.addresses)
    for item in reversed(fitting(group) if fitting else applicable(group, direction, flow)):
        if item.first > last or item.last < first:
            continue
        rule = item.rule
        sure, maybe = _matched(rule, group, flow, far, near)
        if not sure and not maybe:
            continue
        by.append(rule)
        unsure = minus(unsure, sure)
        if rule.allow:
            allowed = union(allowed, sure)
            unsure = union(unsure, minus(maybe, allowed))
        else:
            allowed = minus(allowed, sure)
            unsure = union(unsure, overlap(maybe, allowed))
            allowed = minus(allowed, maybe)
    denied = minus(far.addresses, union(allowed, unsure))
    by.reverse()
    nearest = nearest_miss(nsg_rules(group, direction), group, flow, far) if denied else None
    return Judged(allowed, denied, unsure, tuple(by), nearest)


def judge_security_groups(
    groups: Sequence[FirewallGroup],
    direction: str,
    flow: Flow,
    far: FarEnd,
    near: Ranges = EVERYTHING,
    unread: bool = False,
    fitting: Applicable | None = None,
) -> Judged:
    """AWS security groups on one interface: the union of their rules; what no rule matches is denied.

    ``unread`` = there may be further groups whose rules are not known: they could allow what these do not.
    """
    allowed: Ranges = NOTHING
    unsure: Ranges = NOTHING
    by: list[FirewallRule] = []
    first, last = _ends(far.addresses)
    for group in groups:
        for item in fitting(group) if fitting else applicable(group, direction, flow):
            if item.first > last or item.last < first:
                continue
            rule = item.rule
            sure, maybe = _matched(rule, group, flow, far, near) if rule.allow else (NOTHING, NOTHING)
            if sure and minus(sure, allowed):
                by.append(rule)
                allowed = union(allowed, sure)
            unsure = union(unsure, maybe) if maybe else unsure
            if allowed == far.addresses:
                return Judged(allowed, by=tuple(by))
    unsure = minus(far.addresses if unread else unsure, allowed)
    denied = minus(far.addresses, union(allowed, unsure))
    nearest = None
    if denied:
        misses = [miss for group in groups if (miss := nearest_miss(_of(group, direction), group, flow, far))]
        nearest = min(misses, key=lambda miss: (len(miss.fails), miss.rule), default=None)
    return Judged(allowed, denied, unsure, tuple(by), nearest)


def judge_interface(
    groups: Sequence[FirewallGroup],
    direction: str,
    flow: Flow,
    far: FarEnd,
    near: Ranges = EVERYTHING,
    unread: bool = False,
    fitting: Applicable | None = None,
) -> Judged:
    """All groups on one node: security groups add up, NSGs of subnet and interface must both allow."""
    security = [group for group in groups if group.kind == "sg"]
    if security:
        return judge_security_groups(security, direction, flow, far, near, unread, fitting)
    judged = [judge_group(group, direction, flow, far, near, fitting) for group in groups]
    allowed, denied = far.addresses, NOTHING
    for one in judged:
        allowed, denied = overlap(allowed, one.allowed), union(denied, one.denied)
    if unread:
        allowed = NOTHING
    unsure = minus(far.addresses, union(allowed, denied))
    nearest = next((one.nearest for one in judged if one.nearest), None)
    return Judged(allowed, denied, unsure, tuple(rule for one in judged for rule in one.by), nearest)


def _ends(addresses: Ranges) -> tuple[int, int]:
    return (addresses[0][0], addresses[-1][1]) if addresses else (0, -1)


def nearest_miss(rules: Iterable[FirewallRule], group: FirewallGroup, flow: Flow, far: FarEnd) -> Near | None:
    """The allowing rule with the fewest fields that do not fit: protocol, port, source (destination of an out rule)."""
    best: Near | None = None
    for rule in rules:
        if not rule.allow or rule.priority >= DEFAULTS_FROM:
            continue
        fails = _fails(rule, group, flow, far)
        if fails and len(fails) < 3 and (best is None or (len(fails), rule) < (len(best.fails), best.rule)):
            best = Near(rule, fails)
    return best


def _fails(rule: FirewallRule, group: FirewallGroup, flow: Flow, far: FarEnd) -> tuple[str, ...]:
    protocol = protocol_of(rule)
    fails = []
    if protocol not in ("*", flow.protocol):
        fails.append("protocol")
    if not _port_fits(rule, flow, any_protocol=True):
        fails.append("port")
    sure, maybe = _far_addresses(rule, group, far)
    if not sure and not maybe:
        fails.append("source" if rule.direction == IN else "destination")
    return tuple(fails)


def _matched(rule: FirewallRule, group: FirewallGroup, flow: Flow, far: FarEnd, near: Ranges) -> tuple[Ranges, Ranges]:
    """Far-end addresses for which a fitting rule surely matches, and those for which that cannot be told."""
    sure, maybe = _far_addresses(rule, group, far)
    whole = rule.source_ports == _ALL_PORTS or flow.protocol == "icmp"
    own = rule.destinations if rule.direction == IN else rule.sources
    if own or rule.near:
        inside, perhaps = overlap(near, ranges(own)), NOTHING
        for peer in rule.near:
            here, unclear = _peer_addresses(peer, group, FarEnd(near))
            inside, perhaps = union(inside, here), union(perhaps, unclear)
        if not inside and not perhaps:
            return NOTHING, NOTHING
        whole = whole and inside == near
    return (sure, maybe) if whole else (NOTHING, union(sure, maybe))


def _port_fits(rule: FirewallRule, flow: Flow, any_protocol: bool = False) -> bool:
    protocol = protocol_of(rule)
    low, high = rule.from_port, rule.to_port
    if (low, high) == _ALL_PORTS or low == -1:
        return True
    if protocol not in _WORDS and protocol.isdigit():
        return True
    if flow.protocol == "icmp":
        # The second number of an ICMP rule is the code; an echo request has code 0.
        return protocol == "icmp" and low == flow.port and high in (-1, 0)
    return (any_protocol or protocol != "icmp") and low <= flow.port <= high


def _far_addresses(rule: FirewallRule, group: FirewallGroup, far: FarEnd) -> tuple[Ranges, Ranges]:
    texts = rule.sources if rule.direction == IN else rule.destinations
    if not texts and not rule.peers:
        # A security group's rule always names its far end: nothing left of it is an empty prefix list.
        return (NOTHING if group.kind == "sg" else far.addresses), NOTHING
    sure = overlap(far.addresses, ranges(texts))
    maybe: Ranges = NOTHING
    for peer in rule.peers:
        inside, unclear = _peer_addresses(peer, group, far)
        sure, maybe = union(sure, inside), union(maybe, unclear)
    return sure, minus(maybe, sure)


def _peer_addresses(peer: str, group: FirewallGroup, far: FarEnd) -> tuple[Ranges, Ranges]:
    if peer in group.tag_prefixes:
        prefixes = group.tag_prefixes[peer]
        if prefixes is not None:
            return overlap(far.addresses, ranges(prefixes)), NOTHING
        return NOTHING, far.addresses
    if peer.startswith("sg-"):
        if far.groups is not None and peer not in far.groups:
            return NOTHING, NOTHING
        return (far.addresses, NOTHING) if far.same_network and far.groups is not None else (NOTHING, far.addresses)
    if peer in ("*", "Any"):
        return far.addresses, NOTHING
    if peer == "Internet" and group.tag_prefixes.get("VirtualNetwork") is not None:
        # Azure: what is not in the VirtualNetwork tag counts as Internet (cloud-network §3.4).
        return minus(far.addresses, ranges(group.tag_prefixes["VirtualNetwork"] or ())), NOTHING
    if peer == "AzureLoadBalancer":
        return overlap(far.addresses, ranges(("168.63.129.16/32",))), NOTHING
    return NOTHING, far.addresses


DEFAULTS_FROM: Final = 65000


def _default(direction: str, priority: int, allow: bool, name: str, peers: tuple[str, ...]) -> FirewallRule:
    return FirewallRule(name, direction, allow, "*", peers=peers, priority=priority, name=name)


_DEFAULTS: Final = {
    IN: (
        _default(IN, 65000, True, "AllowVnetInBound", ("VirtualNetwork",)),
        _default(IN, 65001, True, "AllowAzureLoadBalancerInBound", ("AzureLoadBalancer",)),
        _default(IN, 65500, False, "DenyAllInBound", ()),
    ),
    OUT: (
        _default(OUT, 65000, True, "AllowVnetOutBound", ("VirtualNetwork",)),
        _default(OUT, 65001, True, "AllowInternetOutBound", ("Internet",)),
        _default(OUT, 65500, False, "DenyAllOutBound", ()),
    ),
}


@lru_cache(maxsize=4096)
def _sorted_rules(rules: tuple[FirewallRule, ...], direction: str) -> tuple[FirewallRule, ...]:
    own = sorted((rule for rule in rules if rule.direction == direction), key=lambda r: (r.priority, r))
    if not any(rule.priority >= DEFAULTS_FROM for rule in own):
        own += _DEFAULTS[direction]
    return tuple(own)


def nsg_rules(group: FirewallGroup, direction: str) -> tuple[FirewallRule, ...]:
    """The NSG's rules of one direction by priority, with Azure's defaults where the reader left them out."""
    return _sorted_rules(group.rules, direction)


def _of(group: FirewallGroup, direction: str) -> list[FirewallRule]:
    return [rule for rule in group.rules if rule.direction == direction]
