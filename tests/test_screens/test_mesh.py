"""Mesh: map, services, selection, what a link says, nothing connected yet."""

import asyncio
import threading
from pathlib import Path

import pytest

from mesh import catalogue as fact
from mesh.model.cilium import AgentHealth, HealthPeer
from tests.test_mesh import changes, members
from tests.test_mesh import worlds as mesh_worlds
from tests.test_screens.stage import staged
from tests.test_tui.fakes import FixedClock, two_clusters
from tests.test_tui.worlds import EAST, SERVICES, TOKYO, bare, joining, of_world, pair, with_services
from tui.widgets.canvas_view import CanvasView
from tui.work.running import PAUSE


def probed(world: mesh_worlds.World, sick: tuple[str, ...] = ()) -> mesh_worlds.World:
    """Every agent has probed every node; endpoints between the ``sick`` clusters do not answer."""
    for member in world.members:
        peers = []
        for other in world.members:
            answer = "timeout" if {member.key, other.key} == set(sick) else ""
            for node in world.get(fact.NODES, other.key):
                peers.append(HealthPeer(other.cluster_name, node.name, "", "", answer, answer))
        nodes = world.get(fact.NODES, member.key)
        world.put(fact.HEALTH, member.key, tuple(AgentHealth(node.name, tuple(peers)) for node in nodes))
    return world


async def test_it_says_what_it_needs_first(tmp_path: Path) -> None:
    async with staged(two_clusters(tmp_path)) as stage:
        await stage.press("6")
        assert "The mesh needs clusters: press 1" in stage.text()
        await stage.press("m", "a", "e", "c", "tab")
        assert stage.app.place == "mesh"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_healthy_pair_with_services(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, probed(with_services(pair(), SERVICES))), size) as stage:
        await stage.press("enter", "6", "right")
        text = stage.text()
        assert "[Map] Services" in text and "1 link: 1✓" in text and "[6 Mesh✓]" in text
        assert "control ▶" in text and "one-way ◀" in text and "endpoints" in text
        await stage.press("m")
        assert "Map [Services]" in stage.text() and "auth/jwt" in stage.text()


async def test_a_mesh_without_global_services_says_how_one_is_made(tmp_path: Path) -> None:
    world = bare()
    for key in world.clusters:
        world.put(fact.SERVICES, key, ())
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6")
        assert "No Service is global" not in stage.text()
        await stage.press("m")
        assert "No Service is global" in stage.text() and "service.cilium.io/global" in stage.text()
        await stage.press("enter")
        assert "Map [Services]" in stage.text() and "nothing is selected" in stage.text()
        await stage.press("m")
        assert "No Service is global" not in stage.text() and "[Map]" in stage.text()


async def test_services_that_were_not_read_are_not_taken_for_none(tmp_path: Path) -> None:
    world = bare()
    world.put(fact.SERVICES, TOKYO, ())
    world.lose(fact.SERVICES, EAST)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6", "m")
        assert "No Service is global" not in stage.text()
        assert "No global service is known" in stage.text() and EAST in stage.line(5) + stage.line(6)


async def test_one_way_trouble_is_directed_and_names_its_cause(tmp_path: Path) -> None:
    world = probed(pair(), (TOKYO, EAST))
    changes.without_rule(TOKYO, 8472)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6", "tab")
        text = stage.text()
        assert "✗ data ◀" in text and "1 link: 1✗" in text
        assert "one-way ◀  ✗" in text and "one-way ▶  ✓" in text and "CM0403" in text
        await stage.press("enter")
        assert "one-way ◀" in stage.text()
        await stage.press("c")
        assert "CM0403" in stage.app.clipboard


async def test_enter_shows_what_the_panel_sums_up(tmp_path: Path) -> None:
    world = probed(pair(), (TOKYO, EAST))
    changes.without_rule(TOKYO, 8472)(world)
    async with staged(of_world(tmp_path, world), (80, 80)) as stage:
        await stage.press("enter", "6", "tab", "enter")
        text = stage.text()
        assert f"AGENTS of {TOKYO} → {EAST}" in text and f"CILIUM-HEALTH of {EAST} → {TOKYO}" in text
        assert f"{TOKYO}-node-0: ready, " in text and f"{TOKYO}-node-0 → all: pod ping timed out; pod http" in text
        assert "✗ CM0403" in text and "✓ CM0701" in text
        await stage.press("q", "left", "enter")
        text = stage.text()
        assert "NODES" in text and f"✓ {TOKYO}-node-2: ready" in text and "CHECKS" in text


async def test_what_no_agent_could_say_is_unknown_in_full(tmp_path: Path) -> None:
    world = probed(pair())
    world.lose(fact.AGENTS, EAST)
    async with staged(of_world(tmp_path, world), (80, 60)) as stage:
        await stage.press("enter", "6", "right", "enter")
        rows = stage.text().split("\n")
        place = next(number for number, row in enumerate(rows) if f"AGENTS of {EAST}" in row)
        assert rows[place + 1].strip().startswith("?")


async def test_not_connected_yet_leads_to_the_plan(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "6", "right")
        assert "◌ not connected" in stage.text() and "no Cilium yet" in stage.text()
        await stage.press("enter")
        assert stage.app.place == "plan"


