"""The collectors and checks on two real clusters: facts equal what kubectl says, rights what RBAC gives."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from backends.wiring import open_ports
from mesh import catalogue as fact
from mesh.assess import Assessment, assess
from mesh.facts import Fact, FactName, FactStore, Known, Reason, Unknown
from mesh.finding import State
from mesh.model import kinds, rights
from mesh.model.context import ContextRef, Right, Rights
from mesh.subject import OfCluster
from tests.real import clusters
from tests.real.agents import answer_as
from tests.real.conftest import Clusters
from tests.real.control_plane import ControlPlane, wait_for

AGENTS = Path(__file__).parents[1] / "data" / "recordings" / "agents"
EKS_KEY, AKS_KEY = "mesh-eks", "mesh-aks"
CLOUD = (fact.CLOUD, fact.CLOUD_NETWORK, fact.CLOUD_PATHS, fact.FIREWALL, fact.VPN)
Kubectl = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that is signed in to no cloud, and that no cloud's metadata service answers."""
    without_cloud(monkeypatch, tmp_path)


def without_cloud(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """An empty home, no credentials, nothing asked beyond loopback."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    monkeypatch.setenv("MESHWRIGHT_STATE_DIR", str(home / "state"))


@pytest.fixture
def kube(two_clusters: Clusters, kubectl: Path) -> Kubectl:
    """kubectl as JSON on the cluster of a key."""

    def call(key: str, *arguments: str) -> Any:
        context = {EKS_KEY: clusters.EKS, AKS_KEY: clusters.AKS}[key]
        command = [str(kubectl), "--kubeconfig", str(two_clusters.kubeconfig), "--context", context, *arguments]
        done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def read(kubeconfig: Path) -> tuple[FactStore, tuple[ContextRef, ...]]:
    """All facts of all contexts of a kubeconfig, as the product reads them."""
    ports = open_ports(kubeconfig=str(kubeconfig))
    refs = ports.contexts.list().contexts
    return asyncio.run(ports.gatherer.gather(refs, lambda event: None)), refs


def known(store: FactStore, name: FactName[Any], cluster: str) -> Any:
    found = store.get(name, OfCluster(cluster))
    assert isinstance(found, Known), found
    return found.value


def by_state(assessment: Assessment, state: State) -> set[str]:
    return {finding.code for finding in assessment.findings if finding.state is state}


@pytest.fixture(scope="module")
def fresh(two_clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> FactStore:
    """Facts of the two clusters, read once by their administrator."""
    with pytest.MonkeyPatch.context() as patch:
        without_cloud(patch, tmp_path_factory.mktemp("home"))
        store, refs = read(two_clusters.kubeconfig)
    assert [ref.key for ref in refs] == [EKS_KEY, AKS_KEY]
    return store


@pytest.mark.parametrize("key", [EKS_KEY, AKS_KEY])
def test_facts_are_what_kubectl_says(fresh: FactStore, kube: Kubectl, key: str) -> None:
    version = kube(key, "version")["serverVersion"]
    assert known(fresh, fact.VERSION, key).git_version == version["gitVersion"]
    assert known(fresh, fact.CLUSTER_UID, key) == kube(key, "get", "namespace", "kube-system")["metadata"]["uid"]
    assert abs(known(fresh, fact.CLOCK_SKEW, key)) <= 1
    namespaces = {each["metadata"]["name"] for each in kube(key, "get", "namespaces")["items"]}
    assert set(known(fresh, fact.NAMESPACES, key)) == namespaces


@pytest.mark.parametrize("key", [EKS_KEY, AKS_KEY])
def test_nodes_are_what_kubectl_says(fresh: FactStore, kube: Kubectl, key: str) -> None:
    def address(node: Any, kind: str) -> tuple[str, ...]:
        return tuple(each["address"] for each in node["status"]["addresses"] if each["type"] == kind)

    nodes = kube(key, "get", "nodes")["items"]
    said = [
        (
            node["metadata"]["name"],
            address(node, "InternalIP"),
            node["spec"]["providerID"],
            next(each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready") == "True",
            node["status"]["nodeInfo"]["kubeletVersion"],
            node["metadata"]["labels"],
        )
        for node in nodes
    ]
    read_ = [
        (node.name, node.internal_ips, node.provider_id, node.ready, node.kubelet_version, dict(node.labels))
        for node in known(fresh, fact.NODES, key)
    ]
    assert len(said) == 2
    assert sorted(read_, key=lambda row: row[0]) == sorted(said, key=lambda row: row[0])


@pytest.mark.parametrize("key", [EKS_KEY, AKS_KEY])
def test_services_and_workloads_are_what_kubectl_says(fresh: FactStore, kube: Kubectl, key: str) -> None:
    services = kube(key, "get", "services", "-A")["items"]
    assert {(s.namespace, s.name, s.type, s.cluster_ip) for s in known(fresh, fact.SERVICES, key)} == {
        (s["metadata"]["namespace"], s["metadata"]["name"], s["spec"]["type"], s["spec"]["clusterIP"]) for s in services
    }
    workloads = kube(key, "get", "daemonsets,deployments", "-n", "kube-system")["items"]
    counted = {
        (w["kind"], w["metadata"]["name"]): w["status"].get("desiredNumberScheduled", w["spec"].get("replicas"))
        for w in workloads
    }
    read_ = {(w.kind, w.name): w.desired for w in known(fresh, fact.WORKLOADS, key)}
    assert read_ == counted
    assert ("DaemonSet", "kube-proxy") in counted


@pytest.mark.parametrize("key", [EKS_KEY, AKS_KEY])
def test_what_is_not_installed_is_known_to_be_absent(fresh: FactStore, key: str) -> None:
    for name in (fact.SETTINGS, fact.CILIUM_VERSION, fact.CILIUM_NODES, fact.HELM, fact.MESH_API, fact.PEERS):
        assert known(fresh, name, key) is None
    assert known(fresh, fact.AGENTS, key) == ()
    assert known(fresh, fact.CERTIFICATES, key).ca is None


@pytest.mark.parametrize("key", [EKS_KEY, AKS_KEY])
def test_without_a_cloud_login_its_facts_are_unknown_and_say_how_to_sign_in(fresh: FactStore, key: str) -> None:
    lifts = {EKS_KEY: "aws sso login", AKS_KEY: "az login"}
    for name in CLOUD:
        found = fresh.get(name, OfCluster(key))
        assert isinstance(found, Unknown), found
        assert found.reason is Reason.EXPIRED
        assert lifts[key] in found.lift


def test_the_verdict_has_no_error_and_no_false_pass(fresh: FactStore) -> None:
    verdict = assess(fresh, [EKS_KEY, AKS_KEY])
    assert by_state(verdict, State.ERROR) == set()
    assert by_state(verdict, State.FAIL) == set()
    to_do = {finding.code for finding in verdict.findings if finding.to_do}
    assert {"CM0201", "CM0208", "CM0601", "CM0608", "CM0701"} <= to_do
    # Nothing that only a cloud or a running Cilium could tell may pass.
    needs_more = {"CM0321", "CM0322", "CM0403", "CM0404", "CM0405", "CM0602", "CM0603", "CM0606", "CM0610"}
    assert by_state(verdict, State.PASS) & (needs_more | to_do) == set()
    for finding in verdict.findings:
        assert finding.state is not State.PASS or finding.evidence, finding


def test_a_join_of_clusters_without_a_cloud_login_is_private(fresh: FactStore) -> None:
    """Who runs a cluster is told by its nodes where neither its cloud nor its context's name tells."""
    plan = assess(fresh, [EKS_KEY, AKS_KEY], {"version": "1.15.19"}).plan(0.0)
    # The kubeconfigs reach both on loopback, which no node could: nothing tells what the nodes reach.
    assert {(gate.code, gate.subject) for gate in plan.blockers} == {("CM0103", EKS_KEY), ("CM0103", AKS_KEY)}
    told = {f"apiserver.{EKS_KEY}": "10.0.1.10:6443", f"apiserver.{AKS_KEY}": "10.224.0.10:6443"}
    plan = assess(fresh, [EKS_KEY, AKS_KEY], {"version": "1.15.19", **told}).plan(0.0)
    assert plan.blockers == ()
    values = {step.clusters[0]: step.effects[0].values for step in plan.steps if step.id.startswith("install.")}  # type: ignore[union-attr]  # the effect of an install is a HelmApply
    services = {key: each["clustermesh"]["apiserver"]["service"] for key, each in values.items()}
    assert services[AKS_KEY]["annotations"] == {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    assert services[EKS_KEY]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-scheme"] == "internal"
    assert values[AKS_KEY]["aksbyocni"] == {"enabled": True}
    assert values[EKS_KEY]["k8sServiceHost"] == "10.0.1.10"


def bind(plane: ControlPlane, kubectl: Path, granted: Mapping[str, Sequence[Right]]) -> None:
    """Real users with exactly these rights, by the roles that the product prints for them."""
    text = "---\n".join(rights.roles(given, f"meshwright-{user}", user) for user, given in granted.items())
    plane.apply(kubectl, text)


def contexts(plane: ControlPlane, users: Sequence[str], file: Path) -> Path:
    """One kubeconfig with a context per user, named by the user."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
    for user in users:
        config = yaml.safe_load(plane.user(user).read_text())
        merged["clusters"] = config["clusters"]
        merged["users"].append({"name": user, "user": config["users"][0]["user"]})
        context = {"cluster": config["clusters"][0]["name"], "user": user}
        merged["contexts"].append({"name": user, "context": context})
    file.write_text(yaml.safe_dump(merged))
    return file


CONFIG = {"cluster-name": "aks-2", "cluster-id": "2", "routing-mode": "tunnel", "cluster-pool-ipv4-cidr": "10.2.0.0/16"}
SYSTEM = "/api/v1/namespaces/kube-system"
DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"


@pytest.fixture(scope="module")
def cilium(two_clusters: Clusters) -> Iterator[ControlPlane]:
    """The AKS cluster with agents that answer as a healthy one did, and their settings."""
    plane = two_clusters[clusters.AKS]
    agents = clusters.daemon_set("cilium", {"k8s-app": "cilium"}, "quay.io/cilium/cilium:v1.15.19")
    agents["spec"]["template"]["spec"]["containers"][0]["name"] = "cilium-agent"
    metadata = {"name": "cilium-config", "namespace": "kube-system"}
    plane.create(f"{SYSTEM}/configmaps", {"metadata": metadata, "data": CONFIG})
    plane.create(DAEMON_SETS, agents)
    answer_as(plane, AGENTS / "1.15.19" / "healthy")

    def running(wanted: int) -> bool:
        _, pods = plane.request("GET", f"{SYSTEM}/pods?labelSelector=k8s-app%3Dcilium")
        return [pod["status"].get("phase") for pod in pods["items"]] == ["Running"] * wanted

    try:
        wait_for(partial(running, 2), 30, "running agents", every=0.2)
        yield plane
    finally:
        plane.request("DELETE", f"{DAEMON_SETS}/cilium")
        plane.request("DELETE", f"{SYSTEM}/configmaps/cilium-config")
        for program in ("cilium-dbg", "cilium-health"):
            (plane.programs / program).unlink()
        wait_for(partial(running, 0), 30, "the end of the agents", every=0.2)


_INSTALLATION = (fact.SETTINGS, fact.CILIUM_VERSION, fact.HELM, fact.OWNER)
_MESH = (fact.MESH_API, fact.PEERS, fact.CERTIFICATES)
_WORKLOADS = (fact.WORKLOADS, *_INSTALLATION, *_MESH)
_AGENTS = (fact.AGENTS, fact.HEALTH)
# Each right of ``rights.CHECK`` and the facts of a Kubernetes 1.34 that are unknown without it: these and no others.
LOST: Mapping[Right, Sequence[FactName[Any]]] = {
    kinds.NODES.right("list"): (fact.NODES,),
    kinds.NAMESPACES.right("get"): (fact.CLUSTER_UID,),
    kinds.NAMESPACES.right("list"): (fact.NAMESPACES,),
    kinds.PODS.right("list"): (fact.PODS, *_AGENTS),
    kinds.SERVICES.right("list"): (fact.SERVICES,),
    kinds.ENDPOINT_SLICES.right("list"): (fact.SERVICES,),
    # Where Cilium is, and what release it is, is told by its workloads.
    kinds.DAEMON_SETS.right("list"): _WORKLOADS,
    kinds.DEPLOYMENTS.right("list", rights.SYSTEM): _WORKLOADS,
    kinds.CILIUM_NODES.right("list"): (fact.CILIUM_NODES,),
    kinds.CONFIG_MAPS.right("get", rights.SYSTEM): (fact.SETTINGS, fact.OWNER, fact.PEERS, fact.CERTIFICATES),
    kinds.SERVICES.right("get", rights.SYSTEM): (fact.MESH_API,),
    kinds.JOBS.right("list", rights.SYSTEM): (),
    kinds.CRON_JOBS.right("list", rights.SYSTEM): (),
    kinds.SECRETS.right("get", rights.SYSTEM): (fact.PEERS, fact.CERTIFICATES),
    kinds.SECRETS.right("list", rights.SYSTEM): (fact.HELM,),
    Right("create", "pods/exec", "", rights.SYSTEM): (),
    Right("get", "pods/exec", "", rights.SYSTEM): _AGENTS,
}
WITHOUT = {f"without-{index}": right for index, right in enumerate(rights.CHECK)}
_NO_CLUSTERS = {*CLOUD, fact.LOAD_BALANCER, fact.CONNECTION_GOAL, fact.NOW}
OF_CLUSTER = [name for name in fact.FACTS.values() if name not in _NO_CLUSTERS]


@pytest.fixture(scope="module")
def users(cilium: ControlPlane, kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> FactStore:
    """Facts of one cluster as users read it who have all rights of reading, those of a viewer, and all but one."""
    granted: dict[str, Sequence[Right]] = {"reader": rights.CHECK, "viewer": rights.READ}
    granted |= {user: [right for right in rights.CHECK if right != gone] for user, gone in WITHOUT.items()}
    bind(cilium, kubectl, granted)
    home = tmp_path_factory.mktemp("users")
    with pytest.MonkeyPatch.context() as patch:
        without_cloud(patch, home)
        store, _ = read(contexts(cilium, list(granted), home / "kubeconfig"))
    return store


def lost(store: FactStore, user: str) -> dict[FactName[Any], Fact]:
    """The facts that this user could not read."""
    facts = {name: store.get(name, OfCluster(user)) for name in OF_CLUSTER}
    return {name: found for name, found in facts.items() if isinstance(found, Unknown)}


def test_the_roles_we_print_give_exactly_the_rights_that_they_name(users: FactStore) -> None:
    for user, expected in (("reader", rights.CHECK), ("viewer", rights.READ)):
        found: Rights = known(users, fact.RIGHTS, user)
        assert (found.user, found.incomplete) == (user, False)
        assert set(found.granted) == set(expected)
        assert set(found.denied) == set(rights.APPLY) - set(expected)
    assert rights.profile(known(users, fact.RIGHTS, "reader")) == "diagnoser"
    assert rights.profile(known(users, fact.RIGHTS, "viewer")) == "viewer"


def test_whoever_has_the_rights_of_reading_reads_everything(users: FactStore) -> None:
    assert lost(users, "reader") == {}
    assert known(users, fact.SETTINGS, "reader").cluster_name == "aks-2"


def test_a_viewer_misses_secrets_and_agents_alone(users: FactStore) -> None:
    assert set(lost(users, "viewer")) == {fact.HELM, fact.PEERS, fact.CERTIFICATES, *_AGENTS}


@pytest.mark.parametrize("user", WITHOUT, ids=[str(right) for right in rights.CHECK])
def test_without_one_right_its_facts_are_unknown_and_nothing_else(users: FactStore, user: str) -> None:
    gone = WITHOUT[user]
    assert known(users, fact.RIGHTS, user).denied[:1] == (gone,)
    found = lost(users, user)
    assert set(found) == set(LOST[gone])
    for unknown in found.values():
        assert isinstance(unknown, Unknown)
        assert unknown.reason is Reason.FORBIDDEN
        words = set(str(gone).replace(" in kube-system", "").split())
        assert words <= set(unknown.lift.split()), unknown


def test_agents_are_asked_by_exec_and_answer_as_recorded(users: FactStore, cilium: ControlPlane) -> None:
    recorded = json.loads((AGENTS / "1.15.19" / "healthy" / "status.json").read_text())
    (peer,) = recorded["cluster-mesh"]["clusters"]
    statuses = known(users, fact.AGENTS, "reader")
    _, nodes = cilium.request("GET", "/api/v1/nodes")
    assert [status.node for status in statuses] == sorted(node["metadata"]["name"] for node in nodes["items"])
    for status in statuses:
        assert (status.error, status.healthy) == ("", True)
        (remote,) = status.remotes
        assert (remote.name, remote.ready, remote.cluster_id) == (peer["name"], True, peer["config"]["cluster-id"])
    assert all(not health.error and health.peers for health in known(users, fact.HEALTH, "reader"))


def test_what_may_not_be_read_is_judged_unknown(users: FactStore) -> None:
    verdict = assess(users, ["viewer"])
    assert by_state(verdict, State.ERROR) == set()
    states = {finding.code: finding.state for finding in verdict.findings}
    assert states["CM0102"] is State.UNKNOWN
    needs_secrets = ("CM0206", "CM0608", "CM0610")
    assert all(states.get(code) is not State.PASS for code in needs_secrets)
