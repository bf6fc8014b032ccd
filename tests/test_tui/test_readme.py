"""The README promises what is there: commands, options, exit codes, targets, the picture."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from backends.lab import registry
from mesh.errors import Exit
from tests.test_tui.test_commands import parsers
from tui.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def every(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    yield parser
    for inner in parsers(parser).values():
        yield from every(inner)


def test_its_table_has_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| `meshwright ?([a-z]*)", README, re.MULTILINE)
    assert set(rows) - {""} == set(parsers(build_parser()))
    (actions,) = re.findall(r"^\| `meshwright lab ([a-z\\|]+)`", README, re.MULTILINE)[1:]
    assert {"up", *actions.replace("\\", "").split("|")} == set(parsers(parsers(build_parser())["lab"]))


def test_every_option_in_it_is_one_of_the_parsers() -> None:
    known = {option for parser in every(build_parser()) for option in parser._option_string_actions}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README))
    assert len(named) > 10 and named <= known


def test_its_exit_codes_are_all_that_there_are() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)
    assert sorted(int(code) for row in rows for code in row.split(",")) == sorted(Exit)


def test_its_targets_scenarios_and_picture_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets
    assert {"fresh", "classic"} <= set(registry.scenarios())
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures and all((ROOT / picture).read_text("utf-8").startswith("<svg") for picture in pictures)
