"""Every fault of the lab, alone in a healthy mesh, is found as the first problem, and gone when it is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.test_walk.walking import EAST, TOKYO, Done, Lab, lab, until

BACK = f"{EAST} → {TOKYO}"
THERE = f"{TOKYO} → {EAST}"
BOTH = f"{EAST} ⇄ {TOKYO}"
_SECONDS = 40.0


@dataclass(frozen=True)
class Shown:
    """What ``check`` shall say of one fault: the problems' roots, the first one first, and the exit code."""

    roots: tuple[tuple[str, str], ...]
    code: int = 1


def one(code: str, subject: str, exit_code: int = 1) -> Shown:
    return Shown(((code, subject),), exit_code)


SHOWN = {
    "vxlan-one-way": one("CM0403", BACK),
    "vxlan-both-ways": Shown((("CM0403", BACK), ("CM0403", THERE))),
    "health-closed": one("CM0404", BACK, 0),
    "mesh-api-closed": one("CM0405", BACK),
    "public-load-balancer": one("CM0603", TOKYO),
    "pod-cidr-inside-vpc": one("CM0321", TOKYO),
    "mesh-api-without-address": one("CM0602", TOKYO),
    "same-node-port": one("CM0606", BOTH),
    "ca-differs": one("CM0608", BOTH),
    "leaf-expired": one("CM0610", EAST),
    "leaf-not-yet-valid": one("CM0610", EAST),
    "pod-cidr-overlap": one("CM0320", BOTH),
    "equal-ids": one("CM0302", "mesh"),
    "default-name": one("CM0301", EAST),
    "routing-modes-differ": one("CM0306", BOTH),
    "tunnel-ports-differ": one("CM0307", BOTH),
    "tunnel-protocols-differ": one("CM0307", BOTH),
    "max-clusters-differ": one("CM0303", "mesh"),
    "wrong-peer-name": one("CM0701", THERE),
    "aws-node-running": one("CM0208", TOKYO),
    "kube-proxy-running": one("CM0208", TOKYO),
    "agents-not-ready": one("CM0201", EAST),
    "versions-too-far": one("CM0202", "mesh"),
    "release-pending": one("CM0206", EAST),
    "affinity-unknown": one("CM0803", "shop/cart"),
    "not-global-here": one("CM0801", "shop/cart", 0),
    "login-ended": one("CM0002", TOKYO, 3),
    "exec-denied": one("CM0102", EAST, 3),
    "secrets-denied": one("CM0101", EAST, 3),
}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Lab]:
    with lab("healthy", speed=100) as running:
        until(lambda: clean(running.check()), "the healthy lab is healthy", _SECONDS)
        yield running


def clean(done: Done) -> bool:
    return done.code == 0 and set(done.summary) <= {"PASS", "N/A"}


def test_the_table_has_every_fault(healthy: Lab) -> None:
    listed = [row["name"] for row in healthy.tell(lambda control: control.faults())]
    assert len(listed) >= 15
    assert sorted(listed) == sorted(SHOWN)


@pytest.mark.parametrize("fault", SHOWN)
def test_a_fault_is_the_first_problem_until_it_is_taken_back(healthy: Lab, fault: str) -> None:
    shows(healthy, fault, SHOWN[fault])


def shows(running: Lab, fault: str, shown: Shown) -> None:
    """Inject it, wait until its roots and no others are told, take it back, wait until all is well."""
    seen: list[tuple[int, list[tuple[str, str]]]] = []

    wanted = (shown.code, list(shown.roots))

    def looks_so() -> bool:
        done = running.check()
        seen.append((done.code, done.roots))
        return seen[-1] == wanted

    def mended() -> bool:
        done = running.check()
        seen.append((done.code, done.roots))
        return clean(done)

    running.tell(lambda control: control.inject(fault))
    try:
        until(looks_so, f"{fault} shows {wanted}", _SECONDS, every=0.3, last=seen)
    finally:
        running.tell(lambda control: control.clear(fault))
        until(mended, f"all is well without {fault}", _SECONDS, every=0.3, last=seen)
