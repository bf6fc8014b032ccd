"""Signals and a vanished terminal, at every screen: the program ends with their code and gives the terminal back."""

import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import Terminal
from tests.test_screens.test_journeys import environment

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: far, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: t}}]
contexts: [{name: one, context: {cluster: far, user: me}}, {name: two, context: {cluster: far, user: me}}]
"""
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
# A screen: the keys that lead to it from the first one, and what it says.
SCREENS = {
    "clusters": ((), "Choose the clusters to join"),
    "facts": (("2",), "Facts need clusters"),
    "preconditions": (("3",), "Preconditions need clusters"),
    "plan": (("4",), "A plan needs two clusters"),
    "setup": (("5",), "Nothing was applied yet"),
    "mesh": (("6",), "The mesh needs clusters"),
    "help": (("?",), "[Keys here]"),
    "export": (("e",), "pseudonyms"),
    "find": (("/",), "Choose the clusters to join"),
}


@contextmanager
def app(folder: Path) -> Iterator[Terminal]:
    """The app on contexts that nobody answers."""
    (folder / "config").write_text(KUBECONFIG)
    env = environment(folder, KUBECONFIG=str(folder / "config"))
    argv = [sys.executable, "-c", "import sys; from tui.__main__ import main; sys.exit(main())"]
    with Terminal(argv, env=env, whole=True, cwd=str(folder)) as shown:
        shown.wait_for("two")
        yield shown


def opened(terminal: Terminal, screen: str) -> None:
    """Walk to a screen."""
    keys, said = SCREENS[screen]
    terminal.send(*keys)
    terminal.wait_for(said)


@pytest.mark.parametrize(("place", "screen"), list(enumerate(SCREENS)))
def test_a_signal_ends_it_and_the_terminal_is_given_back(tmp_path: Path, place: int, screen: str) -> None:
    number = list(CODES)[place % len(CODES)]
    with app(tmp_path) as terminal:
        opened(terminal, screen)
        terminal.kill(number)
        assert terminal.wait_end() == CODES[number]
        painted = bytes(terminal.raw)
        assert painted.rindex(b"\x1b[?1049l") > painted.rindex(b"\x1b[?1049h")
        assert painted.rindex(b"\x1b[?25h") > painted.rindex(b"\x1b[?25l")
        assert b"Traceback" not in painted
        assert termios.tcgetattr(terminal.master)[3] & (termios.ECHO | termios.ICANON)


@pytest.mark.parametrize("screen", ["clusters", "help", "export"])
def test_a_terminal_that_is_closed_ends_it(tmp_path: Path, screen: str) -> None:
    with app(tmp_path) as terminal:
        opened(terminal, screen)
        terminal.hang_up()
        assert terminal.wait_end() == 129


def test_control_c_says_how_to_leave(tmp_path: Path) -> None:
    with app(tmp_path) as terminal:
        for screen in ("clusters", "mesh"):
            opened(terminal, screen)
            terminal.send("ctrl+c")
            terminal.wait_for("q quits at the top")


def test_it_comes_back_when_it_was_stopped(tmp_path: Path) -> None:
    with app(tmp_path) as terminal:
        opened(terminal, "mesh")
        terminal.kill(signal.SIGSTOP)
        os.waitpid(terminal.pid, os.WUNTRACED)
        painted = len(terminal.raw)
        terminal.kill(signal.SIGCONT)
        opened(terminal, "setup")
        assert len(terminal.raw) > painted
        terminal.send("q")
        terminal.send("q")
        assert terminal.wait_end() == 0
