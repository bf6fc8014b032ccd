"""Global services: one row per service, one lane per cluster, the affinity between them (anchors.md §4.3, screens.md
§3.9).
"""

from itertools import pairwise
from typing import Final

from mesh.draw.canvas import Canvas, Drawing, fit
from mesh.draw.glyphs import UNICODE, Glyphs
from mesh.model.picture import Lane, MeshPicture, Proof, ServiceLanes

_NAME: Final = 17
_AFFINITY: Final = 10
_MINIMUM: Final = 12
_STYLE: Final = {"failover": "degraded", "remote": "accent", "shared": "text", "fallback": "muted"}
_STRENGTH: Final = ("fallback", "shared", "remote", "failover")


def draw_lanes(picture: MeshPicture, width: int = 80, glyphs: Glyphs = UNICODE) -> Drawing:
    """All global services; the first row holds the heads. Wider than ``width`` when the lanes do not fit."""
    count = max(len(picture.clusters), 1)
    lane = max(_MINIMUM, (width - 1 - _NAME - _AFFINITY) // count)
    canvas = Canvas(max(width, 1 + _NAME + _AFFINITY + lane * count), 1, glyphs)
    canvas.put(1, 0, fit("service", _NAME - 1, glyphs.ellipsis), "muted")
    canvas.put(1 + _NAME, 0, fit("affinity", _AFFINITY, glyphs.ellipsis), "muted")
    for index, box in enumerate(picture.clusters):
        canvas.put(_x(index, lane), 0, fit(box.name or box.key, lane - 1, glyphs.ellipsis), "title")
    for row, service in enumerate(picture.services, start=1):
        _row(canvas, service, row, lane)
    return canvas.drawing()


def _x(index: int, lane: int) -> int:
    return 1 + _NAME + _AFFINITY + index * lane


def _row(canvas: Canvas, service: ServiceLanes, y: int, lane: int) -> None:
    g = canvas.glyphs
    name = f"{service.namespace}/{service.name}"
    canvas.put(1, y, fit(name, _NAME - 1, g.ellipsis), "text")
    canvas.put(1 + _NAME, y, fit(service.affinity.replace("≠", g.differs), _AFFINITY, g.ellipsis), "text")
    defined = [index for index, entry in enumerate(service.lanes) if entry.ready is not None]
    for left, right in pairwise(defined):
        _connector(canvas, service.lanes[left], service.lanes[right], _x(left, lane) + 5, _x(right, lane) - 2, y)
    for index, entry in enumerate(service.lanes):
        text, style = mark(entry, g)
        canvas.put(_x(index, lane), y, text, style)
    canvas.region("service", name, 0, y, canvas.width, 1)


def mark(lane: Lane, glyphs: Glyphs) -> tuple[str, str]:
    """``●3``, ``○0``, ``–``, ``?`` for not read; ``↺`` when requests stay in this cluster."""
    if not lane.read:
        return glyphs.unknown, "unknown"
    if lane.ready is None:
        return glyphs.undefined, "muted"
    stays = glyphs.here if set(lane.chosen) == {lane.cluster} and lane.is_global and not lane.unread else ""
    return f"{glyphs.node if lane.ready else glyphs.node_bad}{lane.ready}{stays}", "ok" if lane.ready else "down"


def use(consumer: Lane, server: Lane) -> str:
    """How ``consumer`` uses ``server``: failover, remote, shared, fallback or "" (not at all)."""
    if not consumer.is_global or consumer.ready is None:
        return ""
    if server.cluster in consumer.chosen:
        if consumer.affinity == "local":
            return "failover"
        return "remote" if consumer.affinity == "remote" else "shared"
    eligible = server.is_global and server.shared and bool(server.ready)
    return "fallback" if eligible and consumer.affinity == "local" else ""


def _connector(canvas: Canvas, left: Lane, right: Lane, x1: int, x2: int, y: int) -> None:
    """A line between two lanes: arrows where one uses the other, weight by the strongest use."""
    to_right, to_left = use(left, right), use(right, left)
    strongest = max((kind for kind in (to_right, to_left) if kind), key=_STRENGTH.index, default="")
    if not strongest or x2 <= x1:
        return
    g = canvas.glyphs
    char = {"fallback": g.dotted, "shared": g.thin}.get(strongest, g.horizontal)
    open_ended = strongest == "fallback"
    left_end = (g.left_open if open_ended else g.left) if to_left else char
    right_end = (g.right_open if open_ended else g.right) if to_right else char
    canvas.put(x1, y, left_end + char * (x2 - x1 - 1) + right_end, _STYLE[strongest])


def answers_in_words(proof: Proof) -> tuple[str, ...]:
    """One line per cluster that asked: how many requests in a row which cluster answered."""
    affinities = {lane.cluster: f"{lane.affinity}, " for lane in proof.service.lanes}
    lines = []
    for cluster, answers in proof.answers.items():
        asked = sum(answers.values())
        who = ", ".join(answers if len(answers) == 1 else (f"{other} {count}" for other, count in answers.items()))
        lines.append(f"{cluster}: {affinities.get(cluster, '')}{asked} of {asked} requests answered by {who}")
    return tuple(lines)


def in_words(service: ServiceLanes) -> tuple[str, ...]:
    """One line per consuming cluster: who serves it now, in plain words."""
    return tuple(f"{lane.cluster}: {_served(lane)}" for lane in service.lanes)


def _served(lane: Lane) -> str:
    if not lane.read:
        return "its Services could not be read"
    if lane.ready is None:
        return "not defined here, the name does not resolve"
    told = f"{lane.affinity}, {lane.ready} of {lane.total} ready"
    served = ", ".join(f"{cluster} {count}" for cluster, count in sorted(lane.chosen.items()))
    if lane.unread:
        return f"{told}, served by {served or 'nothing known'}; {', '.join(lane.unread)} could not be read"
    if not lane.chosen:
        return f"{lane.affinity}, no endpoint anywhere, requests are refused"
    return f"{told}, {'stays local' if set(lane.chosen) == {lane.cluster} else f'served by {served}'}"
