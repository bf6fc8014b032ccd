"""The verdict for a flow from one site to another: hops of both ends and of what lies between (cloud-network §4).

Cost follows distinct rule sets: nodes are classes, what a class lets through is known for all addresses at once, and
only a class that does not let all of the other site through is judged by itself.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mesh.addresses import EVERYTHING, NOTHING, AddressError, Ranges, meets, overlap, union
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vpc import AwsNetwork
from mesh.reach.between.places import INSIDE, Leg, Place
from mesh.reach.between.tgw import attachment_subnets
from mesh.reach.between.transit import transit
from mesh.reach.between.vnet_routes import find_vnet, subnet_of
from mesh.reach.between.vpc_routes import table_of
from mesh.reach.classes import NodeClass, classes_of
from mesh.reach.ends import Ends, FarSide
from mesh.reach.hops import Hop, Passage, Verdict, Way, answered, numbered
from mesh.reach.rules import IN, OUT, Flow

_V4: Final[Ranges] = EVERYTHING[:1]
_V6: Final[Ranges] = EVERYTHING[1:]


_Pair = tuple[NodeClass, NodeClass]
_RULES: Final = ("SG ", "NACL ", "NSG ", "admin ")


class _Group(Struct, frozen=True, eq=False):
    """Classes of one site that the same routes serve."""

    classes: tuple[NodeClass, ...]
    place: Place


class Reach:
    """Sites and what was worked out of them. Nothing here reads anything; the same facts give the same verdicts."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites = {site.name: site for site in sites}
        self._ends = Ends(self.sites)
        self._classes: dict[str, tuple[NodeClass, ...]] = {}
        self._groups: dict[str, tuple[_Group, ...]] = {}
        self._whole: dict[str, Place] = {}
        self._own: dict[tuple[NodeClass, Ranges], Place] = {}
        self._legs: dict[tuple[Place, Place], Leg] = {}
        self._attached: dict[tuple[str, str], tuple[str, ...]] = {}
        self._beside: dict[tuple[str, Flow], bool] = {}
        self._naming: dict[str, tuple[frozenset[str], frozenset[str] | None]] = {}
        self._kept_out: dict[tuple[str, str, Flow], Ranges] = {}

    def classes(self, site: str) -> tuple[NodeClass, ...]:
        """The site's classes of nodes."""
        if site not in self._classes:
            self._classes[site] = classes_of(self.sites[site])
        return self._classes[site]

    def verdict(self, source: str, target: str, flow: Flow) -> Verdict | None:
        """The flow from one site to the other by its worst pair of classes; None where a site has no nodes."""
        sources, targets = self.classes(source), self.classes(target)
        if not sources or not targets:
            return None
        if self._every_pair(source, target, flow):
            return _verdict(self.ways(source, target, flow), (len(sources), len(targets)))
        shut, unsure = self._doubtful(source, target, OUT, flow)
        behind, perhaps = self._doubtful(target, source, IN, flow)
        pairs = [*shut[:1], *unsure[:1], *((one, other) for other, one in (*behind[:1], *perhaps[:1]))]
        pairs += self._not_open(source, target, flow)
        ways = [self.way(*pair, flow) for pair in dict.fromkeys(pairs)] or [self.way(sources[0], targets[0], flow)]
        made = _verdict(ways, (len(sources), len(targets)))
        closed = tuple(one.name for one, _ in (*shut, *behind))
        unknown = tuple(one.name for one, _ in (*unsure, *perhaps) if one.name not in closed)
        return replace(made, closed=closed, unknown=unknown)

    def ways(self, source: str, target: str, flow: Flow) -> tuple[Way, ...]:
        """Every pair of classes by itself."""
        return tuple(self.way(one, other, flow) for one in self.classes(source) for other in self.classes(target))

    def way(self, source: NodeClass, target: NodeClass, flow: Flow) -> Way:
        """All hops from one class to the other, those behind a block too, and those of the replies."""
        near, far = _same_family(source.addresses, target.addresses)
        names = (source.site, target.site, flow, source.name, target.name)
        if not near or not far:
            return Way(*names, hops=numbered([_no_family(source, target)]))
        there = self._leg(self._place(source, near), self._place(target, far))
        crossing = source.subnet != target.subnet or source.site != target.site or not source.subnet
        crossing = crossing and not self._one_subnet(source, target)
        hops = [
            *self._end(source, OUT, flow, self._far_side(source, target, far), crossing),
            *self._with_attachments(source, target, near, far, flow, there),
            *self._end(target, IN, flow, self._far_side(target, source, near), crossing),
        ]
        hops += self._last(target)
        forward = numbered(hops)
        if not answered(flow):
            return Way(*names, hops=forward)
        back = self._reply(source, target, near, far, flow, crossing)
        return Way(*names, hops=forward, reply=numbered(back, len(forward) + 1))

    # Ends

    def _one_subnet(self, source: NodeClass, target: NodeClass) -> bool:
        same_network = self.sites[source.site].network == self.sites[target.site].network
        return same_network and bool(source.subnet) and source.subnet == target.subnet

    def _end(self, near: NodeClass, direction: str, flow: Flow, far: FarSide, crossing: bool) -> list[Hop]:
        kind = "rules"
        premises = self.sites[near.site].premises
        if premises is None:
            return _understood(near.site, kind, lambda: self._ends.hops(near, direction, flow, far, crossing))
        asked = "icmp" if flow.protocol == "icmp" else f"{flow.protocol}/{flow.port}"
        if asked in premises.flows:
            return [Hop(near.site, "site", Passage.OPEN, near.site, f"{asked} declared in meshwright.toml")]
        return [Hop(near.site, "site", Passage.UNKNOWN, near.site, f"{asked} is not declared in meshwright.toml")]

    def _far_side(self, near: NodeClass, far: NodeClass, addresses: Ranges) -> FarSide:
        """Group references hold inside a VPC, perhaps across a peering, never across a VPN."""
        one, other = self.sites[near.site], self.sites[far.site]
        if one.aws is None or other.aws is None:
            return FarSide(addresses)
        return FarSide(addresses, far.members, one.network == other.network)

    def _last(self, target: NodeClass) -> list[Hop]:
        site = self.sites[target.site]
        if site.aws is None and site.azure is None:
            return []
        words = "firewall: not modelled, not judged"
        return [Hop(target.site, "node", Passage.UNKNOWN, target.name, words, judged=False)]

    def _reply(
        self, source: NodeClass, target: NodeClass, near: Ranges, far: Ranges, flow: Flow, crossing: bool
    ) -> list[Hop]:
        """Answers: stateful groups let them pass; network ACLs and routes must do so by themselves."""
        back = self._leg(self._place(target, far), self._place(source, near))
        hops: list[Hop | None] = []
        if crossing:
            hops.append(self._answer(target, OUT, flow, near))
        hops += back.hops
        for place, direction, addresses in ((target, IN, far), (source, OUT, near)):
            hops += [self._answer(place, direction, flow, addresses, subnet) for subnet in self._crossed(place, back)]
        if crossing:
            hops.append(self._answer(source, IN, flow, far))
        return [hop for hop in hops if hop is not None]

    def _answer(self, near: NodeClass, direction: str, flow: Flow, far: Ranges, subnet: str = "") -> Hop | None:
        made = _understood(
            near.site,
            f"NACL {direction}, reply",
            lambda: [hop] if (hop := self._ends.reply_hop(near, direction, flow, far, subnet)) else [],
        )
        return made[0] if made else None

    def _with_attachments(
        self, source: NodeClass, target: NodeClass, near: Ranges, far: Ranges, flow: Flow, leg: Leg
    ) -> list[Hop]:
        """The hops between, with the NACLs of the transit gateway's own subnets where they are not the nodes'."""
        hops: list[Hop] = []
        for place, direction, addresses in ((source, IN, near), (target, OUT, far)):
            made = [
                self._ends.nacl_hop(place, direction, flow, addresses, subnet, f"NACL of TGW subnet {direction}")
                for subnet in self._crossed(place, leg)
            ]
            hops += leg.hops if direction == OUT else ()
            hops += made
        return hops

    def _crossed(self, place: NodeClass, leg: Leg) -> tuple[str, ...]:
        """Subnets of the site's transit gateway attachment that the leg crosses."""
        tgw = next((hop.object for hop in leg.hops if hop.kind == "gateway" and hop.object.startswith("tgw-")), "")
        if not tgw:
            return ()
        key = (place.site, tgw)
        if key not in self._attached:
            self._attached[key] = attachment_subnets(self.sites[place.site], tgw)
        return tuple(subnet for subnet in self._attached[key] if subnet != place.subnet)

    # Between

    def _place(self, one: NodeClass, addresses: Ranges) -> Place:
        key = (one, addresses)
        if key not in self._own:
            self._own[key] = Place(self.sites[one.site], one.subnet, addresses)
        return self._own[key]

    def _leg(self, source: Place, target: Place) -> Leg:
        key = (source, target)
        if key not in self._legs:
            try:
                self._legs[key] = transit(source, target)
            except AddressError as error:
                hop = Hop(source.name, "route", Passage.UNKNOWN, "", f"an answer was not understood: {error}")
                self._legs[key] = Leg((hop,), INSIDE)
        return self._legs[key]

    def _groups_of(self, site: str) -> tuple[_Group, ...]:
        """Classes by what routes them: the table, and the zone where a transit gateway may be used."""
        if site not in self._groups:
            kept: dict[tuple[str, ...], list[NodeClass]] = {}
            for one in self.classes(site):
                kept.setdefault(_routing(self.sites[site], one.subnet), []).append(one)
            self._groups[site] = tuple(
                _Group(
                    tuple(members),
                    Place(self.sites[site], members[0].subnet, union(*(one.addresses for one in members))),
                )
                for members in kept.values()
            )
        return self._groups[site]

    def _whole_of(self, site: str) -> Place:
        if site not in self._whole:
            groups = self._groups_of(site)
            addresses = union(*(group.place.addresses for group in groups))
            self._whole[site] = groups[0].place if len(groups) == 1 else Place(self.sites[site], "", addresses)
        return self._whole[site]

    # Which pairs tell all

    def _every_pair(self, source: str, target: str, flow: Flow) -> bool:
        """Whether what one end says depends on the class at the other: then no class stands for others."""
        near, far = self._whole_of(source).addresses, self._whole_of(target).addresses
        one, other = self.sites[source], self.sites[target]
        if _mixed(near) or _mixed(far) or (one.network and one.network == other.network):
            return True
        if not all(item.addresses for item in (*self.classes(source), *self.classes(target))):
            return True
        return self._by_reference(source, target) or self._attachments_shut(source, target, flow)

    def _doubtful(self, site: str, other: str, direction: str, flow: Flow) -> tuple[list[_Pair], list[_Pair]]:
        """Classes whose own rules keep out some of the other site, and those of which that is not known, each with a
        class there. A class that lets all of the other site through is like any other such.
        """
        key, whole = (site, direction, flow), self._whole_of(other).addresses
        if key not in self._kept_out:
            parts = (part for one in self.classes(site) for part in self._out_of(one, direction, flow))
            self._kept_out[key] = union(*parts)
        found: tuple[list[_Pair], list[_Pair]] = ([], [])
        if not meets(self._kept_out[key], whole):
            return found
        partners = self.classes(other)
        for one in self.classes(site):
            for part, pairs in zip(self._out_of(one, direction, flow), found, strict=True):
                if meets(part, whole):
                    pairs.append((one, next(item for item in partners if meets(part, item.addresses))))
        return found

    def _out_of(self, one: NodeClass, direction: str, flow: Flow) -> tuple[Ranges, Ranges]:
        try:
            if self.sites[one.site].premises is not None:
                return NOTHING, NOTHING
            return self._ends.kept_out(one, direction, flow)
        except AddressError:
            return NOTHING, EVERYTHING

    def _not_open(self, source: str, target: str, flow: Flow) -> list[_Pair]:
        """Pairs that show what is not open between the sites: one for each group of classes with routes of its own."""
        found: list[_Pair] = []
        for here, there, back in ((source, target, False), (target, source, True)):
            if back and not answered(flow):
                continue
            for group in self._groups_of(here):
                passage = self._leg(group.place, self._whole_of(there)).passage
                if passage is not Passage.OPEN:
                    one, other = self._showing(group, there, passage)
                    found.append((other, one) if back else (one, other))
        return found

    def _showing(self, group: _Group, there: str, passage: Passage) -> _Pair:
        """The first pair for which the way is as it is for the whole."""
        pairs = [(one, other) for one in _one_per_subnet(group) for other in self.classes(there)]
        for one, other in pairs:
            if self._leg(self._place(one, one.addresses), self._place(other, other.addresses)).passage is passage:
                return one, other
        return pairs[0]

    def _attachments_shut(self, source: str, target: str, flow: Flow) -> bool:
        """Whether NACLs of transit gateways' own subnets may keep something out."""
        for site in (source, target):
            key = (site, flow)
            if key not in self._beside:
                subnets = _attached(self.sites[site])
                self._beside[key] = any(
                    self._beside_shut(site, subnet, direction, flow) for subnet in subnets for direction in (IN, OUT)
                )
        return self._beside[source, flow] or self._beside[target, flow]

    def _beside_shut(self, site: str, subnet: str, direction: str, flow: Flow) -> bool:
        one, own = self.classes(site)[0], self._whole_of(site).addresses
        hops = _understood(site, "NACL", lambda: [self._ends.nacl_hop(one, direction, flow, own, subnet)])
        answer = self._answer(one, direction, flow, own, subnet)
        return any(hop is not None and hop.passage is not Passage.OPEN for hop in (*hops, answer))

    def _by_reference(self, source: str, target: str) -> bool:
        """Whether a rule of one site names a group that nodes of the other are in, or may be in."""
        if self.sites[source].aws is None or self.sites[target].aws is None:
            return False
        (named, own), (others, members) = self._named(source), self._named(target)
        return any(one and (there is None or one & there) for one, there in ((named, members), (others, own)))

    def _named(self, site: str) -> tuple[frozenset[str], frozenset[str] | None]:
        """Groups that the site's rules name, and those its nodes are in (None = not known of some)."""
        if site not in self._naming:
            classes = self.classes(site)
            groups = {group.id: group for one in classes for group in one.groups}
            peers = (peer for group in groups.values() for rule in group.rules for peer in rule.peers)
            lost = any(one.members is None for one in classes)
            named = frozenset(peer for peer in peers if peer.startswith("sg-"))
            self._naming[site] = (named, None if lost else frozenset(groups))
        return self._naming[site]


