"""The whole join on two real control planes from nothing, as far as clusters without machines can go.

kwok stands for kubelets, the test for what only clouds and agents do: addresses of load balancers, pod ranges of nodes,
answers of agents. API servers, controllers, the scheduler, helm and the chart of 1.15.19 are real.
"""

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
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate
from msgspec.structs import replace

from backends.authority import fingerprint
from backends.wiring import SessionPorts, open_ports
from mesh import catalogue as fact
from mesh.assess import Assessment, assess
from mesh.conditions import holds
from mesh.effects import demonstration
from mesh.events import Event, StepDone, StepOutput, StepStarted, StepWaiting
from mesh.facts import FactName, FactStore, Known, Unknown
from mesh.finding import State
from mesh.journal import RunRecord, read_run
from mesh.model.kubernetes import OwnerKind
from mesh.plan import Condition, Plan
from mesh.run import RunResult, run_plan
from mesh.subject import OfCluster
from tests.real import clusters
from tests.real.agents import answer_as
from tests.real.conftest import need
from tests.real.control_plane import ControlPlane, start, wait_for, write_kubeconfig
from tests.real.programs import BIN, CHARTS, ROOT, SERVERS
from tests.real.test_product_reading import without_cloud

# The whole join is in the first test's time: 45 s on two idle processors, three times that on busy ones.
pytestmark = pytest.mark.timeout(400)
AGENTS = Path(__file__).parents[1] / "data" / "recordings" / "agents" / "1.15.19"
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


@pytest.fixture(scope="module")
def joined(folder: Path) -> Iterator[Joined]:
    """Both clusters after one ``apply``; their agents answer that they wait for their peer."""
    need(*SERVERS, "helm")
    home = folder / "apply-home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch, two_planes(folder) as planes:
        without_cloud(patch, home)
        patch.setenv("PATH", str(BIN), prepend=":")
        patch.setenv("MESHWRIGHT_CHART", str(CHARTS / "{version}"))
        kubeconfig = folder / "kubeconfig-apply"
        write_kubeconfig(kubeconfig, list(planes.values()))
        for plane in planes.values():
            answer_as(plane, AGENTS / "2379-dropped")
        ports = open_ports(kubeconfig=str(kubeconfig))
        plan = in_a_hurry(gathered(ports).plan(ports.clock.now()))
        ranges = {member.cluster: member.pod_cidrs[0] for member in plan.goal.members}
        events = Machines(planes, ranges)
        first = run(ports, plan, events)
        yield Joined(planes, kubeconfig, plan, first, record_of(ports, first.run), events, gathered(ports))


STEPS = (
    *("ca", "park.mesh-eks", "park.mesh-aks", "install.mesh-eks", "install.mesh-aks"),
    *("restart.mesh-eks", "restart.mesh-aks", "addresses", "path"),
)
BOTH = pytest.mark.parametrize("key", [EKS, AKS])


def test_without_a_cloud_login_nothing_stands_in_the_way_and_what_is_not_read_is_said(joined: Joined) -> None:
    assert joined.plan.blockers == ()
    assert [(unknown.code, unknown.subject) for unknown in joined.plan.unknowns] == [("CM0103", EKS), ("CM0103", AKS)]
    assert [step.id for step in joined.plan.steps] == [*STEPS, "connect", "prove"]
    assert not [step.id for step in joined.plan.steps if step.already]


def test_the_run_goes_on_to_the_agents_and_stops_there_with_its_reason(joined: Joined) -> None:
    ended = joined.ended()
    assert {ended[step] for step in STEPS} <= {"done", "already"}
    assert [ended[step] for step in STEPS[:5]] == ["done"] * 5
    assert (joined.first.state, joined.first.failed) == ("failed", "connect")
    assert "mesh-eks for c2: 0/2 agents ready" in joined.first.message
    assert "the deadline of 20 s has passed" in joined.first.message
    assert joined.first.finding is not None
    assert (joined.first.finding.code, joined.first.finding.state) == ("CM0701", State.FAIL)
    assert "prove" not in ended


