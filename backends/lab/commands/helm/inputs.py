"""Values from the command line: files, then ``--set``, ``--set-string``, ``--set-file``, each over the ones before."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from backends.lab.charts.strvals import AssignmentError, assign
from backends.lab.charts.trees import Tree, overlay
from backends.lab.commands.flags import BadCommandLine, Flag
from backends.lab.commands.helm.session import Session
from backends.lab.commands.kube.yamls import BadYaml, load

VALUES: Final = (
    Flag("values", "csv", "f"),
    Flag("set", "strings"),
    Flag("set-string", "strings"),
    Flag("set-file", "strings"),
    Flag("set-json", "strings"),
)


def values(session: Session) -> Tree:
    """The user's values; raises ``BadCommandLine`` with helm's text."""
    found: Tree = {}
    for name in session["values"]:
        found = overlay(found, _file(name))
    for line in session["set-json"]:
        found = overlay(found, _json(line))
    for line in session["set"]:
        _assign(line, found, strings=False)
    for line in session["set-string"]:
        _assign(line, found, strings=True)
    for line in session["set-file"]:
        try:
            assign(line, found, value_of=_content)
        except (AssignmentError, BadCommandLine) as error:
            raise BadCommandLine(f"failed parsing --set-file data: {error}") from error
    return found


def _content(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadCommandLine(f"open {name}: {(error.strerror or '').lower()}") from error


def _file(name: str) -> Tree:
    try:
        content = sys.stdin.buffer.read() if name.strip() == "-" else Path(name).read_bytes()
    except OSError as error:
        raise BadCommandLine(f"open {name}: {(error.strerror or '').lower()}") from error
    try:
        tree = load(content)
    except BadYaml as error:
        text = f"failed to parse {name}: error converting YAML to JSON: {error}"
        raise BadCommandLine(text) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        kind = "array" if isinstance(tree, list) else "string" if isinstance(tree, str) else "number"
        raise BadCommandLine(
            f"failed to parse {name}: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into "
            "Go value of type map[string]interface {}"
        )
    found: Tree = _named(tree)
    return found


def _named(value: Any) -> Any:
    """JSON knows text keys only."""
    if isinstance(value, dict):
        return {_key(key): _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)


def _json(line: str) -> Tree:
    """An object, or ``path=value`` with a JSON value."""
    text = line.strip()
    try:
        if text.startswith("{"):
            tree: Tree = json.loads(text)
            return tree
        path, equals, value = text.partition("=")
        if not equals:
            raise BadCommandLine(f"failed parsing --set-json data {line}")
        found: Tree = {}
        node = found
        *steps, last = path.split(".")
        for step in steps:
            node = node.setdefault(step, {})
        node[last] = json.loads(value)
        return found
    except ValueError as error:
        raise BadCommandLine(f"failed parsing --set-json data {line}") from error


def _assign(line: str, tree: Tree, *, strings: bool) -> None:
    try:
        assign(line, tree, strings=strings)
    except AssignmentError as error:
        flag = "--set-string" if strings else "--set"
        raise BadCommandLine(f"failed parsing {flag} data: {error}") from error
