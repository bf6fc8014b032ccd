"""Facts quoted as evidence: one line of at most 300 characters per value."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from mesh.text import one_line, plural

LIMIT: Final = 300
_NAMED: Final = 8


def excerpt(name: str, value: Any) -> str:
    """The value of the fact ``name`` in words, at most 300 characters."""
    if value is None:
        return "none"
    make = _QUOTES.get(name)
    text = make(value) if make else str(value)
    return one_line(text, LIMIT)


def listed(items: Iterable[str], limit: int = _NAMED) -> str:
    """``a, b, c and 4 more``; ``none`` when empty."""
    names = list(items)
    if not names:
        return "none"
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def _settings(value: Any) -> str:
    raw = f"cluster-name={value.cluster_name} cluster-id={value.cluster_id} routing-mode={value.routing_mode}"
    if value.routing_mode == "tunnel":
        raw += f" tunnel-protocol={value.tunnel_protocol} tunnel-port={value.tunnel_port}"
    return (
        f"{raw} ipam={value.ipam} pods={' '.join(value.pod_cidrs) or 'none'} "
        f"max-connected-clusters={value.max_connected_clusters} "
        f"ipv4={str(value.ipv4).lower()} ipv6={str(value.ipv6).lower()} "
        f"kube-proxy-replacement={str(value.kube_proxy_replacement).lower()}"
    )


def _nodes(value: Any) -> str:
    ready = sum(1 for node in value if node.ready)
    names = listed(f"{node.name} {' '.join(node.internal_ips)}" for node in value)
    return f"{plural(len(value), 'node')}, {ready} ready: {names}"


def _agents(value: Any) -> str:
    healthy = sum(1 for agent in value if agent.healthy)
    failed = [f"{agent.pod}: {agent.error}" for agent in value if agent.error]
    text = f"{healthy}/{len(value)} agents healthy"
    return f"{text}; could not ask {listed(failed, 3)}" if failed else text


def _workloads(value: Any) -> str:
    return listed((f"{w.kind} {w.namespace}/{w.name} {w.ready}/{w.desired} ready" for w in value), 6)


def _services(value: Any) -> str:
    shared = [f"{s.namespace}/{s.name}" for s in value if any("cilium" in key for key in s.annotations)]
    return f"{plural(len(value), 'Service')}, with mesh annotations: {listed(shared)}"


def _mesh_api(value: Any) -> str:
    where = listed((*value.ingress_ips, *value.ingress_hostnames), 4)
    text = f"clustermesh-apiserver {value.ready}/{value.replicas} ready, Service {value.service_type} port {value.port}"
    return f"{text} node port {value.node_port}, address {where}"


def _peers(value: Any) -> str:
    return listed(f"{peer.name} at {' '.join((*peer.endpoints, *peer.ips)) or 'no address'}" for peer in value)


def _certificates(value: Any) -> str:
    authority = f"CA {value.ca.subject} {value.ca.spki_sha256[:16]}" if value.ca else "no CA"
    leaves = listed((leaf.secret for leaf in value.leaves), 6)
    broken = f"; unreadable: {listed(value.problems, 4)}" if value.problems else ""
    return f"{authority}; trusted {len(value.trusted)}; leaves {leaves}{broken}"


def _rights(value: Any) -> str:
    text = f"{value.user or 'this user'}: {len(value.granted)} of {len(value.granted) + len(value.denied)} rights"
    return f"{text}; denied {listed(str(right) for right in value.denied)}" if value.denied else text


def _cloud(value: Any) -> str:
    return f"{value.provider.value} {value.name} in {value.region}, account {value.account}"


def _network(value: Any) -> str:
    return (
        f"{value.id}: {' '.join(value.prefixes)}; node subnets {' '.join(value.node_subnets) or 'none'}; "
        f"Services {' '.join(value.service_cidrs) or 'not told'}"
    )


def _firewall(value: Any) -> str:
    groups = listed(f"{group.id} ({plural(len(group.rules), 'rule')})" for group in value.groups)
    return f"groups {groups}; nodes without a group {listed(value.unguarded)}; unread {listed(value.unread)}"


def _paths(value: Any) -> str:
    missing = listed(str(part) for part in value.unread)
    return f"{value.network.rpartition('/')[2]}: what lies between its nodes and the edge; unread {missing}"


def _balancer(value: Any) -> str:
    reach = {True: "internal", False: "public", None: "scheme not told"}[value.internal]
    return f"{value.id}: {reach}, addresses {listed(value.addresses, 4)}, target port {value.target_port}"


def _release(value: Any) -> str:
    return f"{value.namespace}/{value.name} revision {value.revision} {value.status}, chart {value.chart_version}"


def _counted(one: str) -> Callable[[Any], str]:
    return lambda value: plural(len(value), one)


_QUOTES: Final[dict[str, Callable[[Any], str]]] = {
    "context": lambda v: f"{v.context} in {v.file}, server {v.server}",
    "version": lambda v: str(v.git_version),
    "rights": _rights,
    "nodes": _nodes,
    "namespaces": _counted("namespace"),
    "pods": _counted("pod"),
    "workloads": _workloads,
    "services": _services,
    "cilium.settings": _settings,
    "cilium.nodes": lambda v: f"{plural(len(v), 'CiliumNode')}: {listed(c for n in v for c in n.pod_cidrs)}",
    "cilium.agents": _agents,
    "cilium.health": _counted("agent"),
    "mesh.apiserver": _mesh_api,
    "mesh.peers": _peers,
    "mesh.certificates": _certificates,
    "helm.release": _release,
    "cilium.owner": lambda v: f"{v.kind.value} {v.name} ({v.evidence})",
    "cloud.identity": _cloud,
    "cloud.network": _network,
    "cloud.paths": _paths,
    "cloud.firewall": _firewall,
    "cloud.vpn": lambda v: listed(f"{c.id} {c.state}, tunnels {c.tunnels_up}/{c.tunnels}" for c in v),
    "cloud.load-balancer": _balancer,
    "goal.peers": lambda v: f"shall be joined with {listed(v)}",
}
