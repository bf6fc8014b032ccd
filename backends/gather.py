"""Reads facts: all collectors of all clusters side by side, in the order of their needs, results as they come."""

import asyncio
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from mesh import catalogue as fact
from mesh.errors import UsageError
from mesh.events import CollectorProgress, Emit, FactArrived, GatherDone
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.context import ContextRef
from mesh.ports import Clock
from mesh.reading import ClusterReader, Collected, Collector, NotRead, Scope
from mesh.snapshot import load
from mesh.subject import MESH, OfCluster
from mesh.text import clean, clean_value

Connect = Callable[[ContextRef], ClusterReader]
_CLUSTERS_AT_ONCE: Final = 32
_REDRAW_SECONDS: Final = 0.05
_LASTING_SECONDS: Final = 3600.0
_STATES: Final = {Reason.FORBIDDEN: "denied", Reason.EXPIRED: "expired", Reason.CANCELLED: "cancelled"}


class ClusterGatherer:
    """See ``mesh.ports.Gatherer``. ``connect`` gives the reader of a context and may raise ``NotRead``."""

    def __init__(self, collectors: Sequence[Collector], connect: Connect, clock: Clock) -> None:
        self._collectors = tuple(collectors)
        self._connect = connect
        self._clock = clock

    def collectors(self) -> tuple[tuple[str, str], ...]:
        """See ``Gatherer``."""
        return tuple((one.id, one.label) for one in self._collectors)

    async def gather(
        self, refs: Sequence[ContextRef], emit: Emit, *, only: Collection[str] = (), base: FactStore | None = None
    ) -> FactStore:
        """See ``Gatherer``; ``only`` may also name facts: the collectors that provide them are meant."""
        began = time.monotonic()
        now = self._clock.now()
        source = Source(Origin.LIVE, "clock", "this machine")
        found: dict[FactKey, Fact] = {FactKey(fact.NOW.name, MESH): Known(now, source, now)}
        for key, value in found.items():
            emit(FactArrived(key, value))
        gate = asyncio.Semaphore(_CLUSTERS_AT_ONCE)

        async def read(ref: ContextRef) -> None:
            known = _facts_of(base, ref.key)
            cluster = _Cluster(ref, self._chosen(only, known), known, found, emit, now)
            async with gate:
                await cluster.read(self._connect)

        await _all([read(ref) for ref in refs])
        known = sum(isinstance(one, Known) for one in found.values())
        emit(GatherDone(known, len(found) - known, time.monotonic() - began))
        return (base or FactStore()).put(found.items())

    def _chosen(self, only: Collection[str], known: Mapping[str, Fact]) -> list[Collector]:
        """The named collectors with those whose facts they need: what is derived is no newer than what it is from."""
        if not only:
            return list(self._collectors)
        names = set(only)
        chosen: dict[str, Collector] = {}
        wanted = [one for one in self._collectors if one.id in names or names & {name.name for name in one.provides}]
        while wanted:
            one = wanted.pop()
            if one.id in chosen:
                continue
            chosen[one.id] = one
            needed = {name.name for name in one.needs if not _lasting(name, known.get(name.name))}
            wanted += [other for other in self._collectors if needed & {name.name for name in other.provides}]
        return [one for one in self._collectors if one.id in chosen]


