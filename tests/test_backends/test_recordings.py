"""Each recorded scenario gives the facts that its description says, through the collectors that read live clusters."""

import gc
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from backends.bundle import open_bundle
from backends.certificates import Parsed
from backends.cilium.peers import PeerSecret
from backends.cilium.trust import CertificateData, CertificateSecret
from backends.gather import ClusterGatherer
from backends.kubeconfig.listing import unique_keys
from mesh import catalogue as fact
from mesh.errors import UsageError
from mesh.events import CollectorProgress, Event, FactArrived, GatherDone
from mesh.facts import FactName, FactStore, Known, Origin, Reason, Unknown
from mesh.model.cilium import CiliumSettings, MeshCertificates
from mesh.model.context import Provider
from mesh.model.kubernetes import OwnerKind, Service, Workload
from mesh.snapshot import dump
from mesh.subject import OfCluster
from tests.test_backends.recorded import AKS, EKS, RECORDINGS, MachineClock, collectors, recorded, value

SCENARIOS = sorted(path.name for path in RECORDINGS.iterdir() if (path / "eks.json").exists())
BOTH = (EKS, AKS)


def workload(store: FactStore, cluster: str, name: str) -> Workload | None:
    items: tuple[Workload, ...] = value(store, fact.WORKLOADS, cluster)
    return next((item for item in items if item.name == name), None)


def settings(store: FactStore, cluster: str) -> CiliumSettings:
    found: CiliumSettings = value(store, fact.SETTINGS, cluster)
    return found


def certificates(store: FactStore, cluster: str) -> MeshCertificates:
    found: MeshCertificates = value(store, fact.CERTIFICATES, cluster)
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_what_holds_in_every_recording(scenario: str) -> None:
    events: list[Event] = []
    store = await recorded(scenario, events)
    assert store.clusters() == (AKS, EKS)
    uids = {value(store, fact.CLUSTER_UID, cluster) for cluster in BOTH}
    assert len(uids) == 2
    for cluster, provider, region in ((EKS, Provider.EKS, "ap-northeast-1"), (AKS, Provider.AKS, "japaneast")):
        assert value(store, fact.VERSION, cluster).git_version == "v1.34.4"
        ref = value(store, fact.CONTEXT, cluster)
        assert (ref.provider, ref.region) == (provider, region)
        nodes = value(store, fact.NODES, cluster)
        assert len(nodes) == 3
        assert all(node.provider_id and node.zone and node.region == region for node in nodes)
        assert {len(node.internal_ips) for node in nodes} == {1}
    # What a recording cannot tell is unknown, never empty; without Cilium there is certainly no agent.
    untold: list[FactName[Any]] = [fact.RIGHTS] if scenario == "fresh-none" else [fact.RIGHTS, fact.AGENTS, fact.HEALTH]
    for name in untold:
        found = store.get(name, OfCluster(EKS))
        assert isinstance(found, Unknown)
        assert found.reason is Reason.NOT_COLLECTED
        assert found.detail
    arrived = {event.key for event in events if isinstance(event, FactArrived)}
    assert arrived == {key for key, _ in store.items()}
    (done,) = (event for event in events if isinstance(event, GatherDone))
    assert (done.known + done.unknown, done.unknown) == (len(store), 2 * len(untold))
    assert all(one.source.origin in (Origin.BUNDLE, Origin.LIVE) for _, one in store.items() if isinstance(one, Known))


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_no_key_material_reaches_a_fact(scenario: str) -> None:
    text = dump(await recorded(scenario), BOTH).decode()
    assert "PRIVATE KEY" not in text
    assert "BEGIN CERTIFICATE" not in text
    assert "<removed>" not in text
    assert not re.search(r"LS0tLS1CRUdJTi", text)


async def test_no_secret_and_no_certificate_outlives_its_reading() -> None:
    """Only facts leave the function that reads them; what they were read from can be given back at once."""
    store = await recorded("connected-1.19.5")
    assert value(store, fact.CERTIFICATES, EKS).leaves and value(store, fact.PEERS, EKS)
    gc.collect()
    kept = (Parsed, CertificateSecret, CertificateData, PeerSecret, x509.Certificate)
    assert [type(one) for one in gc.get_objects() if isinstance(one, kept)] == []


def test_a_private_key_is_not_even_decoded() -> None:
    data = {"tls.crt": "QQ==", "ca.crt": "QQ==", "tls.key": "CANARY", "ca.key": "CANARY"}
    text = msgspec.json.encode({"metadata": {"name": "cilium-ca"}, "data": data})
    found = msgspec.json.decode(text, type=CertificateSecret)
    assert found.data == CertificateData("QQ==", "QQ==") and b"CANARY" not in msgspec.json.encode(found)