@BOTH
def test_one_ca_is_placed_and_the_chart_takes_it_as_it_is(joined: Joined, key: str) -> None:
    placed = {change.undo["parts"][0]["spki"] for change in joined.record.changes if change.step == "ca"}
    certificate = load_pem_x509_certificate(joined.secret(key, "cilium-ca")["ca.crt"])
    assert {fingerprint(joined.secret(key, "cilium-ca")["ca.crt"])} == placed
    for name in ("server", "admin", "remote"):
        leaf = joined.secret(key, f"clustermesh-apiserver-{name}-cert")
        load_pem_x509_certificate(leaf["tls.crt"]).verify_directly_issued_by(certificate)
        assert leaf["ca.crt"] == joined.secret(key, "cilium-ca")["ca.crt"]


@BOTH
def test_no_key_is_in_the_releases_values_or_in_the_journal(joined: Joined, key: str) -> None:
    releases = joined.releases(key)
    assert [release["info"]["status"] for release in releases] == ["superseded", "deployed"]
    assert [release["chart"]["metadata"]["version"] for release in releases] == ["1.15.19"] * 2
    secret = base64.b64encode(joined.secret(key, "cilium-ca")["ca.key"]).decode()
    journal = joined.ports().store.journal_path(joined.first.run).read_text()
    for text in (*(json.dumps(release["config"]) for release in releases), journal, str(joined.events)):
        assert "PRIVATE KEY" not in text
        assert secret not in text
    assert all("ca" not in release["config"].get("tls", {}) for release in releases)


@BOTH
def test_what_cilium_replaces_is_parked(joined: Joined, key: str) -> None:
    for name in ("aws-node", "kube-proxy") if key == EKS else ("kube-proxy",):
        found = joined.get(key, f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}")
        assert found["status"]["desiredNumberScheduled"] == found["status"]["currentNumberScheduled"] == 0
        assert found["spec"]["template"]["spec"]["nodeSelector"]["meshwright.io/parked"] == "true"


@BOTH
def test_cilium_and_the_mesh_api_are_as_planned(joined: Joined, key: str) -> None:
    store = joined.after.store
    member = joined.plan.goal.member(key)
    assert member is not None
    settings = known(store, fact.SETTINGS, key)
    assert (settings.cluster_name, settings.cluster_id) == (NAMES[key], member.cluster_id)
    assert (settings.pod_cidrs, settings.routing_mode, settings.tunnel_port) == (member.pod_cidrs, "tunnel", 8472)
    assert settings.kube_proxy_replacement
    assert known(store, fact.CILIUM_VERSION, key) == "1.15.19"
    server = known(store, fact.MESH_API, key)
    assert (server.service_type, server.ingress_ips, server.kvstoremesh) == ("LoadBalancer", (ADDRESSES[key],), True)
    assert server.ready == server.replicas == 1
    private = "azure-load-balancer-internal" if key == AKS else "aws-load-balancer-internal"
    assert server.annotations[f"service.beta.kubernetes.io/{private}"] == "true"
    assert known(store, fact.OWNER, key).kind is OwnerKind.HELM


@BOTH
def test_pods_older_than_cilium_have_an_address_of_its_range(joined: Joined, key: str) -> None:
    (pool,) = known(joined.after.store, fact.SETTINGS, key).pod_cidrs
    pods = [pod for pod in known(joined.after.store, fact.PODS, key) if not pod.host_network]
    assert {pod.owner_name.rsplit("-", 1)[0] for pod in pods} >= {"coredns", "clustermesh-apiserver"}
    assert [pod.name for pod in pods if ip_address(pod.ip) not in ip_network(pool)] == []


@BOTH
def test_each_lists_the_other_where_its_balancer_is(joined: Joined, key: str) -> None:
    other = AKS if key == EKS else EKS
    (peer,) = known(joined.after.store, fact.PEERS, key)
    assert (peer.name, peer.ips) == (NAMES[other], (ADDRESSES[other],))
    assert peer.endpoints == (f"https://{NAMES[other]}.mesh.cilium.io:2379",)
    assert NAMES[other] in joined.secret(key, "cilium-clustermesh")


