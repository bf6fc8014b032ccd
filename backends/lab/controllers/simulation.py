"""All controllers of a world, driven by changes and by lab time."""

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from backends.lab.controllers import certgen, reading
from backends.lab.controllers.addons import AddonManager
from backends.lab.controllers.budgets import Budgets
from backends.lab.controllers.cilium.endpoints import Endpoints
from backends.lab.controllers.cilium.operator import Operator
from backends.lab.controllers.endpoints import EndpointCleaner, EndpointSlices
from backends.lab.controllers.kubelet.host import Addresses
from backends.lab.controllers.kubelet.pods import Kubelets
from backends.lab.controllers.kubelet.programs import Ground
from backends.lab.controllers.loop import NEVER, ClusterLoop
from backends.lab.controllers.nodes import Hosts, Nodes
from backends.lab.controllers.projection import Projection
from backends.lab.controllers.recording import Recorder
from backends.lab.controllers.scheduling import Scheduler
from backends.lab.controllers.workloads.daemonsets import DaemonSets
from backends.lab.controllers.workloads.deployments import Deployments, ReplicaSets
from backends.lab.controllers.workloads.jobs import CronJobs, Jobs
from backends.lab.storage.resources import NODES

if TYPE_CHECKING:
    from backends.lab.world import LabCluster, World

_EVENTS_EVERY: Final = 300.0
GRAIN: Final = 0.25
"""Lab seconds to which due times are rounded up."""
LOOK: Final = 10.0
"""Lab seconds between two looks at what is waited for."""


class Follower(Protocol):
    """Something that runs after the controllers: cloud controllers, agents."""

    def advance(self, now: float) -> float:
        """Do what is due; returns the lab time of the next thing, or ``NEVER``."""


class ClusterSimulation:
    """The controllers of one cluster and what they know."""

    def __init__(self, cluster: "LabCluster", wake: Callable[[], None]) -> None:
        store = cluster.objects
        self.cluster = cluster
        self.recorder = Recorder(store)
        self.ground = Ground(store, cluster.provider, lambda: api_hosts(cluster), finishers={"certgen": certgen.run})
        addresses = Addresses(store, cluster.provider, cluster.node_subnets)
        self.kubelets = Kubelets(store, self.ground, addresses, self.recorder)
        self.operator = Operator(store, self.kubelets)
        self._expire_at = 0.0
        self.loop = ClusterLoop(
            cluster.name,
            store,
            [
                Hosts(store, self.ground, self.kubelets),
                Nodes(store, self.ground, self.recorder),
                DaemonSets(store, self.recorder),
                Deployments(store, self.recorder),
                ReplicaSets(store, self.recorder),
                CronJobs(store, self.recorder),
                Jobs(store, self.recorder),
                Scheduler(store, self.recorder),
                self.operator,
                self.kubelets,
                Projection(store, self.kubelets),
                EndpointSlices(store),
                EndpointCleaner(store),
                Endpoints(store, self.kubelets),
                Budgets(store),
                AddonManager(cluster),
            ],
            wake,
        )

    def run(self, now: float) -> float:
        """Let the controllers do what is due."""
        if now >= self._expire_at:
            self._expire_at = now + _EVENTS_EVERY
            self.recorder.expire(now)
        return self.loop.run(now)


def api_hosts(cluster: "LabCluster") -> frozenset[str]:
    """Host names at which pods reach the API server: that of its URL, and those its provider gave it."""
    known = {urlsplit(cluster.server_url).hostname or "", *(cluster.facts.get("api_hosts") or ())}
    document = cluster.facts.get("managed_cluster")
    if callable(document):
        properties = (document() or {}).get("properties") or {}
        known.update(str(properties.get(key) or "") for key in ("fqdn", "privateFQDN"))
    if cluster.provider == "kind":
        for node in cluster.objects.view(NODES):
            known.update((node["metadata"]["name"], reading.internal_ip(node)))
    return frozenset(known - {""})


class Simulation:
    """The controllers of every cluster of a world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._wake = asyncio.Event()
        self.clusters: dict[str, ClusterSimulation] = {}
        self.followers: list[Follower] = []
        self.fleet: Any = None
        """The running processes, where somebody simulates them."""
        for cluster in world.clusters.values():
            self.add(cluster)

    def add(self, cluster: "LabCluster") -> None:
        """Take a cluster under control."""
        self.clusters[cluster.name] = ClusterSimulation(cluster, self.touch)

    def touch(self) -> None:
        """Something changed: look again soon."""
        self._wake.set()

    def step(self) -> float:
        """Run everything that is due now; returns the next due time."""
        for _ in range(50):
            self._wake.clear()
            now = self._world.clock.now()
            due = min((one.run(now) for one in self.clusters.values()), default=NEVER)
            due = min([due, *(follower.advance(now) for follower in self.followers)])
            if not self._wake.is_set():
                # What is due nearly together is done together: hundreds of pods start in one step.
                return due if math.isinf(due) else math.ceil(due / GRAIN) * GRAIN
        return self._world.clock.now() + 1.0

    def settle(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let up to ``seconds`` of lab time pass at once, or less if ``until`` comes true; returns whether it did.

        For building a world before anybody can look at it, and for tests; the clock must not be slept on elsewhere.
        """
        clock = self._world.clock
        held = clock.paused
        clock.pause()
        try:
            end = clock.now() + seconds
            while True:
                due = self.step()
                if until is not None and until():
                    return True
                if clock.now() >= end:
                    return until is None
                # What is asked may come true by the passing of time alone, without anything being due.
                due = due if until is None else min(due, clock.now() + LOOK)
                clock.jump(max(0.001, min(due, end) - clock.now()))
        finally:
            if not held:
                clock.resume()

    async def run(self) -> None:
        """Drive the world for as long as it lives."""
        clock = self._world.clock
        while True:
            due = self.step()
            waiters: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wake.wait())]
            if not math.isinf(due):
                waiters.append(asyncio.ensure_future(clock.sleep(max(0.0, due - clock.now()))))
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waiter in waiters:
                    waiter.cancel()
                # Raises only if we are cancelled meanwhile, which must end us.
                await asyncio.gather(*waiters, return_exceptions=True)
            # A burst of writes is one look, not many.
            await asyncio.sleep(0)
