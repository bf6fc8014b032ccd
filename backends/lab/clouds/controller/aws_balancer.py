"""What a controller decides about a Service's load balancer in AWS, and what it notes of the one it made."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """``kind`` is network or classic; ``by`` is the controller: lbc (AWS Load Balancer Controller) or in-tree."""

    kind: str
    by: str
    internal: bool


@dataclass(slots=True)
class Notes:
    """What belongs to one load balancer. ``rules`` are (group, rule id) added to groups of others."""

    kind: str
    by: str
    internal: bool
    name: str
    key: str
    hostname: str
    subnets: list[Any]
    cards: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    own_groups: list[str] = field(default_factory=list)
    target_groups: list[str] = field(default_factory=list)
    rules: list[tuple[str, str]] = field(default_factory=list)
