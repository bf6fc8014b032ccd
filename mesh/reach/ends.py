"""The hops at the two ends of a way: security groups and NACLs, or NSGs, of a class of nodes (§4.2, §4.3, §3.4)."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mesh.addresses import EVERYTHING, NOTHING, Ranges, meets, minus, overlap, union
from mesh.model.network import FirewallGroup
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vpc import Nacl
from mesh.reach.admin import ACCESS, NOBODY, admin_hop, judge_admin
from mesh.reach.between.vnet_routes import Tag, find_vnet, user_table, virtual_network
from mesh.reach.classes import NodeClass
from mesh.reach.hops import Hop, Passage, answered
from mesh.reach.nacl import (
    Replies,
    denied,
    entries_for,
    entry_excerpt,
    entry_words,
    nearest_entry,
    replies,
)
from mesh.reach.path import preferred
from mesh.reach.rules import (
    DEFAULTS_FROM,
    IN,
    OUT,
    FarEnd,
    Flow,
    Judged,
    judge_group,
    judge_security_groups,
    nsg_rules,
)
from mesh.reach.words import ports_of, reply_words, right_of, rule_excerpt, rule_words, some


class FarSide(Struct, frozen=True):
    """The other end as the rules see it: addresses, security groups there (None = not known), one VPC or not."""

    addresses: Ranges
    members: frozenset[str] | None = frozenset()
    same_network: bool = False


class Ends:
    """Judges end hops; what a group or NACL says of all addresses is worked out once and kept."""

    def __init__(self, sites: dict[str, Site]) -> None:
        self._sites = sites
        self._kept: dict[Any, Any] = {}

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def kept_out(self, near: NodeClass, direction: str, flow: Flow) -> tuple[Ranges, Ranges]:
        """All far addresses for which some end hop of that direction, or the reply's, is closed, and those for which
        one is unknown. Group references are taken to match nobody.
        """

        def work_out() -> tuple[Ranges, Ranges]:
            shut, doubt = [], [EVERYTHING if near.missing else NOTHING]
            if self._sites[near.site].aws is not None:
                judged = self._security(near, direction, flow, FarSide(NOTHING)) if near.groups else Judged()
                shut.append(judged.denied)
                doubt.append(judged.unsure)
                nacl = self.nacl_of(near.site, near.subnet)
                if isinstance(nacl, Unread) or nacl is None:
                    doubt.append(EVERYTHING)
                else:
                    shut.append(denied(self._entries(nacl, direction, flow), EVERYTHING)[0])
                    shut.append(self._replies(nacl, _other(direction), flow).denied if answered(flow) else NOTHING)
            for judged in self._azure(near, direction, flow):
                shut.append(judged.denied)
                doubt.append(judged.unsure)
            return union(*shut), union(*doubt)

        found: tuple[Ranges, Ranges] = self._once(("kept out", near, direction, flow), work_out)
        return found

    def hops(self, near: NodeClass, direction: str, flow: Flow, far: FarSide, crossing: bool) -> list[Hop]:
        """End hops in path order; ``crossing`` = the packets leave or enter the subnet, so its NACL is asked."""
        site = self._sites[near.site]
        if site.aws is not None:
            found = [self._security_hop(near, direction, flow, far)]
            if crossing:
                found.append(self.nacl_hop(near, direction, flow, far.addresses))
            return found if direction == OUT else found[::-1]
        if site.azure is not None:
            order = ("nsg-subnet", "nsg-nic") if direction == IN else ("nsg-nic", "nsg-subnet")
            first = admin_hop(near.site, site.azure.admin_rules, self._admin(near, direction, flow)[0], far.addresses)
            return [
                *([first] if first else []),
                *(self._nsg_hop(near, kind, direction, flow, far) for kind in order),
            ]
        return []

    def reply_hop(self, near: NodeClass, direction: str, flow: Flow, far: Ranges, subnet: str = "") -> Hop | None:
        """The NACL and the answers: they are packets of their own. None where there is no NACL."""
        if self._sites[near.site].aws is None:
            return None
        kind = f"NACL of TGW subnet {direction}, reply" if subnet else f"NACL {direction}, reply"
        nacl = self.nacl_of(near.site, subnet or near.subnet)
        if isinstance(nacl, Unread) or nacl is None:
            return self._no_nacl(near, kind, nacl)
        every = self._replies(nacl, direction, flow)
        if not meets(every.denied, far) and not every.beyond:
            return Hop(near.site, kind, Passage.OPEN, nacl.id, "replies pass")
        judged = replies(nacl, direction, flow, far)
        if not judged.missing:
            note = f"; ports {ports_of(judged.beyond)} are shut, Linux does not use them" if judged.beyond else ""
            return Hop(near.site, kind, Passage.OPEN, nacl.id, f"replies pass{note}")
        return Hop(
            near.site,
            kind,
            Passage.CLOSED,
            nacl.id,
            reply_words(judged, flow),
            excerpt="; ".join(entry_excerpt(item) for item in judged.by) or "* deny",
            far=some(judged.denied),
        )

    # Security groups

    def _security(self, near: NodeClass, direction: str, flow: Flow, far: FarSide) -> Judged:
        """What the groups say of all addresses; of the far end's groups only those that a rule names matter."""
        named: frozenset[str] = self._once(("named", near), lambda: _named(near))
        members = None if far.members is None and named else (far.members or frozenset()) & named

        def work_out() -> Judged:
            end = FarEnd(EVERYTHING, members, far.same_network)
            return judge_security_groups(near.groups, direction, flow, end, near.addresses, bool(near.missing))

        key = ("sg", near, direction, flow, members, far.same_network and bool(named))
        found: Judged = self._once(key, work_out)
        return found

    def _security_hop(self, near: NodeClass, direction: str, flow: Flow, far: FarSide) -> Hop:
        kind = f"SG {direction}"
        if not near.groups:
            passage = Passage.UNKNOWN if near.missing or not near.unguarded else Passage.OPEN
            words = near.missing or ("no group at this hop" if near.unguarded else f"no group was read for {near.name}")
            return Hop(near.site, kind, passage, "", words, missing=right_of(words))
        judged = self._security(near, direction, flow, far)
        group = preferred(near.groups)
        shut, doubt = overlap(judged.denied, far.addresses), overlap(judged.unsure, far.addresses)
        if not shut and not doubt:
            by, owner = self._deciding(near, direction, flow, far)
            return Hop(near.site, kind, Passage.OPEN, owner or group.id, by)
        if shut:
            end = FarEnd(shut, far.members, far.same_network)
            one = judge_security_groups(near.groups, direction, flow, end, near.addresses)
            count = sum(rule.direction == direction for item in near.groups for rule in item.rules)
            return Hop(
                near.site,
                kind,
                Passage.CLOSED,
                group.id,
                f"{count} {'rule' if count == 1 else 'rules'}, none matches",
                nearest=rule_words(one.nearest.rule) if one.nearest else "",
                fails=one.nearest.fails if one.nearest else (),
                excerpt=rule_excerpt(one.nearest.rule) if one.nearest else "",
                far=some(shut),
            )
        why = near.missing or _unexpanded(near.groups, direction)
        return Hop(near.site, kind, Passage.UNKNOWN, group.id, why, far=some(doubt), missing=right_of(why))

    def _deciding(self, near: NodeClass, direction: str, flow: Flow, far: FarSide) -> tuple[str, str]:
        """The rule that lets the first far address in, and its group."""
        first = far.addresses[0][0] if far.addresses else 0
        end = FarEnd(((first, first),), far.members, far.same_network)
        for group in near.groups:
            one = judge_security_groups((group,), direction, flow, end, near.addresses)
            if one.allowed and one.by:
                return rule_words(one.by[0]), group.id
        return "", ""

    # NACLs

    def nacl_of(self, site: str, subnet: str) -> Nacl | Unread | None:
        """The NACL of a subnet; None = none was read for it."""
        aws = self._sites[site].aws
        if aws is None or isinstance(aws.nacls, Unread):
            return aws.nacls if aws is not None and isinstance(aws.nacls, Unread) else None
        return next((item for item in aws.nacls if subnet in item.subnets), None)

    def _entries(self, nacl: Nacl, direction: str, flow: Flow) -> Any:
        key = ("nacl", nacl.id, id(nacl), direction, flow)
        return self._once(key, lambda: entries_for(nacl, direction, flow.protocol, flow.port))

    def _replies(self, nacl: Nacl, direction: str, flow: Flow) -> Replies:
        # Where answers go does not depend on the port that was asked for.
        asked = Flow(flow.protocol, 0) if flow.protocol == "tcp" else flow
        key = ("replies", nacl.id, id(nacl), direction, asked)
        found: Replies = self._once(key, lambda: replies(nacl, direction, asked))
        return found

    def nacl_hop(
        self, near: NodeClass, direction: str, flow: Flow, far: Ranges, subnet: str = "", kind: str = ""
    ) -> Hop:
        """The NACL of the class's subnet, or of ``subnet`` when the way crosses another."""
        kind = kind or f"NACL {direction}"
        nacl = self.nacl_of(near.site, subnet or near.subnet)
        if isinstance(nacl, Unread) or nacl is None:
            return self._no_nacl(near, kind, nacl)
        shut, by, passes = denied(self._entries(nacl, direction, flow), far)
        if not shut:
            return Hop(near.site, kind, Passage.OPEN, nacl.id, entry_words(passes))
        closest = nearest_entry(nacl, direction, flow, shut)
        return Hop(
            near.site,
            kind,
            Passage.CLOSED,
            nacl.id,
            entry_words(by),
            nearest=entry_excerpt(closest[0]) if closest else "",
            fails=closest[1] if closest else (),
            excerpt=entry_excerpt(by) if by else "* deny",
            far=some(shut),
        )

    def _no_nacl(self, near: NodeClass, kind: str, nacl: Unread | None) -> Hop:
        if isinstance(nacl, Unread):
            return Hop(near.site, kind, Passage.UNKNOWN, "", str(nacl), missing=nacl.right)
        where = near.subnet or "the subnet of " + near.name
        return Hop(near.site, kind, Passage.UNKNOWN, "", f"no network ACL was read for {where}")

    # NSGs

    def nsgs(self, near: NodeClass) -> tuple[FirewallGroup, ...]:
        """The class's NSGs with VirtualNetwork as computed for its subnet."""
        return tuple(low for low, _ in self._tagged(near))

    def _tag(self, near: NodeClass) -> Tag:
        def work_out() -> Tag:
            site = self._sites[near.site]
            vnet = find_vnet(site.azure, site.network) if site.azure else None
            if site.azure is None or vnet is None:
                return Tag((), ("0.0.0.0/0", "::/0"), "Microsoft.Network/virtualNetworks/read")
            return virtual_network(site.azure, vnet, (user_table(site.azure, vnet, near.subnet),))

        found: Tag = self._once(("tag", near), work_out)
        return found

    def _tagged(self, near: NodeClass) -> tuple[tuple[FirewallGroup, FirewallGroup], ...]:
        """Each NSG twice: with the addresses that are surely in VirtualNetwork, and with all that may be."""

        def work_out() -> tuple[tuple[FirewallGroup, FirewallGroup], ...]:
            azure, tag = self._sites[near.site].azure, self._tag(near)
            if azure is None:
                return ()
            sure = {**azure.tags, "VirtualNetwork": tag.prefixes}
            most = {**sure, "VirtualNetwork": (*tag.prefixes, *tag.perhaps)}
            return tuple(
                (replace(group, tag_prefixes={**group.tag_prefixes, **sure}), replace(group, tag_prefixes=most))
                for group in near.groups
            )

        found: tuple[tuple[FirewallGroup, FirewallGroup], ...] = self._once(("nsgs", near), work_out)
        return found

    def _admin(self, near: NodeClass, direction: str, flow: Flow) -> tuple[Judged, Ranges]:
        azure = self._sites[near.site].azure
        rules = azure.admin_rules if azure else ()
        if isinstance(rules, Unread) or not rules:
            return NOBODY
        found: tuple[Judged, Ranges] = self._once(
            ("admin", near, direction, flow), lambda: judge_admin(rules, direction, flow, near.addresses)
        )
        return found

    def _azure(self, near: NodeClass, direction: str, flow: Flow) -> list[Judged]:
        """What each of the rule sets on the way says of all addresses."""
        azure = self._sites[near.site].azure
        if azure is None:
            return []
        found = [self._nsg(near, group.kind, direction, flow) for group in self.nsgs(near)]
        if isinstance(azure.admin_rules, Unread) or any(item.access not in ACCESS for item in azure.admin_rules):
            found.append(Judged(unsure=EVERYTHING))
        return [*found, self._admin(near, direction, flow)[0]]

    def _nsg(self, near: NodeClass, kind: str, direction: str, flow: Flow) -> Judged:
        """What an NSG says of all addresses. Whatever is not VirtualNetwork is Internet, so where both readings of the
        tag agree the verdict is sure.
        """

        def work_out() -> Judged:
            least, most = next(pair for pair in self._tagged(near) if pair[0].kind == kind)
            one = judge_group(least, direction, flow, FarEnd(EVERYTHING), near.addresses)
            past = self._admin(near, direction, flow)[1]
            if not self._tag(near).perhaps and not past:
                return one
            other = judge_group(most, direction, flow, FarEnd(EVERYTHING), near.addresses)
            allowed = union(overlap(one.allowed, other.allowed), past)
            shut = minus(overlap(one.denied, other.denied), past)
            return Judged(allowed, shut, minus(EVERYTHING, union(allowed, shut)))

        found: Judged = self._once(("nsg", near, kind, direction, flow), work_out)
        return found

    def _nsg_hop(self, near: NodeClass, which: str, direction: str, flow: Flow, far: FarSide) -> Hop:
        kind = "NSG of subnet" if which == "nsg-subnet" else "NSG of NIC"
        group = next((item for item in self.nsgs(near) if item.kind == which), None)
        if group is None:
            if near.missing:
                return Hop(near.site, kind, Passage.UNKNOWN, "", near.missing, missing=right_of(near.missing))
            return Hop(near.site, kind, Passage.OPEN, "none", "no group at this hop")
        judged = self._nsg(near, which, direction, flow)
        shut, doubt = overlap(judged.denied, far.addresses), overlap(judged.unsure, far.addresses)
        count = sum(rule.priority < DEFAULTS_FROM for rule in nsg_rules(group, direction))
        if not shut and not doubt:
            first = far.addresses[0][0] if far.addresses else 0
            one = judge_group(group, direction, flow, FarEnd(((first, first),)), near.addresses)
            by = next((rule for rule in one.by if rule.allow), None)
            passed = "" if one.allowed else "passed over by an admin rule"
            return Hop(near.site, kind, Passage.OPEN, group.id, passed or (rule_words(by) if by else ""))
        if not shut:
            tag = self._tag(near)
            why = _untold(group, direction, bool(tag.perhaps)) or f"{count} rules, not decided for these addresses"
            missing = tag.missing
            return Hop(near.site, kind, Passage.UNKNOWN, group.id, why, far=some(doubt), missing=missing)
        one = judge_group(group, direction, flow, FarEnd(shut), near.addresses)
        by = next((rule for rule in one.by if not rule.allow), None)
        return Hop(
            near.site,
            kind,
            Passage.CLOSED,
            group.id,
            rule_words(by) if by else f"{count} rules, none matches",
            nearest=rule_words(one.nearest.rule) if one.nearest else "",
            fails=one.nearest.fails if one.nearest else (),
            excerpt=rule_excerpt(by) if by else "",
            far=some(shut),
        )


def _named(near: NodeClass) -> frozenset[str]:
    """The security groups that rules of the class name as peers."""
    rules = (rule for group in near.groups for rule in group.rules)
    return frozenset(peer for rule in rules for peer in rule.peers if peer.startswith("sg-"))


def _other(direction: str) -> str:
    return OUT if direction == IN else IN


def _unexpanded(groups: tuple[FirewallGroup, ...], direction: str) -> str:
    for group in groups:
        for rule in group.rules:
            if rule.direction == direction and rule.peers:
                if rule.peers[0].startswith("pl-"):
                    return f"needs ec2:GetManagedPrefixListEntries for {rule.peers[0]}, named by {rule.id}"
                return f"{rule.id} names {rule.peers[0]}: whether it holds across this link is not known"
    return "rules match a part of the packets"


def _untold(group: FirewallGroup, direction: str, perhaps: bool) -> str:
    for rule in nsg_rules(group, direction):
        for peer in rule.peers:
            unclear = perhaps and peer == "VirtualNetwork"
            if unclear or (group.tag_prefixes.get(peer) is None and peer not in ("Internet", "AzureLoadBalancer", "*")):
                return f"{rule_words(rule)}: which addresses {peer} holds is not known"
    return ""
