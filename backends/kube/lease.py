"""One Lease per cluster keeps two operators apart (DESIGN §8.8)."""

import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from mesh.errors import Refused
from mesh.ports import Clock
from mesh.text import one_line

NAME: Final = "meshwright"
_PATH: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
Ask = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


class Lease:
    """Lease ``kube-system/meshwright``: taken, renewed, given back. Every write carries the version that was read."""

    def __init__(self, where: str, ask: Ask, clock: Clock) -> None:
        self.where = where
        self.ask = ask
        self.clock = clock
        self.operator = _operator()

    async def hold(self, holder: str, seconds: int) -> None:
        """Take or renew it. Raises ``Refused`` naming who holds it, or that somebody was quicker."""
        holder = f"{self.operator} {holder}"
        status, found = await self.ask("GET", f"{_PATH}/{NAME}", expect=(404,))
        now = self.clock.now()
        if status == 404:
            body = self._body(holder, seconds, now, {})
            status, _ = await self.ask("POST", _PATH, body, expect=(409,))
        else:
            spec = found.get("spec") or {}
            self._refuse_other(spec, holder, now)
            body = self._body(holder, seconds, now, found.get("metadata") or {}, spec)
            status, _ = await self.ask("PUT", f"{_PATH}/{NAME}", body, expect=(409,))
        if status == 409:
            raise Refused(
                f"Another operator took {self.where} at this moment", hint="Wait for their run to end, then try again."
            )

    async def release(self, holder: str) -> None:
        """Give it back if it is ours."""
        holder = f"{self.operator} {holder}"
        status, found = await self.ask("GET", f"{_PATH}/{NAME}", expect=(404,))
        spec = found.get("spec") or {}
        if status == 404 or spec.get("holderIdentity") != holder:
            return
        spec["holderIdentity"] = ""
        await self.ask("PUT", f"{_PATH}/{NAME}", {**found, "spec": spec}, expect=(409,))

    def _refuse_other(self, spec: dict[str, Any], holder: str, now: float) -> None:
        other = one_line(str(spec.get("holderIdentity") or ""), 120)
        if not other or other == holder:
            return
        renewed = _seconds(str(spec.get("renewTime") or ""))
        left = renewed + float(spec.get("leaseDurationSeconds") or 0) - now
        if left > 0:
            raise Refused(
                f"{self.where} is being changed by {other}",
                f"They renewed their lease {max(now - renewed, 0):.0f} s ago; it ends in {left:.0f} s unless renewed.",
                "Wait for their run to end, then try again. Nothing was changed.",
            )

    def _body(
        self, holder: str, seconds: int, now: float, metadata: dict[str, Any], before: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = before or {}
        same = before.get("holderIdentity") == holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": "kube-system", **metadata},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": seconds,
                "acquireTime": before.get("acquireTime") if same else stamp,
                "renewTime": stamp,
                "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if same else 1),
            },
        }


def _operator() -> str:
    """Who changes the cluster, for those who are told to wait: ``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
