"""Cost follows distinct rule sets: large sites are judged at once, and nothing is lost by it."""

import time

import pytest
from msgspec.structs import replace

from mesh.model.network import Firewall, FirewallRule
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from tests.bench.reach import judge, many, two_large
from tests.test_mesh.sites import FLOWS, VXLAN, aks, eks, verdict


def test_two_sites_of_500_nodes_are_judged_within_a_second() -> None:
    sites = two_large()
    began = time.perf_counter()
    found = judge(sites)
    assert time.perf_counter() - began < 1
    assert found[Passage.OPEN] == 2 * len(FLOWS)


def test_nodes_that_no_rule_tells_apart_are_one_class() -> None:
    sites = two_large(500, 20)
    reach = Reach(sites)
    assert len(reach.classes(sites[0].name)) == 60  # 20 groups in three subnets
    assert len(reach.classes(sites[1].name)) == 3  # three near ends that rules name


@pytest.mark.parametrize("shut", [0, 7])
def test_a_class_that_is_shut_is_found_among_many_sites(shut: int) -> None:
    sites = many(8, 5, shut)
    found = judge(sites)
    # Every seventh class of 40 does not let one site in: each closes all flows of one direction.
    closed = {n // 5 for n in range(40) if shut and n % shut == 0}
    assert found[Passage.CLOSED] == len(closed) * len(FLOWS)
    assert found[Passage.OPEN] == 8 * 7 * len(FLOWS) - found[Passage.CLOSED]


def test_a_group_of_5000_rules_is_judged_within_a_second() -> None:
    site = eks()
    assert site.firewall is not None
    group = site.firewall.groups[0]
    rules = tuple(
        FirewallRule(f"r{n}", "in", True, "udp", 8472, 8472, (f"10.225.{n // 16 % 256}.{n % 16 * 16}/29",))
        for n in range(5000)
    )
    large = replace(site, firewall=Firewall((replace(group, rules=(*rules, *group.rules)),)))
    began = time.perf_counter()
    assert verdict(aks(), large, VXLAN).passage is Passage.OPEN
    assert time.perf_counter() - began < 1
