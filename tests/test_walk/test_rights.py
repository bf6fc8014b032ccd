"""The rights that ``rights --for apply`` prints are those a join needs: with all it ends, without one it is refused."""

import pytest

from tests.test_walk import bounded
from tests.test_walk.walking import EAST, lab

pytestmark = pytest.mark.timeout(300)


def test_a_user_with_exactly_the_printed_rights_joins() -> None:
    with lab("exact", speed=60, module=bounded.MODULE) as running:
        done = running.call("rights", "--for", "apply", *running.named)
        assert done.code == 0 and bounded.USER in done.out, done.out + done.err
        done = running.call("apply", *running.named, "--yes")
        assert done.code == 0, done.out + done.err


def test_a_right_that_is_missing_is_named_and_nothing_is_changed() -> None:
    with lab("lacking", speed=60, module=bounded.MODULE) as running:
        done = running.call("apply", *running.named, "--yes")
        assert done.code == 5, done.out + done.err
        assert "CM0101" in done.err and EAST in done.err and str(bounded.LEFT_OUT) in done.err
        assert not running.journal()
        done = running.call("rights", "--for", "apply", *running.named)
        assert done.code == 1 and f"missing  {bounded.LEFT_OUT}" in done.out
