"""The lab's scenarios and faults by name, loaded when first asked for."""

import difflib
import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from backends.lab.world import World


class NoSuchName(ValueError):
    """A scenario or fault that does not exist; says which there are."""


def scenarios() -> Mapping[str, Any]:
    """Every scenario: name, title, minutes, group, build(world)."""
    found: Mapping[str, Any] = importlib.import_module("backends.lab.scenarios").SCENARIOS
    return found


def faults() -> Mapping[str, Any]:
    """Every fault: name, title, layer, inject(world, **where), clear(world)."""
    found: Mapping[str, Any] = importlib.import_module("backends.lab.faults").FAULTS
    return found


def scenario(name: str) -> Any:
    """One scenario. Raises ``NoSuchName``."""
    return _named("scenario", scenarios(), name)


def fault(name: str) -> Any:
    """One fault. Raises ``NoSuchName``."""
    return _named("fault", faults(), name)


def _named(what: str, known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        meant = f"; did you mean {close[0]}?" if close else ";"
        raise NoSuchName(f"no {what} named {name!r}{meant} there are: {', '.join(known) or 'none'}")
    return known[name]


def listed_scenarios() -> list[dict[str, Any]]:
    """Scenarios as data."""
    return [
        {
            "name": one.name,
            "title": one.title,
            "group": one.group,
            "minutes": str(one.minutes),
            "note": getattr(one, "note", ""),
        }
        for one in scenarios().values()
    ]


def listed_faults(active: Collection[str] = ()) -> list[dict[str, Any]]:
    """Faults as data; ``active`` names those that are in."""
    return [
        {"name": one.name, "title": one.title, "layer": one.layer, "active": one.name in active}
        for one in faults().values()
    ]


async def build(world: World, name: str) -> None:
    """Build a scenario into an empty world. Raises ``NoSuchName``."""
    chosen = scenario(name)
    world.scenario = name
    await _done(chosen.build(world))


async def inject(world: World, name: str, where: Mapping[str, Any]) -> None:
    """Change the world as a fault says. Raises ``ValueError`` for a name or a place that is not there."""
    chosen = fault(name)
    try:
        inspect.signature(chosen.inject).bind(world, **where)
    except TypeError as problem:
        raise ValueError(f"{name}: {problem}") from None
    await _done(chosen.inject(world, **where))
    world.faults.add(name)


async def clear(world: World, name: str) -> None:
    """Take a fault out again. Raises ``NoSuchName``."""
    await _done(fault(name).clear(world))
    world.faults.discard(name)


async def _done(result: Any) -> None:
    if inspect.isawaitable(result):
        await result
