"""YAML as kubectl's parser understands it, with limits: no dates or base-60 numbers, no bombs, lines in errors."""

import functools
import re
from typing import Any, ClassVar, Final

MAX_EXPANDED: Final = 500_000
MAX_DEPTH: Final = 50
_ALIAS: Final = re.compile(r"(?:^|[\s\[{,:-])\*\w", re.MULTILINE)
# What could nest deeper than libyaml's composer survives: it recurses in C and takes the process with it.
_DEEP: Final = re.compile(r"[-?][ \t]+[-?][ \t]+[-?][ \t]")
_INDENTED: Final = "\n" + 100 * " "
_MANY_FLOWS: Final = 400

# The scalars of goyaml v2, which kubectl uses; PyYAML's own lists have dates and 12:30 = 750 besides.
_SCALARS: Final = (
    (
        "bool",
        r"(?:[yY]|yes|Yes|YES|[nN]|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
        "yYnNtTfFoO",
    ),
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0b[0-1_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
    ("merge", r"<<$", "<"),
)


class BadText(Exception):
    """Text that is no usable YAML: what is wrong, and the line if known."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


@functools.cache
def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # the base is chosen at run time
        yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}

        def construct_yaml_bool(self, node: Any) -> bool:
            return str(self.construct_scalar(node)).lower() in ("y", "yes", "true", "on")

        def construct_yaml_int(self, node: Any) -> Any:
            return _integer(str(self.construct_scalar(node)))

    for name, pattern, first in _SCALARS:
        for letter in first:
            Loader.yaml_implicit_resolvers.setdefault(letter, []).append(
                (f"tag:yaml.org,2002:{name}", re.compile(pattern))
            )
    Loader.add_constructor("tag:yaml.org,2002:bool", Loader.construct_yaml_bool)
    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    return Loader


def _integer(text: str) -> int | float | str:
    digits = text.replace("_", "")
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits.removeprefix("+"))
    base = {"0b": 2, "0x": 16, "0o": 8}.get(digits[:2], 8 if digits.startswith("0") and digits != "0" else 10)
    try:
        return sign * int(digits, base) if len(digits) < 40 else text
    except ValueError:
        return text


def parse(text: str) -> Any:
    """The one document in ``text`` (the first of several). Raises ``BadText``."""
    import yaml

    try:
        flows = text.count("[") + text.count("{")
        if flows > _MANY_FLOWS or _INDENTED in text or _DEEP.search(text):
            _refuse_deep(text)
        return _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadText(error.problem or "cannot be parsed", mark.line + 1 if mark else 0) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        raise BadText(f"character {error.character!r} is not allowed", line) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise BadText(str(error).splitlines()[0] if str(error) else "cannot be parsed") from error
    except RecursionError:
        raise BadText("nested too deeply") from None


def _load(text: str) -> Any:
    loader = _loader()(text)
    try:
        if not loader.check_node():
            return None
        node = loader.get_node()
        if "*" in text and _ALIAS.search(text):
            _measure(node, {}, 0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_deep(text: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadText("nested too deeply", event.start_mark.line + 1 if event.start_mark else 0)


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """The line of the value at ``path`` (keys and indexes) in YAML text; 0 if it cannot be told."""
    import yaml

    try:
        node = yaml.compose(text, Loader=_loader())
    except (yaml.YAMLError, RecursionError):
        return 0
    line = 0
    for step in path:
        line = node.start_mark.line + 1 if node is not None else line
        node = _child(node, step)
        if node is None:
            return line
    return int(node.start_mark.line) + 1 if node is not None else line


def _child(node: Any, step: str | int) -> Any:
    if isinstance(step, int):
        items = node.value if isinstance(node.value, list) else []
        return items[step] if step < len(items) and not isinstance(items[step], tuple) else None
    pairs = [pair for pair in node.value if isinstance(pair, tuple)] if isinstance(node.value, list) else []
    return next((value for key, value in pairs if key.value == step), None)


def _measure(node: Any, sizes: dict[int, int], depth: int) -> int:
    """Nodes below ``node`` if every alias were written out: aliases share nodes, so each is measured once."""
    if depth > MAX_DEPTH:
        raise BadText("nested too deeply", node.start_mark.line + 1)
    if id(node) in sizes:
        if sizes[id(node)] == 0:
            raise BadText("an anchor contains itself", node.start_mark.line + 1)
        return sizes[id(node)]
    sizes[id(node)] = 0
    children = node.value if isinstance(node.value, list) else []
    total = 1
    for child in children:
        for part in child if isinstance(child, tuple) else (child,):
            total += _measure(part, sizes, depth + 1)
    if total > MAX_EXPANDED:
        raise BadText("its aliases expand to more than it may hold", node.start_mark.line + 1)
    sizes[id(node)] = total
    return total
