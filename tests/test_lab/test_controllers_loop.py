"""The simulation as a task: it follows changes, wakes for what is due, and sleeps when nothing is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from backends.lab.controllers import reading
from backends.lab.storage.resources import DEPLOYMENTS
from tests.test_lab.meadow import Meadow, install, meadow, values


@pytest.fixture
async def one() -> AsyncIterator[Meadow]:
    """A cluster with Cilium, running 200 times as fast as real time."""
    made = meadow(speed=200.0, names=("east",))
    made.settle(30)
    install(made, "east", "1.19.5", values("east", 1))
    made.settle(120)
    made.world.on_start(made.simulation.run)
    made.world.clock.resume()
    made.world.start()
    try:
        yield made
    finally:
        await made.world.close()


async def until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "the world did not get there"
        await asyncio.sleep(0.01)


def restarted(one: Meadow) -> int:
    pods = [pod for pod in one.pods("east", "k8s-app", "kube-dns") if reading.ready(pod)]
    return sum("again" in reading.annotations(pod) for pod in pods)


async def test_a_change_is_followed_while_lab_time_runs(one: Meadow) -> None:
    change = {"spec": {"template": {"metadata": {"annotations": {"again": "yes"}}}}}
    one.cluster("east").objects.patch(DEPLOYMENTS, "kube-system", "coredns", change)
    await until(lambda: restarted(one) == 2)


async def test_nothing_moves_while_lab_time_is_held(one: Meadow) -> None:
    one.world.clock.pause()
    change = {"spec": {"template": {"metadata": {"annotations": {"again": "yes"}}}}}
    one.cluster("east").objects.patch(DEPLOYMENTS, "kube-system", "coredns", change)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert restarted(one) == 0
    one.world.clock.jump(20.0)
    await until(lambda: restarted(one) > 0 or len(one.pods("east", "k8s-app", "kube-dns")) > 2)
    one.world.clock.resume()
    await until(lambda: restarted(one) == 2)


async def test_an_idle_world_sleeps(one: Meadow) -> None:
    store = one.cluster("east").objects
    await until(lambda: one.simulation.step() > one.world.clock.now() + 60)
    steps, before = 0, one.simulation.step

    def counted() -> float:
        nonlocal steps
        steps += 1
        return before()

    one.simulation.step = counted  # type: ignore[method-assign]  # counts how often the loop wakes
    version = store.resource_version
    await asyncio.sleep(0.25)
    assert steps <= 2 and store.resource_version == version
