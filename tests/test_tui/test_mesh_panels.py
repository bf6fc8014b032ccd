"""The panels of the Mesh screen and ``graph`` name what would give what was not read."""

from collections.abc import Iterator
from typing import Any

from mesh import catalogue as fact
from mesh.facts import FactName, Reason
from mesh.picture import picture_of
from tests.test_mesh.test_picture import EAST, serve, world
from tui.cli.commands.graph import needed
from tui.present.lines import plain
from tui.present.mesh.panel import cluster_lines, link_lines, service_lines
from tui.signs import UNICODE
from tui.work.judge import Judgement

RIGHT = "get secrets in kube-system"


def judged(*lost: FactName[Any]) -> Judgement:
    """A pair with one global Service, of whose east these facts were refused."""
    made = serve(world(), "none", tokyo=1, east=1)
    for name in lost:
        made.lose(name, EAST, Reason.FORBIDDEN, lift=RIGHT)
    return Judgement(made.clusters, picture=picture_of(made.store(), made.clusters))


def panels(found: Judgement) -> Iterator[list[str]]:
    yield [plain(one) for one in link_lines(found.picture.links[0], found, 78, UNICODE)]
    yield [plain(one) for one in cluster_lines(EAST, found, 78, UNICODE)]
    yield [plain(one) for one in service_lines("shop/cart", found, 78, UNICODE)]


def test_the_panel_of_a_link_names_the_right_that_it_lacks() -> None:
    link, cluster, service = panels(judged(fact.PEERS))
    assert f"   needs      {EAST}: {RIGHT}" in link
    assert RIGHT not in "\n".join((*cluster, *service))


def test_the_panels_of_a_cluster_and_a_service_name_the_right_that_they_lack() -> None:
    link, cluster, service = panels(judged(fact.SERVICES))
    assert f"   needs      {RIGHT}" in cluster
    assert f"   needs      {EAST}: {RIGHT}" in service
    assert RIGHT not in "\n".join(link)


def test_what_was_read_needs_nothing() -> None:
    assert "needs" not in str(list(panels(judged())))


def test_graph_ends_with_every_right_that_the_picture_lacks() -> None:
    assert needed(judged(fact.PEERS, fact.SERVICES).picture) == (f"? {EAST} needs: {RIGHT}",)
    assert needed(judged().picture) == ()
