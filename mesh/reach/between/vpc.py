"""Out of a VPC and into one: routes, virtual private and transit gateways, peerings (cloud-network §4.2, §4.3)."""

from msgspec.structs import replace

from mesh.addresses import Ranges, cidrs, sample
from mesh.model.unread import Unread
from mesh.model.vpc import AwsNetwork, SiteToSiteVpn, VpcRoute, VpcRouteTable
from mesh.reach.between.places import INSIDE, Exit, Leg, Place, lacking, private, worst_leg
from mesh.reach.between.tgw import through_tgw, vpn_attachment
from mesh.reach.between.vpc_routes import (
    APPLIANCES,
    EXITS,
    GONE,
    LIVE,
    edge_table,
    length,
    route_words,
    shadowed,
    table_of,
    unread_routes,
    vpc_steps,
)
from mesh.reach.between.vpn import leading_to, rival, vgw_knows, vpn_hop
from mesh.reach.hops import Hop, Passage

_FOLLOWED = ("vgw", "tgw", "pcx")


def out_of_vpc(source: Place, target: Place) -> Leg:
    """From the subnet's route table to where the packets leave AWS, or stand before the target's subnet."""
    aws = source.site.aws
    if aws is None:
        return Leg()
    if isinstance(aws.route_tables, Unread):
        return Leg((lacking(source.name, "route", aws.route_tables),)).then(_intended_leg(source, target))
    table = table_of(aws.route_tables, source.site.network, source.subnet)
    if table is None or not source.subnet:
        where = source.subnet or f"the subnet of the nodes of {source.name}"
        hop = Hop(source.name, "route", Passage.UNKNOWN, "", f"no route table was read for {where}")
        return Leg((hop,)).then(_intended_leg(source, target))
    parts = vpc_steps(table).over(target.addresses)
    return worst_leg([_by_route(source, target, table, route, addresses) for route, addresses in parts])


def _by_route(source: Place, target: Place, table: VpcRouteTable, route: VpcRoute | None, far: Ranges) -> Leg:
    hop = _route_hop(source, target, table, route, far)
    leg = Leg((hop,))
    if route is not None and route.kind == "local" and hop.passage is Passage.OPEN:
        return Leg((hop,), INSIDE)
    if route is not None and route.kind in _FOLLOWED and route.state == LIVE:
        return leg.then(_follow(route.kind, route.target, source, target, far))
    return leg.then(_intended_leg(source, target))


def _route_hop(source: Place, target: Place, table: VpcRouteTable, route: VpcRoute | None, far: Ranges) -> Hop:
    passage, words = _route_says(source, target, table, route, far)
    far_texts = cidrs(far)[:4] if passage is not Passage.OPEN else ()
    hidden = next((item for item in unread_routes(table) if route is None or item.target != route.target), None)
    if hidden is not None and not (route is not None and not route.propagated and _host_route(route, far)):
        words = f"a route to {hidden.prefix_list} → {hidden.target}: its entries are not known"
        right = "ec2:GetManagedPrefixListEntries"
        return Hop(source.name, "route", Passage.UNKNOWN, table.id, words, far=far_texts, missing=right)
    excerpt = route_words(route) if route else f"{len(table.routes)} routes"
    return Hop(source.name, "route", passage, table.id, words, excerpt=excerpt, far=far_texts)


def _host_route(route: VpcRoute, far: Ranges) -> bool:
    return (
        bool(far)
        and all(length(low, high) in (32, 128) for low, high in far)
        and set(cidrs(far)) <= set(route.cidrs or ())
    )


