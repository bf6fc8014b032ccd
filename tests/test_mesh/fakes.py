"""Hand-written ports in memory: a world of facts that effects change, and a record of every call in order."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesh.errors import Refused, StepFailed
from mesh.events import Emit, Event
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Source
from mesh.model.context import ContextRef, Provider
from mesh.model.network import FirewallRule
from mesh.plan import Plan
from mesh.ports import CaMaterial, Clock, Outcome, Output
from mesh.subject import OfCluster
from mesh.text import Secret

SOURCE = Source(Origin.SIMULATOR, "test")


def ref(key: str, provider: Provider = Provider.EKS) -> ContextRef:
    return ContextRef(key, key, "/kubeconfig", f"https://{key}.example.com", provider=provider)


class FakeWorld:
    """Facts by cluster; ``calls`` is everything that was asked of it, in order."""

    def __init__(self) -> None:
        self.facts: dict[FactKey, Fact] = {}
        self.calls: list[str] = []
        self.fail: dict[str, Exception] = {}
        self.hooks: dict[str, Callable[[], None]] = {}
        self.answers: dict[str, list[str]] = {}
        self.holder = ""
        self.gathered: list[tuple[str, ...]] = []

    def put(self, name: FactName[Any], cluster: str, value: Any) -> None:
        key = FactKey(name.name, OfCluster(cluster))
        self.facts[key] = Known(value, SOURCE, 1.0)

    async def did(self, what: str) -> None:
        self.calls.append(what)
        await asyncio.sleep(0)
        if what in self.fail:
            raise self.fail[what]
        if what in self.hooks:
            self.hooks[what]()


class FakeClock:
    """Time moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class FakeGatherer:
    def __init__(self, world: FakeWorld) -> None:
        self.world = world

    def collectors(self) -> tuple[tuple[str, str], ...]:
        return (("all", "everything"),)

    async def gather(
        self, refs: Sequence[ContextRef], emit: Emit, *, only: Collection[str] = (), base: FactStore | None = None
    ) -> FactStore:
        keys = {item.key for item in refs}
        self.world.gathered.append(tuple(only))
        self.world.hooks.get(f"gather {','.join(only)}", lambda: None)()
        found = {
            key: value
            for key, value in self.world.facts.items()
            if set(key.subject.clusters()) <= keys and (not only or key.name in only)
        }
        return (base or FactStore()).put(found.items())


class FakeCluster:
    def __init__(self, world: FakeWorld, key: str) -> None:
        self.world = world
        self.key = key

    async def hold(self, holder: str, seconds: int) -> None:
        if error := self.world.fail.get(f"hold {self.key}"):
            raise error
        if self.world.holder and self.world.holder != holder:
            raise Refused(f"{self.key} is being changed by {self.world.holder}")

    async def release(self, holder: str) -> None:
        self.world.calls.append(f"release {self.key}")

    async def park_daemon_set(self, namespace: str, name: str) -> Outcome:
        await self.world.did(f"park {self.key} {name}")
        return Outcome((f"{name} of {self.key}",), {"selector": {}})

    async def read_ca(self, namespace: str) -> Any:
        return None

    async def write_ca(self, namespace: str, release: str, ca: Any) -> Outcome:
        await self.world.did(f"ca {self.key} {ca.fingerprint[:4]}")
        return Outcome((f"cilium-ca of {self.key}",))

    async def restart_unmanaged_pods(self, output: Output, clock: Clock) -> Outcome:
        await self.world.did(f"restart {self.key}")
        return Outcome()

    async def apply(self, objects: Sequence[Mapping[str, Any]]) -> Outcome:
        await self.world.did(f"apply {self.key}")
        return Outcome()

    async def delete_namespace(self, name: str, clock: Clock) -> Outcome:
        await self.world.did(f"delete {self.key} {name}")
        return Outcome()

    async def run_in_pod(
        self, namespace: str, selector: str, container: str, argv: Sequence[str], seconds: float
    ) -> tuple[int, str]:
        await self.world.did(f"exec {self.key}")
        answers = self.world.answers.get(self.key, ["{}"])
        return 0, answers.pop(0) if len(answers) > 1 else answers[0]


