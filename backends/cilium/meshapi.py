"""Row *mesh API server, certs*: ``clustermesh-apiserver``, the configured peers, and the mesh's certificates."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final

from msgspec import Struct, field

from backends.cilium.peers import PeerSecret, read_peers
from backends.cilium.trust import (
    BUNDLE,
    CA_SECRET,
    LEAVES,
    RENEWAL,
    BundleObject,
    CertificateSecret,
    CronJobObject,
    JobObject,
    Renewal,
    read_certificates,
    renewal_of,
)
from backends.cilium.workloads import agents_of
from mesh import catalogue as fact
from mesh.facts import Fact, FactName, Known, Unknown
from mesh.model import kinds
from mesh.model.cilium import MeshApiServer
from mesh.model.context import Right
from mesh.model.kubernetes import Workload
from mesh.model.rights import SYSTEM
from mesh.reading import Collected, Cost, NotRead, Scope
from mesh.subject import OfCluster
from mesh.text import plural

NAME: Final = "clustermesh-apiserver"
# With KVStoreMesh the first one holds the real addresses; the second then names the local server (§2.2).
PEER_SECRETS: Final = ("cilium-kvstoremesh", "cilium-clustermesh")
_ETCD_PORT: Final = 2379


class _Port(Struct):
    port: int = 0
    name: str = ""
    node_port: int = field(name="nodePort", default=0)


class _Spec(Struct):
    type: str = ""
    cluster_ip: str = field(name="clusterIP", default="")
    ports: list[_Port] | None = None
    affinity: str = field(name="sessionAffinity", default="")
    policy: str = field(name="externalTrafficPolicy", default="")


class _Ingress(Struct):
    ip: str = ""
    hostname: str = ""


class _Balancer(Struct):
    ingress: list[_Ingress] | None = None


class _Status(Struct):
    balancer: _Balancer = field(name="loadBalancer", default_factory=_Balancer)


class _Metadata(Struct):
    annotations: dict[str, str] = {}


class _Service(Struct):
    metadata: _Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class MeshApi:
    """Deployment, Service, peer Secrets, certificates; each unknown for its own reason."""

    id = "mesh"
    label = "mesh API server, certs"
    provides: tuple[FactName[Any], ...] = (fact.MESH_API, fact.PEERS, fact.CERTIFICATES)
    needs: tuple[FactName[Any], ...] = (fact.VERSION, fact.WORKLOADS, fact.SETTINGS)
    rbac: tuple[Right, ...] = (
        kinds.SERVICES.right("get", SYSTEM),
        kinds.SECRETS.right("get", SYSTEM),
        kinds.CONFIG_MAPS.right("get", SYSTEM),
        kinds.JOBS.right("list", SYSTEM),
        kinds.CRON_JOBS.right("list", SYSTEM),
    )
    cost = Cost.NORMAL
    timeout_s = 60.0
    max_bytes = 32_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        workloads = scope.facts.get(fact.WORKLOADS, OfCluster(scope.ref.key))
        if isinstance(workloads, Unknown):
            raise NotRead(workloads.reason, workloads.detail, workloads.lift)
        items: Sequence[Workload] = workloads.value
        agents = agents_of(items)
        namespace = agents.namespace if agents else SYSTEM
        server, peers, certificates = await asyncio.gather(
            _lost_or(_server(scope, namespace, items)),
            _lost_or(_peers(scope, namespace, items)),
            _lost_or(_certificates(scope, namespace)),
        )
        text = _text(server, peers, certificates)
        return Collected({fact.MESH_API: server, fact.PEERS: peers, fact.CERTIFICATES: certificates}, text)


async def _lost_or(reading: Awaitable[Fact]) -> Fact:
    try:
        return await reading
    except NotRead as error:
        return error.unknown


def _deployment(workloads: Sequence[Workload]) -> Workload | None:
    return next((item for item in workloads if (item.kind, item.name) == ("Deployment", NAME)), None)


async def _server(scope: Scope, namespace: str, workloads: Sequence[Workload]) -> Fact:
    what = f"get deployment, service {NAME} in {namespace}"
    found = _deployment(workloads)
    service = await scope.reader.get(kinds.SERVICES, _Service, NAME, namespace)
    if found is None and service is None:
        return scope.known(None, what)
    images = dict(zip(found.containers, found.images, strict=False)) if found else {}
    spec = service.spec if service else _Spec()
    ingress = (service.status.balancer.ingress if service else None) or ()
    ports = spec.ports or [_Port()]
    port = next((one for one in ports if one.port == _ETCD_PORT or one.name == NAME), ports[0])
    server = MeshApiServer(
        replicas=found.desired if found else 0,
        ready=found.ready if found else 0,
        kvstoremesh="kvstoremesh" in images,
        service_type=spec.type,
        port=port.port or _ETCD_PORT,
        node_port=port.node_port,
        annotations={key: value for key, value in _annotations(service).items() if "last-applied" not in key},
        ingress_ips=tuple(one.ip for one in ingress if one.ip),
        ingress_hostnames=tuple(one.hostname for one in ingress if one.hostname),
        cluster_ip=spec.cluster_ip,
        session_affinity=spec.affinity,
        image=images.get("apiserver", ""),
        external_traffic_policy=spec.policy,
    )
    return scope.known(server, what)


def _annotations(service: _Service | None) -> dict[str, str]:
    return service.metadata.annotations if service else {}


async def _peers(scope: Scope, namespace: str, workloads: Sequence[Workload]) -> Fact:
    settings = scope.facts.get(fact.SETTINGS, OfCluster(scope.ref.key))
    if isinstance(settings, Unknown):
        return settings
    own = settings.value.cluster_name if settings.value else ""
    for name in PEER_SECRETS:
        secret = await scope.reader.get(kinds.SECRETS, PeerSecret, name, namespace)
        if secret is not None:
            aliases = _aliases(workloads, name)
            return scope.known(read_peers(secret.data or {}, own, aliases), f"get secret {name} in {namespace}")
    return scope.known(None, f"get secret {PEER_SECRETS[-1]} in {namespace}")


def _aliases(workloads: Sequence[Workload], secret: str) -> dict[str, tuple[str, ...]]:
    """hostAliases of the pods that use the Secret: the mesh API's with KVStoreMesh, else the agents' (§2.4)."""
    user = _deployment(workloads) if secret == PEER_SECRETS[0] else agents_of(workloads)
    return user.host_aliases if user else {}


async def _certificates(scope: Scope, namespace: str) -> Fact:
    reader, names = scope.reader, (CA_SECRET, *LEAVES)
    bundle, renewal, secrets = await asyncio.gather(
        reader.get(kinds.CONFIG_MAPS, BundleObject, BUNDLE, namespace),
        _renewal(scope, namespace),
        asyncio.gather(*(reader.get(kinds.SECRETS, CertificateSecret, name, namespace) for name in names)),
    )
    there = {name: secret for name, secret in zip(names, secrets, strict=True) if secret is not None}
    found = read_certificates(there, bundle, renewal)
    return scope.known(found, f"get secrets {CA_SECRET}, {NAME}-*-cert in {namespace}")


async def _renewal(scope: Scope, namespace: str) -> Renewal:
    """What renews the leaves; where it may not be read, nothing is said about it."""
    try:
        crons, jobs = await asyncio.gather(
            scope.reader.list(kinds.CRON_JOBS, CronJobObject, namespace=namespace),
            scope.reader.list(kinds.JOBS, JobObject, namespace=namespace),
        )
    except NotRead:
        return Renewal()
    return renewal_of(next((item for item in crons if item.metadata.name == RENEWAL), None), jobs)


def _text(server: Fact, peers: Fact, certificates: Fact) -> str:
    words = []
    if isinstance(server, Known):
        words.append(f"{server.value.ready}/{server.value.replicas} ready" if server.value else "not enabled")
    if isinstance(peers, Known) and peers.value is not None:
        words.append(plural(len(peers.value), "peer"))
    if isinstance(certificates, Known) and certificates.value.leaves:
        words.append(plural(len(certificates.value.leaves), "cert"))
    return " · ".join(words)
