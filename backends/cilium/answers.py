"""What agents answer, read with the omissions and texts of the real ones (cilium-clustermesh §3.6, §3.8, §11)."""

from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field

from mesh.model.cilium import AgentHealth, AgentStatus, HealthPeer, RemoteCluster
from mesh.text import one_line

_MAX_TEXT: Final = 500
T = TypeVar("T")


class BadAnswer(Exception):
    """The output is not what the command prints."""


class _Config(Struct):
    required: bool = False
    retrieved: bool = False
    cluster_id: int = field(name="cluster-id", default=0)


class _Remote(Struct):
    name: str = ""
    ready: bool = False
    connected: bool = False
    config: _Config | None = None
    status: str = ""
    nodes: int = field(name="num-nodes", default=0)
    endpoints: int = field(name="num-endpoints", default=0)
    services: int = field(name="num-shared-services", default=0)
    identities: int = field(name="num-identities", default=0)
    failures: int = field(name="num-failures", default=0)
    synced: dict[str, bool | None] | None = None


class _Mesh(Struct):
    clusters: list[_Remote] | None = None


class _Routing(Struct):
    mode: str = field(name="inter-host-routing-mode", default="")
    protocol: str = field(name="tunnel-protocol", default="")


class _Replacement(Struct):
    mode: str = ""


class _State(Struct):
    state: str = ""
    msg: str = ""


class _Status(Struct):
    cilium: _State | None = None
    mesh: _Mesh | None = field(name="cluster-mesh", default=None)
    routing: _Routing | None = None
    replacement: _Replacement | None = field(name="kube-proxy-replacement", default=None)


class _Probe(Struct):
    status: str | None = ""


class _Address(Struct):
    http: _Probe | None = None
    icmp: _Probe | None = None


class _Place(Struct):
    primary: _Address | None = field(name="primary-address", default=None)


class _Node(Struct):
    name: str = ""
    host: _Place | None = None
    endpoint: _Place | None = field(name="health-endpoint", default=None)
    old_endpoint: _Address | None = field(name="endpoint", default=None)


class _Health(Struct):
    nodes: list[_Node] | None = None


def agent_status(output: bytes, node: str, pod: str) -> AgentStatus:
    """``cilium-dbg status -o json``. An absent ``cluster-mesh`` is not an empty one. Raises ``BadAnswer``."""
    found = _read(output, _Status)
    if found.cilium is None and found.mesh is None:
        raise BadAnswer("the answer is not that of cilium-dbg status")
    health = found.cilium or _State()
    routing, replacement = found.routing or _Routing(), found.replacement or _Replacement()
    words = one_line(health.msg, _MAX_TEXT)
    return AgentStatus(
        node=node,
        pod=pod,
        version=_version(words),
        healthy=health.state == "Ok",
        message="" if health.state == "Ok" else (words or health.state),
        routing_mode=routing.mode.lower(),
        tunnel_protocol=routing.protocol.lower(),
        kube_proxy_replacement=replacement.mode.lower(),
        remotes=remotes(found.mesh.clusters if found.mesh else None),
        mesh_known=found.mesh is not None,
    )


def remotes(clusters: list[_Remote] | None) -> tuple[RemoteCluster, ...]:
    """Peers, sorted by name."""
    return tuple(sorted(_remote(item) for item in clusters or ()))


def agent_health(output: bytes, node: str) -> AgentHealth:
    """``cilium-health status -o json``: a round trip, minutes late. Raises ``BadAnswer``."""
    found = _read(output, _Health)
    if found.nodes is None:
        raise BadAnswer("the answer is not that of cilium-health status")
    return AgentHealth(node, tuple(sorted(_peer(item) for item in found.nodes)))


def _remote(item: _Remote) -> RemoteCluster:
    config = item.config or _Config()
    return RemoteCluster(
        name=item.name,
        ready=item.ready,
        connected=item.connected,
        config_required=config.required,
        config_retrieved=config.retrieved,
        cluster_id=config.cluster_id,
        status=one_line(item.status, _MAX_TEXT),
        nodes=item.nodes,
        endpoints=item.endpoints,
        services=item.services,
        identities=item.identities,
        failures=item.failures,
        # A null flag means that the peer does not support it.
        synced={name: done for name, done in (item.synced or {}).items() if done is not None},
    )


def _peer(item: _Node) -> HealthPeer:
    cluster, slash, node = item.name.partition("/")
    host = (item.host.primary if item.host else None) or _Address()
    endpoint = (item.endpoint.primary if item.endpoint else None) or item.old_endpoint or _Address()
    return HealthPeer(
        cluster=cluster if slash else "",
        node=node if slash else item.name,
        host_icmp=_probe(host.icmp),
        host_http=_probe(host.http),
        endpoint_icmp=_probe(endpoint.icmp),
        endpoint_http=_probe(endpoint.http),
    )


def _probe(probe: _Probe | None) -> str | None:
    return None if probe is None or probe.status is None else one_line(probe.status, _MAX_TEXT)


def _version(words: str) -> str:
    """The message of a healthy agent begins with its version, ``1.15.19 (v1.15.19-…)``, where the build has one."""
    first = words.partition(" ")[0].removeprefix("v")
    return first if first[:1].isdigit() else ""


def _read(output: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(output, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer("the answer is not the JSON that the command prints") from error
