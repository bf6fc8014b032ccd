"""The commands of ``helm``, their flags, and what a wrong command line is told."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backends.lab.commands.flags import BadCommandLine, Flag, first_word, parse
from backends.lab.commands.helm import changing, offline, reading, repositories
from backends.lab.commands.helm.session import FORMAT, GLOBAL, Session, environment
from backends.lab.commands.running import running

MANY: Final = 1000


@dataclass(frozen=True, slots=True)
class Command:
    """``usage`` is the line after ``helm``; the number of words lies between ``least`` and ``most``."""

    usage: str
    run: Callable[[Session], None]
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int = 0


_ADD_FLAGS: Final = (Flag("force-update"), Flag("no-update"), Flag("timeout", "duration", default=120.0))
_RELEASE: Final = "RELEASE_NAME"

COMMANDS: Final[Mapping[tuple[str, ...], Command]] = {
    ("install",): Command("install [NAME] [CHART]", changing.run_install, changing.INSTALL_FLAGS, 1, MANY),
    ("upgrade",): Command("upgrade [RELEASE] [CHART]", changing.run_upgrade, changing.UPGRADE_FLAGS, 2, 2),
    ("rollback",): Command("rollback <RELEASE> [REVISION]", changing.run_rollback, changing.ROLLBACK_FLAGS, 1, MANY),
    ("uninstall",): Command(f"uninstall {_RELEASE} [...]", changing.run_uninstall, changing.UNINSTALL_FLAGS, 1, MANY),
    ("list",): Command("list", reading.run_list, reading.LIST_FLAGS),
    ("status",): Command(f"status {_RELEASE}", reading.run_status, reading.STATUS_FLAGS, 1, 1),
    ("history",): Command(f"history {_RELEASE}", reading.run_history, reading.HISTORY_FLAGS, 1, 1),
    ("get", "values"): Command(f"get values {_RELEASE}", reading.run_values, reading.VALUES_FLAGS, 1, 1),
    ("get", "manifest"): Command(f"get manifest {_RELEASE}", reading.run_manifest, reading.PART_FLAGS, 1, 1),
    ("get", "hooks"): Command(f"get hooks {_RELEASE}", reading.run_hooks, reading.PART_FLAGS, 1, 1),
    ("get", "notes"): Command(f"get notes {_RELEASE}", reading.run_notes, reading.PART_FLAGS, 1, 1),
    ("version",): Command("version", offline.run_version, offline.VERSION_FLAGS),
    ("template",): Command("template [NAME] [CHART]", offline.run_template, offline.TEMPLATE_FLAGS, 1, MANY),
    ("show", "values"): Command("show values [CHART]", offline.run_show_values, offline.SHOW_FLAGS, 1, 1),
    ("show", "chart"): Command("show chart [CHART]", offline.run_show_chart, offline.SHOW_FLAGS, 1, 1),
    ("repo", "add"): Command("repo add [NAME] [URL]", repositories.add, _ADD_FLAGS, 2, 2),
    ("repo", "update"): Command("repo update [REPO1 [REPO2 ...]]", repositories.update, (), 0, MANY),
    ("repo", "list"): Command("repo list", repositories.listed, (FORMAT,)),
    ("repo", "remove"): Command("repo remove [REPO1 [REPO2 ...]]", repositories.remove, (), 1, MANY),
}
_ALIASES: Final = {"ls": "list", "hist": "history", "del": "uninstall", "delete": "uninstall", "un": "uninstall"}
_NESTED: Final = {path[0] for path in COMMANDS if len(path) > 1}
_NESTED_ALIASES: Final = {"up": "update", "ls": "list", "rm": "remove"}


def main(line: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    return running(lambda: _main(list(line)))


def _main(line: list[str]) -> int:
    try:
        return _run(line)
    except changing.FAILURES as error:
        sys.stdout.flush()
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _run(line: list[str]) -> int:
    path, rest = _path(line)
    if path not in COMMANDS:
        print(_overview(path[0] if path else ""))
        return 0
    command = COMMANDS[path]
    flags = (*command.flags, *GLOBAL)
    parsed = parse(flags, rest)
    if parsed["help"]:
        print(_help(command, flags))
        return 0
    problem = _count(path, command, len(parsed.words))
    if problem:
        raise BadCommandLine(problem)
    command.run(Session(parsed, environment()))
    return 0


def _path(line: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The command's words taken out of the line."""
    first = _take(line, GLOBAL)
    if first is None:
        return (), line
    first = _ALIASES.get(first, first)
    if (first,) in COMMANDS:
        return (first,), line
    if first not in _NESTED:
        raise BadCommandLine(f'unknown command "{first}" for "helm"\nRun \'helm --help\' for usage.')
    second = _take(line, GLOBAL)
    if second is None:
        return (first,), line
    path = (first, _NESTED_ALIASES.get(second, second))
    return (path, line) if path in COMMANDS else ((first,), line)


def _take(line: list[str], flags: Sequence[Flag]) -> str | None:
    index = first_word(flags, line)
    return None if index is None else line.pop(index)


def _count(path: tuple[str, ...], command: Command, count: int) -> str:
    if command.least <= count <= command.most:
        return ""
    plural = "argument" if command.least == 1 else "arguments"
    if command.most == 0:
        wants = "accepts no arguments"
    elif command.least == command.most:
        wants = f"requires {command.least} {plural}"
    else:
        wants = f"requires at least {command.least} {plural}"
    return f'"helm {" ".join(path)}" {wants}\n\nUsage:  helm {command.usage} [flags]'


def _overview(group: str) -> str:
    named = [command.usage for path, command in COMMANDS.items() if not group or path[0] == group]
    title = f"helm {group}".strip()
    return f"Usage:\n  {title} [command]\n\nAvailable Commands:\n" + "\n".join(f"  {usage}" for usage in named)


def _help(command: Command, flags: Sequence[Flag]) -> str:
    lines = [f"  {flag.title}" for flag in sorted(flags, key=lambda flag: flag.name)]
    return f"Usage:\n  helm {command.usage} [flags]\n\nFlags:\n" + "\n".join(lines)
