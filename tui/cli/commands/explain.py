"""``meshwright explain``: what a code means, from the catalogue in this program; no cluster, no network."""

import argparse
import re

from mesh.checks import ALL_CHECKS, RETIRED
from mesh.errors import Exit, UsageError
from mesh.explain import page, reading
from mesh.finding import Check
from mesh.remedies import REMEDIES
from tui.cli.printing import say, say_json


def now(arguments: argparse.Namespace) -> int:
    """One code, or the list of all."""
    checks = {check.code: check for check in ALL_CHECKS}
    if arguments.code is None:
        return _all(arguments.output)
    code = arguments.code.upper()
    code = code if code.startswith("CM") else f"CM{code}"
    if code in RETIRED:
        say(f"{code} is retired: {RETIRED[code]}")
        return Exit.CLEAN
    if code not in checks:
        near = [known for known in checks if known.startswith(code[:4])]
        detail = f"Near: {', '.join(near[:12])}" if near else ""
        raise UsageError(f"There is no code {code}", detail, "meshwright explain lists all.")
    if arguments.output == "json":
        say_json("Check", _facts(checks[code]))
    else:
        text = page(checks[code])
        say(text if arguments.output == "markdown" else _plain(text))
    return Exit.CLEAN


def _all(output: str) -> int:
    ordered = sorted(ALL_CHECKS, key=lambda check: check.code)
    if output == "json":
        say_json("Checks", {"checks": [_facts(check) for check in ordered]})
        return Exit.CLEAN
    for check in ordered:
        say(f"{check.code}  L{check.layer}  {check.severity.word:8}  {check.title}")
    return Exit.CLEAN


def _facts(check: Check) -> dict[str, object]:
    return {
        "code": check.code,
        "title": check.title,
        "layer": check.layer,
        "scope": check.scope.value,
        "severity": check.severity.word,
        "why": check.why,
        "inputs": check.inputs,
        "gates": check.gates,
        "causes": check.causes,
        "helps": REMEDIES[check.code],
        "docs": reading(check),
        "texts": check.texts,
        "since": check.since,
    }


def _plain(markdown: str) -> str:
    """Markdown as plain lines: heads without signs, links as their words, table rows as two columns."""
    lines = []
    command = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            command = not command
            continue
        if command:
            lines.append(f"  {line}")
            continue
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", line).replace("`", "")
        text = re.sub(r"<(https://[^>]+)>", r"\1", text)
        if re.fullmatch(r"\|[-|]+\|", text):
            continue
        if text.startswith("#"):
            text = text.lstrip("# ")
        elif text.startswith("| "):
            state, _, words = text.strip("| ").partition(" | ")
            named = re.sub(r"[*]([^*]+)[*]", r"<\1>", words)
            text = f"  {state:8}  {named}"
        lines.append(text)
    return "\n".join(lines).rstrip()
