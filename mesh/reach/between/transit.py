"""What lies between two sites' subnets, whatever joins them: out of one network and into the other."""

from mesh.model.unread import Unread
from mesh.reach.between.places import INSIDE, LOST, Exit, Leg, Place
from mesh.reach.between.vnet import out_of_vnet
from mesh.reach.between.vnet_gateway import aws_end, into_vnet
from mesh.reach.between.vpc import into_vpc, out_of_vpc
from mesh.reach.between.vpn import peer_addresses, vpns_of
from mesh.reach.hops import Hop, Passage


def transit(source: Place, target: Place) -> Leg:
    """All hops between the two subnets, in path order. Raises ``AddressError`` for what is no address."""
    leg = _out(source, target)
    kind = leg.exit.kind
    if kind == INSIDE.kind:
        return leg
    if kind == LOST.kind:
        return leg if leg.passage is Passage.CLOSED else leg.then(_not_modelled(source, target, "the way from here on"))
    return leg.then(_into(source, target, leg.exit))


def _out(source: Place, target: Place) -> Leg:
    if source.site.aws is not None:
        return out_of_vpc(source, target)
    if source.site.azure is not None:
        return out_of_vnet(source, target)
    if source.site.network and source.site.network == target.site.network:
        hop = Hop(source.name, "network", Passage.OPEN, source.site.network, "one network on one host")
        return Leg((hop,), INSIDE)
    if source.site.premises is None:
        return Leg((), LOST)
    appliances = source.site.premises.appliances
    if appliances:
        words = f"appliance {appliances[0]} is not modelled, it may drop"
        return Leg((Hop(source.name, "site", Passage.UNKNOWN, appliances[0], words),), _by_device(source, target))
    return Leg((), _by_device(source, target))


def _by_device(source: Place, target: Place) -> Exit:
    """Packets of a network of one's own come in by the connections to its VPN devices."""
    aws = target.site.aws
    if aws is None:
        return Exit("vpn")
    own, devices = vpns_of(aws, target.site.network), peer_addresses(source.site)
    if devices is None or isinstance(devices, Unread):
        return Exit("vpn", vpns=own)
    return Exit("vpn", vpns=tuple(vpn for vpn in own if vpn.peer_address in devices))


def _into(source: Place, target: Place, left_by: Exit) -> Leg:
    if target.site.azure is not None:
        return into_vnet(target, source, left_by)
    if target.site.aws is not None:
        if source.site.aws is not None:
            return _not_modelled(source, target, "a VPN from one VPC to another")
        hop, vpns = aws_end(target, source, left_by)
        return Leg((hop,)).then(into_vpc(target, source, vpns))
    premises = target.site.premises
    if premises is None or source.site.premises is not None:
        return _not_modelled(source, target, "what joins the two")
    if premises.appliances:
        words = f"appliance {premises.appliances[0]} is not modelled, it may drop"
        return Leg((Hop(target.name, "site", Passage.UNKNOWN, premises.appliances[0], words),), INSIDE)
    return Leg((), INSIDE)


def _not_modelled(source: Place, target: Place, what: str) -> Leg:
    words = f"{what} between {source.name} and {target.name} is not modelled"
    return Leg((Hop(target.name, "network", Passage.UNKNOWN, "", words),), LOST)
