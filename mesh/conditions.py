"""Named predicates over facts: when a step is done, and what it still waits for.

Each yields True, False or None (cannot be told from what is known) with a progress text; unknown is never True.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mesh import catalogue as fact
from mesh.addresses import covers, is_private, overlap, ranges
from mesh.checks import ALL_CHECKS
from mesh.engine import evaluate
from mesh.explain import message
from mesh.facts import FactName, FactStore, Known, Unknown, V
from mesh.finding import State
from mesh.model.kubernetes import Pod, Workload
from mesh.model.network import FirewallRule
from mesh.plan import Condition
from mesh.subject import OfCluster

Told = tuple[bool | None, str]
Predicate = Callable[[FactStore, tuple[str, ...], Mapping[str, Any]], Told]
PARKED_LABEL: Final = "meshwright.io/parked"


class _Unread(Exception):
    """A fact that a predicate needs is not known."""


def holds(condition: Condition, store: FactStore) -> Told:
    """Evaluate a condition; an unread fact gives None and names it."""
    predicate, _ = CONDITIONS[condition.name]
    try:
        return predicate(store, condition.clusters, condition.args)
    except _Unread as unread:
        return None, f"{unread} not known"


def facts_of(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Names of the facts that these conditions read, to be gathered again while waiting."""
    return tuple(sorted({name.name for condition in conditions for name in CONDITIONS[condition.name][1]}))


def _need(store: FactStore, name: FactName[V], cluster: str) -> V:
    got = store.get(name, OfCluster(cluster))
    if not isinstance(got, Known):
        raise _Unread(f"{name.name} of {cluster}")
    value: V = got.value
    return value


def _all(results: Iterable[Told], done: str) -> Told:
    told = list(results)
    for wanted in (False, None):
        for state, text in told:
            if state is wanted:
                return state, text
    return True, done


def find(workloads: Iterable[Workload], kind: str, name: str) -> Workload | None:
    """A workload of kube-system or Cilium's namespace by kind and name."""
    return next((item for item in workloads if (item.kind, item.name) == (kind, name)), None)


