"""Cells that several kinds share: selectors, containers, ports."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

NONE: Final = "<none>"
_SHOWN: Final = 3


def or_none(value: Any) -> str:
    """The text of a value, ``<none>`` where there is none."""
    return str(value) if value not in (None, "", [], {}) else NONE


def equalities(labels: Mapping[str, str] | None) -> str:
    """``a=b,c=d`` in the order of the keys, or ``<none>``."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector(given: Mapping[str, Any] | None) -> str:
    """A ``LabelSelector`` as text."""
    if given is None:
        return NONE
    terms = [(key, f"{key}={value}") for key, value in (given.get("matchLabels") or {}).items()]
    for expression in given.get("matchExpressions") or ():
        key, operator = expression["key"], expression["operator"]
        values = ",".join(sorted(expression.get("values") or ()))
        text = {"Exists": key, "DoesNotExist": f"!{key}"}.get(operator, f"{key} {operator.lower()} ({values})")
        terms.append((key, text))
    return ",".join(text for _, text in sorted(terms)) or NONE


def containers(spec: Mapping[str, Any] | None) -> list[str]:
    """Names and images of a pod spec's containers, one cell each."""
    listed: Sequence[Mapping[str, Any]] = (spec or {}).get("containers") or ()
    return [
        ",".join(str(container.get("name", "")) for container in listed),
        ",".join(str(container.get("image", "")) for container in listed),
    ]


def first_ones(items: Sequence[str]) -> str:
    """The first three and how many more, or ``<unset>``."""
    if not items:
        return "<unset>"
    text = ",".join(items[:_SHOWN])
    return f"{text} + {len(items) - _SHOWN} more..." if len(items) > _SHOWN else text
