"""Logs of containers: what programs wrote since they started, and who follows them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

LENGTH: Final = 4000


@dataclass(slots=True)
class _Book:
    lines: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=LENGTH))
    written: int = 0
    closed: bool = False
    waiting: list["asyncio.Event"] = field(default_factory=list)

    def wake(self) -> None:
        for event in self.waiting:
            event.set()


class LogBook:
    """Lines by pod uid, container and restart count."""

    def __init__(self) -> None:
        self._books: dict[tuple[str, str, int], _Book] = {}

    def write(self, uid: str, container: str, boot: int, at: float, line: str) -> None:
        """Add a line (without newline) written at lab time ``at``."""
        book = self._books.setdefault((uid, container, boot), _Book())
        book.lines.append((at, line))
        book.written += 1
        book.wake()

    def close(self, uid: str, boot: int) -> None:
        """The containers of this life of a pod have ended: followers end with them."""
        for key, book in self._books.items():
            if key[0] == uid and key[2] == boot:
                book.closed = True
                book.wake()

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._books if key[0] == uid]:
            self._books[key].closed = True
            self._books.pop(key).wake()

    def lines(self, uid: str, container: str, boot: int) -> list[tuple[float, str]]:
        """Everything kept, oldest first."""
        book = self._books.get((uid, container, boot))
        return list(book.lines) if book else []

    async def follow(
        self, uid: str, container: str, boot: int, tail: int | None, since: float | None, stamps: bool
    ) -> AsyncIterator[bytes]:
        """Lines from the asked-for point on, then new ones until the container ends."""
        book = self._books.setdefault((uid, container, boot), _Book())
        event = asyncio.Event()
        book.waiting.append(event)
        try:
            done = book.written
            for line in select(list(book.lines), tail, since):
                yield rendered(line, stamps)
            while True:
                event.clear()
                fresh = book.written - done
                done = book.written
                for line in list(book.lines)[len(book.lines) - min(fresh, len(book.lines)) :] if fresh else ():
                    yield rendered(line, stamps)
                if book.closed and book.written == done:
                    return
                if book.written == done:
                    await event.wait()
        finally:
            book.waiting.remove(event)


def select(lines: list[tuple[float, str]], tail: int | None, since: float | None) -> Iterator[tuple[float, str]]:
    """The part of a log that ``tailLines`` and ``sinceTime`` ask for."""
    kept = [line for line in lines if since is None or line[0] >= since]
    yield from kept if tail is None else kept[len(kept) - min(tail, len(kept)) :]


def rendered(line: tuple[float, str], stamps: bool) -> bytes:
    """A line with its newline, after its time where ``timestamps`` asks for it."""
    if not stamps:
        return f"{line[1]}\n".encode()
    moment = datetime.fromtimestamp(line[0], UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{moment}000Z {line[1]}\n".encode()
