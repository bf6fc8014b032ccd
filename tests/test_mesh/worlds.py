"""Healthy meshes of several shapes as facts, and a way to change one thing in them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from mesh import catalogue as fact
from mesh.aim import overlay
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.goal import ClusterGoal, Goal
from mesh.model.cilium import (
    AgentStatus,
    CiliumNode,
    MeshApiServer,
    MeshCertificates,
    PeerEntry,
)
from mesh.model.context import ContextRef, Provider, Right, Rights, ServerVersion
from mesh.model.kubernetes import HelmRelease, Node, Owner, OwnerKind, Service, ServicePort
from mesh.model.network import (
    CloudIdentity,
    CloudNetwork,
    Firewall,
    FirewallGroup,
    FirewallRule,
    LoadBalancer,
    VpnConnection,
)
from mesh.subject import OfCluster
from mesh.view import judged_at
from tests.test_mesh.members import (
    NOW,
    SCHEMES,
    Member,
    aks,
    balancer_group,
    certificates_of,
    eks,
    firewall_of,
    kind,
    native,
    pods_of_node,
    remote_of,
    settings_of,
    workloads_of,
)

EXEC = Right("create", "pods/exec", namespace="kube-system")


@dataclass
class World:
    """Facts of a mesh under change; ``goal`` is what a join aims at (None = nothing is planned)."""

    members: tuple[Member, ...]
    connected: bool = True
    goal: Goal | None = None
    facts: dict[FactKey, Fact] = field(default_factory=dict)
    infos: frozenset[str] = frozenset()

    @property
    def clusters(self) -> tuple[str, ...]:
        """Keys of the members."""
        return tuple(member.key for member in self.members)

    def put(self, name: FactName[Any], cluster: str, value: Any, origin: Origin = Origin.LIVE) -> None:
        """Set a fact, just read."""
        self.facts[FactKey(name.name, OfCluster(cluster))] = Known(
            value, Source(origin, f"get {name.name}", cluster), NOW - 12
        )

    def get(self, name: FactName[Any], cluster: str) -> Any:
        """A fact's value."""
        got = self.facts[FactKey(name.name, OfCluster(cluster))]
        assert isinstance(got, Known)
        return got.value

    def change(self, name: FactName[Any], cluster: str, **fields: Any) -> None:
        """Change fields of a fact's value."""
        self.put(name, cluster, msgspec.structs.replace(self.get(name, cluster), **fields))

    def lose(self, name: FactName[Any], cluster: str, reason: Reason = Reason.NOT_COLLECTED, lift: str = "") -> None:
        """Make a fact unknown."""
        self.facts[FactKey(name.name, OfCluster(cluster))] = Unknown(reason, lift=lift)

    def store(self) -> FactStore:
        """The facts as read."""
        return judged_at(FactStore(self.facts), NOW)

    def judged(self) -> FactStore:
        """The facts overlaid with the goal."""
        return overlay(self.store(), self.goal, self.clusters)

    def rules(self, cluster: str, keep: Callable[[FirewallRule], bool], group: str = "") -> None:
        """Keep only some rules of the groups on the nodes (or of one of them)."""
        firewall: Firewall = self.get(fact.FIREWALL, cluster)
        self.put(fact.FIREWALL, cluster, msgspec.structs.replace(firewall, groups=_kept(firewall.groups, keep, group)))

    def balancer_rules(self, cluster: str, keep: Callable[[FirewallRule], bool]) -> None:
        """Keep only some rules of the load balancer's groups."""
        balancer: LoadBalancer = self.get(fact.LOAD_BALANCER, cluster)
        self.change(fact.LOAD_BALANCER, cluster, groups=_kept(balancer.groups, keep, ""))


def _kept(
    groups: tuple[FirewallGroup, ...], keep: Callable[[FirewallRule], bool], group: str
) -> tuple[FirewallGroup, ...]:
    return tuple(
        msgspec.structs.replace(item, rules=tuple(rule for rule in item.rules if keep(rule)))
        if group in ("", item.id)
        else item
        for item in groups
    )


