"""Values that several default tables share."""

from typing import Any, Final


class _Gone:
    def __repr__(self) -> str:
        return "GONE"


GONE: Final = _Gone()
"""Marks a value that a later minor version of the chart no longer has."""


def on_same_node(label: str, value: str) -> dict[str, Any]:
    """A pod (anti-)affinity term: pods with this label on the same host."""
    return {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {label: value}}}
