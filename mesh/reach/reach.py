"""The verdict for a flow from one site to another: hops of both ends and of what lies between (cloud-network §4).

Cost follows distinct rule sets: nodes are classes, what a class lets through is known for all addresses at once, and
only a class that does not let all of the other site through is judged by itself.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from mesh.addresses import EVERYTHING, NOTHING, AddressError, Ranges, overlap, union
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vpc import AwsNetwork
from mesh.reach.classes import NodeClass, classes_of
from mesh.reach.ends import Ends, FarSide, subnet_of
from mesh.reach.hops import Hop, Passage, Verdict, Way, answered, numbered
from mesh.reach.places import INSIDE, Leg, Place
from mesh.reach.rules import IN, OUT, Flow
from mesh.reach.tgw import attachment_subnets
from mesh.reach.transit import transit
from mesh.reach.vnet_routes import find_vnet
from mesh.reach.vpc_routes import table_of

_V4: Final[Ranges] = EVERYTHING[:1]
_V6: Final[Ranges] = EVERYTHING[1:]


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
        pairs = self._telling(source, target, flow)
        ways = [self.way(*pair, flow) for pair in pairs]
        order = {Passage.CLOSED: 0, Passage.UNKNOWN: 1, Passage.OPEN: 2}
        worst = min(ways, key=lambda way: order[way.passage])
        closed = dict.fromkeys(name for way in ways if way.passage is Passage.CLOSED for name in _blamed(way))
        unknown = dict.fromkeys(name for way in ways if way.passage is Passage.UNKNOWN for name in _blamed(way))
        return Verdict(worst, (len(sources), len(targets)), tuple(closed), tuple(unknown))

    def ways(self, source: str, target: str, flow: Flow) -> tuple[Way, ...]:
        """Every pair of classes by itself."""
        return tuple(self.way(one, other, flow) for one in self.classes(source) for other in self.classes(target))

    def way(self, source: NodeClass, target: NodeClass, flow: Flow) -> Way:
        """All hops from one class to the other, those behind a block too, and those of the replies."""
        near, far = _same_family(source.addresses, target.addresses)
        names = (source.site, target.site, flow, source.name, target.name)
        if not near or not far:
            words = "one end has IPv4 addresses only, the other IPv6 only"
            return Way(*names, hops=numbered([Hop(source.site, "addresses", Passage.CLOSED, "", words)]))
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
        site = self.sites[place.site]
        tgw = next((hop.object for hop in leg.hops if hop.kind == "gateway" and hop.object.startswith("tgw-")), "")
        if site.aws is None or not tgw:
            return ()
        found = attachment_subnets(Place(site, place.subnet, place.addresses), tgw)
        return tuple(subnet for subnet in found if subnet != place.subnet)

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

    def _telling(self, source: str, target: str, flow: Flow) -> list[tuple[NodeClass, NodeClass]]:
        """Pairs of classes that between them show every hop which is not open; one pair when all are.

        A closed or unknown end hop shows with any partner, so a class that lets all of the other site through stands
        for all such.
        """
        sources, targets = self.classes(source), self.classes(target)
        near, far = self._whole_of(source), self._whole_of(target)
        if self._by_reference(source, target) or _mixed(near.addresses) or _mixed(far.addresses):
            return [(one, other) for one in sources for other in targets]
        pairs = [(one, other) for one, other in self._doubtful(source, OUT, flow, far, targets)]
        pairs += [(one, other) for other, one in self._doubtful(target, IN, flow, near, sources)]
        pairs += self._unlike(source, target, flow)
        return list(dict.fromkeys(pairs)) or [(sources[0], targets[0])]

    def _doubtful(
        self, site: str, direction: str, flow: Flow, whole: Place, partners: tuple[NodeClass, ...]
    ) -> list[tuple[NodeClass, NodeClass]]:
        """Classes that do not let all of the other site through, each with a partner it is closed to and one it is
        unsure of.
        """
        key = (site, direction, flow)
        if key not in self._kept_out:
            parts = (part for one in self.classes(site) for part in self._out_of(one, direction, flow))
            self._kept_out[key] = union(*parts)
        if not overlap(self._kept_out[key], whole.addresses):
            return []
        return [
            (one, partner)
            for one in self.classes(site)
            for part in self._out_of(one, direction, flow)
            if part and overlap(part, whole.addresses)
            for partner in [next(item for item in partners if overlap(part, item.addresses))]
        ]

    def _out_of(self, one: NodeClass, direction: str, flow: Flow) -> tuple[Ranges, Ranges]:
        try:
            return self._ends.kept_out(one, direction, flow)
        except AddressError:
            return NOTHING, EVERYTHING

    def _unlike(self, source: str, target: str, flow: Flow) -> list[tuple[NodeClass, NodeClass]]:
        """Pairs between which the way itself is not open: looked at one by one where a whole site is not open."""
        found: list[tuple[NodeClass, NodeClass]] = []
        here, there = self._groups_of(source), self._groups_of(target)
        if all(self._all_open(group.place, self._whole_of(target)) for group in here) and (
            not answered(flow) or all(self._all_open(group.place, self._whole_of(source)) for group in there)
        ):
            return (
                found
                if not self._tgw_subnets(source, target)
                else [(one.classes[0], other.classes[0]) for one in here for other in there]
            )
        for one in (item for group in here for item in _one_per_subnet(group)):
            for other in (item for group in there for item in group.classes):
                found.append((one, other))
        return found

    def _all_open(self, near: Place, far: Place) -> bool:
        return self._leg(near, far).passage is Passage.OPEN

    def _tgw_subnets(self, source: str, target: str) -> bool:
        """Whether transit gateways' own subnets have to be looked at, with their NACLs."""
        sites = (self.sites[source], self.sites[target])
        return any(site.aws is not None and site.aws.tgw_attachments != () for site in sites)

    def _by_reference(self, source: str, target: str) -> bool:
        """Whether rules that name groups may matter: then the partner does."""
        if self.sites[source].aws is None or self.sites[target].aws is None:
            return False
        classes = (*self.classes(source), *self.classes(target))
        groups = {group.id: group for one in classes for group in one.groups}
        return any(peer.startswith("sg-") for group in groups.values() for rule in group.rules for peer in rule.peers)


def _understood(site: str, kind: str, make: Callable[[], list[Hop]]) -> list[Hop]:
    try:
        return make()
    except AddressError as error:
        return [Hop(site, kind, Passage.UNKNOWN, "", f"an answer was not understood: {error}")]


def _one_per_subnet(group: _Group) -> Iterable[NodeClass]:
    return {one.subnet: one for one in reversed(group.classes)}.values()


def _blamed(way: Way) -> tuple[str, ...]:
    """The end whose hop decides."""
    decides = way.decides
    if decides is None:
        return ()
    return (way.source,) if decides.site == way.from_site else (way.target,)


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
    return bool(overlap(addresses, _V4)) and bool(overlap(addresses, _V6))


def _same_family(one: Ranges, other: Ranges) -> tuple[Ranges, Ranges]:
    """Both ends' addresses in the families that both have."""
    both = tuple(part for family in (_V4, _V6) if overlap(one, family) and overlap(other, family) for part in family)
    if both == EVERYTHING:
        return one, other
    return overlap(one, both), overlap(other, both)
