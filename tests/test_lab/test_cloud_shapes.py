"""Other shapes than the plain pair: the verdict out of the facts is what the lab's packets do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.lab.topology import aks, eks, open_mesh, peering, vpn
from backends.lab.world import LabCluster, World
from mesh.facts import FactStore
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from mesh.reach.rules import ECHO, Flow
from mesh.reach.sites import site_of
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import addresses, cloud_world, send

FLOWS = (Flow("udp", 8472), Flow("tcp", 4240), ECHO)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cloud_world(tmp_path, serve=True) as made:
        yield made


def disagreements(world: World, store: FactStore, *clusters: LabCluster) -> list[str]:
    """Flows of which the verdict out of the facts is not what every pair of nodes finds."""
    reach = Reach(site_of(store, one.name) for one in clusters)
    found = []
    for source in clusters:
        for target in clusters:
            for flow in FLOWS if source is not target else ():
                verdict = reach.verdict(source.name, target.name, flow)
                assert verdict is not None
                port = 0 if flow.protocol == "icmp" else flow.port
                arrives = all(
                    send(world, source, there, flow.protocol, port, node=node).delivered
                    for there in addresses(target)
                    for node in range(len(addresses(source)))
                )
                if verdict.passage is not (Passage.OPEN if arrives else Passage.CLOSED):
                    decides = verdict.way.decides
                    found.append(
                        f"{source.name} → {target.name} {flow}: {verdict.passage}, arrives {arrives}; {decides}"
                    )
    return found


@pytest.mark.parametrize("bgp", [False, True])
@pytest.mark.parametrize("opened", [False, True])
async def test_a_vpn_between_the_clouds(world: World, monkeypatch: pytest.MonkeyPatch, bgp: bool, opened: bool) -> None:
    pair = (eks(world, "tokyo"), aks(world, "east"))
    vpn(world, *pair, bgp=bgp)
    if opened:
        open_mesh(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


@pytest.mark.parametrize("joined", [False, True])
async def test_peered_vpcs_of_two_regions(world: World, monkeypatch: pytest.MonkeyPatch, joined: bool) -> None:
    pair = (eks(world, "tokyo"), eks(world, "osaka", region="ap-northeast-3", vpc="172.20.0.0/16"))
    if joined:
        peering(world, *pair)
    open_mesh(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


@pytest.mark.parametrize("joined", [False, True])
async def test_peered_vnets(world: World, monkeypatch: pytest.MonkeyPatch, joined: bool) -> None:
    pair = (aks(world, "east"), aks(world, "west", region="japanwest", vnet="10.96.0.0/12"))
    if joined:
        peering(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


async def test_three_sites_of_which_two_are_not_joined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, east = eks(world, "tokyo"), aks(world, "east")
    other = eks(world, "osaka", region="ap-northeast-3", vpc="172.20.0.0/16")
    vpn(world, hub, east)
    peering(world, hub, other)
    open_mesh(world, hub, east, other)
    store = await Reading(world, monkeypatch).read(hub, east, other)
    assert disagreements(world, store, hub, east, other) == []
