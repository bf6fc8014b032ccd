"""Faults of the network: each changes cloud objects, as a mistake or an outage would. Nothing else knows of them."""

from typing import Any, Final

from backends.lab.faults.acting import need_tunnel
from backends.lab.faults.closing import close, close_group
from backends.lab.faults.fault import Fault, Undo, Undoing, cluster, pair
from backends.lab.storage.resources import CONFIGMAPS, SERVICES
from backends.lab.world import LabCluster, World

_LAYER: Final = "network"
_MESH_SERVICE: Final = ("kube-system", "clustermesh-apiserver")
_AZURE_INTERNAL: Final = "service.beta.kubernetes.io/azure-load-balancer-internal"


def _closed(
    name: str, title: str, protocol: str, default_port: int, *, both: bool = False, tunnel: bool = False
) -> Fault:
    """A port of the nodes that is closed for the nodes of another cluster; ``tunnel`` = it carries the tunnel."""
    undoing = Undoing()

    def inject(world: World, source: str = "", target: str = "", port: int = default_port) -> None:
        here, there = pair(world, source, target)
        ways = ((here, there), (there, here)) if both else ((here, there),)
        for sender, _ in ways if tunnel else ():
            need_tunnel(sender)
        for sender, receiver in ways:
            undoing.add(world, close(world, receiver, protocol, int(port), sender.node_subnets))

    return Fault(name, title, _LAYER, inject, undoing.clear)


def _mesh_service(target: LabCluster) -> dict[str, Any]:
    service = target.objects.stored(SERVICES, *_MESH_SERVICE)
    if service is None:
        raise ValueError(f"{target.name} has no clustermesh-apiserver Service")
    return service


