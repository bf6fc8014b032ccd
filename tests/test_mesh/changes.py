"""Changes of a healthy world: what each does to the facts."""

from collections.abc import Callable

import msgspec

from mesh import catalogue as fact
from mesh.facts import Reason
from mesh.model.cilium import AgentStatus, MeshCertificates
from mesh.model.context import Right
from mesh.model.kubernetes import HelmRelease, Pod, Service, Workload
from mesh.model.network import FirewallRule
from mesh.subject import OfCluster, OfPair, OfService, pair
from tests.test_mesh.members import DAY, NOW, certificate
from tests.test_mesh.worlds import World

Change = Callable[[World], None]
T, A = "eks-tokyo", "aks-east"
EKS, AKS, BOTH = OfCluster(T), OfCluster(A), pair(T, A)
INTO_EKS, INTO_AKS = OfPair(A, T, directed=True), OfPair(T, A, directed=True)
CART = OfService("shop", "cart")


def lose(name: str, cluster: str = T, reason: Reason = Reason.NOT_COLLECTED) -> Change:
    """A fact is not known."""
    return lambda world: world.lose(fact.FACTS[name], cluster, reason)


def change(name: str, cluster: str, **fields: object) -> Change:
    """Fields of a fact's value are different."""
    return lambda world: world.change(fact.FACTS[name], cluster, **fields)


def put(name: str, cluster: str, value: object) -> Change:
    """A fact has another value."""
    return lambda world: world.put(fact.FACTS[name], cluster, value)


def both(*changes: Change) -> Change:
    """Several changes."""

    def apply(world: World) -> None:
        for one in changes:
            one(world)

    return apply


def silent(cluster: str = T) -> Change:
    """The API server does not answer: the gate of everything."""
    return lose("version", cluster, Reason.UNREACHABLE)


def without_rule(cluster: str, port: int) -> Change:
    """The rules for a port (or ICMP type) are gone."""
    return lambda world: world.rules(cluster, lambda rule: rule.from_port != port)


def without_balancer_rule(world: World) -> None:
    """The load balancer's group lets nobody in."""
    world.balancer_rules(T, lambda rule: rule.direction == "out")


def denied_by_nsg(world: World) -> None:
    """A custom rule of the NSG denies everything."""
    firewall = world.get(fact.FIREWALL, A)
    deny = FirewallRule("deny-all", "in", False, "*", priority=4096, name="deny-all")
    group = msgspec.structs.replace(firewall.groups[0], rules=(deny,))
    world.put(fact.FIREWALL, A, msgspec.structs.replace(firewall, groups=(group,)))


def unknown_to_gateway(world: World) -> None:
    """The VPN gateway does not know the peer's network, so the tag leaves it out."""
    firewall = world.get(fact.FIREWALL, A)
    group = msgspec.structs.replace(firewall.groups[0], tag_prefixes={"VirtualNetwork": ("10.224.0.0/16",)})
    world.put(fact.FIREWALL, A, msgspec.structs.replace(firewall, groups=(group,)))


def tag_not_computed(world: World) -> None:
    """The tag could not be computed."""
    firewall = world.get(fact.FIREWALL, A)
    group = msgspec.structs.replace(firewall.groups[0], tag_prefixes={"VirtualNetwork": None})
    world.put(fact.FIREWALL, A, msgspec.structs.replace(firewall, groups=(group,)))


def only_hosts(world: World) -> None:
    """Rules name today's nodes, not their subnets."""
    hosts = ("10.224.0.4/30",)
    firewall = world.get(fact.FIREWALL, T)
    worker = firewall.groups[0]
    rules = tuple(msgspec.structs.replace(rule, sources=hosts if rule.sources else ()) for rule in worker.rules)
    groups = (msgspec.structs.replace(worker, rules=rules), *firewall.groups[1:])
    world.put(fact.FIREWALL, T, msgspec.structs.replace(firewall, groups=groups))


def closed_outbound(world: World) -> None:
    """The security groups let nothing out."""
    world.rules(T, lambda rule: rule.direction == "in")


def node_address(cluster: str, address: str) -> Change:
    """The first node has another address."""

    def apply(world: World) -> None:
        first, *rest = world.get(fact.NODES, cluster)
        world.put(fact.NODES, cluster, (msgspec.structs.replace(first, internal_ips=(address,)), *rest))

    return apply


def workload(cluster: str, name: str, **fields: object) -> Change:
    """A workload's counts are different."""

    def apply(world: World) -> None:
        found = world.get(fact.WORKLOADS, cluster)
        items = tuple(msgspec.structs.replace(item, **fields) if item.name == name else item for item in found)
        world.put(fact.WORKLOADS, cluster, items)

    return apply


