"""Set-up: a run from the gate to its end, its log, stopping, failing, going on, quitting."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh import events as ev
from mesh.errors import MeshError
from mesh.finding import Risk
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


async def test_all_that_a_step_waits_for_can_be_read(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "5")
        running(stage)
        await stage.settle()
        plan = stage.app.session.plan
        assert plan is not None
        second, now = plan.todo()[1].id, stage.app.session.now
        what = "operators ready 0/2; mesh API of eks-tokyo ready 0/1; agents ready 0/3; eks-tokyo has no address"
        stage.app.show_session(on_events(stage.app.session, [ev.StepWaiting(second, what, now + 397)]))
        await stage.settle()
        text = stage.text()
        assert what in " ".join(text.split()) and " waits, until 06:37 ─" in text and "agents ready 0/3…" not in text


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


async def test_lines_that_came_while_another_screen_was_open_are_shown_to_the_last(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage)
        await stage.press("5")
        app = stage.app
        second = app.session.plan.todo()[1].id if app.session.plan else ""
        for away, back in (("q", "escape"), ("2", "5")):
            await stage.press(away)
            app.bridge.emit(ev.StepOutput(second, 0.0, f"$ said while {away} was open"))
            app.take_lines()
            await stage.press(back)
            assert f"said while {away} was open" in stage.text()


async def test_the_last_lines_of_a_run_that_raises_are_shown(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage)
        await stage.press("5")
        app = stage.app
        second = app.session.plan.todo()[1].id if app.session.plan else ""

        async def raising() -> None:
            app.bridge.emit(ev.StepOutput(second, 0.0, "$ the last word"))
            raise MeshError("the connection was lost")

        app.director.submit("run", "carrying out the plan", raising)
        await stage.settle()
        assert "the last word" in stage.text()


def ended(stage: Stage, state: str) -> None:
    """A run that ended after its second step, or after all."""
    app = stage.app
    plan = app.session.plan
    assert plan is not None
    now = app.session.now
    told: list[ev.Event] = []
    for step in plan.todo()[: 2 if state == "cancelled" else None]:
        told += [ev.StepStarted(step.id, now - 60), ev.StepDone(step.id, "done", now - 30, 30.0)]
        app.logs.add([ev.StepOutput(step.id, 0.0, f"$ log of {step.id}")])
    told.append(ev.RunDone(12, state, 222.0, "Stopped" if state == "cancelled" else "Joined"))
    app.show_session(on_events(replace(app.session, run=RunView(plan, 12, "running", now - 222)), told))


@pytest.mark.parametrize("state", ["done", "cancelled"])
async def test_after_its_end_set_up_shows_the_last_step_and_what_to_do(tmp_path: Path, state: str) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        ended(stage, state)
        await stage.press("5")
        plan = stage.app.session.plan
        assert plan is not None
        last = plan.todo()[-1 if state == "done" else 1]
        assert f"log of {last.id}" in stage.text()
        foot = stage.line(24)
        assert "p pause" not in foot and "X stop" not in foot and "⏎ step" in foot
        assert ("> mesh" if state == "done" else "R go on") in foot
        assert "ARMED" not in stage.line(1)
        told = "Joined in 03:42" if state == "done" else "Stopped. Nothing is running; what was done stays, R goes on."
        assert told in stage.line(23)
        await stage.press("up")
        assert f"log of {plan.todo()[-2 if state == 'done' else 0].id}" in stage.text()


async def test_a_run_that_goes_on_keeps_numbers_and_times_of_its_steps(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        ended(stage, "cancelled")
        await stage.press("5", "R")
        plan = stage.app.session.plan
        assert plan is not None
        rest = [step for step in plan.todo()[2:] if step.risk is Risk.DISRUPTIVE]
        text = stage.text()
        assert "Continue plan" in text and rest
        assert all(re.search(rf"│ .*\b{plan.numbers[step.id]}\b.*  \w", text) for step in rest)
        await stage.press("escape")
        first = plan.todo()[0].id
        again: list[ev.Event] = [ev.StepStarted(first, 0.0), ev.StepDone(first, "already", 0.0, 0.2)]
        stage.app.show_session(on_events(stage.app.session, again))
        await stage.settle()
        assert "00:30" in stage.line(4) and "✓" in stage.line(4)


async def test_a_failed_step_without_a_finding_offers_none(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage, failed=True)
        await stage.press("5")
        assert "R retry  ⏎ step  c command" in stage.text() and "⏎ finding" not in stage.text()


async def test_a_step_without_output_says_so(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        running(stage)
        await stage.press("5", "up")
        assert "no output" in stage.text() and "following" not in stage.text()


async def test_a_narrow_screen_keeps_six_rows_for_the_log_and_the_whole_wait_is_told(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare()), (60, 18)) as stage:
        await stage.press("enter", "4")
        running(stage)
        second = stage.app.session.plan.todo()[1].id if stage.app.session.plan else ""
        long = "agents ready 0/3; mesh API of eks-tokyo ready 0/1; operators ready 0/2"
        stage.app.show_session(on_events(stage.app.session, [ev.StepWaiting(second, long, 0.0)]))
        await stage.press("5")
        log = stage.app.screen.query_one("#log")
        assert log.size.height == 6 and stage.app.screen.query_one("#list").size.height == 7
        await stage.press("enter")
        assert "operators ready 0/2" in stage.text()


async def test_the_quit_box_is_whole_in_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        plan = stage.app.session.plan
        assert plan is not None
        stage.app.show_session(replace(stage.app.session, run=RunView(plan)))
        await stage.press("5")
        frames: list[str] = []
        paint = stage.app._display

        def painted(*given: Any) -> None:
            paint(*given)
            frames.append(stage.text())

        monkeypatch.setattr(stage.app, "_display", painted)
        await stage.press("q")
        boxes = [frame for frame in frames if " Quit ─" in frame]
        assert boxes
        for frame in boxes:
            words = " ".join(re.findall(r"│(.*)│", frame))
            told = " ".join(words.split())
            assert "The run is under way. Quitting stops it after the calls that are under way; it" in told, frame


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
        assert "⏎ open run" in stage.line(24) and "of 10 steps were done. It opens in Set-up" in stage.text()
        await stage.press("down")
        assert "⏎ read facts" in stage.line(24) and "of 10 steps were done" not in stage.text()
        await stage.press("up", "up", "home", "enter")
        assert "Run 1 was cut off" in stage.text() and "ARMED" not in stage.line(1)
        assert "A continue" in stage.line(24)
        await stage.press("A")
        assert "Continue plan" in stage.text()