@BOTH
def test_the_lease_is_given_back(joined: Joined, key: str) -> None:
    lease = joined.get(key, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/meshwright")
    assert not lease["spec"].get("holderIdentity")


def test_the_journal_tells_the_run(joined: Joined) -> None:
    record = joined.record
    assert (record.state, record.plan, record.unfinished) == ("failed", joined.plan, True)
    states = {step: state.state for step, state in record.steps.items()}
    assert states == joined.ended()
    changed = [name for change in record.changes for name in change.changed]
    assert "release cilium of mesh-eks: revision 0 → 1" in changed
    assert "release cilium of mesh-aks: revision 1 → 2" in changed
    assert "DaemonSet kube-system/aws-node of mesh-eks" in changed


def test_a_new_plan_has_nothing_to_do_but_what_failed(joined: Joined) -> None:
    plan = joined.after.plan(0.0)
    assert plan.blockers == ()
    assert [step.id for step in plan.todo()] == ["connect", "prove"]
    assert {finding.code for finding in joined.after.findings if finding.state is State.ERROR} == set()


def test_a_balancer_with_a_name_alone_needs_its_cloud(joined: Joined) -> None:
    """Of an AWS load balancer the Service tells a host name; without a login nobody tells its addresses."""
    plane, host = joined.planes[EKS], "internal-a1b2.elb.ap-northeast-1.amazonaws.com"
    plane.give_address("kube-system", "clustermesh-apiserver", host)
    try:
        store = gathered(joined.ports()).store
    finally:
        plane.give_address("kube-system", "clustermesh-apiserver", ADDRESSES[EKS])
    assert isinstance(store.get(fact.LOAD_BALANCER, OfCluster(EKS)), Unknown)
    state, text = holds(Condition("api-address", (EKS, AKS)), store)
    assert state is None
    assert host in text
    assert "aws sso login" in text


@pytest.fixture(scope="module")
def resumed(joined: Joined, folder: Path) -> tuple[RunResult, list[Event]]:
    """The run goes on: the agents reach their peers, but no request is answered."""
    answer_as(joined.planes[EKS], AGENTS / "healthy")
    answer_as(joined.planes[AKS], seen_from_the_other_side(AGENTS / "healthy", folder / "healthy-c2"))
    for plane in joined.planes.values():
        plane.program("curl", "#!/bin/sh\necho 'curl: (28) Connection timed out' >&2; exit 28\n")
    ports, events = joined.ports(), list[Event]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "_PATIENCE", 4.0)
        result = run(ports, joined.record.plan, events, record_of(ports, joined.first.run))
    return result, events


def seen_from_the_other_side(recording: Path, folder: Path) -> Path:
    """The recorded answers of c1's agents as those of c2 would be: the peer is c1, number 1."""
    folder.mkdir()
    status = json.loads((recording / "status.json").read_text())
    (peer,) = status["cluster-mesh"]["clusters"]
    peer["name"], peer["config"]["cluster-id"] = "c1", 1
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def test_resume_does_only_what_is_not_so(joined: Joined, resumed: tuple[RunResult, list[Event]]) -> None:
    result, events = resumed
    ended = {event.step: event.state for event in events if isinstance(event, StepDone)}
    assert result.run == joined.first.run
    assert {ended[step] for step in (*STEPS, "connect")} == {"already"}
    assert not [event for event in events if isinstance(event, StepOutput) and "helm" in event.line]


def test_a_mesh_whose_requests_are_not_answered_is_not_called_joined(
    joined: Joined, resumed: tuple[RunResult, list[Event]]
) -> None:
    result, _ = resumed
    assert (result.state, result.failed) == ("failed", "prove")
    assert "mesh-eks is not served by c1" in result.message
    assert record_of(joined.ports(), result.run).state == "failed"
    for plane in joined.planes.values():
        assert plane.request("GET", "/api/v1/namespaces/meshwright-demo")[0] == 404


def test_resume_on_the_command_line_ends_the_run(joined: Joined, resumed: tuple[RunResult, list[Event]]) -> None:
    """What the datapath would carry is answered here; the rest of the proof is real: objects, exec, clean-up."""
    for plane in joined.planes.values():
        plane.program("curl", """#!/bin/sh\necho '{"cluster": "c1"}'\n""")
    command = [sys.executable, "-m", "tui", "resume", "--kubeconfig", str(joined.kubeconfig), "--yes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"run {joined.first.run} was stopped by a failure" in done.stdout
    assert "10 of 10 answered by c1" in done.stdout
    assert record_of(joined.ports(), joined.first.run).state == "done"
    for plane in joined.planes.values():
        assert plane.request("GET", "/api/v1/namespaces/meshwright-demo")[0] == 404
    assert gathered(joined.ports()).plan(0.0).todo() == ()


def known(store: FactStore, name: FactName[Any], key: str) -> Any:
    """A fact that must be known."""
    found = store.get(name, OfCluster(key))
    assert isinstance(found, Known), found
    return found.value