def _route_says(
    source: Place, target: Place, table: VpcRouteTable, route: VpcRoute | None, far: Ranges
) -> tuple[Passage, str]:
    if route is None:
        return Passage.CLOSED, f"no route to {sample(far)}"
    words = route_words(route)
    if route.state == GONE:
        return Passage.CLOSED, f"{words}: its target is gone"
    if route.state != LIVE:
        return Passage.UNKNOWN, f"{words}: a state that is not understood"
    if route.kind == "local":
        if target.site.network == source.site.network:
            return Passage.OPEN, words
        return Passage.CLOSED, f"{words}: {sample(far)} lies in this VPC's own range"
    if route.kind in _FOLLOWED:
        return Passage.OPEN, words
    if route.kind in EXITS:
        if not private(far):
            return Passage.UNKNOWN, f"{words}: over the Internet, not modelled"
        hidden = shadowed(table, route, far, _transits(source))
        if hidden is None:
            return Passage.CLOSED, f"{words}: no route to the VPN"
        return Passage.CLOSED, f"{words}: static route shadows the VPN ({route_words(hidden)})"
    kind = "appliance" if route.kind in APPLIANCES else f"target of kind {route.kind}"
    return Passage.UNKNOWN, f"{words}: {kind} {route.target} is not modelled, it may drop"


def _transits(source: Place) -> tuple[str, ...]:
    """Gateways and peerings that lead out of the VPC."""
    return tuple(identity for _, identity in _leaving(source))


def _leaving(source: Place) -> list[tuple[str, str]]:
    aws, vpc = source.site.aws or AwsNetwork(), source.site.network
    found: list[tuple[str, str]] = []
    if not isinstance(aws.peerings, Unread):
        found += (("pcx", item.id) for item in aws.peerings if vpc in (item.requester, item.accepter))
    if not isinstance(aws.vgws, Unread):
        found += (("vgw", item.id) for item in aws.vgws if vpc in item.attached)
    if not isinstance(aws.tgw_attachments, Unread):
        found += (("tgw", item.tgw) for item in aws.tgw_attachments if item.kind == "vpc" and item.resource == vpc)
    return found


def _intended_leg(source: Place, target: Place) -> Leg:
    """Past a route that does not lead there: the gateway that would, so that what lies behind is judged too."""
    aws = source.site.aws or AwsNetwork()
    if target.site.network == source.site.network:
        return Leg((), INSIDE)
    peerings = () if isinstance(aws.peerings, Unread) else aws.peerings
    ways = [
        (kind, identity)
        for kind, identity in _leaving(source)
        if kind != "pcx"
        or any(item.id == identity and target.site.network in (item.requester, item.accepter) for item in peerings)
    ]
    legs = [_follow(kind, identity, source, target, target.addresses) for kind, identity in ways]
    return max(legs, key=lambda leg: (leg.exit.kind != "lost", leg.passage is Passage.OPEN), default=Leg())


def _follow(kind: str, identity: str, source: Place, target: Place, far: Ranges) -> Leg:
    if kind == "pcx":
        return _peering(source, target, identity)
    if kind == "tgw":
        return through_tgw(source, target, identity, far)
    return _vgw(source, target, identity, far)


def _peering(source: Place, target: Place, identity: str) -> Leg:
    aws = source.site.aws or AwsNetwork()
    if isinstance(aws.peerings, Unread):
        return Leg((lacking(source.name, "peering", aws.peerings, identity),), _arrived(target))
    item = next((one for one in aws.peerings if one.id == identity), None)
    if item is None:
        words = "not found: deleted, or of another account"
        return Leg((Hop(source.name, "peering", Passage.UNKNOWN, identity, words),), _arrived(target))
    other = item.accepter if item.requester == source.site.network else item.requester
    if item.state != "active":
        known = item.state in ("deleted", "deleting", "rejected", "failed", "expired", "pending-acceptance")
        passage, words = (Passage.CLOSED if known else Passage.UNKNOWN), f"status {item.state}"
    elif other != target.site.network:
        # Peerings carry nothing on: a gateway or peering of the other VPC is out of reach.
        passage, words = Passage.CLOSED, f"leads to {other}, not to {target.site.network or target.name}"
    else:
        passage, words = Passage.OPEN, f"active, to {other}"
    excerpt = f"{item.requester} ↔ {item.accepter} {item.state}"
    return Leg((Hop(source.name, "peering", passage, identity, words, excerpt=excerpt),), _arrived(target))


