"""The pair of ``fresh`` as a lab, where the user of aks-east has exactly the rights that ``rights --for apply`` prints.

Run as ``python -m tests.test_walk.bounded`` it is a lab server; ``lacking`` leaves out the right to make namespaces.
"""

import sys

import yaml

from backends.lab import registry, server, topology
from backends.lab.api.identity import Identity
from backends.lab.scenarios import places
from backends.lab.scenarios.living import at_rest, past, populate, settle
from backends.lab.scenarios.scenario import Scenario
from backends.lab.storage.resources import RESOURCES
from backends.lab.world import World
from mesh.model.context import Right
from mesh.model.rights import APPLY, roles

MODULE = "tests.test_walk.bounded"
USER = "joiner@mesh-lab.example"
LEFT_OUT = Right("create", "namespaces")


def _fresh(world: World, rights: tuple[Right, ...]) -> None:
    with past(world, 3):
        tokyo, east = places.tokyo(world), places.east(world, identity=Identity(USER))
        topology.vpn(world, tokyo, east)
        for document in yaml.safe_load_all(roles(rights, "meshwright", USER)):
            plural = f"{document['kind'].lower()}s"
            east.objects.apply(RESOURCES["rbac.authorization.k8s.io", plural], document)
        populate(world)
        settle(world, "EKS", lambda: at_rest(tokyo))
        world.simulation.settle(30.0)


def exact(world: World) -> None:
    """All of them and no other."""
    _fresh(world, APPLY)


def lacking(world: World) -> None:
    """All of them but one."""
    _fresh(world, tuple(right for right in APPLY if right != LEFT_OUT))


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("exact", "exactly the rights to join", "1", "Guided", exact),
        Scenario("lacking", "one right is missing", "1", "Guided", lacking),
    )
}


def main() -> int:
    """Serve these scenarios as the lab's server serves its own."""
    registry.scenarios = lambda: SCENARIOS
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
