"""Set-up: a run from the gate to its end, its log, stopping, failing, going on, quitting."""

from dataclasses import replace
from pathlib import Path

import pytest

from mesh import events as ev
from tests.test_screens.stage import Stage, staged
from tests.test_tui.fakes import FakePorts, two_clusters
from tests.test_tui.worlds import bare, joining, of_world
from tui.session import RunView, on_events


async def confirmed(stage: Stage) -> None:
    """From Clusters through the gate."""
    await stage.press("enter", "4", "A", *"eks-tokyo", "tab", *"aks-east", "tab", "tab", "enter")


async def test_before_anything_ran_it_says_where_to_begin(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        await stage.press("5")
        assert "Nothing was applied yet: 4 shows the plan" in stage.text()
        await stage.press("p", "X", "R", "A", "e")
        assert stage.app.session.run is None


async def test_a_plan_is_carried_out_to_its_end(tmp_path: Path) -> None:
    ports = joining(tmp_path)
    async with staged(ports) as stage:
        await confirmed(stage)
        await stage.until("Joined in")
        text = stage.text()
        assert "[5 Set-up✓]" in text and "ARMED" not in text and stage.app.place == "setup"
        assert all("✓" in row for row in text.split("\n")[3:12] if row.strip())
        await stage.press("greater_than_sign")
        assert stage.app.place == "mesh" and "6 Mesh" in stage.text()
        await stage.press("q")
        assert stage.app.return_code == 0


async def test_a_failing_step_names_the_cause_and_the_ways_on(tmp_path: Path) -> None:
    ports = joining(tmp_path, fail="helm version")
    async with staged(ports) as stage:
        await confirmed(stage)
        assert stage.app.place == "plan" and "no space left on device" in stage.line(23)
        assert "ARMED" not in stage.text()


def running(stage: Stage, *, failed: bool = False) -> None:
    """A run under way as the engine would tell it."""
    app = stage.app
    plan = app.session.plan
    assert plan is not None
    first, second, third = (step.id for step in plan.todo()[:3])
    now = app.session.now
    told: list[ev.Event] = [
        ev.StepStarted(first, now - 222),
        ev.StepDone(first, "done", now - 218, 4.0),
        ev.StepStarted(second, now - 203),
        ev.StepWaiting(second, "agents ready 209/212", now + 397),
        ev.StepStarted(third, now - 70),
    ]
    if failed:
        told += [
            ev.StepDone(second, "failed", now, 203.0, "still waiting for: agents ready 209/212"),
            ev.StepDone(third, "done", now, 70.0),
            ev.RunDone(12, "failed", 222.0, "Stopped at x"),
        ]
    session = replace(app.session, run=RunView(plan, 12, "running", now - 222))
    app.show_session(on_events(session, told))
    output = [ev.StepOutput(second, 0.0, "$ helm upgrade --install cilium")]
    output += [ev.StepOutput(second, 0.0, f"$ agents ready {number}/212") for number in range(60)]
    app.logs.add(output)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.parametrize("failed", [False, True])
async def test_what_runs_and_what_failed_are_told(tmp_path: Path, size: tuple[int, int], failed: bool) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter", "4")
        running(stage, failed=failed)
        await stage.press("5")
        text = stage.text()
        assert "ARMED" in stage.line(1) and "run 12" in stage.line(1)
        if failed:
            assert "[5 Set-up✗]" in text and "1 failed" in text and "nothing is running" in text
            assert "R retry" in text
        else:
            assert "waits for: agents ready 209/212" in text and "following" in text and "[5 Set-up◐]" in text
            assert "03:23 of" in text


async def test_the_log_follows_until_it_is_scrolled_and_end_follows_again(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage)
        await stage.press("5")
        assert "agents ready 59/212" in stage.text()
        stage.app.screen.query_one("#log").focus()
        await stage.press("pageup")
        assert "End follows" in stage.text() and "agents ready 59/212" not in stage.text()
        await stage.press("end")
        assert "following" in stage.text() and "agents ready 59/212" in stage.text()
        await stage.press("slash", *"42/", "enter")
        assert "agents ready 42/212" in stage.text() and "agents ready 41/212" not in stage.text()


async def test_quitting_a_run_that_is_not_done_asks_and_ends_with_4(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage, failed=True)
        await stage.press("5", "q")
        assert "Quit" in stage.text() and "Exit code 4" in stage.text()
        await stage.press("enter")
        assert stage.app.is_running and "Exit code 4" not in stage.text()
        await stage.press("q", "tab", "enter")
        assert stage.app.return_code == 4


async def test_stopping_is_asked_first(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage)
        await stage.press("5", "X")
        assert "Stop the run" in stage.text() and "R goes on later" in stage.text()
        await stage.press("escape")
        run = stage.app.session.run
        assert run is not None and run.state == "running"


async def test_an_unfinished_run_is_the_first_row_and_opens_in_set_up(tmp_path: Path) -> None:
    ports = joining(tmp_path)
    async with staged(ports) as stage:
        await confirmed(stage)
        await stage.until("Joined in")
        records = ports.store.journals[1]
    cut = [record for record in records if record["kind"] != "end"][:6]
    again: FakePorts = of_world(tmp_path, bare())
    again.store.journals[1] = cut
    async with staged(again) as stage:
        assert "▲ unfinished run 1" in stage.line(4)
        await stage.press("up", "up", "home", "enter")
        assert "Run 1 was cut off" in stage.text() and "ARMED" not in stage.line(1)
        assert "A continue" in stage.line(24)
        await stage.press("A")
        assert "Continue plan" in stage.text()
