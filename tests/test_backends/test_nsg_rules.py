"""NSG rules as Azure writes them, in common words."""

from typing import Any

import pytest

from backends.azure.rules import rules_from


def read(direction: str, **properties: Any) -> Any:
    row = {"direction": direction, "priority": 200, "access": "Allow", "protocol": "Udp", "destinationPortRange": "*"}
    [rule] = rules_from({"properties": {"securityRules": [{"name": "r", "properties": row | properties}]}})
    return rule


@pytest.mark.parametrize(
    ("direction", "near", "far"), [("Inbound", "destination", "source"), ("Outbound", "source", "destination")]
)
def test_tags_are_kept_apart_by_the_end_they_stand_at(direction: str, near: str, far: str) -> None:
    rule = read(direction, **{f"{near}AddressPrefix": "Storage", f"{far}AddressPrefix": "Internet"})
    assert (rule.near, rule.peers, rule.sources, rule.destinations) == (("Storage",), ("Internet",), (), ())


@pytest.mark.parametrize(("direction", "near"), [("Inbound", "destination"), ("Outbound", "source")])
def test_an_application_security_group_at_the_nodes_own_end_is_not_lost(direction: str, near: str) -> None:
    rule = read(direction, **{f"{near}ApplicationSecurityGroups": [{"id": "/asg/web"}]})
    assert rule.near == ("/asg/web",)


def test_virtual_network_at_the_nodes_own_end_says_nothing() -> None:
    assert read("Inbound", destinationAddressPrefix="VirtualNetwork").near == ()
