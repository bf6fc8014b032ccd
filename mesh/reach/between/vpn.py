"""Site-to-site VPN connections as AWS tells of them: state, tunnels, what they know, selectors (§4.2 step 5)."""

from collections.abc import Callable, Sequence
from typing import Final

from mesh.addresses import Ranges, interval, meets, minus, ranges, sample
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vpc import AwsNetwork, SiteToSiteVpn, VpcRouteTable
from mesh.reach.between.places import inside, lacking
from mesh.reach.between.vnet_routes import find_vnet, gateways_of
from mesh.reach.between.vpc_routes import length
from mesh.reach.hops import Hop, Passage, worst

Said = tuple[Passage, str]
Knows = Callable[[SiteToSiteVpn], Said]
_GONE: Final = ("deleted", "deleting")
_SILENT: Final = ("DOWN",)


def alive(vpn: SiteToSiteVpn) -> Said:
    """State and tunnels."""
    up = sum(tunnel.status == "UP" for tunnel in vpn.tunnels)
    words = f"{up}/{len(vpn.tunnels)} tunnels up"
    if vpn.state != "available":
        return (Passage.CLOSED if vpn.state in (*_GONE, "pending") else Passage.UNKNOWN), f"state {vpn.state}"
    if up:
        return Passage.OPEN, words
    if any(tunnel.status not in _SILENT for tunnel in vpn.tunnels) or not vpn.tunnels:
        return Passage.UNKNOWN, f"{words}; the others' status is not known"
    message = next((tunnel.message for tunnel in vpn.tunnels if tunnel.message), "")
    return Passage.CLOSED, words + (f": {message}" if message else "")


def selects(vpn: SiteToSiteVpn, near: Ranges, far: Ranges) -> Said:
    """Traffic selectors: both ends must lie inside."""
    for cidr, addresses, side in ((vpn.near_cidr, near, "AWS"), (vpn.far_cidr, far, "far")):
        left = minus(addresses, ranges((cidr,)))
        if left:
            return Passage.CLOSED, f"selector of the {side} side is {cidr}: {sample(left)} is outside"
    return Passage.OPEN, ""


def rival(vpns: Sequence[SiteToSiteVpn], candidates: Sequence[SiteToSiteVpn], far: Ranges) -> str:
    """A connection of the same gateway to elsewhere whose static route is at least as long; "" = none."""

    def best(vpn: SiteToSiteVpn) -> int:
        found = (interval(cidr) for cidr in vpn.routes if meets(ranges((cidr,)), far))
        return max((length(*piece) for piece in found), default=-1)

    own = max((best(vpn) for vpn in candidates), default=-1)
    others = [vpn for vpn in vpns if vpn not in candidates and alive(vpn)[0] is not Passage.CLOSED]
    return next((vpn.id for vpn in others if best(vpn) >= max(own, 0)), "")


def vgw_knows(vpn: SiteToSiteVpn, tables: Sequence[VpcRouteTable] | Unread, far: Ranges) -> Said:
    """Whether the virtual private gateway has a route into this connection.

    What BGP brought is seen only where a route table takes it over: otherwise the count of accepted routes tells none.
    """
    if vpn.static_only:
        left = minus(far, ranges(vpn.routes))
        return (Passage.CLOSED, f"no static route to {sample(left)}") if left else (Passage.OPEN, "")
    seen = () if isinstance(tables, Unread) else tables
    learned = tuple(
        cidr
        for table in seen
        for route in table.routes
        if route.propagated and route.target == vpn.gateway
        for cidr in route.cidrs or ()
    )
    if inside(ranges(learned), far):
        return Passage.OPEN, ""
    if not sum(tunnel.learned for tunnel in vpn.tunnels if tunnel.status == "UP"):
        return Passage.CLOSED, "BGP brought no route"
    unseen = sample(minus(far, ranges(learned)))
    return Passage.UNKNOWN, f"BGP brought routes; whether {unseen} is among them is not seen"


