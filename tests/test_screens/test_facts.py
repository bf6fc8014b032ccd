"""Facts: what is coming, what is closed, what lifts it, stopping, many clusters."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.events import CollectorProgress
from mesh.model.context import Right, Rights
from tests.test_screens.stage import compare, staged
from tests.test_tui.fakes import (
    COLLECTORS,
    FakeContexts,
    FakeGatherer,
    FakePorts,
    basic_facts,
    known,
    ref,
    two_clusters,
)
from tests.test_tui.worlds import EAST, TOKYO, chosen, denied
from tui.session import on_events


async def test_before_anything_is_read_it_says_what_it_needs(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        await stage.press("2")
        assert "Facts need clusters: press 1" in stage.text()
        await stage.press("r")
        assert "r is off: no cluster is chosen" in stage.line(23)
        compare(stage, "facts-empty")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_denied_cell_tells_the_role_that_lifts_it(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(denied(tmp_path), size) as stage:
        await stage.press("enter", "right", "down", "down", "down", "down")
        text = stage.text()
        assert "Facts complete" in text and "? denied pods/exec" in text and "aks-east · agents (exec)" in text
        compare(stage, "facts-denied")
        await stage.press("c")
        assert stage.app.clipboard.startswith("kind: Role") and "what lifts it" in stage.line(-2)
        await stage.press("left")
        assert "eks-tokyo · agents (exec)" in stage.text()


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
async def test_missing_rights_are_partial_and_named(tmp_path: Path, size: tuple[int, int]) -> None:
    ports = denied(tmp_path)
    get, create = Right("get", "nodes"), Right("create", "pods/exec", namespace="kube-system")
    ports.gatherer.facts += [
        known(fact.RIGHTS, TOKYO, Rights("ops", (get, create))),
        known(fact.RIGHTS, EAST, Rights("ops", (get,), (create,))),
    ]
    ports.gatherer.progress = [
        replace(told, text=f"{1 if told.cluster == EAST else 2}/2") if told.collector == "rights" else told
        for told in ports.gatherer.progress
    ]
    async with staged(ports, size) as stage:
        await stage.press("enter", "down")
        assert "✓ 2/2" in stage.text() and "not granted" not in stage.text()
        await stage.press("right", "enter")
        assert "▲ 1/2" in stage.text() and "not granted, to read: create pods/exec in kube-system" in stage.text()


async def test_a_denied_cell_gives_the_role_that_lifts_it(tmp_path: Path) -> None:
    ports = denied(tmp_path)
    lacking = [Right(verb, "pods/exec", namespace="kube-system") for verb in ("create", "get")]
    others = (Right("list", "secrets", namespace="kube-system"), Right("create", "pods/eviction"))
    ports.gatherer.facts.append(known(fact.RIGHTS, EAST, Rights("ops", (), (*lacking, *others))))
    ports.gatherer.progress = [
        replace(told, lift="create and get pods/exec in kube-system") if told.lift else told
        for told in ports.gatherer.progress
    ]
    async with staged(ports) as stage:
        await stage.press("enter", "right", *["down"] * 4)
        assert "c copies the Role and RoleBinding" in stage.text()
        await stage.press("c")
        role = stage.app.clipboard
        assert "resources: [pods/exec], verbs: [create, get]" in role and "kind: RoleBinding" in role
        assert "secrets" not in role and "eviction" not in role and "the Role and RoleBinding" in stage.line(23)
        assert "name: meshwright-agents," in role, "another cell's role has another name: neither takes from the other"
        await stage.press("enter")
        assert "applies this to aks-east" in stage.text() and "kind: RoleBinding" in stage.text()
        await stage.press("q", *["up"] * 3)
        assert "not granted, to read: create and get pods/exec in kube-system, list secrets" in stage.text()
        assert "not granted, to join: create pods/eviction" in stage.text()
        await stage.press("c")
        whole = stage.app.clipboard
        assert "secrets" in whole and "eviction" not in whole
        assert "name: meshwright-check" in whole and "ciliumnodes" in whole, "all that rights --for check prints"


async def test_while_reading_it_counts_and_can_be_stopped(tmp_path: Path) -> None:
    ports = chosen(two_clusters(tmp_path))
    ports.gatherer.holding = True
    async with staged(ports) as stage:
        await stage.send("enter")
        await stage.until("◐ 3/9")
        await stage.until("eks-tokyo · access")
        assert "Reading facts" in stage.line(3) and "facts 0/12" in stage.line(1)
        compare(stage, "facts-reading")
        await stage.press("x")
        assert "Reading stopped" in stage.line(3) and "? cancelled" in stage.text()


async def test_reading_again_a_failed_cell_reads_only_its_cluster(tmp_path: Path) -> None:
    ports = denied(tmp_path)
    async with staged(ports) as stage:
        await stage.press("enter", "right", "down", "down", "down", "down", "r")
        assert ports.gatherer.calls == [("eks-tokyo", "aks-east"), ("aks-east",)]
        await stage.press("up", "r")
        assert ports.gatherer.calls[-1] == ("eks-tokyo", "aks-east")


async def test_above_three_clusters_rows_are_clusters(tmp_path: Path) -> None:
    refs = tuple(ref(f"eks-{number:02d}") for number in range(16))
    ports = chosen(FakePorts(tmp_path, FakeContexts(refs), FakeGatherer(basic_facts(refs))))
    async with staged(ports) as stage:
        await stage.press("enter", "end")
        assert "eks-15" in stage.text() and "✓ 6/6" in stage.text()
        await stage.press("home", "down")
        await stage.press("enter")
        assert "── eks-01 " in stage.text() and COLLECTORS[-1][1] in stage.text()
        await stage.press("escape")
        assert "Facts complete" in stage.line(3)


async def test_an_unexpected_error_opens_the_error_screen_and_the_rest_goes_on(tmp_path: Path) -> None:
    ports = chosen(two_clusters(tmp_path))
    ports.gatherer.error = KeyError("hunter2-planted")
    async with staged(ports) as stage:
        await stage.press("enter")
        text = stage.text()
        assert "Something in Meshwright failed" in text and "KeyError in " in text and "fakes.py line" in text
        assert "hunter2-planted" not in text
        await stage.press("c")
        assert "KeyError" in stage.app.clipboard and "hunter2-planted" not in stage.app.clipboard
        await stage.press("e")
        assert reports(tmp_path) == [(0o600, False)]
        ports.gatherer.error = None
        await stage.press("r")
        assert "Facts complete" in stage.text()


def reports(folder: Path) -> list[tuple[int, bool]]:
    """Mode of each report, and whether it holds the planted value."""
    return [(path.stat().st_mode & 0o777, "hunter2-planted" in path.read_text()) for path in folder.glob("error-*.txt")]


async def test_facts_are_exported_as_a_snapshot_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mesh.snapshot import load

    monkeypatch.chdir(tmp_path)
    async with staged(denied(tmp_path)) as stage:
        await stage.press("enter", "e", "tab", "tab", "tab", "tab", "enter")
        written = tmp_path / "meshwright-facts.json"
        assert f"wrote {written.name}" in stage.line(23)
        store, clusters = load(written.read_bytes())
        assert store == stage.app.session.store and set(clusters) == {"eks-tokyo", "aks-east"}


async def test_pseudonyms_leave_no_name_and_keep_what_lies_inside_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with staged(denied(tmp_path)) as stage:
        await stage.press("enter", "e", "tab", "tab", "right", "tab", "tab", "enter")
        text = (tmp_path / "meshwright-facts.json").read_text()
        assert "eks-tokyo" not in text and "aks-east" not in text and "cluster-1" in text
        json.loads(text)


async def test_while_a_run_reads_the_rail_says_reading_not_unknown(tmp_path: Path) -> None:
    async with staged(chosen(two_clusters(tmp_path))) as stage:
        await stage.press("enter")
        assert "[2 Facts✓]" in stage.line(2)
        told = CollectorProgress("eks-tokyo", "nodes", "reading", 1, 3)
        stage.app.show_session(on_events(stage.app.session, [told]))
        await stage.settle()
        assert "[2 Facts◐]" in stage.line(2)


async def test_of_all_that_could_not_be_read_the_status_names_what_the_rest_rests_on(tmp_path: Path) -> None:
    ports = chosen(two_clusters(tmp_path))
    lost = [CollectorProgress(TOKYO, name, "expired") for name, _ in reversed(COLLECTORS)]
    ports.gatherer.progress = [*lost, *(CollectorProgress(EAST, name, "done") for name, _ in COLLECTORS)]
    async with staged(ports) as stage:
        await stage.press("enter")
        assert "eks-tokyo: access could not be read (expired), and 5 more." in stage.line(23)
