"""Keys that arrive in a burst (a slow line, a script) go one after another, each to where the one before it led.

Textual gives a key to what has the focus when it arrives, though the key before may still be about to move it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

PATIENCE = 0.5


class TypeAhead:
    """``give`` hands a key to the app's own handling; ``take`` decides when."""

    def __init__(self, app: App[int], give: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app = app
        self._give = give
        self._waiting: deque[events.Key] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a key waits, or what the one before it led to is not done."""
        return self._task is not None or bool(self._waiting)

    async def take(self, event: events.Key) -> None:
        """A key has arrived: now, or after those before it."""
        if self._task is not None:
            self._waiting.append(event)
        else:
            await self._pass_on(event)

    async def _pass_on(self, event: events.Key) -> None:
        app = self._app
        target = app.focused or app.screen
        await self._give(event)
        self._task = asyncio.create_task(self._after(target))

    async def _after(self, target: MessagePump) -> None:
        await _handled(target, self._app)
        self._task = None
        if self._waiting and self._app.is_running:
            self._app.call_later(self._next)

    async def _next(self) -> None:
        if self._waiting and self._task is None:
            await self._pass_on(self._waiting.popleft())


async def _handled(target: MessagePump, app: App[int]) -> None:
    """Wait until ``target``, everything a key bubbles to and the screen it led to are done with it.

    Gives up after ``PATIENCE`` seconds: a handler that takes longer must not hold up the keys.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            chain = target.ancestors_with_self if isinstance(target, DOMNode) else [target]
            for node in chain:
                await _idle(node)
            await _idle(app)
            if not app.screen_stack:
                return
            screen = app.screen
            await screen._mounted_event.wait()
            await _idle(screen)
    except TimeoutError:
        return


async def _idle(node: MessagePump) -> None:
    """Wait until it has handled what waits for it now."""
    done = asyncio.Event()
    if node.is_running and node.call_later(done.set):
        await done.wait()
