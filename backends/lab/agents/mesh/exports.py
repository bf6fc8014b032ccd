"""What a cluster's clustermesh-apiserver writes into its etcd for others: nodes, endpoints, identities, services."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.controllers.cilium.kinds import GROUP
from backends.lab.controllers.endpoints import CONTROLLER, MANAGED_BY, SERVICE_NAME, SLICES
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import SERVICES

GLOBAL: Final = ("service.cilium.io/global", "io.cilium/global-service")
SHARED: Final = ("service.cilium.io/shared", "io.cilium/shared-service")
AFFINITY: Final = ("service.cilium.io/affinity", "io.cilium/service-affinity")


def annotation(obj: Object, names: tuple[str, ...]) -> str | None:
    """The first of these annotations that the object has."""
    have = reading.annotations(obj)
    return next((have[name] for name in names if name in have), None)


def is_global(service: Object) -> bool:
    """Whether the Service takes part in the mesh (§5.1)."""
    return (annotation(service, GLOBAL) or "").lower() == "true"


def is_shared(service: Object) -> bool:
    """Whether a global Service publishes its back-ends."""
    return is_global(service) and (annotation(service, SHARED) or "true").lower() != "false"


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A node as its cluster publishes it."""

    name: str
    address: str
    pod_cidrs: tuple[str, ...] = ()
    cilium_address: str = ""
    health_address: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """One address behind a service port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Exports:
    """A cluster's published state at one moment. ``services`` maps ns/name to back-ends by (port name, protocol)."""

    cluster: str = ""
    nodes: Mapping[str, RemoteNode] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Node address by pod address."""
    identities: int = 0
    services: Mapping[tuple[str, str], Mapping[tuple[str, str], tuple[Backend, ...]]] = field(default_factory=dict)


def local_backends(store: ObjectStore, namespace: str, name: str) -> dict[tuple[str, str], tuple[Backend, ...]]:
    """Ready back-ends of a Service by (port name, protocol), from the cluster's own EndpointSlices."""
    found: dict[tuple[str, str], list[Backend]] = {}
    for one in store.view(SLICES, namespace):
        labels = reading.labels(one)
        if labels.get(SERVICE_NAME) != name or labels.get(MANAGED_BY, CONTROLLER) != CONTROLLER:
            continue
        for port in one.get("ports") or ():
            key = (port.get("name") or "", port.get("protocol", "TCP"))
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found.setdefault(key, []).extend(Backend(a, int(port["port"])) for a in endpoint["addresses"])
    return {key: tuple(backends) for key, backends in found.items()}


def _nodes(items: Iterator[Object]) -> dict[str, RemoteNode]:
    nodes = {}
    for own in items:
        spec: Mapping[str, Any] = own["spec"]
        by_type = {entry["type"]: entry["ip"] for entry in spec.get("addresses") or ()}
        nodes[own["metadata"]["name"]] = RemoteNode(
            name=own["metadata"]["name"],
            address=by_type.get("InternalIP", ""),
            pod_cidrs=tuple((spec.get("ipam") or {}).get("podCIDRs") or ()),
            cilium_address=by_type.get("CiliumInternalIP", ""),
            health_address=(spec.get("health") or {}).get("ipv4", ""),
        )
    return nodes


def _objects(store: ObjectStore, plural: str) -> Iterator[Object]:
    resource = store.resources.get((GROUP, plural))
    return store.view(resource) if resource is not None else iter(())


class Publisher:
    """Reads a cluster's exports and keeps them until its objects change."""

    def __init__(self, store: ObjectStore, cluster: str) -> None:
        self._store = store
        self._cluster = cluster
        self._at = -1
        self._kept = Exports()

    def current(self) -> Exports:
        """What would be read from the cluster's etcd now."""
        if self._at != self._store.resource_version:
            self._at = self._store.resource_version
            fresh = self._read()
            # The same object as long as nothing differs: readers compare by identity.
            self._kept = self._kept if fresh == self._kept else fresh
        return self._kept

    def _read(self) -> Exports:
        store = self._store
        endpoints = {}
        for one in _objects(store, "ciliumendpoints"):
            networking = (one.get("status") or {}).get("networking") or {}
            for entry in networking.get("addressing") or ():
                endpoints[entry.get("ipv4", "")] = str(networking.get("node", ""))
        services = {}
        for service in store.view(SERVICES):
            if is_shared(service) and service["spec"].get("type") != "ExternalName":
                key = (service["metadata"]["namespace"], service["metadata"]["name"])
                services[key] = local_backends(store, *key)
        return Exports(
            cluster=self._cluster,
            nodes=_nodes(_objects(store, "ciliumnodes")),
            endpoints=endpoints,
            identities=sum(1 for _ in _objects(store, "ciliumidentities")),
            services=services,
        )
