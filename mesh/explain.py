"""Findings and checks in words: messages from typed arguments, and the page of each code. Pure: text in, text out."""

import re
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, Final

from mesh.catalogue import FACTS
from mesh.checks import ALL_CHECKS, RETIRED
from mesh.finding import Check, Finding, Missing, State
from mesh.remedies import PAGES, REMEDIES, Remedy
from mesh.text import elide, plural

BY_CODE: Final[dict[str, Check]] = {check.code: check for check in ALL_CHECKS}
Translate = Callable[[str], str]

# Texts of what the engine itself concludes, for every check alike.
COMMON: Final[dict[str, str]] = {
    "N/A": "{reason}",
    "UNKNOWN.invalid": "{detail}",
    "ERROR": "the check itself failed: {detail}",
}
LAYERS: Final[tuple[str, ...]] = (
    "access",
    "rights",
    "platform",
    "identity, ranges",
    "cloud network",
    "live probes",
    "mesh API, certificates",
    "agents, sync",
    "services, policy",
    "application",
)
_ID: Final = re.compile(r"^[a-z]{2,6}-[0-9a-f]{8,}$")
_LONG: Final = 28


def plain(text: str) -> str:
    """The text as it is: the source language."""
    return text


def message(finding: Finding, translate: Translate = plain, *, short: bool = False) -> str:
    """What the finding says, in one line. ``short`` shortens long ids in the middle, never addresses."""
    template = template_of(finding)
    if template is not None:
        return fill(translate(template), finding.args, short=short)
    if finding.state is State.BLOCKED:
        codes = ", ".join(dict.fromkeys(code for code, _ in finding.blocked_by))
        return translate("needs {codes} first").format(codes=codes)
    return "; ".join(missing_words(item, translate) for item in finding.missing[:3]) or translate("not known")


def template_of(finding: Finding) -> str | None:
    """The text of a finding's state and variant; None where it is made from what is missing or blocks."""
    check = BY_CODE.get(finding.code)
    name = f"{finding.state.value}.{finding.variant}" if finding.variant else finding.state.value
    own = check.texts.get(name) if check else None
    if own is None or (finding.state is State.UNKNOWN and not finding.variant and not finding.args):
        return COMMON.get(name)
    return own


def missing_words(missing: Missing, translate: Translate = plain) -> str:
    """``nodes of aks-east: forbidden (needs list nodes)``."""
    what = translate("{fact} of {subject}: {reason}").format(
        fact=missing.key.name, subject=missing.key.subject, reason=translate(missing.reason.value)
    )
    if missing.lift:
        return what + translate(" (needs {lift})").format(lift=missing.lift)
    return f"{what} ({missing.detail})" if missing.detail else what


class _Words(Formatter):
    """Formats typed arguments: tuples as lists, numbers with a noun as their plural, booleans as words.

    ``{n:node}`` gives ``3 nodes``; ``{names:; also }`` puts the words before the list and nothing where it is empty.
    """

    def __init__(self, short: bool) -> None:
        self._short = short

    def format_field(self, value: Any, format_spec: str) -> str:
        """One argument in words."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            return plural(value, format_spec) if format_spec else str(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return format_spec + ", ".join(self._text(item) for item in value) if value else ""
        return self._text(value)

    def _text(self, value: Any) -> str:
        text = str(value)
        return short_id(text) if self._short else text


def fill(template: str, args: Mapping[str, object], *, short: bool = False) -> str:
    """A template with its arguments in words."""
    return " ".join(_Words(short).vformat(template, (), args).split())


def short_id(text: str) -> str:
    """Ids and other long names shortened in the middle, with the end that tells them apart; addresses stay whole."""
    if _ID.match(text):
        return f"{text[:7]}…{text[-2:]}" if len(text) > 10 else text
    address = text.replace(".", "").replace(":", "").replace("/", "").isalnum() and text[:1].isdigit()
    return text if address or " " in text else elide(text, _LONG)


def placeholders(template: str) -> frozenset[str]:
    """Names of the arguments a template uses."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def title(code: str) -> str:
    """The title of a code, also of a retired one; "" for one that never was."""
    check = BY_CODE.get(code)
    return check.title if check else RETIRED.get(code, "")


def page(check: Check) -> str:
    """The page of a code in Markdown: what it holds, why, when it says what, what lifts it, what it reads."""
    lines = [
        f"# {check.code}: {check.title}",
        "",
        f"{check.why}",
        "",
        f"- Layer: L{check.layer} {LAYERS[check.layer]}",
        f"- Judged for: {_SCOPES[check.scope.value]}",
        f"- Severity of a FAIL: {check.severity.word}",
        f"- Since: {check.since}",
    ]
    for label, codes in (("Needs first", check.gates), ("May be a consequence of", check.causes)):
        if codes:
            lines.append(f"- {label}: {', '.join(f'[{code}]({code}.md)' for code in codes)}")
    lines += ["", "## What it says", "", "| State | Text |", "|---|---|"]
    lines += [
        f"| {name.partition('.')[0]} | {_cell(text)} |" for name, text in sorted(check.texts.items(), key=_by_state)
    ]
    lines += ["", "## What helps", ""]
    remedies = REMEDIES[check.code]
    lines += [line for remedy in remedies for line in _remedy_lines(remedy)]
    if any("<" in line for remedy in remedies for line in remedy.lines):
        lines.append("Replace `<WORDS>`; where a check fails, `meshwright check` prints the commands filled in.")
    lines += ["", "## What it reads", ""]
    lines += [f"- `{name}`: {FACTS[name].doc}" for name in (*check.inputs, *check.defeaters)]
    if check.docs:
        lines += ["", "## Further reading", "", *(f"- <{url}>" for url in reading(check))]
    return "\n".join(lines) + "\n"


_SCOPES: Final = {
    "mesh": "the whole mesh, once",
    "cluster": "each cluster",
    "pair": "each pair of clusters",
    "directed pair": "each pair of clusters, in each direction",
    "service": "each global Service",
}
_ORDER: Final = {state.value: place for place, state in enumerate(State)}


def _by_state(item: tuple[str, str]) -> tuple[int, str]:
    return _ORDER[item[0].partition(".")[0]], item[0]


def _cell(template: str) -> str:
    shown = re.sub(r"\{(\w+)(?::[^}]*)?\}", lambda found: f"*{found[1].replace('_', ' ')}*", template)
    return shown.replace("|", "\\|")


def _remedy_lines(remedy: Remedy) -> list[str]:
    return [remedy.text, "", *(["```sh", *remedy.lines, "```", ""] if remedy.lines else [])]


def reading(check: Check) -> tuple[str, ...]:
    """Addresses of the documentation that tells more."""
    return tuple(PAGES[anchor] for anchor in check.docs)


_BARE: Final = re.compile(r"^[\w@%+=:,./-]+$")


def shell(argv: Sequence[str]) -> str:
    """A command as one would type it in a POSIX shell."""
    return " ".join(word if _BARE.match(word) else "'" + word.replace("'", "'\"'\"'") + "'" for word in argv)
