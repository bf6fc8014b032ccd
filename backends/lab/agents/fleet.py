"""Everything that runs in pods and talks over the network: agents, mesh servers, health probes, clients, logs."""

import random
from typing import TYPE_CHECKING, Final

from backends.lab.agents.datapath.counters import Counters
from backends.lab.agents.datapath.routing import Datapath
from backends.lab.agents.datapath.services import Services
from backends.lab.agents.health import Health
from backends.lab.agents.logs import LogBook
from backends.lab.agents.mesh.dialing import Dialer
from backends.lab.agents.mesh.exports import local_backends
from backends.lab.agents.mesh.links import Link
from backends.lab.agents.mesh.processes import Readers
from backends.lab.agents.mesh.servers import MeshServers
from backends.lab.agents.startup import first_lines
from backends.lab.agents.wire import Wire
from backends.lab.agents.wording import Teller
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.storage.resources import SERVICES

if TYPE_CHECKING:
    from backends.lab.controllers.simulation import ClusterSimulation, Simulation
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
        self._seen: object = None
        self._exposure: object = None
        world.network.deliver_to_service = self.servers.answers
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
        self._serving()
        return min(self.readers.advance(now), self.health.advance(now))

    def _serving(self) -> None:
        """Tell the network when what load balancers send to begins or ceases to answer."""
        stores = [one.cluster.objects for one in self.simulation.clusters.values()]
        seen = tuple(store.resource_version for store in stores)
        if seen == self._seen:
            return
        self._seen = seen
        now = tuple(self._exposed(one) for one in self.simulation.clusters.values())
        if now != self._exposure:
            self._exposure = now
            self.world.network.touch()

    @staticmethod
    def _exposed(one: "ClusterSimulation") -> object:
        """Balanced Services with their ports and back-ends, and the nodes that translate node ports."""
        store = one.cluster.objects
        services = tuple(
            (
                tuple(port.get("nodePort") for port in service["spec"].get("ports") or ()),
                str(service["status"].get("loadBalancer")),
                str(local_backends(store, service["metadata"]["namespace"], service["metadata"]["name"])),
            )
            for service in store.view(SERVICES)
            if service["spec"].get("type") in ("LoadBalancer", "NodePort")
        )
        hosts = tuple(
            sorted((h.name, h.iptables, h.replaces_kube_proxy and bool(h.agent)) for h in one.ground.hosts.values())
        )
        return services, hosts

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
