"""Faults in a mesh of three, two of them on one cloud: what lies between two spares the third, and what one cluster is
shows wherever it takes part.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.test_walk import trio
from tests.test_walk.test_faults import BACK, BOTH, SHOWN, Shown, clean, shows
from tests.test_walk.trio import OSAKA
from tests.test_walk.walking import EAST, TOKYO, Lab, lab, until

FAR = f"{EAST} ⇄ {OSAKA}"
# What differs from two clusters.
SHOWN_OF_THREE = SHOWN | {
    "mesh-api-closed": Shown((("CM0405", BACK), ("CM0405", f"{OSAKA} → {TOKYO}"))),
    "same-node-port": Shown((("CM0606", FAR), ("CM0606", BOTH), ("CM0606", f"{OSAKA} ⇄ {TOKYO}"))),
    "ca-differs": Shown((("CM0608", FAR), ("CM0608", BOTH))),
    "routing-modes-differ": Shown((("CM0306", FAR), ("CM0306", BOTH))),
    "tunnel-ports-differ": Shown((("CM0307", FAR), ("CM0307", BOTH))),
    "tunnel-protocols-differ": Shown((("CM0307", FAR), ("CM0307", BOTH))),
    # One login for both clusters of the account.
    "login-ended": Shown((("CM0002", OSAKA), ("CM0002", TOKYO)), 3),
}
# One of each kind: between two clusters, into one, of one and the others, of all, of one;
# ``make proof`` takes every one.
SAMPLED = (
    "vxlan-one-way",
    "mesh-api-closed",
    "ca-differs",
    "routing-modes-differ",
    "equal-ids",
    "aws-node-running",
    "login-ended",
)


@contextmanager
def mesh_of_three() -> Iterator[Lab]:
    with lab("whole", speed=100, module=trio.MODULE) as running:
        until(lambda: clean(running.check()), "the mesh of three is healthy", 40)
        yield running


@pytest.fixture(scope="module")
def whole() -> Iterator[Lab]:
    with mesh_of_three() as running:
        yield running


@pytest.mark.parametrize("fault", SAMPLED)
def test_a_fault_among_three_shows_where_it_is_and_nowhere_else(whole: Lab, fault: str) -> None:
    shows(whole, fault, SHOWN_OF_THREE[fault])
