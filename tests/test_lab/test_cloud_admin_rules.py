"""Security admin rules as ARM tells them, through the SDK: what is read of them decides before the NSGs do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.azure import actions
from backends.lab.topology import aks, eks, open_mesh, vpn
from backends.lab.world import LabCluster, World
from mesh import catalogue as fact
from mesh.model.unread import Unread
from mesh.model.vnet import AdminRule
from mesh.reach.hops import Passage, Way
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow
from mesh.reach.sites import site_of
from mesh.subject import OfCluster
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import cloud_world

ACTION = (actions._VNET, "listnetworkmanagereffectivesecurityadminrules")
VXLAN = Flow("udp", 8472)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cloud_world(tmp_path, serve=True) as made:
        yield made


def row(name: str, access: str, **properties: Any) -> dict[str, Any]:
    """A rule as the service answers it (``EffectiveSecurityAdminRule``)."""
    told = {
        "access": access,
        "direction": "Inbound",
        "priority": 10,
        "protocol": "Udp",
        "sources": [{"addressPrefix": "192.168.0.0/16", "addressPrefixType": "IPPrefix"}],
        "destinations": [{"addressPrefix": "*", "addressPrefixType": "IPPrefix"}],
        "sourcePortRanges": ["0-65535"],
        "destinationPortRanges": ["8472"],
        "provisioningState": "Succeeded",
    }
    return {"id": f"/providers/x/rules/{name}", "kind": "Custom", "properties": {**told, **properties}}


async def read(
    world: World, monkeypatch: pytest.MonkeyPatch, *pages: list[dict[str, Any]]
) -> tuple[tuple[AdminRule, ...] | Unread, Way]:
    """What is read of these pages, and the way of the tunnel's packets into the AKS cluster."""
    pair = (eks(world, "tokyo"), aks(world, "east"))
    vpn(world, *pair)
    open_mesh(world, *pair)
    answers = iter([{"value": page, "skipToken": f"after {n}"} for n, page in enumerate(pages[:-1])])
    last = {"value": pages[-1]}
    monkeypatch.setitem(actions._ACTIONS, ACTION, lambda *_: next(answers, last))
    store = await Reading(world, monkeypatch).read(*pair)
    paths = store.value(fact.CLOUD_PATHS, OfCluster("east"))
    assert paths is not None and paths.azure is not None
    return paths.azure.admin_rules, way(store, *pair)


def way(store: Any, source: LabCluster, target: LabCluster) -> Way:
    verdict = Reach(site_of(store, one.name) for one in (source, target)).verdict(source.name, target.name, VXLAN)
    assert verdict is not None
    return verdict.way


@pytest.mark.parametrize(
    ("properties", "closed"),
    [
        ({}, True),
        ({"protocol": "Any"}, True),
        ({"destinationPortRanges": None, "sourcePortRanges": None}, True),
        ({"sources": [], "destinations": []}, True),
        ({"destinationPortRanges": ["22", "8000-9000"]}, True),
        ({"destinationPortRanges": ["22"]}, False),
        ({"protocol": "Tcp"}, False),
        ({"direction": "Outbound"}, False),
        ({"sources": [{"addressPrefix": "10.9.0.0/16", "addressPrefixType": "IPPrefix"}]}, False),
    ],
    ids=["as it is", "any protocol", "no ports", "no ends", "a range", "another port", "tcp", "outbound", "others"],
)
async def test_a_rule_that_denies_closes_what_it_names_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, properties: dict[str, Any], closed: bool
) -> None:
    rules, made = await read(world, monkeypatch, [row("no-tunnel", "Deny", **properties)])
    assert not isinstance(rules, Unread)
    assert {(item.rule.name, item.access) for item in rules} == {("no-tunnel", "Deny")}
    assert made.passage is (Passage.CLOSED if closed else Passage.OPEN)
    assert not closed or (made.decides is not None and made.decides.kind == "admin rules")


async def test_every_page_counts_and_the_lower_number_decides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = ([row("deny", "Deny", priority=20)], [row("always", "AlwaysAllow", priority=10)])
    rules, made = await read(world, monkeypatch, *pages)
    assert not isinstance(rules, Unread) and [item.access for item in rules] == ["AlwaysAllow", "Deny"]
    assert made.passage is Passage.OPEN


@pytest.mark.parametrize(
    "told",
    [{"properties": {"access": "Deny"}}, {"id": "x"}, row("new", "Perhaps")],
    ids=["half of it", "nothing", "a word of a newer API"],
)
async def test_what_is_not_understood_is_never_open(
    world: World, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    _, made = await read(world, monkeypatch, [told])
    assert made.passage is Passage.UNKNOWN
