"""Ports in memory, written by hand: contexts, scripted facts, a store, a clock, a lab. Nothing leaves the process."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesh import catalogue as fact
from mesh.events import CollectorProgress, Emit, FactArrived, GatherDone
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.cilium import CiliumSettings
from mesh.model.context import Access, ContextList, ContextPeek, ContextRef, FileProblem, Provider, ServerVersion
from mesh.model.kubernetes import Node
from mesh.plan import Plan
from mesh.ports import Fault, Scenario, Writers
from mesh.subject import OfCluster

NOW = 1_700_000_000.0
COLLECTORS = (
    ("access", "access"),
    ("rights", "rights"),
    ("nodes", "nodes"),
    ("config", "cilium config, owner"),
    ("agents", "agents (exec)"),
    ("firewall", "cloud: firewall"),
)


class FixedClock:
    """Stands still unless it is moved; sleeping yields once."""

    def __init__(self, now: float = NOW) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class MemoryStore:
    """Journals and values in memory; paths below a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, Any] = {}
        self.journals: dict[int, list[dict[str, Any]]] = {}

    def journal_path(self, run: int) -> Path:
        return self.folder / "runs" / f"{run:04d}.jsonl"

    def log_path(self, run: int) -> Path:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return self.folder / "logs" / f"{run:04d}.log"

    def append(self, run: int, record: Mapping[str, Any]) -> None:
        self.journals.setdefault(run, []).append(dict(record))

    def release(self, run: int) -> None:
        pass

    def read(self, run: int) -> list[dict[str, Any]]:
        return list(self.journals.get(run, []))

    def runs(self) -> list[int]:
        return sorted(self.journals)

    def next_run(self) -> int:
        number = max(self.journals, default=0) + 1
        self.journals[number] = []
        return number

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def put(self, name: str, value: Any) -> None:
        self.values[name] = value


def ref(key: str, provider: Provider = Provider.EKS, file: str = "/home/u/.kube/config", **more: Any) -> ContextRef:
    """A context as a kubeconfig tells it."""
    defaults: dict[str, Any] = {
        "server": f"https://{key}.example:443",
        "region": {"EKS": "ap-northeast-1", "AKS": "japaneast"}.get(provider.value, ""),
        "account": {"EKS": "000000004321", "AKS": "aaaaaaaa-0000-4000-8000-0000000077d0"}.get(provider.value, ""),
        "exec_argv": ("aws", "eks", "get-token", "--cluster-name", key) if provider is Provider.EKS else (),
    }
    return ContextRef(key, more.pop("context", key), file, provider=provider, **{**defaults, **more})


def peek(key: str, access: Access = Access.READY, **more: Any) -> ContextPeek:
    """A look at a context."""
    values: dict[str, Any] = {"version": "v1.31.2", "cluster_uid": f"uid-{key}", "rights": (25, 25)}
    return ContextPeek(key, access, **{**values, **more})


class FakeContexts:
    """Contexts as given; ``peeks`` answer at once, or wait for ``gate``."""

    def __init__(
        self,
        refs: Sequence[ContextRef] = (),
        peeks: Mapping[str, ContextPeek] | None = None,
        problems: Sequence[FileProblem] = (),
        searched: Sequence[str] = ("/home/u/.kube/config",),
    ) -> None:
        self.listed = ContextList(tuple(refs), tuple(problems), tuple(searched))
        self.peeks = dict(peeks or {})
        self.signed_in: list[str] = []
        self.after_sign_in: dict[str, ContextPeek] = {}
        self.list_error: Exception | None = None

    def list(self) -> ContextList:
        if self.list_error is not None:
            raise self.list_error
        return self.listed

    async def peek(self, ref: ContextRef) -> ContextPeek:
        return self.peeks.get(ref.key, peek(ref.key))

    def login_command(self, ref: ContextRef) -> tuple[str, ...]:
        found = self.peeks.get(ref.key)
        return found.login if found else ()

    def sign_in(self, ref: ContextRef) -> int:
        self.signed_in.append(ref.key)
        self.peeks[ref.key] = self.after_sign_in.get(ref.key, peek(ref.key))
        return 0


def known(
    name: FactName[Any], cluster: str, value: Any, at: float = NOW - 12, what: str = "list"
) -> tuple[FactKey, Fact]:
    """A known fact of a cluster."""
    return FactKey(name.name, OfCluster(cluster)), Known(value, Source(Origin.LIVE, what, cluster), at)


def unknown(
    name: FactName[Any], cluster: str, reason: Reason, detail: str = "", lift: str = ""
) -> tuple[FactKey, Fact]:
    """A fact that could not be read."""
    return FactKey(name.name, OfCluster(cluster)), Unknown(reason, detail, lift)


