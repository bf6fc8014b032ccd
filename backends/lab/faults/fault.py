"""What a fault is: one change of the world and how it is taken back."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.lab.world import LabCluster, World

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """``layer`` groups faults for people: network, trust, settings, services, access.

    ``inject`` takes the world and places by keyword (clusters by name); it raises ``ValueError`` where what it
    needs is not there. ``clear`` takes back everything that this fault has changed in that world.
    """

    name: str
    title: str
    layer: str
    inject: Callable[..., Any]
    clear: Callable[[World], Any]


class Undoing:
    """Remembers, per world, how one fault is taken back."""

    def __init__(self) -> None:
        self._held: weakref.WeakKeyDictionary[World, list[Undo]] = weakref.WeakKeyDictionary()

    def add(self, world: World, undo: Undo) -> None:
        """``undo`` is called by ``clear``, last one first."""
        self._held.setdefault(world, []).append(undo)

    def clear(self, world: World) -> None:
        """Take back everything."""
        for undo in reversed(self._held.pop(world, [])):
            undo()


def cluster(world: World, name: str) -> LabCluster:
    """A cluster by its name. Raises ``ValueError``."""
    if name not in world.clusters:
        raise ValueError(f"no cluster named {name}; there are: {', '.join(world.clusters) or 'none'}")
    return world.clusters[name]


def pair(world: World, source: str, target: str, prefer: str = "eks") -> tuple[LabCluster, LabCluster]:
    """The two clusters of a direction; what is not given is chosen: a target of the preferred provider, another source.

    Raises ``ValueError`` where there are no two clusters.
    """
    given = {name: cluster(world, name) for name in (source, target) if name}
    there = given.get(target) or _first(world, source, lambda one: one.provider == prefer)
    here = given.get(source) or _first(world, there.name, lambda one: one.provider != there.provider)
    if here is there:
        raise ValueError(f"{here.name} cannot be both ends")
    return here, there


def _first(world: World, but: str, preferred: Callable[[LabCluster], bool]) -> LabCluster:
    others = [one for name, one in world.clusters.items() if name != but]
    if not others:
        raise ValueError("this needs two clusters")
    return next((one for one in others if preferred(one)), others[0])
