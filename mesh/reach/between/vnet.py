"""Out of a VNet and into one: next hops, peerings and their flags (cloud-network §3.5, §4.2 step 7, §4.3)."""

from collections.abc import Sequence
from typing import Final

from mesh.addresses import Ranges, cidrs, covers, ranges, sample
from mesh.model.unread import Unread
from mesh.model.vnet import AzureNetwork, Vnet, VnetPeering, leaf, same
from mesh.reach.between.places import INSIDE, LOST, Exit, Leg, Place, lacking, private, worst_leg
from mesh.reach.between.vnet_gateway import leave_by_gateway
from mesh.reach.between.vnet_routes import GATEWAY, Known, NextHop, find_vnet, served, user_table, vnet_steps
from mesh.reach.hops import Hop, Passage

VNET_RIGHT: Final = "Microsoft.Network/virtualNetworks/read"
_LOCAL: Final = "VnetLocal"
_PEERING: Final = "VNetPeering"
_APPLIANCES: Final = ("VirtualAppliance", "VirtualApplianceEcmp")


def out_of_vnet(source: Place, target: Place) -> Leg:
    """From the subnet's routes to the peer, or out by the gateway that serves the VNet."""
    azure = source.site.azure or AzureNetwork()
    vnet = find_vnet(azure, source.site.network)
    if vnet is None:
        unread = azure.vnets if isinstance(azure.vnets, Unread) else Unread(VNET_RIGHT, "virtual_networks.get")
        return Leg((lacking(source.name, "route", unread, leaf(source.site.network)),), LOST)
    table = user_table(azure, vnet, source.subnet)
    if isinstance(table, Unread):
        hop = lacking(source.name, "route", table)
        return Leg((hop,)).then(_intended(source, target, vnet, target.addresses))
    known = served(azure, vnet)
    steps = vnet_steps(azure, vnet, table, known.prefixes)
    shut = bool(table and table.disable_bgp)
    name = leaf(table.id) if table else "system routes"
    legs = []
    for chosen, addresses in steps.over(target.addresses):
        legs.append(_by_next_hop(source, target, vnet, chosen, addresses, name, known, shut))
    return worst_leg(legs)


def _by_next_hop(
    source: Place,
    target: Place,
    vnet: Vnet,
    chosen: NextHop | None,
    far: Ranges,
    table: str,
    known: Known,
    shut: bool,
) -> Leg:
    passage, words = _says(source, target, chosen, far)
    missing = ""
    if chosen is not None and known.perhaps and not shut and chosen.kind not in (_LOCAL, _PEERING, GATEWAY):
        # A longer prefix that the gateway learned would win; what it learned was not read.
        passage, missing = Passage.UNKNOWN, known.missing
        words = f"{chosen}, unless the gateway learned a route: needs {known.missing}"
    elif passage is Passage.CLOSED and shut and covers(ranges(known.prefixes), far):
        words += "; disableBgpRoutePropagation hides the gateway's route"
    shown = cidrs(far)[:4] if passage is not Passage.OPEN else ()
    excerpt = f"{chosen.source}: {chosen}" if chosen else ""
    leg = Leg((Hop(source.name, "route", passage, table, words, excerpt=excerpt, far=shown, missing=missing),))
    if chosen is None or passage is not Passage.OPEN:
        return leg.then(_intended(source, target, vnet, far))
    if chosen.kind == _LOCAL:
        return Leg(leg.hops, INSIDE)
    if chosen.kind == _PEERING:
        peering = next((item for item in vnet.peerings if item.name == chosen.target), None)
        return leg.then(_peering(source, target, vnet, peering))
    return leg.then(leave_by_gateway(source, target, vnet, far))


