"""A lab that starts with faults: what they lead to is there from the first request on."""

import time
from pathlib import Path

from backends.lab import registry
from backends.lab.scenarios.living import at_rest, beforehand
from backends.lab.scenarios.places import EAST, TOKYO
from tests.test_lab.standing import not_ready, sick, standing


async def test_consequences_are_there_and_the_clock_is_not_ahead(tmp_path: Path) -> None:
    with standing("healthy", tmp_path) as world:
        before = world.clock.now()
        world.clock.resume()
        with beforehand(world):
            for name in ("tunnel-ports-differ", "ca-differs"):
                await registry.inject(world, name, {})
        assert before <= world.clock.now() <= time.time()
        assert all(at_rest(cluster) for cluster in world.clusters.values())
        # The agents of aks-east were made anew and never heard of the peer whose CA they do not trust.
        assert {here for here, _, what in sick(world) if what == "endpoint.http"} == {TOKYO}
        assert {(TOKYO, "kvstoremesh"), (EAST, "kvstoremesh")} <= not_ready(world)
