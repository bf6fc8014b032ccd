"""Runs a command on an event loop of its own, ended by signals and by its deadline."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

from mesh.errors import Exit

Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]
_SIGNALS: Final = {signal.SIGHUP: Exit.HUP, signal.SIGINT: Exit.INT, signal.SIGTERM: Exit.TERM}


def run_command(command: Command, arguments: argparse.Namespace) -> int:
    """The command's exit code, or that of what ended it."""
    return asyncio.run(_run(command, arguments))


async def _run(command: Command, arguments: argparse.Namespace) -> int:
    """The command as a task that signals and the deadline cancel, so that children and labs end with it."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(command(arguments))
    caught: list[Exit] = []

    def stop(code: Exit) -> None:
        caught.append(code)
        task.cancel()

    for number, code in _SIGNALS.items():
        loop.add_signal_handler(number, stop, code)
    try:
        # Applying has deadlines of its own, per step; a deadline over all would cut a step in the middle.
        limit = None if arguments.command in ("apply", "resume", "lab") else getattr(arguments, "timeout", None)
        return await asyncio.wait_for(asyncio.shield(task), limit)
    except TimeoutError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        print(f"meshwright: not done within {arguments.timeout:.0f} s (--timeout)", file=sys.stderr)
        return Exit.DEADLINE
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        return caught[0] if caught else Exit.INT
