"""Waiting as the ``cilium`` program does, with a word about it every ten seconds of the cluster's time."""

from collections.abc import Callable
from typing import Final

from backends.lab.commands.cilium.client import Client, Fatal

_BETWEEN: Final = 0.25
_WORD: Final = 10.0


class Waiting:
    """One condition; ``limit`` is the cluster's time at which to give up."""

    def __init__(self, client: Client, limit: float, say: Callable[[str, str], None]) -> None:
        self._client = client
        self._limit = limit
        self._say = say
        self._started = client.port.now()
        self._last = 0.0

    def again(self, problem: Exception) -> None:
        """Wait before another look; raises ``Fatal`` when time is up."""
        now = self._client.port.now()
        if now - self._last > _WORD:
            self._say(duration(now - self._started), str(problem))
            self._last = now
        if now >= self._limit:
            raise Fatal(f"timeout while waiting for condition, last error: {problem}") from problem
        self._client.sleep(_BETWEEN)


def duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: ``1m5s``."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
