"""Two real control planes that are joined by users of a test's choice, and what stands for clouds and nodes there."""

import asyncio
import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from backends.wiring import SessionPorts, open_ports
from mesh.assess import Assessment, assess
from mesh.events import Event, StepDone, StepStarted, StepWaiting
from mesh.journal import RunRecord, read_run
from mesh.plan import Plan
from mesh.run import RunResult, run_plan
from tests.real import clusters
from tests.real.control_plane import ControlPlane, start, wait_for, write_kubeconfig
from tests.real.programs import BIN, ROOT

EKS, AKS = "mesh-eks", "mesh-aks"
SYSTEM = "/api/v1/namespaces/kube-system"
# What the two clusters call each other; the recorded agents know a peer ``c2``.
NAMES = {EKS: "c1", AKS: "c2"}
ADDRESSES = {EKS: "10.0.1.200", AKS: "10.224.0.200"}
EDITS = {
    "version": "1.15.19",
    "certificates": "helm",  # kwok never runs a Job's container
    "name.mesh-eks": "c1",
    "name.mesh-aks": "c2",
    # The kubeconfigs reach both on loopback, and no cloud tells what the nodes reach.
    "apiserver.mesh-eks": "10.0.1.10:6443",
    "apiserver.mesh-aks": "10.224.0.10:6443",
}
SHORT, LONG = 20.0, 120.0


class Machines(list[Event]):
    """The run's events, and what clouds and nodes do meanwhile: nodes have a pod range before Cilium comes, load
    balancers an address once they are waited for. Done between two events, not beside them: no race with the run.
    """

    def __init__(self, planes: dict[str, ControlPlane], ranges: dict[str, str]) -> None:
        super().__init__()
        self._planes, self._ranges = planes, ranges

    def append(self, event: Event) -> None:
        super().append(event)
        match event:
            case StepStarted(step=step) if step.startswith("install."):
                self._pod_ranges(step.removeprefix("install."))
            case StepWaiting(step="addresses"):
                for key, plane in self._planes.items():
                    plane.give_address("kube-system", "clustermesh-apiserver", ADDRESSES[key])

    def _pod_ranges(self, key: str) -> None:
        prefix = self._ranges[key].rsplit(".", 2)[0]
        for index, node in enumerate(self._planes[key].request("GET", "/api/v1/nodes")[1]["items"]):
            cidr = f"{prefix}.{index}.0/24"
            patch = {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}}
            path = f"/api/v1/nodes/{node['metadata']['name']}"
            assert self._planes[key].request("PATCH", path, patch, "application/merge-patch+json")[0] == 200


@dataclass
class Joined:
    """The clusters after the first run, and what it said and left behind."""

    planes: dict[str, ControlPlane]
    kubeconfig: Path
    plan: Plan
    first: RunResult
    record: RunRecord
    events: list[Event]
    after: Assessment

    def get(self, key: str, path: str) -> Any:
        """An object of a cluster."""
        code, found = self.planes[key].request("GET", path)
        assert code == 200, found
        return found

    def secret(self, key: str, name: str) -> dict[str, bytes]:
        """The data of a Secret of kube-system."""
        data = self.get(key, f"{SYSTEM}/secrets/{name}")["data"]
        return {name: base64.b64decode(text) for name, text in data.items()}

    def releases(self, key: str) -> list[Any]:
        """The revisions of release ``cilium`` as helm keeps them, oldest first."""
        names = [f"sh.helm.release.v1.cilium.v{revision}" for revision in (1, 2)]
        return [json.loads(gzip.decompress(base64.b64decode(self.secret(key, name)["release"]))) for name in names]

    def ports(self) -> SessionPorts:
        """New ports, as another process would open them."""
        return open_ports(kubeconfig=str(self.kubeconfig))

    def ended(self) -> dict[str, str]:
        """How each step of the first run ended."""
        return {event.step: event.state for event in self.events if isinstance(event, StepDone)}


def gathered(ports: SessionPorts) -> Assessment:
    """Facts of both clusters now, judged against the test's goal."""
    store = asyncio.run(ports.gatherer.gather(ports.contexts.list().contexts, lambda event: None))
    return assess(store, [EKS, AKS], EDITS)


def run(ports: SessionPorts, plan: Plan, events: list[Event], before: RunRecord | None = None) -> RunResult:
    """Carry the plan out as ``apply`` does."""
    return asyncio.run(run_plan(plan, ports.contexts.list().contexts, ports, events.append, before=before))


def in_a_hurry(plan: Plan) -> Plan:
    """The plan with less patience: agents that do not run would be waited for ten minutes, and what a step waits for
    in vain is told by the run, not hidden by the end of the test's time.
    """
    steps = [replace(step, deadline=SHORT if step.id == "connect" else LONG) for step in plan.steps]
    return replace(plan, steps=tuple(steps))


def record_of(ports: SessionPorts, run_number: int) -> RunRecord:
    """The run as its journal tells it."""
    record = read_run(run_number, ports.store.read(run_number))
    assert record is not None
    return record


@contextmanager
def two_planes(folder: Path) -> Iterator[dict[str, ControlPlane]]:
    """An EKS-like and an AKS-like control plane of this module's own: others find theirs without Cilium."""
    planes = {
        EKS: ControlPlane(folder / "eks-apply", clusters.EKS, "172.20.0.0/16"),
        AKS: ControlPlane(folder / "aks-apply", clusters.AKS, "172.21.0.0/16"),
    }
    with ExitStack() as cleanup:
        start(list(planes.values()), clusters.seed, cleanup)
        for plane in planes.values():
            wait_for(partial(clusters.settled, plane), 60, f"running system pods in {plane.context}", every=0.2)
        yield planes


def printed_rights(kubeconfig: Path, purpose: str) -> dict[str, dict[str, Any]]:
    """What ``meshwright rights --for PURPOSE`` prints, by cluster."""
    command = [sys.executable, "-m", "tui", "rights", "--for", purpose, "-o", "json"]
    command += ["--kubeconfig", str(kubeconfig), "--context", EKS, "--context", AKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {row["cluster"]: row for row in json.loads(done.stdout)["clusters"]}


def user_with(purpose: str, planes: dict[str, ControlPlane], file: Path) -> Path:
    """The kubeconfig of a new user, who is given what ``rights`` prints for the purpose and nothing else."""
    write_kubeconfig(file, list(planes.values()), f"{purpose}@mesh.example")
    printed = printed_rights(file, purpose)
    for key, plane in planes.items():
        assert printed[key]["granted"] == 0, printed[key]
        plane.apply(BIN / "kubectl", printed[key]["roles"])
    wait_for(lambda: not any(row["missing"] for row in printed_rights(file, purpose).values()), 30, "granted rights")
    return file
