"""Whole sets of ports for screens: each a state that a screen must be able to show."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mesh import catalogue as fact
from mesh.events import CollectorProgress
from mesh.facts import FactKey, Known, Reason
from mesh.model.context import Access, ContextRef, FileProblem, Provider
from mesh.model.kubernetes import Service
from mesh.plan import Plan
from mesh.ports import Writers
from mesh.subject import OfCluster
from tests.test_mesh import changes, members
from tests.test_mesh import fakes as mesh_fakes
from tests.test_mesh import worlds as mesh_worlds
from tests.test_tui.fakes import (
    COLLECTORS,
    FakeContexts,
    FakeGatherer,
    FakePorts,
    FixedClock,
    basic_facts,
    peek,
    ref,
    two_clusters,
    unknown,
)

AZURE = "/home/u/clouds/azure.yaml"
TOKYO, EAST = "eks-tokyo", "aks-east"


def many(folder: Path) -> FakePorts:
    """Every access state there is."""
    refs = (
        ref("eks-tokyo"),
        ref("eks-osaka", region="ap-northeast-3"),
        ref("admin (1)", Provider.AKS, context="admin", region="westeurope"),
        ref("aks-east", Provider.AKS, AZURE),
        ref("admin (2)", Provider.AKS, AZURE, context="admin"),
        ref("aks-fleet", Provider.AKS, AZURE, region="westeurope"),
        ref("kind-a", Provider.KIND, "/home/u/lab/kind.yaml"),
        ref("kind-b", Provider.KIND, "/home/u/lab/kind.yaml"),
    )
    peeks = {
        "eks-tokyo": peek("eks-tokyo", cilium_version="1.19.5", cilium_id=1),
        "eks-osaka": peek(
            "eks-osaka", Access.EXPIRED, version="", cluster_uid="", detail="the login ended",
            login=("aws", "sso", "login", "--profile", "prod"),
        ),
        "aks-east": peek(
            "aks-east", Access.PARTIAL, rights=(23, 25), cilium_version="1.19.5", cilium_id=2,
            missing=("create pods/exec in kube-system", "list secrets"),
        ),
        "admin (2)": peek("admin (2)", cluster_uid="uid-aks-east", cilium_version="1.19.5", cilium_id=2),
        "aks-fleet": peek("aks-fleet", managed=True, version="v1.32.1", detail="Azure Fleet owns its Cilium"),
        "kind-b": peek("kind-b", Access.UNREACHABLE, version="", cluster_uid="", detail="no answer in 10 s"),
    }  # fmt: skip
    problems = (FileProblem("/home/u/x.yaml", "line 14: tab in YAML", "Replace the tab by blanks."),)
    ports = FakePorts(folder, FakeContexts(refs, peeks, problems), FakeGatherer(basic_facts(refs)))
    ports.store.put("chosen", [f"{item.context}@{item.file}" for item in refs if item.key in ("eks-tokyo", "aks-east")])
    return ports


def denied(folder: Path) -> FakePorts:
    """One cluster whose agents may not be read."""
    ports = two_clusters(folder)
    lift = "kind: Role\nrules: [{apiGroups: [''], resources: [pods/exec], verbs: [create]}]"
    ports.gatherer.facts += [
        unknown(fact.AGENTS, EAST, Reason.FORBIDDEN, "pods/exec is not allowed", "create pods/exec in kube-system")
    ]
    for key in (TOKYO, EAST):
        for name, _ in COLLECTORS:
            bad = key == EAST and name == "agents"
            ports.gatherer.progress.append(
                CollectorProgress(
                    key, name, "denied" if bad else "done", text="pods/exec" if bad else "3", seconds=0.6,
                    detail="create pods/exec in kube-system is not allowed for user 8b1e" if bad else "",
                    lift=lift if bad else "",
                )
            )  # fmt: skip
    return chosen(ports)


def chosen(ports: FakePorts) -> FakePorts:
    """Every context is chosen already."""
    ports.store.put("chosen", [f"{item.context}@{item.file}" for item in ports.contexts.listed.contexts])
    return ports


def of_world(folder: Path, world: mesh_worlds.World) -> FakePorts:
    """Ports whose gatherer reads a world of facts; all its clusters are chosen."""
    refs: list[ContextRef] = [world.get(fact.CONTEXT, member.key) for member in world.members]
    uids = {member.key: world.get(fact.CLUSTER_UID, member.key) for member in world.members}
    peeks = {item.key: peek(item.key, cluster_uid=uids[item.key]) for item in refs}
    ports = FakePorts(folder, FakeContexts(refs, peeks), FakeGatherer(list(world.facts.items())))
    ports.clock = FixedClock(members.NOW + 5)
    return chosen(ports)


def pair(**more: Any) -> mesh_worlds.World:
    """EKS and AKS, healthy and joined unless told otherwise."""
    connected = more.pop("connected", True)
    world = mesh_worlds.build(
        (members.eks(TOKYO, 1, **more), members.aks(EAST, 2, **more)), connected=connected, planned=not connected
    )
    for key in world.clusters:
        world.put(fact.PODS, key, ())
    return world


def bare() -> mesh_worlds.World:
    """EKS and AKS without Cilium; VXLAN is closed towards EKS."""
    world = pair(installed=False, enabled=False, connected=False, parked=False)
    changes.without_rule(TOKYO, 8472)(world)
    return world


def with_services(world: mesh_worlds.World, services: Iterable[tuple[str, str, dict[str, int]]]) -> mesh_worlds.World:
    """Global services: ``(name, affinity, ready endpoints by cluster)``."""
    found: dict[str, list[Service]] = {key: [] for key in world.clusters}
    for name, affinity, ready in services:
        notes = {"service.cilium.io/global": "true"} | (
            {"service.cilium.io/affinity": affinity} if affinity != "none" else {}
        )
        for key, number in ready.items():
            namespace, _, short = name.partition("/")
            found[key].append(
                Service(namespace, short, annotations=notes, ready_endpoints=number, total_endpoints=max(number, 2))
            )
    for key, items in found.items():
        world.put(fact.SERVICES, key, (*(world.get(fact.SERVICES, key) or ()), *items))
    return world


SERVICES = (
    ("shop/cart", "none", {TOKYO: 2, EAST: 2}),
    ("auth/jwt", "local", {TOKYO: 0, EAST: 5}),
    ("mail/relay", "remote", {EAST: 3}),
)


class SwitchingArmoury:
    """Once armed the world is another one: what a join would have made of it, without the making."""

    def __init__(self, gatherer: FakeGatherer, after: mesh_worlds.World, writers: mesh_fakes.FakeWriters) -> None:
        self.gatherer = gatherer
        self.after = after
        self.writers = writers

    def arm(self, plan: Plan, refs: Sequence[ContextRef]) -> Writers:
        self.gatherer.facts = list(self.after.facts.items())
        return self.writers


class Answering(mesh_fakes.FakeWriters):
    """Clients of the demonstration are answered by the first member, as its affinity says."""

    def cluster(self, key: str) -> mesh_fakes.FakeCluster:
        gateway = super().cluster(key)

        async def answer(*_: object, **__: object) -> tuple[int, str]:
            return 0, '{"cluster": "eks-tokyo"}'

        gateway.run_in_pod = answer  # type: ignore[method-assign]  # this one gateway
        return gateway


def joining(folder: Path, fail: str = "", after: mesh_worlds.World | None = None) -> FakePorts:
    """A bare pair; applying its plan leads to a joined one or ``after``, or ends at the call that ``fail`` names."""
    ports = of_world(folder, bare())
    world = mesh_fakes.FakeWorld()
    writers = Answering(world, tuple(ports.contexts.listed.contexts))
    if fail:
        world.fail[fail] = mesh_fakes.failing("helm: no space left on device")
        ports.armoury = SwitchingArmoury(ports.gatherer, bare(), writers)
    else:
        ports.armoury = SwitchingArmoury(ports.gatherer, after or pair(), writers)
    return ports


def facts_known(ports: FakePorts, name: Any, cluster: str) -> Any:
    """A fact of the world as it is now."""
    found = dict(ports.gatherer.facts)[FactKey(name.name, OfCluster(cluster))]
    assert isinstance(found, Known)
    return found.value


WORLDS: dict[str, Callable[[Path], FakePorts]] = {
    "two": lambda folder: chosen(two_clusters(folder)),
    "many": many,
    "denied": denied,
    "none": lambda folder: FakePorts(folder),
    "lab": two_clusters,
    "healthy": lambda folder: of_world(folder, with_services(pair(), SERVICES)),
    "bare": lambda folder: of_world(folder, bare()),
    "joining": joining,
    "failing": lambda folder: joining(folder, "helm eks-tokyo"),
}
