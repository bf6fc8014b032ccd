"""Security admin rules of Azure's Virtual Network Manager: before the NSGs, and past them (cloud-network §3.4)."""

from typing import Final

from msgspec.structs import replace

from mesh.addresses import EVERYTHING, NOTHING, Ranges, overlap
from mesh.model.network import FirewallGroup, FirewallRule
from mesh.model.unread import Unread
from mesh.model.vnet import AdminRule
from mesh.reach.hops import Hop, Passage
from mesh.reach.rules import FarEnd, Flow, Judged, judge_group
from mesh.reach.words import rule_words, some

KIND: Final = "admin rules"
ACCESS: Final = ("Allow", "Deny", "AlwaysAllow")


def judge_admin(rules: tuple[AdminRule, ...], direction: str, flow: Flow, near: Ranges) -> tuple[Judged, Ranges]:
    """What the rules say of all addresses, and for which of them no NSG is asked."""
    everyone = FarEnd(EVERYTHING)
    said = judge_group(_group(rules, direction, ("Allow", "AlwaysAllow"), True), direction, flow, everyone, near)
    past = judge_group(_group(rules, direction, ("AlwaysAllow",), False), direction, flow, everyone, near)
    return said, past.allowed


def _group(rules: tuple[AdminRule, ...], direction: str, allowing: tuple[str, ...], rest: bool) -> FirewallGroup:
    """The rules as a group in which these kinds of access allow; ``rest`` = what meets no rule is allowed."""
    made = tuple(replace(item.rule, allow=item.access in allowing) for item in rules)
    last = FirewallRule("none", direction, rest, "*", priority=65500, name="no admin rule")
    return FirewallGroup(KIND, KIND, KIND, rules=(*made, last))


def admin_hop(site: str, rules: tuple[AdminRule, ...] | Unread, judged: Judged, far: Ranges) -> Hop | None:
    """The hop; None where there are no such rules."""
    if isinstance(rules, Unread):
        return Hop(site, KIND, Passage.UNKNOWN, "", str(rules), missing=rules.right)
    if not rules:
        return None
    strange = next((item for item in rules if item.access not in ACCESS), None)
    shut, doubt = overlap(judged.denied, far), overlap(judged.unsure, far)
    if strange is not None:
        words = f"{rule_words(strange.rule)}: access {strange.access} is not understood"
        return Hop(site, KIND, Passage.UNKNOWN, strange.rule.id, words)
    if shut or doubt:
        by = next((rule for rule in judged.by if not rule.allow), None)
        passage = Passage.CLOSED if shut else Passage.UNKNOWN
        words = rule_words(by) if by else "a part of the packets meets a rule"
        return Hop(site, KIND, passage, by.id if by else "", words, far=some(shut or doubt))
    return Hop(site, KIND, Passage.OPEN, "", f"{len(rules)} rules, none denies")


NOBODY: Final = (Judged(allowed=EVERYTHING), NOTHING)
