"""Both ends of a directed flow between two clusters' nodes, by the rules of their own groups (cloud-network §4.4).

Only the nodes' security groups and NSGs are judged here, each direction by itself: ``out`` at the source, ``in`` at the
target. What lies between them is another verdict.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from mesh.addresses import EVERYTHING, NOTHING, Ranges, cidrs, minus, overlap, ranges, union
from mesh.model.kubernetes import Node
from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.reach.rules import (
    DEFAULTS_FROM,
    IN,
    Applicable,
    FarEnd,
    Fitting,
    Flow,
    Judged,
    Near,
    applicable,
    judge_group,
    judge_interface,
    nsg_rules,
)


class Guard(Struct, frozen=True):
    """The rules on one cluster's nodes and the nodes themselves; ``network`` is the id of their VPC or VNet.

    ``kept`` holds what is worked out of them, for as long as the guard is used.
    """

    cluster: str
    firewall: Firewall
    nodes: tuple[Node, ...]
    network: str = ""
    kept: dict[Any, Any] = field(default_factory=dict)

    def fitting(self, direction: str, flow: Flow) -> Applicable:
        """``applicable`` rules of each group, worked out once for all far ends."""

        def rules(group: FirewallGroup) -> tuple[Fitting, ...]:
            place = (group.id, group.kind, group.resource_id, direction, flow)
            if place not in self.kept:
                self.kept[place] = applicable(group, direction, flow)
            found: tuple[Fitting, ...] = self.kept[place]
            return found

        return rules

    def classes(self, direction: str) -> "list[tuple[list[FirewallGroup], list[Node], Ranges]]":
        """Nodes that the same groups stand on; one by one where a rule narrows the near end."""
        if direction not in self.kept:
            self.kept[direction] = _classes(self, direction)
        found: list[tuple[list[FirewallGroup], list[Node], Ranges]] = self.kept[direction]
        return found


class Closed(Struct, frozen=True):
    """A group that keeps a flow out: for which far addresses, on which nodes, decided by which rule (None = no match).

    ``foreign`` = the addresses are outside a resolved ``VirtualNetwork`` tag and only Azure's defaults decide: the VPN
    gateway does not know them. ``rules`` counts the rules of that direction.
    """

    cluster: str
    group: FirewallGroup
    direction: str
    flow: Flow
    far: tuple[str, ...]
    nodes: tuple[str, ...]
    rules: int = 0
    decided: FirewallRule | None = None
    nearest: Near | None = None
    foreign: bool = False


class Unsure(Struct, frozen=True):
    """A group, or the lack of one, that leaves the verdict open, and why."""

    cluster: str
    group: str
    why: str


class SideVerdict(Struct, frozen=True):
    """One end of a flow: open when neither closed nor unsure.

    ``later`` are groups that keep out ranges of the far subnets without nodes yet; ``nodes`` counts those judged.
    """

    cluster: str
    direction: str
    flow: Flow
    closed: tuple[Closed, ...] = ()
    unsure: tuple[Unsure, ...] = ()
    allowed_by: tuple[str, ...] = ()
    later: tuple[Closed, ...] = ()
    nodes: int = 0


class Far(Struct, frozen=True):
    """The other end: addresses by the set of groups they are in (None = not known), subnets, network's id."""

    classes: tuple[tuple[frozenset[str] | None, Ranges], ...]
    subnets: Ranges = NOTHING
    network: str = ""

    @property
    def addresses(self) -> Ranges:
        """All present addresses."""
        return union(*(addresses for _, addresses in self.classes))

    def future(self, network: str) -> FarEnd | None:
        """Addresses of the subnets that no node has yet, taken to join the groups that all present nodes are in."""
        rest = minus(self.subnets, self.addresses)
        if not rest:
            return None
        known = [groups for groups, _ in self.classes if groups is not None]
        shared = frozenset.intersection(*known) if known and len(known) == len(self.classes) else None
        return FarEnd(rest, shared, bool(self.network) and self.network == network)


