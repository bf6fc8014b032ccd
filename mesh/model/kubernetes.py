"""What is read of Kubernetes objects: only the fields that checks, plans and pictures use."""

from enum import StrEnum

from msgspec import Struct

from mesh.model.context import ContextRef, Provider


class Node(Struct, frozen=True, order=True):
    """A node; ``provider_id`` as in ``spec.providerID``, addresses by type in ``status.addresses``."""

    name: str
    internal_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    provider_id: str = ""
    ready: bool = False
    ready_reason: str = ""
    pod_cidrs: tuple[str, ...] = ()
    kubelet_version: str = ""
    kernel_version: str = ""
    os: str = ""
    zone: str = ""
    region: str = ""
    pool: str = ""
    labels: dict[str, str] = {}
    taints: tuple[str, ...] = ()


def provider_of(ref: ContextRef, nodes: tuple[Node, ...]) -> Provider:
    """The nodes' provider ids decide; without nodes the context's names do (cloud-network §1.1)."""
    schemes = {node.provider_id.partition(":")[0] for node in nodes if node.provider_id}
    known = {"aws": Provider.EKS, "azure": Provider.AKS, "gce": Provider.GKE, "kind": Provider.KIND}
    if len(schemes) == 1:
        return known.get(schemes.pop(), Provider.OTHER)
    return ref.provider


class Pod(Struct, frozen=True, order=True, gc=False):
    """A pod's metadata and state; ``started_at`` epoch seconds of ``status.startTime`` (0 = not started)."""

    namespace: str
    name: str
    node: str = ""
    ip: str = ""
    host_network: bool = False
    phase: str = ""
    ready: bool = False
    started_at: float = 0.0
    restarts: int = 0
    owner_kind: str = ""
    owner_name: str = ""
    labels: dict[str, str] = {}
    waiting: str = ""
    deleting: bool = False


class Workload(Struct, frozen=True, order=True):
    """A DaemonSet or Deployment: desired and ready counts, and what of its template matters here."""

    kind: str
    namespace: str
    name: str
    desired: int = 0
    current: int = 0
    ready: int = 0
    updated: int = 0
    generation: int = 0
    observed_generation: int = 0
    images: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    node_selector: dict[str, str] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    env: dict[str, str] = {}
    host_aliases: dict[str, tuple[str, ...]] = {}
    field_managers: tuple[str, ...] = ()


class ServicePort(Struct, frozen=True, order=True):
    """A port of a Service."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0
    target_port: str = ""


class Service(Struct, frozen=True, order=True):
    """A Service with its own back-ends counted from native EndpointSlices (mesh-managed ones are left out).

    Raises ``ValueError`` for more ready back-ends than there are: a file of facts may say anything.
    """

    namespace: str
    name: str
    type: str = "ClusterIP"
    cluster_ip: str = ""
    ports: tuple[ServicePort, ...] = ()
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}
    ready_endpoints: int = 0
    total_endpoints: int = 0
    ingress_ips: tuple[str, ...] = ()
    ingress_hostnames: tuple[str, ...] = ()
    headless: bool = False
    external_traffic_policy: str = ""
    session_affinity: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.ready_endpoints <= self.total_endpoints:
            raise ValueError(f"{self.ready_endpoints} of {self.total_endpoints} endpoints cannot be ready")


class OwnerKind(StrEnum):
    """Who owns the Cilium installation; the value is the word shown."""

    HELM = "Helm"
    ARGO = "Argo CD"
    FLUX = "Flux"
    OPERATOR = "operator"
    MANAGED = "managed"
    UNOWNED = "none"


class Owner(Struct, frozen=True):
    """Who owns Cilium here, the owner's name (release, application) and the label or annotation that says so."""

    kind: OwnerKind
    name: str = ""
    evidence: str = ""


class HelmRelease(Struct, frozen=True):
    """The newest and the deployed revision of a release; ``values`` are user-supplied, key material removed."""

    name: str
    namespace: str
    revision: int
    status: str
    chart_version: str
    app_version: str = ""
    deployed_revision: int = 0
    values: dict[str, object] = {}
    updated: str = ""
