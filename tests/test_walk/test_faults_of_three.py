"""Faults in a mesh of three, two of them on one cloud: what lies between two spares the third, and what one cluster is
shows wherever it takes part.
"""

from collections.abc import Iterator

import pytest

from tests.test_walk import trio
from tests.test_walk.test_faults import BACK, BOTH, SHOWN, Shown, clean, shows
from tests.test_walk.trio import OSAKA
from tests.test_walk.walking import EAST, TOKYO, Lab, lab, until

SHOWN_OF_THREE = {
    "vxlan-one-way": SHOWN["vxlan-one-way"],
    "mesh-api-closed": Shown((("CM0405", BACK), ("CM0405", f"{OSAKA} → {TOKYO}"))),
    "ca-differs": Shown((("CM0608", f"{EAST} ⇄ {OSAKA}"), ("CM0608", BOTH))),
    "routing-modes-differ": Shown((("CM0306", f"{EAST} ⇄ {OSAKA}"), ("CM0306", BOTH))),
    "equal-ids": SHOWN["equal-ids"],
    "aws-node-running": SHOWN["aws-node-running"],
    # One login for both clusters of the account.
    "login-ended": Shown((("CM0002", OSAKA), ("CM0002", TOKYO)), 3),
}


@pytest.fixture(scope="module")
def whole() -> Iterator[Lab]:
    with lab("whole", speed=100, module=trio.MODULE) as running:
        until(lambda: clean(running.check()), "the mesh of three is healthy", 40)
        yield running


@pytest.mark.parametrize("fault", SHOWN_OF_THREE)
def test_a_fault_among_three_shows_where_it_is_and_nowhere_else(whole: Lab, fault: str) -> None:
    shows(whole, fault, SHOWN_OF_THREE[fault])
