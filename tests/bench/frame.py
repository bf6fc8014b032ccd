"""How long until the app's first frame is on a terminal, beside an app of Textual's with one word on it."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
NAME = "first frame"
PEER = "first frame of an empty Textual app"
WORD = "Meshwright"
EMPTY = f"""
from textual.app import App
from textual.widgets import Static

class Empty(App):
    BINDINGS = [("q", "quit", "quit")]

    def compose(self):
        yield Static("{WORD}")

Empty().run()
"""


def first_frame(argv: list[str], folder: str) -> float:
    """Seconds from starting a program on an 80x24 terminal until the word is on it."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": folder,
        "KUBECONFIG": str(Path(folder, "none")),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    began = time.perf_counter()
    with Terminal([sys.executable, *argv], env=env, whole=True, cwd=folder) as shown:
        shown.wait_for(WORD)
        taken = time.perf_counter() - began
        shown.send("q")
        shown.wait_end()
    return taken


def main() -> None:
    """Print both medians, taken in turns so that both meet the same machine."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = [(first_frame(["-m", "tui"], folder), first_frame(["-c", EMPTY], folder)) for _ in range(ROUNDS)]
    print(*(statistics.median(values) for values in zip(*pairs, strict=True)))


if __name__ == "__main__":
    main()
