"""The whole join on two real control planes from nothing, as far as clusters without machines can go.

Everything is done by a user who was given what ``meshwright rights --for apply`` prints, and nothing else. kwok stands
for kubelets, the test for what only clouds and agents do: addresses of load balancers, pod ranges of nodes, answers of
agents. API servers, controllers, the scheduler, helm and the chart of 1.15.19 are real.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from backends.authority import fingerprint
from backends.wiring import open_ports
from mesh import catalogue as fact
from mesh.conditions import holds
from mesh.effects import demonstration
from mesh.events import Event, StepDone, StepOutput
from mesh.facts import FactName, FactStore, Known, Unknown
from mesh.finding import State
from mesh.model import rights
from mesh.model.context import Rights
from mesh.model.kubernetes import OwnerKind
from mesh.plan import Condition
from mesh.run import RunResult
from mesh.subject import OfCluster
from tests.real.agents import answer_as
from tests.real.conftest import need
from tests.real.control_plane import write_kubeconfig
from tests.real.joining import (
    ADDRESSES,
    AKS,
    EKS,
    NAMES,
    Joined,
    Machines,
    gathered,
    in_a_hurry,
    record_of,
    run,
    two_planes,
    user_with,
)
from tests.real.programs import BIN, CHARTS, ROOT, SERVERS
from tests.real.test_product_reading import OF_CLUSTER, without_cloud

# Two clusters are started and joined in the first test's time: 45 s on two idle processors, more on busy ones.
pytestmark = pytest.mark.timeout(400)
AGENTS = Path(__file__).parents[1] / "data" / "recordings" / "agents" / "1.15.19"


@pytest.fixture(scope="module")
def joined(folder: Path) -> Iterator[Joined]:
    """Both clusters after one ``apply``; their agents answer that they wait for their peer."""
    need(*SERVERS, "helm", "kubectl")
    home = folder / "apply-home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch, two_planes(folder) as planes:
        without_cloud(patch, home)
        patch.setenv("PATH", str(BIN), prepend=":")
        patch.setenv("MESHWRIGHT_CHART", str(CHARTS / "{version}"))
        kubeconfig = user_with("apply", planes, folder / "kubeconfig-apply")
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
# What everybody who may read it sees alike: not who asks by which file, nor how two clocks differ at this moment.
OF_BOTH = set(OF_CLUSTER) - {fact.CONTEXT, fact.RIGHTS, fact.CLOCK_SKEW}
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


def test_the_run_had_the_rights_that_are_printed_and_no_others(joined: Joined) -> None:
    for key in (EKS, AKS):
        found: Rights = known(joined.after.store, fact.RIGHTS, key)
        assert (found.user, found.incomplete, found.denied) == ("apply@mesh.example", False, ())
    file = joined.kubeconfig
    for words in ("list secrets", "delete pods -n kube-system", "create statefulsets.apps", "list replicasets -A"):
        command = ["kubectl", "--kubeconfig", str(file), "auth", "can-i", *words.split()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.strip() == "no", (words, done.stdout, done.stderr)


def test_whoever_has_the_rights_of_check_reads_what_an_administrator_reads(joined: Joined, folder: Path) -> None:
    mine, admins = user_with("check", joined.planes, folder / "kubeconfig-check"), folder / "kubeconfig-admin"
    write_kubeconfig(admins, list(joined.planes.values()))
    seen, all_there_is = (gathered(open_ports(kubeconfig=str(file))) for file in (mine, admins))
    for key in (EKS, AKS):
        assert set(known(seen.store, fact.RIGHTS, key).granted) == set(rights.CHECK)
        for name in OF_BOTH:
            found, expected = (known(one.store, name, key) for one in (seen, all_there_is))
            assert found == expected, name
    verdicts = (
        {(f.code, f.subject): f.state for f in one.findings if f.code != "CM0101"} for one in (seen, all_there_is)
    )
    assert next(verdicts) == next(verdicts)


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
