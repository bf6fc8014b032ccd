"""Worlds of the lab's own scenarios in this process, without servers, with their clock held."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.lab.agents.mesh.links import Link
from backends.lab.agents.mesh.processes import Reader
from backends.lab.clouds import Clouds
from backends.lab.clouds.aws.account import load_moto
from backends.lab.controllers import reading
from backends.lab.network import Network
from backends.lab.objects import Object
from backends.lab.scenarios import SCENARIOS
from backends.lab.scenarios.living import at_rest
from backends.lab.storage.resources import PODS
from backends.lab.world import ExecResult, World

AGENT = "cilium-agent"


@contextmanager
def standing(scenario: str, folder: Path, seed: int = 7) -> Iterator[World]:
    """The scenario's world; lab time stands still but for ``settle``."""
    load_moto(seed)
    world = World(seed=seed, state_dir=folder)
    world.clouds = Clouds(world)
    world.logins = world.clouds.logins
    world.network = Network(world)
    try:
        SCENARIOS[scenario].build(world)
        world.clock.pause()
        yield world
    finally:
        world.clouds.aws.forget()
        for cluster in world.clusters.values():
            cluster.close()


def settle(world: World, seconds: float) -> None:
    world.simulation.settle(seconds)


def pods(world: World, cluster: str, label: str) -> list[Object]:
    key, _, value = label.partition("=")
    return world.clusters[cluster].objects.list(PODS, None, {key: value})


async def run(world: World, cluster: str, label: str, container: str, *argv: str) -> ExecResult:
    """Exec in the first pod with the label; the clock runs while it does."""
    meta = pods(world, cluster, label)[0]["metadata"]
    speed = world.clock.speed
    world.clock.speed = 400.0
    world.clock.resume()
    try:
        return await world.exec(world.clusters[cluster], meta["namespace"], meta["name"], container, list(argv))
    finally:
        world.clock.pause()
        world.clock.speed = speed


async def answer(world: World, cluster: str, *argv: str) -> Any:
    """JSON that an agent prints."""
    result = await run(world, cluster, "k8s-app=cilium", AGENT, *argv)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


async def troubleshoot(world: World, cluster: str) -> str:
    """What the cluster's KVStoreMesh finds when it tries its peers now."""
    words = ("/usr/bin/clustermesh-apiserver", "kvstoremesh-dbg", "troubleshoot")
    return (await run(world, cluster, "k8s-app=clustermesh-apiserver", "kvstoremesh", *words)).stdout.decode()


async def served_by(world: World, cluster: str, service: str = "cart", times: int = 12) -> set[str]:
    """Who answers requests of the cluster's client, by cluster; ``exit N`` where nobody does."""
    found = set()
    for _ in range(times):
        result = await run(world, cluster, "app=client", "client", "curl", "-sS", "-m", "2", f"http://{service}.shop/")
        found.add(json.loads(result.stdout)["cluster"] if result.exit_code == 0 else f"exit {result.exit_code}")
    return found


def links(world: World, container: str = "") -> list[tuple[Reader, Link]]:
    """Every peer of every reader, or of those that run in this container."""
    readers = world.simulation.fleet.readers
    found = [readers.of(name, runtime) for name, runtime in _runtimes(world)]
    return [
        (reader, link)
        for reader in found
        if reader is not None and container in ("", reader.caller.container)
        for link in reader.links.values()
    ]


def _runtimes(world: World) -> list[tuple[str, Any]]:
    return [
        (name, runtime) for name, one in world.simulation.clusters.items() for runtime in one.kubelets.runtimes.values()
    ]


def not_ready(world: World) -> set[tuple[str, str]]:
    """(cluster, container) of every reader that is not ready for a peer."""
    now = world.clock.now()
    return {(reader.caller.cluster, reader.caller.container) for reader, link in links(world) if not link.ready(now)}


def sick(world: World) -> set[tuple[str, str, str]]:
    """(seen from, cluster of the node, what failed) of every failed health probe."""
    fleet, now, found = world.simulation.fleet, world.clock.now(), set()
    for reader in fleet.readers.agents():
        for node in fleet.health.view(reader, now):
            for kind, probed in (("host", node.host), ("endpoint", node.endpoint)):
                for what in ("icmp", "http"):
                    if probed is not None and getattr(probed.outcome, what):
                        found.add((reader.name, node.name.partition("/")[0], f"{kind}.{what}"))
    return found


def well(world: World) -> bool:
    """Whether everything runs, every reader is ready and every probe gets through."""
    return (
        all(at_rest(cluster) for cluster in world.clusters.values())
        and not not_ready(world)
        and not sick(world)
        and all(
            reading.ready(pod) or reading.finished(pod)
            for cluster in world.clusters.values()
            for pod in cluster.objects.view(PODS)
        )
    )
