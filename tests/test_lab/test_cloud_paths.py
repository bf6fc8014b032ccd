"""What is read of a lab's clouds tells of each flow what the lab's own packets do, in few calls, and bears faults."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh import catalogue as fact
from mesh.facts import FactStore, Known
from mesh.model.site import CloudPaths
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from mesh.reach.rules import ECHO, Flow
from mesh.reach.sites import site_of
from mesh.subject import OfCluster
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import addresses, cloud_world, send
from tests.test_lab.test_network_faults import AKS, BY_NAME, EKS, Mesh

FLOWS = (Flow("udp", 8472), Flow("tcp", 4240), ECHO)
PAIRS = ((EKS, AKS), (AKS, EKS))


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with cloud_world(tmp_path, serve=True) as world:
        yield Mesh(world)


@pytest.fixture
def reading(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(mesh.world, monkeypatch)


def paths_of(store: FactStore, cluster: str) -> CloudPaths:
    found = store.get(fact.CLOUD_PATHS, OfCluster(cluster))
    assert isinstance(found, Known), found
    assert isinstance(found.value, CloudPaths)
    return found.value


def judged(store: FactStore) -> dict[tuple[str, str, Flow], Passage]:
    reach = Reach(site_of(store, name) for name in (EKS, AKS))
    found = {}
    for source, target in PAIRS:
        for flow in FLOWS:
            verdict = reach.verdict(source, target, flow)
            assert verdict is not None
            found[source, target, flow] = verdict.passage
    return found


def walked(mesh: Mesh) -> dict[tuple[str, str, Flow], Passage]:
    """What happens to packets between every pair of nodes."""
    clusters = {cluster.name: cluster for cluster in mesh.clusters}
    found = {}
    for source, target in PAIRS:
        for flow in FLOWS:
            port = 0 if flow.protocol == "icmp" else flow.port
            arrives = [
                send(mesh.world, clusters[source], there, flow.protocol, port, node=node).delivered
                for there in addresses(clusters[target])
                for node in range(len(addresses(clusters[source])))
            ]
            found[source, target, flow] = Passage.OPEN if all(arrives) else Passage.CLOSED
    return found


FAULTS = [
    *((name, {}) for name in ("vxlan-one-way", "vxlan-both-ways", "health-closed", "vpn-tunnel-down")),
    ("vxlan-one-way", {"source": EKS, "target": AKS}),
    ("health-closed", {"target": AKS}),
    ("route-missing-back", {}),
    ("route-missing-back", {"target": AKS}),
    ("mesh-api-closed", {}),
    ("mesh-api-closed", {"target": AKS}),
    ("public-load-balancer", {}),
    ("small-path-mtu", {}),
    ("pod-cidr-inside-vpc", {"target": EKS, "cidr": "10.120.0.0/16"}),
    ("pod-cidr-inside-vpc", {"target": AKS, "cidr": "10.120.0.0/16"}),
]


async def test_a_healthy_mesh_is_open_as_its_packets_say(mesh: Mesh, reading: Reading) -> None:
    store = await reading.read(*mesh.clusters)
    assert paths_of(store, EKS).unread == paths_of(store, AKS).unread == ()
    assert judged(store) == walked(mesh)
    assert set(judged(store).values()) == {Passage.OPEN}


@pytest.mark.parametrize(("name", "where"), FAULTS, ids=lambda value: str(value))
async def test_a_fault_is_judged_as_the_packets_fare(
    mesh: Mesh, reading: Reading, name: str, where: dict[str, str]
) -> None:
    BY_NAME[name].inject(mesh.world, **where)
    assert judged(await reading.read(*mesh.clusters)) == walked(mesh)
    BY_NAME[name].clear(mesh.world)
    assert set(judged(await reading.read(*mesh.clusters)).values()) == {Passage.OPEN}
