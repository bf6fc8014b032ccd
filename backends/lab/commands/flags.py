"""Command lines as Go's ``pflag`` and ``cobra`` read them, with their error texts."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["bool", "string", "strings", "csv", "int", "duration", "format"]

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class BadCommandLine(Exception):
    """A command line that is refused; ``str()`` is the text after ``Error: ``."""


@dataclass(frozen=True, slots=True)
class Flag:
    """``--name``; ``bare`` is its value when none is given with it, ``choices`` those of a format."""

    name: str
    kind: Kind = "bool"
    short: str = ""
    default: Any = None
    bare: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def initial(self) -> Any:
        """The value when the flag is absent."""
        if self.default is not None:
            return self.default
        return {"bool": False, "strings": [], "csv": [], "int": 0, "duration": 0.0}.get(self.kind, "")

    @property
    def title(self) -> str:
        """As error texts name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@dataclass(slots=True)
class Parsed:
    """Values of all flags by name, the names given, and the other words."""

    values: dict[str, Any]
    words: list[str]
    given: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def first_word(flags: Sequence[Flag], line: Sequence[str]) -> int | None:
    """Where the first word stands that is neither a flag nor a flag's value."""
    names = {flag.name: flag for flag in flags} | {flag.short: flag for flag in flags if flag.short}
    skip = False
    for index, word in enumerate(line):
        if skip:
            skip = False
        elif word == "--":
            return None
        elif word.startswith("-") and len(word) > 1:
            flag = names.get(word.lstrip("-"))
            skip = flag is not None and flag.kind != "bool" and flag.bare is None
        else:
            return index
    return None


def parse(flags: Sequence[Flag], line: Sequence[str]) -> Parsed:
    """Flags may stand among the words; raises ``BadCommandLine``."""
    long = {flag.name: flag for flag in flags}
    short = {flag.short: flag for flag in flags if flag.short}
    found = Parsed({flag.name: _fresh(flag.initial) for flag in flags}, [])
    rest = list(line)
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.words += rest
            break
        if word.startswith("--"):
            _long(long, word, rest, found)
        elif word.startswith("-") and len(word) > 1:
            _short(short, word, rest, found)
        else:
            found.words.append(word)
    return found


def _fresh(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _long(flags: dict[str, Flag], word: str, rest: list[str], found: Parsed) -> None:
    name, equals, value = word[2:].partition("=")
    flag = flags.get(name)
    if flag is None:
        raise BadCommandLine(f"unknown flag: --{name}")
    if not equals:
        value = _implied(flag, rest, f"--{name}")
    _take(flag, value, found)


def _short(flags: dict[str, Flag], word: str, rest: list[str], found: Parsed) -> None:
    letters = word[1:]
    while letters:
        flag = flags.get(letters[0])
        if flag is None:
            raise BadCommandLine(f"unknown shorthand flag: {letters[0]!r} in -{letters}")
        tail = letters[1:]
        if tail.startswith("="):
            return _take(flag, tail[1:], found)
        if flag.kind != "bool" and flag.bare is None and tail:
            return _take(flag, tail, found)
        _take(flag, _implied(flag, rest, f"{letters[0]!r} in -{letters}"), found)
        letters = tail
    return None


def _implied(flag: Flag, rest: list[str], title: str) -> str:
    if flag.kind == "bool":
        return "true"
    if flag.bare is not None:
        return flag.bare
    if not rest:
        raise BadCommandLine(f"flag needs an argument: {title}")
    return rest.pop(0)


def _take(flag: Flag, value: str, found: Parsed) -> None:
    try:
        read = _read(flag, value)
    except ValueError as error:
        raise BadCommandLine(f'invalid argument "{value}" for "{flag.title}" flag: {error}') from None
    if flag.kind in ("strings", "csv"):
        # A default goes with the first value given.
        read = [*(found.values[flag.name] if flag.name in found.given else ()), *read]
    found.values[flag.name] = read
    found.given.add(flag.name)


def _read(flag: Flag, value: str) -> Any:
    if flag.kind == "bool":
        if value not in _TRUE + _FALSE:
            raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
        return value in _TRUE
    if flag.kind == "int":
        if not re.fullmatch(r"[+-]?\d+", value):
            raise ValueError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return int(value)
    if flag.kind == "duration":
        return duration(value)
    if flag.kind == "strings":
        return [value]
    if flag.kind == "csv":
        return next(iter(csv.reader([value])), [])
    if flag.kind == "format" and value not in flag.choices:
        raise ValueError("invalid format type")
    return value


def duration(text: str) -> float:
    """Seconds of a Go duration such as ``1h30m`` or ``90s``; raises ``ValueError`` with Go's text."""
    if text == "0":
        return 0.0
    body = text[1:] if text[:1] in "+-" else text
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        missing = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)", body)
        raise ValueError(f'time: {"missing unit in" if missing else "invalid"} duration "{text}"')
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total
