"""The map: clusters as boxes in two columns, links on tracks of their own in the channel between (anchors.md §4.3).

Left-hand ports sit on odd rows and right-hand ports on even rows, so two links never share a run; opposite
neighbours get a
straight line; verticals bridge over horizontals, so a crossing cannot be read as a joint.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from mesh.draw.canvas import Canvas, Drawing, fit
from mesh.draw.glyphs import UNICODE, Glyphs
from mesh.model.picture import ClusterBox, Health, Link, MeshPicture, Plane, worst

MAX_NODES: Final = 5
NARROWEST: Final = 60
_FOLD_ABOVE: Final = 4
STYLES: Final[Mapping[Health, str]] = {
    Health.NOT_JUDGED: "muted",
    Health.OK: "ok",
    Health.DEGRADED: "degraded",
    Health.DOWN: "down",
    Health.UNKNOWN: "unknown",
    Health.ABSENT: "absent",
}


class _Place(Struct):
    """Where a box stands and which of its rows are taken by ports."""

    left: bool
    top: int
    height: int
    ports: int = 0

    def next_port(self) -> int:
        self.ports += 1
        return self.top + (1 if self.left else 2) + 2 * self.ports


def draw_map(picture: MeshPicture, width: int = 80, glyphs: Glyphs = UNICODE, *, show_all: bool = False) -> Drawing:
    """The map in ``width`` columns (at least ``NARROWEST``); above four clusters healthy links fold into one bus unless
    ``show_all``.
    """
    width = max(width, NARROWEST)
    folded = len(picture.clusters) > _FOLD_ABOVE and not show_all
    drawn = [link for link in picture.links if not (folded and link.health is Health.OK)]
    box_width = min(32, max(25, width * 5 // 16))
    places = _places(picture, drawn)
    height = max((place.top + place.height for place in places.values()), default=1)
    canvas = Canvas(width, height, glyphs)
    for box in picture.clusters:
        _box(canvas, box, places[box.key], box_width, width, worst(*(k.health for k in drawn if box.key in (k.a, k.b))))
    if folded:
        _bus(canvas, picture, places, box_width, width)
    _Links(canvas, places, box_width, width).draw(drawn)
    return canvas.drawing()


def _places(picture: MeshPicture, links: list[Link]) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    ends = {box.key: sum(box.key in (link.a, link.b) for link in links) for box in picture.clusters}
    top = 0
    for band in range(0, len(picture.clusters), 2):
        row = picture.clusters[band : band + 2]
        content = max(1 + min(len(box.nodes), MAX_NODES) + (len(box.nodes) > MAX_NODES) for box in row)
        height = max(content, *(2 * ends[box.key] + 1 for box in row)) + 2
        for index, box in enumerate(row):
            places[box.key] = _Place(index == 0, top, height)
        # An even distance keeps left-hand ports on odd rows and right-hand ports on even ones.
        top += height + 1 + (height + 1) % 2
    return places


def _box(canvas: Canvas, box: ClusterBox, place: _Place, box_width: int, width: int, health: Health) -> None:
    g = canvas.glyphs
    x = 1 if place.left else width - box_width - 1
    style = STYLES[health] if box.reachable else "unknown"
    canvas.box(x, place.top, box_width, place.height, style, dashed=not box.reachable)
    room = box_width - len(box.cloud) - 8
    title = fit(box.name or box.key, room, g.ellipsis)
    canvas.put(x + 2, place.top, f" {title.rstrip()} ", "title")
    if box.cloud:
        canvas.put(x + box_width - len(box.cloud) - 3, place.top, f" {box.cloud} ", "muted")
    inner = box_width - 4
    cidr = box.pod_cidrs[0] if box.pod_cidrs else "" if box.name else box.nameless
    number = f"#{box.cluster_id}  " if box.cluster_id else ""
    canvas.put(x + 2, place.top + 1, fit(number + cidr, inner, g.ellipsis), "muted")
    for index, node in enumerate(box.nodes[:MAX_NODES]):
        canvas.put(x + 2, place.top + 2 + index, g.node if node.ready else g.node_bad, "ok" if node.ready else "down")
        canvas.put(x + 4, place.top + 2 + index, fit(node.name, inner - 2, g.ellipsis), "text")
    if len(box.nodes) > MAX_NODES:
        canvas.put(
            x + 4,
            place.top + 2 + MAX_NODES,
            fit(f"+{len(box.nodes) - MAX_NODES} nodes", inner - 2, g.ellipsis),
            "muted",
        )
    canvas.region("cluster", box.key, x, place.top, box_width, place.height)


def _bus(canvas: Canvas, picture: MeshPicture, places: dict[str, _Place], box_width: int, width: int) -> None:
    """One double line for all healthy links, with ``n/m ok`` at each box."""
    g, x = canvas.glyphs, width // 2
    rows = [place.top + 1 for place in places.values()]
    for box in picture.clusters:
        mine = [link for link in picture.links if box.key in (link.a, link.b)]
        good = sum(link.health is Health.OK for link in mine)
        place, text = places[box.key], f" {good}/{len(mine)} ok "
        y = place.top + 1
        if place.left:
            canvas.horizontal(box_width + 1, x, y, g.bus, "ok")
            canvas.put(box_width + 2, y, text, "ok")
        else:
            canvas.horizontal(x, width - box_width - 2, y, g.bus, "ok")
            canvas.put(width - box_width - 2 - len(text), y, text, "ok")
    canvas.vertical(x, min(rows) - 1, max(rows) + 1, g.bus_vertical, "ok")


class _Links:
    """Draws links one after another, giving each a vertical track of its own where it needs one."""

    def __init__(self, canvas: Canvas, places: dict[str, _Place], box_width: int, width: int) -> None:
        self.canvas = canvas
        self.places = places
        self.left_edge = box_width + 1
        self.right_edge = width - box_width - 2
        self.tracks: list[tuple[int, int, int]] = []

    def draw(self, links: list[Link]) -> None:
        """Straight ones first: they own the first node row of their band."""
        later = []
        for link in links:
            a, b = self.places[link.a], self.places[link.b]
            if a.top == b.top and a.left != b.left:
                self._straight(link, a.top + 2)
            else:
                later.append(link)
        for link in later:
            self._routed(link)

    def _straight(self, link: Link, y: int) -> None:
        char, style = self._line(link)
        self.canvas.horizontal(self.left_edge, self.right_edge, y, char, style)
        self._label(link, True, y)
        self.canvas.region("link", f"{link.a}|{link.b}", self.left_edge, y, self.right_edge - self.left_edge + 1, 1)

    def _routed(self, link: Link) -> None:
        a, b = self.places[link.a], self.places[link.b]
        upper, lower = (a, b) if a.top <= b.top else (b, a)
        y1, y2 = upper.next_port(), lower.next_port()
        x = self._track(y1, y2, len(label(link, self.canvas.glyphs)), upper.left)
        char, style = self._line(link)
        g = self.canvas.glyphs
        for place, y in ((upper, y1), (lower, y2)):
            start, end = (self.left_edge, x - 1) if place.left else (x + 1, self.right_edge)
            self.canvas.region("link", f"{link.a}|{link.b}", start, y, end - start + 1, 1)
            self.canvas.horizontal(
                self.left_edge if place.left else x + 1, x - 1 if place.left else self.right_edge, y, char, style
            )
        self.canvas.vertical(x, y1, y2, g.vertical if self._line(link)[0] == g.horizontal else g.dotted_vertical, style)
        self.canvas.put(x, y1, g.right_down if upper.left else g.left_down, style)
        self.canvas.put(x, y2, g.right_up if lower.left else g.left_up, style)
        self._label(link, upper.left, y1)
        self.canvas.region("link", f"{link.a}|{link.b}", x, min(y1, y2), 1, abs(y2 - y1) + 1)

    def _track(self, y1: int, y2: int, label_width: int, at_left: bool) -> int:
        """The column nearest to the label, behind it, on which this interval comes near no other."""
        low, high = min(y1, y2), max(y1, y2)
        inside = range(self.left_edge + 1, self.right_edge)
        room = label_width + 4
        behind = (
            range(self.left_edge + room, self.right_edge)
            if at_left
            else range(self.right_edge - room, self.left_edge, -1)
        )
        for columns, gap in ((behind, 3), (behind, 1), (inside, 1)):
            for x in columns:
                if x in inside and all(
                    abs(x - other) >= gap or high < top or low > end for other, top, end in self.tracks
                ):
                    self.tracks.append((x, low, high))
                    return x
        return inside[len(inside) // 2]

    def _line(self, link: Link) -> tuple[str, str]:
        g, health = self.canvas.glyphs, link.health
        char = g.dotted if health in (Health.ABSENT, Health.UNKNOWN) else g.horizontal
        return char, STYLES[health]

    def _label(self, link: Link, at_left: bool, y: int) -> None:
        flipped = not self.places[link.a].left and self.places[link.b].left
        text = f" {label(link, self.canvas.glyphs, flipped=flipped)} "
        if len(text) > self.right_edge - self.left_edge:
            # Between boxes that stand close the sign alone: words would be painted over what the other box says.
            text = f" {self.canvas.glyphs.sign(link.health)} "
        x = self.left_edge + 1 if at_left else self.right_edge - len(text)
        self.canvas.put(x, y, text, STYLES[link.health])


def label(link: Link, glyphs: Glyphs, *, flipped: bool = False) -> str:
    """Sign, worst plane, direction if one is known, ratio: ``✗ data ◀ 0/9``, ``◌ not connected`` (screens.md §3.8)."""
    sign = glyphs.sign(link.health)
    if link.health in (Health.OK, Health.ABSENT):
        return sign if link.health is Health.OK else f"{sign} {Health.ABSENT.value}"
    forward, back = (glyphs.left, glyphs.right) if flipped else (glyphs.right, glyphs.left)
    candidates: tuple[tuple[str, Plane, str], ...] = (
        ("data", link.open_ab, forward),
        ("data", link.open_ba, back),
        ("control", link.control_ab, forward),
        ("control", link.control_ba, back),
        ("data", link.round_trip, ""),
    )
    word, plane, arrow = next(item for item in candidates if item[1].health is link.health)
    if link.open_ab.health is link.open_ba.health is link.health and word == "data":
        arrow = ""
    ratio = f"{plane.good}/{plane.total}" if plane.total else ""
    if word == "data" and not ratio and link.round_trip.health is link.health and link.round_trip.total:
        ratio = f"{link.round_trip.good}/{link.round_trip.total}"
    return " ".join(part for part in (sign, word, arrow, ratio) if part)
