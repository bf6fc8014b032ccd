"""The clock, the store and the world by themselves."""

import asyncio
import random
import time
from typing import Any

import pytest

from backends.lab.clock import LabClock
from backends.lab.objects import ApiError, Object, ObjectStore
from backends.lab.storage.resources import CONFIGMAPS, NAMESPACES, NODES, SERVICES, Resource
from backends.lab.world import World
from tests.test_lab import small_lab


def store() -> ObjectStore:
    made = ObjectStore(lambda: 1_700_000_000.0, random.Random(1), "10.96.0.0/24")
    made.create(NAMESPACES, {"metadata": {"name": "default"}})
    return made


def config(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def test_what_is_read_can_be_changed_without_changing_the_store() -> None:
    objects = store()
    sent = config("a", key="1")
    objects.create(CONFIGMAPS, sent)["data"]["key"] = "2"
    objects.need(CONFIGMAPS, "default", "a")["data"]["key"] = "3"
    objects.list(CONFIGMAPS)[0]["data"]["key"] = "4"
    sent["data"]["key"] = "5"
    assert objects.need(CONFIGMAPS, "default", "a")["data"] == {"key": "1"}


def test_subscribers_hear_every_write_in_order_also_when_one_of_them_writes() -> None:
    objects, heard = store(), []

    def answer(kind: str, resource: Resource, obj: Object) -> None:
        if kind == "ADDED" and obj["metadata"]["name"] == "a":
            objects.create(CONFIGMAPS, config("b"))

    def listen(kind: str, resource: Resource, obj: Object) -> None:
        heard.append((kind, obj["metadata"]["name"]))

    objects.subscribe(answer)
    stop = objects.subscribe(listen)
    objects.create(CONFIGMAPS, config("a"))
    objects.delete(CONFIGMAPS, "default", "a")
    stop()
    objects.create(CONFIGMAPS, config("c"))
    assert heard == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]


def test_apply_replaces_everything_but_the_status() -> None:
    objects, node = store(), small_lab.node("n", "10.0.0.1")
    objects.apply(NODES, node)
    objects.set_status(NODES, None, "n", {"phase": "old"})
    kept = objects.apply(NODES, {"metadata": {"name": "n"}, "spec": {"unschedulable": True}})
    assert kept["status"] == {"phase": "old"}
    assert "labels" not in kept["metadata"]
    assert kept["spec"] == {"unschedulable": True}
    assert objects.apply(NODES, node)["status"] == node["status"]


def test_a_range_that_is_full_says_so_and_a_freed_address_is_given_again() -> None:
    objects = ObjectStore(time.time, random.Random(1), "10.96.0.0/28")
    objects.create(NAMESPACES, {"metadata": {"name": "default"}})
    spec: dict[str, Any] = {"ports": [{"port": 80}]}
    made: list[Object] = []
    refused: ApiError | None = None
    while refused is None and len(made) < 20:
        try:
            made.append(objects.create(SERVICES, {"metadata": {"name": f"s{len(made)}"}, "spec": spec}))
        except ApiError as error:
            refused = error
    assert refused is not None and refused.message.endswith("range is full")
    addresses = {service["spec"]["clusterIP"] for service in made}
    assert len(addresses) == len(made) > 4
    objects.delete(SERVICES, "default", "s0")
    again = objects.create(SERVICES, {"metadata": {"name": "again"}, "spec": {"ports": [{"port": 80}]}})
    assert again["spec"]["clusterIP"] == made[0]["spec"]["clusterIP"]


def test_a_refused_service_leaves_nothing_allocated() -> None:
    objects = store()
    wrong = {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 99}]}
    with pytest.raises(ApiError):
        objects.create(SERVICES, {"metadata": {"name": "s"}, "spec": wrong})
    right = {**wrong, "ports": [{"port": 80, "nodePort": 30099}]}
    assert objects.create(SERVICES, {"metadata": {"name": "s"}, "spec": right})["spec"]["clusterIP"] == "10.96.0.9"


def test_equal_seeds_make_equal_worlds_and_others_do_not() -> None:
    def ids(seed: int) -> list[str]:
        world = World(seed=seed, start=1_700_000_000.0)
        small_lab.furnish(world.add_cluster("one", "eks"))
        other = world.add_cluster("two", "eks")
        return [cluster.uid for cluster in (world.clusters["one"], other)]

    assert ids(1) == ids(1)
    assert len({*ids(1), *ids(2)}) == 4


async def test_the_clock_runs_at_its_speed_stands_and_jumps() -> None:
    clock = LabClock(start=1000.0, speed=100.0)
    began = time.monotonic()
    await clock.sleep(20)
    assert 0.19 <= time.monotonic() - began < 2
    clock.pause()
    at = clock.now()
    await asyncio.sleep(0.02)
    assert clock.now() == at
    clock.jump(3600)
    assert clock.now() == at + 3600
    clock.resume()
    assert clock.now() >= at + 3600


async def test_sleepers_wake_in_order_when_time_jumps_or_quickens() -> None:
    clock, woken = LabClock(speed=0.001), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (300, 100, 200)]
    await asyncio.sleep(0)
    clock.jump(250)
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    await asyncio.sleep(0)
    assert woken == [100, 200]
    clock.speed = 10_000
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert woken == [100, 200, 300]


async def test_a_paused_clock_wakes_nobody_until_it_jumps() -> None:
    clock = LabClock(speed=1000)
    clock.pause()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0.02)
    assert not task.done()
    clock.jump(1)
    await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("speed", [0, -1])
def test_time_does_not_stand_or_run_backwards(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        LabClock(speed=speed)
    with pytest.raises(ValueError, match="backwards"):
        LabClock().jump(-1)


async def test_a_task_that_fails_is_told_and_the_world_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    ran = asyncio.Event()

    async def fails() -> None:
        raise RuntimeError("it broke")

    async def works() -> None:
        ran.set()
        await asyncio.Event().wait()

    world.on_start(fails)
    world.on_start(works)
    world.start()
    await asyncio.wait_for(ran.wait(), 5)
    await asyncio.sleep(0)
    assert "a part of the lab stopped" in caplog.text
    await asyncio.wait_for(world.close(), 5)