class _Cluster:
    """The reading of one cluster."""

    def __init__(
        self,
        ref: ContextRef,
        collectors: Sequence[Collector],
        known: Mapping[str, Fact],
        found: dict[FactKey, Fact],
        emit: Emit,
        now: float,
    ) -> None:
        self._ref = ref
        self._collectors = collectors
        self._known = dict(known)
        self._found = found
        self._emit = emit
        self._now = now
        self._ended = {one.id: asyncio.Event() for one in collectors}

    async def read(self, connect: Connect) -> None:
        where = Source(Origin.LIVE, "kubeconfig", self._ref.file)
        try:
            reader = connect(self._ref)
            where = Source(reader.origin, "context", self._ref.file)
        except NotRead as error:
            self._put(fact.CONTEXT, Known(self._ref, where, self._now))
            for collector in self._collectors:
                self._lose(collector, error.unknown, 0.0)
            return
        self._put(fact.CONTEXT, Known(self._ref, where, self._now))
        try:
            await _all([self._run(collector, reader) for collector in self._collectors])
        finally:
            await reader.close()

    async def _run(self, collector: Collector, reader: ClusterReader) -> None:
        began = time.monotonic()
        try:
            await self._wait_for_needs(collector)
            began = time.monotonic()
            self._say(collector, "reading", began)
            lost = self._no_access(collector)
            if lost is not None:
                self._lose(collector, lost, began)
                return
            await self._collect(collector, reader, began)
        except asyncio.CancelledError:
            self._lose(collector, Unknown(Reason.CANCELLED, "reading was stopped", "Read again."), began)
            raise
        finally:
            self._ended[collector.id].set()

    async def _wait_for_needs(self, collector: Collector) -> None:
        needed = {name.name for name in collector.needs}
        for other in self._collectors:
            if other is not collector and needed & {name.name for name in other.provides}:
                await self._ended[other.id].wait()

    def _no_access(self, collector: Collector) -> Unknown | None:
        version = self._known.get(fact.VERSION.name)
        if fact.VERSION not in collector.needs or not isinstance(version, Unknown):
            return None
        # Whoever may not read the version may read other things; no other refusal is as narrow.
        return None if version.reason is Reason.FORBIDDEN else version

    async def _collect(self, collector: Collector, reader: ClusterReader, began: float) -> None:
        shown = began

        def progress(done: int, total: int, text: str) -> None:
            nonlocal shown
            if time.monotonic() - shown >= _REDRAW_SECONDS or done == total:
                shown = time.monotonic()
                self._say(collector, "reading", began, done=done, total=total, text=text)

        def waits(seconds: float) -> None:
            self._say(collector, "waiting", began, text=f"waits {seconds:.0f} s (429)")

        subject = OfCluster(self._ref.key)
        facts = FactStore({FactKey(name, subject): value for name, value in self._known.items()})
        scope = Scope(self._ref, reader.bounded(collector.max_bytes, waits), facts, self._now, progress)
        try:
            async with asyncio.timeout(collector.timeout_s):
                collected = await collector.collect(scope)
        except NotRead as error:
            self._lose(collector, error.unknown, began)
        except TimeoutError:
            detail = f"not finished within {collector.timeout_s:g} s"
            self._lose(collector, Unknown(Reason.TIMEOUT, detail, "Read again."), began)
        except Exception as error:
            self._lose(collector, _our_fault(error), began)
        else:
            self._keep(collector, collected, began)

    def _keep(self, collector: Collector, collected: Collected, began: float) -> None:
        lost: Unknown | None = None
        for name in collector.provides:
            value = collected.facts.get(name, Unknown(Reason.NOT_COLLECTED, f"{collector.label} did not tell"))
            arrived = self._put(name, value)
            if isinstance(arrived, Unknown):
                lost = lost or arrived
        self._end(collector, lost, began, collected.text)

    def _lose(self, collector: Collector, unknown: Unknown, began: float) -> None:
        for name in collector.provides:
            if FactKey(name.name, OfCluster(self._ref.key)) not in self._found:
                self._put(name, unknown)
        self._end(collector, unknown, began)

    def _put(self, name: FactName[Any], value: Fact) -> Fact:
        """Everything a collector brings passes here, and is cleaned here."""
        if isinstance(value, Known):
            value = msgspec.structs.replace(value, value=clean_value(value.value), source=clean_value(value.source))
        else:
            value = msgspec.structs.replace(value, detail=clean(value.detail, 600), lift=clean(value.lift, 600))
        key = FactKey(name.name, OfCluster(self._ref.key))
        self._known[name.name] = self._found[key] = value
        self._emit(FactArrived(key, value))
        return value

    def _end(self, collector: Collector, lost: Unknown | None, began: float, text: str = "") -> None:
        state = "done" if lost is None else _STATES.get(lost.reason, "failed")
        detail, lift = (clean(lost.detail or lost.reason.value, 600), clean(lost.lift, 600)) if lost else ("", "")
        self._say(collector, state, began, text=text, detail=detail, lift=lift)

    def _say(
        self,
        collector: Collector,
        state: str,
        began: float,
        *,
        done: int = 0,
        total: int = 0,
        text: str = "",
        detail: str = "",
        lift: str = "",
    ) -> None:
        seconds = time.monotonic() - began if began else 0.0
        words = clean(text, 80)
        self._emit(CollectorProgress(self._ref.key, collector.id, state, done, total, words, detail, lift, seconds))


