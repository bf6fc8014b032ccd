"""Lists, log panes and canvases by themselves: cursors by key, floods, following, selections."""

import time
from collections.abc import Sequence
from typing import ClassVar

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from mesh.draw.map import draw_map
from tests.test_tui import samples
from tui import themes
from tui.present.lines import Row, line
from tui.widgets.canvas_view import CanvasView
from tui.widgets.log_pane import LogPane
from tui.widgets.rows import RowList, TextPane
from tui.widgets.styled import PALETTE


class Ground(Screen[None]):
    """A screen with the styles of tokens."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PALETTE


class Bench(App[None]):
    """One widget."""

    CSS = themes.token_css() + ".t-cursor{background:$primary;} .t-cursor-blurred{background:$panel;}"

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def get_default_screen(self) -> Ground:
        return Ground()

    def compose(self) -> ComposeResult:
        yield self.widget


def rows(names: Sequence[str]) -> list[Row]:
    """A heading, then a row per name."""
    return [Row("", (line("heading"),)), *(Row(name, (line(f" {name}", ("!", "fail")),)) for name in names)]


def shown(widget: Widget) -> list[str]:
    """The rows of a widget as text."""
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


async def test_updates_move_neither_cursor_nor_view() -> None:
    listed = RowList()
    async with Bench(listed).run_test(size=(20, 6)) as pilot:
        listed.set_rows(rows([f"n{number:02d}" for number in range(40)]))
        await pilot.pause()
        assert listed.cursor == "n00" and shown(listed)[0] == "heading"
        for _ in range(20):
            listed.action_move(1)
        await pilot.pause()
        before = shown(listed)
        listed.set_rows(rows([*(f"a{number}" for number in range(9)), *(f"n{number:02d}" for number in range(40))]))
        await pilot.pause()
        assert listed.cursor == "n20" and shown(listed) == before


async def test_a_cursor_whose_row_is_gone_stays_in_its_place() -> None:
    listed = RowList()
    async with Bench(listed).run_test(size=(20, 6)) as pilot:
        listed.set_rows(rows(["a", "b", "c"]))
        listed.cursor = "b"
        listed.set_rows(rows(["a", "c"]))
        await pilot.pause()
        assert listed.cursor == "c"
        listed.set_rows(rows(["a"]))
        assert listed.cursor == "a"
        listed.set_rows([Row("", (line("nothing"),))])
        assert listed.cursor == ""
        await pilot.press("down", "end", "pageup")


async def test_keys_page_and_end_and_clicks_choose() -> None:
    listed = RowList()
    async with Bench(listed).run_test(size=(20, 6)) as pilot:
        listed.set_rows(rows([f"n{number:02d}" for number in range(40)]))
        listed.focus()
        await pilot.press("end")
        assert listed.cursor == "n39" and "n39" in shown(listed)[-1]
        await pilot.press("home", "pagedown")
        assert listed.cursor == "n05"
        await pilot.press("home")
        await pilot.click(listed, offset=(3, 3))
        assert listed.cursor == "n02"
        assert shown(listed)[3].startswith("▸")


async def test_a_log_is_bounded_and_keeps_up_with_a_flood() -> None:
    log = LogPane(max_lines=10_000)
    async with Bench(log).run_test(size=(60, 10)) as pilot:
        batch = [f"09:41:07 line {number}" for number in range(1_000)]
        began = time.process_time()
        for _ in range(200):
            log.append_lines(batch)
        spent = time.process_time() - began
        await pilot.pause()
        assert log.total == 200_000 and len(log.lines) == 10_000
        assert shown(log)[-1].endswith("line 999") and log.follow
        assert spent < 4.0, f"200,000 lines took {spent:.1f} s of CPU"


async def test_a_log_that_was_scrolled_stays_where_it_is() -> None:
    log = LogPane(max_lines=50)
    async with Bench(log).run_test(size=(60, 10)) as pilot:
        log.append_lines([f"line {number}" for number in range(40)])
        log.focus()
        await pilot.press("pageup")
        assert not log.follow
        before = shown(log)
        log.append_lines([f"more {number}" for number in range(8)])
        await pilot.pause()
        assert shown(log) == before
        log.append_lines([f"many {number}" for number in range(10)])
        await pilot.pause()
        assert shown(log)[3:] == before[3:] or shown(log)[0] == before[0]
        await pilot.press("end")
        assert log.follow and "many 9" in shown(log)[-1]


async def test_a_log_is_filtered_and_selected() -> None:
    log = LogPane()
    async with Bench(log).run_test(size=(60, 10)) as pilot:
        log.append_lines(["$ helm upgrade", "09:41:07 ✗ it failed", "09:41:08 fine"])
        assert log.find("FAILED") == 1 and "it failed" in shown(log)[0] and "fine" not in shown(log)[1]
        log.append_lines(["09:41:09 failed again", "09:41:10 well"])
        assert log.shown == ["09:41:07 ✗ it failed", "09:41:09 failed again"]
        assert log.find("") == 5
        await pilot.pause()
        log.text_select_all()
        await pilot.pause()
        assert "helm upgrade" in (log.screen.get_selected_text() or "")


async def test_a_text_pane_is_made_for_its_width() -> None:
    pane = TextPane()
    async with Bench(pane).run_test(size=(30, 5)) as pilot:
        pane.show(lambda width: [line("x" * width)])
        await pilot.pause()
        assert shown(pane)[0] == "x" * 30
        await pilot.resize_terminal(12, 5)
        await pilot.pause()
        assert shown(pane)[0] == "x" * 12


@pytest.mark.parametrize("start", ["cluster:eks-tokyo", "link:eks-tokyo|aks-east"])
async def test_every_region_of_a_picture_can_be_reached_by_arrows(start: str) -> None:
    canvas = CanvasView()
    async with Bench(canvas).run_test(size=(100, 30)) as pilot:
        canvas.show(draw_map(samples.PICTURE, 100))
        canvas.focus()
        canvas.selected = start
        wanted = {f"{region.kind}:{region.id}" for region in canvas.drawing.regions}
        seen, edge = {start}, [start]
        while edge:
            here = edge.pop()
            for key in ("left", "right", "up", "down"):
                canvas.selected = here
                await pilot.press(key)
                if canvas.selected not in seen:
                    seen.add(canvas.selected)
                    edge.append(canvas.selected)
        assert seen == wanted


async def test_a_picture_of_fifty_clusters_is_drawn_in_time() -> None:
    from itertools import combinations

    from mesh.model.picture import MeshPicture

    boxes = tuple(samples._box(f"c{n:02d}", n + 1, "AWS", "10.0.0.0/16", ("n1", "n2")) for n in range(50))
    links = tuple(samples._link(a.key, b.key) for a, b in combinations(boxes, 2))
    canvas = CanvasView()
    async with Bench(canvas).run_test(size=(160, 50)) as pilot:
        began = time.process_time()
        canvas.show(draw_map(MeshPicture(boxes, links, ()), 160))
        drawn = [canvas.render_line(y) for y in range(50)]
        assert time.process_time() - began < 0.5
        assert len(drawn) == 50
        await pilot.pause()


async def test_what_does_not_fit_ends_with_an_ellipsis_before_the_scroll_bar() -> None:
    pane = LogPane()
    async with Bench(pane).run_test(size=(20, 4)) as pilot:
        pane.replace(["short", "exactly nineteen ce", "one cell more than it"])
        await pilot.pause()
        assert shown(pane)[:3] == [" short", " exactly nineteen ce", " one cell more than…"]
        pane.append_lines([f"line {number} of a long text" for number in range(9)])
        await pilot.pause()
        bar = pane.scrollbar_size_vertical
        assert bar and all(cell_len(row) == 20 - bar and row.endswith("…") for row in shown(pane))
        assert pane.lines[2] == "one cell more than it"


async def test_rows_that_do_not_fit_end_with_an_ellipsis_and_blanks_do_not() -> None:
    listed = RowList()
    async with Bench(listed).run_test(size=(12, 6)) as pilot:
        texts = {"a": " fits well ", "b": " is a bit too long", "c": " blanks      "}
        listed.set_rows([Row(key, (line((text, "")),)) for key, text in texts.items()])
        await pilot.pause()
        assert [row[1:] for row in shown(listed)[:3]] == ["fits well", "is a bit t…", "blanks"]
