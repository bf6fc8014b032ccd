"""What is told of a mistake of our own: where it happened, never with values (screens.md §3.16)."""

import hashlib
import os
import sys
import time
import traceback
from dataclasses import dataclass
from types import TracebackType

from tui.present.lines import Line, line, pad, wrapped


@dataclass(frozen=True)
class Failure:
    """One mistake: what was being done, the error's type, the code path, a reference. No message, no locals.

    ``job`` names the work that can be tried again, "" for none.
    """

    what: str
    kind: str
    frames: tuple[str, ...]
    reference: str
    job: str = ""

    @property
    def where(self) -> str:
        """``KeyError in backends/azure.py line 212 (read_rules)``."""
        return f"{self.kind} in {self.frames[-1]}" if self.frames else self.kind


def failure(what: str, error: BaseException, at: float, job: str = "") -> Failure:
    """A failure out of an exception: file, line and function of each frame, nothing else of it."""
    frames = frames_of(error.__traceback__)
    digest = hashlib.sha256("\n".join((type(error).__name__, *frames)).encode()).hexdigest()[:4]
    return Failure(what, type(error).__name__, frames, f"E-{digest}-{time.strftime('%H%M', time.localtime(at))}", job)


def frames_of(trace: TracebackType | None) -> tuple[str, ...]:
    """``backends/azure.py line 212 (read_rules)`` per frame, outermost first; paths below the package folders only."""
    return tuple(
        f"{_short(frame.filename)} line {frame.lineno} ({frame.name})"
        for frame in traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)
    )


def _short(path: str) -> str:
    parts = path.replace(os.sep, "/").split("/")
    for top in ("mesh", "backends", "tui", "screens", "textual", "asyncio"):
        if top in parts[:-1]:
            return "/".join(parts[len(parts) - 1 - parts[::-1].index(top) :])
    return parts[-1]


def report(found: Failure, version: str, place: str) -> str:
    """The report to copy or keep: versions, place, code path."""
    lines = [
        f"meshwright {version}, Python {sys.version.split()[0]}, {sys.platform}",
        f"reference {found.reference}",
        f"while {found.what}, at {place or 'start'}",
        found.where,
        *(f"  {frame}" for frame in found.frames),
    ]
    return "\n".join(lines) + "\n"


def screen_lines(found: Failure, width: int, effect: str) -> list[Line]:
    """The error screen's body."""
    made: list[Line] = [()]
    for label, text in (
        ("While", found.what),
        ("What happened", found.where),
        ("Effect", effect),
        ("Reference", found.reference),
    ):
        rows = wrapped(text, width - 2, "", " " + pad(label, 16), " " * 17)
        made += [line((" " + pad(label, 16), "muted"), (rows[0][0][0][17:], "")), *rows[1:]]
    made += [(), line(" You can")]
    made += [line("   ", ("r", "key"), "  try this part again")] if found.job else []
    made += [
        line("   ", ("c", "key"), "  copy a report: versions, place, code path; no names, values or secrets"),
        line("   ", ("e", "key"), "  write the same to a file"),
        line("   ", ("q", "key"), "  go on without it"),
    ]
    return made


def fatal_lines(found: Failure, run: str, report_path: str) -> list[str]:
    """What stderr says when the app itself has ended."""
    return [
        f"meshwright: stopped by a bug of its own ({found.reference}).",
        f"  where    {found.where}",
        *([f"  clusters {run}"] if run else []),
        *(["  next     meshwright resume        continue the run"] if run else []),
        *([f"  report   {report_path} (no values, no secrets)"] if report_path else []),
        "Your clusters keep working as they were at that moment.",
    ]
