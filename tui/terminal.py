"""The driver of a real terminal: paints on stdout, so that stderr can go to a file."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class Paper:
    """A stream that takes what is painted for as long as its terminal is there; afterwards it is lost in silence.

    Textual's painting thread would end with the first error, and whoever paints then waits for it for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Paint; returns the number of characters."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Paint what waits."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def fileno(self) -> int:
        """The descriptor of the terminal."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal still."""
        return self._stream.isatty()


class TerminalDriver(LinuxDriver):
    """Textual's own driver paints on stderr, and begins anew at every SIGCONT, also at one that nothing stopped it for.

    A terminal that is closed sends SIGHUP and then SIGCONT: beginning anew left threads behind that kept the process
    alive, and busy, when all the rest had ended.
    """

    def __init__(self, app: "App[Any]", *, debug: bool = False, mouse: bool = True, size: Any = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if sys.__stdout__ is not None:
            self._file = cast(Any, Paper(sys.__stdout__))

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal again, if it is there: after SIGTSTP we had left it, SIGSTOP gave no time for that."""
        if not self._auto_restart or not _is_there(self.fileno):
            return
        if not self._must_signal_resume:
            self.suspend_application_mode()
        self.resume_application_mode()


def _is_there(descriptor: int) -> bool:
    """Whether the terminal was not closed; one that was is no terminal any more."""
    return os.isatty(descriptor)