async def test_fresh_none() -> None:
    store = await recorded("fresh-none")
    for cluster in BOTH:
        for name in (fact.SETTINGS, fact.CILIUM_VERSION, fact.CILIUM_NODES, fact.HELM, fact.MESH_API, fact.PEERS):
            assert value(store, name, cluster) is None
        assert value(store, fact.OWNER, cluster).kind is OwnerKind.UNOWNED
        assert certificates(store, cluster) == MeshCertificates()
        proxy = workload(store, cluster, "kube-proxy")
        assert proxy is not None
        assert (proxy.desired, proxy.ready) == (3, 3)
    aws_node = workload(store, EKS, "aws-node")
    assert aws_node is not None
    assert aws_node.current == 3
    assert all(node.ready for node in value(store, fact.NODES, EKS))
    for node in value(store, fact.NODES, AKS):
        assert not node.ready
        assert "cni plugin not initialized" in node.ready_reason
        assert "node.kubernetes.io/not-ready:NoSchedule" in node.taints
    proxy = workload(store, AKS, "kube-proxy")
    assert proxy is not None
    assert proxy.labels["addonmanager.kubernetes.io/mode"] == "Reconcile"
    pending = [pod for pod in value(store, fact.PODS, AKS) if pod.name.startswith("coredns")]
    assert [(pod.phase, pod.ready, pod.node, pod.started_at) for pod in pending] == 2 * [("Pending", False, "", 0.0)]


async def test_installed() -> None:
    store = await recorded("installed-1.16.5")
    cas = set()
    for cluster, number, pool in ((EKS, 1, "10.100.0.0/16"), (AKS, 2, "10.110.0.0/16")):
        found = settings(store, cluster)
        assert value(store, fact.CILIUM_VERSION, cluster) == "1.16.5"
        assert (found.cluster_name, found.cluster_id, found.pod_cidrs) == (cluster, number, (pool,))
        assert (found.routing_mode, found.tunnel_protocol, found.tunnel_port) == ("tunnel", "vxlan", 8472)
        assert (found.ipam, found.kube_proxy_replacement) == ("cluster-pool", True)
        assert (found.max_connected_clusters, found.max_connected_explicit) == (255, True)
        assert found.policy_default_local_cluster is None
        assert value(store, fact.MESH_API, cluster) is None
        assert value(store, fact.PEERS, cluster) is None
        release = value(store, fact.HELM, cluster)
        assert (release.name, release.status, release.chart_version) == ("cilium", "deployed", "1.16.5")
        assert value(store, fact.OWNER, cluster).kind is OwnerKind.HELM
        nodes = value(store, fact.CILIUM_NODES, cluster)
        assert len(nodes) == 3
        assert all(node.cilium_internal_ips and node.pod_cidrs and node.health_ip for node in nodes)
        ca = certificates(store, cluster).ca
        assert ca is not None
        cas.add(ca.spki_sha256)
        assert certificates(store, cluster).leaves == ()
    assert len(cas) == 2
    aws_node = workload(store, EKS, "aws-node")
    assert aws_node is not None
    assert (aws_node.desired, aws_node.current) == (0, 0)
    assert aws_node.node_selector == {"io.cilium/aws-node-enabled": "true"}


async def test_enabled() -> None:
    store = await recorded("enabled-1.17.4")
    cas = set()
    for cluster in BOTH:
        server = value(store, fact.MESH_API, cluster)
        assert (server.replicas, server.ready, server.kvstoremesh) == (1, 1, True)
        assert (server.service_type, server.port) == ("LoadBalancer", 2379)
        assert not any("internal" in key or "scheme" in key for key in server.annotations)
        assert server.node_port not in (0, 32379)
        assert value(store, fact.PEERS, cluster) == ()
        found = certificates(store, cluster)
        assert {leaf.secret for leaf in found.leaves} == {
            f"clustermesh-apiserver-{role}-cert" for role in ("server", "admin", "remote", "local")
        }
        assert found.ca is not None
        own = found.ca.spki_sha256
        cas.add(own)
        assert {leaf.signed_by for leaf in found.leaves} == {(own,)}
        assert (found.method, found.has_bundle, found.renewal_schedule) == ("helm", False, "")
    assert len(cas) == 2
    assert value(store, fact.MESH_API, AKS).ingress_ips == ("10.224.0.250",)


async def test_connected() -> None:
    store = await recorded("connected-1.19.5")
    eks, aks = (value(store, fact.MESH_API, cluster) for cluster in BOTH)
    assert eks.annotations["service.beta.kubernetes.io/aws-load-balancer-scheme"] == "internal"
    assert aks.annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] == "true"
    assert eks.ingress_hostnames[0].endswith(".elb.ap-northeast-1.amazonaws.com")
    (of_eks,) = value(store, fact.PEERS, EKS)
    (of_aks,) = value(store, fact.PEERS, AKS)
    assert (of_eks.name, of_eks.ips) == (AKS, ("10.224.0.250",))
    assert (of_aks.name, of_aks.ips) == (EKS, ("10.0.1.200", "10.0.3.118"))
    assert of_aks.endpoints == ("https://mesh-eks.mesh.cilium.io:2379",)
    assert not of_aks.embedded_certificate
    cas = [certificates(store, cluster).ca for cluster in BOTH]
    assert cas[0] == cas[1]
    for cluster in BOTH:
        found = certificates(store, cluster)
        assert found.method == "cronJob"
        assert found.renewal_schedule == "0 0 1 */4 *"
        assert found.renewal_last_success > 1_700_000_000
        assert not found.renewal_failed
        server = next(leaf for leaf in found.leaves if "server" in leaf.secret).certificate
        assert "*.mesh.cilium.io" in server.sans
        assert "serverAuth" in server.key_usages
        assert 1090 < (server.not_after - server.not_before) / 86400 < 1100
        assert settings(store, cluster).policy_default_local_cluster is True


