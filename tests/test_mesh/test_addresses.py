"""Arithmetic on addresses, against plain enumeration of a small range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.addresses import (
    NOTHING,
    AddressError,
    cidrs,
    collapse,
    covers,
    free_block,
    is_private,
    meeting,
    meets,
    minus,
    overlap,
    ranges,
    relation,
    sample,
    union,
)

blocks = st.builds(lambda base, size: f"10.0.0.{base}/{size}", st.integers(0, 255), st.integers(24, 32))
sets = st.lists(blocks, max_size=5).map(lambda texts: ranges(tuple(texts)))


def members(addresses: tuple[tuple[int, int], ...]) -> set[int]:
    return {n for low, high in addresses for n in range(low, high + 1)}


@given(sets, sets)
def test_sets_are_sets(one: tuple[tuple[int, int], ...], other: tuple[tuple[int, int], ...]) -> None:
    assert members(union(one, other)) == members(one) | members(other)
    assert members(overlap(one, other)) == members(one) & members(other)
    assert members(minus(one, other)) == members(one) - members(other)
    assert covers(one, other) is (members(other) <= members(one))
    assert meets(one, other) is bool(members(one) & members(other))
    assert ranges(cidrs(one)) == one


def test_families_never_meet() -> None:
    both = ranges(("255.255.255.255/32", "::/128", "fd00::/8"))
    assert len(both) == 3 and cidrs(both) == ("255.255.255.255/32", "::/128", "fd00::/8")
    assert overlap(ranges(("0.0.0.0/0",)), ranges(("::/0",))) == NOTHING


def test_collapse_and_relations() -> None:
    assert collapse(("10.0.0.0/25", "10.0.0.128/25", "10.0.0.7")) == ("10.0.0.0/24",)
    assert meeting(("10.1.0.0/16", "10.2.0.0/16"), ("10.2.3.0/24",)) == ("10.2.0.0/16", "10.2.3.0/24")
    assert meeting(("10.1.0.0/16",), ("10.2.3.0/24",)) is None
    assert relation("10.0.0.0/8", "10.1.0.0/16") == "covers"
    assert relation("10.1.0.0/16", "10.0.0.0/8") == "is inside"
    assert relation("10.0.0.1/8", "10.0.0.0/8") == "equals"


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "ten", "10.0.0", "fe80::1%eth0/x"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(AddressError):
        ranges((text,))


@pytest.mark.parametrize(
    ("text", "private"),
    [("10.1.2.3", True), ("172.31.0.1", True), ("192.168.1.1", True), ("100.64.0.1", True), ("172.32.0.1", False),
     ("20.1.2.3", False), ("192.170.1.1", False), ("fd12::1", True), ("2001:db8::1", False), ("127.0.0.1", False)],
)  # fmt: skip
def test_private_addresses(text: str, private: bool) -> None:
    assert is_private(text) is private


def test_a_sample_names_one() -> None:
    assert sample(ranges(("10.0.0.4/31", "10.0.0.6"))) == "10.0.0.4 and 2 more"
    assert sample(ranges(("10.0.0.4",))) == "10.0.0.4" and sample(ranges(("10.0.0.0/20",))) == "10.0.0.0/20"
    assert sample(ranges(("fd00::1", "10.0.0.1"))) == "10.0.0.1 and 1 more"


def test_a_free_block_is_free() -> None:
    taken = ranges(("10.120.0.0/15", "10.122.0.0/24"))
    assert free_block(taken) == "10.123.0.0/16"
    assert free_block(ranges(("10.0.0.0/8", "172.16.0.0/12"))) == ""
