"""Installing Cilium and joining clusters as Meshwright's own plan does it: one CA first, values by helm, peers last."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from backends.lab.charts.trust.certificates import new_authority
from backends.lab.charts.version import ChartVersion
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.install import install
from backends.lab.commands.releases.options import Chart, Options, Patience
from backends.lab.commands.releases.upgrade import upgrade
from backends.lab.controllers import reading
from backends.lab.scenarios.living import at_rest, settle
from backends.lab.storage.resources import NODES, SECRETS, SERVICES
from backends.lab.world import LabCluster, World

NAMESPACE: Final = "kube-system"
RELEASE: Final = "cilium"
MTU: Final = 1400
"""Below what a site-to-site VPN carries (cilium-clustermesh §1.3)."""

_APISERVER: Final = "clustermesh-apiserver"
_AWS: Final = "service.beta.kubernetes.io/aws-load-balancer"


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster of a mesh: its mesh name and id, its pods' range, and the node port of its mesh API on kind."""

    cluster: LabCluster
    number: int
    pool: str
    node_port: int = 0

    @property
    def name(self) -> str:
        """Its ``cluster.name``."""
        return self.cluster.name


def _service(member: Member) -> dict[str, Any]:
    if member.cluster.provider == "eks":
        marks = {f"{_AWS}-type": "nlb", f"{_AWS}-internal": "true", f"{_AWS}-scheme": "internal"}
        return {"type": "LoadBalancer", "annotations": marks}
    if member.cluster.provider == "aks":
        return {
            "type": "LoadBalancer",
            "annotations": {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
        }
    return {"type": "NodePort", "nodePort": member.node_port}


def _api(member: Member) -> tuple[str, int]:
    """Host and port at which the cluster's pods reach its API server without a Service."""
    cluster = member.cluster
    document = cluster.facts.get("managed_cluster")
    if cluster.provider == "aks" and callable(document):
        return str(document()["properties"]["fqdn"]), 443
    if cluster.provider == "kind":
        return next(reading.internal_ip(node) for node in cluster.objects.view(NODES)), 6443
    parts = urlsplit(cluster.server_url)
    return str(parts.hostname), parts.port or 443


def values(member: Member, peers: Sequence[Mapping[str, Any]] = (), *, mesh: bool = True) -> dict[str, Any]:
    """Chart values of a member (cilium-clustermesh §4.2)."""
    host, port = _api(member)
    given: dict[str, Any] = {
        "cluster": {"name": member.name, "id": member.number},
        "routingMode": "tunnel",
        "tunnelProtocol": "vxlan",
        "ipam": {
            "mode": "cluster-pool",
            "operator": {"clusterPoolIPv4PodCIDRList": [member.pool], "clusterPoolIPv4MaskSize": 24},
        },
        "kubeProxyReplacement": "true",
        "k8sServiceHost": host,
        "k8sServicePort": port,
        "bpf": {"masquerade": True},
        "cni": {"exclusive": True},
        "MTU": MTU,
        "operator": {"replicas": 2},
    }
    if member.cluster.provider == "eks":
        given["eni"] = {"enabled": False}
    if member.cluster.provider == "aks":
        given["aksbyocni"] = {"enabled": True}
    if mesh:
        given["clustermesh"] = {
            "useAPIServer": True,
            "maxConnectedClusters": 255,
            "config": {"enabled": True, "clusters": [dict(peer) for peer in peers]},
            "apiserver": {
                "service": _service(member),
                "kvstoremesh": {"enabled": True},
                "tls": {"auto": {"enabled": True, "method": "cronJob", "schedule": "0 0 1 */4 *"}},
            },
        }
    return given


def place_authority(members: Sequence[Member]) -> None:
    """Write one CA to every member before anything is installed, marked as the release's own."""
    moment = datetime.fromtimestamp(members[0].cluster.objects.now(), UTC)
    pair = new_authority("Cilium CA", 1095, moment, "ec")
    data = {key: base64.b64encode(text).decode() for key, text in (("ca.crt", pair.certificate), ("ca.key", pair.key))}
    for member in members:
        metadata = {
            "name": "cilium-ca",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": RELEASE,
                "meta.helm.sh/release-namespace": NAMESPACE,
            },
        }
        member.cluster.objects.apply(SECRETS, {"metadata": metadata, "type": "Opaque", "data": data})


def _options(world: World) -> Options:
    def sleep(seconds: float) -> None:
        world.simulation.settle(seconds)

    return Options(keys="ec", patience=Patience(600.0, 1.0, sleep))


def install_release(world: World, member: Member, version: str, given: Mapping[str, Any]) -> None:
    """``helm install`` in the member's cluster."""
    port = StorePort(member.cluster.objects, member.cluster.version, world.clock.now)
    chart = Chart(ChartVersion.parse(version))
    install(port, chart, given, name=RELEASE, namespace=NAMESPACE, options=_options(world))


def upgrade_release(world: World, member: Member, given: Mapping[str, Any], version: str = "") -> None:
    """``helm upgrade`` with these values and nothing kept of the old ones."""
    port = StorePort(member.cluster.objects, member.cluster.version, world.clock.now)
    chart = Chart(ChartVersion.parse(version)) if version else None
    upgrade(port, chart, given, name=RELEASE, namespace=NAMESPACE, policy="reset", options=_options(world))


def endpoint(world: World, member: Member) -> dict[str, Any] | None:
    """The member as an entry of ``clustermesh.config.clusters``; None while it has no address."""
    store = member.cluster.objects
    service = store.stored(SERVICES, NAMESPACE, _APISERVER)
    if service is None:
        return None
    if service["spec"]["type"] == "NodePort":
        addresses = [reading.internal_ip(node) for node in store.view(NODES)]
        return {"name": member.name, "ips": addresses, "port": int(service["spec"]["ports"][0]["nodePort"])}
    found: list[str] = []
    for entry in (service["status"].get("loadBalancer") or {}).get("ingress") or ():
        found += [entry["ip"]] if entry.get("ip") else list(world.network.resolve(entry["hostname"]))
    return {"name": member.name, "ips": found, "port": 2379} if found else None


def enabled(world: World, member: Member) -> bool:
    """Whether the cluster is at rest and its mesh API has an address."""
    return at_rest(member.cluster) and endpoint(world, member) is not None


def connect(world: World, members: Sequence[Member]) -> None:
    """Give every member the addresses of all others."""
    entries = {member.name: endpoint(world, member) for member in members}
    for member in members:
        peers = [entry for name, entry in entries.items() if name != member.name and entry is not None]
        upgrade_release(world, member, values(member, peers))
    settle(world, "clusters after connect", lambda: all(at_rest(member.cluster) for member in members))


def all_ready(world: World, members: Sequence[Member]) -> bool:
    """Whether every agent is ready for every peer."""
    now = world.clock.now()
    readers = world.simulation.fleet.readers.agents()
    return bool(readers) and all(
        len(reader.links) == len(members) - 1 and all(link.ready(now) for link in reader.links.values())
        for reader in readers
    )


def join(world: World, members: Sequence[Member], version: str, *, one_authority: bool = True) -> None:
    """Install and connect; waits until the agents are ready, unless the clusters do not trust each other."""
    if one_authority:
        place_authority(members)
    for member in members:
        install_release(world, member, version, values(member))
    settle(world, "mesh addresses", lambda: all(enabled(world, member) for member in members))
    connect(world, members)
    if one_authority:
        settle(world, "agents", lambda: all_ready(world, members))
