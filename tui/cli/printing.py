"""Text and JSON of findings, problems and plans: data for stdout, plain when piped."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from mesh.explain import message
from mesh.finding import Command, Finding, Problem, State
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
