"""Labs in processes of their own, the command line in this process or another, and waiting with a deadline."""

import asyncio
import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backends.lab.control import LabControl
from tui.cli.main import main

ROOT = Path(__file__).parents[2]
TOKYO, EAST = "eks-tokyo", "aks-east"
PAIR = ("--context", TOKYO, "--context", EAST)
_START_SECONDS = 90.0
_END_SECONDS = 20.0
T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str = ""

    @property
    def report(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def roots(self) -> list[tuple[str, str]]:
        """(code, subject) of every problem's root, in the order told."""
        return [(one["root"]["code"], one["root"]["subject_text"]) for one in self.report["problems"]]

    def found(self, *states: str) -> list[tuple[str, str]]:
        """(code, subject) of every finding in one of these states."""
        return [(one["code"], one["subject_text"]) for one in self.report["findings"] if one["state"] in states]

    @property
    def summary(self) -> dict[str, int]:
        """How many findings are in each state, states without any left out."""
        return {state: number for state, number in self.report["summary"].items() if number}


def until(condition: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.1, last: Any = "") -> T:
    """Ask again until the answer is true; fails saying what did not come about, and the ``last`` things seen."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; the last seen: {last[-3:]}")
        time.sleep(every)


@contextlib.contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """This process's environment with these variables; None takes one away. Put back afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def call(*argv: str, env: Mapping[str, str | None] | None = None) -> Done:
    """One call of the command line in this process, as ``python -m tui`` makes it; nobody is at a terminal."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = (io.TextIOWrapper(out, encoding="utf-8"), io.TextIOWrapper(err, encoding="utf-8"))
    with environment(env or {}), contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(list(argv))
        for stream in streams:
            stream.flush()
    return Done(code, out.getvalue().decode(), err.getvalue().decode())


@dataclass
class Program:
    """``python -m tui`` in a process of its own; what it says goes to files, so that it never waits for a reader."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def out(self) -> str:
        """Standard output so far."""
        return (self.folder / "out").read_text(errors="replace")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return (self.folder / "err").read_text(errors="replace")

    def said(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it has said this on one of its streams."""
        until(lambda: text in self.out + self.err or self.process.poll() is not None, f"{text!r} said", seconds, 0.02)
        assert text in self.out + self.err, f"ended with {self.process.poll()} before {text!r}:\n{self.out}{self.err}"

    def ended(self, seconds: float = 60.0) -> Done:
        """Wait for its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s:\n{self.out}{self.err}") from None
        return Done(code, self.out, self.err)

    def send(self, number: signal.Signals) -> None:
        """A signal, to it alone."""
        self.process.send_signal(number)


@contextlib.contextmanager
def program(*argv: str, env: Mapping[str, str | None] | None = None, program: Sequence[str] = ()) -> Iterator[Program]:
    """Started for the time of the block, away from the project's folder; ended by its id if it still runs then."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
    with tempfile.TemporaryDirectory(prefix="walk-") as name:
        folder = Path(name)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*(program or (sys.executable, "-m", "tui")), *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={key: value for key, value in variables.items() if value is not None},
            )
        try:
            yield Program(process, folder)
        finally:
            _end(process)


def run(*argv: str, env: Mapping[str, str | None] | None = None, seconds: float = 60.0) -> Done:
    """One call in a process of its own."""
    with program(*argv, env=env) as running:
        return running.ended(seconds)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def labs(*scenarios: str, speed: float = 60.0, module: str = "backends.lab.server") -> Iterator[list["Lab"]]:
    """Labs in processes of their own for the time of the block, started and ended side by side.

    They end when their input closes; one that does not is ended by its id.
    """
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(_started(scenario, speed, module)) for scenario in scenarios]
        try:
            yield [_ready(process, folder) for process, folder in started]
        finally:
            for process, _ in started:
                process.stdin.close()  # type: ignore[union-attr]  # it is a pipe


@contextlib.contextmanager
def lab(scenario: str, *, speed: float = 60.0, module: str = "backends.lab.server") -> Iterator["Lab"]:
    """One lab for the time of the block."""
    with labs(scenario, speed=speed, module=module) as (one,):
        yield one


@contextlib.contextmanager
def _started(scenario: str, speed: float, module: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    argv = [sys.executable, "-m", module, "--scenario", scenario, "--speed", str(speed)]
    with tempfile.TemporaryDirectory(prefix="walk-lab-") as name, (Path(name) / "err").open("wb") as errors:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=name,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            yield process, Path(name)
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            _end(process)
            process.stdout.close()


def _ready(process: "subprocess.Popen[bytes]", folder: Path) -> "Lab":
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], _START_SECONDS)[0]:
        raise AssertionError(f"the lab was not ready after {_START_SECONDS:g} s: {(folder / 'err').read_text()}")
    line = process.stdout.readline()
    assert line, f"the lab ended at its start: {(folder / 'err').read_text()}"
    said: dict[str, Any] = json.loads(line)
    env = {**said["env"], "MESHWRIGHT_STATE_DIR": str(folder / "state")}
    return Lab(env, tuple(said["contexts"]), said, process.pid)


@dataclass
class Lab:
    """A running lab, and a folder of state for the calls that use it."""

    env: dict[str, str]
    contexts: tuple[str, ...]
    said: dict[str, Any]
    pid: int

    @property
    def named(self) -> tuple[str, ...]:
        """Its contexts as arguments."""
        return tuple(word for context in self.contexts for word in ("--context", context))

    def call(self, *argv: str, **more: str | None) -> Done:
        """A call of the command line in this process that uses this lab."""
        return call(*argv, env={**self.env, **more})

    def check(self, *argv: str, **more: str | None) -> Done:
        """``check -o json`` of all its contexts, in this process."""
        return self.call("check", "-o", "json", *self.named, *argv, **more)

    def journal(self, run: int = 1) -> list[dict[str, Any]]:
        """The records of a run's journal."""
        path = Path(self.env["MESHWRIGHT_STATE_DIR"]) / "lab" / "runs" / f"{run:04d}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def tell(self, order: Callable[[LabControl], Coroutine[Any, Any, T]]) -> T:
        """Ask its control for something and wait for the answer."""
        return asyncio.run(order(LabControl.from_environment(self.env)))


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def carrying(mark: str) -> list[int]:
    """Ids of the running processes that have this text in the environment they were started with."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and not gone(int(entry.name)):
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found
