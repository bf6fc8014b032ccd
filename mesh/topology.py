"""Questions about the mesh as a graph. The only user of networkx, and only of its algorithms."""

from collections.abc import Iterable

import networkx

from mesh.model.picture import Health, MeshPicture


def components(picture: MeshPicture) -> tuple[tuple[str, ...], ...]:
    """Groups of clusters that reach each other over connected links, largest first; more than one = a split mesh."""
    graph = _graph(picture, (Health.OK, Health.DEGRADED))
    groups = (tuple(sorted(group)) for group in networkx.connected_components(graph))
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))


def missing_links(picture: MeshPicture) -> tuple[tuple[str, str], ...]:
    """Pairs of clusters that are not connected: a Cluster Mesh is meant to be complete."""
    graph = _graph(picture, tuple(health for health in Health if health is not Health.ABSENT))
    return tuple(sorted((min(a, b), max(a, b)) for a, b in networkx.non_edges(graph)))


def _graph(picture: MeshPicture, healths: Iterable[Health]) -> "networkx.Graph[str]":
    wanted = set(healths)
    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(box.key for box in picture.clusters)
    graph.add_edges_from((link.a, link.b) for link in picture.links if link.health in wanted)
    return graph
