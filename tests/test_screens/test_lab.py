"""Lab start, and the way from it to a world that is read."""

from pathlib import Path

import pytest

from backends.wiring import lab_scenarios
from mesh.errors import Refused
from tests.test_screens.stage import compare, staged
from tests.test_tui.fakes import FakeContexts, FakePorts, two_clusters
from tui.app import Options
from tui.present.lab import rows
from tui.signs import UNICODE


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_scenarios_by_group_and_a_start(tmp_path: Path, size: tuple[int, int]) -> None:
    ports = FakePorts(tmp_path)
    ports.lab.worlds["fresh"] = two_clusters(tmp_path).contexts
    async with staged(ports, size, Options(demo=True, speed=20.0)) as stage:
        text = stage.text()
        assert "Choose a scenario" in text and "nothing outside this machine is contacted" in text
        compare(stage, "lab-start")
        await stage.press("down", "s", "c")
        assert stage.app.clipboard == "meshwright demo --scenario fresh --seed 8 --speed 20"
        await stage.press("enter")
        assert ports.lab.started == [("fresh", (), 20.0, 8)]
        assert "LAB" in stage.line(1) and "2 chosen" in stage.text() and "lab fresh" in stage.line(1)


def test_no_title_of_a_scenario_is_cut_at_80_columns() -> None:
    told = ["".join(text for text, _ in row.lines[0]) for row in rows(lab_scenarios(), 80, UNICODE) if row.key]
    assert len(told) == len(lab_scenarios()) and not [row for row in told if "…" in row]


async def test_a_scenario_of_the_call_is_started_at_once_with_its_faults(tmp_path: Path) -> None:
    ports = FakePorts(tmp_path)
    ports.lab.worlds["expired"] = two_clusters(tmp_path).contexts
    options = Options(demo=True, scenario="expired", faults=("vxlan",), seed=3)
    async with staged(ports, options=options) as stage:
        assert ports.lab.started == [("expired", ("vxlan",), 1.0, 3)]
        assert "Choose the clusters to join" in stage.text() and "2 chosen" in stage.text()


async def test_a_lab_that_cannot_start_says_why(tmp_path: Path) -> None:
    ports = FakePorts(tmp_path, FakeContexts())
    ports.lab.error = Refused("The lab's parts are not installed", hint="pip install 'meshwright[lab]'")
    async with staged(ports, options=Options(demo=True, scenario="fresh")) as stage:
        assert "The lab's parts are not installed; pip install" in stage.line(23)
        assert "lab fresh" not in stage.line(1) and "no lab runs" in stage.line(1)
        await stage.press("4", "1")
        assert "✗ The lab's parts are not installed; pip install" in stage.line(4)
        await stage.press("space")
        assert "no lab runs: ⏎ chooses a scenario" in stage.line(23)
        await stage.press("r")
        assert stage.app.session.contexts is None and "⏎ scenarios" in stage.line(24)
        ports.lab.error = None
        ports.lab.worlds["classic"] = two_clusters(tmp_path).contexts
        await stage.press("enter", "enter")
        assert "lab classic" in stage.line(1) and "2 chosen" in stage.text()
