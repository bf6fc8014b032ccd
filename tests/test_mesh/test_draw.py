"""Pictures of the mesh against golden text, and the rules that make them readable."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mesh.draw.glyphs import ASCII, UNICODE, Glyphs
from mesh.draw.lanes import draw_lanes, in_words, use
from mesh.draw.legend import legend
from mesh.draw.map import draw_map, label
from mesh.model.picture import ClusterBox, Health, Lane, Link, MeshPicture, NodeDot, Plane, ServiceLanes
from mesh.topology import components, missing_links

GOLDEN = Path(__file__).parent / "golden"
OK = Plane(Health.OK, 3, 3)
CLOSED = Plane(Health.DOWN, text="predicted closed (CM0403)")
DEAF = Plane(Health.DOWN, 0, 9)
ABSENT = Plane(Health.ABSENT)


def box(key: str, number: int, cloud: str = "AWS", nodes: int = 3, **more: Any) -> ClusterBox:
    dots = tuple(NodeDot(f"ip-10-{number}-0-{index}", index != 1) for index in range(nodes))
    return ClusterBox(key, key, number, cloud, (f"10.{number}.0.0/16",), dots, **more)


def link(a: str, b: str, **planes: Plane) -> Link:
    one, two, there, back, trip = (
        planes.get(name, OK) for name in ("control_ab", "control_ba", "open_ab", "open_ba", "round_trip")
    )
    return Link(a, b, one, two, there, back, trip)


def lanes(name: str, *entries: Lane) -> ServiceLanes:
    return ServiceLanes("shop", name, entries)


def lane(cluster: str, ready: int, affinity: str, *serving: str) -> Lane:
    return Lane(cluster, ready, max(ready, 2), affinity, True, True, dict.fromkeys(serving, 2))


PAIR = MeshPicture((box("eks", 1), box("aks", 2, "Azure")), (link("eks", "aks", open_ba=CLOSED, round_trip=DEAF),), ())
TRIANGLE = MeshPicture(
    (box("eks", 1), box("aks", 2, "Azure"), box("kind", 3, "kind", reachable=False)),
    (
        link("eks", "aks"),
        link("eks", "kind", control_ab=ABSENT, control_ba=ABSENT),
        link("aks", "kind", round_trip=Plane(Health.DEGRADED, 6, 9)),
    ),
    (
        lanes("jwt", lane("eks", 0, "local", "aks"), lane("aks", 5, "local", "aks"), lane("kind", 3, "local", "kind")),
        lanes("cart", lane("eks", 2, "none", "eks", "aks"), lane("aks", 2, "none", "eks", "aks"), Lane("kind")),
        lanes("mail", Lane("eks"), lane("aks", 3, "remote", "aks"), lane("kind", 0, "remote", "aks")),
    ),
)


def _six() -> MeshPicture:
    boxes = tuple(box(f"c{number}", number, nodes=7) for number in range(1, 7))
    links = [
        link(a.key, b.key, **({"round_trip": DEAF} if (a.key, b.key) == ("c1", "c4") else {}))
        for a, b in combinations(boxes, 2)
    ]
    return MeshPicture(boxes, tuple(links), ())


@pytest.mark.parametrize(
    ("name", "picture", "width", "glyphs"),
    [
        ("pair-80", PAIR, 80, UNICODE),
        ("triangle-80", TRIANGLE, 80, UNICODE),
        ("triangle-80-ascii", TRIANGLE, 80, ASCII),
        ("six-120", _six(), 120, UNICODE),
    ],
)
def test_map_looks_as_reviewed(name: str, picture: MeshPicture, width: int, glyphs: Glyphs) -> None:
    assert draw_map(picture, width, glyphs).text() + "\n" == (GOLDEN / f"map-{name}.txt").read_text()


@pytest.mark.parametrize("width", [52, 59, 66])
def test_a_label_is_never_painted_over_a_box(width: int) -> None:
    rows = ["".join(text for text, _ in row) for row in draw_map(PAIR, width, UNICODE).rows]
    linked = next(row for row in rows if "✗" in row)
    assert linked.count("●") == 2 and linked.count("│") == 4


def test_lanes_look_as_reviewed() -> None:
    assert draw_lanes(TRIANGLE).text() + "\n" == (GOLDEN / "lanes-triangle.txt").read_text()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_row_is_wider_and_every_sick_link_can_be_selected(count: int, width: int) -> None:
    boxes = tuple(box(f"c{number}", number) for number in range(1, count + 1))
    links = tuple(link(a.key, b.key, round_trip=DEAF) for a, b in combinations(boxes, 2))
    drawing = draw_map(MeshPicture(boxes, links, ()), width)
    assert all(sum(len(text) for text, _ in row) == width for row in drawing.rows)
    assert {region.id for region in drawing.regions if region.kind == "cluster"} == {one.key for one in boxes}
    assert len({region.id for region in drawing.regions if region.kind == "link"}) == len(links)


def test_ascii_pictures_hold_ascii_only() -> None:
    assert draw_map(TRIANGLE, 80, ASCII).text().isascii()
    assert draw_lanes(TRIANGLE, 80, ASCII).text().isascii()


@pytest.mark.parametrize("picture", [PAIR, TRIANGLE], ids=["pair", "triangle"])
def test_the_legend_has_the_signs_of_the_picture_and_no_others(picture: MeshPicture) -> None:
    # An arrow to the left is one to the right that points elsewhere.
    turned = str.maketrans("◀◁", "▶▷")
    drawn = set(f"{draw_map(picture).text()}{draw_lanes(picture).text()}".translate(turned)) - set("◌?")
    told = set("".join(sign for sign, _ in legend(picture, UNICODE)).translate(turned)) - set("◌?")
    signs = set("●○↺▶▷≠✓▲✗") | ({"–"} if picture.services else set())
    assert told & signs == drawn & signs
    assert ("not connected" in dict(legend(picture, UNICODE)).values()) == ("not connected" in draw_map(picture).text())
    assert "".join(sign + meaning for sign, meaning in legend(picture, ASCII)).isascii()


def test_clusters_that_disagree_are_marked_in_ascii_too() -> None:
    mixed = lanes("cart", lane("eks", 2, "local", "eks"), lane("aks", 2, "remote", "eks"))
    picture = MeshPicture(PAIR.clusters, (), (mixed,))
    assert "local!=" in draw_lanes(picture, 80, ASCII).text() and "local≠" in draw_lanes(picture).text()
    assert ("!=", "affinity differs between clusters") in legend(picture, ASCII)


def test_a_direction_is_shown_only_from_one_way_evidence() -> None:
    assert label(link("a", "b", round_trip=DEAF), UNICODE) == "✗ data 0/9"
    assert label(link("a", "b", open_ba=CLOSED, round_trip=DEAF), UNICODE) == "✗ data ◀ 0/9"
    assert label(link("a", "b", open_ab=CLOSED, open_ba=CLOSED), UNICODE) == "✗ data"
    assert label(link("a", "b", control_ab=Plane(Health.DOWN, 0, 3)), UNICODE) == "✗ control ▶ 0/3"


def test_one_sided_mesh_is_not_healthy() -> None:
    assert link("a", "b", control_ab=ABSENT).health is Health.ABSENT
    assert link("a", "b", control_ab=Plane(Health.UNKNOWN)).health is Health.UNKNOWN


def test_use_of_another_cluster_follows_affinity() -> None:
    jwt = TRIANGLE.services[0].lanes
    assert use(jwt[0], jwt[1]) == "failover"
    assert use(jwt[1], jwt[0]) == ""
    assert use(jwt[1], jwt[2]) == "fallback"
    assert in_words(TRIANGLE.services[2])[0] == "eks: not defined here, the name does not resolve"


def test_graph_questions() -> None:
    assert missing_links(TRIANGLE) == (("eks", "kind"),)
    assert components(TRIANGLE) == (("aks", "eks", "kind"),)
    assert components(PAIR) == (("aks",), ("eks",))
