"""The evaluator against the Linux kernel: the same documents, real packets, the same verdicts."""

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mesh.addresses import NOTHING
from mesh.reach import ends, nacl, rules
from mesh.reach.between import vnet as vnet_way
from mesh.reach.between import vnet_routes, vpc_routes
from mesh.reach.between import vpc as vpc_way
from tests.real.kernel.hosts import lacking
from tests.real.kernel.judging import Judge, Tally, judge

pytestmark = [pytest.mark.real, pytest.mark.kernel]
HERE = Path(__file__).parent
SETS = 300
# Each of the mistakes below shows within this many sets.
SETS_OF_A_MISTAKE = 60


@pytest.fixture(scope="module")
def kernel() -> Iterator[Judge]:
    """The namespaces; skipped with the reason where they cannot be."""
    if why := lacking():
        pytest.skip(why)
    with judge() as made:
        yield made


def test_every_verdict_is_what_becomes_of_the_packets(kernel: Judge) -> None:
    only = os.environ.get("MESHWRIGHT_SEED")
    tally = Tally()
    for seed in [int(only)] if only else range(1, SETS + 1):
        kernel.compare(seed, tally)
    print(tally)
    assert not tally.differences, tally.report()
    if not only:
        assert tally.telling(), f"{tally}; closed by {dict(tally.closed_by)}"


def port_end_left_out(rule: Any, flow: Any, any_protocol: bool = False) -> bool:
    whole = (rule.from_port, rule.to_port) == (0, 65535) or rule.from_port == -1 or flow.protocol == "icmp"
    return _port_fits(rule if whole else replace(rule, to_port=rule.to_port - 1), flow, any_protocol)


def code_ignored(rule: Any, flow: Any, any_protocol: bool = False) -> bool:
    return _port_fits(replace(rule, to_port=-1) if rules.protocol_of(rule) == "icmp" else rule, flow, any_protocol)


def highest_number_first(acl: Any, *asked: Any) -> Any:
    return _entries_for(replace(acl, entries=tuple(replace(e, number=-e.number) for e in acl.entries)), *asked)


def replies_taken_for_granted(*_: Any) -> Any:
    return nacl.Replies()


def lowest_priority_first(group: Any, direction: str) -> Any:
    return _nsg_rules(group, direction)[::-1]


def propagated_before_static(table: Any) -> Any:
    other = {"CreateRoute": "EnableVgwRoutePropagation", "EnableVgwRoutePropagation": "CreateRoute"}
    swapped = tuple(replace(route, origin=other.get(route.origin, route.origin)) for route in table.routes)
    return _vpc_steps(replace(table, routes=swapped))


def gateway_routes_not_disabled(azure: Any, vnet: Any, table: Any, learned: Any) -> Any:
    return _vnet_steps(azure, vnet, replace(table, disable_bgp=False) if table else None, learned)


def group_references_lost(peer: str, group: Any, far: Any) -> Any:
    return (NOTHING, NOTHING) if peer.startswith("sg-") else _peer_addresses(peer, group, far)


_port_fits, _nsg_rules, _peer_addresses = rules._port_fits, rules.nsg_rules, rules._peer_addresses
_entries_for, _vpc_steps, _vnet_steps = nacl.entries_for, vpc_routes.vpc_steps, vnet_routes.vnet_steps
MISTAKES: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (rules, "_port_fits", port_end_left_out),
    (rules, "_port_fits", code_ignored),
    (rules, "nsg_rules", lowest_priority_first),
    (rules, "_peer_addresses", group_references_lost),
    (ends, "entries_for", highest_number_first),
    (ends, "replies", replies_taken_for_granted),
    (vpc_way, "vpc_steps", propagated_before_static),
    (vnet_way, "vnet_steps", gateway_routes_not_disabled),
)


@pytest.mark.parametrize(("module", "name", "mistake"), MISTAKES, ids=[mistake.__name__ for *_, mistake in MISTAKES])
def test_a_mistake_of_the_evaluator_is_seen(
    kernel: Judge, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, mistake: Callable[..., Any]
) -> None:
    monkeypatch.setattr(module, name, mistake)
    tally = Tally()
    for seed in range(1, SETS_OF_A_MISTAKE + 1):
        kernel.compare(seed, tally)
        if tally.differences:
            assert f"MESHWRIGHT_SEED={seed} " in tally.report()
            return
    pytest.fail(f"not seen in {SETS_OF_A_MISTAKE} sets")


def test_the_judge_knows_nothing_of_the_judged() -> None:
    """What makes, compiles and sends imports none of the product, not through another module either."""
    waiting, seen = ["documents", "compiler", "hosts", "packets"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for node in ast.walk(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))):
            found = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in found:
                own = module.removeprefix("tests.real.kernel.")
                outside = own == module and module.partition(".")[0] in ("mesh", "backends", "tui", "screens", "tests")
                assert not outside, f"{name} imports {module}"
                waiting += [own] if own != module and own not in seen else []
