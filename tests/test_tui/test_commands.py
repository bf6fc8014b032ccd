"""Calls of the command line: wrong names end in 2 before anything opens, and every command that is named exists."""

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest

from mesh.errors import UsageError
from tui.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
# What follows the name in prose, code and messages; a word is a command where the name is not its subject.
_NAMED = re.compile(r"(?:`|Run |run |: |^ *|\| `)meshwright ((?:[a-z]+)(?: [a-z]+)?)", re.MULTILINE)
_ANY = re.compile(r"\bmeshwright (snapshot|doctor|undo|journal|report|probe|reach|wait|services|whatif|logs|serve)\b")


def parsers(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    found: dict[str, ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action.choices, dict):
            found |= action.choices
    return found


@pytest.mark.parametrize("command", ["graph", "rights", "resume"])
def test_a_choice_is_refused_where_it_would_do_nothing(command: str) -> None:
    with pytest.raises(UsageError):
        build_parser().parse_args([command, "--set", "mtu=1400"])
    assert build_parser().parse_args(["plan", "--set", "mtu=1400"]).set == ["mtu=1400"]


def sources() -> list[Path]:
    code = [path for part in ("mesh", "backends", "tui", "screens") for path in (ROOT / part).rglob("*.py")]
    return [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *code]


def test_every_command_that_is_named_is_one_of_the_parsers() -> None:
    known = parsers(build_parser())
    named = set()
    for path in sources():
        text = path.read_text("utf-8")
        assert not [word for word in _ANY.findall(text) if word not in known], path
        for words in _NAMED.findall(text):
            first, _, second = words.partition(" ")
            named.add(first)
            assert first in known, (path, words)
            if first == "lab" and second:
                assert second in parsers(known["lab"]), (path, words)
    assert {"check", "plan", "apply", "resume", "lab", "explain"} <= named


@pytest.mark.parametrize(("scenario", "faults"), [("nope", ()), ("fresh", ("vxlan",))])
def test_a_scenario_or_fault_that_does_not_exist_is_refused_with_those_that_do(
    scenario: str, faults: tuple[str, ...]
) -> None:
    from backends.wiring import lab_refuse_unknown

    with pytest.raises(UsageError, match="there are: ") as caught:
        lab_refuse_unknown(scenario, faults)
    assert caught.value.exit_code == 2
    lab_refuse_unknown("fresh", ())


def test_a_close_name_is_suggested() -> None:
    from backends.wiring import lab_refuse_unknown

    with pytest.raises(UsageError, match=r"did you mean fresh\?"):
        lab_refuse_unknown("fressh", ())


def options(parser: ArgumentParser, name: str) -> list[tuple[str, object]]:
    own = [(name, action) for action in parser._actions if not isinstance(action.choices, dict)]
    return own + [pair for word, inner in parsers(parser).items() for pair in options(inner, f"{name} {word}")]


def test_help_says_something_of_every_argument() -> None:
    told = options(build_parser(), "meshwright")
    assert len(told) > 50
    assert not [(name, action) for name, action in told if not getattr(action, "help", None)]


def test_a_recording_cannot_be_applied_to() -> None:
    with pytest.raises(UsageError, match="--from"):
        build_parser().parse_args(["apply", "--from", "here"])
