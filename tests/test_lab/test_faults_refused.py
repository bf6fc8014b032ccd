"""Faults that are refused: not offered, refused by helm, or without what they would break; nothing of them is left."""

from collections.abc import Iterator
from typing import Any

import pytest

from backends.lab import registry
from backends.lab.faults import EVERY, FAULTS
from backends.lab.faults.acting import release
from backends.lab.scenarios.places import EAST, TOKYO
from backends.lab.storage.resources import SERVICES
from backends.lab.world import World
from tests.test_lab.standing import standing


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with standing("healthy", tmp_path_factory.mktemp("lab")) as made:
        yield made


def service(world: World, cluster: str) -> dict[str, Any]:
    return world.clusters[cluster].objects.need(SERVICES, "kube-system", "clustermesh-apiserver")


async def test_what_is_not_offered_cannot_be_had(world: World) -> None:
    for name in set(EVERY) - set(FAULTS):
        with pytest.raises(registry.NoSuchName, match="vxlan-one-way"):
            await registry.inject(world, name, {})
    assert not world.faults


@pytest.mark.parametrize("stuck", [TOKYO, EAST])
async def test_a_fault_that_one_member_refuses_leaves_the_others_as_they_were(world: World, stuck: str) -> None:
    def revisions() -> dict[str, object]:
        return {name: release(world, one).config for name, one in world.clusters.items() if name != stuck}

    before = revisions()
    await registry.inject(world, "release-pending", {"target": stuck})
    try:
        with pytest.raises(ValueError, match="another operation"):
            await registry.inject(world, "same-node-port", {})
        assert revisions() == before and set(world.faults) == {"release-pending"}
        assert {service(world, name)["spec"]["type"] for name in world.clusters} == {"LoadBalancer"}
    finally:
        await registry.clear(world, "release-pending")


@pytest.mark.parametrize("name", ["tunnel-ports-differ", "tunnel-protocols-differ", "vxlan-one-way", "vxlan-both-ways"])
async def test_a_cluster_without_a_tunnel_has_no_tunnel_to_differ(world: World, name: str) -> None:
    await registry.inject(world, "routing-modes-differ", {})
    try:
        with pytest.raises(ValueError, match="has no tunnel"):
            await registry.inject(world, name, {})
    finally:
        await registry.clear(world, "routing-modes-differ")
    await registry.inject(world, name, {})
    await registry.clear(world, name)


async def test_a_service_without_a_balancer_has_no_address_to_lose(world: World) -> None:
    await registry.inject(world, "same-node-port", {})
    try:
        with pytest.raises(ValueError, match="has no load balancer"):
            await registry.inject(world, "mesh-api-without-address", {})
    finally:
        await registry.clear(world, "same-node-port")


async def test_a_fault_that_helm_refuses_is_refused(world: World) -> None:
    await registry.inject(world, "release-pending", {"target": EAST})
    try:
        with pytest.raises(ValueError, match="another operation"):
            await registry.inject(world, "versions-too-far", {"target": EAST})
    finally:
        await registry.clear(world, "release-pending")