def _no_family(source: NodeClass, target: NodeClass) -> Hop:
    lost = next((one for one in (source, target) if not one.addresses), None)
    if lost is not None:
        return Hop(lost.site, "addresses", Passage.UNKNOWN, lost.name, f"no address of {lost.name} is known")
    words = "one end has IPv4 addresses only, the other IPv6 only"
    return Hop(source.site, "addresses", Passage.CLOSED, "", words)


def _understood(site: str, kind: str, make: Callable[[], list[Hop]]) -> list[Hop]:
    try:
        return make()
    except AddressError as error:
        return [Hop(site, kind, Passage.UNKNOWN, "", f"an answer was not understood: {error}")]


def _verdict(ways: Sequence[Way], classes: tuple[int, int]) -> Verdict:
    order = {Passage.CLOSED: 0, Passage.UNKNOWN: 1, Passage.OPEN: 2}
    worst = min(ways, key=lambda way: order[way.passage])
    closed = dict.fromkeys(name for way in ways for name in _blamed(way, Passage.CLOSED))
    unknown = dict.fromkeys(name for way in ways for name in _blamed(way, Passage.UNKNOWN) if name not in closed)
    return Verdict(worst, classes, tuple(closed), tuple(unknown))


def _one_per_subnet(group: _Group) -> Iterable[NodeClass]:
    return {one.subnet: one for one in reversed(group.classes)}.values()


