"""How long the command line takes to answer, beside an interpreter that does nothing."""

import sys

import pyperf

PEER = "python -c pass"
COMMANDS = {"meshwright --help": ["--help"], "meshwright version": ["version"]}


def main() -> None:
    """Run under pyperf; ``-o FILE`` keeps the values."""
    runner = pyperf.Runner()
    runner.bench_command(PEER, [sys.executable, "-c", "pass"])
    for name, arguments in COMMANDS.items():
        runner.bench_command(name, [sys.executable, "-m", "tui", *arguments])


if __name__ == "__main__":
    main()