class FakeCloud:
    def __init__(self, world: FakeWorld, key: str) -> None:
        self.world = world
        self.key = key

    async def open_rules(self, group: str, resource_id: str, rules: Sequence[FirewallRule], output: Output) -> Outcome:
        await self.world.did(f"open {self.key} {group} {len(rules)}")
        return Outcome((f"rule on {group}",), {"rules": ["sgr-1"]})

    async def disable_kube_proxy(self, resource_id: str, output: Output) -> Outcome:
        await self.world.did(f"kube-proxy {self.key}")
        return Outcome()

    async def resolve(self, hostname: str) -> tuple[str, ...]:
        return ("10.0.0.9",)


class FakeHelm:
    def __init__(self, world: FakeWorld) -> None:
        self.world = world
        self.values: dict[str, list[Mapping[str, Any]]] = {}

    async def apply(
        self, ref: ContextRef, release: str, namespace: str, version: str, values: Mapping[str, Any], output: Output
    ) -> Outcome:
        self.values.setdefault(ref.key, []).append(values)
        output(f"helm {ref.key}")
        await self.world.did(f"helm {ref.key}")
        return Outcome((f"release of {ref.key}",), {"revision": 0})

    def command(self, ref: ContextRef, release: str, namespace: str, version: str) -> tuple[str, ...]:
        return ("helm", "upgrade", "--install", release)

    async def version(self) -> str:
        await self.world.did("helm version")
        return "v3.22.0"


class FakeWriters:
    def __init__(self, world: FakeWorld, refs: Sequence[ContextRef]) -> None:
        self.world = world
        self.refs = {item.key: item for item in refs}
        self.helm = FakeHelm(world)

    def cluster(self, key: str) -> FakeCluster:
        return FakeCluster(self.world, key)

    def cloud(self, key: str) -> FakeCloud:
        return FakeCloud(self.world, key)

    def context(self, key: str) -> ContextRef:
        return self.refs[key]

    async def close(self) -> None:
        self.world.calls.append("close")

    def new_ca(self) -> CaMaterial:
        return CaMaterial("certificate", Secret("key"), "abcd" * 16)


class MemoryStore:
    def __init__(self) -> None:
        self.records: dict[int, list[dict[str, Any]]] = {}
        self.values: dict[str, Any] = {}
        self.refuse = False
        self.released: list[int] = []

    def journal_path(self, run: int) -> Path:
        return Path(f"/journal/{run}")

    def log_path(self, run: int) -> Path:
        return Path(f"/log/{run}")

    def append(self, run: int, record: Mapping[str, Any]) -> None:
        if self.refuse:
            raise Refused("The journal cannot be written, so nothing is changed")
        self.records.setdefault(run, []).append(dict(record))

    def release(self, run: int) -> None:
        self.released.append(run)

    def read(self, run: int) -> list[dict[str, Any]]:
        return list(self.records.get(run, []))

    def runs(self) -> list[int]:
        return sorted(self.records)

    def next_run(self) -> int:
        run = max(self.records, default=0) + 1
        self.records[run] = []
        return run

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def put(self, name: str, value: Any) -> None:
        self.values[name] = value


class FakePorts:
    """``Ports`` over one world."""

    contexts: Any = None
    lab: Any = None

    def __init__(self, world: FakeWorld) -> None:
        self.world = world
        self.gatherer = FakeGatherer(world)
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.armoury = self
        self.writers: FakeWriters | None = None

    def arm(self, plan: Plan, refs: Sequence[ContextRef]) -> FakeWriters:
        self.writers = self.writers or FakeWriters(self.world, refs)
        return self.writers


def failing(words: str, hint: str = "") -> StepFailed:
    return StepFailed(words, hint=hint)


class Recorder(list[Event]):
    """An ``Emit`` that keeps everything."""

    def __call__(self, event: Event) -> None:
        self.append(event)
