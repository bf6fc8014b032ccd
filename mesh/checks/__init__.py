"""All checks. Codes are for ever: a retired one keeps its tombstone in ``RETIRED`` and is never given again."""

from typing import Final

from mesh.checks import (
    access,
    addressing,
    apiserver,
    certificates,
    firewall,
    identity,
    platform,
    rights,
    services,
    sync,
)
from mesh.finding import Check

ALL_CHECKS: Final[tuple[Check, ...]] = (
    *access.CHECKS,
    *rights.CHECKS,
    *platform.CHECKS,
    *identity.CHECKS,
    *addressing.CHECKS,
    *firewall.CHECKS,
    *apiserver.CHECKS,
    *certificates.CHECKS,
    *sync.CHECKS,
    *services.CHECKS,
)
# Code → what it was, and since which version it is gone.
RETIRED: Final[dict[str, str]] = {}
