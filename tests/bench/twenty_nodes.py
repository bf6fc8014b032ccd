"""A lab of EKS and AKS with ten nodes each, nothing installed: run as ``python -m tests.bench.twenty_nodes``."""

import sys

from backends.lab import registry, server, topology
from backends.lab.scenarios import places
from backends.lab.scenarios.living import past, populate
from backends.lab.scenarios.scenario import Scenario
from backends.lab.world import World

MODULE = "tests.bench.twenty_nodes"
NODES = 10


def build(world: World) -> None:
    """The pair of scenario ``fresh``, larger."""
    with past(world, 3):
        eks = topology.eks(world, places.TOKYO, version=places.CURRENT, vpc=places.VPC, nodes=NODES)
        aks = topology.aks(world, places.EAST, version=places.CURRENT, vnet=places.VNET, nodes=NODES, kube_proxy=False)
        topology.vpn(world, eks, aks)
        populate(world)
        world.simulation.settle(120.0)


SCENARIOS = {"twenty-nodes": Scenario("twenty-nodes", "two clusters of ten nodes", "1", "Guided", build)}

if __name__ == "__main__":
    registry.scenarios = lambda: SCENARIOS
    sys.exit(server.main())
