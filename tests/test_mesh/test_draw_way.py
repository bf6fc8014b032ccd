"""Paths as text."""

from msgspec.structs import replace

from mesh.draw.glyphs import ASCII
from mesh.draw.way import draw_way, in_words
from mesh.reach.hops import Hop, Passage, Verdict, Way
from mesh.reach.rules import Flow
from tests.test_mesh.sites import API, VXLAN, aks, eks
from tests.test_mesh.test_golden import rule, way, with_group


def test_a_closed_way_shows_where_it_is_closed_and_by_what() -> None:
    made = way(aks(), with_group(rule("tcp", 8472, 8472, "10.224.0.0/12")))
    text = "\n".join(draw_way(made, 80))
    assert "✓ 2  NSG of subnet    aks-agentpool-nsg     65000 AllowVnetOutBound" in text
    assert "✗ 8  SG in            sg-1                  1 rule, none matches ◀━ blocks here" in text
    assert "nearest sgr-1 tcp 8472: protocol differs" in " ".join(text.split())
    assert "? 9  node" in text and "not judged" in text
    assert in_words(Verdict(made)) == "Closed at hop 8, SG in sg-1. No further block behind it."
    assert max(map(len, draw_way(made, 80))) <= 80
    assert "x" in "\n".join(draw_way(made, 80, ASCII)) and "✗" not in "\n".join(draw_way(made, 80, ASCII))


def test_what_is_not_known_names_the_right_and_is_not_open() -> None:
    hop = Hop("a", "NACL in", Passage.UNKNOWN, rule="not read", missing="ec2:DescribeNetworkAcls", index=1)
    made = Way("a", "b", Flow("udp", 8472), hops=(hop,))
    assert "needs ec2:DescribeNetworkAcls" in " ".join(" ".join(draw_way(made)).split())
    told = in_words(Verdict(made))
    assert told.startswith("Not known at hop 1") and "ec2:DescribeNetworkAcls" in told and "Open" not in told


def test_replies_have_a_part_of_their_own() -> None:
    made = way(eks(), aks(), API)
    lines = draw_way(made)
    head = lines.index("   replies:")
    assert len([line for line in lines[head + 1 :] if "NACL in, reply" in line]) == 1
    assert in_words(Verdict(made)) == "Open at every hop that is judged."


def test_more_blocks_are_counted() -> None:
    made = way(aks(), with_group(rule("tcp", 8472, 8472, "10.224.0.0/12")), VXLAN)
    twice = tuple(replace(hop, passage=Passage.CLOSED) if hop.kind == "NACL in" else hop for hop in made.hops)
    assert in_words(Verdict(replace(made, hops=twice))) == (
        "Closed at hop 7, NACL in acl-0d18. 1 more behind it: hop 8 (SG in)."
    )


def test_long_ids_stand_whole() -> None:
    long = "/subscriptions/0b1f6471/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt-hub"
    made = Way("a", "b", VXLAN, hops=(Hop("a", "route", Passage.OPEN, long, "0.0.0.0/0 → Internet", index=1),))
    assert long in draw_way(made)[0] and "0.0.0.0/0 → Internet" in draw_way(made)[1]
