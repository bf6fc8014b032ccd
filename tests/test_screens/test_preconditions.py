"""Preconditions and Finding: ranks, folding, filters, the eight counts, evidence, fixes."""

from pathlib import Path

import pytest

from mesh.facts import Reason
from mesh.finding import State
from tests.test_mesh import changes
from tests.test_screens.stage import staged
from tests.test_tui.fakes import two_clusters
from tests.test_tui.worlds import EAST, TOKYO, bare, of_world, pair
from tui.widgets.rows import TextPane


async def test_it_says_what_it_needs_first(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        await stage.press("3")
        assert "Preconditions need clusters: press 1" in stage.text()


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_missing_rule_is_the_only_problem_and_a_step_of_the_plan(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter", "3")
        text = stage.text()
        assert "1 problem: 1 in plan" in text and "✗ CM0403 aks-east → eks-tokyo" in text
        assert "FAIL 1 (0 explained)" in stage.line(-2) and "[3 Preconditions✗]" in text
        await stage.press("enter")
        assert "EVIDENCE" in stage.text() and "WHY" in stage.text() and "FIX 1 of" in stage.text()
        await stage.press("c")
        assert "authorize-security-group-ingress" in stage.app.clipboard and "the command" in stage.line(-2)
        await stage.press("q")
        assert "1 problem" in stage.text()


async def test_what_there_is_to_do_is_seen_without_scrolling(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "3")
        told = " ".join(stage.text().split())
        assert "11 n/a · 0 errors ─" in told
        assert "what sg-00000001a has no rule for 8472/udp from 10.224.0.0/20" in told
        assert "aws ec2 authorize-security-group-ingress" in told and "cilium vxlan aks-east" in told
        await stage.press("enter")
        told = stage.text()
        assert "FIX 1 of 2 · eks-tokyo · risk low" in told and "aws ec2 authorize-security-group-ingress" in told
        assert "more facts, v shows all" in told


async def test_a_healthy_mesh_is_clean(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, pair())) as stage:
        await stage.press("enter", "3")
        assert "✓ All preconditions hold." in stage.text() and "[3 Preconditions✓]" in stage.text()


async def test_unknown_is_never_clean(tmp_path: Path) -> None:
    world = pair()
    changes.lose("cilium.settings", EAST, Reason.FORBIDDEN)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "3")
        text = stage.text()
        assert "All preconditions hold" not in text and "[3 Preconditions?]" in text
        await stage.press("enter")
        assert "? " in stage.text() and "cilium.settings of aks-east" in stage.text()


async def test_consequences_unfold_and_fold(tmp_path: Path) -> None:
    world = pair()
    changes.silent(TOKYO)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "3")
        assert "? CM0002 eks-tokyo" in stage.text() and "⊘" not in stage.line(5)
        await stage.press("right")
        assert "├ ⊘" in stage.text()
        await stage.press("down", "left")
        assert "├ ⊘" not in stage.text()
        await stage.press("z")
        assert "├ ⊘" in stage.text()


async def test_all_shows_every_finding_and_filters_narrow(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "3", "a", "slash", *"state:pass", "enter")
        assert "✓ CM0001" in stage.text()
        judged = stage.app.session.judged
        passed = sum(found.state is State.PASS for found in judged.findings) if judged else 0
        assert f"{passed} findings match" in stage.line(3) and "No problem" not in stage.line(3)
        await stage.press("escape", "slash", *"code:nothing", "enter")
        assert "No finding matches" in stage.line(3)
        await stage.press("escape", "slash", *"code:CM0403 state:fail", "enter")
        rows = [row for row in stage.text().split("\n") if "CM0" in row[:14]]
        assert len([row for row in rows if row[1:3].strip()]) >= 1
        assert all("CM0403" in row for row in rows)
        await stage.press("escape", "a", "l")
        assert "L0 access" in stage.line(3)


async def test_a_decision_that_is_needed_keeps_the_plan_closed(tmp_path: Path) -> None:
    world = bare()
    changes.silent(EAST)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "4", "A")
        assert "A is off: CM0002 aks-east needs you, press 3" in stage.line(23)
        assert stage.app.place == "plan"


@pytest.mark.parametrize("size", [(80, 24), (60, 18), (40, 12)])
async def test_the_whole_of_a_finding_can_be_read(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter", "3", "enter", "v")
        assert "EVIDENCE" in stage.text() and "aws ec2" not in stage.text()
        assert "CM0403 FAIL critical · 1 of 1" in stage.text() or size == (40, 12)
        pane = stage.app.screen.query_one("#text", TextPane)
        seen = stage.text()
        while pane.below:
            before = pane.below
            await stage.press("down" if before % 2 else "pagedown")
            assert pane.below < before
            seen += stage.text()
        assert all(word in seen for word in ("WHY", "FIX 1 of", "aws ec2"))
        assert "EVIDENCE" not in stage.text()
        await stage.press("home")
        assert "EVIDENCE" in stage.text()


async def test_next_finding_goes_round(tmp_path: Path) -> None:
    world = pair()
    changes.without_rule(TOKYO, 8472)(world)
    changes.without_rule(TOKYO, 4240)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "3", "enter")
        first = stage.line(3)
        await stage.press("n")
        second = stage.line(3)
        assert first != second
        await stage.press("N")
        assert stage.line(3) == first


@pytest.mark.parametrize("name", ["json", "md", "txt"])
async def test_findings_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    turns = {"json": 0, "md": 1, "txt": 2}[name]
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "3", "e", *["right"] * turns, *["tab"] * 4, "enter")
        text = (tmp_path / f"meshwright-preconditions.{name}").read_text()
        assert "CM0403" in text
