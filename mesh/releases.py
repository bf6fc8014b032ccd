"""Cilium releases we have a values table for, and the Kubernetes minors each is tested with.

Source: ``Documentation/network/kubernetes/compatibility.rst`` of each release (cilium-clustermesh R16).
"""

import re
from collections.abc import Iterable
from typing import Final

# Where the releases' charts are published.
CHART_REPOSITORY: Final = "https://helm.cilium.io/"
TESTED: Final[dict[str, tuple[int, int]]] = {
    "1.15.1": (26, 29),
    "1.15.19": (26, 29),
    "1.16.5": (27, 30),
    "1.17.4": (29, 32),
    "1.18.3": (30, 33),
    "1.19.5": (32, 35),
    "1.20.2": (33, 36),
}
# The release a join proposes per line. The 1.15 line is the one the published EKS/AKS procedure was proven with.
PROPOSED: Final = ("1.20.2", "1.19.5", "1.18.3", "1.17.4", "1.16.5", "1.15.1")


def parts(version: str) -> tuple[int, int, int]:
    """``v1.19.5-rc.0`` as (1, 19, 5); missing or unreadable parts are 0."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def at_least(version: str, minimum: str) -> bool:
    """Whether ``version`` is ``minimum`` or newer."""
    return parts(version) >= parts(minimum)


def supported_lines() -> tuple[str, ...]:
    """The minor lines we write values for, newest first: ``1.20``, ``1.19``, …"""
    return tuple(dict.fromkeys(f"{parts(v)[0]}.{parts(v)[1]}" for v in PROPOSED))


def is_tested_with(version: str, kubernetes: str) -> bool | None:
    """Whether this Cilium line is tested with this Kubernetes; None if we have no table for the line."""
    for known, (low, high) in TESTED.items():
        if parts(known)[:2] == parts(version)[:2]:
            return low <= parts(kubernetes)[1] <= high
    return None


def propose(kubernetes: Iterable[str]) -> str:
    """The newest release tested with all these Kubernetes versions; else the one that covers most of them."""
    versions = [version for version in kubernetes if parts(version)[1]]
    return max(
        PROPOSED,
        key=lambda release: (sum(bool(is_tested_with(release, version)) for version in versions), parts(release)),
    )