def _blamed(way: Way, passage: Passage) -> Iterable[str]:
    """The ends whose own rules make it so."""
    for hop in (*way.hops, *way.reply):
        if hop.passage is passage and hop.kind.startswith(_RULES):
            yield way.source if hop.site == way.from_site else way.target


def _attached(site: Site) -> set[str]:
    aws = site.aws
    # Unread NACLs leave every class in doubt by its own subnet's already: the others add nothing to the verdict.
    if aws is None or isinstance(aws.tgw_attachments, Unread) or isinstance(aws.nacls, Unread):
        return set()
    return {item for one in aws.tgw_attachments if one.resource == site.network for item in one.subnets}


def _routing(site: Site, subnet: str) -> tuple[str, ...]:
    if site.aws is not None:
        return _vpc_routing(site.aws, site.network, subnet)
    vnet = find_vnet(site.azure, site.network) if site.azure is not None else None
    place = subnet_of(vnet, subnet) if vnet is not None else None
    return (place.route_table.casefold() if place else subnet,)


def _vpc_routing(aws: AwsNetwork, vpc: str, subnet: str) -> tuple[str, ...]:
    if isinstance(aws.route_tables, Unread):
        return ("",)
    table = table_of(aws.route_tables, vpc, subnet)
    zone = ""
    if aws.tgw_attachments:
        subnets = () if isinstance(aws.subnets, Unread) else aws.subnets
        zone = next((item.zone for item in subnets if item.id == subnet), subnet)
    return (table.id if table and subnet else "", zone)


def _mixed(addresses: Ranges) -> bool:
    return bool(addresses) and addresses[0][0] <= _V4[0][1] and addresses[-1][0] >= _V6[0][0]


def _same_family(one: Ranges, other: Ranges) -> tuple[Ranges, Ranges]:
    """Both ends' addresses in the families that both have."""
    if one and other and not _mixed(one) and not _mixed(other) and (one[0][0] > _V4[0][1]) == (other[0][0] > _V4[0][1]):
        return one, other
    both = tuple(part for family in (_V4, _V6) if overlap(one, family) and overlap(other, family) for part in family)
    return overlap(one, both), overlap(other, both)