def far_of(nodes: Sequence[Node], firewall: Firewall | None, subnets: Iterable[str] = (), network: str = "") -> Far:
    """A cluster's nodes as the far end of a flow; without nodes, its subnets stand for them.

    ``firewall`` None = it is not known which groups the nodes are in.
    """
    whole = ranges(tuple(subnets))
    every = tuple(address for node in nodes for address in node.internal_ips)
    if firewall is None or not every:
        return Far(((frozenset() if firewall else None, ranges(every) or whole),), whole, network)
    by_groups: dict[frozenset[str], list[str]] = {}
    for node in nodes:
        by_groups.setdefault(_groups_of(firewall, node.name), []).extend(node.internal_ips)
    kept = sorted(by_groups.items(), key=lambda item: sorted(item[0]))
    return Far(tuple((groups, ranges(tuple(addresses))) for groups, addresses in kept), whole, network)


def far_at(addresses: Iterable[str], groups: Iterable[str] = (), network: str = "") -> Far:
    """Addresses that are no nodes: a load balancer's."""
    return Far(((frozenset(groups), ranges(tuple(addresses))),), NOTHING, network)


def judge_side(guard: Guard, direction: str, flow: Flow, far: Far) -> SideVerdict:
    """One end of the flow at ``guard``'s nodes, for every far-end address and for the subnets behind them."""
    closed: dict[tuple[str, str], Closed] = {}
    later: dict[tuple[str, str], Closed] = {}
    unsure: dict[str, Unsure] = {}
    by: dict[str, None] = {}
    fitting, unread = guard.fitting(direction, flow), bool(guard.firewall.unread)
    for groups, nodes, near in guard.classes(direction):
        names = tuple(node.name for node in nodes)
        if not groups:
            missing = _unguarded(guard, names)
            if missing:
                unsure.setdefault(missing.group, missing)
            continue
        for members, addresses in far.classes:
            end = FarEnd(addresses, members, bool(far.network) and far.network == guard.network)
            judged = judge_interface(groups, direction, flow, end, near, unread, fitting)
            by.update((_words(rule), None) for rule in judged.by if rule.allow)
            _gather(closed, _closed(guard, groups, direction, flow, end, near, judged, names))
            if judged.unsure:
                why = _why_unsure(groups, direction, guard.firewall)
                unsure.setdefault(groups[0].id, Unsure(guard.cluster, groups[0].id, why))
        rest = far.future(guard.network)
        if rest is not None:
            judged = judge_interface(groups, direction, flow, rest, near, unread, fitting)
            _gather(later, _closed(guard, groups, direction, flow, rest, near, judged, names))
    found, behind = (tuple(items[place] for place in sorted(items)) for items in (closed, later))
    return SideVerdict(
        guard.cluster, direction, flow, found, tuple(unsure.values()), tuple(by)[:4], behind, len(guard.nodes)
    )


def _gather(found: dict[tuple[str, str], Closed], items: Iterable[Closed]) -> None:
    for item in items:
        place = (item.group.id, item.group.resource_id)
        found[place] = _merge(found.get(place), item)


def open_to(groups: Sequence[FirewallGroup], flow: Flow, far: Far, cluster: str, network: str = "") -> SideVerdict:
    """Groups that stand on no node, such as a load balancer's own, for inbound packets; no group = open."""
    if not groups:
        return SideVerdict(cluster, IN, flow)
    standing = tuple(replace(group, nodes=("",)) for group in groups)
    stand_in = Node("", internal_ips=("0.0.0.0/0", "::/0"))
    return judge_side(Guard(cluster, Firewall(standing), (stand_in,), network), IN, flow, far)


def _groups_of(firewall: Firewall, node: str) -> frozenset[str]:
    return frozenset(group.id for group in firewall.groups if node in group.nodes)


