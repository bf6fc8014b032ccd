"""A shell in a lab of two plain clusters: the lab's own ``helm`` and ``cilium`` run against served APIs."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from backends.lab.api.identity import Identity
from backends.lab.api.server import ApiServer
from backends.lab.cluster import LabCluster
from backends.lab.objects import Object, Resource
from tests.test_lab import meadow

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """#!/bin/sh
echo called >> "$LOG"
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'"$TOKEN"'"}}'
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """Standard output by lines."""
        return self.output.splitlines()


@dataclass
class Shell:
    """``east`` and ``west``; commands talk to them by a kubeconfig whose ``west`` needs a credential plugin."""

    one: meadow.Meadow
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def cluster(self, name: str) -> LabCluster:
        """A cluster behind the API."""
        return self.one.cluster(name)

    def appearance(self, cluster: str, kind: str, name: str) -> asyncio.Event:
        """Set as soon as an object of this name is created."""
        seen = asyncio.Event()

        def look(event: str, resource: Resource, found: Object) -> None:
            if (event, resource.kind, found["metadata"]["name"]) == ("ADDED", kind, name):
                seen.set()

        self.cluster(cluster).objects.subscribe(look)
        return seen

    def reconfigure(self, old: str, new: str) -> None:
        """Replace a text in the kubeconfig."""
        file = Path(self.environment["KUBECONFIG"])
        file.write_text(file.read_text().replace(old, new))

    def start(self, program: str, *arguments: str) -> Any:
        """Start a command; awaitable process."""
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        code += f"from backends.lab.commands.{program}.catalogue import main; sys.exit(main(sys.argv[1:]))"
        return asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            code,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.home,
            env=self.environment,
        )

    async def run(self, program: str, *arguments: str) -> Said:
        """Run a command to its end."""
        process = await self.start(program, *arguments)
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Said(process.returncode, output.decode(), errors.decode())

    async def helm(self, *arguments: str) -> Said:
        """``helm`` in namespace kube-system."""
        return await self.run("helm", *arguments, "--namespace", "kube-system")

    async def cilium(self, *arguments: str) -> Said:
        """``cilium``."""
        return await self.run("cilium", *arguments)


@asynccontextmanager
async def shell(
    home: Path, *, speed: float = 40.0, build: Callable[[meadow.Meadow], None] = lambda one: None
) -> AsyncIterator[Shell]:
    """The shell for the time of a block, its lab running; ``build`` changes the world before."""
    one = meadow.meadow(speed=speed)
    one.settle(60)
    build(one)
    servers = []
    for cluster in one.world.clusters.values():
        cluster.identities.add(f"{cluster.name}-token", Identity("admin", ("system:masters",)))
        servers.append(ApiServer(cluster))
    await asyncio.gather(*(server.start() for server in servers))
    one.world.start()
    driver = asyncio.get_running_loop().create_task(one.simulation.run())
    one.world.clock.resume()
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(one.world.clusters, home)))
    environment = {"HOME": str(home), "KUBECONFIG": str(kubeconfig), "PATH": os.defpath}
    try:
        yield Shell(one, home, environment)
    finally:
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in servers))
        await one.world.close()


def _kubeconfig(clusters: Mapping[str, LabCluster], home: Path) -> dict[str, Any]:
    plugin = home / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    env = [{"name": "TOKEN", "value": "west-token"}, {"name": "LOG", "value": str(home / "plugin.log")}]
    users = {
        "east": {"token": "east-token"},
        "west": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "env": env}},
    }
    names = list(clusters)
    authority = {name: base64.b64encode(one.authority.pem).decode() for name, one in clusters.items()}
    return {
        "current-context": names[0],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [
            {"name": name, "cluster": {"server": one.server_url, "certificate-authority-data": authority[name]}}
            for name, one in clusters.items()
        ],
        "users": [{"name": name, "user": users[name]} for name in names],
    }
