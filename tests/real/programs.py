"""The real programs that ``tools/build`` made, and processes of them that never outlive the tests."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".tools" / "bin"
CHARTS = ROOT / ".tools" / "charts"
STAGES = ROOT / ".tools" / "stages"
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
PR_SET_PDEATHSIG = 1


def missing(*programs: str) -> list[str]:
    """Which of these programs ``tools/build`` has not made."""
    return [program for program in programs if not os.access(BIN / program, os.X_OK)]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody had a moment ago, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Exited(Exception):
    """A program ended although it was to go on; the message ends with the last lines of its log."""


class Program:
    """One running program: its own process group, its output in a log file, killed when its starter dies.

    Start it from the main thread: the kernel sends the parent-death signal when the starting *thread* ends.
    """

    def __init__(self, name: str, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=folder,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_die_with_parent,  # one system call and nothing that could wait for a lock
            )

    def check(self) -> None:
        """Raise ``Exited`` if the program has ended."""
        if self.process.poll() is not None:
            raise Exited(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End the whole process group at once and reap the program; again is harmless."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()


def _die_with_parent() -> None:
    _PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)


# Looked up before any fork: a dlopen in the child could wait for a lock that no thread there will release.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0
