"""The one place that starts other programs: argument lists only, deadlines, streamed lines, no orphans, no terminal."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from mesh.text import clean

GRACE_SECONDS: Final = 2.0
_HELD_OPEN_SECONDS: Final = 1.0
_LONGEST_LINE: Final = 64 * 1024
_PR_SET_PDEATHSIG: Final = 1

Line = Callable[[str], None]
Started = Callable[[int, float], None]


class NotStarted(Exception):
    """The program is not there or may not be run; ``missing`` tells which of the two."""

    def __init__(self, program: str, why: str, *, missing: bool) -> None:
        super().__init__(f"{program}: {why}")
        self.program = program
        self.why = why
        self.missing = missing


class Finished(Struct, frozen=True):
    """How a program ended: exit code (negative = signal), standard output, cleaned standard error.

    ``timed_out`` = it was ended at its deadline; ``truncated`` = it said more than was kept.
    """

    code: int
    output: bytes
    errors: str
    timed_out: bool = False
    truncated: bool = False


async def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    send: bytes | None = None,
    seconds: float,
    max_bytes: int = 8_000_000,
    line: Line | None = None,
    started: Started | None = None,
) -> Finished:
    """Run a program in a session of its own, without a terminal, until it ends or its deadline comes.

    ``line`` gets every cleaned line of both streams as it comes; ``started`` gets pid and start time (epoch seconds).
    At the deadline and when cancelled its whole group is ended. Raises ``NotStarted``.
    """
    child = await _start(argv, environment, folder, send is not None)
    if started:
        started(child.pid, start_time(child.pid))
    output, errors = _Collector(max_bytes, line), _Collector(max_bytes, line)
    reading = asyncio.gather(
        _feed(child.protocol, send), output.drain(child.output.stream), errors.drain(child.errors.stream)
    )
    # At the event loop's end its parts are cancelled while nobody waits for it: that is nothing to complain about.
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    timed_out = False
    try:
        await asyncio.wait_for(_ended(child, reading), seconds)
    except TimeoutError:
        timed_out = True
    finally:
        await asyncio.shield(_end(child, reading))
    code = child.code if child.code is not None else -signal.SIGKILL
    text = clean(errors.kept.decode(errors="replace"))
    return Finished(code, bytes(output.kept), text, timed_out, output.truncated or errors.truncated)


def run_on_terminal(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run an interactive program on this terminal and wait for it. The caller has given the terminal up."""
    return _on_terminal(argv, environment, None)[0]


