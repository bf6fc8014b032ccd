"""Runs the app on fakes without a terminal: settle, read what is on the screen, draw it as a small SVG."""

import asyncio
import contextlib
import io
import os
import re
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rich.console import Console
from rich.segment import Segment
from textual import events
from textual._context import visible_screen_stack
from textual._queue import Queue
from textual.app import ScreenStackError
from textual.keys import _character_to_key
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.strip import Strip

from tests.test_tui.fakes import FakePorts
from tui.app import MeshwrightApp, Options

SNAPSHOTS = Path(__file__).parent / "__snapshots__"
ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
DEADLINE = 20.0
CELL_WIDTH, CELL_HEIGHT = 8, 17


class Stage:
    """The app under test and its pilot."""

    def __init__(self, app: MeshwrightApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def settle(self) -> None:
        """Wait until the engine is idle, every widget has handled what it has and nothing else of the loop is due,
        three times in a row.
        """
        until = time.monotonic() + DEADLINE
        quiet = 0
        while quiet < 3 and self.app.is_running:
            assert time.monotonic() < until, f"the app did not settle:\n{self.text()}"
            with contextlib.suppress(ScreenStackError):
                self.app.screen._on_timer_update()
            if self._is_waiting():
                quiet = 0
                await asyncio.sleep(0.002)
                continue
            await self._handled(until)
            due = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # of asyncio's own loops
            quiet = 0 if due or self._is_waiting() or self._has_work() else quiet + 1
            await asyncio.sleep(0)

    def _is_waiting(self) -> bool:
        """Whether the engine works, or a new size has yet to be taken."""
        busy = any(self.app.bridge.running(job) for job in list(self.app.bridge._jobs))
        return busy or any(getattr(screen, "_resizing", None) for screen in self.app.screen_stack)

    async def begun(self) -> None:
        """Wait until the first work was given out, which comes after the first frame."""
        until = time.monotonic() + DEADLINE
        while not self.app.session.collectors:
            assert time.monotonic() < until, "the app did not begin"
            await asyncio.sleep(0.002)

    def _pumps(self) -> list[MessagePump]:
        shown = [node for screen in self.app.screen_stack for node in screen.walk_children(with_self=True)]
        return [self.app, *shown]

    def _has_work(self) -> bool:
        """Whether a widget has messages, or wants to be laid out or painted; what lies under a modal is not painted."""
        if self.app._typeahead.busy or any(p.message_queue_size or p._next_callbacks for p in self._pumps()):
            return True
        if not self.app.screen_stack:
            return False
        wants = ("_layout_required", "_repaint_required", "_dirty_widgets", "_callbacks")
        shown = self.app.screen.walk_children(with_self=True)
        return any(getattr(node, flag, None) for node in shown for flag in wants)

    async def _handled(self, until: float) -> None:
        """Wait until every widget is done with what it is at and waits for its next message; an empty queue alone does
        not say so.
        """
        turns = 0
        while not all(_waits(pump) for pump in self._pumps()) and time.monotonic() < until:
            turns += 1
            await asyncio.sleep(0 if turns < 50 else 0.002)

    async def press(self, *keys: str) -> None:
        """Press keys one after another, each settled."""
        for key in keys:
            await self.send(key)
            await self.settle()

    async def send(self, key: str) -> None:
        """Press one key, without waiting for what follows."""
        name = _character_to_key(key) if len(key) == 1 else key
        event = events.Key(name, key if len(key) == 1 else {"enter": "\r", "tab": "\t"}.get(key))
        event.set_sender(self.app)
        self.app.post_message(event)

    async def until(self, text: str) -> None:
        """Wait for a text on the screen."""
        end = time.monotonic() + DEADLINE
        while text not in self.text():
            assert time.monotonic() < end, f"{text!r} did not appear:\n{self.text()}"
            await asyncio.sleep(0.005)
            self.app.screen._on_timer_update()

    def strips(self) -> list[Strip]:
        """The drawn rows, modal over place."""
        visible_screen_stack.set(self.app._background_screens)
        return self.app.screen._compositor.render_strips(self.app.size)

    def rows(self) -> list[list[Segment]]:
        """The segments of every row, modal over place."""
        app = self.app
        width, height = app.size
        console = Console(
            width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True
        )
        drawn = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
        assert drawn is not None
        segments = [segment for segment in console.render(drawn) if not segment.control]
        return list(Segment.split_lines(segments))

    def text(self) -> str:
        """What is on the screen, without styles."""
        return "\n".join(strip.text.rstrip() for strip in self.strips())

    def line(self, number: int) -> str:
        """One row, counted from 1; negative from the end."""
        rows = self.text().split("\n")
        return rows[number - 1 if number > 0 else number]


def _waits(pump: MessagePump) -> bool:
    """Whether it waits for its next message."""
    queue: Queue[Any] = pump._message_queue
    return not pump.is_running or (queue.empty() and len(queue.ready_event._waiters) > 0)


@contextlib.asynccontextmanager
async def staged(
    ports: FakePorts,
    size: tuple[int, int] = (80, 24),
    options: Options | None = None,
    environment: dict[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """The app on these ports at this size, settled after its start."""
    app = MeshwrightApp(ports, options or Options(), {**ENVIRONMENT, **(environment or {})})
    try:
        async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
            stage = Stage(app, pilot)
            await stage.begun()
            await stage.settle()
            yield stage
    finally:
        await asyncio.to_thread(app.bridge.close)


def compare(stage: Stage, name: str) -> None:
    """The screen equals its pictures: text for review, SVG for colours. MESHWRIGHT_UPDATE_SNAPSHOTS=1 renews them."""
    rows = stage.rows()
    width, height = stage.app.size
    stem = f"{name}-{width}x{height}"
    text = "\n".join("".join(segment.text for segment in row).rstrip() for row in rows) + "\n"
    for suffix, made in ((".txt", text), (".svg", svg(rows, width))):
        path = SNAPSHOTS / (stem + suffix)
        if os.environ.get("MESHWRIGHT_UPDATE_SNAPSHOTS") == "1":
            SNAPSHOTS.mkdir(exist_ok=True)
            path.write_text(made, encoding="utf-8")
        assert path.is_file(), f"{path.name} is missing: make snapshots"
        kept = path.read_text(encoding="utf-8")
        assert made == kept, f"{path.name} differs: look at it, then make snapshots\n{text}"


def svg(rows: Iterable[Iterable[Segment]], width: int) -> str:
    """A small picture of the cells: one text per row, one class per style."""
    classes: dict[str, str] = {}
    body: list[str] = []
    ground: list[str] = []
    count = 0
    for y, row in enumerate(rows):
        x, spans = 0, []
        count = y + 1
        for segment in row:
            fore, back = _css(segment)
            name = classes.setdefault(fore, f"s{len(classes)}")
            cells = segment.cell_length
            if back:
                left, top = x * CELL_WIDTH, y * CELL_HEIGHT
                area = f'x="{left}" y="{top}" width="{cells * CELL_WIDTH}" height="{CELL_HEIGHT}"'
                ground.append(f'<rect {area} fill="{back}"/>')
            if segment.text.strip():
                text = segment.text.lstrip()
                left = x + cells - Segment(text).cell_length
                spans.append(f'<tspan class="{name}" x="{left * CELL_WIDTH}">{escape(text.rstrip())}</tspan>')
            x += cells
        if spans:
            body.append(f'<text y="{y * CELL_HEIGHT + 13}">{"".join(spans)}</text>')
    style = "".join(f".{name}{{{css}}}" for css, name in classes.items())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * CELL_WIDTH} {count * CELL_HEIGHT}">'
        f"<style>text{{font:13.3px monospace;white-space:pre}}{style}</style>"
    )
    return "\n".join([head, *_merged(ground), *body, "</svg>", ""])


def _css(segment: Segment) -> tuple[str, str]:
    style = segment.style
    if style is None:
        return "", ""
    fore = style.color.get_truecolor().hex if style.color and not style.color.is_default else ""
    back = style.bgcolor.get_truecolor().hex if style.bgcolor and not style.bgcolor.is_default else ""
    if style.reverse:
        fore, back = back or "#000000", fore or "#ffffff"
    parts = [f"fill:{fore}"] if fore else []
    parts += ["font-weight:bold"] if style.bold else []
    return ";".join(parts), back


def _merged(rectangles: list[str]) -> list[str]:
    """Neighbouring cells of one ground as one rectangle."""
    made: list[tuple[int, int, int, str]] = []
    for text in rectangles:
        found = re.findall(r'"([^"]*)"', text)
        x, y, width, colour = int(found[0]), int(found[1]), int(found[2]), found[4]
        if made and made[-1][1] == y and made[-1][3] == colour and made[-1][0] + made[-1][2] == x:
            made[-1] = (made[-1][0], y, made[-1][2] + width, colour)
        else:
            made.append((x, y, width, colour))
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{CELL_HEIGHT}" fill="{colour}"/>'
        for x, y, width, colour in made
    ]


def control_bytes(stage: Stage) -> list[str]:
    """Texts on the screen that hold a control character or a bidi override."""
    bad = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
    return [segment.text for row in stage.rows() for segment in row if bad.search(segment.text)]
