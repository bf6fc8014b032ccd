"""Gathering: order of needs, side by side, partial results, failures contained, cancelling, hostile text."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from backends.gather import ClusterGatherer, SnapshotGatherer
from mesh import catalogue as fact
from mesh.errors import UsageError
from mesh.events import CollectorProgress, Event, FactArrived, GatherDone
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.context import ContextRef, Right, ServerVersion
from mesh.model.kubernetes import Node, Workload
from mesh.reading import Collected, Cost, NotRead, Scope
from mesh.snapshot import dump
from mesh.subject import MESH, OfCluster
from tests.test_backends.recorded import MachineClock

A, B = ContextRef("a", "a", "/f"), ContextRef("b", "b", "/f")
VERSION = ServerVersion("v1.34.1")
Body = Callable[[Scope], Awaitable[dict[FactName[Any], Any]]]


class FakeReader:
    """A reader of nothing; it remembers that it was closed."""

    origin = Origin.LIVE

    def __init__(self, ref: ContextRef) -> None:
        self.where = ref.context
        self.closed = False

    def bounded(self, max_bytes: int, waits: Callable[[float], None] | None = None) -> "FakeReader":
        if waits and max_bytes == 429:
            waits(7.0)
        return self

    async def close(self) -> None:
        self.closed = True


class Fake:
    """A collector made of a function."""

    rbac: tuple[Right, ...] = ()
    cost = Cost.CHEAP

    def __init__(
        self,
        id_: str,
        provides: Sequence[FactName[Any]],
        body: Body,
        needs: Sequence[FactName[Any]] = (fact.VERSION,),
        *,
        timeout_s: float = 5.0,
        max_bytes: int = 1000,
    ) -> None:
        self.id = self.label = id_
        self.provides = tuple(provides)
        self.needs = tuple(needs)
        self.timeout_s = timeout_s
        self.max_bytes = max_bytes
        self._body = body

    async def collect(self, scope: Scope) -> Collected:
        found = await self._body(scope)
        facts: dict[FactName[Any], Fact] = {
            name: item if isinstance(item, Known | Unknown) else scope.known(item, self.id)
            for name, item in found.items()
        }
        return Collected(facts, f"{self.id} read")


async def version(scope: Scope) -> dict[FactName[Any], Any]:
    return {fact.VERSION: VERSION, fact.CLUSTER_UID: scope.ref.key}


ACCESS = Fake("access", (fact.VERSION, fact.CLUSTER_UID), version, ())


def giving(name: FactName[Any], value: Any) -> Body:
    async def body(scope: Scope) -> dict[FactName[Any], Any]:
        return {name: value}

    return body


class Run:
    """One gathering with what it emitted."""

    def __init__(self, *collectors: Fake, refused: dict[str, NotRead] | None = None) -> None:
        self.events: list[Event] = []
        self.readers: dict[str, FakeReader] = {}
        self._refused = refused or {}
        self.gatherer = ClusterGatherer(collectors, self._connect, MachineClock())

    def _connect(self, ref: ContextRef) -> Any:
        if ref.key in self._refused:
            raise self._refused[ref.key]
        self.readers[ref.key] = FakeReader(ref)
        return self.readers[ref.key]

    async def __call__(self, *refs: ContextRef, **more: Any) -> FactStore:
        return await self.gatherer.gather(refs or (A,), self.events.append, **more)

    def ended(self, cluster: str = "a") -> dict[str, CollectorProgress]:
        return {
            event.collector: event
            for event in self.events
            if isinstance(event, CollectorProgress) and event.cluster == cluster and event.state != "reading"
        }


def get(store: FactStore, name: FactName[Any], cluster: str = "a") -> Any:
    found = store.get(name, OfCluster(cluster))
    return found.value if isinstance(found, Known) else found


async def test_needs_come_first_and_are_seen() -> None:
    order: list[str] = []

    async def workloads(scope: Scope) -> dict[FactName[Any], Any]:
        await asyncio.sleep(0.02)
        order.append("workloads")
        return {fact.WORKLOADS: (Workload("DaemonSet", "kube-system", "cilium"),)}

    async def agents(scope: Scope) -> dict[FactName[Any], Any]:
        order.append("agents")
        known = scope.facts.get(fact.WORKLOADS, OfCluster("a"))
        assert isinstance(known, Known)
        return {fact.AGENTS: ()}

    run = Run(
        Fake("agents", (fact.AGENTS,), agents, (fact.WORKLOADS,)), Fake("config", (fact.WORKLOADS,), workloads), ACCESS
    )
    store = await run()
    assert order == ["workloads", "agents"]
    assert get(store, fact.AGENTS) == ()
    assert run.gatherer.collectors() == (("agents", "agents"), ("config", "config"), ("access", "access"))


async def test_clusters_and_collectors_run_side_by_side() -> None:
    async def slow(scope: Scope) -> dict[FactName[Any], Any]:
        await asyncio.sleep(0.2)
        return {fact.NODES: ()}

    async def slow_too(scope: Scope) -> dict[FactName[Any], Any]:
        await asyncio.sleep(0.2)
        return {fact.PODS: ()}

    run = Run(ACCESS, Fake("nodes", (fact.NODES,), slow), Fake("pods", (fact.PODS,), slow_too))
    began = time.monotonic()
    store = await run(A, B)
    assert time.monotonic() - began < 0.6
    assert store.clusters() == ("a", "b")
    assert all(reader.closed for reader in run.readers.values())


async def test_every_fact_arrives_by_itself_and_the_end_is_counted() -> None:
    run = Run(ACCESS, Fake("nodes", (fact.NODES,), giving(fact.NODES, ())))
    store = await run(A, B)
    arrived = [event for event in run.events if isinstance(event, FactArrived)]
    assert {event.key: event.fact for event in arrived} == dict(store.items())
    assert FactKey(fact.NOW.name, MESH) in {event.key for event in arrived}
    assert isinstance(run.events[-1], GatherDone)
    assert (run.events[-1].known, run.events[-1].unknown) == (9, 0)
    assert run.ended()["nodes"].state == "done"
    assert run.ended()["nodes"].text == "nodes read"


@pytest.mark.parametrize(
    "reason", [Reason.UNREACHABLE, Reason.TIMEOUT, Reason.EXPIRED, Reason.NO_PLUGIN, Reason.INVALID, Reason.THROTTLED]
)
async def test_where_nobody_answers_nothing_else_is_asked(reason: Reason) -> None:
    asked: list[str] = []

    async def nobody(scope: Scope) -> dict[FactName[Any], Any]:
        raise NotRead(reason, "why", "do this")

    async def nodes(scope: Scope) -> dict[FactName[Any], Any]:
        asked.append("nodes")
        return {fact.NODES: ()}

    async def cloud(scope: Scope) -> dict[FactName[Any], Any]:
        return {fact.CLOUD: None}

    run = Run(
        Fake("access", (fact.VERSION, fact.CLUSTER_UID), nobody, ()),
        Fake("nodes", (fact.NODES,), nodes),
        Fake("cloud", (fact.CLOUD,), cloud, (fact.NODES,)),
    )
    store = await run()
    assert asked == []
    for name in (fact.VERSION, fact.CLUSTER_UID, fact.NODES):
        assert get(store, name) == Unknown(reason, "why", "do this")
    assert get(store, fact.CLOUD) is None
    state = "expired" if reason is Reason.EXPIRED else "failed"
    assert {end.state for id_, end in run.ended().items() if id_ != "cloud"} == {state}
    assert run.ended()["nodes"].lift == "do this"


async def test_a_version_that_may_not_be_read_stops_nothing() -> None:
    async def denied(scope: Scope) -> dict[FactName[Any], Any]:
        return {fact.VERSION: Unknown(Reason.FORBIDDEN, "no"), fact.CLUSTER_UID: "u"}

    run = Run(Fake("access", ACCESS.provides, denied, ()), Fake("nodes", (fact.NODES,), giving(fact.NODES, ())))
    store = await run()
    assert get(store, fact.NODES) == ()
    assert run.ended()["access"].state == "denied"


async def test_a_context_that_cannot_be_opened_spoils_only_itself() -> None:
    refused = NotRead(Reason.INVALID, "cluster 'x' has no server", "Add it.")
    run = Run(ACCESS, Fake("nodes", (fact.NODES,), giving(fact.NODES, ())), refused={"a": refused})
    store = await run(A, B)
    assert get(store, fact.VERSION) == get(store, fact.NODES) == refused.unknown
    assert get(store, fact.CONTEXT) == A
    assert get(store, fact.NODES, "b") == ()


async def test_failures_of_one_collector_stay_there() -> None:
    async def broken(scope: Scope) -> dict[FactName[Any], Any]:
        raise KeyError("S3CRET")

    async def slow(scope: Scope) -> dict[FactName[Any], Any]:
        await asyncio.sleep(30)
        return {}

    async def forgetful(scope: Scope) -> dict[FactName[Any], Any]:
        return {}

    run = Run(
        ACCESS,
        Fake("nodes", (fact.NODES,), broken),
        Fake("pods", (fact.PODS,), slow, timeout_s=0.1),
        Fake("config", (fact.SETTINGS, fact.OWNER), forgetful),
        Fake("services", (fact.SERVICES,), giving(fact.SERVICES, ()), max_bytes=429),
    )
    store = await run()
    assert get(store, fact.NODES).reason is Reason.INVALID
    assert get(store, fact.NODES).detail.startswith("internal error: KeyError at test_gather.py:")
    assert "S3CRET" not in get(store, fact.NODES).detail
    assert get(store, fact.PODS).reason is Reason.TIMEOUT
    assert get(store, fact.SETTINGS).reason is Reason.NOT_COLLECTED
    assert get(store, fact.SERVICES) == ()
    assert "waiting" in {event.state for event in run.events if isinstance(event, CollectorProgress)}


async def test_cancelling_keeps_what_came_and_says_what_did_not() -> None:
    reached = asyncio.Event()

    async def never(scope: Scope) -> dict[FactName[Any], Any]:
        reached.set()
        await asyncio.sleep(60)
        return {}

    run = Run(
        ACCESS, Fake("nodes", (fact.NODES,), giving(fact.NODES, ())), Fake("pods", (fact.PODS,), never),
        Fake("agents", (fact.AGENTS,), never, (fact.PODS,)),
    )  # fmt: skip
    task = asyncio.create_task(run())
    await asyncio.wait_for(reached.wait(), 5)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    arrived = {event.key.name: event.fact for event in run.events if isinstance(event, FactArrived)}
    assert isinstance(arrived[fact.NODES.name], Known)
    for name in (fact.PODS.name, fact.AGENTS.name):
        lost = arrived[name]
        assert isinstance(lost, Unknown)
        assert lost.reason is Reason.CANCELLED
    assert run.ended()["pods"].state == run.ended()["agents"].state == "cancelled"
    assert run.readers["a"].closed


async def test_only_reads_what_is_named_and_what_that_needs() -> None:
    asked: list[str] = []

    def noting(id_: str, name: FactName[Any], value: Any, needs: Sequence[FactName[Any]]) -> Fake:
        async def body(scope: Scope) -> dict[FactName[Any], Any]:
            asked.append(id_)
            return {name: value}

        return Fake(id_, (name,), body, needs)

    collectors = (
        noting("access", fact.VERSION, VERSION, ()),
        noting("config", fact.WORKLOADS, (), (fact.VERSION,)),
        noting("agents", fact.AGENTS, (), (fact.VERSION, fact.WORKLOADS)),
        noting("nodes", fact.NODES, (), (fact.VERSION,)),
    )
    store = await Run(*collectors)(only=("agents",))
    assert sorted(asked) == ["access", "agents", "config"]
    asked.clear()
    # What seldom changes is not read again, what the named is derived from is; facts may be named as well.
    again = await Run(*collectors)(only=(fact.AGENTS.name,), base=store)
    assert sorted(asked) == ["agents", "config"]
    assert get(again, fact.VERSION) == VERSION
    asked.clear()
    lost = store.put([(FactKey(fact.VERSION.name, OfCluster("a")), Unknown(Reason.TIMEOUT))])
    await Run(*collectors)(only=("nodes",), base=lost)
    assert sorted(asked) == ["access", "nodes"]


async def test_hostile_text_is_cleaned_wherever_it_hides() -> None:
    evil = "a\x1b]52;c;eA==\x07\x1b[2J\x9b31m\u202eb\x00\r"
    node = Node(evil, internal_ips=(evil,), labels={evil: evil}, ready_reason=evil)

    async def nodes(scope: Scope) -> dict[FactName[Any], Any]:
        scope.progress(1, 1, evil)
        return {fact.NODES: (node,), fact.PODS: Unknown(Reason.FORBIDDEN, evil, evil)}

    run = Run(ACCESS, Fake("nodes", (fact.NODES, fact.PODS), nodes))
    store = await run()
    (found,) = get(store, fact.NODES)
    assert found == Node("ab", internal_ips=("ab",), labels={"ab": "ab"}, ready_reason="ab")
    for event in run.events:
        texts = [event.text, event.detail, event.lift] if isinstance(event, CollectorProgress) else []
        assert all(text.isprintable() for text in texts)
    assert all("\x1b" not in repr(one) and "\\u202e" not in repr(one) for _, one in store.items())


async def test_progress_is_not_a_flood() -> None:
    async def counting(scope: Scope) -> dict[FactName[Any], Any]:
        for number in range(5000):
            scope.progress(number, 5000, str(number))
        scope.progress(5000, 5000, "5000")
        return {fact.NODES: ()}

    run = Run(ACCESS, Fake("nodes", (fact.NODES,), counting))
    await run()
    told = [event for event in run.events if isinstance(event, CollectorProgress) and event.collector == "nodes"]
    assert len(told) < 50
    assert max(event.done for event in told) == 5000


async def test_snapshots_are_taken_as_they_are_but_cleaned() -> None:
    source = Source(Origin.LIVE, "list nodes", "a")
    rows: list[tuple[FactKey, Fact]] = [
        (FactKey(fact.NODES.name, OfCluster("a")), Known((Node("n\x1b[2J"),), source, 5.0)),
        (FactKey(fact.PODS.name, OfCluster("a")), Unknown(Reason.FORBIDDEN, "no\x07")),
        (FactKey(fact.NOW.name, MESH), Known(5.0, source, 5.0)),
    ]
    content = dump(FactStore(dict(rows)), ["a"])
    gatherer = SnapshotGatherer(Run(ACCESS).gatherer, [("s.json", content)])
    events: list[Event] = []
    store = await gatherer.gather((A,), events.append)
    assert get(store, fact.NODES) == (Node("n"),)
    assert get(store, fact.PODS) == Unknown(Reason.FORBIDDEN, "no")
    now = store.get(fact.NOW, MESH)
    assert isinstance(now, Known)
    assert (now.value, now.source.origin, now.source.where) == (5.0, Origin.BUNDLE, "s.json")
    assert isinstance(events[-1], GatherDone)
    # A cluster beside it that is no snapshot is read.
    both = await gatherer.gather((A, B), events.append)
    assert get(both, fact.VERSION, "b") == VERSION
    assert get(both, fact.NODES) == (Node("n"),)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"apiVersion": "v9", "kind": "Snapshot"}'])
async def test_a_snapshot_that_is_none_is_named(content: bytes) -> None:
    gatherer = SnapshotGatherer(Run(ACCESS).gatherer, [("bad.json", content)])
    with pytest.raises(UsageError, match=r"bad\.json"):
        await gatherer.gather((A,), lambda event: None)
