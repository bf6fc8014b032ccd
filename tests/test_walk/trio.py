"""Three clusters, two of them on one cloud, as a lab: EKS in Tokyo and in Osaka, peered, and AKS behind a VPN to both.

Run as ``python -m tests.test_walk.trio`` it is a lab server whose only scenarios are these.
"""

import sys

from backends.lab import registry, server, topology
from backends.lab.scenarios import places
from backends.lab.scenarios.living import at_rest, past, populate, settle
from backends.lab.scenarios.meshes import Member, install_release, join, place_authority, values
from backends.lab.scenarios.scenario import Scenario
from backends.lab.scenarios.services import Offer, make_namespace, offer
from backends.lab.scenarios.worlds import EAST_PODS, TOKYO_PODS
from backends.lab.storage.resources import DAEMONSETS
from backends.lab.world import LabCluster, World

MODULE = "tests.test_walk.trio"
OSAKA = "eks-osaka"
OSAKA_VPC = "10.30.0.0/16"
VERSION = "1.19.5"
OSAKA_PODS = "10.140.0.0/16"


def _three(world: World, *, osaka_addons: bool, tokyo_addons: bool = True) -> tuple[LabCluster, LabCluster, LabCluster]:
    tokyo, east = places.tokyo(world, addons=tokyo_addons), places.east(world)
    osaka = topology.eks(
        world,
        OSAKA,
        version=places.CURRENT,
        vpc=OSAKA_VPC,
        with_aws_node=osaka_addons,
        with_kube_proxy=osaka_addons,
    )
    topology.vpn(world, tokyo, east)
    topology.vpn(world, osaka, east)
    topology.peering(world, tokyo, osaka)
    return tokyo, osaka, east


def bare(world: World) -> None:
    """Nothing of Cilium anywhere."""
    with past(world, 3):
        tokyo, osaka, _ = _three(world, osaka_addons=True)
        populate(world)
        settle(world, "EKS", lambda: at_rest(tokyo) and at_rest(osaka))
        world.simulation.settle(30.0)


def grown(world: World) -> None:
    """Osaka runs Cilium already, without Cluster Mesh, with a CA of its own."""
    with past(world, 3):
        tokyo, osaka, _ = _three(world, osaka_addons=False)
        populate(world)
        member = Member(osaka, 7, OSAKA_PODS)
        install_release(world, member, VERSION, values(member, mesh=False))
        settle(world, "EKS", lambda: at_rest(tokyo) and at_rest(osaka))
        world.simulation.settle(30.0)


def owned(world: World) -> None:
    """Cilium of Tokyo and Osaka is there and not ours to change: the provider's, and Argo CD's."""
    with past(world, 3):
        tokyo, osaka, _ = _three(world, osaka_addons=False, tokyo_addons=False)
        populate(world)
        members = (Member(tokyo, 1, TOKYO_PODS), Member(osaka, 7, OSAKA_PODS))
        place_authority(members)
        for member in members:
            install_release(world, member, VERSION, values(member, mesh=False))
        settle(world, "EKS", lambda: at_rest(tokyo) and at_rest(osaka))
        for cluster, kind, marks in (
            (
                tokyo,
                "labels",
                {"addonmanager.kubernetes.io/mode": "Reconcile"},
            ),
            (osaka, "annotations", {"argocd.argoproj.io/tracking-id": "mesh:apps/DaemonSet:kube-system/cilium"}),
        ):
            agent = cluster.objects.need(DAEMONSETS, "kube-system", "cilium")
            agent["metadata"].setdefault(kind, {}).update(marks)
            cluster.objects.update(DAEMONSETS, agent)
        world.simulation.settle(30.0)


def whole(world: World) -> None:
    """All three in one mesh, with one global service."""
    with past(world, 9):
        tokyo, osaka, east = _three(world, osaka_addons=False, tokyo_addons=False)
        for here, others in ((tokyo, (places.VNET, OSAKA_VPC)), (osaka, (places.VNET, places.VPC))):
            for source in others:
                places.open_nodes(world, here, source)
        populate(world)
        members = (Member(tokyo, 1, TOKYO_PODS), Member(osaka, 7, OSAKA_PODS), Member(east, 2, EAST_PODS))
        join(world, members, VERSION)
        for cluster in (tokyo, osaka, east):
            make_namespace(cluster, "shop")
            offer(cluster, "shop", Offer("cart", 2, True))
        settle(world, "services", lambda: all(at_rest(member.cluster) for member in members))
        world.simulation.settle(300.0)


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("bare", "three clusters, two clouds, no Cilium", "1", "Guided", bare),
        Scenario("owned", "Cilium of somebody else", "1", "Guided", owned),
        Scenario("whole", "three clusters in one mesh", "1", "Guided", whole),
        Scenario("grown", "three clusters, one with Cilium", "1", "Guided", grown),
    )
}


def main() -> int:
    """Serve these scenarios as the lab's server serves its own."""
    registry.scenarios = lambda: SCENARIOS
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
