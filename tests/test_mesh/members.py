"""One cluster of a test world: how it is made, and the value objects that follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mesh.model.cilium import (
    Certificate,
    CiliumSettings,
    LeafCertificate,
    MeshCertificates,
    RemoteCluster,
)
from mesh.model.context import Provider
from mesh.model.kubernetes import OwnerKind, Workload
from mesh.model.network import (
    Firewall,
    FirewallGroup,
    FirewallRule,
)

NOW = 1_760_000_000.0
DAY = 86400.0
YEARS = 1095 * DAY


@dataclass(frozen=True)
class Member:
    """How one cluster is made; everything else follows."""

    key: str
    provider: Provider
    number: int
    network: str
    subnets: tuple[str, ...]
    nodes: tuple[str, ...]
    pods: str
    services: str
    version: str = "1.15.1"
    name: str = ""
    installed: bool = True
    enabled: bool = True
    exposure: str = "LoadBalancer"
    node_port: int = 0
    network_id: str = ""
    routing: str = "tunnel"
    protocol: str = "vxlan"
    ipam: str = "cluster-pool"
    dual: bool = False
    owner: OwnerKind = OwnerKind.HELM
    authority: str = "a1" * 32
    trusted: tuple[str, ...] = ()
    kubernetes: str = "v1.26.15"
    parked: bool = True

    @property
    def cluster_name(self) -> str:
        """Cilium's name of it."""
        return self.name or self.key

    @property
    def cloudy(self) -> bool:
        """Whether it is in a cloud that is read."""
        return self.provider in (Provider.EKS, Provider.AKS)

    @property
    def balancer(self) -> str:
        """The address of its load balancer."""
        return self.subnets[0].rsplit(".", 1)[0] + ".250"

    @property
    def port(self) -> int:
        """The node port of its mesh API."""
        return self.node_port or 30000 + self.number


SCHEMES = {Provider.EKS: "aws", Provider.AKS: "azure", Provider.KIND: "kind"}


def pods_of_node(member: Member, number: int) -> tuple[str, ...]:
    if member.ipam == "eni":
        return ()
    a, b, *_ = member.pods.split(".")
    return (f"{a}.{b}.{number}.0/24",)


def _whole(kind: str, name: str, count: int) -> Workload:
    return Workload(
        kind, "kube-system", name, count, count, ready=count, updated=count, generation=1, observed_generation=1
    )


def workloads_of(member: Member) -> tuple[Workload, ...]:
    count = len(member.nodes)
    found = []
    if member.installed:
        found.append(_whole("DaemonSet", "cilium", count))
        found.append(_whole("Deployment", "cilium-operator", 1))
    running = 0 if member.parked else count
    for name in ("aws-node", "kube-proxy") if member.provider is Provider.EKS else ():
        found.append(Workload("DaemonSet", "kube-system", name, desired=running, current=running, ready=running))
    if member.provider is Provider.AKS and not member.parked:
        mode = {"addonmanager.kubernetes.io/mode": "Reconcile"}
        found.append(
            Workload("DaemonSet", "kube-system", "kube-proxy", desired=count, current=count, ready=count, labels=mode)
        )
    return tuple(found)


def settings_of(member: Member) -> CiliumSettings:
    """Cilium's settings as the member describes them."""
    return CiliumSettings(
        cluster_name=member.cluster_name,
        cluster_id=member.number,
        max_connected_explicit=True,
        routing_mode=member.routing,
        tunnel_protocol=member.protocol,
        tunnel_port=8472 if member.protocol == "vxlan" else 6081,
        ipam=member.ipam,
        pod_cidrs=() if member.ipam in ("kubernetes", "eni") else (member.pods,),
        kube_proxy_replacement=True,
        ipv6=member.dual,
    )


def remote_of(peer: Member) -> RemoteCluster:
    synced = {"endpoints": True, "identities": True, "nodes": True, "services": True}
    count = len(peer.nodes)
    return RemoteCluster(peer.cluster_name, True, True, True, True, peer.number, "", count, 4, 1, 5, synced=synced)


def certificate(subject: str, key: str = "", until: float = NOW + YEARS, ca: bool = False) -> Certificate:
    """A certificate valid from yesterday."""
    return Certificate(subject, "CN=Cilium CA", "1", NOW - DAY, until, spki_sha256=key, is_ca=ca)


def certificates_of(member: Member) -> MeshCertificates:
    """A CA, the three leaves it signed, and whom it trusts."""
    own = certificate("CN=Cilium CA", member.authority, NOW + 10 * YEARS, ca=True)
    names = ("server", "admin", "remote") if member.enabled else ()
    leaves = tuple(
        LeafCertificate(
            f"clustermesh-apiserver-{name}-cert",
            certificate(f"CN={name}", f"{name}-{member.key}"),
            (member.authority,),
            (member.authority,),
        )
        for name in names
    )
    others = tuple(certificate("CN=Cilium CA", key, NOW + 10 * YEARS, ca=True) for key in member.trusted)
    return MeshCertificates(
        own,
        leaves,
        others or (own,),
        bool(others),
        renewal_schedule="0 0 1 */4 *",
        renewal_last_success=NOW - DAY,
        method="cronJob",
    )


