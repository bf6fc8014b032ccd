"""Signals and a vanished terminal, at every screen: the program ends with their code and gives the terminal back."""

import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import Terminal
from tests.test_screens.test_journeys import at, cursor_to, environment, until_row
from tests.test_walk.walking import EAST, TOKYO, Lab, carrying, lab, until

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: far, cluster: {server: "https://127.0.0.1:1"}}]
users:
- {name: me, user: {token: t}}
- name: sso
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks], interactiveMode: Never}}
contexts:
- {name: three, context: {cluster: far, user: sso}}
- {name: one, context: {cluster: far, user: me}}
- {name: two, context: {cluster: far, user: me}}
"""
RUN = "import sys; from tui.__main__ import main; sys.exit(main())"
# A mistake of ours, in the collector of a context's look.
BROKEN = "import backends.contexts as c; c.Contexts.peek = None; "
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
    "login": (("i",), "Run here"),
}


@contextmanager
def app(folder: Path, code: str = RUN) -> Iterator[Terminal]:
    """The app on contexts that nobody answers."""
    (folder / "config").write_text(KUBECONFIG)
    env = environment(folder, KUBECONFIG=str(folder / "config"))
    with Terminal([sys.executable, "-c", code], env=env, whole=True, cwd=str(folder)) as shown:
        shown.wait_for("two")
        yield shown


def opened(terminal: Terminal, screen: str) -> None:
    """Walk to a screen."""
    keys, said = SCREENS[screen]
    terminal.send(*keys)
    terminal.wait_for(said)


def ended_by(terminal: Terminal, number: signal.Signals) -> None:
    """Send the signal: its code, and a terminal as it was."""
    terminal.kill(number)
    assert terminal.wait_end() == CODES[number]
    painted = bytes(terminal.raw)
    assert painted.rindex(b"\x1b[?1049l") > painted.rindex(b"\x1b[?1049h")
    assert painted.rindex(b"\x1b[?25h") > painted.rindex(b"\x1b[?25l")
    assert b"Traceback" not in painted
    assert termios.tcgetattr(terminal.master)[3] & (termios.ECHO | termios.ICANON)


@pytest.mark.parametrize(("place", "screen"), list(enumerate(SCREENS)))
def test_a_signal_ends_it_and_the_terminal_is_given_back(tmp_path: Path, place: int, screen: str) -> None:
    number = list(CODES)[place % len(CODES)]
    with app(tmp_path) as terminal:
        opened(terminal, screen)
        ended_by(terminal, number)


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


def test_a_signal_ends_the_error_screen(tmp_path: Path) -> None:
    with app(tmp_path, BROKEN + RUN) as terminal:
        terminal.wait_for("TypeError")
        ended_by(terminal, signal.SIGTERM)


@pytest.mark.parametrize("number", CODES)
def test_a_signal_ends_the_choice_of_a_lab_and_the_lab(tmp_path: Path, number: signal.Signals) -> None:
    """Before a lab is there, while it starts, and while it runs: nothing of it stays behind."""
    temporary, mark = tmp_path / "tmp", f"signal-{os.getpid()}-{number.value}"
    temporary.mkdir()
    env = environment(tmp_path, TMPDIR=str(temporary), WALK_MARK=mark)
    with Terminal([sys.executable, "-c", RUN, "demo"], env=env, whole=True, cwd=str(tmp_path)) as terminal:
        terminal.wait_for("Choose a scenario")
        if number != signal.SIGINT:
            cursor_to(terminal, "fresh")
            terminal.send("enter")
            until(lambda: any(temporary.iterdir()), "the lab has a folder", 30)
        if number == signal.SIGTERM:
            terminal.wait_for("2 chosen", 60)
        ended_by(terminal, number)
    until(lambda: not carrying(mark), "the lab has ended", 15)
    assert list(temporary.iterdir()) == []


@pytest.fixture(scope="module")
def fresh() -> Iterator[Lab]:
    """A lab of its own. The last test uses it up."""
    with lab("fresh", speed=60) as running:
        yield running


@contextmanager
def planned(fresh: Lab, folder: Path) -> Iterator[Terminal]:
    """The app on the lab's clusters as if they were anybody's, with their facts read."""
    env = environment(folder, **{**fresh.env, "MESHWRIGHT_STATE_DIR": str(folder / "state")})
    with Terminal([sys.executable, "-c", RUN, *fresh.named], env=env, whole=True, cwd=str(folder)) as terminal:
        terminal.wait_for("2 chosen", 30)
        terminal.send("enter")
        terminal.wait_for("Facts complete", 60)
        yield terminal


def finding(terminal: Terminal) -> None:
    terminal.send("3")
    until_row(terminal, "✗", "CM0403")
    cursor_to(terminal, "CM0403")
    terminal.send("enter")
    terminal.wait_for("Fix 1 of")


def confirm(terminal: Terminal) -> None:
    terminal.send("4")
    terminal.wait_for(f"Join {TOKYO} and {EAST}")
    terminal.wait_for("Plan is complete")
    terminal.send("A")
    terminal.wait_for("Type the cluster name to allow this")


@pytest.mark.parametrize(("walk", "number"), [(finding, signal.SIGINT), (confirm, signal.SIGHUP)])
def test_a_signal_ends_what_rests_on_facts(
    fresh: Lab, tmp_path: Path, walk: Callable[[Terminal], None], number: signal.Signals
) -> None:
    with planned(fresh, tmp_path) as terminal:
        walk(terminal)
        ended_by(terminal, number)
    assert not list(tmp_path.rglob("*.jsonl")), "no run was begun"


def test_a_run_that_a_signal_cut_off_says_how_to_go_on_and_does(fresh: Lab, tmp_path: Path) -> None:
    with planned(fresh, tmp_path) as terminal:
        confirm(terminal)
        terminal.send(TOKYO, "tab", "tab", "enter")
        at(terminal, "5 Set-up")
        until_row(terminal, "◐", "install Cilium")
        ended_by(terminal, signal.SIGTERM)
        assert b"meshwright resume 1" in bytes(terminal.raw)
    done = fresh.call("resume", "1", "--yes", MESHWRIGHT_STATE_DIR=str(tmp_path / "state"))
    assert done.code == 0 and "Joined in" in done.out, done.out + done.err
