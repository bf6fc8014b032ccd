"""L6: the mesh API of each cluster runs, has an address, and only a private one."""

from itertools import islice
from typing import Final

from mesh import catalogue as fact
from mesh.addresses import is_private
from mesh.facts import Known
from mesh.finding import Check, Command, Fix, Risk, Scope, Severity, State, Verdict
from mesh.model.cilium import MeshApiServer
from mesh.model.context import Provider
from mesh.model.network import internal_annotations
from mesh.subject import OfCluster, OfPair, Subject
from mesh.view import View, settings_of, without_cilium

_NAME: Final = "clustermesh-apiserver"
# The range of node ports that Kubernetes takes where it is told no other.
_FIRST, _LAST = 30000, 32767


def _cluster(subject: Subject) -> str:
    return subject.clusters()[0]


def _no_mesh(view: View, subject: Subject) -> str:
    """Absent where Cilium is, and where Cluster Mesh is neither enabled nor aimed at nor half-way connected."""
    cluster = _cluster(subject)
    reason = without_cilium(view, cluster)
    if reason or view.of(fact.MESH_API, cluster) is not None or view.goal(cluster):
        return reason
    return "" if view.of(fact.PEERS, cluster) else "Cluster Mesh is not enabled and no join is planned"


def _running(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    server = view.of(fact.MESH_API, cluster)
    if server is None:
        peers = view.of(fact.PEERS, cluster)
        if peers:
            names = tuple(peer.name for peer in peers)
            return Verdict(State.FAIL, {"peers": names}, "gone", fixes=(_enable(view, cluster),))
        return Verdict(State.INFO, {}, fixes=(_enable(view, cluster),), to_do=True)
    args: dict[str, object] = {"ready": server.ready, "replicas": server.replicas}
    look = view.kubectl(cluster, "-n", "kube-system", "get", "pods", "-l", f"k8s-app={_NAME}", "-o", "wide")
    fix = Fix(
        "look", "look at the pods: a missing certificate Secret keeps them in ContainerCreating", (look,), Risk.NONE
    )
    if not server.ready:
        return Verdict(State.FAIL, args, fixes=(fix,))
    if server.ready < server.replicas:
        return Verdict(State.WARN, args, fixes=(fix,))
    return Verdict(State.PASS, args)


def _enable(view: View, cluster: str) -> Fix:
    words = ("cilium", "clustermesh", "enable", "--context", view.context(cluster).context)
    return Fix("enable", f"enable Cluster Mesh in {cluster}", (Command(words, cluster),), in_plan=True)


def _no_server(view: View, subject: Subject) -> str:
    cluster = _cluster(subject)
    reason = without_cilium(view, cluster)
    if reason:
        return reason
    return "" if view.of(fact.MESH_API, cluster) is not None else f"Cluster Mesh is not enabled in {cluster}"


def _server(view: View, cluster: str) -> MeshApiServer:
    server = view.of(fact.MESH_API, cluster)
    if server is None:
        raise LookupError(f"Cluster Mesh is not enabled in {cluster}")
    return server


def _addressed(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    server = _server(view, cluster)
    look = view.kubectl(cluster, "-n", "kube-system", "describe", "service", _NAME)
    args: dict[str, object] = {"type": server.service_type}
    if server.service_type == "NodePort":
        if server.node_port:
            return Verdict(State.PASS, {"port": server.node_port}, "node-port")
        return Verdict(State.FAIL, args, fixes=(Fix("look", "look at the Service", (look,), Risk.NONE),))
    if server.service_type == "LoadBalancer":
        addresses = (*server.ingress_ips, *server.ingress_hostnames)
        if addresses:
            return Verdict(State.PASS, args | {"addresses": addresses})
        text = "look at the Service's events: the cloud's controller says there why it gives no address"
        return Verdict(State.FAIL, args, fixes=(Fix("look", text, (look,), Risk.NONE),))
    return Verdict(State.WARN, args, fixes=(_expose(view, cluster),))


def _expose(view: View, cluster: str) -> Fix:
    words = ("--set", "clustermesh.apiserver.service.type=LoadBalancer", *_annotations(view, cluster))
    text = "expose the mesh API by an internal load balancer"
    return Fix("expose", text, view.helm_upgrade(cluster, *words), Risk.LOW)


def _not_balanced(view: View, subject: Subject) -> str:
    reason = _no_server(view, subject)
    if reason:
        return reason
    kind = _server(view, _cluster(subject)).service_type
    return "" if kind == "LoadBalancer" else f"the Service is of type {kind}: there is no load balancer"


def _internal(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    server = _server(view, cluster)
    balancer = view.of(fact.LOAD_BALANCER, cluster)
    if balancer is None:
        # No cloud was asked: the addresses themselves must tell.
        public = tuple(address for address in server.ingress_ips if not is_private(address))
        if public:
            return Verdict(State.FAIL, {"addresses": public}, "address", fixes=(_make_private(view, cluster),))
        if not server.ingress_ips:
            return Verdict(
                State.UNKNOWN, {"hosts": server.ingress_hostnames}, "host", fixes=(_ask_cloud(view, cluster),)
            )
        return Verdict(State.PASS, {"addresses": server.ingress_ips}, "address")
    args: dict[str, object] = {"balancer": balancer.id, "addresses": balancer.addresses}
    public = tuple(address for address in balancer.addresses if not is_private(address))
    if balancer.internal is False or public:
        note = view.note(fact.LOAD_BALANCER, cluster, f"{balancer.id}: scheme as the cloud tells it is public", "FAIL")
        return Verdict(State.FAIL, args, notes=(note,), fixes=(_make_private(view, cluster),))
    if balancer.internal is None:
        return Verdict(State.UNKNOWN, {"balancer": balancer.id}, "untold", fixes=(_ask_cloud(view, cluster),))
    return Verdict(State.PASS, args)


def _ask_cloud(view: View, cluster: str) -> Fix:
    """The cloud's own word on the load balancers of the cluster's place."""
    cloud = view.cloud(cluster)
    words: tuple[str, ...] = ()
    if cloud and cloud.provider is Provider.EKS and cloud.region:
        words = ("aws", "elbv2", "describe-load-balancers", "--region", cloud.region)
    if cloud and cloud.provider is Provider.AKS and cloud.node_resource_group:
        words = ("az", "network", "lb", "list", "-g", cloud.node_resource_group, "--subscription", cloud.account)
    look = view.kubectl(cluster, "-n", "kube-system", "describe", "service", _NAME)
    commands = (look, Command(words, cluster)) if words else (look,)
    return Fix(
        "ask-cloud", "look at the Service, and ask its cloud for the load balancer's scheme", commands, Risk.NONE
    )


def _make_private(view: View, cluster: str) -> Fix:
    """A scheme cannot be changed, so the Service is made anew."""
    sets = _annotations(view, cluster)
    delete = view.kubectl(cluster, "-n", "kube-system", "delete", "service", _NAME)
    text = "delete the Service and make it again with the annotations of an internal load balancer; then connect again"
    upgrade = view.helm_upgrade(cluster, *sets) if sets else ()
    return Fix("internal-lb", text, (delete, *upgrade), Risk.DISRUPTIVE)


def _annotations(view: View, cluster: str) -> tuple[str, ...]:
    """Flags for the values that make the load balancer internal; none where it is not known whose it is."""
    cloud = view.cloud(cluster)
    values = internal_annotations(cloud.provider) if cloud else {}
    pairs = ((name.replace(".", "\\."), value) for name, value in values.items())
    key = "clustermesh.apiserver.service.annotations."
    return tuple(word for name, value in pairs for word in ("--set-string", f"{key}{name}={value}"))


def _no_node_ports(view: View, subject: Subject) -> str:
    assert isinstance(subject, OfPair)
    reason = without_cilium(view, *subject.clusters())
    if reason:
        return reason
    servers = view.every(fact.MESH_API, subject.clusters())
    absent = [cluster for cluster, server in servers.items() if server is None]
    if absent:
        return f"Cluster Mesh is not enabled in {', '.join(absent)}"
    by_port = [cluster for cluster, server in servers.items() if server and server.service_type == "NodePort"]
    return "" if by_port else "neither mesh API is reached by a node port"


def _ports_apart(view: View, subject: Subject) -> Verdict:
    assert isinstance(subject, OfPair)
    a, b = subject.clusters()
    left, right = _server(view, a), _server(view, b)
    args: dict[str, object] = {"left": a, "right": b}
    for cluster, server in ((a, left), (b, right)):
        if server.service_type == "NodePort" and not server.node_port:
            look = view.kubectl(cluster, "-n", "kube-system", "get", "service", _NAME)
            fix = Fix("look", "look at the Service: it is given a port when it is made", (look,), Risk.NONE)
            return Verdict(State.UNKNOWN, {"cluster": cluster}, "none", fixes=(fix,))
    if left.node_port != right.node_port:
        return Verdict(State.PASS, args | {"left_port": left.node_port, "right_port": right.node_port})
    for client, server in ((a, right), (b, left)):
        if server.service_type == "NodePort" and settings_of(view, client).kube_proxy_replacement:
            fix = _other_port(view, b, a, right.node_port)
            return Verdict(State.FAIL, args | {"port": left.node_port, "client": client}, fixes=(fix,))
    return Verdict(State.PASS, args | {"port": left.node_port}, "harmless")


def _other_port(view: View, cluster: str, peer: str, taken: int) -> Fix:
    """A port of its own for one of those that share theirs; peers keep the old one until they are connected again."""
    aside = view.aside()
    ports = {one: server.node_port for one in view.clusters if (server := _told(aside, one))}
    others = (*range(taken + 1, _LAST + 1), *range(taken - 1, _FIRST - 1, -1))
    free = (port for port in others if port not in ports.values())
    # The first of them keeps the port; the others count through the free ones, lest two remedies choose the same.
    sharing = sorted(one for one, port in ports.items() if port == taken)
    port = next(islice(free, sharing.index(cluster) - 1, None), 0)
    listing = tuple(dict.fromkeys((peer, *view.listed_by(cluster))))
    return Fix(
        "other-node-port",
        f"give {cluster} node port {port}, and connect {', '.join(listing)} to it again; then open {port}/tcp where "
        "CM0405 shows that rules lack it; agents need up to 2 min to notice (CM0701 until then)",
        (
            *view.helm_upgrade(cluster, "--set", f"clustermesh.apiserver.service.nodePort={port}"),
            *(view.connect(cluster, one) for one in listing),
        ),
        Risk.LOW,
    )


def _told(view: View, cluster: str) -> MeshApiServer | None:
    found = view.known(fact.MESH_API, OfCluster(cluster))
    return found.value if isinstance(found, Known) else None


CHECKS: Final = (
    Check(
        code="CM0601",
        title="The mesh API runs",
        layer=6,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.MESH_API.name, fact.PEERS.name, fact.CONNECTION_GOAL.name),
        gates=("CM0002",),
        causes=("CM0201",),
        applies=_no_mesh,
        body=_running,
        texts={
            "PASS": "clustermesh-apiserver: {ready}/{replicas} ready",
            "INFO": "Cluster Mesh is not enabled yet: the plan enables it",
            "WARN": "clustermesh-apiserver: {ready}/{replicas} ready",
            "FAIL": "clustermesh-apiserver: {ready}/{replicas} ready: peers hear nothing of this cluster",
            "FAIL.gone": "peers {peers} are configured, but there is no clustermesh-apiserver",
        },
        why="Other clusters read nodes, identities and Services of this one there, and nowhere else.",
        docs=("cilium/operations/troubleshooting_clustermesh",),
    ),
    Check(
        code="CM0602",
        title="The mesh API has an address",
        layer=6,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.MESH_API.name),
        gates=("CM0002",),
        applies=_no_server,
        body=_addressed,
        texts={
            "PASS": "the mesh API is reached at {addresses} ({type})",
            "PASS.node-port": "the mesh API is reached at node port {port}",
            "WARN": "the mesh API is a Service of type {type}: reachable only where ClusterIPs are routed",
            "FAIL": "the mesh API has no address: its Service of type {type} is still waiting for one",
        },
        why="Peers store the address when they are connected; without one there is nothing to store.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0603",
        title="The mesh API is not on the Internet",
        layer=6,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.MESH_API.name, fact.LOAD_BALANCER.name),
        gates=("CM0002", "CM0602"),
        applies=_not_balanced,
        body=_internal,
        texts={
            "PASS": "load balancer {balancer} is internal: {addresses}",
            "PASS.address": "the mesh API has private addresses only: {addresses}",
            "FAIL": "load balancer {balancer} of the mesh API is public: {addresses}",
            "FAIL.address": "the mesh API has a public address: {addresses}",
            "UNKNOWN.untold": "whether load balancer {balancer} is internal was not told",
            "UNKNOWN.host": "whether {hosts} is internal cannot be told without asking its cloud",
        },
        why="It is an etcd with the cluster's state; in public only its certificates stand before it.",
        docs=("cilium/network/clustermesh/setup", "aws/load-balancer-controller", "azure/internal-lb"),
    ),
    Check(
        code="CM0606",
        title="Mesh APIs behind node ports use different ports",
        layer=6,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.MESH_API.name),
        gates=("CM0002", "CM0003"),
        applies=_no_node_ports,
        body=_ports_apart,
        texts={
            "PASS": "node port {left_port} in {left}, {right_port} in {right}",
            "UNKNOWN.none": "the mesh API of {cluster} has no node port yet",
            "PASS.harmless": "{left} and {right} both use node port {port}, without kube-proxy replacement in the way",
            "FAIL": "{left} and {right} both use node port {port}: {client} answers its own agents itself",
        },
        why="With kube-proxy replacement node ports are served on the way out: agents reach their own mesh API.",
        docs=("cilium/network/kubernetes/kubeproxy-free", "cilium/network/clustermesh/setup"),
    ),
)
