"""Every values file that a plan writes renders with the real charts, and Cilium's objects hold what it promised.

Promised is what the checks judge before anything is installed: the facts overlaid with the goal (``mesh.aim``).
"""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from backends.cilium.peers import read_peers
from backends.cilium.settings import read_settings
from mesh import catalogue as fact
from mesh.aim import overlay
from mesh.facts import FactKey, FactStore, Known, Origin, Source
from mesh.goal import ClusterGoal, Exposure, Goal
from mesh.model.cilium import CiliumSettings, PeerEntry
from mesh.model.context import Provider
from mesh.releases import at_least, parts
from mesh.subject import OfCluster
from mesh.values import connect_values, enable_values, install_values

Object = dict[str, Any]
Values = dict[str, Any]
KUBERNETES = "v1.34.4"
API = "clustermesh-apiserver"
HOST, PORT = "0A1B2C3D4E5F.gr7.ap-northeast-1.eks.amazonaws.com", 443
LB, NODE_PORT = Exposure.INTERNAL_LB, Exposure.NODE_PORT
EKS, AKS, GKE, KIND = Provider.EKS, Provider.AKS, Provider.GKE, Provider.KIND
INTERNAL = {
    EKS: {
        "service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
        "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    },
    AKS: {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
    GKE: {
        "networking.gke.io/load-balancer-type": "Internal",
        "networking.gke.io/internal-load-balancer-allow-global-access": "true",
    },
}
# A map of peers over the chart's own empty list: both forms are documented, the map wins.
MAP_OVER_LIST = "clustermesh.config.clusters is a table. Ignoring non-table value ([])"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Rendered:
    """The objects of one ``helm template``, by kind and name."""

    def __init__(self, text: str) -> None:
        objects = [item for item in yaml.load_all(text, Loader=_Loader) if item]
        self.objects: dict[tuple[str, str], Object] = {(o["kind"], o["metadata"]["name"]): o for o in objects}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self.objects

    def __getitem__(self, key: tuple[str, str]) -> Object:
        return self.objects[key]

    @property
    def config(self) -> dict[str, str]:
        """The ConfigMap of the agents."""
        data: dict[str, str] = self["ConfigMap", "cilium-config"]["data"]
        return data

    def settings(self, version: str) -> CiliumSettings:
        """What our own collector reads of it, comparable with planned facts, which have no raw text."""
        read = read_settings(self.config, parts(version)[:2])
        return msgspec.structs.replace(read, raw={}, policy_default_local_cluster=None)

    def containers(self, kind: str, name: str) -> dict[str, Object]:
        """A workload's containers by name."""
        return {each["name"]: each for each in self[kind, name]["spec"]["template"]["spec"]["containers"]}

    def env(self, kind: str, name: str, container: str) -> dict[str, str | None]:
        """The variables of one container that are plain values."""
        return {each["name"]: each.get("value") for each in self.containers(kind, name)[container].get("env", ())}

    def peers(self, secret: str, own: str) -> tuple[PeerEntry, ...]:
        """What our own collector reads of a Secret of peers, with the host names of the pods that use it."""
        kind, name = ("DaemonSet", "cilium") if secret == "cilium-clustermesh" else ("Deployment", API)
        aliases: dict[str, tuple[str, ...]] = {}
        for entry in self[kind, name]["spec"]["template"]["spec"].get("hostAliases") or ():
            for host in entry["hostnames"]:
                aliases[host] = (*aliases.get(host, ()), entry["ip"])
        return read_peers(self["Secret", secret].get("data") or {}, own, aliases)


def rendered(helm: Path, chart: Path, folder: Path, *layers: Mapping[str, Any]) -> Rendered:
    """Values files, one over the other, by one ``helm template`` of the real chart."""
    command = [str(helm), "template", "cilium", str(chart), "-n", "kube-system", "--kube-version", KUBERNETES]
    for index, values in enumerate(layers):
        file = folder / f"{index}.json"
        file.write_text(json.dumps(values))
        command += ["--values", str(file)]
    env = {"HOME": str(folder), "PATH": os.defpath}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.endswith(MAP_OVER_LIST)] == []
    return Rendered(done.stdout)


Render = Callable[..., Rendered]


@pytest.fixture
def render(helm: Path, chart: Path, tmp_path: Path) -> Render:
    """``rendered`` with the chart of this test."""
    return partial(rendered, helm, chart, tmp_path)


@dataclass(frozen=True)
class Case:
    """One first install: how its goal differs from the default one, where, and what it asks of its member."""

    provider: Provider = EKS
    goal: Mapping[str, Any] = field(default_factory=dict)
    pod_cidrs: tuple[str, ...] = ("10.120.0.0/16",)
    mask_size: int = 24
    cluster_id: int = 1
    node_port: int = 0

    def made(self, version: str) -> tuple[Goal, ClusterGoal]:
        """The goal of two members; the second is this one."""
        other = ClusterGoal("other", "other", 77, ("10.130.0.0/16",), version)
        member = ClusterGoal("mine", "mine-1", self.cluster_id, self.pod_cidrs, version, self.mask_size, self.node_port)
        return msgspec.structs.replace(Goal(members=(other, member)), **self.goal), member


CASES = {
    "eks-balancer-cronjob": Case(EKS),
    "eks-nodeport-helm": Case(EKS, {"exposure": NODE_PORT, "certificates": "helm"}, node_port=32380),
    "eks-no-kvstoremesh-autodetected-mtu": Case(EKS, {"kvstoremesh": False, "mtu": 0, "certificates": "helm"}),
    "eks-geneve": Case(EKS, {"tunnel_protocol": "geneve", "tunnel_port": 6081}),
    "aks-balancer-helm": Case(AKS, {"certificates": "helm", "mtu": 1400}),
    "aks-nodeport-cronjob": Case(AKS, {"exposure": NODE_PORT}, node_port=32381),
    "aks-other-tunnel-port": Case(AKS, {"tunnel_port": 8473, "mtu": 1350, "certificates": "helm"}),
    "aks-vxlan-on-geneves-port": Case(AKS, {"tunnel_port": 6081, "certificates": "helm"}),
    "gke-two-ranges-511-clusters": Case(
        GKE, {"max_connected_clusters": 511}, ("10.120.0.0/16", "100.64.0.0/17"), 25, cluster_id=511
    ),
    "kind-nodeport-of-the-charts-choice": Case(KIND, {"exposure": NODE_PORT, "certificates": "helm"}),
}


def versions(chart: Path) -> tuple[str, ...]:
    """Releases of our tables that the chart's line stands for."""
    return ("1.15.1", "1.15.19") if chart.name.startswith("1.15.") else (chart.name,)


def promised(goal: Goal, cluster: str) -> CiliumSettings:
    """The settings that the checks judge before the install."""
    absent = Known(None, Source(Origin.LIVE))
    store = FactStore({FactKey(fact.SETTINGS.name, OfCluster(m.cluster)): absent for m in goal.members})
    settings = overlay(store, goal, [m.cluster for m in goal.members]).value(fact.SETTINGS, OfCluster(cluster))
    assert settings is not None
    return settings


@pytest.mark.parametrize("name", CASES)
def test_an_install_gives_what_the_plan_promised(render: Render, chart: Path, name: str) -> None:
    case = CASES[name]
    written = []
    for version in versions(chart):
        goal, member = case.made(version)
        written.append(install_values(goal, member, case.provider, HOST, PORT))
    assert all(values == written[0] for values in written), "releases of one line have one table"
    found = render(written[0])
    assert found.settings(version) == promised(goal, member.cluster)
    _holds_the_datapath(found, goal, member)
    _reaches_the_api_server(found)
    _serves_the_mesh(found, goal, member, case.provider)


def _holds_the_datapath(found: Rendered, goal: Goal, member: ClusterGoal) -> None:
    """The keys as the agent reads them, by their names in its documentation."""
    config = found.config
    assert (config["cluster-name"], config["cluster-id"]) == (member.name, str(member.cluster_id))
    assert (config["routing-mode"], config["tunnel-protocol"]) == ("tunnel", goal.tunnel_protocol)
    default = {"vxlan": 8472, "geneve": 6081}[goal.tunnel_protocol]
    port = int(config.get("tunnel-port", "0")) or default
    assert port == goal.tunnel_port
    assert config["ipam"] == "cluster-pool"
    assert config["cluster-pool-ipv4-cidr"].split() == list(member.pod_cidrs)
    assert config["cluster-pool-ipv4-mask-size"] == str(member.mask_size)
    assert config["kube-proxy-replacement"] == "true"
    assert config["max-connected-clusters"] == str(goal.max_connected_clusters)
    assert config.get("mtu", "0") == str(goal.mtu)
    assert config["cni-exclusive"] == "true"
    assert "eni-tags" not in config
    assert config.get("enable-endpoint-routes", "false") == "false"


def _reaches_the_api_server(found: Rendered) -> None:
    """Without kube-proxy the ClusterIP of ``kubernetes`` works only after the agent runs: all that start earlier."""
    places = [("DaemonSet", "cilium", "cilium-agent"), ("Deployment", "cilium-operator", "cilium-operator")]
    for place in places:
        env = found.env(*place)
        assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == (HOST, str(PORT)), place
    assert found["Deployment", "cilium-operator"]["spec"]["replicas"] == 2


def _serves_the_mesh(found: Rendered, goal: Goal, member: ClusterGoal, provider: Provider) -> None:
    service = found["Service", API]
    annotations = service["metadata"].get("annotations") or {}
    (etcd,) = [port for port in service["spec"]["ports"] if port["port"] == 2379]
    if goal.exposure is NODE_PORT:
        assert service["spec"]["type"] == "NodePort"
        assert etcd["nodePort"] == (member.node_port or 32379)  # the chart's own is 32379
        assert annotations == {}
    else:
        assert service["spec"]["type"] == "LoadBalancer"
        assert {key: annotations.get(key) for key in INTERNAL[provider]} == INTERNAL[provider]
    containers = found.containers("Deployment", API)
    assert ("kvstoremesh" in containers) is goal.kvstoremesh
    leaf = ("Secret", "clustermesh-apiserver-server-cert")
    if goal.certificates == "helm":
        assert leaf in found
        assert ("CronJob", "clustermesh-apiserver-generate-certs") not in found
    else:
        assert leaf not in found
        renewal = found["CronJob", "clustermesh-apiserver-generate-certs"]
        assert renewal["spec"]["schedule"] == "0 0 1 */4 *"


EXISTING: Values = {
    "cluster": {"name": "mine-1", "id": 4},
    "routingMode": "native",
    "ipv4NativeRoutingCIDR": "10.0.0.0/8",
    "autoDirectNodeRoutes": True,
    "ipam": {"operator": {"clusterPoolIPv4PodCIDRList": ["10.44.0.0/16"]}},
    "MTU": 1360,
}


@pytest.fixture(scope="module")
def existing(helm: Path, chart: Path, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A cluster that its owner installed without a mesh."""
    return rendered(helm, chart, tmp_path_factory.mktemp("existing"), EXISTING)


@pytest.mark.parametrize("exposure", [LB, NODE_PORT], ids=["balancer", "nodeport"])
@pytest.mark.parametrize("provider", [EKS, AKS], ids=["eks", "aks"])
def test_enabling_the_mesh_leaves_the_rest_as_it_was(
    render: Render, existing: Rendered, chart: Path, provider: Provider, exposure: Exposure
) -> None:
    goal, member = Case(provider, {"exposure": exposure, "certificates": "helm"}, node_port=32390).made(chart.name)
    found, before = render(EXISTING, enable_values(goal, member, provider)), existing
    _serves_the_mesh(found, goal, member, provider)
    assert ("Deployment", API) not in before
    changed = {key for key in {*found.config, *before.config} if found.config.get(key) != before.config.get(key)}
    assert changed <= {"clustermesh-enable-endpoint-sync", "clustermesh-enable-mcs-api", "clustermesh-config"}
    assert (found.config["cluster-id"], found.config["mtu"]) == ("4", "1360")


PEERS = (
    PeerEntry("aks-2", ("https://aks-2.mesh.cilium.io:2379",), ("10.224.0.200",)),
    PeerEntry("third-3", ("https://third-3.mesh.cilium.io:32381",), ("192.168.7.4", "192.168.7.5")),
)
PEER_PORTS = {"aks-2": 2379, "third-3": 32381}


def peers_of(found: Rendered, *, kvstoremesh: bool) -> tuple[PeerEntry, ...]:
    """The peers of whoever connects to them: KVStoreMesh, else the agents."""
    return found.peers("cilium-kvstoremesh" if kvstoremesh else "cilium-clustermesh", "mine-1")


@pytest.mark.parametrize("kvstoremesh", [True, False], ids=["kvstoremesh", "agents"])
@pytest.mark.parametrize("count", [1, 2])
def test_connecting_lists_every_peer_where_it_is_reached(
    render: Render, chart: Path, count: int, kvstoremesh: bool
) -> None:
    goal, member = Case(goal={"kvstoremesh": kvstoremesh, "certificates": "helm"}).made(chart.name)
    values = connect_values(chart.name, PEERS[:count], PEER_PORTS)
    assert isinstance(values["clustermesh"]["config"]["clusters"], dict) is at_least(chart.name, "1.20.0")
    found = render(install_values(goal, member, EKS, HOST, PORT), values)
    assert peers_of(found, kvstoremesh=kvstoremesh) == PEERS[:count]
    agents = found["Secret", "cilium-clustermesh"]["data"]
    assert [name for name in agents if "." not in name] == [peer.name for peer in PEERS[:count]]
    if kvstoremesh:
        # The agents read the copy in their own cluster: their entries name the local server.
        local = base64.b64decode(agents["aks-2"]).decode()
        assert "clustermesh-apiserver.kube-system.svc:2379" in local
        assert PEERS[0].ips[0] not in local


def test_connecting_keeps_the_install(render: Render, chart: Path) -> None:
    goal, member = CASES["aks-other-tunnel-port"].made(chart.name)
    found = render(install_values(goal, member, AKS, HOST, PORT), connect_values(chart.name, PEERS, PEER_PORTS))
    assert found.settings(chart.name) == promised(goal, member.cluster)
    _serves_the_mesh(found, goal, member, AKS)


def test_a_list_of_peers_is_understood_by_every_chart(render: Render, chart: Path) -> None:
    goal, member = Case(goal={"certificates": "helm"}).made(chart.name)
    values = connect_values("1.19.5", PEERS, PEER_PORTS)
    found = render(install_values(goal, member, EKS, HOST, PORT), values)
    assert peers_of(found, kvstoremesh=True) == PEERS


def test_no_values_hold_a_key(chart: Path) -> None:
    for case in CASES.values():
        goal, member = case.made(chart.name)
        layers: Sequence[Values] = (
            install_values(goal, member, case.provider, HOST, PORT),
            enable_values(goal, member, case.provider),
            connect_values(chart.name, PEERS, PEER_PORTS),
        )
        text = json.dumps(layers)
        assert '"ca"' not in text
        assert "PRIVATE KEY" not in text
