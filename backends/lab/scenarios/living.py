"""Bringing a built world to life, and giving it a past."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from backends.lab.agents.hooks import attach
from backends.lab.clouds.controller import CloudControllers
from backends.lab.controllers import reading
from backends.lab.controllers.simulation import Simulation
from backends.lab.storage.resources import DAEMONSETS, DEPLOYMENTS, PODS
from backends.lab.world import LabCluster, World

DAY: Final = 86_400.0
PATIENCE: Final = 900.0
NOTICED: Final = 600.0
"""Lab seconds after which every probe has seen a break and every rollout has ended or is stuck."""


class Unsettled(ValueError):
    """A world did not come to rest while it was built: what was waited for."""


@contextmanager
def past(world: World, days: float) -> Iterator[None]:
    """What happens in the block began ``days`` ago; lab time is where it was when the block ends."""
    clock = world.clock
    clock.pause()
    now = clock.now()
    clock.rewind(days * DAY)
    yield
    clock.jump(max(0.0, now - clock.now()))
    if world.simulation is not None:
        world.simulation.step()
    clock.resume()


@contextmanager
def beforehand(world: World, seconds: float = NOTICED) -> Iterator[None]:
    """What is changed in the block was changed ``seconds`` ago, and everything that notices has done so."""
    with past(world, seconds / DAY):
        yield
        world.simulation.settle(seconds)


def populate(world: World) -> Simulation:
    """Put controllers, cloud controllers and processes to work on everything there is."""
    simulation = Simulation(world)
    world.simulation = simulation
    if world.clouds is not None:
        simulation.followers.append(CloudControllers(world, simulation.touch))
    simulation.fleet = attach(world, simulation)
    world.on_start(lambda: _live(world, simulation))
    return simulation


async def _live(world: World, simulation: Simulation) -> None:
    """Follow changes of the clouds and run."""
    if world.clouds is not None:
        for cloud in (world.clouds.aws, world.clouds.azure):
            cloud.changes.subscribe(simulation.touch)
    await simulation.run()


def settle(world: World, what: str, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Let lab time pass until ``done``. Raises ``Unsettled`` naming ``what``."""
    if not world.simulation.settle(seconds, done):
        raise Unsettled(f"the scenario did not settle: {what}")


def at_rest(cluster: LabCluster) -> bool:
    """Whether every workload of the cluster has the pods it wants, ready and up to date."""
    store = cluster.objects
    for one in store.view(DAEMONSETS):
        status = one.get("status") or {}
        wanted = status.get("desiredNumberScheduled", 0)
        seen = status.get("observedGeneration") == one["metadata"].get("generation")
        fresh = wanted == 0 or status.get("updatedNumberScheduled", 0) == wanted
        if not seen or not fresh or status.get("numberReady", 0) != wanted:
            return False
    for one in store.view(DEPLOYMENTS):
        status, wanted = one.get("status") or {}, one["spec"].get("replicas", 1)
        seen = status.get("observedGeneration") == one["metadata"].get("generation")
        whole = status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
        if not seen or not whole or status.get("readyReplicas", 0) != wanted:
            return False
    return not any(reading.terminating(pod) for pod in store.view(PODS))
