"""Row *services, endpoints*: Services with their own back-ends, and the namespaces they live in."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct, field

from mesh import catalogue as fact
from mesh.facts import Fact, FactName
from mesh.model import kinds
from mesh.model.context import Right
from mesh.model.kubernetes import Service, ServicePort
from mesh.reading import Collected, Cost, NotRead, Scope

_SLICE_OF: Final = "kubernetes.io/service-name"
_SLICE_OWNER: Final = "endpointslice.kubernetes.io/managed-by"
_FROM_CLUSTER: Final = "multicluster.kubernetes.io/source-cluster"
_BY_MESH: Final = "endpointslice-mesh-controller.cilium.io"
_GLOBAL: Final = ("service.cilium.io/global", "io.cilium/global-service")
# Annotations that decide about the mesh or its load balancers; others may be long or hold anything.
_KEPT: Final = (
    "service.cilium.io/", "io.cilium/", "lbipam.cilium.io/", "service.beta.kubernetes.io/", "service.kubernetes.io/",
    "networking.gke.io/", "cloud.google.com/", "meta.helm.sh/", "multicluster.kubernetes.io/", "meshwright.io/",
)  # fmt: skip


class _Metadata(Struct):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Port(Struct):
    port: int = 0
    name: str = ""
    protocol: str = "TCP"
    node_port: int = field(name="nodePort", default=0)
    target: int | str = field(name="targetPort", default="")


class _Spec(Struct):
    type: str = "ClusterIP"
    cluster_ip: str = field(name="clusterIP", default="")
    ports: list[_Port] | None = None
    policy: str = field(name="externalTrafficPolicy", default="")
    affinity: str = field(name="sessionAffinity", default="")


class _Ingress(Struct):
    ip: str = ""
    hostname: str = ""


class _Balancer(Struct):
    ingress: list[_Ingress] | None = None


class _Status(Struct):
    balancer: _Balancer = field(name="loadBalancer", default_factory=_Balancer)


class ServiceObject(Struct):
    """The part of a Service that is read."""

    metadata: _Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class _Conditions(Struct):
    ready: bool | None = None


class _Target(Struct):
    kind: str = ""
    name: str = ""


class _Endpoint(Struct):
    addresses: list[str] = []
    conditions: _Conditions = field(default_factory=_Conditions)
    target: _Target | None = field(name="targetRef", default=None)


class SliceObject(Struct):
    """The part of an EndpointSlice that is read."""

    metadata: _Metadata
    endpoints: list[_Endpoint] | None = None
    family: str = field(name="addressType", default="IPv4")


class _Namespace(Struct):
    metadata: _Metadata


class Services:
    """Services, EndpointSlices and namespaces of the whole cluster."""

    id = "services"
    label = "services, endpoints"
    provides: tuple[FactName[Any], ...] = (fact.SERVICES, fact.NAMESPACES)
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = (
        kinds.SERVICES.right("list"),
        kinds.ENDPOINT_SLICES.right("list"),
        kinds.NAMESPACES.right("list"),
    )
    cost = Cost.NORMAL
    timeout_s = 60.0
    max_bytes = 512_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        facts: dict[FactName[Any], Fact] = {}
        try:
            namespaces = await scope.reader.list(kinds.NAMESPACES, _Namespace)
            spaces = {
                item.metadata.name: kept(item.metadata.annotations, "clustermesh.cilium.io/") for item in namespaces
            }
            facts[fact.NAMESPACES] = scope.known(spaces, "list namespaces")
        except NotRead as error:
            facts[fact.NAMESPACES] = error.unknown
        text = ""
        try:
            services = await self._services(scope)
            facts[fact.SERVICES] = scope.known(services, "list services, endpointslices")
            shared = sum(any(one.annotations.get(name, "").lower() == "true" for name in _GLOBAL) for one in services)
            text = f"{len(services):,}, {shared:,} global" if shared else f"{len(services):,}"
        except NotRead as error:
            facts[fact.SERVICES] = error.unknown
        return Collected(facts, text)

    async def _services(self, scope: Scope) -> tuple[Service, ...]:
        services = await scope.reader.list(
            kinds.SERVICES, ServiceObject, count=lambda done, total: scope.progress(done, total, f"{done:,}/{total:,}")
        )
        slices = await scope.reader.list(kinds.ENDPOINT_SLICES, SliceObject)
        backends = count_backends(slices)
        found = (
            service(item, *backends.get((item.metadata.namespace, item.metadata.name), (0, 0))) for item in services
        )
        return tuple(sorted(found, key=lambda one: (one.namespace, one.name)))


def kept(annotations: dict[str, str], *more: str) -> dict[str, str]:
    """Annotations that matter here."""
    return {key: value for key, value in annotations.items() if key.startswith((*_KEPT, *more))}


def count_backends(slices: Iterable[SliceObject]) -> dict[tuple[str, str], tuple[int, int]]:
    """(ready, all) back-ends by namespace and Service, from native slices of one address family, each pod once."""
    by_service: dict[tuple[str, str], dict[str, list[SliceObject]]] = {}
    for item in slices:
        labels = item.metadata.labels
        if labels.get(_SLICE_OWNER) == _BY_MESH or _FROM_CLUSTER in labels or _SLICE_OF not in labels:
            continue
        place = (item.metadata.namespace, labels[_SLICE_OF])
        by_service.setdefault(place, {}).setdefault(item.family, []).append(item)
    counts = {}
    for place, families in by_service.items():
        chosen = families.get("IPv4") or next(iter(families.values()))
        states: dict[tuple[str, str], bool] = {}
        for endpoint in (one for item in chosen for one in item.endpoints or ()):
            target = endpoint.target
            identity = (target.kind, target.name) if target else ("", ",".join(endpoint.addresses))
            # An absent condition means that the state is unknown and is to be taken as ready (EndpointSlice API).
            states[identity] = states.get(identity, False) or endpoint.conditions.ready is not False
        counts[place] = (sum(states.values()), len(states))
    return counts


def service(item: ServiceObject, ready: int = 0, total: int = 0) -> Service:
    """In our words."""
    metadata, spec = item.metadata, item.spec
    ingress = item.status.balancer.ingress or ()
    return Service(
        namespace=metadata.namespace,
        name=metadata.name,
        type=spec.type,
        cluster_ip=spec.cluster_ip,
        ports=tuple(
            ServicePort(one.port, one.name, one.protocol, one.node_port, str(one.target)) for one in spec.ports or ()
        ),
        annotations=kept(metadata.annotations),
        labels=metadata.labels,
        ready_endpoints=ready,
        total_endpoints=total,
        ingress_ips=tuple(one.ip for one in ingress if one.ip),
        ingress_hostnames=tuple(one.hostname for one in ingress if one.hostname),
        headless=spec.cluster_ip == "None",
        external_traffic_policy=spec.policy,
        session_affinity=spec.affinity,
    )
