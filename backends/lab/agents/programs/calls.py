"""One exec: where it runs, and what programs share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.world import ExecFailed, ExecResult

if TYPE_CHECKING:
    from backends.lab.agents.fleet import Fleet


@dataclass(frozen=True)
class Call:
    """A command in a running container of a lab cluster."""

    fleet: "Fleet"
    cluster: str
    runtime: PodRuntime
    container: str
    argv: tuple[str, ...]
    stdin: bytes = b""

    @property
    def program(self) -> str:
        """Name of the program without its folder."""
        return self.argv[0].rpartition("/")[2] if self.argv else ""

    def with_argv(self, argv: Sequence[str]) -> "Call":
        """The same place, another command."""
        return Call(self.fleet, self.cluster, self.runtime, self.container, tuple(argv), self.stdin)


def said(text: str, code: int = 0) -> ExecResult:
    """Text on standard output."""
    return ExecResult(stdout=text.encode(), exit_code=code)


def failed(text: str, code: int = 1, out: str = "") -> ExecResult:
    """Text on standard error."""
    return ExecResult(stdout=out.encode(), stderr=text.encode(), exit_code=code)


def not_found(program: str) -> ExecFailed:
    """What the container runtime says about a program that the image lacks."""
    return ExecFailed(
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f'exec: "{program}": executable file not found in $PATH: unknown'
    )


@dataclass(frozen=True, slots=True)
class Flags:
    """Arguments split as pflag does: ``--name value``, ``--name=value``, ``-o json``, ``-ojson`` and words."""

    words: tuple[str, ...]
    values: dict[str, str] = field(default_factory=dict)

    def on(self, *names: str) -> bool:
        """Whether one of these boolean flags is set."""
        return any(self.values.get(name, "false") != "false" for name in names)

    def get(self, name: str, usual: str = "") -> str:
        """Value of a flag."""
        return self.values.get(name, usual)


def flags(argv: Sequence[str], valued: Sequence[str], short: dict[str, str]) -> Flags:
    """Read arguments; ``valued`` flags take a value, ``short`` maps letters to long names."""
    words: list[str] = []
    values: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            if not given:
                value = rest.pop(0) if name in valued and rest else "true"
            values[name] = value
        elif word.startswith("-") and len(word) > 1:
            name, tail = short.get(word[1], word[1]), word[2:].removeprefix("=")
            if name in valued:
                values[name] = tail or (rest.pop(0) if rest else "")
            else:
                for letter in word[1:]:
                    values[short.get(letter, letter)] = "true"
        else:
            words.append(word)
    return Flags(tuple(words), values)