def _says(source: Place, target: Place, chosen: NextHop | None, far: Ranges) -> tuple[Passage, str]:
    if chosen is None:
        return Passage.CLOSED, f"no route to {sample(far)}"
    words = str(chosen)
    if chosen.kind == _LOCAL:
        if same(source.site.network, target.site.network):
            return Passage.OPEN, words
        return Passage.CLOSED, f"{words}: {sample(far)} lies in this VNet's own range"
    if chosen.kind in (_PEERING, GATEWAY):
        return Passage.OPEN, words
    if chosen.kind in _APPLIANCES:
        return Passage.UNKNOWN, f"{words}: appliance {chosen.target or '?'} is not modelled, it may drop"
    if chosen.kind == "None":
        why = "the gateway does not know it, Azure drops it" if chosen.source == "system" else "dropped by a user route"
        return Passage.CLOSED, f"{words}: {why}"
    if chosen.kind == "Internet":
        if private(far):
            return Passage.CLOSED, f"{words}: no route to the VPN"
        return Passage.UNKNOWN, f"{words}: over the Internet, not modelled"
    return Passage.UNKNOWN, f"{words}: a next hop that is not understood"


def _intended(source: Place, target: Place, vnet: Vnet, far: Ranges) -> Leg:
    """Past a route that does not lead there: what would, so that what lies behind is judged too."""
    if same(source.site.network, target.site.network):
        return Leg((), INSIDE)
    peering = next((item for item in vnet.peerings if same(item.remote_vnet, target.site.network)), None)
    if target.site.azure is not None and peering is not None:
        return _peering(source, target, vnet, peering)
    return leave_by_gateway(source, target, vnet, far)


def _peering(source: Place, target: Place, vnet: Vnet, peering: VnetPeering | None) -> Leg:
    if peering is None:
        return Leg((Hop(source.name, "peering", Passage.UNKNOWN, "", "the peering was not read"),), LOST)
    arrived = INSIDE if target.site.azure is not None else Exit("lost")
    if not same(peering.remote_vnet, target.site.network):
        words = f"leads to {leaf(peering.remote_vnet)}, not to {leaf(target.site.network) or target.name}"
        return Leg((Hop(source.name, "peering", Passage.CLOSED, peering.name, words),), arrived)
    own = peering_says(peering)
    hop = Hop(source.name, "peering", own[0], peering.name, own[1], excerpt=peering_excerpt(peering))
    return Leg((hop, _other_side(target, vnet)), arrived)


def _other_side(target: Place, vnet: Vnet) -> Hop:
    """A peering is two records, and each side can shut it."""
    azure = target.site.azure or AzureNetwork()
    remote = find_vnet(azure, target.site.network)
    if remote is None:
        unread = azure.vnets if isinstance(azure.vnets, Unread) else Unread(VNET_RIGHT, "virtual_networks.get")
        return lacking(target.name, "peering", unread, leaf(target.site.network))
    back = next((item for item in remote.peerings if same(item.remote_vnet, vnet.id)), None)
    if back is None:
        words = f"{leaf(remote.id)} has no peering with {leaf(vnet.id)}"
        return Hop(target.name, "peering", Passage.CLOSED, leaf(remote.id), words)
    passage, words = peering_says(back)
    return Hop(target.name, "peering", passage, back.name, words, excerpt=peering_excerpt(back))


def peering_says(peering: VnetPeering) -> tuple[Passage, str]:
    """State and flags of one side, for traffic of the VNets themselves."""
    if peering.state != "Connected":
        known = peering.state in ("Initiated", "Disconnected")
        return (Passage.CLOSED if known else Passage.UNKNOWN), f"peeringState {peering.state}"
    if not peering.allow_access:
        return Passage.CLOSED, "allowVirtualNetworkAccess is false"
    if not peering.complete_vnets:
        return Passage.UNKNOWN, "peers some subnets only: not modelled"
    if peering.sync not in ("FullyInSync", ""):
        return Passage.UNKNOWN, f"peeringSyncLevel {peering.sync}: an address space is not known to the other side"
    return Passage.OPEN, "Connected"


def peering_excerpt(peering: VnetPeering) -> str:
    """State and flags as read."""
    flags: Sequence[tuple[str, bool]] = (
        ("access", peering.allow_access),
        ("forwarded", peering.allow_forwarded),
        ("gatewayTransit", peering.allow_gateway_transit),
        ("useRemoteGateways", peering.use_remote_gateways),
    )
    return f"{peering.state}; " + ", ".join(f"{name} {'yes' if on else 'no'}" for name, on in flags)
