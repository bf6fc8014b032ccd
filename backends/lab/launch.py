"""Start a lab in a process of its own and hold it: it ends with the block, with the caller, or when told."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from mesh.errors import MeshError, Undetermined, UsageError
from mesh.text import clean

START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 5.0
_KEPT_LINES: Final = 200
_PARENT_VARIABLE: Final = "MESHWRIGHT_LAB_PARENT"


@dataclass
class LabHandle:
    """A running lab. ``env`` is every variable that a shell needs, ``path`` the folder of the command stand-ins."""

    kubeconfig: Path
    contexts: tuple[str, ...]
    env: Mapping[str, str]
    path: Path
    aws_endpoint: str
    azure_endpoint: str
    ready: Mapping[str, Any]
    process: asyncio.subprocess.Process = field(repr=False)
    errors: deque[str] = field(repr=False)
    _draining: "asyncio.Task[None]" = field(repr=False)

    @property
    def control(self) -> Any:
        """Client of the lab's control, a ``backends.lab.control.LabControl``."""
        from backends.lab.control import LabControl

        return LabControl.from_environment(self.env)

    @property
    def pid(self) -> int:
        """Process id of the lab."""
        return self.process.pid

    async def stop(self) -> None:
        """End the lab and wait for it; one that does not end is killed, and what it wrote removed for it."""
        await _end(self.process)
        shutil.rmtree(self.kubeconfig.parent, ignore_errors=True)
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)


@contextlib.asynccontextmanager
async def start_lab(
    scenario: str,
    faults: Sequence[str] = (),
    *,
    speed: float = 1.0,
    seed: int = 7,
    deadline: float = START_SECONDS,
    module: str = "backends.lab.server",
) -> AsyncIterator[LabHandle]:
    """A lab for the time of the block. Raises ``MeshError`` with the lab's own words where it does not start."""
    handle = await launch(scenario, faults, speed=speed, seed=seed, deadline=deadline, module=module)
    try:
        yield handle
    finally:
        await handle.stop()


def _refuse_without_parts() -> None:
    if find_spec("moto") is None:
        raise UsageError(
            "The lab's parts are not installed",
            "They are the extra named lab.",
            "In Meshwright's folder: uv tool install 'meshwright[lab] @ .' or pipx install '.[lab]'",
        )


async def launch(
    scenario: str,
    faults: Sequence[str] = (),
    *,
    speed: float = 1.0,
    seed: int = 7,
    deadline: float = START_SECONDS,
    module: str = "backends.lab.server",
) -> LabHandle:
    """Start a lab; whoever calls stops it. ``deadline`` is in seconds. Raises ``MeshError``."""
    _refuse_without_parts()
    argv = [sys.executable, "-m", module, "--scenario", scenario, "--speed", str(speed), "--seed", str(seed)]
    if faults:
        argv += ["--fault", ",".join(faults)]
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as problem:
        raise Undetermined("The lab could not be started", str(problem), "run `make setup` and try again") from problem
    errors: deque[str] = deque(maxlen=_KEPT_LINES)
    draining = asyncio.get_running_loop().create_task(_drain(process, errors))
    try:
        ready = await asyncio.wait_for(_ready_line(process, draining, errors), deadline)
    except TimeoutError:
        await _give_up(process, draining)
        why = clean(" ".join(errors), 300) or "it said nothing"
        hint = "the machine may be busy: try again"
        raise Undetermined(f"The lab was not ready after {deadline:.0f} s", why, hint) from None
    except BaseException:
        await _give_up(process, draining)
        raise
    return LabHandle(
        kubeconfig=Path(ready["kubeconfig"]),
        contexts=tuple(ready["contexts"]),
        env=dict(ready["env"]),
        path=Path(ready["path"]),
        aws_endpoint=ready["aws_endpoint"],
        azure_endpoint=ready["azure_endpoint"],
        ready=ready,
        process=process,
        errors=errors,
        _draining=draining,
    )


def _environment() -> dict[str, str]:
    """The caller's variables, with the project found wherever the caller stands."""
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), _PARENT_VARIABLE: str(os.getpid())}


async def _drain(process: asyncio.subprocess.Process, errors: "deque[str]") -> None:
    """Keep the last lines of stderr, so that a lab that says much never waits for a reader."""
    assert process.stderr is not None
    while line := await process.stderr.readline():
        errors.append(line.decode(errors="replace").rstrip())


async def _ready_line(
    process: asyncio.subprocess.Process, draining: "asyncio.Task[None]", errors: "deque[str]"
) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if line:
        ready: dict[str, Any] = msgspec.json.decode(line)
        return ready
    code = await process.wait()
    await draining
    raise _refusal(code, errors)


def _refusal(code: int, errors: "deque[str]") -> MeshError:
    said = [clean(line).removeprefix("meshwright lab: ") for line in errors if line.strip()]
    if code == 2 and said:
        return UsageError("The lab did not start", said[-1], "meshwright lab scenarios; meshwright lab faults")
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Undetermined(f"The lab ended at its start: {how}", said[-1] if said else "", "try again")


async def _give_up(process: asyncio.subprocess.Process, draining: "asyncio.Task[None]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await _end(process)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the child's stdin, which ends it; then ask, then insist."""
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.close()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), _STOP_SECONDS)
