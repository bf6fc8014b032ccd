"""Folding and ranking: roots, consequences, unread causes, confidence."""

from collections.abc import Callable

import pytest

from mesh.finding import Check, Finding, Problem, Scope, Severity, State, Verdict
from mesh.problem import also_explained_by, explained, fold, problems_of
from mesh.subject import MESH, OfCluster, OfPair, Subject, pair

A, B, AB = OfCluster("a"), OfCluster("b"), pair("a", "b")
F, U, B_, E, W, I_ = State.FAIL, State.UNKNOWN, State.BLOCKED, State.ERROR, State.WARN, State.INFO


def check(code: str, layer: int = 3, causes: tuple[str, ...] = ()) -> Check:
    return Check(
        code, code, layer, Scope.CLUSTER, Severity.ERROR, (), lambda v, s: Verdict(State.PASS), {}, "", causes=causes
    )


def found(
    code: str,
    state: State = F,
    subject: Subject = A,
    layer: int = 3,
    severity: Severity = Severity.ERROR,
    by: tuple[tuple[str, Subject], ...] = (),
    args: dict[str, object] | None = None,
) -> Finding:
    return Finding(code, subject, state, severity, layer, args or {}, blocked_by=by)


def shown(problems: tuple[Problem, ...]) -> list[tuple[str, list[str]]]:
    return [(p.root.code, [f.code for f in p.consequences]) for p in problems]


CHECKS = (check("C1", 2), check("C2", 3, ("C1",)), check("C3", 4, ("C2",)), check("C4", 4, ("C1", "C2")))


def test_a_failure_lies_under_its_earliest_failed_cause() -> None:
    findings = (found("C3", layer=4), found("C2"), found("C1", layer=2))
    problems = problems_of(findings, CHECKS)
    assert shown(problems) == [("C1", ["C2", "C3"])]
    assert problems[0].confidence == "likely" and explained(findings, CHECKS) == 2


def test_causes_bear_on_related_subjects_only() -> None:
    assert shown(problems_of((found("C1", layer=2), found("C2", subject=B)), CHECKS)) == [("C1", []), ("C2", [])]
    assert shown(problems_of((found("C1", layer=2), found("C2", subject=AB)), CHECKS)) == [("C1", ["C2"])]
    wide = found("C1", subject=MESH, layer=2, args={"clusters": ("b", "c")})
    assert shown(problems_of((wide, found("C2", subject=A)), CHECKS)) == [("C1", []), ("C2", [])]
    assert shown(problems_of((wide, found("C2", subject=B)), CHECKS)) == [("C1", ["C2"])]


def test_a_failure_is_never_folded_under_what_is_not_a_failure() -> None:
    for state in (U, E, B_):
        by = (("C0", A),) if state is B_ else ()
        problems = problems_of((found("C1", state, layer=2, by=by), found("C2")), CHECKS)
        assert problems[0].root.code == "C2"
        assert [f.code for f in problems[0].possible_roots] == ["C1"] and problems[0].confidence == "likely"
    for state in (W, I_, State.PASS, State.NOT_APPLICABLE):
        assert problems_of((found("C1", state, layer=2), found("C2")), CHECKS)[0].possible_roots == ()


def test_blocked_lies_under_the_roots_of_its_gates() -> None:
    findings = (
        found("C1", layer=2),
        found("C2"),
        found("C3", B_, layer=4, by=(("C2", A),)),
        found("C9", B_, layer=5, by=(("C3", A),)),
    )
    problems = problems_of(findings, (*CHECKS, check("C9", 5)))
    assert shown(problems) == [("C1", ["C2", "C3", "C9"])]
    unread = (found("C1", U, layer=2), found("C2", B_, by=(("C1", A),)))
    (problem,) = problems_of(unread, CHECKS)
    assert shown((problem,)) == [("C1", ["C2"])] and problem.confidence == "possible"


