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
CLOUD = (fact.CLOUD, fact.CLOUD_NETWORK, fact.FIREWALL, fact.VPN)
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
    verdict = assess(fresh, [EKS_KEY, AKS_KEY], {"version": "1.15.19"})
    plan = verdict.plan(0.0)
    assert plan.blockers == ()
    values = {step.clusters[0]: step.effects[0].values for step in plan.steps if step.id.startswith("install.")}  # type: ignore[union-attr]  # the effect of an install is a HelmApply
    services = {key: each["clustermesh"]["apiserver"]["service"] for key, each in values.items()}
    assert services[AKS_KEY]["annotations"] == {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    assert services[EKS_KEY]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-scheme"] == "internal"
    assert values[AKS_KEY]["aksbyocni"] == {"enabled": True}


# Each right that reading needs, and the facts that are unknown without it: these and no others.
LOST: Mapping[Right, Sequence[FactName[Any]]] = {
    kinds.NODES.right("list"): (fact.NODES,),
    kinds.NAMESPACES.right("get"): (fact.CLUSTER_UID,),
    kinds.NAMESPACES.right("list"): (fact.NAMESPACES,),
    kinds.PODS.right("list"): (fact.PODS,),
    kinds.SERVICES.right("list"): (fact.SERVICES,),
    kinds.ENDPOINT_SLICES.right("list"): (fact.SERVICES,),
}


def bind(plane: ControlPlane, kubectl: Path, user: str, granted: Sequence[Right]) -> Path:
    """A real user who has exactly these rights, by the roles that the product prints for them."""
    text = rights.roles(granted, f"reads-{user}", user)
    command = [str(kubectl), "--kubeconfig", str(plane.kubeconfig), "apply", "-f", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return plane.user(user)
