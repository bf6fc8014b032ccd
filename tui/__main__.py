"""Entry point of ``meshwright`` and ``kubectl-meshwright``."""

import gc
import sys


def main() -> int:
    """The command line; without a command, the app."""
    # What is read and drawn makes many objects that live; to look through them for cycles was a fifth of the CPU time.
    gc.set_threshold(100_000, 20, 50)
    from tui.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