async def test_three_clusters_are_drawn_and_what_does_not_touch_is_dimmed(tmp_path: Path) -> None:
    world = mesh_worlds.build((members.eks(TOKYO, 1), members.aks(EAST, 2), members.eks("eks-dr", 3, "192.169")))
    async with staged(of_world(tmp_path, probed(world)), (120, 40)) as stage:
        await stage.press("enter", "6")
        seen = {stage.app.screen.query_one("#canvas").selected}  # type: ignore[attr-defined]  # a CanvasView
        for key in ("right", "right", "down", "left", "down", "right"):
            await stage.press(key)
            seen.add(stage.app.screen.query_one("#canvas").selected)  # type: ignore[attr-defined]  # a CanvasView
        assert len(seen) >= 4 and "3 links: 3✓" in stage.text()


@pytest.mark.parametrize("size", [(80, 24), (90, 24), (120, 24)])
async def test_the_views_are_never_cut_and_what_lies_below_is_counted(tmp_path: Path, size: tuple[int, int]) -> None:
    world = mesh_worlds.build((members.eks(TOKYO, 1), members.aks(EAST, 2), members.eks("eks-dr", 3, "192.169")))
    async with staged(of_world(tmp_path, probed(with_services(world, SERVICES))), size) as stage:
        await stage.press("enter", "6")
        canvas = stage.app.screen.query_one(CanvasView)
        assert "[Map] Services ─" in stage.line(3)
        below = len(canvas.drawing.rows) - canvas.room.height
        assert below > 0 and f"{below} row" in stage.line(3)
        assert canvas.drawing.width <= canvas.room.width and not canvas.show_horizontal_scrollbar
        await stage.press("pagedown", "pagedown")
        assert "below" not in stage.line(3)


async def test_tab_finds_the_sick_and_says_when_nothing_is(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, probed(pair()))) as stage:
        await stage.press("enter", "6", "tab")
        assert "nothing is sick" in stage.line(23)


async def test_a_cluster_whose_settings_were_not_read_is_not_called_without_cilium(tmp_path: Path) -> None:
    world = probed(pair())
    changes.lose(fact.SETTINGS.name, EAST)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6")
        assert "Cilium not read" in stage.text() and "no Cilium yet" not in stage.text()
        await stage.press("right")
        assert "control ▶  ? peer's name not read" in stage.text() and "control ◀  ✓ 3/3 agents" in stage.text()
        assert "not connected" not in stage.text()


async def test_tab_leads_from_well_services_to_the_sick_link_on_the_map(tmp_path: Path) -> None:
    world = probed(pair(), (TOKYO, EAST))
    changes.without_rule(TOKYO, 8472)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6", "m")
        assert "is down. Tab jumps to the next sick thing." in stage.line(23)
        await stage.press("tab")
        assert "[Map]" in stage.line(3) and "one-way ◀  ✗" in stage.text()


async def test_enter_is_named_after_where_it_leads(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "6")
        assert "⏎ open" in stage.line(24)
        await stage.press("right")
        assert "⏎ plan" in stage.line(24)


class HeldClock(FixedClock):
    """Stands still for who waits to ask the agents' health again, until it is let go."""

    def __init__(self) -> None:
        super().__init__(members.NOW + 5)
        self.go = threading.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds == PAUSE:
            await asyncio.to_thread(self.go.wait, 20)
        await super().sleep(seconds)


async def test_after_a_join_what_is_only_late_is_said_to_be_late(tmp_path: Path) -> None:
    ports = joining(tmp_path, after=probed(pair(), (TOKYO, EAST)))
    ports.clock = clock = HeldClock()
    async with staged(ports) as stage:
        await stage.press("enter", "4", "A", *TOKYO, "tab", *EAST, "tab", "tab")
        # Not settled from here on: what waits for the next reading keeps the engine from being idle.
        await stage.send("enter")
        await stage.until("Joined in")
        await stage.send("6")
        await stage.until("lags behind a join")
        said = stage.line(23).strip()
        assert said.startswith("cilium-health lags behind a join") and said.endswith("endpoints 0/18 so far.")
        assert "? data" in stage.text() and "1 link: 1?" in stage.text()
        assert "✗0 ▲0 ?1" in stage.line(1) and "[6 Mesh?]" in stage.line(2)
        assert "is down" not in stage.text()
        clock.go.set()
        await stage.until("is down")
        assert "✗1 ▲0 ?0" in stage.line(1) and "[6 Mesh✗]" in stage.line(2) and "1 link: 1✗" in stage.text()


async def test_what_cilium_health_alone_says_counts_in_the_header_beside_the_map(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, probed(pair(), (TOKYO, EAST)))) as stage:
        await stage.press("enter", "6")
        assert f"{TOKYO} ⇄ {EAST} is down" in stage.line(23)
        assert "✗1 ▲0 ?0" in stage.line(1)
        await stage.press("3")
        assert "✗0 ▲0 ?0" in stage.line(1) and "6 Mesh✗" in stage.line(2)


async def test_what_the_checks_found_is_not_counted_twice(tmp_path: Path) -> None:
    world = probed(pair(), (TOKYO, EAST))
    changes.without_rule(TOKYO, 8472)(world)
    async with staged(of_world(tmp_path, world)) as stage:
        await stage.press("enter", "6")
        assert "✗1 ▲0 ?0" in stage.line(1)
