"""What the screens and ``graph`` draw is one picture: of what is so, whatever is wished for."""

import pytest

from mesh.assess import assess, picture
from mesh.finding import State
from mesh.model.picture import Health
from tests.test_mesh.members import NOW
from tests.test_mesh.worlds import SHAPES
from tests.test_tui.worlds import EAST, TOKYO, bare
from tui.work.judge import judge


@pytest.mark.parametrize("shape", SHAPES)
def test_screen_and_command_draw_the_same(shape: str) -> None:
    world = SHAPES[shape]()
    drawn = judge(world.store(), world.clusters, {}, NOW).picture
    assert drawn == picture(world.store(), world.clusters)
    assert [box.key for box in drawn.clusters] == list(world.clusters)


def test_an_edit_changes_the_verdict_and_not_the_picture() -> None:
    world = bare()
    edits = {f"pods.{TOKYO}": "10.224.0.0/16"}
    plain, edited = (judge(world.store(), world.clusters, choices, NOW) for choices in ({}, edits))
    failed = [{f.code for f in one.findings if f.state is State.FAIL} for one in (plain, edited)]
    assert failed[1] - failed[0], "the range that was chosen is taken"
    assert edited.picture == plain.picture == picture(world.store(), world.clusters)
    (link,) = plain.picture.links
    assert {link.open_ab.health, link.open_ba.health} == {Health.OK, Health.DOWN}, "predicted before anything is there"


def test_a_mesh_for_which_no_join_can_be_chosen_is_drawn_all_the_same() -> None:
    world = bare()
    refused = judge(world.store(), world.clusters, {f"pods.{EAST}": "nonsense"}, NOW)
    assert refused.refusal and refused.plan is None
    assert refused.picture == picture(world.store(), world.clusters)
    assert assess(world.store(), world.clusters).findings
