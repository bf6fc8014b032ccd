"""Security admin rules of Azure's Virtual Network Manager: they come before the NSGs, and may pass over them."""

from typing import Any

import pytest
from msgspec.structs import replace

from mesh.model.network import Firewall, FirewallRule
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vnet import AdminRule
from mesh.reach.hops import Passage
from tests.test_mesh.sites import VXLAN, aks, eks, verdict, with_azure


def admin(access: str, priority: int = 10, **more: Any) -> AdminRule:
    rule = FirewallRule(f"a{priority}", "in", True, "Udp", 8472, 8472, ("192.168.0.0/16",), priority=priority)
    return AdminRule(replace(rule, name=rule.id, **more), access)


def site(*rules: AdminRule, shut: bool = False) -> Site:
    """The AKS site under these rules; ``shut`` = its NSG denies everything."""
    made = with_azure(aks(), admin_rules=rules)
    assert made.firewall is not None
    deny = FirewallRule("deny", "in", False, "*", priority=100, name="deny")
    group = replace(made.firewall.groups[0], rules=(deny,) if shut else ())
    return replace(made, firewall=Firewall((group,)))


CASES = {
    "deny": (site(admin("Deny")), Passage.CLOSED, "admin rules"),
    "allow leaves it to the NSG": (site(admin("Allow"), shut=True), Passage.CLOSED, "NSG of subnet"),
    "always allow passes over the NSG": (site(admin("AlwaysAllow"), shut=True), Passage.OPEN, ""),
    "the lower number decides": (site(admin("Deny", 20), admin("AlwaysAllow", 10), shut=True), Passage.OPEN, ""),
    "another port": (site(admin("Deny", from_port=1, to_port=2)), Passage.OPEN, ""),
    "another direction": (site(admin("Deny", direction="out")), Passage.OPEN, ""),
    "a word of a newer API": (site(admin("Perhaps")), Passage.UNKNOWN, "admin rules"),
}


@pytest.mark.parametrize("name", CASES)
def test_admin_rules_come_first(name: str) -> None:
    target, passage, kind = CASES[name]
    way = verdict(eks(), target, VXLAN).way
    assert way.passage is passage
    assert (way.decides.kind if way.decides else "") == kind


def test_admin_rules_that_were_not_read_are_unknown() -> None:
    right = "Microsoft.Network/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action"
    way = verdict(eks(), with_azure(aks(), admin_rules=Unread(right)), VXLAN).way
    assert way.passage is Passage.UNKNOWN
    assert [hop.missing for hop in way.doubts] == [right]
