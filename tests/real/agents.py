"""Stand-ins for the programs in a Cilium agent's pod, which answer with what a real agent answered.

On a real control plane kwok runs what is exec'd into any pod here, with these programs first in its PATH.
"""

from pathlib import Path

from tests.real.control_plane import ControlPlane

# File of a recording -> the call that it answers.
ANSWERS = {
    "status.json": ("cilium-dbg", "status -o json"),
    "status.txt": ("cilium-dbg", "status --all-clusters"),
    "troubleshoot.txt": ("cilium-dbg", "troubleshoot clustermesh"),
    "metrics.json": ("cilium-dbg", "bpf metrics list -o json"),
    "health.json": ("cilium-health", "status -o json"),
}


def answer_as(plane: ControlPlane, recording: Path) -> None:
    """Let the agents of a cluster answer as the one recorded in this folder; all other calls fail."""
    for program in sorted({program for program, _ in ANSWERS.values()}):
        cases = [
            f"  {call!r}) exec cat {str(recording / file)!r} ;;"
            for file, (name, call) in ANSWERS.items()
            if name == program and (recording / file).is_file()
        ]
        unknown = f'  *) echo \'Error: unknown command "\'"$1"\'" for "{program}"\' >&2; exit 1 ;;'
        plane.program(program, "\n".join(["#!/bin/sh", 'case "$*" in', *cases, unknown, "esac", ""]))
