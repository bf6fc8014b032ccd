"""Every screen as a picture at 80x24 and 160x50, from one session made by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.events import StepOutput
from mesh.model.context import Access
from tests.test_screens.stage import Stage, compare, staged
from tests.test_tui import samples
from tests.test_tui.fakes import peek, two_clusters
from tui.present import crash
from tui.session import Preview, Session

SIZES = [(80, 24), (160, 50)]


async def on_place(stage: Stage, key: str, change: Callable[[Session], Session] = lambda session: session) -> None:
    """The sample session, seen at a place."""
    stage.app.show_session(change(samples.session(stage.app.session)))
    await stage.press(key)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]  # a fixture of nothing
    with samples.fixed_words(monkeypatch):
        yield


@pytest.fixture(params=SIZES, ids=["80x24", "160x50"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


pytestmark = pytest.mark.usefixtures("words")


async def test_preconditions(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "3")
        text = stage.text()
        assert "2 problems: 1 in plan, 1 needs you" in text and "1 warning" in text
        compare(stage, "preconditions")
        if size == (80, 24):
            await stage.press("down", "right")
            assert "└ ⊘ CM0326" in stage.text()
            compare(stage, "preconditions-unfolded")
            await stage.press("a")
            compare(stage, "preconditions-all")


async def test_finding(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "3")
        await stage.press("enter")
        assert "FIX 1 of 2" in stage.text() and "EVIDENCE" in stage.text()
        compare(stage, "finding")
        await stage.press("right_square_bracket")
        assert "FIX 2 of 2" in stage.text() and "Fix 2 of 2" in stage.text()
        await stage.press("n", "n", "n")
        assert "UNKNOWN" in stage.line(3) and "forbidden" in stage.text()


async def test_plan(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "4")
        await stage.press("down", "down", "down", "down")
        assert "3 steps are disruptive on eks-tokyo: its name will be asked." in stage.text()
        compare(stage, "plan")


async def test_a_plan_that_is_off_says_why(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        judged = samples.judgement(samples.BLOCKED_PLAN)
        await on_place(stage, "4", lambda session: replace(session, judged=judged))
        assert "A is off: CM0321 aks-east needs you, press 3." in stage.line(23)
        compare(stage, "plan-off")


async def test_confirm(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "4")
        await stage.press("A", *"eks-tok")
        assert "10 steps" in stage.text() and "Apply (name not complete)" in stage.text()
        compare(stage, "confirm")


async def test_choices_and_edit(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "4")
        await stage.press("g", "down", "down")
        compare(stage, "choices")
        await stage.press("enter")
        session = stage.app.session
        preview = Preview("pods.eks-tokyo", "10.120.0.0/16", (samples.OVERLAP,))
        stage.app.show_session(replace(session, preview=preview))
        await stage.settle()
        assert "✗ CM0321 aks-east" in stage.text()
        compare(stage, "edit")


@pytest.mark.parametrize("failed", [False, True], ids=["running", "failed"])
async def test_set_up(tmp_path: Path, size: tuple[int, int], failed: bool) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        stage.app.logs.add([StepOutput("s4", samples.AT, text) for text in samples.OUTPUT])
        await on_place(stage, "5", lambda session: replace(session, run=samples.run(failed=failed)))
        text = stage.text()
        assert "ARMED" in stage.line(1) and "run 12" in stage.line(1)
        assert ("1 failed" if failed else "2 running") in text
        assert "✗ CM0403" in text if failed else "waits for: agents ready 209/212, until 06:37" in text
        compare(stage, "setup-failed" if failed else "setup-running")


async def test_mesh(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(two_clusters(tmp_path), size) as stage:
        await on_place(stage, "6")
        await stage.press("tab")
        assert "✗ data ◀ 0/9" in stage.text() and "▲ data 6/9" in stage.text()
        compare(stage, "mesh")
        await stage.press("m")
        compare(stage, "mesh-services")


async def test_login_export_help_and_error(tmp_path: Path, size: tuple[int, int]) -> None:
    ports = two_clusters(tmp_path)
    ports.contexts.peeks["eks-tokyo"] = peek("eks-tokyo", Access.EXPIRED, version="", cluster_uid="")
    async with staged(ports, size) as stage:
        from screens.error import ErrorScreen
        from screens.login import Login

        await stage.until("? expired")  # the highlighted context is looked at after a moment; it shows behind the boxes
        ref = ports.contexts.listed.contexts[0]
        stage.app.push_screen(Login(ref, ("aws", "sso", "login", "--profile", "lab")))
        await stage.settle()
        compare(stage, "login")
        await stage.press("escape", "e")
        compare(stage, "export")
        await stage.press("escape", "question_mark")
        compare(stage, "help")
        await stage.press("escape")
        found = crash.Failure(
            "reading facts", "KeyError", ("backends/azure.py line 212 (read_rules)",), "E-7f3a-0912", "gather"
        )
        stage.app.push_screen(ErrorScreen(found))
        await stage.settle()
        assert "KeyError in backends/azure.py line 212 (read_rules)" in stage.text()
        compare(stage, "error")
