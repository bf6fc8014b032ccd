"""Rules that people add so that nodes of other clusters get in, as the procedure says."""

from collections.abc import Iterable
from typing import Final

from backends.lab.world import LabCluster, World

MESH: Final = (("udp", 8472), ("tcp", 4240), ("icmp", 8))
"""VXLAN, health and ICMP echo; for icmp the number is the type (cilium-clustermesh §1.2)."""


def open_nodes(world: World, target: LabCluster, source: LabCluster, flows: Iterable[tuple[str, int]] = MESH) -> None:
    """Let the nodes of ``source`` in at the worker group of an EKS cluster.

    AKS needs nothing: its default rules admit what the gateway knows; kind has no rules.
    """
    if target.provider != "eks":
        return
    account = world.clouds.aws
    with account.writing():
        ec2 = account.ec2(target.region)
        for protocol, port in flows:
            low, high = (port, 0) if protocol == "icmp" else (port, port)
            note = f"cilium {protocol} {port} from {source.cloud_name}"
            ranges = [{"CidrIp": cidr, "Description": note} for cidr in source.node_subnets]
            ec2.authorize_security_group_ingress(target.facts["worker_group"], protocol, low, high, ranges)


def open_mesh(world: World, *clusters: LabCluster) -> None:
    """Open every pair of clusters for each other, both ways."""
    for target in clusters:
        for source in clusters:
            if source is not target:
                open_nodes(world, target, source)
