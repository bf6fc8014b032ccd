"""Faults of how the mesh API is exposed: no address, node ports that collide."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.faults.acting import HOME, merged, release, target_of, undone, upgrade_release
from backends.lab.faults.fault import Fault, Undo, Undoing
from backends.lab.storage.resources import NODES, SERVICES
from backends.lab.world import LabCluster, World

_LAYER: Final = "network"
_SERVICE: Final = "clustermesh-apiserver"
NODE_PORT: Final = 32379
"""The chart's default, which is why it collides."""


def _no_address() -> Fault:
    """The Service's status names no load balancer any more."""
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target)
        found = here.objects.stored(SERVICES, HOME, _SERVICE)
        if found is None:
            raise ValueError(f"{here.name} has no Service {_SERVICE}")
        if found["spec"].get("type") != "LoadBalancer":
            raise ValueError(f"the Service {_SERVICE} of {here.name} has no load balancer whose address could be lost")
        before = dict(found.get("status") or {})
        here.objects.set_status(SERVICES, HOME, _SERVICE, {"loadBalancer": {}})
        undoing.add(world, lambda: _restore(here, before))

    return Fault("mesh-api-without-address", "Mesh API has no address", _LAYER, inject, undoing.clear)


def _restore(here: LabCluster, status: dict[str, Any]) -> None:
    here.objects.set_status(SERVICES, HOME, _SERVICE, status)


def _same_node_port() -> Fault:
    """Every member exposes its mesh API at one and the same node port, as the chart does by default."""
    undoing = Undoing()

    def inject(world: World, port: int = NODE_PORT) -> None:
        members = list(world.clusters.values())
        if len(members) < 2:
            raise ValueError("this needs two clusters")
        before = {one.name: dict(release(world, one).config) for one in members}
        addresses = {one.name: [reading.internal_ip(node) for node in one.objects.view(NODES)] for one in members}
        done: list[Undo] = []
        try:
            for one in members:
                upgrade_release(world, one, _exposed(before[one.name], addresses, int(port)))
                done.append(_upgrade_back(world, one, before[one.name]))
        except ValueError:
            # A fault is there whole or not at all: nobody would take back the members that were upgraded.
            undone(*done)()
            raise
        undoing.add(world, undone(*done, *(_open(world, one, int(port), members) for one in members)))

    return Fault("same-node-port", "Same node port in two clusters", _LAYER, inject, undoing.clear)


def _upgrade_back(world: World, one: LabCluster, values: Mapping[str, Any]) -> Undo:
    return lambda: upgrade_release(world, one, values)


def _exposed(values: Mapping[str, Any], addresses: Mapping[str, Sequence[str]], port: int) -> dict[str, Any]:
    """Values with node ports, and peers at the addresses of their nodes."""
    own = str((values.get("cluster") or {}).get("name", ""))
    peers = [{"name": name, "ips": list(found), "port": port} for name, found in addresses.items() if name != own]
    service = {"type": "NodePort", "nodePort": port, "annotations": {}}
    mesh = {"config": {"clusters": peers}, "apiserver": {"service": service}}
    return merged(values, {"clustermesh": mesh})


def _open(world: World, one: LabCluster, port: int, members: Sequence[LabCluster]) -> Undo:
    """Let an EKS cluster's nodes take in the port from the other members' nodes."""
    if one.provider != "eks":
        return lambda: None
    sources = [cidr for other in members if other is not one for cidr in other.node_subnets]
    aws = world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(one.region)
        group = ec2.get_security_group_from_id(one.facts["worker_group"])
        before = list(group.ingress_rules)
        for source in sources:
            ec2.authorize_security_group_ingress(group.id, "tcp", port, port, [{"CidrIp": source}], vpc_id=group.vpc_id)

    def undo() -> None:
        with aws.writing():
            group.ingress_rules[:] = [rule for rule in group.ingress_rules if rule in before]

    return undo


FAULTS: Final[tuple[Fault, ...]] = (_no_address(), _same_node_port())
