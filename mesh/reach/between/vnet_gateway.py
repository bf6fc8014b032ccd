"""VNet gateways: which one serves a VNet, gateway transit, connections and what they know (§4.2 step 7, §4.3)."""

from collections.abc import Callable, Sequence
from typing import Final

from mesh.addresses import Ranges, cidrs, covers, interval, meets, minus, ranges, sample
from mesh.intervals import layered
from mesh.model.unread import Unread
from mesh.model.vnet import AzureNetwork, GatewayConnection, LocalNetworkGateway, Vnet, VnetGateway, leaf, same
from mesh.model.vpc import AwsNetwork, SiteToSiteVpn
from mesh.reach.between.places import INSIDE, Exit, Leg, Place, lacking
from mesh.reach.between.vnet_routes import connections_of, find_vnet, gateway_knows, gateways_of, user_table, vnet_steps
from mesh.reach.between.vpc_routes import length
from mesh.reach.between.vpn import alive, peer_addresses, vpn_hop, vpns_of
from mesh.reach.hops import Hop, Passage, worst

_VNET: Final = "Microsoft.Network/virtualNetworks/read"
_CONNECTION: Final = {"Connected": Passage.OPEN, "NotConnected": Passage.CLOSED, "Connecting": Passage.CLOSED}
Said = tuple[Passage, str, str]
Leads = Callable[[GatewayConnection, LocalNetworkGateway | None], bool]


def leave_by_gateway(source: Place, target: Place, vnet: Vnet, far: Ranges) -> Leg:
    """Out by the gateway that serves the VNet, over its connections to the target."""
    azure = source.site.azure or AzureNetwork()
    gateway, none = _gateway(source, vnet)
    if gateway is None:
        return Leg((none,) if none else (), Exit("vpn", vpns=_expected(source, target)))
    if target.site.azure is not None and _serves(target, gateway):
        hop = _hop(source, gateway, (_transit(source, vnet, gateway),), "serves both VNets")
        return Leg((hop,), Exit("gateway", gateway=gateway))
    connections = connections_of(azure, gateway)
    if isinstance(connections, Unread):
        hop = lacking(source.name, "gateway", connections, leaf(gateway.id))
        return Leg((hop,), Exit("vpn", vpns=_expected(source, target), gateway=gateway))
    chosen, doubt = _to_target(azure, connections, target, gateway)
    said = [_transit(source, vnet, gateway), _state(gateway), _propagates(source, gateway)]
    if doubt is not None and not chosen:
        hop = lacking(source.name, "gateway", doubt, leaf(gateway.id))
        return Leg((hop,), Exit("vpn", vpns=_expected(source, target), gateway=gateway))
    said.append(_connection(chosen, source.addresses, far, target))
    said.append(_knows(azure, gateway, chosen, far))
    words = f"connection {leaf(chosen[0].id)}: {chosen[0].status}" if chosen else ""
    vpns = _expected(source, target)
    return Leg((_hop(source, gateway, tuple(said), words),), Exit("vpn", vpns, chosen, gateway))


def into_vnet(target: Place, source: Place, left_by: Exit) -> Leg:
    """From the VPN or another gateway to the target's VNet: its gateway, and the routes of the GatewaySubnet."""
    azure = target.site.azure or AzureNetwork()
    vnet = find_vnet(azure, target.site.network)
    if vnet is None:
        unread = azure.vnets if isinstance(azure.vnets, Unread) else Unread(_VNET, "virtual_networks.get")
        return Leg((lacking(target.name, "gateway", unread, leaf(target.site.network)),), INSIDE)
    gateway, none = _gateway(target, vnet)
    if gateway is None:
        return Leg((none,) if none else (), INSIDE)
    said = [_transit(target, vnet, gateway), _state(gateway)]
    words = "serves both VNets"
    if left_by.kind != "gateway":
        connections = connections_of(azure, gateway)
        if isinstance(connections, Unread):
            hop = lacking(target.name, "gateway", connections, leaf(gateway.id))
            return Leg((hop, *_steering(target, gateway)), INSIDE)
        chosen, doubt = _from_source(azure, connections, left_by, source)
        if doubt is not None and not chosen:
            hop = lacking(target.name, "gateway", doubt, leaf(gateway.id))
            return Leg((hop, *_steering(target, gateway)), INSIDE)
        said.append(_connection(chosen, target.addresses, source.addresses, source))
        words = f"connection {leaf(chosen[0].id)}: {chosen[0].status}" if chosen else ""
    return Leg((_hop(target, gateway, tuple(said), words), *_steering(target, gateway)), INSIDE)


