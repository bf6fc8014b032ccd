"""``meshwright reach`` on labs: what it says of each path, and where a path is closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.test_walk.walking import EAST, TOKYO, Done, Lab, call, lab

VXLAN = {"protocol": "udp", "port": 8472, "purpose": "VXLAN"}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Lab]:
    with lab("three-clouds", speed=60) as running:
        yield running


def reach(running: Lab, *argv: str, **more: str | None) -> Done:
    return running.call("reach", *argv, *running.named, **more)


def paths(running: Lab, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    done = reach(running, *argv, "-o", "json")
    return done.code, done.report["paths"]


def test_every_path_of_a_healthy_pair_is_open_both_ways(healthy: Lab) -> None:
    code, found = paths(healthy, TOKYO, EAST)
    assert code == 0 and {one["predicted"] for one in found} == {"open"}
    assert [(one["from"], one["flow"]["port"]) for one in found] == [
        *((TOKYO, port) for port in (8472, 4240, 8)),
        *((EAST, port) for port in (8472, 4240, 8)),
    ]
    there = found[0]
    assert there["flow"] == VXLAN and there["reply_hops"] == [], "a tunnel's answers are a flow of their own"
    kinds = [hop["kind"] for hop in there["hops"]]
    assert kinds[:3] == ["SG out", "NACL out", "route"] and kinds[-1] == "node"
    assert "NSG of subnet" in kinds and kinds.index("VPN") < kinds.index("NSG of subnet")
    assert found[1]["reply_hops"], "a connection needs its replies"


def test_a_closed_way_is_closed_at_its_hop_and_open_the_other_way(healthy: Lab) -> None:
    healthy.tell(lambda control: control.inject("vxlan-one-way"))
    try:
        code, found = paths(healthy, TOKYO, EAST)
        told = reach(healthy, TOKYO, EAST)
    finally:
        healthy.tell(lambda control: control.clear("vxlan-one-way"))
    closed = [one for one in found if one["predicted"] != "open"]
    assert code == 1 and [(one["from"], one["flow"]) for one in closed] == [(EAST, VXLAN)]
    (block,) = (hop for hop in closed[0]["hops"] if hop["passage"] == "closed")
    assert block["kind"] == "SG in" and block["object"].startswith("sg-") and block["site"] == TOKYO
    assert told.code == 1 and "blocks here" in told.out and f"SG in {block['object']}" in told.out
    assert "6 paths: 5 open, 1 closed." in told.out
    assert reach(healthy, TOKYO, EAST).code == 0, "taken back"


def test_what_no_cloud_tells_of_is_unknown(healthy: Lab) -> None:
    code, found = paths(healthy, TOKYO, "kind-dr", "--port", "8472/udp")
    assert code == 3 and "open" not in {one["predicted"] for one in found}
    told = reach(healthy, TOKYO, "kind-dr", "--port", "8472/udp")
    assert "Not known at hop" in told.out


def test_hops_of_open_paths_are_shown_when_asked_for(healthy: Lab) -> None:
    brief = reach(healthy, TOKYO, EAST, "--port", "icmp")
    whole = reach(healthy, TOKYO, EAST, "--port", "icmp", "--hops", "--ascii")
    assert "NACL" not in brief.out and "NACL out" in whole.out and "replies:" in whole.out
    assert whole.out.isascii() and "✓" in brief.out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((TOKYO, "nowhere"), "There is no cluster nowhere"),
        ((TOKYO, TOKYO), "A path needs two clusters"),
        ((TOKYO, EAST, "--port", "99999/tcp"), "'99999/tcp' is no port"),
        ((TOKYO,), "the following arguments are required: TO"),
    ],
)
def test_wrong_calls(healthy: Lab, argv: tuple[str, ...], words: str) -> None:
    done = reach(healthy, *argv)
    assert done.code == 2 and words in done.err and done.out == ""


def test_a_login_that_has_ended_is_said_with_what_renews_it() -> None:
    done = call("reach", TOKYO, EAST, "--lab", "expired")
    assert done.code == 3 and f"What Cilium sends from {TOKYO} is not known" in done.err
    assert "aws sso login" in done.err
    named = call("reach", TOKYO, EAST, "--lab", "expired", "--port", "8472/udp")
    assert named.code == 3 and "✓" not in named.out.splitlines()[0]
