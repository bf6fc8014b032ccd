"""``meshwright check``: every precondition with evidence, problems first, one honest exit code."""

import argparse

from mesh.assess import assess
from mesh.errors import Exit, UsageError
from mesh.finding import Finding, Problem, Severity, State
from mesh.summary import counts, exit_code
from tui.cli.choose import edits
from tui.cli.printing import (
    finding_json,
    only_unread,
    say,
    say_findings,
    say_json,
    say_problem,
    say_severities,
    say_summary,
    say_unread,
)
from tui.cli.session import opened


async def run(arguments: argparse.Namespace) -> int:
    """Read, judge, print. Returns 0, 1 or 3 as ``--fail-on`` and ``--unknown`` say."""
    layers = _layers(arguments.layer)
    async with opened(arguments) as session:
        store = await session.gather()
    verdict = assess(store, session.keys, edits(arguments.set))
    findings = tuple(f for f in verdict.findings if not layers or f.layer in layers)
    asked = {finding.identity for finding in findings}
    # What a layer suffers from may have its root in another.
    problems = tuple(p for p in verdict.problems if {one.identity for one in (p.root, *p.consequences)} & asked)
    under = {one.identity for p in problems for one in p.consequences if one.state is State.FAIL}
    folded = len(under & asked)
    code = exit_code(findings, Severity[arguments.fail_on.upper()], arguments.unknown == "fail")
    if arguments.output == "json":
        say_json(
            "Report",
            {
                "clusters": session.keys,
                "summary": {state.value: number for state, number in counts(findings).items()},
                "explained": folded,
                "problems": [
                    {
                        "root": finding_json(problem.root),
                        "consequences": [{"code": f.code, "subject": str(f.subject)} for f in problem.consequences],
                        "confidence": problem.confidence,
                        "rank": problem.rank,
                    }
                    for problem in problems
                ],
                "findings": [finding_json(finding) for finding in findings],
                "exit": int(code),
            },
        )
        return code
    _say(arguments, findings, problems)
    if code is Exit.UNDETERMINED:
        say("What could not be determined makes this exit 3; --unknown ok leaves it out.")
    say_summary(findings, folded)
    return code


def _say(arguments: argparse.Namespace, findings: tuple[Finding, ...], problems: tuple[Problem, ...]) -> None:
    """Problems, worst first, then what a join would do; ``wide`` leaves nothing out."""
    wide = arguments.output == "wide"
    for problem in problems:
        if wide or not only_unread(problem):
            say_problem(problem, wide=wide)
    say_unread(problem for problem in problems if not wide and only_unread(problem))
    say_findings(findings, (State.INFO,))
    if wide:
        say_findings(findings, (State.PASS, State.NOT_APPLICABLE))
    if not problems:
        say("The layers asked for hold; others were not judged." if arguments.layer else "All preconditions hold.")
    say_severities(findings, Severity[arguments.fail_on.upper()])
    if any(finding.to_do for finding in findings):
        say("(to do) is what a join changes: meshwright plan shows its steps.")


def _layers(texts: list[str]) -> set[int]:
    if bad := next((text for text in texts if text not in tuple("0123456789")), None):
        raise UsageError(
            f"--layer {bad} is not a layer", "Layers are 0 to 9.", "meshwright explain lists the checks by layer."
        )
    return {int(text) for text in texts}