def _hop(place: Place, gateway: VnetGateway, said: Sequence[Said], words: str) -> Hop:
    """One hop out of what all parts of a gateway say: the worst decides what is shown."""
    passage = worst(item[0] for item in said)
    if passage is Passage.OPEN:
        return Hop(place.name, "gateway", passage, leaf(gateway.id), words, excerpt=gateway.id)
    shown = next(item for item in said if item[0] is passage)
    missing = shown[2] if passage is Passage.UNKNOWN else ""
    return Hop(place.name, "gateway", passage, leaf(gateway.id), shown[1], excerpt=gateway.id, missing=missing)


def _gateway(place: Place, vnet: Vnet) -> tuple[VnetGateway | None, Hop | None]:
    """The gateway that serves the VNet, or the hop that says why there is none."""
    azure = place.site.azure or AzureNetwork()
    found = gateways_of(azure, vnet)
    if isinstance(found, Unread):
        return None, lacking(place.name, "gateway", found)
    usable = sorted(found, key=lambda item: (item.kind != "Vpn", item.id))
    if usable and usable[0].kind == "Vpn":
        return usable[0], None
    if usable:
        words = f"a gateway of kind {usable[0].kind} is not modelled"
        return None, Hop(place.name, "gateway", Passage.UNKNOWN, leaf(usable[0].id), words)
    for peering in vnet.peerings:
        if peering.use_remote_gateways and find_vnet(azure, peering.remote_vnet) is None:
            unread = Unread(_VNET, "virtual_networks.get", f"{leaf(peering.remote_vnet)} was not read")
            return None, lacking(place.name, "gateway", unread, leaf(peering.remote_vnet))
    every = () if isinstance(azure.gateways, Unread) else azure.gateways
    near = next((p for p in vnet.peerings if any(same(item.vnet, p.remote_vnet) for item in every)), None)
    words = "no gateway in the VNet or a peered one"
    if near is not None:
        flag = f"is {near.state}" if near.use_remote_gateways else "has useRemoteGateways off"
        words = f"the gateway of {leaf(near.remote_vnet)} is not used: peering {near.name} {flag}"
    return None, Hop(place.name, "gateway", Passage.CLOSED, leaf(vnet.id), words)


def _transit(place: Place, vnet: Vnet, gateway: VnetGateway) -> Said:
    """A gateway in a hub: both sides of the peering must lend and use it."""
    if same(gateway.vnet, vnet.id):
        return Passage.OPEN, "", ""
    azure = place.site.azure or AzureNetwork()
    hub = find_vnet(azure, gateway.vnet)
    if hub is None:
        return Passage.UNKNOWN, f"{leaf(gateway.vnet)} was not read: needs {_VNET}", _VNET
    lent = next((item for item in hub.peerings if same(item.remote_vnet, vnet.id)), None)
    if lent is None or lent.state != "Connected":
        state = lent.state if lent else "missing"
        return Passage.CLOSED, f"peering of {leaf(hub.id)} with {leaf(vnet.id)} is {state}", ""
    if not lent.allow_gateway_transit:
        return Passage.CLOSED, f"peering {lent.name} of {leaf(hub.id)} has allowGatewayTransit off", ""
    own = next((item for item in vnet.peerings if same(item.remote_vnet, hub.id)), None)
    for side in (lent, own):
        if side is not None and not side.allow_access:
            return Passage.CLOSED, f"peering {side.name} has allowVirtualNetworkAccess off", ""
    return Passage.OPEN, "", ""


