"""Announcements: one sentence for the status row, kept in a list; toasts are plain text and never the only place."""

from collections import deque
from collections.abc import Callable

from mesh.text import one_line

KEPT = 500


class Announcer:
    """Keeps what was said. ``now`` gives epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.events: deque[tuple[float, str]] = deque(maxlen=KEPT)

    def say(self, text: str) -> str:
        """Note it and return it as one harmless line."""
        said = one_line(text, 400)
        if said:
            self.events.append((self._now(), said))
        return said