def _classes(guard: Guard, direction: str) -> list[tuple[list[FirewallGroup], list[Node], Ranges]]:
    by_groups: dict[tuple[int, ...], list[Node]] = {}
    for node in guard.nodes:
        standing = (place for place, group in enumerate(guard.firewall.groups) if node.name in group.nodes)
        by_groups.setdefault(tuple(standing), []).append(node)
    found: list[tuple[list[FirewallGroup], list[Node], Ranges]] = []
    for places, nodes in sorted(by_groups.items()):
        members = [guard.firewall.groups[place] for place in places]
        if any(_narrows(rule, direction) for group in members for rule in group.rules):
            found += ((members, [node], ranges(node.internal_ips)) for node in nodes)
        else:
            found.append((members, nodes, EVERYTHING))
    return found


def _narrows(rule: FirewallRule, direction: str) -> bool:
    return rule.direction == direction and bool(rule.near or (rule.destinations if direction == IN else rule.sources))


def _unguarded(guard: Guard, nodes: tuple[str, ...]) -> Unsure | None:
    """Nodes without a group: open in Azure when the reader says so, else not to be told."""
    lost = [node for node in nodes if node not in guard.firewall.unguarded]
    if guard.firewall.unread:
        return Unsure(guard.cluster, guard.firewall.unread[0], f"{guard.firewall.unread[0]} could not be read")
    if lost:
        return Unsure(guard.cluster, "", f"no group was read for {lost[0]}")
    return None


def _closed(
    guard: Guard,
    groups: list[FirewallGroup],
    direction: str,
    flow: Flow,
    far: FarEnd,
    near: Ranges,
    judged: Judged,
    nodes: tuple[str, ...],
) -> list[Closed]:
    if not judged.denied:
        return []
    if groups[0].kind == "sg":
        group = preferred(groups)
        count = sum(rule.direction == direction for one in groups for rule in one.rules)
        return [
            Closed(guard.cluster, group, direction, flow, cidrs(judged.denied), nodes, count, nearest=judged.nearest)
        ]
    found = []
    for group in groups:
        one = judge_group(group, direction, flow, far, near)
        if one.denied:
            decided = next((rule for rule in one.by if not rule.allow), None)
            count = sum(rule.priority < DEFAULTS_FROM for rule in nsg_rules(group, direction))
            foreign = decided is not None and decided.priority >= DEFAULTS_FROM and _foreign(group, one.denied)
            found.append(
                Closed(
                    guard.cluster,
                    group,
                    direction,
                    flow,
                    cidrs(one.denied),
                    nodes,
                    count,
                    decided,
                    one.nearest,
                    foreign,
                )
            )
    return found


def preferred(groups: Sequence[FirewallGroup]) -> FirewallGroup:
    """The security group to change: the owner's own before one that the cloud manages (cloud-network §5.1)."""
    return min(groups, key=lambda group: (group.managed_by in ("EKS", "AKS", "AWS"), bool(group.managed_by), group.id))


def _foreign(group: FirewallGroup, denied: Ranges) -> bool:
    tag = group.tag_prefixes.get("VirtualNetwork")
    return bool(tag) and not overlap(ranges(tag or ()), denied)


def _merge(one: Closed | None, other: Closed) -> Closed:
    if one is None:
        return other
    far = cidrs(union(ranges(one.far), ranges(other.far)))
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    return Closed(
        one.cluster, one.group, one.direction, one.flow, far, nodes, one.rules, one.decided, one.nearest, one.foreign
    )


def _why_unsure(groups: list[FirewallGroup], direction: str, firewall: Firewall) -> str:
    if firewall.unread:
        return f"{firewall.unread[0]} could not be read"
    for group in groups:
        for rule in group.rules:
            if rule.direction == direction and rule.peers:
                return f"{rule.name or rule.id} of {group.id} names {rule.peers[0]}, whose addresses are not known"
    return f"the rules of {groups[0].id} match a part of the packets"


def _words(rule: FirewallRule) -> str:
    return f"{rule.name or rule.id} ({rule.priority})" if rule.priority else rule.name or rule.id
