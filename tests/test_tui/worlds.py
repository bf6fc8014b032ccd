"""Whole sets of ports for screens: each a state that a screen must be able to show."""

from collections.abc import Callable
from pathlib import Path

from mesh.facts import Reason
from mesh.events import CollectorProgress
from mesh import catalogue as fact
from mesh.model.context import Access, FileProblem, Provider
from tests.test_tui.fakes import (
    COLLECTORS,
    FakeContexts,
    FakeGatherer,
    FakePorts,
    basic_facts,
    peek,
    ref,
    two_clusters,
    unknown,
)

AZURE = "/home/u/clouds/azure.yaml"


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
        unknown(fact.AGENTS, "aks-east", Reason.FORBIDDEN, "pods/exec is not allowed", "create pods/exec in kube-system")
    ]
    for key in ("eks-tokyo", "aks-east"):
        for name, _ in COLLECTORS:
            bad = key == "aks-east" and name == "agents"
            ports.gatherer.progress.append(
                CollectorProgress(
                    key, name, "denied" if bad else "done", text="pods/exec" if bad else "3", seconds=0.6,
                    detail="create pods/exec in kube-system is not allowed for user 8b1e" if bad else "",
                    lift=lift if bad else "",
                )
            )  # fmt: skip
    chosen(ports)
    return ports


def chosen(ports: FakePorts) -> FakePorts:
    """Every context is chosen already."""
    ports.store.put("chosen", [f"{item.context}@{item.file}" for item in ports.contexts.listed.contexts])
    return ports


WORLDS: dict[str, Callable[[Path], FakePorts]] = {
    "two": lambda folder: chosen(two_clusters(folder)),
    "many": many,
    "denied": denied,
    "none": lambda folder: FakePorts(folder),
    "lab": two_clusters,
}
