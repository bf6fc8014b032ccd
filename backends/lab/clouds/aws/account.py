"""One AWS account of the lab: its state in moto, and the conditions under which its API answers."""

import fnmatch
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from backends.lab.clouds.changes import Changes
from backends.lab.clouds.logins import Logins

SERVICES: Final = ("ec2", "eks", "elb", "elbv2", "sts")


class AwsAccount:
    """``account`` is the 12-digit id. State is read and written through ``ec2(region)`` and its siblings, which give
    moto's backends; writes go inside ``with writing():``.

    ``denied`` holds IAM actions (``ec2:DescribeVpcs``, patterns such as ``ec2:*``) that every caller lacks;
    ``throttled`` is how many of the next requests are refused as too many.
    """

    def __init__(self, account: str, logins: Logins) -> None:
        self.account = account
        self.logins = logins
        self.changes = Changes()
        self.denied: set[str] = set()
        self.throttled = 0
        self.lock = threading.RLock()
        self.regions: list[str] = []

    def ec2(self, region: str) -> Any:
        """moto's EC2 backend."""
        return self._backend("ec2", region)

    def eks(self, region: str) -> Any:
        """moto's EKS backend."""
        return self._backend("eks", region)

    def elb(self, region: str) -> Any:
        """moto's backend of classic load balancers."""
        return self._backend("elb", region)

    def elbv2(self, region: str) -> Any:
        """moto's backend of network load balancers."""
        return self._backend("elbv2", region)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold other writers off, and count a change at the end."""
        with self.lock:
            yield
        self.changes.bump()

    def is_denied(self, action: str) -> bool:
        """Whether ``service:Action`` is refused."""
        lowered = action.lower()
        return any(fnmatch.fnmatchcase(lowered, pattern.lower()) for pattern in self.denied)

    def forget(self) -> None:
        """Drop the account's state out of moto, which otherwise keeps it for as long as the process lives."""
        from moto.backends import get_backend

        for service in SERVICES:
            get_backend(service).pop(self.account, None)

    def _backend(self, service: str, region: str) -> Any:
        from moto.backends import get_backend

        if region not in self.regions:
            self.regions.append(region)
        find: Any = get_backend  # overloaded by every service's name
        return find(service)[self.account][region]


def load_moto(seed: int) -> None:
    """Import moto (about two seconds), repair it and seed its ids. Safe to call again and from any thread."""
    # Read at import: 700 image descriptions per region are of no use here.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    # An AWS_PROFILE of the person who starts the lab would make moto look for it in their files.
    profile = os.environ.pop("AWS_PROFILE", None)
    try:
        import botocore.session
        from botocore.loaders import create_loader

        if not hasattr(botocore.session.create_loader, "cache_info"):
            # Moto makes a session per partition, and each would parse EC2's model again: a third of a lab's start.
            botocore.session.create_loader = functools.cache(create_loader)
        from moto.backends import get_backend
        from moto.core.base_backend import AccountSpecificBackend
        from moto.moto_api._internal import mock_random

        from backends.lab.clouds.aws import repairs

        for service in SERVICES:
            get_backend(service)
        AccountSpecificBackend.get_session()
        repairs.apply()
        mock_random.seed(seed)
    finally:
        if profile is not None:
            os.environ["AWS_PROFILE"] = profile