def _state(gateway: VnetGateway) -> Said:
    if gateway.provisioning in ("Succeeded", "Updating"):
        return Passage.OPEN, "", ""
    return Passage.UNKNOWN, f"provisioningState {gateway.provisioning}", ""


def _propagates(place: Place, gateway: VnetGateway) -> Said:
    """A gateway whose own subnet takes no learned routes cannot forward by them."""
    azure = place.site.azure or AzureNetwork()
    hub = find_vnet(azure, gateway.vnet)
    subnet = next((item for item in hub.subnets if item.name == "GatewaySubnet"), None) if hub else None
    table = user_table(azure, hub, subnet.id) if hub and subnet else None
    if isinstance(table, Unread):
        return Passage.UNKNOWN, f"routes of GatewaySubnet were not read: {table}", table.right
    if table is not None and table.disable_bgp:
        return Passage.CLOSED, f"{leaf(table.id)} on GatewaySubnet has disableBgpRoutePropagation", ""
    return Passage.OPEN, "", ""


def _knows(azure: AzureNetwork, gateway: VnetGateway, chosen: Sequence[GatewayConnection], far: Ranges) -> Said:
    """Whether the gateway has a route to the addresses, and sends them into these connections and no other."""
    known = gateway_knows(azure, gateway)
    left = minus(far, ranges(known.prefixes))
    if not left:
        return _sends(azure, gateway, chosen, far)
    if known.perhaps:
        return Passage.UNKNOWN, f"whether it knows {sample(left)} was not read: needs {known.missing}", known.missing
    return Passage.CLOSED, f"has no route to {sample(left)}: not in the LNG's address space, not learned", ""


def _sends(azure: AzureNetwork, gateway: VnetGateway, chosen: Sequence[GatewayConnection], far: Ranges) -> Said:
    """Of the routes that a gateway knows, the longest decides about the connection."""
    layers: list[tuple[Ranges, tuple[int, ...], str]] = []
    peers = [local.bgp_peer for item in chosen if item.bgp and (local := _local(azure, item))]
    for item in gateway.learned if isinstance(gateway.learned, tuple) else ():
        mine = bool(peers) and ("" in peers or {item.next_hop, item.source_peer} & {*peers})
        if mine or item.origin != "Network":
            layers.append(_toward(item.prefix, "" if mine else f"BGP peer {item.source_peer or item.next_hop}"))
    connections = connections_of(azure, gateway)
    for connection in () if isinstance(connections, Unread) else connections:
        local = _local(azure, connection)
        mine = any(same(connection.id, item.id) for item in chosen)
        for prefix in local.prefixes if local else ():
            layers.append(_toward(prefix, "" if mine else leaf(connection.id)))
    for other, addresses in layered(layers).over(far):
        if other == "":
            continue
        if other is None or _tied(layers, addresses):
            return Passage.UNKNOWN, f"by which connection {sample(addresses)} goes is not known", ""
        return Passage.CLOSED, f"sends {sample(addresses)} to {other}", ""
    return Passage.OPEN, "", ""


def _toward(prefix: str, other: str) -> tuple[Ranges, tuple[int, ...], str]:
    low, high = interval(prefix)
    return ((low, high),), (length(low, high), 1 if other else 0), other


def _tied(layers: Sequence[tuple[Ranges, tuple[int, ...], str]], addresses: Ranges) -> bool:
    """Whether the longest prefix to these addresses leads both here and elsewhere."""
    meeting = [(rank[0], other) for reach, rank, other in layers if meets(reach, addresses)]
    longest = max((size for size, _ in meeting), default=0)
    return any(size == longest and not other for size, other in meeting)