async def test_services_of_the_shop() -> None:
    store = await recorded("connected-1.19.5")
    found: dict[tuple[str, str], Service] = {
        (cluster, item.name): item
        for cluster in BOTH
        for item in value(store, fact.SERVICES, cluster)
        if item.namespace == "shop"
    }
    endpoints = {place: (item.ready_endpoints, item.total_endpoints) for place, item in found.items()}
    assert endpoints == {
        (EKS, "cart"): (2, 2), (EKS, "catalog"): (3, 3), (EKS, "payments"): (1, 1),
        (AKS, "cart"): (2, 2), (AKS, "catalog"): (1, 1), (AKS, "payments"): (0, 0), (AKS, "reports"): (1, 1),
    }  # fmt: skip
    assert found[EKS, "cart"].annotations["service.cilium.io/affinity"] == "local"
    assert found[AKS, "cart"].annotations["service.cilium.io/affinity"] == "remote"
    assert found[AKS, "catalog"].annotations["service.cilium.io/shared"] == "false"
    shared = {place for place, item in found.items() if item.annotations.get("service.cilium.io/global") == "true"}
    assert set(found) - shared == {(AKS, "reports")}


async def test_mixed_routing() -> None:
    store = await recorded("mixed-routing-1.19.5")
    eks, aks = (settings(store, cluster) for cluster in BOTH)
    assert (eks.routing_mode, aks.routing_mode) == ("tunnel", "native")
    assert (eks.tunnel_protocol, aks.tunnel_protocol) == ("vxlan", "vxlan")
    assert aks.native_routing_cidr == "10.110.0.0/16"
    assert [peer.name for peer in value(store, fact.PEERS, EKS)] == [AKS]


async def test_two_cas_trusted_by_a_bundle() -> None:
    store = await recorded("mismatched-ca-connected-1.19.5")
    eks, aks = (certificates(store, cluster) for cluster in BOTH)
    assert eks.ca is not None
    assert aks.ca is not None
    own = {eks.ca.spki_sha256, aks.ca.spki_sha256}
    assert len(own) == 2
    for found in (eks, aks):
        assert found.has_bundle
        assert {ca.spki_sha256 for ca in found.trusted} == own
        assert found.ca is not None
        for leaf in found.leaves:
            # Judged by the leaves' own ca.crt this would be a false alarm: it holds the own CA only.
            assert leaf.ca_spki == (found.ca.spki_sha256,)
            assert leaf.signed_by == (found.ca.spki_sha256,)


async def test_progress_says_what_a_cell_shows() -> None:
    events: list[Event] = []
    await recorded("connected-1.19.5", events)
    ends = {
        event.collector: (event.state, event.text)
        for event in events
        if isinstance(event, CollectorProgress) and event.cluster == EKS and event.state != "reading"
    }
    assert ends["nodes"] == ("done", "3")
    assert ends["pods"] == ("done", "17")
    assert ends["config"] == ("done", "1.19.5, Helm rev 5")
    assert ends["services"] == ("done", "9, 3 global")
    assert ends["mesh"] == ("done", "1/1 ready · 1 peer · 4 certs")
    assert ends["agents"][0] == "failed"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "is not what --from reads"),
        ('{"a": 1}', "is neither a recording nor a snapshot"),
        ('{"resources": {"v1/nodes": {}}}', "is not what --from reads"),
        ("{" * 100_000, "is not what --from reads"),
        ("", "is not what --from reads"),
    ],
)
def test_files_that_are_no_recordings(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        open_bundle([str(path)], unique_keys)
    assert said in caught.value.title


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        open_bundle([str(tmp_path / "gone")], unique_keys)
    with pytest.raises(UsageError, match="nothing to read"):
        open_bundle([str(tmp_path)], unique_keys)


async def test_strange_objects_in_a_recording_are_unknown_not_a_crash(tmp_path: Path) -> None:
    document = json.loads((RECORDINGS / "fresh-none" / "eks.json").read_text())
    document["resources"]["v1/nodes"][0]["status"]["addresses"] = "none"
    document["resources"]["v1/pods"] = [{}]
    (tmp_path / "a.json").write_text(json.dumps(document))
    bundle = open_bundle([str(tmp_path)], unique_keys)
    gatherer = ClusterGatherer(collectors(), bundle.recordings.__getitem__, MachineClock())
    store = await gatherer.gather(list(bundle.recordings), lambda event: None)
    for name in (fact.NODES, fact.PODS):
        found = store.get(name, OfCluster(EKS))
        assert isinstance(found, Unknown)
        assert found.reason is Reason.INVALID
    assert value(store, fact.SETTINGS, EKS) is None
