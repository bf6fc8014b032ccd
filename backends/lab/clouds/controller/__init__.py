"""Cloud controllers: Services of type LoadBalancer become load balancers in the cluster's cloud, after a while."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from backends.lab.clouds.controller.aws_services import AwsServices
from backends.lab.clouds.controller.azure_services import AzureServices
from backends.lab.clouds.controller.lifecycle import Maker, ServiceController
from backends.lab.cluster import LabCluster
from backends.lab.world import World

__all__ = ["CloudControllers"]


class CloudControllers:
    """The controllers of every cluster of a cloud. ``advance`` is called with lab time when something may be due;
    ``wake`` is called when a Service or Node changed.
    """

    def __init__(self, world: World, wake: Callable[[], None] = lambda: None) -> None:
        self._world = world
        self._wake = wake
        self._changed = asyncio.Event()
        self._controllers: dict[str, ServiceController] = {}
        for cluster in world.clusters.values():
            self.add(cluster)

    def add(self, cluster: LabCluster) -> None:
        """Take a cluster's Services under control; kind has no cloud controller."""
        maker: Maker
        if cluster.provider == "eks":
            maker = AwsServices(cluster)
        elif cluster.provider == "aks":
            maker = AzureServices(cluster)
        else:
            return
        self._controllers[cluster.name] = ServiceController(cluster, maker, self._touched)

    def advance(self, now: float) -> float:
        """Do what is due; returns the lab time of the next thing, or infinity."""
        return min((one.advance(now) for one in self._controllers.values()), default=math.inf)

    def _touched(self) -> None:
        self._changed.set()
        self._wake()

    async def run(self) -> None:
        """Drive the controllers alone, for worlds without a simulation that calls ``advance``."""
        clock = self._world.clock
        while True:
            self._changed.clear()
            due = self.advance(clock.now())
            waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
            if not math.isinf(due):
                waiting.append(asyncio.ensure_future(clock.sleep(max(0.0, due - clock.now()))))
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