def _connection(chosen: Sequence[GatewayConnection], near: Ranges, far: Ranges, peer: Place) -> Said:
    """Of the connections that lead there, one must be up; all that are must select the flow."""
    if not chosen:
        return Passage.CLOSED, f"no connection leads to {peer.name}", ""
    states = [(_CONNECTION.get(item.status, Passage.UNKNOWN), item) for item in chosen]
    up = [item for passage, item in states if passage is Passage.OPEN]
    if not up:
        passage, item = max(states, key=lambda entry: entry[0] is Passage.UNKNOWN)
        return passage, f"connection {leaf(item.id)}: {item.status}", ""
    fits = [_selects(item, near, far) for item in up]
    if all(fits):
        return Passage.OPEN, "", ""
    item = up[fits.index(False)]
    pairs = ", ".join(f"{own} ↔ {remote}" for own, remote in item.selectors[:3])
    words = f"selectors of {leaf(item.id)} do not hold the flow: {pairs}"
    return (Passage.UNKNOWN if any(fits) else Passage.CLOSED), words, ""


def _selects(connection: GatewayConnection, near: Ranges, far: Ranges) -> bool:
    if not connection.selectors:
        return True
    return any(covers(ranges((own,)), near) and covers(ranges((remote,)), far) for own, remote in connection.selectors)


def _local(azure: AzureNetwork, connection: GatewayConnection) -> LocalNetworkGateway | None:
    locals_ = () if isinstance(azure.local_gateways, Unread) else azure.local_gateways
    return next((item for item in locals_ if same(item.id, connection.local_gateway)), None)


def _matching(
    azure: AzureNetwork, connections: Sequence[GatewayConnection], addresses: Sequence[str], remote: Sequence[str]
) -> tuple[tuple[GatewayConnection, ...], Unread | None]:
    """Connections to one of these device addresses, or to one of these gateways."""
    found = []
    for item in connections:
        local = _local(azure, item)
        by_id = item.remote_gateway and any(same(item.remote_gateway, one) for one in remote)
        if by_id or (local is not None and local.address in addresses):
            found.append(item)
    unread = azure.local_gateways if isinstance(azure.local_gateways, Unread) else None
    return tuple(found), unread


def _outside(target: Place) -> tuple[str, ...] | Unread:
    """Addresses that a local network gateway to that AWS site carries: its tunnels' outside ends, live ones first."""
    aws = target.site.aws or AwsNetwork()
    if isinstance(aws.vpns, Unread):
        return aws.vpns
    own = vpns_of(aws, target.site.network)
    return tuple(tunnel.outside_address for vpn in own for tunnel in vpn.tunnels)


def _to_target(
    azure: AzureNetwork, connections: Sequence[GatewayConnection], target: Place, gateway: VnetGateway
) -> tuple[tuple[GatewayConnection, ...], Unread | None]:
    if target.site.aws is not None:
        addresses = _outside(target)
        if isinstance(addresses, Unread):
            # Any connection with a local network gateway may be the one: the AWS hop tells what is missing.
            return tuple(item for item in connections if item.local_gateway), addresses
        return _matching(azure, connections, addresses, ())
    devices = peer_addresses(target.site)
    if devices is None:
        return tuple(item for item in connections if item.local_gateway), None
    if isinstance(devices, Unread):
        return (), devices
    there = target.site.azure
    remote = () if there is None or isinstance(there.gateways, Unread) else tuple(g.id for g in there.gateways)
    return _matching(azure, connections, devices, remote)


