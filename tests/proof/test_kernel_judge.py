"""The evaluator against the Linux kernel, for many more sets of rules than the real tier takes."""

import pytest

from tests.proof.figures import told
from tests.real.kernel.hosts import lacking
from tests.real.kernel.judging import Tally, judge

pytestmark = pytest.mark.timeout(7200)
SETS = 10_000
# The real tier takes the first of all seeds.
FIRST = 1_000_000


def test_the_kernel_agrees() -> None:
    if why := lacking():
        pytest.skip(why)
    with told("Every verdict on random SG, NACL, NSG and route sets is what becomes of real packets") as figures:
        tally = Tally()
        with judge() as kernel:
            for seed in range(FIRST, FIRST + SETS):
                kernel.compare(seed, tally)
        assert not tally.differences, tally.report()
        assert tally.telling(), f"{tally}; closed by {dict(tally.closed_by)}"
        figures += [str(tally)]
