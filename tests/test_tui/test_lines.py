"""Cutting, wrapping and ruling by cells, and words for durations and counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from mesh.finding import EvidenceRef
from tests.test_tui import samples
from tui.present import words
from tui.present.finding import full
from tui.present.lines import at_most, clip, column, cut, fill, line, plain, rule, spread, width_of, wrap
from tui.signs import ASCII, UNICODE, ascii_cells

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60)
WIDE = "クラスタ東京"


@given(TEXT, st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_a_column_has_exactly_its_cells(text: str, width: int) -> None:
    assert cell_len(column(text, width)) == width
    assert cell_len(cut(text, width)) <= width


@given(TEXT, TEXT, st.integers(20, 100))
@settings(max_examples=200, deadline=None)
def test_lines_fill_their_width(left: str, right: str, width: int) -> None:
    assert width_of(fill(line((left, "ok"), right), width)) == width
    assert width_of(rule(left, right[:10], width)) <= width
    assert width_of(spread(line(left), line(right[:5]), width)) == width
    assert width_of(clip(line(left, right), 7)) <= 7


@given(TEXT, st.integers(10, 40))
@settings(max_examples=200, deadline=None)
def test_wrapping_loses_no_word(text: str, width: int) -> None:
    rows = wrap(text, width)
    assert "".join("".join(rows).split()) == "".join(text.split())
    assert all(cell_len(row) <= width for row in rows)


def test_a_long_word_is_broken_where_its_parts_meet() -> None:
    arn = "arn:aws:sts::534439589175:assumed-role/AWSReservedSSO_MeshOperator_53443958/operator"
    rows = wrap(f"{arn} in eks-tokyo", 72, "as           ", " " * 13)
    assert [row[13:] for row in rows] == [
        "arn:aws:sts::534439589175:assumed-role/",
        "AWSReservedSSO_MeshOperator_53443958/operator in eks-tokyo",
    ]
    rules = "'IpProtocol=udp,FromPort=8472,ToPort=8472,IpRanges=[{CidrIp=10.224.0.0/20}]'"
    assert all("10.224.0.0/20" in row or "10." not in row for row in wrap(rules, 60))
    assert wrap("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_wide_character_is_never_split() -> None:
    assert cut(WIDE, 5) == "クラ…" and column(WIDE, 5) == "クラ…"
    assert column(WIDE, 6) == "クラ… " and cell_len(column(WIDE, 6)) == 6


def test_more_rows_than_fit_end_with_an_ellipsis() -> None:
    rows = [line("one"), line("two"), line("three")]
    assert [plain(row) for row in at_most(rows, 2, 20)] == ["one", "two …"]
    assert at_most(rows, 3, 20) == rows


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_ascii_has_the_same_cells(text: str) -> None:
    made = ascii_cells(text)
    assert made.isascii() and cell_len(made) == cell_len(text)


def test_every_sign_of_the_ascii_set_is_ascii() -> None:
    values = [value for value in vars(ASCII).values() if isinstance(value, str)]
    assert all(value.isascii() for value in (*values, *ASCII.states.values()))
    assert [name for name, value in vars(UNICODE).items() if isinstance(value, str) and cell_len(value) > 4] == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.34, "0.3 s"), (3, "3 s"), (12, "12 s"), (59, "59 s"), (180, "3 m"), (7500, "2 h 05 m"), (259200, "3 d")],
)
def test_durations(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


def test_clocks_counts_and_names() -> None:
    assert words.clock(222) == "03:42" and words.clock(3723) == "1:02:03" and words.clock(-5) == "00:00"
    assert words.count(12480) == "12,480" and words.age(12.4) == "12 s ago"
    assert words.joined(("a", "b", "c")) == "a, b and c" and words.joined(()) == ""
    assert words.mesh_title(("a", "b")) == "a + b" and words.mesh_title(tuple("abcd")) == "4 clusters"


@pytest.mark.parametrize("width", [60, 69, 80])
def test_a_long_source_leaves_half_of_the_row_to_what_was_read(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = EvidenceRef(None, "cluster-name=aks-east cluster-id=2 tunnel", "get configmaps cilium-config " * 4)
    with samples.fixed_words(monkeypatch):
        shown = full(replace(samples.OVERLAP, evidence=(evidence,)), None, width, UNICODE, 0.0)
    row = next(row for row in map(plain, shown) if "cluster-name" in row)
    assert cell_len(row) <= width and "cluster-name=aks-e" in row and "get configmaps" in row
