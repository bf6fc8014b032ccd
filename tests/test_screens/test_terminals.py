"""Sizes, ASCII, no colour, the terminal's own colours: nothing is told by colour or a large screen alone."""

from pathlib import Path

import pytest

from mesh.finding import State
from tests.test_screens.stage import compare, staged
from tests.test_tui import samples
from tests.test_tui.fakes import two_clusters
from tests.test_tui.worlds import bare, many, of_world
from tui import themes
from tui.app import Options

PLACES = ("1", "2", "3", "4", "5", "6")


@pytest.mark.parametrize(("width", "height"), [(38, 10), (39, 24), (80, 11)])
async def test_too_small_says_so_and_works_again_when_larger(tmp_path: Path, width: int, height: int) -> None:
    async with staged(many(tmp_path), (width, height)) as stage:
        words = " ".join(stage.text().split())
        assert words == f"Terminal is {width}x{height}; Meshwright needs 40x12 (best 80x24)"
        await stage.pilot.resize_terminal(80, 24)
        await stage.until("Choose the clusters to join")
        await stage.press("down")
        assert "▸" in stage.text()


@pytest.mark.parametrize("size", [(60, 18), (40, 12), (79, 40), (120, 30)])
async def test_every_place_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    async with staged(of_world(tmp_path, bare()), size) as stage:
        await stage.press("enter")
        for place in PLACES:
            await stage.press(place)
            rows = stage.text().split("\n")
            assert len(rows) == size[1] and any(row.strip() for row in rows[:4])
            if place == "3":
                assert "CM0403" in stage.text()
        if size == (60, 18):
            await stage.press("3")
            assert "‹ 3/6 Preconditions ✗ ›" in stage.line(2)


async def test_a_new_size_keeps_the_cursor(tmp_path: Path) -> None:
    async with staged(many(tmp_path)) as stage:
        await stage.press("down", "down", "down")
        assert "aks-east" in next(row for row in stage.text().split("\n") if row.startswith("▸"))
        for size in ((60, 18), (44, 13), (160, 50), (80, 24)):
            await stage.pilot.resize_terminal(*size)
            await stage.pilot.pause(0.15)
            await stage.settle()
            assert "aks-east" in next(row for row in stage.text().split("\n") if row.startswith("▸"))


@pytest.mark.parametrize("environment", [{"LANG": "en_US.ISO-8859-1"}, {"TERM": "linux"}, {}])
async def test_ascii_terminals_get_ascii_only(tmp_path: Path, environment: dict[str, str]) -> None:
    options = Options(ascii=None if environment else True)
    async with staged(of_world(tmp_path, bare()), (80, 24), options, environment) as stage:
        texts = [stage.text()]
        await stage.press("enter")
        for place in PLACES:
            await stage.press(place)
            texts.append(stage.text())
        await stage.press("4", "g", "enter")
        texts.append(stage.text())
        await stage.press("escape", "escape", "e")
        texts.append(stage.text())
        await stage.press("escape", "question_mark", "tab", "tab")
        texts.append(stage.text())
        for text in texts:
            assert text.isascii(), [char for char in text if not char.isascii()]
        assert "[x]" in texts[0]


async def test_states_are_told_without_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with samples.fixed_words(monkeypatch):
        for options, signs in ((Options(), "✓i▲✗?⊘–E"), (Options(ascii=True), None)):
            async with staged(two_clusters(tmp_path), (80, 30), options) as stage:
                stage.app.show_session(samples.session(stage.app.session))
                await stage.press("3", "a")
                text = stage.text()
                wanted = list(signs) if signs else ["ok", "i", "!", "x", "?", "#", "-", "E"]
                seen = {row[1:3].strip() for row in text.split("\n") if row[3:6].startswith("CM")}
                assert set(wanted) == seen
                for state in State:
                    assert f"{state.value} " in stage.line(29)


async def test_no_color_has_no_colour_but_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(of_world(tmp_path, bare()), environment={"NO_COLOR": "1"}) as stage:
        await stage.press("enter", "3")
        app = stage.app
        styles = [
            segment.style
            for strip in app.screen._compositor.render_strips()
            for line in [strip.apply_filter(f, app.screen.background_colors[1]) for f in app._filters if f.enabled][-1:]
            for segment in line
            if segment.style is not None
        ]
        coloured = [style for style in styles if style.color and not style.color.is_default]
        assert not coloured, coloured[:3]
        assert any(style.reverse for style in styles) and any(style.bold for style in styles)
        compare(stage, "preconditions-no-color")


@pytest.mark.parametrize("theme", [themes.ANSI_DARK, themes.ANSI_LIGHT, themes.LIGHT])
async def test_other_themes(tmp_path: Path, theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with samples.fixed_words(monkeypatch):
        async with staged(two_clusters(tmp_path), options=Options(theme=theme)) as stage:
            stage.app.show_session(samples.session(stage.app.session))
            await stage.press("3", "down")
            assert stage.app.theme == theme
            compare(stage, f"preconditions-{theme}")


async def test_a_chosen_theme_is_remembered(tmp_path: Path) -> None:
    ports = two_clusters(tmp_path)
    async with staged(ports) as stage:
        assert stage.app.theme == themes.DARK
        stage.app.theme = themes.LIGHT
        await stage.settle()
        assert ports.store.get("theme") == themes.LIGHT
    async with staged(ports) as stage:
        assert stage.app.theme == themes.LIGHT


async def test_keys_can_be_remapped_by_id(tmp_path: Path) -> None:
    ports = many(tmp_path)
    ports.store.put("keys", {"app.copy": "y", "go.plan": "f4"})
    async with staged(ports) as stage:
        assert "y copy" in stage.line(24) and "c copy" not in stage.line(24)
        await stage.press("y")
        assert "copied" in stage.line(23)
        await stage.press("f4")
        assert stage.app.place == "plan"
