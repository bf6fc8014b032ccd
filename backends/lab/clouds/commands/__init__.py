"""Stand-ins for ``aws``, ``az`` and ``kubelogin``: credential plugins and logins, in the real ones' words."""

import shlex
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("aws", "az", "kubelogin")


def install(folder: Path, logins: Path) -> None:
    """Write the three commands into ``folder``; they read and write the logins in ``logins`` (``Logins.folder``)."""
    write_commands(folder, sys.executable, logins.parent)


def write_commands(bin_dir: Path, python: str, state_dir: Path) -> None:
    """Write the three commands into ``bin_dir``; each starts ``python`` without site packages, in milliseconds.

    ``state_dir`` holds ``logins/``.
    """
    bin_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    programs = Path(__file__).resolve().parent
    for name in NAMES:
        words = [python, "-I", "-S", str(programs / f"{name}_program.py"), str(state_dir / "logins")]
        path = bin_dir / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        path.chmod(0o700)