def agent_pod(age: float, restarts: int = 0) -> Change:
    """An agent of AKS that is not ready and was started some seconds ago."""
    pod = Pod("kube-system", "cilium-9", started_at=NOW - age, restarts=restarts, labels={"k8s-app": "cilium"})
    return lambda world: world.put(fact.PODS, A, (pod,))


def patched_kube_proxy(world: World) -> None:
    """AKS's kube-proxy is parked by patch while the addon manager watches it."""
    mode = {"addonmanager.kubernetes.io/mode": "Reconcile"}
    parked = Workload("DaemonSet", "kube-system", "kube-proxy", labels=mode)
    world.put(fact.WORKLOADS, A, (*world.get(fact.WORKLOADS, A), parked))


def pods(cluster: str, cidr: str) -> Change:
    """Another pool, and no node holds anything of the old one."""
    return both(change("cilium.settings", cluster, pod_cidrs=(cidr,)), put("cilium.nodes", cluster, ()))


def agents(count: int = 1, **fields: object) -> Change:
    """The first agents of EKS say something else about their peer."""

    def apply(world: World) -> None:
        found: tuple[AgentStatus, ...] = world.get(fact.AGENTS, T)
        changed = []
        for number, agent in enumerate(found):
            remotes = tuple(msgspec.structs.replace(remote, **fields) for remote in agent.remotes)
            changed.append(msgspec.structs.replace(agent, remotes=remotes) if number < count else agent)
        world.put(fact.AGENTS, T, tuple(changed))

    return apply


def agents_mute(count: int) -> Change:
    """The first agents of EKS cannot be asked."""

    def apply(world: World) -> None:
        found = world.get(fact.AGENTS, T)
        mute = tuple(
            msgspec.structs.replace(agent, error="webhook refused exec", remotes=()) if n < count else agent
            for n, agent in enumerate(found)
        )
        world.put(fact.AGENTS, T, mute)

    return apply


def leaf(name: str = "server", cluster: str = T, signed_by: tuple[str, ...] | None = None, **fields: object) -> Change:
    """A leaf certificate is different."""

    def apply(world: World) -> None:
        found: MeshCertificates = world.get(fact.CERTIFICATES, cluster)
        leaves = []
        for item in found.leaves:
            if name in item.secret:
                item = msgspec.structs.replace(item, certificate=msgspec.structs.replace(item.certificate, **fields))
                item = item if signed_by is None else msgspec.structs.replace(item, signed_by=signed_by)
            leaves.append(item)
        world.change(fact.CERTIFICATES, cluster, leaves=tuple(leaves))

    return apply


def other_ca(world: World) -> None:
    """AKS has a CA of its own that signed its leaves."""
    key = "c3" * 32
    own = certificate("CN=Cilium CA", key, NOW + 10 * 365 * DAY, ca=True)
    leaves = tuple(
        msgspec.structs.replace(item, signed_by=(key,), ca_spki=(key,))
        for item in world.get(fact.CERTIFICATES, A).leaves
    )
    world.change(fact.CERTIFICATES, A, ca=own, trusted=(own,), leaves=leaves)


def trusted_ends(world: World) -> None:
    """A CA in the bundle of EKS has ended."""
    own, other = world.get(fact.CERTIFICATES, T).trusted
    world.change(fact.CERTIFICATES, T, trusted=(own, msgspec.structs.replace(other, not_after=NOW - DAY)))


def services(cluster: str, *items: Service) -> Change:
    """The Services of a cluster."""
    return put("services", cluster, items)


def denied(*rights: Right) -> Change:
    """Rights of AKS's user that are denied."""
    return lambda world: world.change(
        fact.RIGHTS, A, denied=rights, granted=tuple(r for r in world.get(fact.RIGHTS, A).granted if r not in rights)
    )


def cart(**annotations: str) -> Service:
    """The Service that both sides have."""
    keyed = {f"service.cilium.io/{key}": value for key, value in annotations.items()}
    return Service("shop", "cart", cluster_ip="172.20.0.20", annotations=keyed)


def same_node_port(world: World) -> None:
    """Both mesh APIs at 32379."""
    world.change(fact.MESH_API, A, node_port=32379)


EXEC = Right("create", "pods/exec", namespace="kube-system")
SECRETS = Right("list", "secrets", namespace="kube-system")
PATCH = Right("patch", "daemonsets", "apps", "kube-system")
ABSENT = both(
    put("cilium.settings", A, None),
    put("cilium.version", A, None),
    put("cilium.nodes", A, None),
    put("mesh.apiserver", A, None),
)
EVERYWHERE_ABSENT = both(
    ABSENT, put("cilium.settings", T, None), put("cilium.version", T, None), put("mesh.apiserver", T, None)
)
PENDING = HelmRelease("cilium", "kube-system", 4, "pending-upgrade", "1.15.1", deployed_revision=3)
