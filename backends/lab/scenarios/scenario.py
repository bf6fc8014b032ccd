"""What a scenario is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from backends.lab.world import World

Group = Literal["Guided", "Broken", "Access", "Demo"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world to begin with. ``minutes`` is how long a walk through it takes, ``note`` one line for the start screen.

    ``build`` fills an empty world that has its clouds and its network; afterwards everything in it runs.
    """

    name: str
    title: str
    minutes: str
    group: Group
    build: Callable[[World], None]
    note: str = ""
