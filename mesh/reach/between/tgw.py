"""Transit gateways: attachments, the table associated with the attachment a packet came by, the longest prefix."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from mesh.addresses import Ranges, cidrs, sample
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vpc import AwsNetwork, TgwAttachment, TgwRoute, TgwRouteTable
from mesh.reach.between.places import INSIDE, LOST, Exit, Leg, Place, lacking, worst_leg
from mesh.reach.between.vpc_routes import GONE, LIVE, tgw_steps
from mesh.reach.between.vpn import leading_to, vpn_hop
from mesh.reach.hops import Hop, Passage

T = TypeVar("T")


def through_tgw(source: Place, target: Place, tgw: str, far: Ranges) -> Leg:
    """From the source VPC's attachment by the table it is associated with to the next attachment."""
    attachments = _both(source, target, "tgw_attachments")
    if isinstance(attachments, Unread):
        return Leg((lacking(source.name, "gateway", attachments, tgw),), LOST)
    own = [item for item in attachments if item.tgw == tgw and item.kind == "vpc" and _is(item, source)]
    if not own:
        hop = Hop(source.name, "gateway", Passage.CLOSED, tgw, f"{source.site.network} is not attached")
        return Leg((hop,), LOST)
    return Leg((_attached(source, own[0]),)).then(_lookup(source, target, own[0], far, attachments))


def vpn_attachment(target: Place, source: Place, tgw: str, vpn: str) -> Leg:
    """What comes in by a VPN: the table associated with its attachment must lead to the target's VPC."""
    attachments = _both(target, source, "tgw_attachments")
    if isinstance(attachments, Unread):
        return Leg((lacking(target.name, "TGW route", attachments, tgw),), INSIDE)
    own = next((item for item in attachments if item.tgw == tgw and item.resource == vpn), None)
    if own is None:
        return Leg((Hop(target.name, "TGW route", Passage.UNKNOWN, tgw, f"no attachment of {vpn} was read"),), INSIDE)
    passage, words = _state(own)
    hops = () if passage is Passage.OPEN else (Hop(target.name, "gateway", passage, tgw, words, excerpt=own.id),)
    return Leg(hops).then(_lookup(source, target, own, target.addresses, attachments))


def _is(attachment: TgwAttachment, place: Place) -> bool:
    return attachment.resource == place.site.network


def _both(one: Place, other: Place, name: str) -> tuple[TgwAttachment, ...] | Unread:
    """Attachments as either side's account sees them: only the owner of a shared TGW sees them all."""
    lists = [getattr(place.site.aws, name) for place in (one, other) if place.site.aws is not None]
    read = [item for item in lists if not isinstance(item, Unread)]
    if not read:
        return next(
            (item for item in lists if isinstance(item, Unread)), Unread("ec2:DescribeTransitGatewayAttachments")
        )
    return tuple(dict.fromkeys(item for found in read for item in found))


def _attached(source: Place, own: TgwAttachment) -> Hop:
    passage, words = _state(own)
    if passage is Passage.OPEN:
        aws = source.site.aws or AwsNetwork()
        subnets = () if isinstance(aws.subnets, Unread) else aws.subnets
        zones = {item.id: item.zone for item in subnets}
        there = {zones.get(subnet, "") for subnet in own.subnets}
        zone = zones.get(source.subnet, "")
        if own.subnets and (isinstance(aws.subnets, Unread) or not zone or "" in there) and zone not in there:
            right = aws.subnets.right if isinstance(aws.subnets, Unread) else ""
            words = "zones of its subnets are not known"
            return Hop(source.name, "gateway", Passage.UNKNOWN, own.tgw, words, excerpt=own.id, missing=right)
        if own.subnets and zone not in there:
            words = f"{own.id} has no subnet in {zone}, where {source.subnet} is"
            return Hop(source.name, "gateway", Passage.CLOSED, own.tgw, words, excerpt=", ".join(own.subnets))
        words = f"{own.id} available"
    return Hop(source.name, "gateway", passage, own.tgw, words, excerpt=own.id)


def _state(item: TgwAttachment) -> tuple[Passage, str]:
    if item.state == "available":
        return Passage.OPEN, ""
    closed = ("deleted", "deleting", "failed", "failing", "rejected", "pending", "pendingAcceptance", "initiating")
    return (Passage.CLOSED if item.state in closed else Passage.UNKNOWN), f"{item.id} is {item.state}"


def _lookup(
    source: Place, target: Place, came_by: TgwAttachment, far: Ranges, attachments: Sequence[TgwAttachment]
) -> Leg:
    kind, site = "TGW route", source.name if source.site.aws is not None else target.name
    if not came_by.route_table or came_by.association != "associated":
        words = f"{came_by.id} is associated with no route table"
        return Leg((Hop(site, kind, Passage.CLOSED, came_by.tgw, words),), LOST)
    table, unread = _table(source, target, came_by.route_table)
    if table is None:
        hop = (
            lacking(site, kind, unread, came_by.route_table)
            if unread
            else Hop(site, kind, Passage.UNKNOWN, came_by.route_table, "the table was not read: of another account?")
        )
        return Leg((hop,), _toward(target))
    if isinstance(table.routes, Unread):
        return Leg((lacking(site, kind, table.routes, table.id),), _toward(target))
    legs = []
    for route, addresses in tgw_steps(table).over(far):
        hop = _route_hop(site, table, route, addresses)
        following = [item for item in attachments if route and item.id in route.attachments]
        leg = Leg((hop,), _toward(target))
        if route is not None and hop.passage is not Passage.CLOSED:
            leg = Leg((hop,)).then(_leave(source, target, came_by.tgw, route, following, addresses, attachments))
        legs.append(leg)
    return worst_leg(legs)


