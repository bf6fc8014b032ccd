"""Every fact there is: its name, the type of its value, its subject kind by convention, and its maximum age in
seconds.
"""

from typing import Any, Final

from mesh.facts import FactName
from mesh.model.cilium import (
    AgentHealth,
    AgentStatus,
    CiliumNode,
    CiliumSettings,
    MeshApiServer,
    MeshCertificates,
    PeerEntry,
)
from mesh.model.context import ContextRef, Rights, ServerVersion
from mesh.model.kubernetes import HelmRelease, Node, Owner, Pod, Service, Workload
from mesh.model.network import CloudIdentity, CloudNetwork, Firewall, LoadBalancer, VpnConnection
from mesh.model.site import CloudPaths

_SLOW: Final = 3600.0
_QUICK: Final = 900.0

CONTEXT: Final[FactName[ContextRef]] = FactName(
    "context", ContextRef, "which kubeconfig context the cluster is reached by"
)
VERSION: Final[FactName[ServerVersion]] = FactName("version", ServerVersion, "the API server's version", _SLOW)
CLUSTER_UID: Final[FactName[str]] = FactName(
    "cluster-uid", str, "uid of namespace kube-system: identity of the cluster", _SLOW
)
CLOCK_SKEW: Final[FactName[float]] = FactName(
    "clock-skew", float, "the cluster's clock minus this machine's, seconds", _SLOW
)
RIGHTS: Final[FactName[Rights]] = FactName("rights", Rights, "which needed Kubernetes rights are granted", _SLOW)
NODES: Final[FactName[tuple[Node, ...]]] = FactName("nodes", tuple[Node, ...], "nodes", _QUICK)
NAMESPACES: Final[FactName[dict[str, dict[str, str]]]] = FactName(
    "namespaces", dict[str, dict[str, str]], "namespaces and their annotations", _QUICK
)
PODS: Final[FactName[tuple[Pod, ...]]] = FactName("pods", tuple[Pod, ...], "metadata of all pods", _QUICK)
WORKLOADS: Final[FactName[tuple[Workload, ...]]] = FactName(
    "workloads", tuple[Workload, ...], "DaemonSets and Deployments of kube-system and of Cilium's namespace", _QUICK
)
SERVICES: Final[FactName[tuple[Service, ...]]] = FactName(
    "services", tuple[Service, ...], "Services and their own endpoints", _QUICK
)
SETTINGS: Final[FactName[CiliumSettings | None]] = FactName(
    "cilium.settings", CiliumSettings | None, "cilium-config; none = Cilium is not installed", _QUICK
)
CILIUM_VERSION: Final[FactName[str | None]] = FactName(
    "cilium.version", str | None, "version of the agents' image; none = Cilium is not installed", _QUICK
)
CILIUM_NODES: Final[FactName[tuple[CiliumNode, ...] | None]] = FactName(
    "cilium.nodes", tuple[CiliumNode, ...] | None, "CiliumNodes; none = the kind is not registered", _QUICK
)
AGENTS: Final[FactName[tuple[AgentStatus, ...]]] = FactName(
    "cilium.agents", tuple[AgentStatus, ...], "what each agent answers to cilium-dbg status", _QUICK
)
HEALTH: Final[FactName[tuple[AgentHealth, ...]]] = FactName(
    "cilium.health", tuple[AgentHealth, ...], "what cilium-health of each agent says", _QUICK
)
MESH_API: Final[FactName[MeshApiServer | None]] = FactName(
    "mesh.apiserver", MeshApiServer | None, "clustermesh-apiserver; none = Cluster Mesh is not enabled", _QUICK
)
PEERS: Final[FactName[tuple[PeerEntry, ...] | None]] = FactName(
    "mesh.peers", tuple[PeerEntry, ...] | None, "peers this cluster is configured for; none = no peer Secret", _QUICK
)
CERTIFICATES: Final[FactName[MeshCertificates]] = FactName(
    "mesh.certificates", MeshCertificates, "CA and leaf certificates", _SLOW
)
HELM: Final[FactName[HelmRelease | None]] = FactName(
    "helm.release", HelmRelease | None, "Cilium's Helm release", _QUICK
)
OWNER: Final[FactName[Owner]] = FactName("cilium.owner", Owner, "who owns the Cilium installation", _QUICK)
CLOUD: Final[FactName[CloudIdentity | None]] = FactName(
    "cloud.identity", CloudIdentity | None, "the managed cluster in its cloud; none = not in a cloud we read", _SLOW
)
CLOUD_NETWORK: Final[FactName[CloudNetwork | None]] = FactName(
    "cloud.network", CloudNetwork | None, "VPC or VNet; none = not in a cloud we read", _SLOW
)
CLOUD_PATHS: Final[FactName[CloudPaths | None]] = FactName(
    "cloud.paths", CloudPaths | None, "what lies between the nodes and the edge; none = not in a cloud we read", _QUICK
)
FIREWALL: Final[FactName[Firewall | None]] = FactName(
    "cloud.firewall", Firewall | None, "rules on the nodes; none = not in a cloud we read", _QUICK
)
VPN: Final[FactName[tuple[VpnConnection, ...] | None]] = FactName(
    "cloud.vpn", tuple[VpnConnection, ...] | None, "site-to-site connections; none = not in a cloud we read", _QUICK
)
LOAD_BALANCER: Final[FactName[LoadBalancer | None]] = FactName(
    "cloud.load-balancer", LoadBalancer | None, "load balancer of clustermesh-apiserver; none = there is none", _QUICK
)
CONNECTION_GOAL: Final[FactName[tuple[str, ...]]] = FactName(
    "goal.peers", tuple[str, ...], "cluster keys this cluster shall be joined with (planned facts only)"
)
NOW: Final[FactName[float]] = FactName("now", float, "time at which the facts are judged, epoch seconds")

FACTS: Final[dict[str, FactName[Any]]] = {
    fact.name: fact for fact in list(globals().values()) if isinstance(fact, FactName)
}
