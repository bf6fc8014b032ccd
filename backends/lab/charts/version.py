"""Versions of the Cilium chart that the lab knows: 1.15 … 1.20."""

import re
from dataclasses import dataclass
from typing import Final

MINORS: Final = range(15, 21)
_PATTERN: Final = re.compile(r"v?1\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?")

NEWEST_PATCH: Final = {15: 19, 16: 19, 17: 13, 18: 9, 19: 7, 20: 2}
"""The last patch release per minor that the lab's chart repository offers."""


class UnknownVersion(ValueError):
    """Not a chart version the lab can render; the text names it."""


@dataclass(frozen=True, slots=True, order=True)
class ChartVersion:
    """``1.<minor>.<patch>`` of chart and images alike."""

    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "ChartVersion":
        """From ``1.15.19`` or ``v1.15.19``; raises ``UnknownVersion`` outside 1.15 … 1.20."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None or int(match[1]) not in MINORS or match[3]:
            raise UnknownVersion(text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"1.{self.minor}.{self.patch}"

    @property
    def offered(self) -> bool:
        """Whether the lab's chart repository has this version."""
        return self.minor in NEWEST_PATCH and self.patch <= NEWEST_PATCH[self.minor]

    @property
    def kube_version(self) -> str:
        """The chart's ``kubeVersion`` constraint."""
        return ">= 1.16.0-0" if self.minor == 15 else ">= 1.21.0-0"

    @property
    def oldest_kubernetes(self) -> tuple[int, int]:
        """The lowest Kubernetes (major, minor) that the chart's constraint admits."""
        return (1, 16) if self.minor == 15 else (1, 21)


NEWEST: Final = ChartVersion(20, NEWEST_PATCH[20])