def vpn_hop(
    site: str, candidates: Sequence[SiteToSiteVpn], near: Ranges, far: Ranges, knows: Knows | None = None
) -> tuple[Hop, tuple[SiteToSiteVpn, ...]]:
    """The hop of the connections that may carry the flow, and those that are left of them.

    A packet takes one of the live connections; which one is not foretold, so all of these must let it through.
    """
    judged: list[tuple[SiteToSiteVpn, Passage, str]] = []
    for vpn in candidates:
        passage, words = alive(vpn)
        if knows is not None and passage is not Passage.CLOSED:
            known, why = knows(vpn)
            words = why if known is Passage.CLOSED else "; ".join(filter(None, (words, why)))
            passage = worst((passage, known))
        judged.append((vpn, passage, words))
    left = [item for item in judged if item[1] is not Passage.CLOSED]
    if not left:
        vpn, _, words = max(judged, key=lambda item: (item[0].state == "available", item[0].id))
        return Hop(site, "VPN", Passage.CLOSED, vpn.id, words, excerpt=_excerpt(vpn)), (vpn,)
    selected = [(item, selects(item[0], near, far)) for item in left]
    through = [item for item, said in selected if said[0] is Passage.OPEN]
    vpn, passage, words = (through or left)[0]
    if not through:
        passage, words = Passage.CLOSED, selected[0][1][1]
    elif len(through) < len(left):
        passage, words = Passage.UNKNOWN, next(said[1] for _, said in selected if said[1])
    elif any(item[1] is Passage.OPEN for item in through):
        vpn, passage, words = next(item for item in through if item[1] is Passage.OPEN)
    return Hop(site, "VPN", passage, vpn.id, words, excerpt=_excerpt(vpn)), tuple(item[0] for item in left)


def peer_addresses(far: Site) -> tuple[str, ...] | Unread | None:
    """Public addresses of the far side's VPN devices; None = it does not tell any."""
    if far.premises is not None:
        return far.premises.gateways or None
    if far.azure is None:
        return None
    vnet = find_vnet(far.azure, far.network)
    if vnet is None:
        return Unread("Microsoft.Network/virtualNetworks/read", "virtual_networks.get", "not found")
    gateways = gateways_of(far.azure, vnet)
    if isinstance(gateways, Unread):
        return gateways
    if any(gateway.addresses is None for gateway in gateways):
        return Unread("Microsoft.Network/publicIPAddresses/read", "public_ip_addresses.get")
    return tuple(address for gateway in gateways for address in gateway.addresses or ())


def vpns_of(aws: AwsNetwork, vpc: str) -> tuple[SiteToSiteVpn, ...]:
    """Connections that end at the VPC's own gateway or at a transit gateway; where there is none such, all there are:
    their gateway's hop then says what is wrong.
    """
    if isinstance(aws.vpns, Unread):
        return ()
    left = tuple(vpn for vpn in aws.vpns if vpn.state not in _GONE)
    if isinstance(aws.vgws, Unread):
        return left
    foreign = {item.id for item in aws.vgws if vpc not in item.attached}
    return tuple(vpn for vpn in left if vpn.gateway not in foreign) or left


def leading_to(aws: AwsNetwork, site: str, gateway: str, far: Site) -> tuple[tuple[SiteToSiteVpn, ...], Hop | None]:
    """Connections of an AWS gateway to the far side's devices; without any, the hop that says so."""
    if isinstance(aws.vpns, Unread):
        return (), lacking(site, "VPN", aws.vpns)
    own = tuple(vpn for vpn in aws.vpns if vpn.gateway == gateway and vpn.state not in _GONE)
    if not own:
        return (), Hop(site, "VPN", Passage.CLOSED, "", f"{gateway} has no VPN connection")
    addresses = peer_addresses(far)
    if addresses is None or isinstance(addresses, Unread):
        # The far side's own hop says what is missing; here any of the connections may be the one.
        return own, None
    found = tuple(vpn for vpn in own if vpn.peer_address in addresses)
    if found:
        return found, None
    there = ", ".join(addresses) or "none"
    words = f"no connection to {far.name}: customer gateway {own[0].peer_address}, its gateway addresses: {there}"
    return (), Hop(site, "VPN", Passage.CLOSED, own[0].id, words, excerpt=_excerpt(own[0]))


def _excerpt(vpn: SiteToSiteVpn) -> str:
    tunnels = ", ".join(f"{tunnel.outside_address} {tunnel.status}" for tunnel in vpn.tunnels)
    return f"{vpn.state}; {tunnels or 'no tunnels'}; customer gateway {vpn.peer_address or '?'}"[:300]
