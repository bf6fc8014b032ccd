"""What both programs do around their command line."""

import os
import signal
import sys
from collections.abc import Callable


def running(body: Callable[[], int]) -> int:
    """Run a program's body; its exit code. Whoever closes the pipe early is no failure worth a word."""
    # Until a command handles it, an interrupt ends the program as it ends any other.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        code = body()
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
