"""The headless front end: parse, dispatch, and end with the one table of exit codes."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from mesh.errors import Exit, MeshError, UsageError
from tui.cli.parser import parse

MODULES: Final = {
    "check": "tui.cli.commands.check",
    "plan": "tui.cli.commands.plan",
    "apply": "tui.cli.commands.apply",
    "resume": "tui.cli.commands.resume",
    "graph": "tui.cli.commands.graph",
    "reach": "tui.cli.commands.reach",
    "explain": "tui.cli.commands.explain",
    "rights": "tui.cli.commands.rights",
    "version": "tui.cli.commands.version",
    "lab": "tui.cli.commands.lab",
}


AT_ONCE: Final = ("explain", "version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing escapes but ``SystemExit(0)`` of ``--help``."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parse(words)
        if arguments.command in (None, "demo"):
            return _ended(_app(arguments))
        module = importlib.import_module(MODULES[arguments.command])
        if arguments.command in AT_ONCE:
            return _ended(module.now(arguments))
        # An event loop is 35 ms of imports, which what answers at once does without.
        from tui.cli.loop import run_command

        return _ended(run_command(module.run, arguments))
    except MeshError as error:
        return _ended(report(error))
    except BrokenPipeError:
        return _ended(Exit.CLEAN)
    except KeyboardInterrupt:
        return Exit.INT
    except Exception as error:
        return _ended(_bug(error))


def _ended(code: int) -> int:
    """Flush while a closed pipe or terminal can still be told apart from an error; ``| head`` is no failure."""
    try:
        sys.stdout.flush()
    except OSError:
        from tui.cli.printing import mute

        mute()
    return int(code)


def report(error: MeshError) -> int:
    """A designed error on stderr: what is so, why, what next."""
    first, *rest = error.lines()
    print(f"meshwright: {first}", file=sys.stderr)
    for line in rest:
        print(f"  {line}", file=sys.stderr)
    return error.exit_code


def _bug(error: Exception) -> int:
    """Where it broke, without locals: values could be secrets (DESIGN §8.6)."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    print("meshwright: stopped by a bug of its own", file=sys.stderr)
    print(f"  where    {where} ({type(error).__name__})", file=sys.stderr)
    print(
        "  next     your clusters stay as they are; meshwright resume goes on with an unfinished run", file=sys.stderr
    )
    return Exit.INTERNAL


def _app(arguments: argparse.Namespace) -> int:
    """The app needs a terminal on both sides and a TERM that can be drawn on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The app needs a terminal on stdin and stdout",
            hint="Without one use: meshwright check, plan, apply, graph (-h).",
        )
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("TERM=dumb cannot be drawn on", hint="Use: meshwright check, plan, apply, graph (-h).")
    from backends.wiring import open_ports
    from tui.app import Options, run_app
    from tui.starting import in_lab

    demo = arguments.command == "demo"
    options = Options(
        demo=demo,
        scenario=getattr(arguments, "scenario", None) or "",
        faults=tuple(fault for fault in getattr(arguments, "fault", "").split(",") if fault),
        speed=getattr(arguments, "speed", 1.0),
        seed=getattr(arguments, "seed", 7),
        contexts=tuple(arguments.context),
        clusters=tuple(arguments.cluster),
        simulated=in_lab(arguments.kubeconfig or "", os.environ),
    )
    if demo and (options.scenario or options.faults):
        from backends.wiring import lab_refuse_unknown

        lab_refuse_unknown(options.scenario, options.faults)
    return run_app(open_ports(kubeconfig=arguments.kubeconfig, lab=demo), options)
