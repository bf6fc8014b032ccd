"""Drives a program on a pseudo-terminal and reads its screen through a terminal emulator. No fixed waiting."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

import pyte

KEYS = {
    "enter": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "space": " ",
    "backspace": "\x7f",
    "ctrl+c": "\x03",
    "end": "\x1b[F",
    "home": "\x1b[H",
}


class _Screen(pyte.Screen):
    """pyte knows no private SGR or keyboard-protocol sequences; they are no text."""

    def select_graphic_rendition(self, *attributes: int, **options: bool) -> None:
        if not options.get("private"):
            super().select_graphic_rendition(*attributes)

    def report_device_status(self, *_: object, **__: object) -> None:
        return


class Terminal:
    """A child on a pty. ``wait_for`` reads until a text is on the screen; leaving ends the child by its pid."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        whole: bool = False,
    ) -> None:
        """``env`` is added to this process's variables, or with ``whole`` is all that the child gets."""
        self.screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.code: int | None = None
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            try:
                if cwd:
                    os.chdir(cwd)
                os.execvpe(argv[0], list(argv), dict(env or {}) if whole else {**os.environ, **(env or {})})
            finally:
                os._exit(127)
        self.resize(columns, rows)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def resize(self, columns: int, rows: int) -> None:
        """Another size, told to the child."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGWINCH)

    def send(self, *keys: str) -> None:
        """Keys by name, or text as it is."""
        os.write(self._master, "".join(KEYS.get(key, key) for key in keys).encode())

    @property
    def master(self) -> int:
        """The file descriptor of the terminal's other side."""
        return self._master

    def lines(self) -> list[str]:
        """The rows of the screen."""
        return [row.rstrip() for row in self.screen.display]

    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines())

    def read(self, seconds: float) -> bool:
        """Take what the child painted, waiting at most so long for the first byte; False at its end."""
        if self._master < 0:
            time.sleep(min(seconds, 0.02))
            return True
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(_without_private(data))
        return len(data) > 0

    def settle(self, quiet: float = 0.15, deadline: float = 10.0) -> None:
        """Read until nothing was painted for a moment."""
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            painted = len(self.raw)
            self.read(quiet)
            if len(self.raw) == painted:
                return

    def wait_for(self, text: str, deadline: float = 20.0, *, absent: bool = False) -> str:
        """Read until the text is on the screen (or gone from it). Raises ``AssertionError`` with the screen."""
        until = time.monotonic() + deadline
        while (text in self.text()) is absent:
            alive = self.read(max(min(until - time.monotonic(), 0.2), 0.0))
            if (text in self.text()) is not absent:
                break
            assert alive, f"the program ended before {text!r}:\n{self.text()}"
            assert time.monotonic() < until, f"{text!r} {'stayed' if absent else 'did not appear'}:\n{self.text()}"
        return self.text()

    def wait_end(self, deadline: float = 20.0) -> int:
        """Read until the child has ended; its exit code, negative for a signal."""
        until = time.monotonic() + deadline
        while self.code is None:
            self.read(0.05)
            self._reap()
            assert time.monotonic() < until, f"it did not end:\n{self.text()}"
        while self._master >= 0 and self._readable() and self.read(0.0):
            pass
        return self.code

    def _readable(self) -> bool:
        return len(select.select([self._master], [], [], 0)[0]) > 0

    def kill(self, number: int) -> None:
        """Send a signal to the child."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal under the child."""
        os.close(self._master)
        self._master = -1

    def _ended(self) -> bool:
        return self.code is not None

    def _reap(self) -> None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End the child and the terminal."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._reap()
            if self.code is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            until = time.monotonic() + 8.0
            while not self._ended() and time.monotonic() < until:
                if self._master >= 0:
                    self.read(0.05)
                else:
                    time.sleep(0.02)
                self._reap()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


def _without_private(data: bytes) -> bytes:
    """Sequences pyte would print: ``CSI >`` and ``CSI =`` (keyboard protocols)."""
    made = bytearray()
    for part in _parts(data):
        made += part
    return bytes(made)


def _parts(data: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        found = min(
            (place for mark in (b"\x1b[>", b"\x1b[=", b"\x1b[<") if (place := data.find(mark, at)) >= 0), default=-1
        )
        if found < 0:
            yield data[at:]
            return
        yield data[at:found]
        at = found + 3
        while at < len(data) and not 0x40 <= data[at] <= 0x7E:
            at += 1
        at += 1
