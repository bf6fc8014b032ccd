"""A lab as a user starts one: ``meshwright lab up -o json`` in a process of its own."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real.control_plane import wait_for
from tests.real.programs import ROOT, Program


@dataclass(frozen=True)
class Lab:
    """What a ready lab says of itself; ``env`` is every variable that a shell needs to use it."""

    kubeconfig: Path
    contexts: tuple[str, ...]
    env: dict[str, str]
    program: Program


@contextmanager
def lab_up(folder: Path, *arguments: str) -> Iterator[Lab]:
    """A lab for the time of a ``with`` block; its output is ``lab.log`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tui", "lab", "up", "-o", "json", *arguments]
    with Program("lab", command, folder, {**os.environ, "PYTHONPATH": str(ROOT)}) as program:
        wait_for(lambda: _ready(program), 60, "the lab's ready line")
        said = _ready(program)
        assert said is not None
        yield Lab(Path(said["kubeconfig"]), tuple(said["contexts"]), dict(said["env"]), program)


def _ready(program: Program) -> dict[str, Any] | None:
    program.check()
    for line in program.log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return None
