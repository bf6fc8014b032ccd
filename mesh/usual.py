"""How long steps usually take here: the median of the last runs, kept between them (screens.md §3.7)."""

from collections.abc import Mapping
from statistics import median
from typing import Final

from msgspec import ValidationError, convert
from msgspec.structs import replace

from mesh.plan import Plan
from mesh.ports import Store

_NAME: Final = "usual-steps"
_KEPT: Final = 5


def remember(store: Store, spent: Mapping[str, float]) -> None:
    """Keep the seconds that these steps took, by their ids; of each kind the last few."""
    kept = _kept(store)
    for step, seconds in spent.items():
        kept[_kind(step)] = [*kept.get(_kind(step), []), round(seconds, 1)][-_KEPT:]
    store.put(_NAME, kept)


def timed(plan: Plan, store: Store) -> Plan:
    """The plan with what its steps usually took here, where they were ever carried out."""
    kept = _kept(store)
    steps = (
        replace(step, usual=median(kept[_kind(step.id)]), measured=True) if kept.get(_kind(step.id)) else step
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def _kept(store: Store) -> dict[str, list[float]]:
    try:
        return convert(store.get(_NAME) or {}, dict[str, list[float]])
    except ValidationError:
        return {}


def _kind(step: str) -> str:
    """``install.eks-tokyo`` and ``install.aks-east`` are of one kind."""
    return step.partition(".")[0]
