"""Whatever a cluster calls itself: no crash, no live markup, no control byte, no torn row, on any screen and size."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from mesh import catalogue as fact
from mesh.events import CollectorProgress, StepOutput
from mesh.facts import Reason
from mesh.model.context import Access, FileProblem, Provider
from tests.test_mesh import worlds as mesh_worlds
from tests.test_mesh.members import aks, eks
from tests.test_screens.stage import Stage, control_bytes, staged
from tests.test_tui.fakes import COLLECTORS, FakeContexts, FakeGatherer, FakePorts, FixedClock, peek, ref
from tests.test_tui.worlds import chosen, with_services
from tui.session import RunView

MARKUP = "[/] [b + x [@click=app.bell()]x[/] [red]a[0]"
ESCAPES = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\x00\x08‮evil⁦"
LONG = "n" * 300
WIDE = "クラスタ東京👩‍👩‍👧‍👦é"
EVIL = f"{MARKUP}{ESCAPES}"
NAMES = {"markup": MARKUP, "escapes": f"a{ESCAPES}b", "long": LONG, "wide": WIDE, "all": f"{EVIL} {WIDE} {LONG}"}
SIZES = [(80, 24), (160, 50), (60, 18), (44, 13)]


def hostile(folder: Path, name: str) -> FakePorts:
    """A pair whose every name, text and error is hostile, past every boundary that would have cleaned it."""
    world = mesh_worlds.build((eks(f"{name}1", 1), aks(f"{name}2", 2)), connected=False, planned=True)
    with_services_of = with_services if len(world.clusters) == 2 else None
    assert with_services_of is not None
    keys = world.clusters
    for key in keys:
        nodes = tuple(replace_name(node, f"{name}{node.name}") for node in world.get(fact.NODES, key))
        world.put(fact.NODES, key, nodes)
    world.lose(fact.AGENTS, keys[0], Reason.FORBIDDEN, f"lift {name}")
    refs = tuple(
        ref(key, Provider.EKS, f"/{name}/config", context=name, server=f"https://{name}", region=name, account=name)
        for key in keys
    )
    peeks = {keys[0]: peek(keys[0], Access.PARTIAL, detail=name, missing=(name, name), login=(name,), where=name)}
    problems = (FileProblem(f"/{name}", name, name),)
    progress = [
        CollectorProgress(key, collector, "denied", text=name, detail=f"{name}\n{name}", lift=name)
        for key in keys
        for collector, _ in COLLECTORS
    ]
    ports = FakePorts(folder, FakeContexts(refs, peeks, problems), FakeGatherer(list(world.facts.items()), progress))
    ports.clock = FixedClock(1_760_000_005.0)
    return chosen(ports)


def replace_name(node: object, name: str) -> object:
    """The same node under another name."""
    fields = {field: getattr(node, field) for field in node.__struct_fields__}  # type: ignore[attr-defined]  # a Node
    return type(node)(**{**fields, "name": name})


def harmless(stage: Stage, what: str) -> None:
    """No control byte, and every row exactly as wide as the terminal."""
    assert control_bytes(stage) == [], what
    width, height = stage.app.size
    rows = stage.rows()
    assert len(rows) == height, what
    for number, row in enumerate(rows, 1):
        assert sum(segment.cell_length for segment in row) == width, f"{what}, row {number}"
        assert all(cell_len(segment.text) == segment.cell_length for segment in row)


@pytest.mark.parametrize(
    ("kind", "size"), [*((kind, SIZES[0]) for kind in NAMES), *(("all", size) for size in SIZES[1:])]
)
async def test_every_place(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    name = NAMES[kind]
    async with staged(hostile(tmp_path, name), size) as stage:
        harmless(stage, "clusters")
        await stage.press("right", "escape")
        harmless(stage, "context")
        await stage.press("enter", "down")
        harmless(stage, "facts")
        await stage.press("enter")
        harmless(stage, "cell")
        await stage.press("escape", "3", "z")
        harmless(stage, "preconditions")
        await stage.press("enter", "v")
        harmless(stage, "finding")
        await stage.press("n", "escape", "4", "down", "enter")
        harmless(stage, "step")
        await stage.press("escape", "4", "g", "enter")
        harmless(stage, "edit")
        await stage.press("escape", "escape", "6", "right", "down")
        harmless(stage, "mesh")
        await stage.press("m", "question_mark")
        harmless(stage, "help")
        assert stage.app.fatal is None


@pytest.mark.parametrize("kind", ["escapes", "all"])
async def test_boxes_announcements_and_a_run(tmp_path: Path, kind: str) -> None:
    from screens.confirm import Confirm
    from screens.login import Login

    name = NAMES[kind]
    async with staged(hostile(tmp_path, name)) as stage:
        app = stage.app
        await stage.press("enter")
        app.tell(f"{name} happened")
        app.push_screen(Login(app.session.refs[0], (name, name)))
        await stage.settle()
        harmless(stage, "login")
        await stage.press("escape")
        plan = app.session.plan
        if plan is not None:
            app.push_screen(Confirm(plan, (name,)))
            await stage.settle()
            harmless(stage, "confirm")
            await stage.press("escape")
            app.show_session(replace(app.session, run=RunView(plan, 1, "running", refusal=name, summary=name)))
            first = plan.todo()[0].id
            app.logs.add([StepOutput(first, 0.0, text) for text in (name, f"$ {name}", f"09:41:07 ✗ {name}")])
        await stage.press("5")
        harmless(stage, "set-up")
        await stage.press("e")
        harmless(stage, "export")
        await stage.press("escape", "ctrl+p")
        harmless(stage, "palette")
        await stage.press("escape")
        assert app.fatal is None


async def test_markup_is_text_and_no_link(tmp_path: Path) -> None:
    async with staged(hostile(tmp_path, MARKUP)) as stage:
        assert "[@click=app.bell()]" in stage.text() or "[b + x" in stage.text()
        for row in stage.rows():
            assert not any(segment.style and segment.style.meta.get("@click") for segment in row)
