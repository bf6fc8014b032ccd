"""The clusters that scenarios are made of, and the ways between them."""

from typing import Final

from backends.lab import topology
from backends.lab.api.identity import Identity
from backends.lab.world import LabCluster, World

CURRENT: Final = "1.34"
SEED: Final = "1.26"
"""Kubernetes of the published procedure."""

TOKYO: Final = "eks-tokyo"
EAST: Final = "aks-east"
RECOVERY: Final = "kind-dr"
VNET: Final = "10.224.0.0/12"
VPC: Final = "192.168.0.0/16"


def tokyo(world: World, version: str = CURRENT, *, addons: bool = True) -> LabCluster:
    """EKS in Tokyo; with its usual add-ons aws-node and kube-proxy, or made without them."""
    return topology.eks(world, TOKYO, version=version, vpc=VPC, with_aws_node=addons, with_kube_proxy=addons)


def east(
    world: World, version: str = CURRENT, *, kube_proxy: bool = False, identity: Identity | None = None
) -> LabCluster:
    """AKS in Japan East without a network plugin; ``identity`` is who its context signs in as."""
    return topology.aks(world, EAST, version=version, vnet=VNET, kube_proxy=kube_proxy, identity=identity)


def recovery(world: World) -> LabCluster:
    """kind on a site of its own, made without CNI and kube-proxy."""
    return topology.kind(
        world, RECOVERY, network="172.30.0.0/16", pod_cidr="10.130.0.0/16", kindnet=False, kube_proxy=False
    )


def open_nodes(world: World, cluster: LabCluster, source: str, *, tunnel: bool = True) -> None:
    """Let the EKS workers take in what nodes at ``source`` (a CIDR) send: the tunnel, health probes and echo."""
    rules: list[tuple[str, int, int, str]] = [("tcp", 4240, 4240, "Cilium health"), ("icmp", 8, -1, "echo")]
    if tunnel:
        rules.insert(0, ("udp", 8472, 8472, "VXLAN"))
    with world.clouds.aws.writing():
        ec2 = world.clouds.aws.ec2(cluster.region)
        group = ec2.get_security_group_from_id(cluster.facts["worker_group"])
        for protocol, low, high, note in rules:
            ec2.authorize_security_group_ingress(
                group.id,
                protocol,
                low,
                high,
                [{"CidrIp": source, "Description": f"{note} from the mesh"}],
                vpc_id=group.vpc_id,
            )