def build(members: Iterable[Member], connected: bool = True, planned: bool = False, infos: Iterable[str] = ()) -> World:
    """A healthy world of these members."""
    world = World(tuple(members), connected, infos=frozenset(infos))
    for member in world.members:
        _kubernetes(world, member)
        _cilium(world, member)
        _mesh(world, member)
        _cloud(world, member)
    if planned:
        world.goal = goal_of(world.members)
    return world


def goal_of(members: Iterable[Member]) -> Goal:
    """A goal that joins these members as they are described."""
    goals = (ClusterGoal(m.key, m.cluster_name, m.number, (m.pods,), m.version) for m in members)
    return Goal(tuple(goals))


def _kubernetes(world: World, member: Member) -> None:
    key = member.key
    server = f"https://{key}.example:443"
    world.put(
        fact.CONTEXT,
        key,
        ContextRef(
            key, key, "/kube/config", server, key, "operator", "", member.provider, region="ap-1", account="4321"
        ),
    )
    world.put(fact.VERSION, key, ServerVersion(member.kubernetes, "1", "26"))
    world.put(fact.CLUSTER_UID, key, f"uid-{key}")
    world.put(fact.CLOCK_SKEW, key, 0.0)
    granted = (EXEC, Right("list", "nodes"), Right("list", "secrets", namespace="kube-system"))
    world.put(fact.RIGHTS, key, Rights("operator", granted, ()))
    world.put(
        fact.NODES,
        key,
        tuple(
            Node(
                f"{key}-node-{n}",
                (ip,),
                provider_id=f"{SCHEMES[member.provider]}:///{key}/{n}",
                ready=member.installed,
                os="linux",
                pod_cidrs=pods_of_node(member, n),
            )
            for n, ip in enumerate(member.nodes)
        ),
    )
    world.put(fact.NAMESPACES, key, {"default": {}, "kube-system": {}, "shop": {}})
    world.put(fact.WORKLOADS, key, workloads_of(member))
    first = member.services.rsplit(".", 1)[0]
    cart = {"service.cilium.io/global": "true", "service.cilium.io/affinity": "local"}
    world.put(
        fact.SERVICES,
        key,
        (
            Service("default", "kubernetes", cluster_ip=f"{first}.1", ports=(ServicePort(443, "https"),)),
            Service(
                "shop",
                "cart",
                cluster_ip=f"{first}.20",
                ports=(ServicePort(80, "http"),),
                annotations=cart,
                ready_endpoints=2,
                total_endpoints=2,
            ),
        ),
    )


def _cilium(world: World, member: Member) -> None:
    key = member.key
    world.put(fact.SETTINGS, key, settings_of(member) if member.installed else None)
    world.put(fact.CILIUM_VERSION, key, member.version if member.installed else None)
    names = [f"{key}-node-{n}" for n, _ in enumerate(member.nodes)]
    nodes = tuple(
        CiliumNode(name, (ip,), pod_cidrs=pods_of_node(member, n))
        for n, (name, ip) in enumerate(zip(names, member.nodes, strict=True))
    )
    world.put(fact.CILIUM_NODES, key, nodes if member.installed else None)
    peers = _peers(world, member)
    agents = tuple(
        AgentStatus(name, f"cilium-{n}", member.version, True, remotes=tuple(map(remote_of, peers)), mesh_known=True)
        for n, name in enumerate(names)
    )
    world.put(fact.AGENTS, key, agents if member.installed else (), Origin.EXEC)
    release = HelmRelease("cilium", "kube-system", 3, "deployed", member.version, deployed_revision=3)
    world.put(fact.HELM, key, release if member.installed and member.owner is OwnerKind.HELM else None)
    kind = member.owner if member.installed else OwnerKind.UNOWNED
    world.put(
        fact.OWNER, key, Owner(kind, "cilium" if member.installed else "", "release cilium" if member.installed else "")
    )


def _peers(world: World, member: Member) -> list[Member]:
    if not (world.connected and member.enabled and member.installed):
        return []
    return [other for other in world.members if other.key != member.key and other.enabled and other.installed]