async def _all(work: Sequence[Any]) -> None:
    """Run side by side; when cancelled, wait until each has said so."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _facts_of(base: FactStore | None, cluster: str) -> dict[str, Fact]:
    if base is None:
        return {}
    subject = OfCluster(cluster)
    pairs = ((name, base.get(name, subject)) for name in fact.FACTS)
    return {name: value for name, value in pairs if not _never(value)}


def _lasting(name: FactName[Any], value: Fact | None) -> bool:
    """Whether a fact is known and of a kind that seldom changes, such as the version."""
    return isinstance(value, Known) and (name.max_age is None or name.max_age >= _LASTING_SECONDS)


def _never(value: Fact) -> bool:
    return isinstance(value, Unknown) and value.reason is Reason.NOT_COLLECTED


def _our_fault(error: Exception) -> Unknown:
    """A collector that raises anything else is a bug of ours: named with its place, shown as unknown, never as good."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "nowhere"
    return Unknown(
        Reason.INVALID,
        f"internal error: {type(error).__name__} at {place}",
        "Please report it; the rest is not affected.",
    )


class SnapshotGatherer:
    """A ``Gatherer`` of a bundle: ``inner`` reads its recordings, snapshots are taken as they are."""

    def __init__(self, inner: ClusterGatherer, snapshots: Sequence[tuple[str, bytes]]) -> None:
        self._inner = inner
        self._snapshots = tuple(snapshots)

    def collectors(self) -> tuple[tuple[str, str], ...]:
        """See ``Gatherer``."""
        return self._inner.collectors()

    async def gather(
        self, refs: Sequence[ContextRef], emit: Emit, *, only: Collection[str] = (), base: FactStore | None = None
    ) -> FactStore:
        """See ``Gatherer``. The time of the facts is the snapshot's own; a recording is judged by today's."""
        kept, names = read_snapshots(self._snapshots, emit)
        wanted = {ref.key for ref in refs}
        rows = [(key, value) for key, value in kept.items() if set(key.subject.clusters()) <= wanted]
        recorded = [ref for ref in refs if ref.key not in names]
        if not recorded:
            unknown = sum(isinstance(value, Unknown) for _, value in rows)
            emit(GatherDone(len(rows) - unknown, unknown, 0.0))
            return (base or FactStore()).put(rows)
        return await self._inner.gather(recorded, emit, only=only, base=(base or FactStore()).put(rows))


def read_snapshots(snapshots: Iterable[tuple[str, bytes]], emit: Emit) -> tuple[FactStore, tuple[str, ...]]:
    """Facts out of snapshot files, cleaned as everything from outside. Raises ``UsageError`` naming the file."""
    store, clusters = FactStore(), dict[str, None]()
    for path, content in snapshots:
        facts, names = _loaded(path, content)
        rows = [(clean_value(key), _cleaned(value, path)) for key, value in facts.items()]
        for key, value in rows:
            emit(FactArrived(key, value))
        store = store.put(rows)
        clusters |= dict.fromkeys(clean(name) for name in names)
    return store, tuple(clusters)


def _loaded(path: str, content: bytes) -> tuple[FactStore, tuple[str, ...]]:
    try:
        return load(content)
    except UsageError as error:
        raise UsageError(f"{clean(path)}: {error.title}", clean(error.detail, 600), error.hint) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{clean(path)}: this is no snapshot", "It is not JSON text.") from error


def _cleaned(value: Fact, path: str) -> Fact:
    if isinstance(value, Unknown):
        return clean_value(value)
    source = clean_value(msgspec.structs.replace(value.source, origin=Origin.BUNDLE, where=path))
    return msgspec.structs.replace(value, value=clean_value(value.value), source=source)
