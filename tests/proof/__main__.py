"""Run the proofs and write docs/proof.md from the figures they told; 1 if one failed, and the page stays as it was."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "proof.md"
HEAD = """# Proofs

Written by `make proof`, the long form of what `make test` samples. A line is here only when its proof passed.

| Proof | Figures | Seconds |
|---|---|---|
"""


def main() -> int:
    """All of ``tests/proof``, with more arguments handed to pytest; the page is written by a whole run only."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/proof", *sys.argv[1:]]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, "MESHWRIGHT_FIGURES": str(file)}).returncode
        if code or sys.argv[1:]:
            return code
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    table = "".join(f"| {row['proof']} | {row['figures']} | {row['seconds']:.0f} |\n" for row in rows)
    PAGE.write_text(f"{HEAD}{table}\nPython {platform.python_version()}, {os.cpu_count()} processors.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
