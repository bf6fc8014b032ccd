"""YAML as helm reads and writes it: JSON's types only, keys sorted when written."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BaseDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_Base):  # type: ignore[misc]  # the C loader where there is one, chosen when running
    """Without dates: ``2026-01-02`` is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


class _Dumper(_BaseDumper):  # type: ignore[misc]  # as above
    """Text in several lines as a literal block, text that would read as something else in double quotes."""


def _represent(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text:
        style = "|"
    elif dumper.resolve(yaml.ScalarNode, text, (True, False)) != "tag:yaml.org,2002:str":
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


# YAML 1.1 as PyYAML reads it wants a dot in a float, Go's does not.
_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$")
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


class BadYaml(ValueError):
    """Text that is not YAML, or more than one document where one is wanted."""


def load(text: str | bytes) -> Any:
    """One document; ``None`` for empty text. Raises ``BadYaml``."""
    try:
        return yaml.load(text, _Loader)  # a safe loader
    except yaml.YAMLError as error:
        raise BadYaml(_reason(error)) from error


def load_all(text: str) -> Iterator[Any]:
    """Every document that is not empty."""
    try:
        yield from (document for document in yaml.load_all(text, _Loader) if document is not None)
    except yaml.YAMLError as error:
        raise BadYaml(_reason(error)) from error


def dump(value: Any) -> str:
    """Block style, keys sorted, lines not folded."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=2**20, allow_unicode=True))


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"yaml: line {mark.line + 1}: {problem}" if mark is not None else f"yaml: {problem}"
