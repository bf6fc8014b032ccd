"""Show the app on fakes in this terminal: python -m tests.test_tui.show [world]."""

import sys
import tempfile
from pathlib import Path

from tests.test_tui import worlds
from tui.app import Options, run_app


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else "two"
    ports = worlds.WORLDS[name](Path(tempfile.mkdtemp()))
    return run_app(ports, Options(demo=name == "lab"))


if __name__ == "__main__":
    sys.exit(main())
