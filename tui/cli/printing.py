"""Text and JSON of findings, problems and plans: data for stdout, plain when piped."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from mesh.explain import message
from mesh.finding import Command, Finding, Problem, State
from mesh.plan import Plan, Step
from mesh.summary import SIGNS, counts, summary_line

API_VERSION: Final = "meshwright.io/v1"
_ASCII: Final = {"✓": "ok", "▲": "!", "✗": "x", "⊘": "#", "–": "-", "→": "->", "⇄": "<>", "…": "~", "·": "."}


def say(text: str = "") -> None:
    """A line on stdout; signs become ASCII where the locale cannot encode them."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for sign, plain in _ASCII.items():
            text = text.replace(sign, plain)
        text = text.encode(encoding, "replace").decode(encoding)
    print(text)


def say_json(kind: str, body: Mapping[str, Any]) -> None:
    """One JSON document: ``apiVersion``, ``kind``, then the body with keys in order."""
    document = {"apiVersion": API_VERSION, "kind": kind, **msgspec.to_builtins(body, str_keys=True)}
    print(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=False))


def say_problem(problem: Problem, *, wide: bool) -> None:
    """A root with its evidence, fix and folded consequences."""
    root = problem.root
    more = f"  +{len(problem.consequences)}" if problem.consequences else ""
    say(f"{SIGNS[root.state]} {root.code} {_word(root):8}  {root.subject}  {message(root)}{more}")
    for item in root.evidence[: None if wide else 2]:
        say(f"     evidence  {item.excerpt}")
    for missing in root.missing:
        say(f"     missing   {missing.key}: {missing.reason.value}" + (f", {missing.detail}" if missing.detail else ""))
        if missing.lift:
            say(f"     lift      {missing.lift}")
    for fix in root.fixes[: None if wide else 1]:
        who = "in the plan" if fix.in_plan else "needs you"
        back = "reversible" if fix.reversible else "not reversible"
        say(f"     fix       {fix.text} (risk {fix.risk.value}, {back}, {who})")
        for command in fix.commands:
            say(f"               {shell(command)}")
    for finding in problem.consequences if wide else ():
        say(f"     explains  {finding.code} {finding.subject} {message(finding)}")
    for finding in problem.possible_roots:
        say(f"     perhaps   {finding.code} {finding.subject}, which could not be read")


def _word(finding: Finding) -> str:
    return finding.severity.word if finding.state is State.FAIL else finding.state.value.lower()


def shell(command: Command) -> str:
    """A command as one shell line."""
    return shlex.join(command.argv)


def say_findings(findings: Iterable[Finding], states: Iterable[State]) -> None:
    """One line per finding of these states."""
    wanted = set(states)
    for finding in findings:
        if finding.state in wanted:
            mark = " (to do)" if finding.to_do else ""
            say(f"{SIGNS[finding.state]} {finding.code}  {finding.subject}  {message(finding)}{mark}")


def say_summary(findings: tuple[Finding, ...], explained: int) -> None:
    """The eight counts, zeros included."""
    say(summary_line(counts(findings), explained, 200))


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding with its message and fingerprint."""
    built: dict[str, Any] = msgspec.to_builtins(finding, str_keys=True)
    return {
        **built,
        "subject_text": str(finding.subject),
        "message": message(finding),
        "fingerprint": finding.fingerprint,
    }


def say_plan(plan: Plan) -> None:
    """Steps with numbers, needs and risk; then what stands in the way."""
    todo = plan.todo()
    done = len(plan.steps) - len(todo)
    say(f"{plan.title}: {len(todo)} to do, {done} already so (plan {plan.id})")
    numbers = {step: str(number) for step, number in plan.numbers.items()}
    for unknown in plan.unknowns:
        say(f"  ?  0  {unknown.code} {unknown.subject}: {unknown.text}")
    for step in plan.steps:
        say(_step_line(step, numbers))
    for step in todo:
        for command in step.commands:
            say(f"     {numbers[step.id]:>2}  {shell(command)}")
        # Who consents here sees no screen: the way back stands beside the way there.
        say(f"     {numbers[step.id]:>2}  undo: {step.undo}")
    for blocker in plan.blockers:
        say(f"✗ {blocker.code} {blocker.subject}: {blocker.text}")


def _step_line(step: Step, numbers: Mapping[str, str]) -> str:
    where = (
        step.clusters[0]
        if len(step.clusters) == 1
        else "both"
        if len(step.clusters) == 2
        else f"{len(step.clusters)} clusters"
    )
    if step.already:
        return f"  ✓     {step.title:44} {where:14} already so"
    needs = " ".join(numbers[need] for need in step.needs if need in numbers) or "-"
    return f"  · {numbers[step.id]:>2}  {step.title:44} {where:14} needs {needs:10} {step.risk.value}"
