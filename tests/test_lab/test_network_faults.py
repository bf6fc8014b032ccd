"""Each fault of the network breaks what it says, nothing else, and can be taken back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.controller import CloudControllers
from backends.lab.faults.network import FAULTS
from backends.lab.storage.resources import SERVICES
from backends.lab.topology import aks, eks, kind, open_mesh, vpn
from backends.lab.world import LabCluster, World
from tests.test_lab.cloud_lab import addresses, cloud_world, pass_time, send

BY_NAME = {fault.name: fault for fault in FAULTS}
AWS_INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
AZURE_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"
EKS, AKS = "eks-tokyo", "aks-east"
VXLAN, HEALTH, ECHO = ("udp", 8472), ("tcp", 4240), ("icmp", 0)

Flow = tuple[str, str, str, int, int]
"""(from, to, protocol, port, size); port 2379 goes to the mesh API's address."""


class Mesh:
    """EKS and AKS, opened for each other, each with an internal mesh API Service."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clusters: list[LabCluster] = [eks(world, EKS), aks(world, AKS)]
        vpn(world, *self.clusters)
        open_mesh(world, *self.clusters)
        self.controllers = CloudControllers(world)
        for cluster, name in zip(self.clusters, (AWS_INTERNAL, AZURE_INTERNAL), strict=True):
            cluster.objects.create(
                SERVICES,
                {
                    "metadata": {
                        "name": "clustermesh-apiserver",
                        "namespace": "kube-system",
                        "annotations": {name: "true"},
                    },
                    "spec": {"type": "LoadBalancer", "ports": [{"port": 2379, "targetPort": 2379}]},
                },
            )
        pass_time(world, self.controllers, 120)

    def mesh_api(self, cluster: LabCluster) -> str:
        """Where the mesh API is reached."""
        service: Any = cluster.objects.need(SERVICES, "kube-system", "clustermesh-apiserver")
        (ingress,) = service["status"]["loadBalancer"]["ingress"]
        return str(ingress.get("ip") or self.world.network.resolve(ingress["hostname"])[0])

    def passing(self) -> set[Flow]:
        """Every flow of a mesh that gets through now."""
        found: set[Flow] = set()
        for source in self.clusters:
            for target in self.clusters:
                if source is target:
                    continue
                flows = [(*what, addresses(target)[0], size) for what in (VXLAN, HEALTH, ECHO) for size in (0, 1400)]
                flows.append(("tcp", 2379, self.mesh_api(target), 0))
                for protocol, port, address, size in flows:
                    if send(self.world, source, address, protocol, port, size=size).delivered:
                        found.add((source.name, target.name, protocol, port, size))
        return found


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with cloud_world(tmp_path) as world:
        yield Mesh(world)


def of(source: str, target: str, *what: tuple[str, int]) -> set[Flow]:
    """Flows of these kinds in one direction, small and large."""
    return {(source, target, *kind_, size) for kind_ in what for size in ((0,) if kind_[1] == 2379 else (0, 1400))}


API = ("tcp", 2379)
EVERYTHING = (VXLAN, HEALTH, ECHO, API)
CASES = [
    pytest.param("vxlan-one-way", {}, of(AKS, EKS, VXLAN), id="vxlan by default into eks"),
    pytest.param("vxlan-one-way", {"source": EKS, "target": AKS}, of(EKS, AKS, VXLAN), id="vxlan into aks"),
    pytest.param("vxlan-both-ways", {}, of(AKS, EKS, VXLAN) | of(EKS, AKS, VXLAN), id="vxlan both ways"),
    pytest.param("health-closed", {}, of(AKS, EKS, HEALTH), id="health into eks"),
    pytest.param("health-closed", {"target": AKS}, of(EKS, AKS, HEALTH), id="health into aks"),
    pytest.param("mesh-api-closed", {}, of(AKS, EKS, API), id="mesh api of eks"),
    pytest.param("mesh-api-closed", {"target": AKS}, of(EKS, AKS, API), id="mesh api of aks"),
    pytest.param("vpn-tunnel-down", {}, of(AKS, EKS, *EVERYTHING) | of(EKS, AKS, *EVERYTHING), id="vpn"),
    pytest.param(
        "route-missing-back",
        {},
        of(EKS, AKS, *EVERYTHING) | of(AKS, EKS, HEALTH, ECHO, API),
        id="eks has no way back: what needs an answer fails, VXLAN arrives",
    ),
    pytest.param(
        "route-missing-back",
        {"target": AKS},
        of(AKS, EKS, *EVERYTHING) | of(EKS, AKS, HEALTH, ECHO, API),
        id="aks has no way back",
    ),
    pytest.param(
        "small-path-mtu",
        {},
        {(one, other, *kind_, 1400) for one, other in ((EKS, AKS), (AKS, EKS)) for kind_ in (VXLAN, HEALTH, ECHO)},
        id="large packets vanish",
    ),
]


@pytest.mark.parametrize(("name", "where", "lost"), CASES)
def test_a_fault_loses_exactly_its_flows(mesh: Mesh, name: str, where: dict[str, str], lost: set[Flow]) -> None:
    before = mesh.passing()
    assert before == of(EKS, AKS, *EVERYTHING) | of(AKS, EKS, *EVERYTHING)
    fault = BY_NAME[name]
    fault.inject(mesh.world, **where)
    assert before - mesh.passing() == lost
    fault.clear(mesh.world)
    assert mesh.passing() == before


def test_a_fault_may_be_injected_twice_and_cleared_once(mesh: Mesh) -> None:
    before = mesh.passing()
    fault = BY_NAME["vxlan-one-way"]
    fault.inject(mesh.world, source=AKS, target=EKS)
    fault.inject(mesh.world, source=EKS, target=AKS)
    assert before - mesh.passing() == of(AKS, EKS, VXLAN) | of(EKS, AKS, VXLAN)
    fault.clear(mesh.world)
    assert mesh.passing() == before
    fault.clear(mesh.world)


def test_a_wide_rule_loses_one_port_only(mesh: Mesh) -> None:
    aws, cluster = mesh.world.clouds.aws, mesh.clusters[0]
    with aws.writing():
        ec2 = aws.ec2(cluster.region)
        group = ec2.get_security_group_from_id(cluster.facts["worker_group"])
        ec2.authorize_security_group_ingress(group.id, "-1", None, None, [{"CidrIp": "10.0.0.0/8"}])
    source, node = mesh.clusters[1], addresses(cluster)[0]
    BY_NAME["vxlan-one-way"].inject(mesh.world)
    passing = [port for port in (8471, 8472, 8473) if send(mesh.world, source, node, "udp", port).delivered]
    assert passing == [8471, 8473]
    assert send(mesh.world, source, node, "tcp", 8472).delivered
    BY_NAME["vxlan-one-way"].clear(mesh.world)
    assert send(mesh.world, source, node, "udp", 8472).delivered


def test_a_public_balancer_of_eks_has_public_addresses(mesh: Mesh) -> None:
    cluster = mesh.clusters[0]
    before = mesh.mesh_api(cluster)
    BY_NAME["public-load-balancer"].inject(mesh.world)
    (held,) = mesh.world.clouds.aws.elb(cluster.region).load_balancers.values()
    assert held.scheme == "internet-facing"
    assert not mesh.mesh_api(cluster).startswith("192.168.")
    BY_NAME["public-load-balancer"].clear(mesh.world)
    assert (held.scheme, mesh.mesh_api(cluster)) == ("internal", before)


def test_a_public_balancer_of_aks_is_the_annotations_doing(mesh: Mesh) -> None:
    cluster = mesh.clusters[1]
    BY_NAME["public-load-balancer"].inject(mesh.world, target=AKS)
    pass_time(mesh.world, mesh.controllers, 60)
    assert not mesh.mesh_api(cluster).startswith("10.")
    BY_NAME["public-load-balancer"].clear(mesh.world)
    pass_time(mesh.world, mesh.controllers, 60)
    assert mesh.mesh_api(cluster).startswith("10.224.")


@pytest.mark.parametrize("target", [EKS, AKS])
def test_the_pods_range_becomes_part_of_the_network(mesh: Mesh, target: str) -> None:
    def ranges() -> list[str]:
        if target == AKS:
            document = mesh.world.clouds.azure.need(mesh.clusters[1].facts["vnet_id"])
            return list(document["properties"]["addressSpace"]["addressPrefixes"])
        vpc = mesh.world.clouds.aws.ec2("ap-northeast-1").get_vpc(mesh.clusters[0].facts["vpc_id"])
        return [block["cidr_block"] for block in vpc.get_cidr_block_association_set(ipv6=False)]

    before, passing = ranges(), mesh.passing()
    BY_NAME["pod-cidr-inside-vpc"].inject(mesh.world, target=target, cidr="10.120.0.0/16")
    assert ranges() == [*before, "10.120.0.0/16"]
    BY_NAME["pod-cidr-inside-vpc"].clear(mesh.world)
    assert (ranges(), mesh.passing()) == (before, passing)


@pytest.mark.parametrize(
    ("name", "where", "text"),
    [
        ("vxlan-one-way", {"source": "nobody"}, "no cluster named nobody"),
        ("vxlan-one-way", {"source": EKS, "target": EKS}, "cannot be both ends"),
        ("pod-cidr-inside-vpc", {}, "has no Cilium pod range"),
    ],
)
def test_faults_say_what_they_lack(mesh: Mesh, name: str, where: dict[str, str], text: str) -> None:
    before = mesh.passing()
    with pytest.raises(ValueError, match=text):
        BY_NAME[name].inject(mesh.world, **where)
    assert mesh.passing() == before


async def test_faults_among_three_touch_only_their_pair(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        clusters = [
            eks(world, EKS),
            aks(world, AKS),
            eks(world, "eks-osaka", region="ap-northeast-3", vpc="10.50.0.0/16"),
        ]
        vpn(world, clusters[0], clusters[1])
        vpn(world, clusters[2], clusters[1])
        open_mesh(world, *clusters)

        def reached() -> set[tuple[str, str]]:
            pairs = [(clusters[one], clusters[other]) for one, other in ((0, 1), (1, 0), (2, 1), (1, 2))]
            return {
                (one.name, other.name)
                for one, other in pairs
                if send(world, one, addresses(other)[0], "udp", 8472).delivered
            }

        assert len(reached()) == 4
        BY_NAME["vpn-tunnel-down"].inject(world, source=AKS, target="eks-osaka")
        assert reached() == {(EKS, AKS), (AKS, EKS)}
        BY_NAME["vpn-tunnel-down"].clear(world)
        BY_NAME["vxlan-one-way"].inject(world, source="eks-osaka", target=AKS)
        assert reached() == {(EKS, AKS), (AKS, EKS), (AKS, "eks-osaka")}


async def test_what_has_no_cloud_has_no_rules(tmp_path: Path) -> None:
    async with cloud_world(tmp_path) as world:
        first, second = kind(world, "kind-a"), kind(world, "kind-b", network="172.19.0.0/16")
        vpn(world, first, second)
        assert send(world, first, addresses(second)[0], "udp", 8472).delivered
        for name in ("vxlan-one-way", "route-missing-back", "public-load-balancer", "vpn-tunnel-down"):
            with pytest.raises(ValueError, match="kind-"):
                BY_NAME[name].inject(world)
