"""Counts, the summary line in both forms, the exit code."""

import pytest

from mesh.errors import Exit
from mesh.finding import Finding, Severity, State
from mesh.subject import MESH
from mesh.summary import ASCII_SIGNS, counts, exit_code, full_line, short_line, summary_line

NUMBERS = dict(zip(State, (62, 3, 1, 5, 2, 4, 21, 0), strict=True))
FULL = "PASS 62 INFO 3 WARN 1 FAIL 5 (3 explained) UNKNOWN 2 BLOCKED 4 N/A 21 ERROR 0"


def found(state: State, severity: Severity = Severity.ERROR) -> Finding:
    return Finding("CM0001", MESH, state, severity, 0)


def test_the_line_in_words_and_in_signs() -> None:
    assert full_line(NUMBERS, 3) == FULL
    assert summary_line(NUMBERS, 3, 80) == FULL
    wide = "PASS 62  INFO 3  WARN 1  FAIL 5 (3 explained)  UNKNOWN 2  BLOCKED 4  N/A 21  ERROR 0"
    assert summary_line(NUMBERS, 3, 100) == wide and summary_line(NUMBERS, 3, 99) == FULL
    assert summary_line(NUMBERS, 3, len(FULL) - 1) == "✓62 i3 ▲1 ✗5(3) ?2 ⊘4 –21 E0"
    assert short_line(NUMBERS, 3, ASCII_SIGNS) == "ok62 i3 !1 x5(3) ?2 #4 -21 E0"


def test_all_eight_are_counted_zeros_included() -> None:
    numbers = counts([found(State.FAIL), found(State.FAIL), found(State.PASS)])
    assert list(numbers) == list(State) and sum(numbers.values()) == 3 and numbers[State.FAIL] == 2
    assert full_line(counts([]), 0) == "PASS 0 INFO 0 WARN 0 FAIL 0 (0 explained) UNKNOWN 0 BLOCKED 0 N/A 0 ERROR 0"


P, INFO, WARN, FAIL, UNKNOWN = map(found, (State.PASS, State.INFO, State.WARN, State.FAIL, State.UNKNOWN))
BLOCKED, ERROR, ABSENT = map(found, (State.BLOCKED, State.ERROR, State.NOT_APPLICABLE))
MILD, GRAVE = found(State.FAIL, Severity.WARN), found(State.FAIL, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("findings", "fail_on", "code"),
    [
        ([], Severity.ERROR, Exit.CLEAN),
        ([P, INFO, WARN, ABSENT], Severity.ERROR, Exit.CLEAN),
        ([P, WARN], Severity.WARN, Exit.FINDINGS),
        ([P, INFO], Severity.WARN, Exit.CLEAN),
        ([P, INFO], Severity.INFO, Exit.FINDINGS),
        ([FAIL], Severity.ERROR, Exit.FINDINGS),
        ([FAIL], Severity.CRITICAL, Exit.CLEAN),
        ([GRAVE], Severity.CRITICAL, Exit.FINDINGS),
        ([MILD], Severity.ERROR, Exit.CLEAN),
        ([MILD], Severity.WARN, Exit.FINDINGS),
        ([UNKNOWN], Severity.ERROR, Exit.UNDETERMINED),
        ([BLOCKED], Severity.ERROR, Exit.UNDETERMINED),
        ([UNKNOWN, FAIL], Severity.ERROR, Exit.FINDINGS),
        ([ERROR, UNKNOWN], Severity.ERROR, Exit.INTERNAL),
        ([UNKNOWN, ERROR], Severity.ERROR, Exit.INTERNAL),
        ([ERROR, FAIL], Severity.ERROR, Exit.FINDINGS),
    ],
)
def test_exit_code(findings: list[Finding], fail_on: Severity, code: Exit) -> None:
    assert exit_code(findings, fail_on) is code
    assert exit_code(reversed(findings), fail_on) is code


def test_unknown_may_be_accepted() -> None:
    assert exit_code([UNKNOWN, BLOCKED], unknown_fails=False) is Exit.CLEAN
    assert exit_code([UNKNOWN, ERROR], unknown_fails=False) is Exit.INTERNAL