def basic_facts(refs: Sequence[ContextRef]) -> list[tuple[FactKey, Fact]]:
    """What any cluster without Cilium tells."""
    facts: list[tuple[FactKey, Fact]] = []
    for number, item in enumerate(refs):
        nodes = tuple(Node(f"{item.key}-node-{i}", (f"10.{number}.0.{i + 1}",), ready=True) for i in range(3))
        facts += [
            known(fact.CONTEXT, item.key, item),
            known(fact.VERSION, item.key, ServerVersion("v1.31.2")),
            known(fact.CLUSTER_UID, item.key, f"uid-{item.key}"),
            known(fact.NODES, item.key, nodes),
            known(fact.SETTINGS, item.key, None),
            known(fact.CILIUM_VERSION, item.key, None),
        ]
    return facts


class FakeGatherer:
    """Emits scripted facts and progress. ``gate`` holds it before the last collector until it is set."""

    def __init__(self, facts: Sequence[tuple[FactKey, Fact]] = (), progress: Sequence[CollectorProgress] = ()) -> None:
        self.facts = list(facts)
        self.progress = list(progress)
        self.gate: asyncio.Event | None = None
        self.holding = False
        self.calls: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def collectors(self) -> tuple[tuple[str, str], ...]:
        return COLLECTORS

    async def gather(
        self, refs: Sequence[ContextRef], emit: Emit, *, only: Collection[str] = (), base: FactStore | None = None
    ) -> FactStore:
        keys = tuple(item.key for item in refs)
        self.calls.append(keys)
        if self.error is not None:
            raise self.error
        facts = [item for item in self.facts if set(item[0].subject.clusters()) <= set(keys)]
        told = [item for item in self.progress if item.cluster in keys] or [
            CollectorProgress(key, name, "done", text="3") for key in keys for name, _ in COLLECTORS
        ]
        if self.holding:
            emit(CollectorProgress(keys[0], COLLECTORS[0][0], "reading", 3, 9))
            self.gate = asyncio.Event()
            await self.gate.wait()
        for item in told:
            emit(item)
        for key, value in facts:
            emit(FactArrived(key, value))
        store = (base or FactStore()).put(facts)
        good = sum(isinstance(value, Known) for _, value in store.items())
        emit(GatherDone(good, len(store) - good, 0.1))
        return store


class FakeLab:
    """A lab that starts at once. ``contexts`` are what its kubeconfig then holds."""

    def __init__(self, ports: "FakePorts", worlds: Mapping[str, FakeContexts] | None = None) -> None:
        self.ports = ports
        self.worlds = dict(worlds or {})
        self.started: list[tuple[str, tuple[str, ...], float, int]] = []
        self.error: Exception | None = None
        self._running = ""

    def scenarios(self) -> tuple[Scenario, ...]:
        return (
            Scenario("classic", "EKS 1.26 + AKS 1.26, Cilium 1.15.1, from nothing", "Guided", "20"),
            Scenario("fresh", "EKS + AKS, VPN up, no Cilium yet: do the whole path", "Guided", "15", "3 + 3 nodes."),
            Scenario("vxlan-one-way", "connected, green status, requests that cross hang", "Broken", "5"),
            Scenario("expired", "one login has ended", "Access", "2"),
            Scenario("twins", "two contexts of one cluster", "Access", "1"),
        )

    def faults(self) -> tuple[Fault, ...]:
        return ()

    async def start(self, scenario: str, faults: Sequence[str] = (), *, speed: float = 1.0, seed: int = 7) -> None:
        if self.error is not None:
            raise self.error
        self.started.append((scenario, tuple(faults), speed, seed))
        self._running = scenario
        if scenario in self.worlds:
            self.ports.contexts = self.worlds[scenario]

    async def stop(self) -> None:
        self._running = ""

    @property
    def running(self) -> str:
        return self._running


class NoArmoury:
    """No test changes anything unless it brings its own writers."""

    def __init__(self) -> None:
        self.armed: list[str] = []

    def arm(self, plan: Plan, refs: Sequence[ContextRef]) -> Writers:
        self.armed.append(plan.id)
        raise NotImplementedError


class FakePorts:
    """All ports; parts are replaced by the tests."""

    def __init__(
        self, folder: Path, contexts: FakeContexts | None = None, gatherer: FakeGatherer | None = None
    ) -> None:
        self.contexts: Any = contexts or FakeContexts()
        self.gatherer: Any = gatherer or FakeGatherer()
        self.armoury: Any = NoArmoury()
        self.store: Any = MemoryStore(folder)
        self.clock: Any = FixedClock()
        self.lab: Any = FakeLab(self)


def two_clusters(folder: Path) -> FakePorts:
    """An EKS and an AKS cluster without Cilium, both well."""
    refs = (ref("eks-tokyo"), ref("aks-east", Provider.AKS, "/home/u/clouds/azure.yaml"))
    return FakePorts(folder, FakeContexts(refs), FakeGatherer(basic_facts(refs)))


def settings(name: str, number: int, pods: str) -> CiliumSettings:
    """Cilium in force."""
    return CiliumSettings(cluster_name=name, cluster_id=number, pod_cidrs=(pods,))