def _from_source(
    azure: AzureNetwork, connections: Sequence[GatewayConnection], left_by: Exit, source: Place
) -> tuple[tuple[GatewayConnection, ...], Unread | None]:
    if source.site.aws is not None:
        up = [t.outside_address for vpn in left_by.vpns for t in vpn.tunnels if t.status == "UP"]
        every = [t.outside_address for vpn in left_by.vpns for t in vpn.tunnels]
        if not every:
            return (), _no_vpns(source)
        found, doubt = _matching(azure, connections, up, ())
        return (found, doubt) if found else _matching(azure, connections, every, ())
    if source.site.azure is not None:
        gateways = (left_by.gateway.id,) if left_by.gateway else ()
        return _matching(azure, connections, (left_by.gateway.addresses or ()) if left_by.gateway else (), gateways)
    devices = peer_addresses(source.site)
    if devices is None or isinstance(devices, Unread):
        return tuple(item for item in connections if item.local_gateway), None
    return _matching(azure, connections, devices, ())


def _no_vpns(source: Place) -> Unread | None:
    aws = source.site.aws or AwsNetwork()
    return aws.vpns if isinstance(aws.vpns, Unread) else None


def _expected(source: Place, target: Place) -> tuple[SiteToSiteVpn, ...]:
    """The AWS connections whose customer gateway is this side's gateway."""
    aws = target.site.aws
    if aws is None:
        return ()
    own, addresses = vpns_of(aws, target.site.network), peer_addresses(source.site)
    if addresses is None or isinstance(addresses, Unread):
        return own
    return tuple(vpn for vpn in own if vpn.peer_address in addresses)


def aws_end(target: Place, source: Place, left_by: Exit) -> tuple[Hop, tuple[SiteToSiteVpn, ...]]:
    """The AWS end of a VPN that packets come in by, and the connections they may come from."""
    aws = target.site.aws or AwsNetwork()
    if isinstance(aws.vpns, Unread):
        return lacking(target.name, "VPN", aws.vpns), ()
    if not left_by.vpns:
        words = f"no connection has a customer gateway that is one of {source.name}'s"
        return Hop(target.name, "VPN", Passage.CLOSED, "", words), ()
    live = tuple(vpn for vpn in left_by.vpns if alive(vpn)[0] is not Passage.CLOSED) or left_by.vpns
    return vpn_hop(target.name, live, target.addresses, source.addresses)


def _serves(target: Place, gateway: VnetGateway) -> bool:
    azure = target.site.azure or AzureNetwork()
    vnet = find_vnet(azure, target.site.network)
    found = gateways_of(azure, vnet) if vnet else ()
    return not isinstance(found, Unread) and any(same(item.id, gateway.id) for item in found)


def _steering(target: Place, gateway: VnetGateway) -> tuple[Hop, ...]:
    """A route table on the GatewaySubnet steers what comes in: it may divert or drop it."""
    azure = target.site.azure or AzureNetwork()
    hub = find_vnet(azure, gateway.vnet)
    if hub is None:
        unread = Unread(_VNET, "virtual_networks.get", f"{leaf(gateway.vnet)} was not read")
        return (lacking(target.name, "edge route", unread, leaf(gateway.vnet)),)
    subnet = next((item for item in hub.subnets if item.name == "GatewaySubnet"), None)
    table = user_table(azure, hub, subnet.id) if subnet else None
    if table is None:
        return (Hop(target.name, "edge route", Passage.OPEN, "GatewaySubnet", "no table attached"),)
    if isinstance(table, Unread):
        return (lacking(target.name, "edge route", table, "GatewaySubnet"),)
    name = leaf(table.id)
    found = Hop(target.name, "edge route", Passage.OPEN, name, "to the VNet")
    for hop, addresses in vnet_steps(azure, hub, table, ()).over(target.addresses):
        kind = hop.kind if hop else "None"
        if kind in ("VnetLocal", "VNetPeering"):
            continue
        far = cidrs(addresses)[:4]
        if kind in ("None", "Internet"):
            return (Hop(target.name, "edge route", Passage.CLOSED, name, str(hop) if hop else "no route", far=far),)
        words = f"{hop}: appliance {hop.target if hop else ''} is not modelled, it may drop"
        found = Hop(target.name, "edge route", Passage.UNKNOWN, name, words, far=far)
    return (found,)
