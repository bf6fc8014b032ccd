"""A counter of writes to a cloud's state, by which readers know when what they derived from it is old."""

import asyncio
import threading
from collections.abc import Callable


class Changes:
    """``number`` grows with every write. Writers may be in any thread; listeners are called in the event loop's."""

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` soon after every write; needs a running event loop. Returns what ends it."""
        self._loop = asyncio.get_running_loop()
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def bump(self) -> None:
        """Count a write."""
        with self._lock:
            self.number += 1
        if self._listeners and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()
