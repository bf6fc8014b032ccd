"""What both programs do around their command line."""

import os
import signal
import sys
from collections.abc import Callable


def running(body: Callable[[], int]) -> int:
    """Run a program's body; its exit code. One whose output nobody reads any more dies of it, as Go programs do."""
    # Until a command handles it, an interrupt ends the program as it ends any other.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        code = body()
        sys.stdout.flush()
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
        raise
    return code
