"""The engine thread: results, failures, cancelling, events folded, lines bounded, an end that does not hang."""

import asyncio
import gc
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message

from mesh.events import CollectorProgress, FactArrived, RunStarted, StepOutput
from mesh.facts import FactKey, Known, Origin, Source
from mesh.subject import OfCluster
from tui.bridge import QUEUE_LINES, Bridge
from tui.messages import EventsReady, JobCancelled, JobDone, JobEnded, JobFailed


class Inbox:
    """Messages as they arrive; ``wait`` until one passes a test."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._changed = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait(self, kind: type[Message], seconds: float = 10.0) -> Any:
        """The first message of a kind."""
        end = time.monotonic() + seconds
        with self._changed:
            while not (found := [item for item in self.messages if isinstance(item, kind)]):
                assert self._changed.wait(end - time.monotonic()), f"no {kind.__name__}: {self.messages}"
        return found[0]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def bridge(inbox: Inbox, tmp_path: Path) -> Any:
    made = Bridge(inbox, lambda run: tmp_path / f"{run}.log")
    yield made
    made.close()


def test_a_result_comes_back_from_the_engine_thread(bridge: Bridge, inbox: Inbox) -> None:
    async def work() -> str:
        return threading.current_thread().name

    bridge.submit("job", "working", work)
    done = inbox.wait(JobDone)
    assert (done.job, done.result) == ("job", "engine") and bridge.is_current(done)


def test_no_failure_is_silent(bridge: Bridge, inbox: Inbox) -> None:
    async def work() -> None:
        raise KeyError("x")

    bridge.submit("job", "reading", work)
    failed = inbox.wait(JobFailed)
    assert failed.what == "reading" and isinstance(failed.error, KeyError)


def test_a_job_of_the_same_name_replaces_the_one_under_way(bridge: Bridge, inbox: Inbox) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def quick() -> int:
        return 2

    bridge.submit("job", "waiting", for_ever)
    bridge.submit("job", "working", quick)
    cancelled, done = inbox.wait(JobCancelled), inbox.wait(JobDone)
    assert not bridge.is_current(cancelled) and bridge.is_current(done) and done.result == 2


def test_progress_and_facts_supersede_and_are_announced_once(bridge: Bridge, inbox: Inbox) -> None:
    key = FactKey("nodes", OfCluster("a"))
    for number in range(1000):
        bridge.emit(CollectorProgress("a", "nodes", "reading", number))
        bridge.emit(FactArrived(key, Known(number, Source(Origin.LIVE))))
    assert len([item for item in inbox.messages if isinstance(item, EventsReady)]) == 1
    events = bridge.take_events()
    assert len(events) == 2 and isinstance(events[0], CollectorProgress) and events[0].done == 999
    bridge.emit(CollectorProgress("a", "nodes", "done"))
    assert len([item for item in inbox.messages if isinstance(item, EventsReady)]) == 2


def test_lines_are_bounded_on_screen_and_complete_in_the_file(bridge: Bridge, tmp_path: Path) -> None:
    bridge.emit(RunStarted(7, "7c1e"))
    total = QUEUE_LINES + 500
    for number in range(total):
        bridge.emit(StepOutput("s1", 0.0, f"line {number}"))
    assert len(bridge.take_lines()) == QUEUE_LINES and bridge.take_lines() == []
    bridge.close()
    text = (tmp_path / "7.log").read_text()
    assert text.count("\n") == total and text.endswith(f"s1 line {total - 1}\n")
    assert (tmp_path / "7.log").stat().st_mode & 0o777 == 0o600


def test_closing_lets_jobs_write_their_last_words_and_does_not_wait_for_a_stuck_one(inbox: Inbox) -> None:
    said: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("journal closed")

    async def last() -> None:
        said.append("lab stopped")

    bridge = Bridge(inbox)
    bridge.submit("run", "running", careful)
    started = time.monotonic()
    bridge.call(lambda: None)
    bridge.close(last)
    assert said == ["journal closed", "lab stopped"] and time.monotonic() - started < 5

    stuck = Bridge(inbox)
    release = threading.Event()

    async def blocking() -> None:
        release.wait(20)

    stuck.submit("run", "blocking", blocking)
    started = time.monotonic()
    stuck.close(grace=0.3)
    assert time.monotonic() - started < 3
    release.set()


@pytest.mark.filterwarnings("error")
def test_closing_twice_leaves_nothing_behind(inbox: Inbox) -> None:
    said: list[str] = []
    with warnings.catch_warnings():
        # What tests before this one left is not the bridge's.
        warnings.simplefilter("ignore")
        gc.collect()

    async def last() -> None:
        said.append("lab stopped")

    bridge = Bridge(inbox)
    bridge.close(last)
    bridge.close(last)
    gc.collect()
    assert said == ["lab stopped"] and bridge.running("run") is False
    bridge.submit("run", "running", last)
    bridge.call(lambda: said.append("called"))
    gc.collect()
    assert said == ["lab stopped"] and not bridge.running("run")


def test_messages_can_stand_for_each_other() -> None:
    assert EventsReady().can_replace(EventsReady()) and not EventsReady().can_replace(JobEnded("a", 1))
