"""Scenarios that are a joined pair with a fault in it."""

from backends.lab.faults import FAULTS
from backends.lab.scenarios.living import NOTICED
from backends.lab.scenarios.worlds import pair
from backends.lab.world import World


def vxlan_one_way(world: World) -> None:
    """UDP 8472 from aks-east is no longer let in by eks-tokyo; everything that can notice has done so."""

    def break_it() -> None:
        FAULTS["vxlan-one-way"].inject(world)
        world.faults.add("vxlan-one-way")
        world.simulation.settle(NOTICED)

    pair(world, afterwards=break_it)
