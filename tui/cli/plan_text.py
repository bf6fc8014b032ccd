"""A plan as text for a terminal of 80 columns: the steps at a glance, then each with reason, commands and way back."""

import shlex
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from mesh.finding import Command
from mesh.plan import Plan, Step
from tui.cli.printing import say

_WIDTH: Final = 80
_LABEL: Final = 12
_FOUND: Final = 4


def say_plan(plan: Plan) -> None:
    """All steps in order, the details of those to do, then what stands in the way."""
    todo = plan.todo()
    say(f"{plan.title}: {len(todo)} to do, {len(plan.steps) - len(todo)} already so (plan {plan.id})")
    # As --set takes them: whoever consents here has seen no other screen.
    told = "  ".join(f"{field}={shlex.quote(value.replace(', ', ','))}" for field, value, _ in plan.goal.choices)
    for line in _wrapped(told, "   choices  ", "            "):
        say(line)
    for unknown in plan.unknowns:
        for line in _wrapped(f"{unknown.code} {unknown.subject}: {unknown.text}", "   ?  ", "      "):
            say(line)
    if plan.steps:
        say(f"   #  {'step':36} {'where':14} {'needs':8} risk")
    for step in plan.steps:
        say(_row(step, plan))
    for step in todo:
        say()
        for line in _details(step, plan):
            say(line)
    if plan.blockers:
        say()
        say("In the way of applying it:")
    for blocker in plan.blockers:
        for line in _wrapped(f"{blocker.code} {blocker.subject}: {blocker.text}", "\u2717 ", "  "):
            say(line)


def _where(step: Step, plan: Plan) -> str:
    """The cluster, ``both``, ``all 3``, or names where it is some of more."""
    if len(plan.clusters) > 1 and set(step.clusters) == set(plan.clusters):
        return "both" if len(plan.clusters) == 2 else f"all {len(plan.clusters)}"
    return ", ".join(step.clusters)


def _row(step: Step, plan: Plan) -> str:
    """One line; what is already so has no number."""
    head = f"{step.title:36} {_where(step, plan):14}"
    if step.already:
        return f"   \u2713  {head} already so"
    numbers = plan.numbers
    needs = " ".join(str(numbers[need]) for need in step.needs if need in numbers) or "-"
    return f"  {numbers[step.id]:>2}  {head} {needs:8} {step.risk.value}"


def _details(step: Step, plan: Plan) -> Iterator[str]:
    """Who consents here sees no screen: reason, way there and way back stand together."""
    yield f"{plan.numbers[step.id]:>4}  {step.title} ({', '.join(step.clusters)})"
    codes = f" ({', '.join(step.codes)})" if step.codes else ""
    yield from _labelled("why", [step.why + codes])
    more = [f"and {len(step.found) - _FOUND} more"] if len(step.found) > _FOUND else []
    yield from _labelled("found", [*step.found[:_FOUND], *more])
    yield from _labelled("means", [step.consequence] if step.consequence else [])
    yield from _labelled("does", [step.does] if step.does else [])
    yield from _commands("by hand", step.commands)
    yield from _commands("or", step.same_as)
    yield from _labelled("undo", [step.undo] if step.undo else [])


def _labelled(label: str, texts: Iterable[str]) -> Iterator[str]:
    indent = " " * (6 + _LABEL - 3)
    head = f"      {label:{_LABEL - 3}}"
    for text in texts:
        yield from _wrapped(text, head, indent)
        head = indent


def _wrapped(text: str, head: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _commands(label: str, commands: Iterable[Command]) -> Iterator[str]:
    head = f"      {label:{_LABEL - 3}}"
    for command in commands:
        for line in folded(command, _WIDTH - len(head)):
            yield head + line
            head = " " * len(head)


def folded(command: Command, width: int) -> list[str]:
    """The command as shell lines of at most ``width``, each but the last ending in a backslash; words stay whole."""
    lines: list[str] = []
    current = ""
    for word in _units(command.argv):
        if current and len(current) + 1 + len(word) > width - 2:
            lines.append(current + " \\")
            current = "  " + word
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current]


def _units(argv: Iterable[str]) -> list[str]:
    """Quoted words, an option together with its value: that is how a command is read."""
    units: list[str] = []
    for word in argv:
        if units and units[-1].startswith("-") and " " not in units[-1] and not word.startswith("-"):
            units[-1] += f" {shlex.quote(word)}"
        else:
            units.append(shlex.quote(word))
    return units