def _mesh(world: World, member: Member) -> None:
    key = member.key
    enabled = member.installed and member.enabled
    server = MeshApiServer(
        replicas=1,
        ready=1,
        kvstoremesh=True,
        service_type=member.exposure,
        node_port=member.port,
        ingress_ips=(member.balancer,) if member.exposure == "LoadBalancer" else (),
    )
    world.put(fact.MESH_API, key, server if enabled else None)
    entries = tuple(
        PeerEntry(o.cluster_name, (f"https://{o.cluster_name}.mesh.cilium.io:2379",), (o.balancer,))
        for o in _peers(world, member)
    )
    world.put(fact.PEERS, key, (entries or None) if enabled else None)
    world.put(fact.CERTIFICATES, key, certificates_of(member) if member.installed else MeshCertificates())


def _cloud(world: World, member: Member) -> None:
    key = member.key
    if not member.cloudy:
        for name in (fact.CLOUD, fact.CLOUD_NETWORK, fact.FIREWALL, fact.VPN, fact.LOAD_BALANCER):
            world.put(name, key, None)
        return
    plugin = "none" if member.provider is Provider.AKS else ""
    identity = CloudIdentity(
        member.provider,
        "4321",
        "ap-1",
        key,
        f"rg-{key}",
        f"MC_{key}",
        network_plugin=plugin,
        endpoint=f"{key}.example",
        proven=True,
    )
    world.put(fact.CLOUD, key, identity, Origin.CLOUD)
    network_id = member.network_id or f"net-{key}"
    world.put(
        fact.CLOUD_NETWORK,
        key,
        CloudNetwork(network_id, (member.network,), member.subnets, (member.services,)),
        Origin.CLOUD,
    )
    world.put(fact.FIREWALL, key, firewall_of(member, _others(world, member)), Origin.CLOUD)
    world.put(fact.VPN, key, (VpnConnection("vpn-1", "available", 2, 2),), Origin.CLOUD)
    balancer = None
    if member.installed and member.enabled and member.exposure == "LoadBalancer":
        eks = member.provider is Provider.EKS
        balancer = LoadBalancer(
            f"net/{key}/1",
            True,
            (member.balancer,),
            (balancer_group(member, _others(world, member)),) if eks else (),
            member.port if eks else 2379,
        )
    world.put(fact.LOAD_BALANCER, key, balancer, Origin.CLOUD)


def _others(world: World, member: Member) -> list[Member]:
    return [other for other in world.members if other.key != member.key]


TOKYO, EAST, WEST, OSAKA = (
    eks("eks-tokyo", 1),
    aks("aks-east", 2),
    aks("aks-west", 3, 228),
    eks("eks-osaka", 4, "172.16"),
)
_A, _B = "a1" * 32, "b2" * 32

SHAPES: dict[str, Callable[[], World]] = {
    "connected": lambda: build((TOKYO, EAST)),
    "fresh": lambda: build(
        (replace(TOKYO, installed=False, parked=False), replace(EAST, installed=False)), planned=True
    ),
    "classic": lambda: build(
        (replace(TOKYO, installed=False, parked=False), replace(EAST, installed=False, parked=False)), planned=True
    ),
    "two-eks": lambda: build((TOKYO, OSAKA)),
    "two-aks": lambda: build((EAST, WEST), planned=True),
    "kind": lambda: build((kind("kind-a", 1), kind("kind-b", 2))),
    "three": lambda: build((TOKYO, EAST, WEST), planned=True),
    "node-ports": lambda: build(
        (replace(TOKYO, exposure="NodePort", node_port=32379), replace(EAST, exposure="NodePort", node_port=32380))
    ),
    "ca-bundle": lambda: build(
        (replace(TOKYO, authority=_A, trusted=(_A, _B)), replace(EAST, authority=_B, trusted=(_A, _B)))
    ),
    "native": lambda: build((native("eks-a", 1), native("eks-b", 2))),
    "geneve-dual": lambda: build(
        (replace(TOKYO, protocol="geneve", dual=True), replace(EAST, protocol="geneve", dual=True))
    ),
    "argo": lambda: build((replace(TOKYO, owner=OwnerKind.ARGO), EAST), infos=("CM0205",)),
    "enabled": lambda: build((TOKYO, EAST), connected=False, planned=True),
    "half": lambda: build((TOKYO, replace(EAST, installed=False)), connected=False, planned=True),
    "mixed": lambda: build((TOKYO, EAST, kind("kind-dr", 5))),
    "installed": lambda: build((replace(TOKYO, enabled=False), replace(EAST, enabled=False)), planned=True),
}
