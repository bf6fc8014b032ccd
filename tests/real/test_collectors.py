"""The collectors on real API servers: fresh clusters, the real chart's objects, denied users, pages, exec."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contexts import Contexts
from backends.credentials.plugin import Credentials
from backends.gather import ClusterGatherer
from backends.kube import reader as reading
from backends.kube.reader import LiveReader
from backends.kube.session import ApiSession
from backends.kubeconfig.listing import Kubeconfig
from mesh import catalogue as fact
from mesh.facts import FactName, FactStore, Known, Reason, Unknown
from mesh.model import kinds, rights
from mesh.model.context import Access, ContextRef, Provider, Right
from mesh.model.kubernetes import OwnerKind
from mesh.reading import ClusterReader
from mesh.subject import OfCluster
from tests.real import clusters
from tests.real.agents import answer_as
from tests.real.conftest import Clusters
from tests.real.control_plane import ControlPlane, wait_for
from tests.test_backends.recorded import RECORDINGS, MachineClock, collectors

pytestmark = pytest.mark.real
EKS, AKS = "mesh-eks", "mesh-aks"
PRIVATE = "PRIVATE KEY"


def opened(file: Path) -> tuple[Kubeconfig, Credentials]:
    return Kubeconfig([str(file)]), Credentials()


def connect(file: Path, ref: ContextRef) -> LiveReader:
    config, credentials = opened(file)
    return LiveReader(ApiSession(config.connection(ref), credentials, environment={}))


async def gathered(file: Path) -> FactStore:
    refs = opened(file)[0].contexts().contexts
    gatherer = ClusterGatherer(collectors(), lambda ref: connect(file, ref), MachineClock())
    return await gatherer.gather(refs, lambda event: None)


def known(store: FactStore, name: FactName[Any], cluster: str) -> Any:
    found = store.get(name, OfCluster(cluster))
    assert isinstance(found, Known), f"{name.name} of {cluster}: {found}"
    return found.value


def lost(store: FactStore, name: FactName[Any], cluster: str) -> Unknown:
    found = store.get(name, OfCluster(cluster))
    assert isinstance(found, Unknown), f"{name.name} of {cluster}: {found}"
    return found


async def test_fresh_clusters(two_clusters: Clusters) -> None:
    store = await gathered(two_clusters.kubeconfig)
    assert store.clusters() == (AKS, EKS)
    for cluster, context in ((EKS, clusters.EKS), (AKS, clusters.AKS)):
        plane = two_clusters[context]
        served = plane.request("GET", "/api/v1/nodes")[1]["items"]
        nodes = known(store, fact.NODES, cluster)
        assert [node.name for node in nodes] == sorted(item["metadata"]["name"] for item in served)
        assert all(node.ready and node.provider_id and node.internal_ips for node in nodes)
        uid = plane.request("GET", "/api/v1/namespaces/kube-system")[1]["metadata"]["uid"]
        assert known(store, fact.CLUSTER_UID, cluster) == uid
        assert known(store, fact.VERSION, cluster).git_version == plane.request("GET", "/version")[1]["gitVersion"]
        granted = known(store, fact.RIGHTS, cluster)
        assert (granted.user, granted.denied, granted.incomplete) == ("admin", (), False)
        assert len(known(store, fact.PODS, cluster)) == len(plane.request("GET", "/api/v1/pods")[1]["items"])
        for name in (fact.SETTINGS, fact.CILIUM_VERSION, fact.CILIUM_NODES, fact.HELM, fact.MESH_API, fact.PEERS):
            assert known(store, name, cluster) is None
        assert known(store, fact.AGENTS, cluster) == ()
        assert "kube-system" in known(store, fact.NAMESPACES, cluster)
    assert known(store, fact.CONTEXT, EKS).provider is Provider.EKS


@pytest.fixture
def installed(two_clusters: Clusters, helm: Path, chart: Path, tmp_path: Path) -> Iterator[tuple[ControlPlane, str]]:
    """The real chart with the mesh enabled and two peers on the EKS-like cluster; its version."""
    plane = two_clusters[clusters.EKS]
    values = {
        "cluster": {"name": EKS, "id": 7},
        "routingMode": "tunnel", "tunnelProtocol": "vxlan", "MTU": 1400, "kubeProxyReplacement": "true",
        "k8sServiceHost": "api.internal", "k8sServicePort": 443,
        "ipam": {"mode": "cluster-pool", "operator": {"clusterPoolIPv4PodCIDRList": ["10.100.0.0/16"]}},
        "operator": {"replicas": 1}, "eni": {"enabled": False}, "hubble": {"enabled": False},
        "envoy": {"enabled": False},
        "clustermesh": {
            "useAPIServer": True, "maxConnectedClusters": 255,
            "config": {
                "enabled": True,
                "clusters": [
                    {"name": "peer-a", "ips": ["10.1.0.4", "10.1.0.5"], "port": 2379},
                    {"name": "peer-b", "address": "b.example.com", "port": 32379},
                    {"name": EKS, "ips": ["10.9.9.9"], "port": 2379},
                ],
            },
            "apiserver": {
                "kvstoremesh": {"enabled": True}, "tls": {"auto": {"method": "helm"}},
                "service": {"type": "NodePort", "nodePort": 32380},
            },
        },
    }  # fmt: skip
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    base = [str(helm), "--kubeconfig", str(plane.kubeconfig), "--namespace", "kube-system"]
    _run([*base, "install", "cilium", str(chart), "--values", str(file)])
    yield plane, chart.name
    _run([*base, "uninstall", "cilium", "--wait"])


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_real_charts_objects(installed: tuple[ControlPlane, str]) -> None:
    plane, version = installed
    answer_as(plane, RECORDINGS / "agents" / version / "healthy")
    agents = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dcilium"
    wait_for(
        lambda: [item["status"]["phase"] for item in plane.request("GET", agents)[1]["items"]] == 2 * ["Running"],
        30.0,
        "the agents' pods",
    )
    store = await gathered(plane.kubeconfig)
    settings = known(store, fact.SETTINGS, EKS)
    assert known(store, fact.CILIUM_VERSION, EKS) == version
    assert (settings.cluster_name, settings.cluster_id, settings.pod_cidrs) == (EKS, 7, ("10.100.0.0/16",))
    assert (settings.routing_mode, settings.tunnel_protocol, settings.mtu) == ("tunnel", "vxlan", 1400)
    assert (settings.kube_proxy_replacement, settings.ipam, settings.max_connected_explicit) == (
        True,
        "cluster-pool",
        True,
    )
    assert settings.policy_default_local_cluster is (None if version.startswith("1.15") else True)
    release = known(store, fact.HELM, EKS)
    assert (release.name, release.revision, release.status, release.chart_version) == ("cilium", 1, "deployed", version)
    assert release.values["cluster"] == {"name": EKS, "id": 7}
    assert known(store, fact.OWNER, EKS).kind is OwnerKind.HELM
    server = known(store, fact.MESH_API, EKS)
    assert (server.service_type, server.node_port, server.kvstoremesh, server.replicas) == ("NodePort", 32380, True, 1)
    peers = known(store, fact.PEERS, EKS)
    assert [(peer.name, peer.endpoints, peer.ips) for peer in peers] == [
        ("peer-a", ("https://peer-a.mesh.cilium.io:2379",), ("10.1.0.4", "10.1.0.5")),
        ("peer-b", ("https://b.example.com:32379",), ()),
    ]
    certificates = known(store, fact.CERTIFICATES, EKS)
    assert certificates.ca is not None
    assert (certificates.problems, certificates.method) == ((), "helm")
    assert {leaf.signed_by for leaf in certificates.leaves} == {(certificates.ca.spki_sha256,)}
    assert {"clustermesh-apiserver-server-cert", "clustermesh-apiserver-remote-cert"} <= {
        leaf.secret for leaf in certificates.leaves
    }
    answered = known(store, fact.AGENTS, EKS)
    assert len(answered) == 2
    assert {agent.error for agent in answered} == {""}
    assert {agent.remotes[0].ready for agent in answered} == {True}
    assert {len(health.peers) for health in known(store, fact.HEALTH, EKS)} == {2}
    assert PRIVATE not in repr(dict(store.items()))


@pytest.fixture
def viewer(two_clusters: Clusters) -> Path:
    """A user who may list nodes and pods everywhere, and read the settings."""
    plane = two_clusters[clusters.AKS]
    given = [
        Right("list", "nodes"), Right("list", "pods"), kinds.NAMESPACES.right("get"),
        kinds.CONFIG_MAPS.right("get", "kube-system"), kinds.DAEMON_SETS.right("list", "kube-system"),
        kinds.DEPLOYMENTS.right("list", "kube-system"),
    ]  # fmt: skip
    file = plane.folder / "roles.yaml"
    file.write_text(rights.roles(given, "meshwright-viewer", "viewer"))
    return plane.user("viewer")


async def test_a_user_with_few_rights(two_clusters: Clusters, viewer: Path, kubectl: Path) -> None:
    plane = two_clusters[clusters.AKS]
    _run([str(kubectl), "--kubeconfig", str(plane.kubeconfig), "apply", "-f", str(plane.folder / "roles.yaml")])
    store = await gathered(viewer)
    assert known(store, fact.NODES, AKS)
    assert known(store, fact.PODS, AKS)
    assert known(store, fact.SETTINGS, AKS) is None
    for name, lift in (
        (fact.SERVICES, "list services"),
        (fact.NAMESPACES, "list namespaces"),
        (fact.HELM, "list secrets in kube-system"),
        (fact.PEERS, "get secrets in kube-system"),
        (fact.MESH_API, "get services in kube-system"),
        (fact.CILIUM_NODES, "list ciliumnodes.cilium.io"),
        (fact.CILIUM_VERSION, "list daemonsets.apps"),
    ):
        assert (lost(store, name, AKS).reason, lost(store, name, AKS).lift) == (Reason.FORBIDDEN, lift)
    found = known(store, fact.RIGHTS, AKS)
    assert found.user == "viewer"
    assert Right("list", "nodes") in found.granted
    assert Right("list", "services") in found.denied
    assert rights.profile(found) == "viewer"
    config, credentials = opened(viewer)
    contexts = Contexts(config, credentials, lambda ref: connect(viewer, ref))
    seen = await contexts.peek(contexts.list().contexts[0])
    assert seen.access is Access.PARTIAL
    assert "create pods/exec in kube-system" in seen.missing


async def test_what_is_granted_is_what_the_api_server_then_allows(two_clusters: Clusters, viewer: Path) -> None:
    """Our reading of the rules against the API server's own answer, right by right."""
    plane = two_clusters[clusters.AKS]
    found = known(await gathered(viewer), fact.RIGHTS, AKS)
    for right in rights.APPLY:
        resource, _, part = right.resource.partition("/")
        attributes = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": part}
        spec = {"user": "viewer", "resourceAttributes": {**attributes, "namespace": right.namespace}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        code, answer = plane.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert code == 201
        assert (right in found.granted) is bool(answer["status"]["allowed"]), right


async def test_a_user_without_any_rights_or_with_a_stranger_s_certificate(two_clusters: Clusters) -> None:
    plane, other = two_clusters[clusters.AKS], two_clusters[clusters.EKS]
    nobody = plane.user("nobody")
    store = await gathered(nobody)
    assert known(store, fact.VERSION, AKS)
    assert lost(store, fact.CLUSTER_UID, AKS).lift == "get namespaces"
    assert lost(store, fact.NODES, AKS).reason is Reason.FORBIDDEN
    assert lost(store, fact.AGENTS, AKS).reason is Reason.FORBIDDEN
    stranger = plane.folder / "stranger"
    text = other.user("stranger").read_text().replace(other.url, plane.url)
    stranger.write_text(text)
    found = lost(await gathered(stranger), fact.NODES, EKS)
    assert found.reason is Reason.UNREACHABLE
    assert "certificate-authority did not sign" in found.lift


async def test_pages_and_metadata_only(two_clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = two_clusters[clusters.AKS]
    path = "/api/v1/namespaces/default/configmaps"
    names = [f"page-{number:03}" for number in range(55)]
    plane.create(path, *({"metadata": {"name": name, "labels": {"page": "yes"}}, "data": {"x": "y"}} for name in names))
    monkeypatch.setattr(reading, "PAGE", 10)
    reader: ClusterReader = connect(plane.kubeconfig, opened(plane.kubeconfig)[0].contexts().contexts[0])
    try:
        counts: list[tuple[int, int]] = []
        for metadata_only in (False, True):
            found = await reader.list(
                kinds.CONFIG_MAPS, dict[str, Any], namespace="default", labels="page=yes",
                count=lambda *told: counts.append(told), metadata_only=metadata_only,
            )  # fmt: skip
            assert [item["metadata"]["name"] for item in found] == names
            assert all(("data" in item) is not metadata_only for item in found)
        assert [done for done, _ in counts[:6]] == [10, 20, 30, 40, 50, 55]
        assert await reader.get(kinds.CONFIG_MAPS, dict[str, Any], "gone", "default") is None
    finally:
        await reader.close()
        plane.request("DELETE", f"{path}?labelSelector=page%3Dyes")