def _allow(number: int, protocol: str, low: int, high: int, sources: tuple[str, ...]) -> FirewallRule:
    return FirewallRule(f"sgr-{number:04d}", "in", True, protocol, low, high, sources)


_OUT = FirewallRule("sgr-out", "out", True, "*", destinations=("0.0.0.0/0", "::/0"))


def _ends(other: Member) -> tuple[str, ...]:
    return other.subnets if other.cloudy else tuple(f"{ip}/32" for ip in other.nodes)


def balancer_group(member: Member, others: Sequence[Member]) -> FirewallGroup:
    rules = tuple(_allow(n, "tcp", 2379, 2379, _ends(other)) for n, other in enumerate(others))
    return FirewallGroup(f"sg-{member.number:08x}b", "k8s-elb", "sg", (), (*rules, _OUT))


def firewall_of(member: Member, others: Sequence[Member]) -> Firewall:
    """Groups that let in exactly what the mesh needs: security groups on EKS, a default NSG on AKS."""
    names = tuple(f"{member.key}-node-{n}" for n, _ in enumerate(member.nodes))
    if member.provider is Provider.AKS:
        known = (member.network, *(other.network for other in others), "168.63.129.16/32")
        groups = f"/subscriptions/4321/resourceGroups/MC_{member.key}/providers/Microsoft.Network"
        place = f"{groups}/networkSecurityGroups/aks-nsg"
        return Firewall(
            (FirewallGroup("aks-nsg", "aks-nsg", "nsg-subnet", names, (), "", {"VirtualNetwork": known}, place),)
        )
    tunnel = 8472 if member.protocol == "vxlan" else 6081
    rules: list[FirewallRule] = []
    for number, other in enumerate(others):
        ends = _ends(other)
        wanted = (("udp", tunnel, tunnel), ("tcp", 4240, 4240), ("icmp", 8, -1), ("tcp", member.port, member.port))
        rules += (_allow(10 * number + n, *want, ends) for n, want in enumerate(wanted))
    cluster_group = FirewallGroup(
        f"sg-{member.number:08x}c",
        "eks-cluster-sg",
        "sg",
        names,
        (FirewallRule("sgr-self", "in", True, "*", peers=(f"sg-{member.number:08x}c",)), _OUT),
        "EKS",
    )
    worker = FirewallGroup(f"sg-{member.number:08x}a", "worker-sg", "sg", names, (*rules, _OUT))
    return Firewall((worker, cluster_group))


def eks(key: str, number: int, base: str = "192.168", **changes: Any) -> Member:
    """An EKS cluster in <base>.0.0/16."""
    member = Member(
        key,
        Provider.EKS,
        number,
        f"{base}.0.0/16",
        (f"{base}.1.0/24", f"{base}.2.0/24"),
        (f"{base}.1.10", f"{base}.1.11", f"{base}.2.12"),
        f"10.{119 + number}.0.0/16",
        "172.20.0.0/16",
    )
    return replace(member, **changes)


def aks(key: str, number: int, octet: int = 224, **changes: Any) -> Member:
    """An AKS cluster in 10.<octet>.0.0/16."""
    member = Member(
        key,
        Provider.AKS,
        number,
        f"10.{octet}.0.0/16",
        (f"10.{octet}.0.0/20",),
        (f"10.{octet}.0.4", f"10.{octet}.0.5", f"10.{octet}.0.6"),
        f"10.{119 + number}.0.0/16",
        "172.21.0.0/16",
    )
    return replace(member, **changes)


def kind(key: str, number: int, **changes: Any) -> Member:
    """A kind cluster on the shared Docker network, with the CLI's ipam and a node port."""
    member = Member(
        key,
        Provider.KIND,
        number,
        "172.18.0.0/16",
        ("172.18.0.0/16",),
        (f"172.18.0.{10 * number}", f"172.18.0.{10 * number + 1}"),
        f"10.{240 + number}.0.0/16",
        f"10.{95 + number}.0.0/16",
        ipam="kubernetes",
        exposure="NodePort",
        node_port=32378 + number,
    )
    return replace(member, **changes)


def native(key: str, number: int) -> Member:
    """An EKS cluster with ENI addresses in a VPC that others share."""
    member = eks(key, number, ipam="eni", routing="native", network_id="vpc-shared")
    ips = tuple(f"192.168.{number}.{10 + n}" for n in range(3))
    return replace(member, subnets=(f"192.168.{number}.0/24",), nodes=ips)
