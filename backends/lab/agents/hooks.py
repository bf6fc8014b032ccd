"""The world's ``exec`` and ``logs`` in terms of what runs in pods."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from backends.lab.agents.fleet import Fleet
from backends.lab.agents.logs import rendered, select
from backends.lab.agents.programs.calls import Call
from backends.lab.agents.programs.run import run
from backends.lab.storage.resources import PODS
from backends.lab.world import ExecFailed, ExecResult, LogOptions

if TYPE_CHECKING:
    from backends.lab.controllers.simulation import Simulation
    from backends.lab.world import LabCluster, World


class Hooks:
    """Answers execs and logs of a world."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def exec(
        self, cluster: "LabCluster", namespace: str, pod: str, container: str, argv: list[str], stdin: bytes
    ) -> ExecResult:
        """Run a command. Raises ``ExecFailed`` where it does not start."""
        self._fleet.simulation.step()
        runtime = self._fleet.simulation.clusters[cluster.name].kubelets.runtime(namespace, pod)
        if runtime is None or container not in runtime.processes:
            raise ExecFailed(f'unable to upgrade connection: container not found ("{container}")')
        return await run(Call(self._fleet, cluster.name, runtime, container, tuple(argv), stdin))

    async def logs(
        self, cluster: "LabCluster", namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """Lines of a container's log."""
        self._fleet.simulation.step()
        found = cluster.objects.stored(PODS, namespace, pod)
        if found is None:
            return
        uid, boot = found["metadata"]["uid"], _restarts(found, container)
        if options.previous:
            boot -= 1
        runtime = self._fleet.simulation.clusters[cluster.name].kubelets.runtimes.get(uid)
        live = runtime is not None and runtime.boot == boot
        if not options.follow or not live:
            for line in select(self._fleet.logs.lines(uid, container, boot), options.tail_lines, options.since):
                yield rendered(line, options.timestamps)
            return
        lines = self._fleet.logs.follow(uid, container, boot, options.tail_lines, options.since, options.timestamps)
        async for part in lines:
            yield part


def _restarts(pod: dict[str, object], container: str) -> int:
    status = pod.get("status")
    entries = status.get("containerStatuses") or () if isinstance(status, dict) else ()
    return next((int(entry.get("restartCount", 0)) for entry in entries if entry["name"] == container), 0)


def attach(world: "World", simulation: "Simulation") -> Fleet:
    """Let the processes of a world run and answer its execs and logs."""
    fleet = Fleet(world, simulation)
    simulation.followers.append(fleet)
    hooks = Hooks(fleet)
    world.exec_hook = hooks.exec
    world.logs_hook = hooks.logs
    return fleet
