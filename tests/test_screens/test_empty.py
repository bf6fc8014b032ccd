"""Places that have nothing to show: what they need is said, Enter leads there, no key of the footer is dead."""

from pathlib import Path

import pytest

from tests.test_screens.stage import staged
from tests.test_tui.fakes import FakeContexts, FakePorts, ref
from tests.test_tui.worlds import bare, of_world

PLACES = {"2": "facts", "3": "preconditions", "4": "plan", "6": "mesh"}
SIZES = [(80, 24), (60, 18)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", PLACES)
async def test_without_clusters_enter_leads_to_where_they_are_chosen(
    tmp_path: Path, key: str, size: tuple[int, int]
) -> None:
    ports = FakePorts(tmp_path, FakeContexts((ref("alone"),)))
    async with staged(ports, size) as stage:
        await stage.press(key)
        assert not stage.app.session.chosen and "clusters: press 1" in stage.text()
        assert "⏎ clusters" in stage.line(-1)
        await stage.press("enter")
        assert stage.app.place == "clusters"


@pytest.mark.parametrize("key", ["3", "4", "6"])
async def test_without_facts_enter_leads_to_where_they_are_read_and_reads_them_there(tmp_path: Path, key: str) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        assert len(stage.app.session.chosen) == 2
        await stage.press(key)
        assert "press 2, then r" in stage.text() and "⏎ facts" in stage.line(24)
        await stage.press("enter")
        assert stage.app.place == "facts" and "⏎ read facts" in stage.line(24) and "r read " in stage.line(24)
        await stage.press("enter")
        assert "Facts complete" in stage.line(3) and "⏎ details" in stage.line(24)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5", "6"])
async def test_a_key_that_does_nothing_says_why(tmp_path: Path, key: str, size: tuple[int, int]) -> None:
    async with staged(FakePorts(tmp_path), size) as stage:
        await stage.press(key)
        screen = stage.app.screen
        footed = [item for item in getattr(screen, "KEYS", ()) if item.label and item.name != "help"]
        assert footed
        for item in footed:
            await stage.press(key)
            before = (stage.app.place, stage.text())
            stage.app.said = ""
            await stage.press(item.keys.split(",")[0])
            said = stage.app.said
            moved = stage.app.place != before[0] or stage.app.screen is not screen or stage.text() != before[1]
            assert said or moved, f"{item.name} is dead at {before[0]}"
            await stage.press("escape")


async def test_right_is_grey_where_nothing_is_folded(tmp_path: Path) -> None:
    async with staged(of_world(tmp_path, bare())) as stage:
        await stage.press("enter", "3", "a", "right")
        assert "nothing is folded under this row" in stage.line(23)
