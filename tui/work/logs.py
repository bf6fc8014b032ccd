"""What the steps of a run have printed: the last lines of each, and how many there were."""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from mesh.events import StepOutput
from tui.present import words

KEPT = 10_000


class StepLogs:
    """Lines by step, stamped with the time of day. The run's file has all of them."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[str]] = {}
        self._totals: dict[str, int] = {}

    def add(self, outputs: Iterable[StepOutput]) -> dict[str, list[str]]:
        """Take lines; returns them by step as they are shown."""
        fresh: dict[str, list[str]] = {}
        for output in outputs:
            fresh.setdefault(output.step, []).append(shown(output))
        for step, lines in fresh.items():
            self._lines.setdefault(step, deque(maxlen=KEPT)).extend(lines)
            self._totals[step] = self._totals.get(step, 0) + len(lines)
        return fresh

    def of(self, step: str) -> tuple[list[str], int]:
        """The lines kept of a step and how many there were in all."""
        return list(self._lines.get(step, ())), self._totals.get(step, 0)

    def after(self, step: str, seen: int) -> tuple[list[str], int]:
        """The lines kept of a step that came after the first ``seen``, and how many there were in all."""
        lines, total = self._lines.get(step, ()), self._totals.get(step, 0)
        return list(islice(lines, max(len(lines) - (total - seen), 0), None)), total

    def clear(self) -> None:
        """Forget everything: another run begins."""
        self._lines.clear()
        self._totals.clear()


def shown(output: StepOutput) -> str:
    """``09:41:07 text``; commands stand without a time."""
    return output.line if output.line.startswith("$ ") else f"{words.time_of_day(output.at)} {output.line}"