def _arrived(target: Place) -> Exit:
    return INSIDE if target.site.aws is not None else Exit("lost")


def _vgw(source: Place, target: Place, identity: str, far: Ranges) -> Leg:
    aws = source.site.aws or AwsNetwork()
    gateway = Leg((_vgw_hop(aws, source, identity),))
    candidates, none = leading_to(aws, source.name, identity, target.site)
    if none is not None:
        return gateway.then(Leg((none,), Exit("vpn")))
    hop, left = vpn_hop(
        source.name, candidates, source.addresses, far, lambda vpn: vgw_knows(vpn, aws.route_tables, far)
    )
    same = () if isinstance(aws.vpns, Unread) else tuple(vpn for vpn in aws.vpns if vpn.gateway == identity)
    other = rival(same, candidates, far) if hop.passage is Passage.OPEN else ""
    if other:
        hop = replace(hop, passage=Passage.UNKNOWN, rule=f"{other} has a static route to {sample(far)} too")
    return gateway.then(Leg((hop,), Exit("vpn", vpns=left)))


def _vgw_hop(aws: AwsNetwork, place: Place, identity: str) -> Hop:
    if isinstance(aws.vgws, Unread):
        return lacking(place.name, "gateway", aws.vgws, identity)
    item = next((one for one in aws.vgws if one.id == identity), None)
    if item is None:
        return Hop(place.name, "gateway", Passage.CLOSED, identity, "not found: deleted")
    state = item.attached.get(place.site.network, "detached")
    if state == "attached" and item.state == "available":
        return Hop(place.name, "gateway", Passage.OPEN, identity, "attached")
    known = state in ("detached", "detaching", "attaching") or item.state in ("deleted", "deleting", "pending")
    passage = Passage.CLOSED if known else Passage.UNKNOWN
    words = f"{state} from {place.site.network}" if state == "detached" else f"{state}; {item.state}"
    return Hop(place.name, "gateway", passage, identity, words)


def into_vpc(target: Place, source: Place, vpns: tuple[SiteToSiteVpn, ...]) -> Leg:
    """From the VPN connections to the target's subnet: gateway, then the edge route or the transit gateway's table."""
    aws = target.site.aws or AwsNetwork()
    legs = []
    for gateway in dict.fromkeys(vpn.gateway for vpn in vpns):
        if gateway.startswith("tgw-"):
            members = [vpn for vpn in vpns if vpn.gateway == gateway]
            legs += [vpn_attachment(target, source, gateway, vpn.id) for vpn in members]
        else:
            hops = [_edge_hop(aws, target, gateway)]
            attached = _vgw_hop(aws, target, gateway)
            if attached.passage is not Passage.OPEN:
                hops.insert(0, attached)
            legs.append(Leg(tuple(hops), INSIDE))
    return worst_leg(legs) if legs else Leg((), INSIDE)


def _edge_hop(aws: AwsNetwork, target: Place, gateway: str) -> Hop:
    """A route table of the gateway's own may send what comes in to an appliance."""
    if isinstance(aws.route_tables, Unread):
        return lacking(target.name, "edge route", aws.route_tables, gateway)
    table = edge_table(aws.route_tables, gateway)
    if table is None:
        return Hop(target.name, "edge route", Passage.OPEN, gateway, "no table attached")
    worst_found = Hop(target.name, "edge route", Passage.OPEN, table.id, "local")
    for route, addresses in vpc_steps(table).over(target.addresses):
        if route is not None and route.state == LIVE and route.kind == "local":
            continue
        words = route_words(route) if route else f"no route to {sample(addresses)}"
        if route is None or route.state == GONE:
            return Hop(target.name, "edge route", Passage.CLOSED, table.id, words, far=cidrs(addresses)[:4])
        words += f": appliance {route.target} is not modelled, it may drop"
        worst_found = Hop(target.name, "edge route", Passage.UNKNOWN, table.id, words, far=cidrs(addresses)[:4])
    return worst_found
