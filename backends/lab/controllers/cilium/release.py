"""Versions of Cilium as images name them."""

import re
from typing import Final

_TAG: Final = re.compile(r":v?(\d+)\.(\d+)\.(\d+)")


def version_of(image: str) -> tuple[int, int, int]:
    """(major, minor, patch) of an image's tag; a newest release where it names none."""
    match = _TAG.search(image.partition("@")[0])
    return (int(match[1]), int(match[2]), int(match[3])) if match else (1, 20, 2)


def text_of(image: str) -> str:
    """``1.15.19``."""
    return ".".join(str(part) for part in version_of(image))
