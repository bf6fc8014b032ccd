"""Acceptance walk-throughs of the screen design, keystroke by keystroke, on a real pseudo-terminal against the lab."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(80, 24), (60, 18)]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An empty home and state, a plain locale."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR")}
    return {
        **kept,
        "HOME": str(folder),
        "MESHWRIGHT_STATE_DIR": str(folder / "state"),
        "TERM": "tmux-256color",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        **more,
    }


@contextmanager
def demo(folder: Path, scenario: str, size: tuple[int, int] = (80, 24), **more: str) -> Iterator[Terminal]:
    """``meshwright demo`` with a scenario, twenty times as fast as time."""
    words = ["demo", "--scenario", scenario, "--speed", "20", "--seed", "7"]
    argv = [sys.executable, "-c", "import sys; from tui.__main__ import main; sys.exit(main())", *words]
    with Terminal(
        argv, columns=size[0], rows=size[1], env=environment(folder, **more), whole=True, cwd=str(folder)
    ) as shown:
        yield shown


def row(terminal: Terminal, *parts: str) -> str:
    """The row of the screen that holds all these parts, or ""."""
    return next((line for line in terminal.lines() if all(part in line for part in parts)), "")


def until_row(terminal: Terminal, *parts: str, deadline: float = 30.0) -> str:
    """Read until one row holds all these parts."""
    end = time.monotonic() + deadline
    while not row(terminal, *parts):
        alive = terminal.read(0.2)
        assert alive and time.monotonic() < end, f"no row with {parts}:\n{terminal.text()}"
    return row(terminal, *parts)


def rail(terminal: Terminal) -> str:
    """The rail, or its short form."""
    return terminal.lines()[1]


def at(terminal: Terminal, place: str, deadline: float = 20.0) -> None:
    """Read until a place of the rail is open: ``5 Set-up``."""
    number, _, name = place.partition(" ")
    end = time.monotonic() + deadline
    while f"[{place}" not in rail(terminal) and f"‹ {number}/6 {name}" not in rail(terminal):
        alive = terminal.read(0.2)
        assert alive and time.monotonic() < end, f"{place} did not open:\n{terminal.text()}"


def cursor_to(terminal: Terminal, text: str) -> None:
    """Down until the row under the cursor holds a text."""
    for _ in range(40):
        if row(terminal, "▸", text):
            return
        before = terminal.text()
        terminal.send("down")
        end = time.monotonic() + 5.0
        while terminal.text() == before and time.monotonic() < end:
            terminal.read(0.1)
        terminal.settle()
    raise AssertionError(f"no row with {text}:\n{terminal.text()}")


@pytest.mark.timeout(300)
def test_j1_first_set_up(tmp_path: Path) -> None:
    first_set_up(tmp_path)


def first_set_up(tmp_path: Path, size: tuple[int, int] = (80, 24), **more: str) -> None:
    """J1, keystroke by keystroke, in a terminal of this size; ``more`` is its environment."""
    wide = size[0] >= 80
    with demo(tmp_path, "fresh", size, **more) as terminal:
        terminal.wait_for("Choose the clusters to join", 60)
        terminal.wait_for("LAB")
        terminal.wait_for("2 chosen" if wide else "2 clusters chosen", 60)
        terminal.send("enter")
        at(terminal, "2 Facts")
        terminal.wait_for("Facts complete", 60)
        terminal.send(">")
        at(terminal, "3 Preconditions")
        found = until_row(terminal, "✗", "CM0403")
        if wide:
            assert "plan" in found and not row(terminal, "✗", " you ")
        terminal.send(">")
        at(terminal, "4 Plan")
        terminal.wait_for("Join eks-tokyo and aks-east")
        if wide:
            for title in STEPS:
                terminal.wait_for(title)
            order = [terminal.text().index(title) for title in STEPS]
            assert order == sorted(order)
        cursor_to(terminal, "install Cilium")
        if wide:
            terminal.wait_for("helm upgrade --install cilium")
        terminal.send("c")
        terminal.wait_for("copied")
        terminal.send("A")
        terminal.wait_for("Type the cluster name to allow this:  eks-tokyo")
        terminal.send("tab", "tab", "enter")
        terminal.wait_for("name not complete")
        assert "Type the cluster name" in terminal.text()
        terminal.send("tab", "eks-tokyo", "tab", "tab", "enter")
        at(terminal, "5 Set-up")
        terminal.wait_for("LAB ARMED")
        terminal.wait_for("Joined in", 90)
        until_all_done(terminal)
        terminal.send(">")
        at(terminal, "6 Mesh")
        terminal.wait_for("[Map]")
        terminal.wait_for("The link is healthy.", 60)
        assert "ARMED" not in terminal.text()
        see_the_proof(terminal, wide)
        terminal.send("q")
        assert terminal.wait_end() == 0


def see_the_proof(terminal: Terminal, wide: bool) -> None:
    """The service that was asked from both sides, in Mesh > Services; what is beside it is behind Enter when narrow."""
    terminal.send("m")
    until_row(terminal, "meshwright-demo", "●2↺", "●2")
    if not wide:
        terminal.send("enter")
    terminal.wait_for("eks-tokyo: local, 10 of 10 requests answered by")
    terminal.wait_for("aks-east: remote, 10 of 10 requests answered by")
    assert "by eks-tokyo" in " ".join(terminal.text().split())
    if not wide:
        terminal.send("q")
        terminal.wait_for("Map [Services]")


STEPS = ("wait for private API addresses", "open the mesh path", "connect both ways")


def until_all_done(terminal: Terminal, deadline: float = 10.0) -> None:
    """Read until every step on the screen is done: the title may have been painted before the list."""
    end = time.monotonic() + deadline
    while not (steps := steps_of(terminal)) or any(line[2] != "✓" for line in steps):
        alive = terminal.read(0.2)
        assert alive and time.monotonic() < end, terminal.text()


def steps_of(terminal: Terminal) -> list[str]:
    """The rows of the list of steps."""
    return [line for line in terminal.lines()[2:] if line[2:3] in "✓✗⊘·◐" and line[4:5].isdigit()]


@pytest.mark.timeout(300)
def test_j3_expired_login(tmp_path: Path) -> None:
    with demo(tmp_path, "expired") as terminal:
        terminal.wait_for("Choose the clusters to join", 60)
        until_row(terminal, "eks-tokyo", "? expired", deadline=60)
        cursor_to(terminal, "eks-tokyo")
        terminal.wait_for("aws sso login --profile lab")
        terminal.send("enter")
        at(terminal, "2 Facts")
        terminal.wait_for("? expired")
        terminal.wait_for("Facts complete", 60)
        terminal.send("3")
        at(terminal, "3 Preconditions")
        until_row(terminal, "?", "CM0002 eks-tokyo")
        assert "3 Preconditions✓" not in rail(terminal)
        terminal.send("1")
        at(terminal, "1 Clusters")
        terminal.send("i")
        terminal.wait_for("Run here")
        assert all(word in terminal.text() for word in ("aws sso login --profile lab", "Copy", "Cancel"))
        terminal.send("enter")
        terminal.wait_for("eks-tokyo is ready", 60)
        terminal.send("2", "r")
        at(terminal, "2 Facts")
        terminal.wait_for("Reading facts")
        terminal.wait_for("Facts complete", 60)
        terminal.send("3")
        at(terminal, "3 Preconditions")
        terminal.wait_for("PASS")
        terminal.wait_for("CM0002", absent=True)
        terminal.wait_for("3 Preconditions?", absent=True)
        terminal.send("q")
        assert terminal.wait_end() == 0


@pytest.mark.timeout(200)
def test_j5_two_contexts_one_cluster(tmp_path: Path) -> None:
    with demo(tmp_path, "twins") as terminal:
        terminal.wait_for("admin (1)", 60)
        until_row(terminal, "admin (2)", "⊘ same", deadline=60)
        cursor_to(terminal, "admin (2)")
        terminal.send("space")
        terminal.wait_for("admin (2) is admin (1): same kube-system UID")
        terminal.wait_for("1 chosen")
        terminal.send("enter")
        terminal.wait_for("a mesh needs two; ⏎ again inspects one")
        terminal.send("q")
        assert terminal.wait_end() == 0
