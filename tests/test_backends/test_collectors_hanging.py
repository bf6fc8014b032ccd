"""Every collector at an API server that stops answering: its deadline, its cancelling, and nothing left running."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.bundle import open_bundle
from backends.gather import ClusterGatherer
from backends.kubeconfig.listing import unique_keys
from mesh.events import CollectorProgress, Event, FactArrived
from mesh.facts import FactStore, Known, Reason, Unknown
from mesh.model.context import ContextRef
from mesh.reading import ClusterReader, Collector
from mesh.subject import OfCluster
from tests.test_backends.recorded import EKS, RECORDINGS, MachineClock, collectors, recorded

SCENARIO = "connected-1.19.5"
NAMES = [collector.id for collector in collectors()]
# After how many answers the server stops; a recording answers nothing about rights.
STOPS = [(name, answers) for name in NAMES for answers in ((0,) if name == "rights" else (0, 1, 3))]


class Hanging:
    """A recording's reader that stops answering after some calls."""

    def __init__(self, inner: ClusterReader, answers: int) -> None:
        self.inner, self.left = inner, answers
        self.origin, self.where, self.skew = inner.origin, inner.where, inner.skew
        self.hangs = asyncio.Event()
        self.closed = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **words: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                self.hangs.set()
                await asyncio.get_running_loop().create_future()
            return await getattr(self.inner, name)(*arguments, **words)

        return call

    def bounded(self, max_bytes: int, waits: Callable[[float], None] | None = None) -> "Hanging":
        return self

    async def close(self) -> None:
        self.closed = True


def read(name: str, answers: int, base: FactStore, events: list[Event], seconds: float | None = None) -> Any:
    """The reading of one collector of the EKS cluster, and its reader; ``seconds`` is another deadline."""
    bundle = open_bundle([str(RECORDINGS / SCENARIO)], unique_keys)
    ref = next(one for one in bundle.recordings if one.key == EKS)
    reader = Hanging(bundle.recordings[ref], answers)
    chosen = tuple(type(one)() for one in collectors())
    for one in chosen:
        one.timeout_s = one.timeout_s if seconds is None else seconds

    def connect(ref: ContextRef) -> Any:
        return reader

    gatherer = ClusterGatherer(chosen, connect, MachineClock())
    return gatherer.gather([ref], events.append, only=(name,), base=base), reader


def collector_of(name: str) -> Collector:
    return next(one for one in collectors() if one.id == name)


@pytest.mark.parametrize(("name", "answers"), STOPS)
async def test_at_its_deadline_its_facts_are_lost_to_it_and_no_others(name: str, answers: int) -> None:
    before = await recorded(SCENARIO)
    events: list[Event] = []
    reading, reader = read(name, answers, before, events, seconds=0.05)
    after = await asyncio.wait_for(reading, 20)
    own = collector_of(name).provides
    told = {event.collector: event for event in events if isinstance(event, CollectorProgress)}
    if reader.hangs.is_set():
        lost = [after.get(fact, OfCluster(EKS)) for fact in own]
        assert {one.reason for one in lost if isinstance(one, Unknown) and one.lift} == {Reason.TIMEOUT}, lost
        assert not any(isinstance(one, Known) for one in lost)
        assert told[name].state == "failed"
    else:
        assert told[name].state == "done"
    assert reader.closed
    read_again = {event.key for event in events if isinstance(event, FactArrived)}
    kept = [(key, fact) for key, fact in before.items() if key not in read_again]
    assert kept and all(after.get(key.name, key.subject) == fact for key, fact in kept)


@pytest.mark.parametrize(("name", "answers"), STOPS)
async def test_it_ends_when_it_is_cancelled_and_leaves_nothing_running(name: str, answers: int) -> None:
    before = await recorded(SCENARIO)
    events: list[Event] = []
    mine = asyncio.all_tasks()
    work, reader = read(name, answers, before, events)
    reading = asyncio.create_task(work)
    stuck = asyncio.create_task(reader.hangs.wait())
    await asyncio.wait((reading, stuck), timeout=20, return_when=asyncio.FIRST_COMPLETED)
    stuck.cancel()
    if not reading.done():
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(reading), 5)
        lost = [one.fact for one in events if isinstance(one, FactArrived) and isinstance(one.fact, Unknown)]
        assert Reason.CANCELLED in {one.reason for one in lost}
    assert reader.closed
    await asyncio.gather(stuck, return_exceptions=True)
    assert asyncio.all_tasks() == mine


async def test_without_a_stop_they_read_what_is_recorded() -> None:
    before = await recorded(SCENARIO)
    for name in NAMES:
        work, _ = read(name, 1000, FactStore(), [])
        after = await work
        for fact in collector_of(name).provides:
            found, was = after.get(fact, OfCluster(EKS)), before.get(fact, OfCluster(EKS))
            assert isinstance(found, Known) == isinstance(was, Known), fact
