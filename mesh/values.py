"""Helm values of the Cilium chart for a goal (cilium-clustermesh §4.2). Never key material."""

from collections.abc import Mapping, Sequence
from typing import Any

from mesh.goal import ClusterGoal, Exposure, Goal
from mesh.model.cilium import PeerEntry
from mesh.model.context import Provider
from mesh.model.network import internal_annotations
from mesh.releases import at_least

Values = dict[str, Any]
_PORTS = {"vxlan": 8472, "geneve": 6081}


def install_values(goal: Goal, member: ClusterGoal, provider: Provider, api_host: str, api_port: int) -> Values:
    """Values of a first install: identity, overlay, ranges, kube-proxy replacement, and the mesh API.

    ``api_host`` is the API server as the nodes reach it, without scheme, "" where that is not known (the plan is then
    blocked): without kube-proxy the ClusterIP of ``kubernetes`` does not work before Cilium runs (F79).
    """
    values: Values = {
        "cluster": {"name": member.name, "id": member.cluster_id},
        "routingMode": goal.routing_mode,
        "tunnelProtocol": goal.tunnel_protocol,
        "ipam": {
            "mode": "cluster-pool",
            "operator": {
                "clusterPoolIPv4PodCIDRList": list(member.pod_cidrs),
                "clusterPoolIPv4MaskSize": member.mask_size,
            },
        },
        "eni": {"enabled": False},
        "azure": {"enabled": False},
        "nodeinit": {"enabled": False},
        "kubeProxyReplacement": "true" if not at_least(member.version, "1.16.0") else True,
        "bpf": {"masquerade": True},
        "cni": {"exclusive": True},
        "operator": {"replicas": 2},
    }
    if api_host:
        values |= {"k8sServiceHost": api_host, "k8sServicePort": api_port}
    if provider is Provider.AKS:
        values["aksbyocni"] = {"enabled": True}
    if goal.mtu:
        values["MTU"] = goal.mtu
    if goal.tunnel_port != _PORTS.get(goal.tunnel_protocol):
        values["tunnelPort"] = goal.tunnel_port
    mesh = enable_values(goal, member, provider)["clustermesh"]
    mesh["maxConnectedClusters"] = goal.max_connected_clusters
    values["clustermesh"] = mesh
    return values


def enable_values(goal: Goal, member: ClusterGoal, provider: Provider) -> Values:
    """Values that enable the mesh API on a Cilium that is there (what ``cilium clustermesh enable`` writes, and
    private).
    """
    service: Values = {"type": "NodePort" if goal.exposure is Exposure.NODE_PORT else "LoadBalancer"}
    if goal.exposure is Exposure.NODE_PORT and member.node_port:
        service["nodePort"] = member.node_port
    if goal.exposure is Exposure.INTERNAL_LB:
        service["annotations"] = internal_annotations(provider)
    return {
        "clustermesh": {
            "useAPIServer": True,
            "config": {"enabled": True},
            "apiserver": {
                "service": service,
                "kvstoremesh": {"enabled": goal.kvstoremesh},
                "tls": {"auto": _renewal(goal)},
            },
        }
    }


def _renewal(goal: Goal) -> Values:
    if goal.certificates == "helm":
        return {"enabled": True, "method": "helm"}
    return {"enabled": True, "method": "cronJob", "schedule": "0 0 1 */4 *"}


def connect_values(version: str, peers: Sequence[PeerEntry], port: Mapping[str, int]) -> Values:
    """Values that list these peers, all of them: Helm merges maps but replaces lists (§2.3).

    Peers are reached by address under ``<name>.mesh.cilium.io``; from 1.20 on the chart's own tool writes a map.
    """
    entries = [{"name": peer.name, "ips": list(peer.ips), "port": port[peer.name]} for peer in sorted(peers)]
    clusters: Any = entries
    if at_least(version, "1.20.0"):
        clusters = {str(entry.pop("name")): entry for entry in entries}
    return {"clustermesh": {"config": {"enabled": True, "clusters": clusters}}}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values as dotted keys: lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, path))
        else:
            flat[path] = value
    return flat


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Lines of what ``after`` merged over ``before`` changes: ``+ key value`` or ``~ key old → new``."""
    old, lines = flatten(before), []
    for key, value in flatten(after).items():
        if key not in old:
            lines.append(f"+ {key} {_show(value)}")
        elif old[key] != value:
            lines.append(f"~ {key} {_show(old[key])} → {_show(value)}")
    return tuple(lines)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(_show(item) for item in value) if isinstance(value, list | tuple) else str(value)
