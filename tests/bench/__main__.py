"""Run all benchmarks, print the ratios, and fail where one is over its budget."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pyperf

from tests.bench import decode, frame, startup, verdict

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("tests.bench.startup", "tests.bench.decode")
MEMORY_MB = 100.0


@dataclass(frozen=True)
class Budget:
    """A measured thing may take at most ``ratio`` times what its peer takes."""

    name: str
    peer: str
    ratio: float


BUDGETS = (
    *(Budget(name, startup.PEER, 5.0) for name in startup.COMMANDS),
    Budget(decode.NAME, decode.PEER, 0.5),
    Budget(frame.NAME, frame.PEER, 2.5),
    Budget(verdict.NAME, verdict.PEER, 40.0),
)
# Programs that measure themselves, in turns with their peer: each prints its own and its peer's median.
PAIRS = (frame, verdict)


def measured(module: str, folder: Path) -> Iterator[tuple[str, float]]:
    """Run one module under pyperf: the name of each benchmark and its median in seconds."""
    file = folder / f"{module}.json"
    command = [sys.executable, "-m", module, "--quiet", "--fast", "--inherit-environ=PYTHONPATH,HOME", "-o", str(file)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    for benchmark in pyperf.BenchmarkSuite.load(str(file)):
        yield benchmark.get_name(), benchmark.median()


def paired(module: ModuleType) -> Iterator[tuple[str, float]]:
    """Run one of ``PAIRS``: its own and its peer's median in seconds."""
    told = subprocess.run([sys.executable, "-m", module.__name__], cwd=ROOT, capture_output=True, text=True, check=True)
    yield from zip((module.NAME, module.PEER), map(float, told.stdout.split()), strict=True)


def memory() -> float:
    """By how many megabytes a process grows while it reads 10,000 pods."""
    command = [sys.executable, "-m", "tests.bench.decode", "memory"]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Print one line for each budget; 1 if one is exceeded."""
    with tempfile.TemporaryDirectory() as folder:
        medians = {name: value for module in MODULES for name, value in measured(module, Path(folder))}
    medians |= {name: value for module in PAIRS for name, value in paired(module)}
    exceeded = 0
    print(f"{'what':36}{'median':>12}{'ratio':>8}{'budget':>8}  peer")
    for budget in BUDGETS:
        ratio = medians[budget.name] / medians[budget.peer]
        exceeded |= ratio > budget.ratio
        verdict = "  over budget" if ratio > budget.ratio else ""
        line = f"{budget.name:36}{medians[budget.name] * 1000:>9.1f} ms{ratio:>8.2f}{budget.ratio:>8.2f}"
        print(f"{line}  {budget.peer} ({medians[budget.peer] * 1000:.1f} ms){verdict}")
    grown = memory()
    exceeded |= grown > MEMORY_MB
    verdict = "  over budget" if grown > MEMORY_MB else ""
    print(f"{decode.NAME + ', memory':36}{grown:>9.1f} MB{'':8}{MEMORY_MB:>5.0f} MB{verdict}")
    return int(exceeded)


if __name__ == "__main__":
    sys.exit(main())
