"""What the signs of a picture mean: only those that are in it."""

from collections.abc import Iterator

from mesh.draw.glyphs import Glyphs
from mesh.draw.lanes import use
from mesh.draw.map import label
from mesh.model.picture import Health, MeshPicture, ServiceLanes

Entry = tuple[str, str]


def legend(picture: MeshPicture, glyphs: Glyphs) -> tuple[Entry, ...]:
    """Pairs of sign and meaning: boxes and nodes first, then links, then services."""
    return tuple(dict.fromkeys((*_clusters(picture, glyphs), *_links(picture, glyphs), *_services(picture, glyphs))))


def _clusters(picture: MeshPicture, glyphs: Glyphs) -> Iterator[Entry]:
    ready = {node.ready for box in picture.clusters for node in box.nodes}
    if True in ready:
        yield glyphs.node, "node ready"
    if False in ready:
        yield glyphs.node_bad, "node not ready"
    if any(box.cluster_id for box in picture.clusters):
        yield "#1", "cluster id"
    if not all(box.reachable for box in picture.clusters):
        yield glyphs.dashed * 3, "cluster not reached"


def _links(picture: MeshPicture, glyphs: Glyphs) -> Iterator[Entry]:
    words = {Health.OK: "link in order", Health.UNKNOWN: "link not known", Health.ABSENT: "not connected"}
    present = {link.health for link in picture.links}
    for health in sorted(present, key=lambda one: one.rank):
        yield glyphs.sign(health), words.get(health, f"link {health.value}")
    labels = " ".join(label(link, glyphs) for link in picture.links).split()
    for plane, meaning in (("data", "packets between nodes"), ("control", "agents reading the other cluster")):
        if plane in labels:
            yield plane, meaning
    if {glyphs.left, glyphs.right} & set(labels):
        yield f"{glyphs.left} {glyphs.right}", "the direction it is about"


def _services(picture: MeshPicture, glyphs: Glyphs) -> Iterator[Entry]:
    lanes = [lane for service in picture.services for lane in service.lanes]
    if any(lane.ready for lane in lanes):
        yield f"{glyphs.node}2", "2 endpoints ready"
    if any(lane.ready == 0 for lane in lanes):
        yield f"{glyphs.node_bad}0", "none ready"
    if any(lane.ready is None for lane in lanes):
        yield glyphs.undefined, "not defined there"
    if any(lane.is_global and set(lane.chosen) == {lane.cluster} for lane in lanes):
        yield glyphs.here, "requests stay in their cluster"
    uses = {kind for service in picture.services for kind in _uses(service)}
    if uses & {"failover", "remote"}:
        yield f"{glyphs.horizontal}{glyphs.right}", "requests go there"
    if "shared" in uses:
        yield f"{glyphs.thin}{glyphs.right}", "requests go there too"
    if "fallback" in uses:
        yield f"{glyphs.dotted}{glyphs.right_open}", "only if none is ready here"
    if any(service.affinity.endswith("≠") for service in picture.services):
        yield glyphs.differs, "affinity differs between clusters"


def _uses(service: ServiceLanes) -> set[str]:
    return {use(one, other) for one in service.lanes for other in service.lanes if one is not other}
