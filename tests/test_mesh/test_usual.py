"""How long a plan takes: along the longest way, and as it took here before."""

from typing import Any

import pytest

from mesh import catalogue as fact
from mesh.run import run_plan
from mesh.usual import remember, timed
from tests.test_mesh.fakes import FakePorts, FakeWorld, MemoryStore, Recorder
from tests.test_mesh.test_run import REFS, plan_of, step, world

__all__ = ["world"]


def lasts(plan: Any) -> float:
    return float(plan.lasts({step.id: step.usual for step in plan.todo()}))


def test_of_steps_side_by_side_the_longer_way_counts(world: FakeWorld) -> None:
    plan = plan_of(
        world,
        step("install.a", "a", "b", usual=180.0),
        step("install.b", "b", "a", usual=60.0),
        step("restart.a", "a", "b", "install.a", usual=30.0),
        step("connect", "a", "b", "install.b", "restart.a", usual=90.0),
    )
    assert lasts(plan) == 300.0
    assert plan.lasts({"connect": 90.0}) == 90.0


def test_a_step_takes_as_long_as_it_took_in_the_last_runs(world: FakeWorld) -> None:
    store = MemoryStore()
    plan = plan_of(world, step("install.a", "a", "b", usual=180.0), step("connect", "a", "b", usual=90.0))
    assert timed(plan, store) == plan
    for seconds in (400.0, 40.0, 44.0):
        remember(store, {"install.b": seconds})
    first, second = timed(plan, store).steps
    assert (first.usual, first.measured) == (44.0, True)
    assert (second.usual, second.measured) == (90.0, False)


@pytest.mark.parametrize("kept", ["words", {"install": "soon"}, {"install": []}, [1]])
def test_what_was_kept_badly_is_nothing(world: FakeWorld, kept: Any) -> None:
    store = MemoryStore()
    store.put("usual-steps", kept)
    plan = plan_of(world, step("install.a", "a", "b"))
    assert timed(plan, store) == plan


async def test_a_run_remembers_what_its_steps_took(world: FakeWorld) -> None:
    ports = FakePorts(world)
    world.hooks["helm a"] = lambda: world.put(fact.PEERS, "b", ())
    plan = plan_of(world, step("install.a", "a", "b", until=(), usual=180.0))
    await run_plan(plan, REFS, ports, Recorder())
    (now,) = timed(plan, ports.store).steps
    assert now.measured and now.usual < 180.0
