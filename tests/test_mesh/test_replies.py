"""Replies through network ACLs: which part of the ephemeral ports is missing, and the nearest entry."""

import pytest

from mesh.model.site import Site
from mesh.model.vpc import Nacl, NaclEntry
from mesh.reach.hops import Passage
from tests.test_mesh.sites import API, VXLAN, aks, eks, entry, verdict, with_aws

ALL_OUT = entry(100, "out", True, protocol="6")


def with_nacl(*entries: NaclEntry) -> Site:
    site = eks()
    return with_aws(site, nacls=(Nacl("acl-1", (site.nodes[0].subnet,), entries),))


def replies_in(low: int, high: int) -> NaclEntry:
    made: NaclEntry = entry(110, "in", True, protocol="6", from_port=low, to_port=high)
    return made


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (32768, 49151, "rule * deny: replies to ports 49152-60999, a part of 32768-60999"),
        (49152, 65535, "rule * deny: replies to ports 32768-49151, a part of 32768-60999"),
        (443, 443, "rule * deny: replies to ports 32768-60999"),
    ],
)
def test_the_missing_part_of_linux_ports_is_named(low: int, high: int, words: str) -> None:
    way = verdict(with_nacl(ALL_OUT, replies_in(low, high)), aks(), API).way
    assert way.forward is Passage.OPEN
    assert [hop.rule for hop in way.blocks] == [words]


def test_ports_that_linux_does_not_use_are_noted_only() -> None:
    way = verdict(with_nacl(ALL_OUT, replies_in(32768, 60999)), aks(), API).way
    assert way.passage is Passage.OPEN
    assert way.reply[-1].rule == "replies pass; ports 1024-32767, 61000-65535 are shut, Linux does not use them"


def test_datagrams_of_the_tunnel_need_no_reply() -> None:
    way = verdict(with_nacl(entry(100, "out", True)), aks(), VXLAN).way
    assert way.passage is Passage.OPEN
    assert way.reply == ()


def test_the_nearest_entry_tells_which_fields_do_not_fit() -> None:
    near = entry(100, "in", True, "10.224.0.0/12", "6", from_port=8472, to_port=8472)
    wide = entry(110, "in", True, "9.0.0.0/8", "6", from_port=1, to_port=2)
    [block] = verdict(aks(), with_nacl(near, wide)).way.blocks
    assert (block.nearest, block.fails) == ("100 allow tcp 8472 10.224.0.0/12", ("protocol",))
    assert block.far == ("10.224.0.4/31",)
