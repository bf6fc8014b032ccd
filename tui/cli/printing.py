"""Text and JSON of findings, problems and plans: data for stdout, plain when piped."""

import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from mesh.draw.glyphs import ASCII, UNICODE, Glyphs
from mesh.explain import message, template_of, title
from mesh.finding import Command, Finding, Problem, Severity, State
from mesh.summary import SIGNS, counts, summary_line

T = TypeVar("T")
API_VERSION: Final = "meshwright.io/v1"
_ASCII: Final = {"✓": "ok", "▲": "!", "✗": "x", "⊘": "#", "–": "-", "→": "->", "⇄": "<>", "…": "~", "·": "."}


def mute() -> None:
    """From now on what is written to stdout goes nowhere: its reader is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lasting(tell: Callable[[T], None]) -> Callable[[T], None]:
    """``tell``, each time at once, for a reader who may go: then its words are lost, and not what is being done."""

    def told(what: T) -> None:
        try:
            tell(what)
            sys.stdout.flush()
        except OSError:
            mute()
            with contextlib.suppress(OSError):
                print("meshwright: nobody reads this any more; what is under way goes on", file=sys.stderr)

    return told


def glyphs_for(*, plain: bool) -> Glyphs:
    """Signs that stdout can show; those of ASCII where the user wants them."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return ASCII if plain or encoding not in ("utf8", "utf16") else UNICODE


def columns() -> int:
    """The terminal's width, 80 where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 80


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
    more = f"  (+{len(problem.consequences)} that follow from it)" if problem.consequences else ""
    say(f"{SIGNS[root.state]} {root.code} {_word(root):15} {root.subject}  {message(root)}{more}")
    for item in root.evidence[: None if wide else 2]:
        say(f"     evidence  {item.excerpt}")
    # Without a text of its own the message is what is missing, in the same words.
    for missing in root.missing if template_of(root) is not None else ():
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
    """The state, and of a FAIL how bad it is: ``FAIL (warn)`` is not a warning."""
    return f"FAIL ({finding.severity.word})" if finding.state is State.FAIL else finding.state.value


def only_unread(problem: Problem) -> bool:
    """Whether all there is to say of it is what could not be read, and nobody knows what would lift it."""
    root = problem.root
    lifted = root.fixes or any(missing.lift for missing in root.missing)
    return root.state is State.UNKNOWN and template_of(root) is None and not lifted


def say_unread(problems: Iterable[Problem]) -> None:
    """One line per code: the same facts are missing of every cluster where nobody could ask."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.root.code, []).append(problem)
    for code, same in found.items():
        subjects = ", ".join(str(problem.root.subject) for problem in same)
        missing = [missing for problem in same for missing in problem.root.missing]
        words = "; ".join(dict.fromkeys(f"{one.key.name}: {one.detail or one.reason.value}" for one in missing))
        say(f"{SIGNS[State.UNKNOWN]} {code} {State.UNKNOWN.value:15} {subjects}  {title(code)}? {words}")


def say_severities(findings: Iterable[Finding], threshold: Severity) -> None:
    """How bad what fails is, and how much of it counts for the exit code."""
    failed = [finding.severity for finding in findings if finding.state is State.FAIL]
    if failed:
        words = ", ".join(f"{failed.count(one)} {one.word}" for one in sorted(Severity, reverse=True) if one in failed)
        say(f"FAIL by severity: {words} (--fail-on {threshold.word} counts {sum(one >= threshold for one in failed)})")


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