def _toward(target: Place) -> Exit:
    return INSIDE if target.site.aws is not None else LOST


def _table(one: Place, other: Place, identity: str) -> tuple[TgwRouteTable | None, Unread | None]:
    unread = None
    for place in (one, other):
        tables = place.site.aws.tgw_route_tables if place.site.aws is not None else ()
        if isinstance(tables, Unread):
            unread = unread or tables
            continue
        found = next((item for item in tables if item.id == identity), None)
        if found is not None:
            return found, None
    return None, unread


def _route_hop(site: str, table: TgwRouteTable, route: TgwRoute | None, far: Ranges) -> Hop:
    kind = "TGW route"
    routes = () if isinstance(table.routes, Unread) else table.routes
    hidden = [item for item in routes if item.cidrs is None]
    if hidden and (route is None or any(item.attachments != route.attachments for item in hidden)):
        words, right = f"entries of {hidden[0].prefix_list} are not known", "ec2:GetManagedPrefixListEntries"
        return Hop(site, kind, Passage.UNKNOWN, table.id, words, missing=right)
    if not table.complete:
        words = "the answer did not hold all routes: a longer prefix may be among the rest"
        return Hop(site, kind, Passage.UNKNOWN, table.id, words)
    if route is None:
        return Hop(site, kind, Passage.CLOSED, table.id, f"no route to {sample(far)}", far=cidrs(far)[:4])
    words = f"{', '.join(route.cidrs or ())} → {', '.join(route.attachments) or route.state} {route.kind}"
    if route.state == GONE:
        return Hop(site, kind, Passage.CLOSED, table.id, f"{words} blackhole", far=cidrs(far)[:4])
    if route.state != LIVE:
        return Hop(site, kind, Passage.UNKNOWN, table.id, f"{words}: a state that is not understood ({route.state})")
    return Hop(site, kind, Passage.OPEN, table.id, words)


def _leave(
    source: Place,
    target: Place,
    tgw: str,
    route: TgwRoute,
    following: Sequence[TgwAttachment],
    far: Ranges,
    attachments: Sequence[TgwAttachment],
) -> Leg:
    """By the attachments a route names: the target's VPC, VPN connections, or another transit gateway."""
    site = source.name if source.site.aws is not None else target.name
    lost = sorted(set(route.attachments) - {item.id for item in following})
    if lost or not following:
        words = f"attachment {', '.join(lost) or '?'} was not read"
        return Leg((Hop(site, "gateway", Passage.UNKNOWN, tgw, words),), _toward(target))
    kinds = {item.kind for item in following}
    if kinds == {"vpn"}:
        return _by_vpn(source, target, following, tgw, far)
    first = following[0]
    if first.kind == "vpc":
        passage, words = _state(first)
        if not _is(first, target):
            passage, words = Passage.CLOSED, f"{first.id} is {first.resource}, not {target.site.network or target.name}"
        hop = Hop(target.name, "gateway", passage, tgw, words or f"{first.id} to {first.resource}")
        return Leg((hop,), INSIDE)
    if first.kind == "peering":
        other = next((item for item in attachments if item.id == first.id and item.tgw != tgw), None)
        passage, words = _state(first)
        hop = Hop(site, "gateway", passage, tgw, words or f"peering {first.id}")
        if other is None:
            words = f"the transit gateway behind {first.id} was not read"
            return Leg((hop, Hop(target.name, "TGW route", Passage.UNKNOWN, "", words)), _toward(target))
        rest = [item for item in attachments if item.tgw == other.tgw]
        return Leg((hop,)).then(_lookup(source, target, other, far, rest))
    words = f"attachment {first.id} of kind {first.kind} is not modelled"
    return Leg((Hop(site, "gateway", Passage.UNKNOWN, tgw, words),), LOST)


def _by_vpn(source: Place, target: Place, following: Sequence[TgwAttachment], tgw: str, far: Ranges) -> Leg:
    aws = source.site.aws or AwsNetwork()
    candidates, none = leading_to(aws, source.name, tgw, target.site)
    if none is not None:
        return Leg((none,), Exit("vpn"))
    ids = {item.resource for item in following}
    chosen = tuple(vpn for vpn in candidates if vpn.id in ids)
    if not chosen:
        words = f"the route leads to {', '.join(sorted(ids))}, which does not lead to {target.name}"
        return Leg((Hop(source.name, "VPN", Passage.CLOSED, next(iter(sorted(ids))), words),), Exit("vpn", candidates))
    hop, left = vpn_hop(source.name, chosen, source.addresses, far)
    return Leg((hop,), Exit("vpn", vpns=left))


def attachment_subnets(site: Site, tgw: str) -> tuple[str, ...]:
    """Subnets of the VPC's attachment whose NACLs a packet crosses besides the node's own."""
    aws = site.aws
    if aws is None or isinstance(aws.tgw_attachments, Unread):
        return ()
    own: Iterable[TgwAttachment] = (item for item in aws.tgw_attachments if item.tgw == tgw and item.kind == "vpc")
    return tuple(subnet for item in own if item.resource == site.network for subnet in item.subnets)
