"""The world of a lab: its clock, its clusters, and what answers when somebody asks a pod."""

import asyncio
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from backends.lab.clock import LabClock
from backends.lab.cluster import LabCluster

__all__ = ["ExecFailed", "ExecResult", "LabClock", "LabCluster", "LogOptions", "World"]

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command in a container left behind."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0


class ExecFailed(Exception):
    """The command did not start: the sentence of the container runtime or the kubelet."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How a log is asked for; ``since`` is lab time in epoch seconds."""

    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    previous: bool = False
    timestamps: bool = False


ExecHook: TypeAlias = Callable[[LabCluster, str, str, str, list[str], bytes], Awaitable[ExecResult]]
LogsHook: TypeAlias = Callable[[LabCluster, str, str, str, LogOptions], AsyncIterator[bytes]]


async def _no_program(
    cluster: LabCluster, namespace: str, pod: str, container: str, argv: list[str], stdin: bytes
) -> ExecResult:
    raise ExecFailed(
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f'exec: "{argv[0] if argv else ""}": executable file not found in $PATH: unknown'
    )


async def _no_logs(
    cluster: LabCluster, namespace: str, pod: str, container: str, options: LogOptions
) -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for line in nothing:
        yield line


class World:
    """Everything a lab is: a clock, a seeded source of chance, clusters, clouds, a network, and the faults in it.

    ``clouds``, ``network``, ``logins``, ``simulation`` are set by who builds them, ``exec_hook`` and ``logs_hook``
    (called as ``exec`` and ``logs`` are) by who simulates what runs in pods; without them a container has no programs
    and no log.
    ``environment`` collects variables that a shell needs to use the lab.
    """

    def __init__(
        self, *, seed: int = 7, speed: float = 1.0, state_dir: Path | None = None, start: float | None = None
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = LabClock(start=start, speed=speed)
        self._state_dir = state_dir
        self._own_dir: tempfile.TemporaryDirectory[str] | None = None
        self._started = False
        self.scenario = ""
        self.clusters: dict[str, LabCluster] = {}
        self.clouds: Any = None
        self.network: Any = None
        self.logins: Any = None
        self.simulation: Any = None
        self.faults: set[str] = set()
        self.environment: dict[str, str] = {}
        self.exec_hook: ExecHook = _no_program
        self.logs_hook: LogsHook = _no_logs
        self._starters: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state_dir(self) -> Path:
        """A private folder (0700) for tokens and command stand-ins; made when first asked for."""
        if self._state_dir is None:
            # Goes with the world, also where nobody closes it.
            self._own_dir = tempfile.TemporaryDirectory(prefix="meshwright-lab-", ignore_cleanup_errors=True)
            self._state_dir = Path(self._own_dir.name)
        return self._state_dir

    def add_cluster(self, name: str, provider: str, **fields: Any) -> LabCluster:
        """A new cluster, ``name`` being its kubeconfig context; ``fields`` are those of ``LabCluster``."""
        if name in self.clusters:
            raise ValueError(f"there is already a cluster named {name}")
        cluster = LabCluster(self, name, provider, **fields)
        self.clusters[name] = cluster
        return cluster

    async def exec(
        self, cluster: LabCluster, namespace: str, pod: str, container: str, argv: list[str], stdin: bytes = b""
    ) -> ExecResult:
        """Run a command in a container. Raises ``ExecFailed`` where it does not start."""
        return await self.exec_hook(cluster, namespace, pod, container, argv, stdin)

    def logs(
        self, cluster: LabCluster, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """Lines of a container's log, each with its newline; when followed they end with the container."""
        return self.logs_hook(cluster, namespace, pod, container, options)

    def on_start(self, starter: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine for as long as the world runs (a controller, a clock-driven change)."""
        self._starters.append(starter)
        if self._started:
            self.spawn(starter())

    def start(self) -> None:
        """Start what was registered with ``on_start``; needs a running event loop."""
        self._started = True
        for starter in self._starters:
            self.spawn(starter())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task that ends with the world; its failure is logged, not lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the lab stopped", exc_info=task.exception())

    async def close(self) -> None:
        """End every task, give every port back, and remove the folder if this world made it."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for cluster in self.clusters.values():
            cluster.close()
        if self._own_dir is not None:
            self._own_dir.cleanup()
