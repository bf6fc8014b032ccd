"""A lab as a process: ``python -m backends.lab.server --scenario S``; one JSON line on stdout when it is ready.

It ends when its standard input closes, on SIGTERM, SIGINT and SIGHUP, or when its control is asked to stop. What it
wrote goes with it. Exit code 2 and one line on stderr where it cannot start.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from backends.lab import commands_bin, kubeconfig, registry
from backends.lab.api.server import ApiServer
from backends.lab.clouds.logins import Logins
from backends.lab.control import TOKEN_VARIABLE, URL_VARIABLE, ControlServer
from backends.lab.world import World

PARENT_VARIABLE: Final = "MESHWRIGHT_LAB_PARENT"
_PR_SET_PDEATHSIG: Final = 1

log: Final = logging.getLogger(__name__)


class Lab:
    """Everything of a running lab process."""

    def __init__(self, world: World, stop: asyncio.Event) -> None:
        self.world = world
        self.control = ControlServer(world, stop.set)
        self.servers: list[ApiServer] = []

    async def start(self, scenario: str, faults: Sequence[str]) -> dict[str, Any]:
        """Build the world and serve it; returns what the ready line says."""
        world = self.world
        for name in faults:
            registry.fault(name)
        if getattr(registry.scenario(scenario), "clouds", True):
            await _start_clouds(world)
        await registry.build(world, scenario)
        with _before_anybody_looks(world) if faults else contextlib.nullcontext():
            for name in faults:
                await registry.inject(world, name, {})
        self.servers = [ApiServer(cluster) for cluster in world.clusters.values()]
        await asyncio.gather(self.control.start(), *(server.start() for server in self.servers))
        world.start()
        return self._ready()

    async def stop(self) -> None:
        """Stop serving and end the world's tasks."""
        await asyncio.gather(*(server.stop() for server in self.servers), self.control.stop())
        await self.world.close()

    def _ready(self) -> dict[str, Any]:
        world, folder = self.world, self.world.state_dir
        logins = world.logins or Logins(folder / "logins", world.rng)
        config, path, token = folder / "kubeconfig", folder / "bin", folder / "control-token"
        kubeconfig.write(world, config)
        commands_bin.install(path, logins.folder)
        _private(token, self.control.token)
        endpoints = {
            "aws_endpoint": str(getattr(world.clouds, "aws_endpoint", "")),
            "azure_endpoint": str(getattr(world.clouds, "azure_endpoint", "")),
        }
        env = {
            "KUBECONFIG": str(config),
            "PATH": f"{path}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            URL_VARIABLE: self.control.url,
            TOKEN_VARIABLE: str(token),
            **_cloud_variables(folder, logins, endpoints),
            **world.environment,
        }
        return {
            "kubeconfig": env["KUBECONFIG"],
            "contexts": kubeconfig.contexts(env["KUBECONFIG"]),
            **endpoints,
            "path": str(path),
            "control": self.control.url,
            "token_file": str(token),
            "scenario": world.scenario,
            "seed": world.seed,
            "pid": os.getpid(),
            "env": env,
        }


def _before_anybody_looks(world: World) -> contextlib.AbstractContextManager[None]:
    """What happens in the block happened a while ago: its consequences are there when the lab is ready."""
    if world.simulation is None:
        return contextlib.nullcontext()
    from backends.lab.scenarios.living import beforehand

    return beforehand(world)


async def _start_clouds(world: World) -> None:
    from backends.lab import clouds
    from backends.lab.network import Network

    await clouds.start(world)
    world.logins = world.clouds.logins
    if world.network is None:
        world.network = Network(world)


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _cloud_variables(folder: Path, logins: Logins, endpoints: dict[str, str]) -> dict[str, str]:
    """What makes the AWS and Azure SDKs talk to the lab, and to nothing else."""
    variables: dict[str, str] = {}
    if endpoints["azure_endpoint"]:
        variables["MESHWRIGHT_AZURE_ENDPOINT"] = endpoints["azure_endpoint"]
    profiles = logins.aws_profiles()
    if endpoints["aws_endpoint"]:
        variables |= {"AWS_ENDPOINT_URL": endpoints["aws_endpoint"], "AWS_EC2_METADATA_DISABLED": "true"}
    if profiles:
        config, credentials = folder / "aws-config", folder / "aws-credentials"
        held = {profile: logins.aws(profile) for profile in profiles}
        _private(config, "".join(f"[profile {name}]\nregion = {one['region']}\n" for name, one in held.items()))
        _private(credentials, "".join(_keys(name, one) for name, one in held.items()))
        variables |= {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_PROFILE": profiles[0],
        }
    return variables


