"""The only thread beside the screen's: one daemon with an event loop of its own, on which the engine runs.

Work goes in as coroutines, comes back as messages; events are folded while they wait; log lines pass a bounded queue.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TextIO

from textual.message import Message

from mesh.events import CollectorProgress, Event, FactArrived, RunStarted, StepOutput
from tui.messages import EventsReady, JobCancelled, JobDone, JobEnded, JobFailed

QUEUE_LINES = 20_000
GRACE = 3.0


class Bridge:
    """``post`` takes a message from any thread; ``log_path`` gives the file of a run's log."""

    def __init__(self, post: Callable[[Message], object], log_path: Callable[[int], Path] | None = None) -> None:
        self._post = post
        self._sink = _LogFile(log_path)
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._places: dict[object, int] = {}
        self._announced = False
        self._lines: deque[StepOutput] = deque(maxlen=QUEUE_LINES)
        self._jobs: dict[str, Future[Any]] = {}
        self._serials: dict[str, int] = {}
        self._live: set[tuple[str, int]] = set()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        # Told to stop: what was handed over meanwhile is not left without a first step.
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def submit(self, job: str, what: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run ``work`` on the engine's loop. A job of the same name that is under way is stopped first.

        Its end is told by ``JobDone``, ``JobFailed`` (with ``what`` it was) or ``JobCancelled``. Nothing begins once
        the bridge is closed.
        """
        if self._closed:
            return
        self.cancel(job)
        serial = self._serials[job] = self._serials.get(job, 0) + 1
        self._live.add((job, serial))

        def over(message: JobEnded) -> None:
            # Before it is told: whoever hears that a job ended may ask at once whether it runs, or begin it anew.
            self._live.discard((job, serial))
            self._post(message)

        async def watched() -> None:
            try:
                result = await work()
            except asyncio.CancelledError:
                over(JobCancelled(job, serial))
                raise
            except Exception as error:  # the edge of the engine: every failure becomes a message, none is silent
                over(JobFailed(job, serial, what, error))
            else:
                over(JobDone(job, serial, result))

        self._jobs[job] = asyncio.run_coroutine_threadsafe(watched(), self._loop)

    def running(self, job: str) -> bool:
        """Whether a job of that name is under way."""
        return (job, self._serials.get(job, 0)) in self._live

    def is_current(self, message: JobEnded) -> bool:
        """Whether a message is about the latest job of its name."""
        return self._serials.get(message.job) == message.serial

    def cancel(self, job: str) -> None:
        """Stop a job; nothing happens if there is none."""
        self._live.discard((job, self._serials.get(job, 0)))
        future = self._jobs.pop(job, None)
        if future is not None:
            future.cancel()

    def call(self, function: Callable[[], object]) -> None:
        """Call something on the engine's loop: controls of a run."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def emit(self, event: Event) -> None:
        """Take an event from the engine. Progress and facts supersede what waits for the same place."""
        if isinstance(event, StepOutput):
            self._sink.write(event)
            self._lines.append(event)
            return
        if isinstance(event, RunStarted):
            self._sink.open(event.run)
        place = _place(event)
        with self._lock:
            if place is not None and place in self._places:
                self._events[self._places[place]] = event
            else:
                if place is not None:
                    self._places[place] = len(self._events)
                self._events.append(event)
            tell, self._announced = not self._announced, True
        if tell:
            self._post(EventsReady())

    def take_events(self) -> list[Event]:
        """All events that wait, in order."""
        with self._lock:
            events, self._events, self._places, self._announced = self._events, [], {}, False
        return events

    def take_lines(self) -> list[StepOutput]:
        """All log lines that wait: called twenty times a second."""
        lines: list[StepOutput] = []
        with contextlib.suppress(IndexError):
            while True:
                lines.append(self._lines.popleft())
        return lines

    @property
    def log_file(self) -> str:
        """Where the run's whole log is, "" if it could not be written."""
        return self._sink.name

    def close(self, last: Callable[[], Coroutine[Any, Any, Any]] | None = None, grace: float = GRACE) -> None:
        """Stop every job, let them write what they must, run ``last``; at most ``grace`` seconds in all, and once."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + grace

        async def wind_up() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=grace) if tasks else None
            if last is not None:
                await last()

        with contextlib.suppress(Exception):  # what remains ends with the process; nothing could be shown any more
            asyncio.run_coroutine_threadsafe(wind_up(), self._loop).result(max(until - time.monotonic(), 0.1))
        self._sink.close()
        self.call(self._loop.stop)
        self._thread.join(max(until - time.monotonic(), 0.1))


def _place(event: Event) -> object:
    if isinstance(event, CollectorProgress):
        return (event.cluster, event.collector)
    return event.key if isinstance(event, FactArrived) else None


class _LogFile:
    """Every output line of a run, in a 0600 file, flushed once a second at least by the next line."""

    def __init__(self, path_of: Callable[[int], Path] | None) -> None:
        self._path_of = path_of
        self._file: TextIO | None = None
        self._flushed = 0.0
        self.name = ""

    def open(self, run: int) -> None:
        self.close()
        if self._path_of is None:
            return
        try:
            path = self._path_of(run)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._file, self.name = os.fdopen(descriptor, "a", encoding="utf-8"), str(path)
        except OSError:
            self._file, self.name = None, ""

    def write(self, event: StepOutput) -> None:
        if self._file is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(event.at))
        try:
            self._file.write(f"{stamp} {event.step} {event.line}\n")
            if time.monotonic() - self._flushed > 1.0:
                self._file.flush()
                self._flushed = time.monotonic()
        except OSError:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