def test_a_gate_makes_certain() -> None:
    findings = (found("C1", layer=2), found("C2", B_, by=(("C1", A),)))
    assert problems_of(findings, CHECKS)[0].confidence == "certain"
    assert problems_of((found("C1", layer=2),), CHECKS)[0].confidence == "certain"


def test_prediction_and_probe_together_make_certain() -> None:
    checks = (check("C4", 4), check("C5", 5, ("C4",)), check("C6", 6, ("C4",)))
    assert problems_of((found("C4", layer=4), found("C5", layer=5)), checks)[0].confidence == "certain"
    assert problems_of((found("C4", layer=4), found("C6", layer=6)), checks)[0].confidence == "likely"


def test_several_roots_each_list_it_and_it_counts_once() -> None:
    checks = (check("C1", 2), check("D1", 2), check("C2", 3, ("C1", "D1")))
    findings = (found("C1", layer=2), found("D1", layer=2), found("C2"))
    problems = problems_of(findings, checks)
    assert shown(problems) == [("C1", ["C2"]), ("D1", ["C2"])]
    assert explained(findings, checks) == 1
    assert [[f.code for f in roots] for roots in also_explained_by(problems).values()] == [["C1", "D1"]]


def test_unknown_and_error_are_roots_after_failures_and_warnings() -> None:
    findings = (
        found("C1", U, layer=0, severity=Severity.CRITICAL),
        found("C2", E, severity=Severity.CRITICAL),
        found("C3", W, layer=1),
        found("C4", layer=8, severity=Severity.INFO),
        found("D1", State.PASS),
        found("D2", I_),
    )
    assert [p.root.code for p in problems_of(findings, ())] == ["C4", "C3", "C1", "C2"]


Ranked = Callable[[], list[Finding]]
ORDERED: dict[str, list[Finding]] = {
    "severity": [found("Z1", severity=Severity.CRITICAL, layer=8), found("A1", layer=1)],
    "layer": [found("Z1", layer=1), found("A1", layer=2)],
    "consequences": [found("Z1"), found("A1")],
    "clusters": [found("Z1", subject=AB), found("A1")],
    "code": [found("A1", subject=B), found("A2", subject=A)],
    "subject": [found("A1", subject=A), found("A1", subject=B)],
}


@pytest.mark.parametrize("name", ORDERED)
def test_rank(name: str) -> None:
    first, second = ORDERED[name]
    findings = [second, first]
    if name == "consequences":
        findings.append(found("X9", B_, layer=4, by=(first.identity,)))
    problems = problems_of(findings, ())
    assert [p.root for p in problems] == [first, second] and [p.rank for p in problems] == [1, 2]


def test_a_root_tied_by_a_gate_goes_before_one_tied_by_a_cause() -> None:
    checks = (check("A1"), check("Z1"), check("X1", 4, ("A1",)), check("X2", 4))
    caused = (found("A1"), found("X1", layer=4))
    gated = (found("Z1"), found("X2", B_, layer=4, by=(("Z1", A),)))
    problems = problems_of((*caused, *gated), checks)
    assert [(p.root.code, p.confidence) for p in problems] == [("Z1", "certain"), ("A1", "likely")]


def test_nothing_is_dropped() -> None:
    findings = (
        found("C1", layer=2),
        found("C2"),
        found("C3", B_, layer=4, by=(("C1", A),)),
        found("C4", U, layer=4),
        found("D1", W),
    )
    folding = fold(findings, CHECKS)
    assert {*folding.roots, *folding.under} == {f.identity for f in findings}


def test_directed_failures_keep_their_direction() -> None:
    checks = (check("C1", 4), check("C2", 7, ("C1",)))
    one, other = OfPair("a", "b", True), OfPair("b", "a", True)
    findings = (
        found("C1", subject=one, layer=4),
        found("C2", subject=one, layer=7),
        found("C2", subject=other, layer=7),
    )
    assert [(p.root.code, p.root.subject) for p in problems_of(findings, checks)] == [("C1", one), ("C2", other)]
