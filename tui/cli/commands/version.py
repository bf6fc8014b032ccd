"""``meshwright version``: no cluster, no network."""

import argparse
import json
import sys

from mesh import __version__
from mesh.errors import Exit


def now(arguments: argparse.Namespace) -> int:
    """Print it."""
    python = ".".join(map(str, sys.version_info[:3]))
    if arguments.output == "json":
        print(json.dumps({"version": __version__, "python": python}))
    else:
        print(f"meshwright {__version__} (Python {python})")
    return Exit.CLEAN
