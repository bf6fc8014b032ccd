"""Help and palette: made from the keys there are, and only from them."""

from pathlib import Path

import pytest

from tests.test_screens.stage import staged
from tests.test_tui.worlds import bare, many, of_world
from tui.present.frame import PLACES
from tui.present.lines import width_of
from tui.widgets.rows import TextPane


@pytest.mark.parametrize("place", [place.key for place in PLACES])
async def test_every_key_of_a_place_is_in_its_help(tmp_path: Path, place: str) -> None:
    async with staged(of_world(tmp_path, bare()), (120, 50)) as stage:
        await stage.press("enter", place)
        keys = stage.app.screen.KEYS  # type: ignore[attr-defined]  # a place
        await stage.press("question_mark")
        text = stage.text()
        for key in keys:
            if key.id not in ("app.next_step", "app.prev_step", "app.out", "app.back", "app.help"):
                assert key.help in text, key.id
        await stage.press("escape")
        assert stage.app.place == next(item.id for item in PLACES if item.key == place)


@pytest.mark.parametrize("place", [place.key for place in PLACES])
async def test_nothing_that_help_tells_is_cut_on_a_narrow_screen(tmp_path: Path, place: str) -> None:
    async with staged(of_world(tmp_path, bare()), (60, 18)) as stage:
        await stage.press("enter", place, "question_mark")
        for _ in range(4):
            drawn = stage.app.screen.query_one("#text", TextPane).drawn
            assert drawn and max(width_of(row) for row in drawn) <= 60
            await stage.press("tab")


async def test_pages_turn_and_can_be_searched(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("question_mark")
        await stage.press("tab")
        assert "clusters.choose" in stage.text()
        await stage.press("tab")
        for word in ("PASS", "INFO", "WARN", "FAIL", "UNKNOWN", "BLOCKED", "N/A", "ERROR"):
            assert word in stage.text()
        await stage.press("tab")
        assert "One-way VXLAN" in stage.text()
        await stage.press("tab")
        assert "version" in stage.text() and "80x24" in stage.text()
        await stage.press("tab", "slash", *"sign in", "enter")
        assert "sign in" in stage.text() and "copy" not in stage.line(5)


async def test_copying_about_is_offered_on_about_alone(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("question_mark", "c")
        assert "copy About" not in stage.line(24) and "c is off" in stage.line(23) and not stage.app.clipboard
        await stage.press("shift+tab")
        assert "c copy About" in stage.line(24)
        await stage.press("c")
        assert "version:" in stage.app.clipboard


async def test_no_help_names_what_is_not_there(tmp_path: Path) -> None:
    async with staged(many(tmp_path), (160, 50)) as stage:
        await stage.press("question_mark")
        pages = []
        for _ in range(5):
            pages.append(stage.text())
            await stage.press("tab")
        text = "\n".join(pages)
        for absent in ("Doctor", "Settings", "7 Services", "Journal", "Paths", "drawer", "What-if"):
            assert absent not in text


async def test_the_palette_finds_keys_and_places_by_name(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("ctrl+p")
        await stage.press(*"preconditions")
        await stage.until("Go to Preconditions")
        await stage.press("down", "enter")
        await stage.until("[3 Preconditions")
