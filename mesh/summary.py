"""Counts of the eight states, the summary line, and the exit code (screens.md §5, anchors-features §4.2)."""

from collections.abc import Iterable, Mapping
from typing import Final

from mesh.errors import Exit
from mesh.finding import Finding, Severity, State

SIGNS: Final[dict[State, str]] = {
    State.PASS: "✓",
    State.INFO: "i",
    State.WARN: "▲",
    State.FAIL: "✗",
    State.UNKNOWN: "?",
    State.BLOCKED: "⊘",
    State.NOT_APPLICABLE: "–",
    State.ERROR: "E",
}
ASCII_SIGNS: Final[dict[State, str]] = {
    **SIGNS,
    State.PASS: "ok",
    State.WARN: "!",
    State.FAIL: "x",
    State.BLOCKED: "#",
    State.NOT_APPLICABLE: "-",
}
_WIDE: Final = 100


def counts(findings: Iterable[Finding]) -> dict[State, int]:
    """How many findings are in each of the eight states, zeros included, in the order of the summary line."""
    found = dict.fromkeys(State, 0)
    for finding in findings:
        found[finding.state] += 1
    return found


def full_line(numbers: Mapping[State, int], explained: int, gap: str = " ") -> str:
    """``PASS 62 INFO 3 WARN 1 FAIL 5 (3 explained) UNKNOWN 2 BLOCKED 4 N/A 21 ERROR 0``."""
    parts = []
    for state in State:
        note = f" ({explained} explained)" if state is State.FAIL else ""
        parts.append(f"{state.value} {numbers[state]}{note}")
    return gap.join(parts)


def short_line(numbers: Mapping[State, int], explained: int, signs: Mapping[State, str] = SIGNS) -> str:
    """``✓62 i3 ▲1 ✗5(3) ?2 ⊘4 –21 E0``."""
    parts = []
    for state in State:
        note = f"({explained})" if state is State.FAIL else ""
        parts.append(f"{signs[state]}{numbers[state]}{note}")
    return " ".join(parts)


def summary_line(
    numbers: Mapping[State, int], explained: int, width: int = 80, signs: Mapping[State, str] = SIGNS
) -> str:
    """The summary line for a width in cells: in words if they fit (two blanks apart from 100), else in signs."""
    line = full_line(numbers, explained, "  " if width >= _WIDE else " ")
    return line if len(line) <= width else short_line(numbers, explained, signs)


def level(finding: Finding) -> Severity | None:
    """How bad a finding is for the threshold: of a FAIL the check's severity; None = it does not count."""
    if finding.state is State.FAIL:
        return finding.severity
    return {State.WARN: Severity.WARN, State.INFO: Severity.INFO}.get(finding.state)


def exit_code(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR, unknown_fails: bool = True) -> Exit:
    """1 = findings at or above ``fail_on``; 70 = a check raised; 3 = something could not be determined; else 0.

    What is known to fail comes first; ``unknown_fails`` is ``--unknown fail``. The format of the output plays no part.
    """
    code = Exit.CLEAN
    for finding in findings:
        bad = level(finding)
        if bad is not None and bad >= fail_on:
            return Exit.FINDINGS
        if finding.state is State.ERROR:
            code = Exit.INTERNAL
        elif finding.state in (State.UNKNOWN, State.BLOCKED) and unknown_fails and code is Exit.CLEAN:
            code = Exit.UNDETERMINED
    return code
