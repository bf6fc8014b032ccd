"""What the picture says of links and global services, and that it says nothing that was not read."""

from typing import Any

import pytest

from mesh import catalogue as fact
from mesh.draw.glyphs import UNICODE
from mesh.draw.lanes import draw_lanes, in_words, mark
from mesh.engine import evaluate
from mesh.facts import Reason
from mesh.model.kubernetes import Service
from mesh.model.picture import Health, MeshPicture
from mesh.picture import picture_of
from tests.test_mesh import members, worlds

TOKYO, EAST = "eks-tokyo", "aks-east"


def world(**more: Any) -> worlds.World:
    return worlds.build((members.eks(TOKYO, 1), members.aks(EAST, 2)), **more)


def serve(made: worlds.World, affinity: str = "none", **ready: int) -> worlds.World:
    """The global Service shop/cart and no other, with this many ready endpoints in ``tokyo`` and ``east``."""
    notes = {"service.cilium.io/global": "true", "service.cilium.io/affinity": affinity}
    for cluster, short in ((TOKYO, "tokyo"), (EAST, "east")):
        number = ready.get(short)
        service = Service("shop", "cart", annotations=notes, ready_endpoints=number or 0, total_endpoints=3)
        made.put(fact.SERVICES, cluster, () if number is None else (service,))
    return made


def drawn(made: worlds.World) -> MeshPicture:
    return picture_of(made.store(), made.clusters)


def words(made: worlds.World) -> tuple[str, ...]:
    (service,) = drawn(made).services
    return in_words(service)


def test_where_a_service_is_served_from_follows_affinity() -> None:
    assert words(serve(world(), "local", tokyo=2, east=0)) == (
        "eks-tokyo: local, 2 of 3 ready, stays local",
        "aks-east: local, 0 of 3 ready, served by eks-tokyo 2",
    )
    assert words(serve(world(), "none", tokyo=2, east=1))[0].endswith("served by aks-east 1, eks-tokyo 2")
    assert words(serve(world(), "remote", tokyo=2, east=1))[0].endswith("served by aks-east 1")
    assert words(serve(world(), "local", east=0)) == (
        "eks-tokyo: not defined here, the name does not resolve",
        "aks-east: local, no endpoint anywhere, requests are refused",
    )


def test_a_cluster_that_is_not_connected_serves_nobody() -> None:
    told = words(serve(world(connected=False), "none", tokyo=2, east=0))
    assert told[0] == "eks-tokyo: none, 2 of 3 ready, stays local"
    assert told[1] == "aks-east: none, no endpoint anywhere, requests are refused"


def test_services_that_were_not_read_are_not_taken_for_absent() -> None:
    made = serve(world(), "none", tokyo=2, east=0)
    made.lose(fact.SERVICES, EAST)
    picture = drawn(made)
    (service,) = picture.services
    assert picture.services_unread == (EAST,)
    assert in_words(service) == (
        "eks-tokyo: none, 2 of 3 ready, served by eks-tokyo 2; aks-east could not be read",
        "aks-east: its Services could not be read",
    )
    assert mark(service.lanes[1], UNICODE) == ("?", "unknown")
    assert "●2 " in draw_lanes(picture).text() and "↺" not in draw_lanes(picture).text()


def test_what_cannot_change_the_answer_is_not_asked_for() -> None:
    made = serve(world(), "local", tokyo=2, east=0)
    made.lose(fact.SERVICES, EAST)
    assert words(made)[0] == "eks-tokyo: local, 2 of 3 ready, stays local"


@pytest.mark.parametrize("name", [fact.PEERS, fact.AGENTS, fact.HEALTH, fact.SETTINGS], ids=lambda name: name.name)
def test_a_link_of_which_a_part_was_not_read_is_unknown(name: Any) -> None:
    made = world()
    made.lose(name, EAST)
    (link,) = drawn(made).links
    assert link.health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("name", "cluster", "place"),
    [
        (fact.PEERS, EAST, "control_ba"),
        (fact.AGENTS, EAST, "control_ba"),
        (fact.SETTINGS, TOKYO, "control_ba"),
        (fact.HEALTH, EAST, "round_trip"),
        (fact.FIREWALL, EAST, "open_ab"),
    ],
)
def test_a_part_that_was_not_read_names_what_would_lift_it(name: Any, cluster: str, place: str) -> None:
    made = world()
    lost = ("a right", cluster)
    for one in made.clusters if name is fact.HEALTH else (cluster,):
        made.lose(name, one, Reason.FORBIDDEN, lift="a right")
    picture = picture_of(made.store(), made.clusters, evaluate(made.judged(), made.clusters))
    (link,) = picture.links
    plane = getattr(link, place)
    assert plane.health is Health.UNKNOWN and lost[::-1] in plane.lifts
    assert set(plane.lifts) <= set(link.lifts)
    others = [one for one in link.planes if one.health is not Health.UNKNOWN]
    assert not any(one.lifts for one in others)


@pytest.mark.parametrize("name", [fact.NODES, fact.SETTINGS, fact.SERVICES])
def test_a_cluster_of_which_something_was_not_read_names_what_would_lift_it(name: Any) -> None:
    made = world()
    assert not any(box.lifts for box in drawn(made).clusters)
    made.lose(name, EAST, Reason.FORBIDDEN, lift="a right")
    assert [box.lifts for box in drawn(made).clusters] == [(), ("a right",)]


def test_what_nobody_judges_is_not_shown_as_good() -> None:
    """Without findings no rule was judged: that makes no link sick, and no direction open."""
    (link,) = drawn(world()).links
    assert link.open_ab.health is Health.NOT_JUDGED
    assert UNICODE.sign(link.open_ab.health) != UNICODE.ok
    assert link.control_ab.health is Health.OK
