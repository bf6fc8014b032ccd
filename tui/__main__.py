"""Entry point of ``meshwright`` and ``kubectl-meshwright``."""

import sys


def main() -> int:
    """The command line; without a command, the app."""
    from tui.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