def ask_on_terminal(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Like ``run_on_terminal``, but standard output is kept from the screen and returned."""
    return _on_terminal(argv, environment, subprocess.PIPE)


def start_time(pid: int) -> float:
    """When a process started, epoch seconds to 10 ms; 0 if there is none. With the pid it names a process for ever."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as boot:
            booted = next(int(row.split()[1]) for row in boot if row.startswith("btime"))
        return round(booted + ticks / os.sysconf("SC_CLK_TCK"), 2)
    except FileNotFoundError:
        return 0.0 if os.path.isdir("/proc/self") else _start_time_by_ps(pid)
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0


def alive(pid: int, started: float) -> bool:
    """Whether the process with this pid and start time still runs (a zombie does not)."""
    found = start_time(pid)
    if not found or abs(found - started) > 0.02:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return not os.path.isdir("/proc/self")


class _Collector:
    """Keeps a stream up to a limit and hands its lines on."""

    def __init__(self, max_bytes: int, line: Line | None) -> None:
        self.kept = bytearray()
        self.truncated = False
        self._max = max_bytes
        self._line = line
        self._rest = b""

    async def drain(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(65536):
            room = self._max - len(self.kept)
            self.kept += chunk[: max(room, 0)]
            self.truncated = self.truncated or len(chunk) > room
            self._lines(chunk)
        if self._rest:
            self._tell(self._rest)

    def _lines(self, chunk: bytes) -> None:
        if self._line is None:
            return
        *whole, self._rest = (self._rest + chunk).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            whole, self._rest = [*whole, self._rest], b""
        for text in filter(None, whole):
            self._tell(text)

    def _tell(self, text: bytes) -> None:
        if self._line is not None:
            self._line(clean(text.decode(errors="replace")))


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Knows when the program itself has ended, even if somebody still holds its pipes open."""

    def __init__(self) -> None:
        super().__init__(limit=1 << 16, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class _Reading(Struct):
    """Our end of one of a program's streams."""

    transport: asyncio.ReadTransport
    stream: asyncio.StreamReader


class _Child(Struct):
    """A started program: its streams, and the event of its end."""

    transport: asyncio.SubprocessTransport
    protocol: _Protocol
    output: _Reading
    errors: _Reading

    @property
    def pid(self) -> int:
        return self.transport.get_pid()

    @property
    def code(self) -> int | None:
        return self.transport.get_returncode()


async def _start(argv: Sequence[str], environment: Mapping[str, str] | None, folder: str | None, fed: bool) -> _Child:
    # The program holds the reading ends of its own output too: when we are killed it must not die of a closed pipe at
    # its next word, before it has put in order what it was doing (helm marks its release as failed).
    (read_output, output), (read_errors, errors) = os.pipe(), os.pipe()
    try:
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            _Protocol,
            *argv,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(read_output, read_errors),
            env=dict(environment) if environment is not None else None,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )
    except BaseException as error:
        os.close(read_output)
        os.close(read_errors)
        if isinstance(error, OSError | subprocess.SubprocessError | ValueError):
            raise _not_started(argv, error) from error
        raise
    finally:
        os.close(output)
        os.close(errors)
    return _Child(transport, protocol, await _reading(read_output), await _reading(read_errors))


async def _reading(descriptor: int) -> _Reading:
    stream = asyncio.StreamReader(limit=1 << 16)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", 0)
    )
    return _Reading(transport, stream)


def _not_started(argv: Sequence[str], error: BaseException) -> NotStarted:
    program = clean(argv[0] if argv else "")
    if isinstance(error, FileNotFoundError):
        return NotStarted(program, "it is not installed or not on PATH", missing=True)
    if isinstance(error, PermissionError):
        return NotStarted(program, "it may not be run", missing=False)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return NotStarted(program, clean(why), missing=False)


async def _feed(streams: _Protocol, send: bytes | None) -> None:
    if send is None or streams.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        streams.stdin.write(send)
        streams.stdin.close()
        await streams.stdin.wait_closed()


async def _ended(child: _Child, reading: Awaitable[object]) -> None:
    await child.protocol.exited.wait()
    # A grandchild may hold the pipes open for ever; what the program itself said is there.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading), _HELD_OPEN_SECONDS)


async def _end(child: _Child, reading: "asyncio.Future[Any]") -> None:
    exited = child.protocol.exited
    if not exited.is_set():
        _signal_group(child.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(exited.wait(), GRACE_SECONDS)
        except TimeoutError:
            _signal_group(child.pid, signal.SIGKILL)
            await exited.wait()
    if not reading.done():
        _signal_group(child.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(reading), _HELD_OPEN_SECONDS)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await reading
    for transport in (child.transport, child.output.transport, child.errors.transport):
        transport.close()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _end_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the program: ask the kernel to end it when we end."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def _on_terminal(argv: Sequence[str], environment: Mapping[str, str] | None, output: int | None) -> tuple[int, bytes]:
    try:
        process = subprocess.Popen(
            list(argv), env=dict(environment) if environment is not None else None, stdout=output
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _not_started(argv, error) from error
    with process:
        while True:
            try:
                said = process.communicate()[0]
                return process.returncode, said or b""
            except KeyboardInterrupt:
                continue  # the terminal sent it to the program too, which decides


def _start_time_by_ps(pid: int) -> float:
    import time

    argv, plain = ["ps", "-o", "lstart=", "-p", str(pid)], {**os.environ, "LC_ALL": "C"}
    listing = subprocess.run(argv, env=plain, capture_output=True, text=True, check=False)
    try:
        return time.mktime(time.strptime(listing.stdout.strip()))
    except ValueError:
        return 0.0
