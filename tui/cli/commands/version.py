"""``meshwright version``: no cluster, no network."""

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version

from mesh.errors import Exit


def now(arguments: argparse.Namespace) -> int:
    """Print it."""
    found = current()
    if arguments.output == "json":
        print(json.dumps({"version": found, "python": platform.python_version()}))
    else:
        print(f"meshwright {found} (Python {platform.python_version()})")
    return Exit.CLEAN


def current() -> str:
    """The installed version; ``unknown`` when run from a folder that was never installed."""
    try:
        return version("meshwright")
    except PackageNotFoundError:
        return "unknown"
