"""Cilium's settings, agents, mesh API server and peers (cilium-clustermesh §2, §3)."""

from msgspec import Struct


class CiliumSettings(Struct, frozen=True):
    """``cilium-config`` read with the defaults of the running version.

    ``tunnel_port`` is the port in force (8472 VXLAN, 6081 Geneve when unset); ``mtu`` 0 means autodetected.
    ``raw`` holds every key as it is in the ConfigMap.
    """

    cluster_name: str = "default"
    cluster_id: int = 0
    max_connected_clusters: int = 255
    max_connected_explicit: bool = False
    routing_mode: str = "tunnel"
    tunnel_protocol: str = "vxlan"
    tunnel_port: int = 8472
    ipam: str = "cluster-pool"
    pod_cidrs: tuple[str, ...] = ()
    pod_cidr_mask: int = 24
    mtu: int = 0
    kube_proxy_replacement: bool = False
    ipv4: bool = True
    ipv6: bool = False
    native_routing_cidr: str = ""
    cni_chaining_mode: str = "none"
    encryption: str = ""
    identity_allocation: str = "crd"
    health_checking: bool = True
    policy_default_local_cluster: bool | None = None
    raw: dict[str, str] = {}


class CiliumNode(Struct, frozen=True, order=True):
    """A CiliumNode object of the cluster's own nodes."""

    name: str
    internal_ips: tuple[str, ...] = ()
    cilium_internal_ips: tuple[str, ...] = ()
    pod_cidrs: tuple[str, ...] = ()
    health_ip: str = ""


class RemoteCluster(Struct, frozen=True, order=True):
    """What one agent (or kvstoremesh) says about one peer; absent booleans are false (omitempty)."""

    name: str
    ready: bool = False
    connected: bool = False
    config_required: bool = False
    config_retrieved: bool = False
    cluster_id: int = 0
    status: str = ""
    nodes: int = 0
    endpoints: int = 0
    services: int = 0
    identities: int = 0
    failures: int = 0
    synced: dict[str, bool] = {}


class AgentStatus(Struct, frozen=True, order=True):
    """``cilium-dbg status -o json`` of one agent pod; ``error`` is set when that pod could not be asked."""

    node: str
    pod: str
    version: str = ""
    healthy: bool = False
    message: str = ""
    routing_mode: str = ""
    tunnel_protocol: str = ""
    kube_proxy_replacement: str = ""
    remotes: tuple[RemoteCluster, ...] = ()
    mesh_known: bool = False
    error: str = ""


class HealthPeer(Struct, frozen=True, order=True):
    """One node as ``cilium-health`` of one agent sees it: None = not yet probed, "" = reachable, text = error."""

    cluster: str
    node: str
    host_icmp: str | None = None
    host_http: str | None = None
    endpoint_icmp: str | None = None
    endpoint_http: str | None = None


class AgentHealth(Struct, frozen=True, order=True):
    """``cilium-health status -o json`` of one agent; a round trip, minutes late (cilium-clustermesh §11)."""

    node: str
    peers: tuple[HealthPeer, ...] = ()
    error: str = ""


class MeshApiServer(Struct, frozen=True):
    """Deployment and Service ``clustermesh-apiserver``; ``address_problem`` is set when none could be told."""

    replicas: int = 0
    ready: int = 0
    kvstoremesh: bool = False
    service_type: str = ""
    port: int = 2379
    node_port: int = 0
    annotations: dict[str, str] = {}
    ingress_ips: tuple[str, ...] = ()
    ingress_hostnames: tuple[str, ...] = ()
    cluster_ip: str = ""
    session_affinity: str = ""
    image: str = ""
    external_traffic_policy: str = ""


class PeerEntry(Struct, frozen=True, order=True):
    """One peer in Secret ``cilium-clustermesh`` (or ``cilium-kvstoremesh`` when that exists): where it is reached."""

    name: str
    endpoints: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    embedded_certificate: bool = False


class Certificate(Struct, frozen=True):
    """A certificate without its bytes; times in epoch seconds, key ids and fingerprints in hex."""

    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    subject_key_id: str = ""
    authority_key_id: str = ""
    spki_sha256: str = ""
    sans: tuple[str, ...] = ()
    key_usages: tuple[str, ...] = ()
    is_ca: bool = False


class LeafCertificate(Struct, frozen=True):
    """One leaf Secret: its certificate, the fingerprints of the CAs in its ``ca.crt``, and who really signed it.

    ``signed_by`` holds the SPKI fingerprints (of all CAs read in this cluster) whose key verifies the leaf's signature.
    """

    secret: str
    certificate: Certificate
    ca_spki: tuple[str, ...] = ()
    signed_by: tuple[str, ...] = ()


class MeshCertificates(Struct, frozen=True):
    """All mesh certificates of a cluster; ``problems`` names Secrets that exist but could not be parsed.

    ``trusted`` are the CAs in force for peers: the bundle ``cilium-root-ca.crt`` if it exists, else ``cilium-ca``.
    """

    ca: Certificate | None = None
    leaves: tuple[LeafCertificate, ...] = ()
    trusted: tuple[Certificate, ...] = ()
    has_bundle: bool = False
    problems: tuple[str, ...] = ()
    renewal_schedule: str = ""
    renewal_last_success: float = 0.0
    renewal_failed: bool = False
    method: str = ""
