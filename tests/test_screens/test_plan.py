"""Plan, its choices and the gate: what is shown, what is typed, what is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from textual.events import Paste

from mesh import catalogue as fact
from mesh.finding import Risk
from screens.confirm import Confirm
from tests.test_screens.stage import Stage, staged
from tests.test_tui import samples
from tests.test_tui.fakes import two_clusters
from tests.test_tui.worlds import TOKYO, bare, joining, of_world, pair
from tui.widgets.rows import TextPane

CLUSTERS = ("eks-tokyo", "aks-east", "kind-dr")


def focus(stage: Stage) -> str:
    """Id of the widget with the focus."""
    return (stage.app.focused.id or "") if stage.app.focused else ""


async def test_it_says_what_it_needs_first(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        await stage.press("4")
        assert "A plan needs two clusters: press 1" in stage.text()
        await stage.press("A", "g", "e")
        assert stage.app.place == "plan" and "is off" in stage.line(23)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_steps_stand_in_order_with_what_they_need(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter", "4")
        text = stage.text()
        assert "Join eks-tokyo and aks-east" in text and "0 irreversible" in text and "4 Plan◐" in text
        order = [
            text.index(name)
            for name in ("open 8472/udp", "place one CA", "park aws-node", "install Cilium", "wait for private API")
        ]
        assert order == sorted(order)
        assert "Plan is complete." in stage.line(-2)


async def test_a_healthy_mesh_leaves_nothing_to_do(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, pair())) as stage:
        await stage.press("enter", "4")
        assert "Nothing to do: every step is already so." in stage.text()
        await stage.press("A")
        assert "A is off: nothing to do" in stage.line(23)


async def test_a_plan_of_facts_that_are_still_judged_is_not_applied(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        stage.app.show_session(replace(stage.app.session, judging=True))
        await stage.press("A")
        assert "A is off: the last facts are being judged" in stage.line(23)
        assert not isinstance(stage.app.screen, Confirm)
        stage.app.show_session(replace(stage.app.session, judging=False))
        await stage.press("A")
        assert isinstance(stage.app.screen, Confirm)


async def test_the_step_under_the_cursor_shows_its_command_and_copies_it(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4")
        while "helm upgrade --install" not in stage.text():
            await stage.press("down")
        assert "install Cilium" in next(row for row in stage.text().split("\n") if row.startswith("▸"))
        await stage.press("c")
        assert stage.app.clipboard.startswith("helm upgrade --install cilium") and "copied" in stage.line(23)
        assert "undo helm uninstall with cni.uninstall=true, then the parked DaemonSets run again" in " ".join(
            stage.text().split()
        )
        await stage.press("enter")
        assert "+ cluster.name" in stage.text()


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_the_whole_of_a_step_can_be_read(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter", "4")
        while "install Cilium" not in next(row for row in stage.text().split("\n") if row.startswith("▸")):
            await stage.press("down")
        await stage.press("v")
        pane = stage.app.screen.query_one("#text", TextPane)
        rows = ["".join(text for text, _ in row).rstrip() for row in pane.drawn]
        assert pane.below and rows[-1] not in stage.text() and (size[0] < 80 or "rows below" in stage.line(3))
        seen = stage.text()
        while pane.below:
            await stage.press("down")
            seen += stage.text()
        assert all(row in seen for row in rows) and any(row.startswith("  undo") for row in rows)
        assert "below" not in stage.text()
        await stage.press("home")
        assert rows[0] in stage.text() and rows[-1] not in stage.text()
        await stage.press("end", "pageup", "pagedown")
        assert rows[-1] in stage.text()


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_the_gate_asks_for_names_and_only_names_open_it(tmp_path: Path, size: tuple[int, int]) -> None:
    ports = joining(tmp_path)
    async with staged(ports, size) as stage:
        await stage.press("enter", "4", "A")
        text = stage.text()
        assert "Type the cluster name to allow this:  eks-tokyo" in text and "disruptive" in text
        assert "Nothing has been changed. Escape cancels." in text
        await stage.press("tab", "tab", "tab", "enter")
        assert "name not complete" in stage.line(-2) and "Apply plan" in stage.text()
        await stage.press("tab", *"eks-tokyo", "tab", *"aks-east")
        assert "[ Apply ]" in stage.text()
        await stage.press("escape")
        assert "Apply plan" not in stage.text() and stage.app.session.run is None


async def test_enter_in_a_name_leads_to_what_is_missing_and_then_to_apply(tmp_path: Path) -> None:
    async with staged(joining(tmp_path)) as stage:
        await stage.press("enter", "4", "A", *"eks-tokyo", "enter")
        assert "name not complete" in stage.line(-2) and focus(stage) == "name-1"
        await stage.press(*"aks-eas", "enter")
        assert focus(stage) == "name-1", "the name lacks a letter"
        await stage.press("t", "enter")
        assert focus(stage) == "push-apply" and stage.app.session.run is None
        await stage.press("escape")
        assert "Cancelled: nothing was changed." in stage.line(23)
        await stage.press("A", *"eks-tokyo", "enter", *"aks-east", "enter", "enter")
        assert stage.app.place == "setup" and stage.app.session.run is not None


@pytest.mark.parametrize("size", [(80, 24), (60, 18), (40, 12)])
@pytest.mark.parametrize("clusters", [CLUSTERS[:2], CLUSTERS], ids=["two", "three"])
async def test_whatever_is_typed_or_pressed_in_the_gate_is_in_view(
    tmp_path: Path, size: tuple[int, int], clusters: tuple[str, ...]
) -> None:
    steps = [structs.replace(step, risk=Risk.DISRUPTIVE, clusters=clusters) for step in samples.PLAN.steps]
    async with staged(two_clusters(tmp_path), size) as stage:
        stage.app.push_screen(Confirm(structs.replace(samples.PLAN, steps=tuple(steps)), ("ops in eks-tokyo",)))
        await stage.settle()
        for name in clusters:
            assert f"  {name}" in stage.text()
            await stage.press(*name[:-1])
            assert f"> {name[:-1]}" in stage.text()
            await stage.press(name[-1], "tab")
        assert "[ Cancel ]" in stage.text() and "[ Apply ]" in stage.text() and "Nothing has been" in stage.text()
        for _ in range(60):
            await stage.press("down")
        assert "way back" in stage.text()


async def test_a_pasted_name_is_refused(tmp_path: Path) -> None:
    async with staged(joining(tmp_path)) as stage:
        await stage.press("enter", "4", "A")
        field = stage.app.screen.query_one("#name-0")
        field.post_message(Paste("eks-tokyo"))
        await stage.settle()
        assert "type it" in stage.line(-2) and getattr(field, "value", None) == ""


async def test_an_edited_choice_is_judged_while_it_is_typed_and_changes_the_plan(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4", "g")
        assert "Choices of the plan" in stage.line(3)
        while not next(row for row in stage.text().split("\n") if row.startswith("▸")).startswith("▸pods of aks-east"):
            await stage.press("down")
        await stage.press("enter", *["backspace"] * 20, *"192.168.0.0/16")
        await stage.until("✗ CM03")
        await stage.press(*["backspace"] * 20, *"nonsense")
        assert "not a valid value" in stage.text()
        await stage.press("enter")
        assert "pods of aks-east" in stage.text() and stage.app.session.edits == {}
        await stage.press(*["backspace"] * 20, *"10.99.0.0/16")
        await stage.until("✓ no check objects")
        await stage.press("enter")
        assert stage.app.session.edits == {"pods.aks-east": "10.99.0.0/16"} and "edited" in stage.text()
        await stage.press("q")
        assert "10.99.0.0/16" in stage.text() and any("* " in row[:6] for row in stage.text().split("\n"))
        await stage.press("g", "backspace")
        assert "this choice was not edited" in stage.line(23)


async def test_the_plan_is_exported_without_writing_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "4", "e")
        assert "script" not in stage.text()
        await stage.press("tab", "tab", "tab", "tab", "enter")
        first = tmp_path / "meshwright-plan.values.json"
        assert first.is_file() and first.stat().st_mode & 0o777 == 0o600
        assert json.loads(first.read_text())["kubeProxyReplacement"]
        await stage.press("e", "tab", "tab", "tab", "tab", "enter")
    assert len([name for name in os.listdir(tmp_path) if name.startswith("meshwright-plan")]) == 2, (
        "the first was not written over"
    )


async def test_the_lower_pane_says_what_was_found_and_what_is_done_about_it(tmp_path: Path) -> None:
    world = bare()
    # Nodes that are ready lose their network for a while: the step says so too, and has most to say.
    world.put(fact.NODES, TOKYO, tuple(structs.replace(node, ready=True) for node in world.get(fact.NODES, TOKYO)))
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "4")
        while "▸ 2  place one CA" not in stage.text():
            await stage.press("down")
        text = stage.text()
        assert "  found no CA yet in aks-east, eks-tokyo" in text
        assert "  does  makes the key in memory" in text and "  run   openssl req" in text and "  undo  " in text
        while "▸ 5  install Cilium" not in stage.text():
            await stage.press("down")
        assert "  means every node" in stage.text()
        assert "then the parked DaemonSets run again" in " ".join(stage.text().split())