def _balancer_of(world: World, target: LabCluster) -> tuple[str, Any]:
    """(network or classic, moto's object) of the load balancer behind the mesh Service of an EKS cluster."""
    ingress = (_mesh_service(target).get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
    hostname = ingress[0].get("hostname", "")
    aws = world.clouds.aws
    for kind, backend in (("network", aws.elbv2(target.region)), ("classic", aws.elb(target.region))):
        for held in backend.load_balancers.values():
            if hostname and held.dns_name.lower() == hostname.lower():
                return kind, held
    raise ValueError(f"{target.name} has no load balancer for its mesh API server")


def _close_mesh_api(world: World, source: LabCluster, target: LabCluster) -> Undo:
    port = _mesh_service(target)["spec"]["ports"][0]
    node_port = int(port.get("nodePort") or port["port"])
    if _mesh_service(target)["spec"]["type"] != "LoadBalancer":
        return close(world, target, "tcp", node_port, source.node_subnets)
    if target.provider == "aks":
        # A floating front end: the rules see the Service's own port.
        return close(world, target, "tcp", int(port["port"]), source.node_subnets)
    _, held = _balancer_of(world, target)
    if held.security_groups:
        return close_group(world, target, held.security_groups[0], "tcp", int(port["port"]), source.node_subnets)
    return close(world, target, "tcp", node_port, source.node_subnets)


def _mesh_api_closed() -> Fault:
    undoing = Undoing()

    def inject(world: World, source: str = "", target: str = "") -> None:
        here, there = pair(world, source, target)
        undoing.add(world, _close_mesh_api(world, here, there))

    return Fault("mesh-api-closed", "Mesh API port closed", _LAYER, inject, undoing.clear)


def _tunnel_down() -> Fault:
    undoing = Undoing()

    def inject(world: World, source: str = "", target: str = "") -> None:
        here, there = pair(world, source, target)
        changed = False
        for one, other in ((here, there), (there, here)):
            if one.provider == "eks":
                changed = _aws_down(world, undoing, one, other) or changed
            if one.provider == "aks":
                changed = _azure_down(world, undoing, one, other) or changed
        if not changed:
            raise ValueError(f"there is no VPN between {here.name} and {there.name}")

    return Fault("vpn-tunnel-down", "VPN tunnel down", _LAYER, inject, undoing.clear)


def _aws_down(world: World, undoing: Undoing, eks: LabCluster, other: LabCluster) -> bool:
    from backends.lab.clouds.aws.repairs.vpn import set_tunnels

    aws = world.clouds.aws
    found = False
    with aws.writing():
        ec2 = aws.ec2(eks.region)
        for identifier in eks.facts.get("vpn_connections", []):
            connection = ec2.vpn_connections[identifier]
            customer = ec2.customer_gateways[connection.customer_gateway_id]
            if str(customer.ip_address) not in _outside_addresses(world, other):
                continue
            before = [entry["Status"] == "UP" for entry in connection.vgw_telemetry]
            set_tunnels(connection, [False, False], world.clock.now())
            undoing.add(world, lambda held=connection, up=before: _aws_up(world, held, up))  # type: ignore[misc]  # defaults bind
            found = True
    return found


def _aws_up(world: World, connection: Any, up: list[bool]) -> None:
    from backends.lab.clouds.aws.repairs.vpn import set_tunnels

    with world.clouds.aws.writing():
        set_tunnels(connection, up, world.clock.now())


def _azure_down(world: World, undoing: Undoing, aks: LabCluster, other: LabCluster) -> bool:
    azure = world.clouds.azure
    found = False
    for identifier in aks.facts.get("connections", []):
        connection = azure.need(identifier)
        local = azure.need(connection["properties"]["localNetworkGateway2"]["id"])
        if local["properties"].get("gatewayIpAddress") not in _outside_addresses(world, other):
            continue
        before = connection["properties"]["connectionStatus"]
        _set_status(world, connection, "NotConnected")
        undoing.add(world, lambda held=connection, status=before: _set_status(world, held, status))  # type: ignore[misc]  # defaults bind
        found = True
    return found


def _set_status(world: World, connection: dict[str, Any], status: str) -> None:
    connection["properties"]["connectionStatus"] = status
    world.clouds.azure.changes.bump()


def _outside_addresses(world: World, cluster: LabCluster) -> set[str]:
    """The public addresses at which a cluster's network ends its tunnels."""
    view = world.network.view()
    home = view.homes[cluster.name]
    ends = {address for end in view.tunnels if end.domain == home for address in end.own}
    return ends | {cluster.facts["gateway_address"]} if "gateway_address" in cluster.facts else ends


def _route_missing() -> Fault:
    undoing = Undoing()

    def inject(world: World, target: str = "", source: str = "") -> None:
        _, there = pair(world, source, target)
        if there.provider == "eks":
            _stop_propagation(world, undoing, there)
        elif there.provider == "aks":
            _stop_gateway_routes(world, undoing, there)
        else:
            raise ValueError(f"{there.name} has no route table of a cloud")

    return Fault("route-missing-back", "Route missing on the way back", _LAYER, inject, undoing.clear)


def _stop_propagation(world: World, undoing: Undoing, eks: LabCluster) -> None:
    from backends.lab.clouds.aws.repairs.routes import propagating

    aws = world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(eks.region)
        for identifier in eks.facts["route_tables"]:
            held = propagating(ec2.get_route_table(identifier))
            before = list(held)
            held.clear()
            undoing.add(world, lambda table=held, ids=before: _propagate(world, table, ids))  # type: ignore[misc]  # defaults bind


def _propagate(world: World, held: list[str], before: list[str]) -> None:
    with world.clouds.aws.writing():
        held[:] = before


def _stop_gateway_routes(world: World, undoing: Undoing, aks: LabCluster) -> None:
    """A route table on the nodes' subnet that does not take the gateway's routes."""
    azure = world.clouds.azure
    subnet = azure.need(aks.facts["subnet_id"])["properties"]
    before = subnet.get("routeTable")
    base = aks.facts["vnet_id"].partition("/virtualNetworks/")[0]
    table = f"{base}/routeTables/{aks.cloud_name}-udr"
    azure.put(table, {"location": aks.region, "properties": {"disableBgpRoutePropagation": True, "routes": []}})
    subnet["routeTable"] = {"id": table}
    azure.changes.bump()

    def undo() -> None:
        if before is None:
            subnet.pop("routeTable", None)
        else:
            subnet["routeTable"] = before
        azure.remove(table)

    undoing.add(world, undo)


def _public_balancer() -> Fault:
    undoing = Undoing()

    def inject(world: World, target: str = "", source: str = "") -> None:
        _, there = pair(world, source, target)
        if there.provider == "eks":
            undoing.add(world, _make_public(world, there))
        elif there.provider == "aks":
            undoing.add(world, _annotate_public(there))
        else:
            raise ValueError(f"{there.name} has no load balancers of a cloud")

    return Fault("public-load-balancer", "Mesh API load balancer is public", _LAYER, inject, undoing.clear)


def _make_public(world: World, eks: LabCluster) -> Undo:
    kind, held = _balancer_of(world, eks)
    aws = world.clouds.aws
    name = f"net/{held.name}/{held.arn.rpartition('/')[2]}" if kind == "network" else held.name
    with aws.writing():
        cards = [card for card in aws.ec2(eks.region).enis.values() if card.description == f"ELB {name}"]
        scheme, addresses = held.scheme, [card.public_ip for card in cards]
        held.scheme = "internet-facing"
        for number, card in enumerate(cards):
            card.public_ip = card.public_ip or f"54.151.{number}.{10 + len(held.name)}"

    def undo() -> None:
        with aws.writing():
            held.scheme = scheme
            for card, address in zip(cards, addresses, strict=True):
                card.public_ip = address

    return undo


def _annotate_public(aks: LabCluster) -> Undo:
    service = _mesh_service(aks)
    before = (service["metadata"].get("annotations") or {}).get(_AZURE_INTERNAL)

    def write(value: str | None) -> None:
        body = {"metadata": {"annotations": {_AZURE_INTERNAL: value}}}
        aks.objects.patch(SERVICES, *_MESH_SERVICE, body)

    write(None)
    return lambda: write(before)


def _pods_inside_network() -> Fault:
    undoing = Undoing()

    def inject(world: World, target: str = "", cidr: str = "", source: str = "") -> None:
        there = cluster(world, target) if target else pair(world, source, target)[1]
        wanted = cidr or _pod_cidr(there)
        if there.provider == "eks":
            undoing.add(world, _widen_vpc(world, there, wanted))
        elif there.provider == "aks":
            undoing.add(world, _widen_vnet(world, there, wanted))
        else:
            raise ValueError(f"{there.name} has no network of a cloud")

    return Fault("pod-cidr-inside-vpc", "Pod range lies inside the VPC", _LAYER, inject, undoing.clear)


def _pod_cidr(target: LabCluster) -> str:
    config = target.objects.stored(CONFIGMAPS, "kube-system", "cilium-config") or {"data": {}}
    found = str((config.get("data") or {}).get("cluster-pool-ipv4-cidr", "")).split()
    if not found:
        raise ValueError(f"{target.name} has no Cilium pod range; name one with cidr=")
    return found[0]


def _widen_vpc(world: World, eks: LabCluster, cidr: str) -> Undo:
    aws = world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(eks.region)
        made = ec2.associate_vpc_cidr_block(eks.facts["vpc_id"], cidr, False)

    def undo() -> None:
        with aws.writing():
            vpc = ec2.get_vpc(eks.facts["vpc_id"])
            vpc._cidr_block_association_set.pop(made["association_id"], None)
            for table in ec2.route_tables.values():
                gone = [
                    key for key, route in table._routes.items() if route.local and route.destination_cidr_block == cidr
                ]
                for key in gone if table.vpc_id == vpc.id else ():
                    del table._routes[key]

    return undo


def _widen_vnet(world: World, aks: LabCluster, cidr: str) -> Undo:
    azure = world.clouds.azure
    prefixes = azure.need(aks.facts["vnet_id"])["properties"]["addressSpace"]["addressPrefixes"]
    prefixes.append(cidr)
    azure.changes.bump()

    def undo() -> None:
        prefixes.remove(cidr)
        azure.changes.bump()

    return undo


def _small_mtu() -> Fault:
    undoing = Undoing()

    def inject(world: World, source: str = "", target: str = "", size: int = 1300) -> None:
        here, there = pair(world, source, target)
        before = world.network.path_mtu(here, there)
        world.network.set_path_mtu(here, there, int(size))
        undoing.add(world, lambda: world.network.set_path_mtu(here, there, before))

    return Fault("small-path-mtu", "MTU 1300 in the tunnel", _LAYER, inject, undoing.clear)


FAULTS: Final[tuple[Fault, ...]] = (
    _closed("vxlan-one-way", "VXLAN blocked one way", "udp", 8472, tunnel=True),
    _closed("vxlan-both-ways", "VXLAN blocked both ways", "udp", 8472, both=True, tunnel=True),
    _closed("health-closed", "Health port 4240 closed", "tcp", 4240),
    _mesh_api_closed(),
    _tunnel_down(),
    _route_missing(),
    _public_balancer(),
    _pods_inside_network(),
    _small_mtu(),
)
