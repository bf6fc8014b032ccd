"""Facts of the recorded clusters, gathered by the same collectors that read live ones."""

import functools
import time
from pathlib import Path
from typing import Any

from backends.bundle import open_bundle
from backends.cilium.agents import Agents
from backends.cilium.installation import Installation
from backends.cilium.meshapi import MeshApi
from backends.gather import ClusterGatherer
from backends.kube.collect.access import Access
from backends.kube.collect.nodes import Nodes
from backends.kube.collect.pods import Pods
from backends.kube.collect.rights import RightsReview
from backends.kube.collect.services import Services
from backends.kubeconfig.listing import unique_keys
from mesh.events import Event
from mesh.facts import FactName, FactStore, Known
from mesh.reading import Collector
from mesh.subject import OfCluster

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
EKS, AKS = "mesh-eks", "mesh-aks"


class MachineClock:
    """Time of this machine; nobody sleeps by it."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("reading does not wait")


@functools.cache
def collectors() -> tuple[Collector, ...]:
    """All collectors of plain Kubernetes and of Cilium, in the order of the Facts screen."""
    return (Access(), RightsReview(), Nodes(), Pods(), Installation(), Agents(), Services(), MeshApi())


async def recorded(scenario: str, events: list[Event] | None = None) -> FactStore:
    """The facts of one scenario."""
    bundle = open_bundle([str(RECORDINGS / scenario)], unique_keys)
    gatherer = ClusterGatherer(collectors(), bundle.recordings.__getitem__, MachineClock())
    return await gatherer.gather(list(bundle.recordings), (events if events is not None else []).append)


def value(store: FactStore, name: FactName[Any], cluster: str) -> Any:
    """A fact's value; it must be known."""
    found = store.get(name, OfCluster(cluster))
    assert isinstance(found, Known), f"{name.name} of {cluster}: {found}"
    return found.value
