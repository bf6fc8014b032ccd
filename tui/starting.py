"""Before the first frame and after the last: options settled, signs and driver chosen, a fatal mistake told."""

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mesh import __version__
from mesh.ports import Ports
from tui.copy import write_private
from tui.options import Options
from tui.present import crash


def settled(ports: Ports, options: Options) -> Options:
    """The call's clusters as contexts. Raises ``UsageError`` for one that does not exist or is ambiguous."""
    if not options.contexts and not options.clusters:
        return options
    from tui.cli.choose import chosen

    named = Namespace(cluster=list(options.clusters), context=list(options.contexts))
    return replace(options, chosen=chosen(named, ports.contexts.list(), everything=False))


def in_lab(kubeconfig: str, environment: Mapping[str, str]) -> bool:
    """Whether every kubeconfig file lies in the folder of a lab that runs by itself: its clusters are simulated."""
    token = environment.get("MESHWRIGHT_LAB_TOKEN_FILE", "")
    files = [Path(name) for name in (kubeconfig or environment.get("KUBECONFIG", "")).split(os.pathsep) if name]
    return bool(token and files) and all(file.parent == Path(token).parent for file in files)


def driver() -> Any:
    """Textual's choice, but on a terminal one that paints on stdout."""
    if not sys.platform.startswith(("linux", "darwin")) or os.environ.get("TEXTUAL_DRIVER"):
        return None
    from tui.terminal import TerminalDriver

    return TerminalDriver


def wants_ascii(options: Options, environment: Mapping[str, str]) -> bool:
    """Whether the call, the locale or the terminal asks for ASCII signs."""
    if options.ascii is not None:
        return options.ascii
    told = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    _, dot, codeset = told.partition(".")
    other = bool(dot) and codeset.partition("@")[0].lower().replace("-", "") != "utf8"
    return other or environment.get("TERM") == "linux"


def say_cut_off(run: int) -> None:
    """On stderr, once the screen is gone: the app ended while a run was under way. Its terminal may be gone as well."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"meshwright: run {run} was cut off; go on with: meshwright resume {run}\n")
        sys.stderr.flush()


def say_fatal(found: crash.Failure, folder: Path, place: str, run: int) -> None:
    """Keep a report and say on stderr what happened; ``run`` is the number of the run that is open, 0 for none."""
    try:
        text = crash.report(found, __version__, place)
        path = str(write_private(folder, f"crash-{found.reference[2:6]}", ".txt", text))
    except OSError:
        path = ""
    told = f"run {run} is kept in its journal; nothing is half-written here" if run else ""
    sys.stderr.write("\n".join(crash.fatal_lines(found, told, path)) + "\n")
