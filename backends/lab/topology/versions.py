"""Version texts of the three providers for a Kubernetes minor version."""

import hashlib
from typing import Final

_PATCHES: Final = {26: 15, 27: 16, 28: 15, 29: 15, 30: 14, 31: 13, 32: 9, 33: 5, 34: 1}
_AKS_PATCHES: Final = {26: 12, 27: 9, 28: 15, 29: 15, 30: 14, 31: 11, 32: 7, 33: 3, 34: 1}


def minor_of(version: str) -> int:
    """26 from ``1.26``, ``v1.26.3`` and the like. Raises ``ValueError``."""
    return int(version.removeprefix("v").split(".")[1])


def eks_version(version: str) -> str:
    """The API server's ``gitVersion`` on EKS."""
    minor = minor_of(version)
    build = hashlib.sha256(f"eks-{minor}".encode()).hexdigest()[:7]
    return f"v1.{minor}.{_PATCHES.get(minor, 1)}-eks-{build}"


def aks_version(version: str) -> str:
    """The API server's ``gitVersion`` on AKS."""
    minor = minor_of(version)
    return f"v1.{minor}.{_AKS_PATCHES.get(minor, 1)}"


def kind_version(version: str) -> str:
    """The API server's ``gitVersion`` of a kind node image."""
    minor = minor_of(version)
    return f"v1.{minor}.{_PATCHES.get(minor, 1)}"
