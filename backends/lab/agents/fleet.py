"""Everything that runs in pods and talks over the network: agents, mesh servers, health probes, clients, logs."""

import random
from typing import TYPE_CHECKING, Final

from backends.lab.agents.datapath.counters import Counters
from backends.lab.agents.datapath.routing import Datapath
from backends.lab.agents.datapath.services import Services
from backends.lab.agents.health import Health
from backends.lab.agents.logs import LogBook
from backends.lab.agents.mesh.dialing import Dialer
from backends.lab.agents.mesh.links import Link
from backends.lab.agents.mesh.processes import Readers
from backends.lab.agents.mesh.servers import MeshServers
from backends.lab.agents.startup import first_lines
from backends.lab.agents.wire import Wire
from backends.lab.agents.wording import Teller
from backends.lab.controllers.kubelet.runtime import PodRuntime

if TYPE_CHECKING:
    from backends.lab.controllers.simulation import Simulation
    from backends.lab.world import World

NEAR: Final = 0.0005
"""Seconds of a round trip inside a cluster."""


class Fleet:
    """The running processes of a world. ``advance`` is called by the simulation after the controllers."""

    def __init__(self, world: "World", simulation: "Simulation") -> None:
        self.world = world
        self.simulation = simulation
        self.rng = random.Random(f"{world.seed}/fleet")
        self.wire = Wire(world)
        self.datapath = Datapath(simulation, self.wire)
        self.servers = MeshServers(simulation, self.wire)
        self.readers = Readers(simulation, self.servers, self.wire)
        self.datapath.readers = self.readers
        self.readers.dialer = Dialer(simulation, self.servers, self.wire, self.datapath, self.readers.known_nodes)
        self.readers.tell = self._told
        self.services = Services(simulation, self.readers)
        self.health = Health(self.readers, self.datapath, self.wire)
        self.counters = Counters(self.datapath, self.wire)
        self.logs = LogBook()
        for one in simulation.clusters.values():
            one.kubelets.started.append(self._started)
            one.kubelets.stopped.append(self._stopped)
            one.kubelets.crashed.append(self._crashed)

    def now(self) -> float:
        """Lab time."""
        return self.world.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait for lab time."""
        if seconds > 0:
            await self.world.clock.sleep(seconds)

    def advance(self, now: float) -> float:
        """Move links and health on; returns the next due time."""
        return min(self.readers.advance(now), self.health.advance(now))

    def answers(self, cluster: str, runtime: PodRuntime) -> bool:
        """Whether an agent's own API is up: it has started, and it has been given a range."""
        return runtime.ready or self.now() >= runtime.started_at + 3.0

    def round_trip(self, here: str, there: str) -> float:
        """Seconds of a round trip between two clusters."""
        if here == there:
            return NEAR
        one, other = self.simulation.clusters[here].cluster, self.simulation.clusters[there].cluster
        return 0.012 if one.provider != other.provider else 0.004

    # -- logs ----------------------------------------------------------------------------------------------------

    def _told(self, link: Link, what: str) -> None:
        runtime, now = link.caller.runtime, self.now()
        for line in Teller(link, now).lines(what):
            self.logs.write(runtime.uid, link.caller.container, runtime.boot, now, line)

    def _started(self, runtime: PodRuntime) -> None:
        for container, process in runtime.processes.items():
            for at, line in first_lines(runtime, process):
                self.logs.write(runtime.uid, container, runtime.boot, at, line)

    def _stopped(self, runtime: PodRuntime) -> None:
        self.logs.close(runtime.uid, runtime.boot)

    def _crashed(self, runtime: PodRuntime, line: str) -> None:
        container = next(iter(runtime.processes))
        self.logs.write(runtime.uid, container, runtime.boot, self.now(), line)
