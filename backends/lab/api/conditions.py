"""The state of an API server as a service: it answers, or does not, or something in front of it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

Mode: TypeAlias = Literal["serving", "down", "hanging", "html", "status"]
MODES: Final = get_args(Mode)


@dataclass(slots=True)
class Conditions:
    """``mode``: serving · down (connections refused) · hanging (accepts, never answers) · html (a portal answers) ·
    status (every request gets ``status`` with ``message`` and, if set, ``retry_after`` seconds).

    ``latency`` is added to every answer, in real seconds. ``exec_cut`` is the number of bytes of output after which the
    node goes away during an exec. ``listeners`` are called after every change.
    """

    mode: Mode = "serving"
    status: int = 503
    message: str = ""
    retry_after: int | None = None
    latency: float = 0.0
    exec_cut: int | None = None
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def set(self, mode: Mode, *, status: int = 503, message: str = "", retry_after: int | None = None) -> None:
        """Change how the server answers. Raises ``ValueError`` for an unknown mode or a status that is no error."""
        if mode not in MODES:
            raise ValueError(f"no such mode: {mode}; known: {', '.join(MODES)}")
        if not 400 <= status <= 599:
            raise ValueError("status must be an error, 400-599")
        self.mode, self.status, self.message, self.retry_after = mode, status, message, retry_after
        for listener in tuple(self.listeners):
            listener()
