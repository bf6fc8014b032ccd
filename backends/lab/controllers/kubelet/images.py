"""The registries of the lab: which images exist and how long a node takes to pull one."""

import re
from typing import Final

from backends.lab.controllers import reading

_CILIUM: Final = re.compile(r"quay\.io/cilium/(?:cilium|operator(?:-\w+)?|clustermesh-apiserver|hubble-relay)$")
_TAG: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-[\w.]+)?$")
_NEWEST_PATCH: Final = 29
"""No minor of Cilium has had more patch releases than this."""


def split(image: str) -> tuple[str, str]:
    """Repository and tag (without digest; ``latest`` where none is given)."""
    plain = image.partition("@")[0]
    head, _, last = plain.rpartition("/")
    name, _, tag = last.partition(":")
    return (f"{head}/{name}" if head else name), tag or "latest"


def refusal(image: str) -> str:
    """Why a registry does not have the image, in the words of containerd; "" when it has it."""
    repository, tag = split(image)
    if not re.fullmatch(r"[\w.\-:/]+", repository) or not re.fullmatch(r"[\w.\-]+", tag):
        return f'couldn\'t parse image name "{image}": invalid reference format'
    if _CILIUM.match(repository):
        match = _TAG.match(tag)
        if match is None or int(match[1]) != 1 or int(match[3]) > _NEWEST_PATCH:
            plain = f"{repository}:{tag}"
            return (
                f'rpc error: code = NotFound desc = failed to pull and unpack image "{plain}": '
                f'failed to resolve reference "{plain}": {plain}: not found'
            )
    return ""


def pull_seconds(node: str, image: str) -> float:
    """Lab seconds for the first pull on a node; between 1.5 and 5, always the same for a node and an image."""
    return reading.share(f"pull/{node}/{image}", 1.5, 5.0)
