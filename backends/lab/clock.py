"""Lab time: real time, made faster, held, or moved on."""

import asyncio
import heapq
import itertools
import time


class LabClock:
    """Seconds since the epoch in the lab; runs ``speed`` times as fast as real time and can be paused and moved on.

    ``sleep`` wakes at the right lab time also when speed, pause or jumps change while it waits.
    """

    def __init__(self, start: float | None = None, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("the lab's speed must be above 0")
        self._base = time.time() if start is None else start
        self._since = time.monotonic()
        self._speed = speed
        self._paused = False
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Lab time in seconds since the epoch."""
        if self._paused:
            return self._base
        return self._base + (time.monotonic() - self._since) * self._speed

    @property
    def speed(self) -> float:
        """Lab seconds per real second while not paused."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value <= 0:
            raise ValueError("the lab's speed must be above 0")
        self._rebase()
        self._speed = value
        self._arm()

    @property
    def paused(self) -> bool:
        """Whether lab time stands still."""
        return self._paused

    def pause(self) -> None:
        """Let lab time stand still."""
        self._rebase()
        self._paused = True
        self._arm()

    def resume(self) -> None:
        """Let lab time run again."""
        self._since = time.monotonic()
        self._paused = False
        self._arm()

    def jump(self, seconds: float) -> None:
        """Move lab time on by ``seconds`` (not back); whoever sleeps until then wakes."""
        if seconds < 0:
            raise ValueError("lab time does not run backwards")
        self._rebase()
        self._base += seconds
        self._arm()

    def rewind(self, seconds: float) -> None:
        """Set lab time back by ``seconds``, so that a world that nobody has looked at yet gets a past.

        Raises ``RuntimeError`` when somebody sleeps already.
        """
        if self._sleepers:
            raise RuntimeError("lab time does not run backwards")
        self._rebase()
        self._base -= seconds

    async def sleep(self, lab_seconds: float) -> None:
        """Wait for this many lab seconds."""
        if lab_seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now() + lab_seconds, next(self._order), future))
        self._arm()
        await future

    def _rebase(self) -> None:
        self._base = self.now()
        self._since = time.monotonic()

    def _arm(self) -> None:
        """Wake who is due and set one timer for who is next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self.now()
        while self._sleepers and (self._sleepers[0][0] <= now or self._sleepers[0][2].done()):
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.get_loop().call_soon(_wake, future)
        if self._sleepers and not self._paused:
            due, _, future = self._sleepers[0]
            self._timer = future.get_loop().call_later((due - now) / self._speed, self._arm)


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
