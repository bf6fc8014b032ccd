"""Nodes that the same rules stand on: what is judged once for all of them (cloud-network §4.1)."""

from msgspec import Struct

from mesh.addresses import NOTHING, AddressError, Ranges, meets, ranges, union
from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.model.site import NodePlace, Site


class NodeClass(Struct, frozen=True, eq=False):
    """Nodes of one subnet with the same groups, which no rule tells apart by their own addresses.

    ``members`` are the ids of the security groups they are in, None = not known. ``missing`` is why there may be
    further groups than ``groups``; ``unguarded`` = known to have none.
    """

    site: str
    nodes: tuple[str, ...]
    addresses: Ranges
    subnet: str
    groups: tuple[FirewallGroup, ...] = ()
    members: frozenset[str] | None = frozenset()
    missing: str = ""
    unguarded: bool = False

    @property
    def name(self) -> str:
        """Its first node."""
        return self.nodes[0] if self.nodes else ""


def classes_of(site: Site) -> tuple[NodeClass, ...]:
    """A site's nodes by rule set; a site described by prefixes only is one class."""
    if site.premises is not None and not site.nodes:
        return (NodeClass(site.name, (site.name,), valid(site.premises.prefixes), ""),)
    firewall = site.firewall or Firewall()
    standing, narrow = _standing(firewall), _narrowing(site, firewall)
    named = {node.name for node in site.nodes}
    foreign = any(item not in named for item in firewall.unread)
    kept: dict[_Key, list[NodePlace]] = {}
    for node in sorted(site.nodes):
        places = standing.get(node.name, ())
        signature = tuple(_meets(own, node) for place in places for own in narrow[place])
        lost = foreign or node.name in firewall.unread
        key = _Key(node.subnet, places, signature, lost, not places and node.name in firewall.unguarded)
        kept.setdefault(key, []).append(node)
    return tuple(_class(site, firewall, key, nodes) for key, nodes in kept.items())


class _Key(Struct, frozen=True):
    subnet: str
    places: tuple[int, ...]
    signature: tuple[tuple[bool, ...], ...]
    lost: bool
    bare: bool


def _class(site: Site, firewall: Firewall, key: _Key, nodes: list[NodePlace]) -> NodeClass:
    cloud = site.aws is not None or site.azure is not None
    groups = tuple(firewall.groups[place] for place in key.places)
    missing = _missing(site, key) if cloud else ""
    return NodeClass(
        site.name,
        tuple(node.name for node in nodes),
        valid(tuple(address for node in nodes for address in node.addresses)),
        key.subnet,
        groups,
        None if missing else frozenset(group.id for group in groups if group.kind == "sg"),
        missing,
        key.bare or not cloud,
    )


def _standing(firewall: Firewall) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for place, group in enumerate(firewall.groups):
        for node in group.nodes:
            found.setdefault(node, []).append(place)
    return {node: tuple(places) for node, places in found.items()}


def _narrowing(site: Site, firewall: Firewall) -> list[list[Ranges]]:
    """By group, the near ends its rules name: nodes that fare alike with all of them need no judging apart."""
    tags = site.azure.tags if site.azure is not None else {}
    found = []
    for group in firewall.groups:
        own = dict.fromkeys(texts for rule in group.rules if (texts := _own(rule, tags)))
        found.append([valid(texts) for texts in own])
    return found


def valid(texts: tuple[str, ...]) -> Ranges:
    """The addresses among these; what is none is left out here, and makes unknown where a rule is judged by it."""
    try:
        return ranges(texts)
    except AddressError:
        return union(*(valid((text,)) for text in texts)) if len(texts) > 1 else NOTHING


def _own(rule: FirewallRule, tags: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    texts = rule.destinations if rule.direction == "in" else rule.sources
    return (*texts, *(prefix for tag in rule.near for prefix in tags.get(tag, ()))) if rule.near else texts


def _meets(own: Ranges, node: NodePlace) -> tuple[bool, ...]:
    return tuple(_holds(own, address) for address in node.addresses)


def _holds(own: Ranges, address: str) -> bool:
    return meets(own, valid((address,)))


def _missing(site: Site, key: _Key) -> str:
    if site.firewall is None:
        return str(site.lacks) if site.lacks else "the groups of the nodes were not read"
    if key.lost:
        return "its network interface or a group could not be read"
    if not key.places and not key.bare:
        return "no group was read for it"
    return ""