def _keys(profile: str, login: Any) -> str:
    return (
        f"[{profile}]\naws_access_key_id = {login['access_key']}\naws_secret_access_key = {login['secret_key']}\n"
        f"aws_session_token = {login['session_token']}\n"
    )


@contextlib.contextmanager
def _state_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone when the lab ends."""
    folder = Path(tempfile.mkdtemp(prefix="meshwright-lab-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _parent_gone(stop: asyncio.Event) -> None:
    """Set ``stop`` when standard input ends; a terminal or a file says nothing about a parent."""
    mode = os.fstat(sys.stdin.fileno()).st_mode if sys.stdin is not None else 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    stop.set()


def _end_with_parent() -> None:
    """Ask Linux for a signal at the parent's death; elsewhere the pipe alone tells."""
    parent = os.environ.get(PARENT_VARIABLE, "")
    if not parent or not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)


class _Signals:
    """SIGTERM, SIGINT and SIGHUP ask the lab to end, however often and however late they come.

    A killed parent is told twice, by the pipe and by the signal: handlers of the event loop end with the loop, and the
    signal would end the process before its folder is removed.
    """

    def __init__(self) -> None:
        self._asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._come)

    def told(self) -> asyncio.Event:
        """Set when the lab shall end; of the running event loop from now on."""
        self._loop = asyncio.get_running_loop()
        if self._asked:
            self._stop.set()
        return self._stop

    def _come(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed: the lab has ended
                self._loop.call_soon_threadsafe(self._stop.set)


async def _run(options: argparse.Namespace, folder: Path, signals: _Signals) -> int:
    stop = signals.told()
    world = World(seed=options.seed, speed=options.speed, state_dir=folder)
    lab = Lab(world, stop)
    watching = asyncio.ensure_future(_parent_gone(stop))
    starting = asyncio.ensure_future(lab.start(options.scenario, options.fault))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return 0
        sys.stdout.write(msgspec.json.encode(starting.result()).decode() + "\n")
        sys.stdout.flush()
        await stopped
    except (ValueError, OSError, ImportError) as problem:
        log.debug("the lab could not start", exc_info=True)
        sys.stderr.write(f"meshwright lab: {' '.join(str(problem).split())}\n")
        return 2
    finally:
        for task in (watching, starting, stopped):
            task.cancel()
        await lab.stop()
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m backends.lab.server", description="Serve one lab until stdin closes."
    )
    parser.add_argument("--scenario", default="classic", metavar="NAME")
    parser.add_argument("--fault", default=[], type=lambda text: [name for name in text.split(",") if name])
    parser.add_argument("--speed", default=1.0, type=_speed, metavar="FACTOR", help="lab seconds per second")
    parser.add_argument("--seed", default=7, type=int, metavar="NUMBER")
    parser.add_argument("--verbose", action="store_true", help="log to stderr")
    return parser.parse_args(argv)


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10_000:
        raise argparse.ArgumentTypeError("the speed must be above 0 and at most 10000")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run a lab until it is told to end; returns the exit code."""
    options = _options(argv)
    # A world is many objects that live long: looking for cycles among them less often starts a lab a fifth sooner.
    gc.set_threshold(100_000, 20, 50)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.ERROR, stream=sys.stderr)
    signals = _Signals()
    _end_with_parent()
    with _state_folder() as folder:
        return asyncio.run(_run(options, folder, signals))


if __name__ == "__main__":
    sys.exit(main())