def _parked(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        workloads = _need(store, fact.WORKLOADS, cluster)
        for name in args["names"]:
            item = find(workloads, "DaemonSet", name)
            left = max(item.desired, item.current) if item else 0
            results.append((left == 0, f"{name} of {cluster} still has {left} pods"))
    return _all(results, "no pod left")


def _ca_shared(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    """One CA everywhere, or every cluster trusts the CAs of all others by a bundle."""
    wanted, own, trusted = args.get("spki", ""), {}, {}
    for cluster in clusters:
        certificates = _need(store, fact.CERTIFICATES, cluster)
        if certificates.ca is None:
            return False, f"{cluster} has no cilium-ca"
        own[cluster] = certificates.ca.spki_sha256
        trusted[cluster] = {ca.spki_sha256 for ca in certificates.trusted} | {own[cluster]}
    if all(set(own.values()) <= known for known in trusted.values()):
        return True, "every CA is trusted everywhere"
    if wanted and wanted not in own.values():
        return False, "the CA to keep is gone"
    return False, "the CAs differ"


def _installed(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    (cluster,) = clusters
    settings, version = _need(store, fact.SETTINGS, cluster), _need(store, fact.CILIUM_VERSION, cluster)
    release = _need(store, fact.HELM, cluster)
    if settings is None or version is None:
        return False, "Cilium is not installed"
    if release is not None and release.status != "deployed":
        return False, f"release is {release.status}"
    if settings.cluster_name != args["name"] or settings.cluster_id != args["id"]:
        return False, f"cluster is {settings.cluster_name} #{settings.cluster_id}"
    return _agents_running(store, clusters, args)


def _agents_running(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        workloads, nodes = _need(store, fact.WORKLOADS, cluster), _need(store, fact.NODES, cluster)
        for kind, name in (("Deployment", "cilium-operator"), ("DaemonSet", "cilium")):
            item = find(workloads, kind, name)
            if item is None:
                results.append((False, f"{name} is not there"))
                continue
            current = item.observed_generation >= item.generation
            good = current and item.desired > 0 and item.ready >= item.desired and item.updated >= item.desired
            word = "agents" if name == "cilium" else "operators"
            results.append((good, f"{word} ready {item.ready if current else 0}/{item.desired}"))
        ready = sum(node.ready for node in nodes)
        results.append((ready == len(nodes), f"nodes ready {ready}/{len(nodes)}"))
    return _all(results, "agents ready")


def _mesh_enabled(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        server = _need(store, fact.MESH_API, cluster)
        ready = f"{server.ready}/{server.replicas}" if server else "0/1"
        results.append((bool(server and server.ready), f"mesh API of {cluster} ready {ready}"))
    return _all(results, "mesh API ready")


def unmanaged(pods: Iterable[Pod], pool: Iterable[str]) -> list[Pod]:
    """Running pods off the host network whose address is not in Cilium's ``pool``: they started before Cilium."""
    managed = ranges(tuple(pool))
    return [
        pod
        for pod in pods
        if pod.ip
        and not (pod.host_network or pod.deleting)
        and pod.phase in ("Running", "Pending")
        and not covers(managed, ranges((pod.ip,)))
    ]


def _pods_managed(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        settings = _need(store, fact.SETTINGS, cluster)
        if settings is None:
            return False, "Cilium is not installed"
        pool = set(settings.pod_cidrs)
        pool |= {cidr for node in _need(store, fact.CILIUM_NODES, cluster) or () for cidr in node.pod_cidrs}
        pods = _need(store, fact.PODS, cluster)
        left = unmanaged(pods, pool)
        results.append((not left, f"pods older than Cilium: {len(left)}"))
    return _all(results, "every pod has an address of Cilium's")


def _api_address(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        addresses = api_addresses(store, cluster)
        if addresses:
            results.append((True, f"{cluster} {', '.join(addresses)}"))
        else:
            results.append(_no_address(store, cluster))
    return _all(results, "; ".join(text for _, text in results))


def _no_address(store: FactStore, cluster: str) -> Told:
    """A host name is there and its addresses are its cloud's to tell, or the load balancer is not there yet."""
    server = store.value(fact.MESH_API, OfCluster(cluster))
    balancer = store.get(fact.LOAD_BALANCER, OfCluster(cluster))
    if server and server.ingress_hostnames and isinstance(balancer, Unknown):
        lift = f": {balancer.lift}" if balancer.lift else ""
        host = server.ingress_hostnames[0]
        return None, f"{cluster} has {host}, whose addresses its cloud does not tell ({balancer.reason}){lift}"
    return False, f"{cluster} has no address yet"


def api_addresses(store: FactStore, cluster: str) -> tuple[str, ...]:
    """Addresses peers reach the mesh API by: of the load balancer as the cloud or the Service tells, or of the nodes.

    Raises nothing the caller must handle but the unread marker of ``holds``.
    """
    server = _need(store, fact.MESH_API, cluster)
    if server is None:
        return ()
    if server.service_type == "NodePort":
        return tuple(
            node.internal_ips[0] for node in _need(store, fact.NODES, cluster) if node.internal_ips and node.ready
        )
    if server.ingress_ips:
        return server.ingress_ips
    balancer = store.value(fact.LOAD_BALANCER, OfCluster(cluster))
    return balancer.addresses if balancer else ()


def _lb_private(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        balancer = store.value(fact.LOAD_BALANCER, OfCluster(cluster))
        public = [address for address in api_addresses(store, cluster) if not is_private(address)]
        if public or (balancer and balancer.internal is False):
            what = public[0] if public else balancer.id if balancer else ""
            results.append((False, f"the mesh API of {cluster} is public: {what}"))
    return _all(results, "private")


def _peers_configured(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        known = {peer.name for peer in _need(store, fact.PEERS, cluster) or ()}
        missing = [name for name in args["peers"][cluster] if name not in known]
        results.append((not missing, f"{cluster} does not list {', '.join(missing)}"))
    return _all(results, "both ways")


def _agents_ready(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    results: list[Told] = []
    for cluster in clusters:
        agents = _need(store, fact.AGENTS, cluster)
        for peer in args["peers"][cluster]:
            ready = sum(any(r.name == peer and r.ready for r in agent.remotes) for agent in agents)
            results.append(
                (bool(agents) and ready == len(agents), f"{cluster} for {peer}: {ready}/{len(agents)} agents ready")
            )
    return _all(results, "all agents ready")


def _vpn_up(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    """Each site has a tunnel that is up, and one to every member whose network a connection names (``far``)."""
    results: list[Told] = []
    for cluster in clusters:
        connections = _need(store, fact.VPN, cluster)
        if connections is None:
            continue
        up = any(item.tunnels_up for item in connections)
        results.append((up, f"no tunnel of {cluster} is up" if connections else f"{cluster} has no VPN connection"))
        for peer, prefixes in args.get("far", {}).items():
            there = ranges(tuple(prefixes))
            ways = [item for item in connections if overlap(ranges(item.static_prefixes), there)]
            if peer != cluster and ways:
                results.append((any(item.tunnels_up for item in ways), f"no tunnel of {cluster} to {peer} is up"))
    return _all(results, "tunnels up")


def _rules_open(store: FactStore, clusters: tuple[str, ...], args: Mapping[str, Any]) -> Told:
    if not args["rules"]:
        return True, "open"
    (cluster,) = clusters
    firewall = _need(store, fact.FIREWALL, cluster)
    groups = {group.id: group for group in firewall.groups} if firewall else {}
    results: list[Told] = []
    for wanted in args["rules"]:
        group = groups.get(wanted[0])
        covered = group is not None and all(
            any(_covers(rule, wanted[:5], source) for rule in group.rules) for source in wanted[5:]
        )
        results.append((covered, f"{wanted[0]} has no rule for {wanted[3]}/{wanted[2]}"))
    return _all(results, "open")


def _covers(rule: FirewallRule, wanted: Sequence[Any], source: str) -> bool:
    """Whether the rule lets one source in; clouds keep one rule for each of several sources."""
    _, direction, protocol, low, high = wanted
    if not rule.allow or rule.direction != direction or rule.protocol not in (protocol, "*"):
        return False
    if protocol == "icmp":
        ports = rule.protocol == "*" or rule.from_port in (-1, low) or (rule.from_port, rule.to_port) == (0, 65535)
    else:
        ports = rule.protocol == "*" or (rule.from_port <= low and high <= rule.to_port)
    return ports and covers(ranges(tuple(rule.sources)), ranges((source,)))


def _kube_proxy_off(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    return _parked(store, clusters, {"names": ("kube-proxy",)})


def _path_not_closed(store: FactStore, clusters: tuple[str, ...], _: Mapping[str, Any]) -> Told:
    """No rule read closes the way to a mesh API; a way that cannot be judged is proven by connecting."""
    found = [finding for finding in evaluate(store, clusters, ALL_CHECKS) if finding.code == "CM0405"]
    for finding in found:
        if finding.state is State.FAIL:
            return False, message(finding)
        if finding.to_do:
            return False, "the mesh API is not there yet"
    return True, "no hop is closed"


def _never(_: FactStore, __: tuple[str, ...], ___: Mapping[str, Any]) -> Told:
    return None, "proven only by running it"


# A wait cannot cure these: the run stops at once.
HOPELESS: Final = frozenset({"lb-private"})

CONDITIONS: Final[dict[str, tuple[Predicate, tuple[FactName[Any], ...]]]] = {
    "parked": (_parked, (fact.WORKLOADS,)),
    "kube-proxy-off": (_kube_proxy_off, (fact.WORKLOADS,)),
    "rules-open": (_rules_open, (fact.FIREWALL,)),
    "ca-shared": (_ca_shared, (fact.CERTIFICATES,)),
    "installed": (_installed, (fact.SETTINGS, fact.CILIUM_VERSION, fact.HELM, fact.WORKLOADS, fact.NODES)),
    "agents-running": (_agents_running, (fact.WORKLOADS, fact.NODES)),
    "mesh-enabled": (_mesh_enabled, (fact.MESH_API,)),
    "pods-managed": (_pods_managed, (fact.SETTINGS, fact.CILIUM_NODES, fact.PODS)),
    "api-address": (_api_address, (fact.MESH_API, fact.NODES, fact.LOAD_BALANCER)),
    "path-not-closed": (_path_not_closed, (fact.MESH_API, fact.NODES, fact.LOAD_BALANCER, fact.FIREWALL)),
    "lb-private": (_lb_private, (fact.MESH_API, fact.NODES, fact.LOAD_BALANCER)),
    "peers-configured": (_peers_configured, (fact.PEERS,)),
    "agents-ready": (_agents_ready, (fact.AGENTS,)),
    "vpn-up": (_vpn_up, (fact.VPN,)),
    "proven": (_never, ()),
}
