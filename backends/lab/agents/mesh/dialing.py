"""One attempt to reach a peer's etcd, layer by layer: files, name, TCP, TLS of the server, TLS of the client, user."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backends.lab.agents.mesh import trust
from backends.lab.agents.mesh.entries import Entry
from backends.lab.agents.mesh.servers import MeshServer, MeshServers
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.storage.resources import SERVICES

if TYPE_CHECKING:
    from backends.lab.agents.datapath.routing import Datapath
    from backends.lab.agents.wire import Wire
    from backends.lab.controllers.simulation import Simulation

FILES: Final = "files"
NAME: Final = "name"
TCP: Final = "tcp"
SERVER: Final = "server"
CLIENT: Final = "client"
USER: Final = "user"


@dataclass(frozen=True)
class Caller:
    """Who dials: a container of a running pod."""

    cluster: str
    runtime: PodRuntime
    container: str

    def file(self, path: str) -> bytes | None:
        """A mounted file as it is now."""
        return self.runtime.read(self.container, path)


@dataclass(frozen=True)
class Attempt:
    """How far one endpoint was reached. ``layer`` is the first that failed ("" = none), ``text`` Go's words for it.

    ``presented`` is the server's certificate, once TCP stood.
    """

    endpoint: str
    host: str
    port: int
    addresses: tuple[str, ...] = ()
    address: str = ""
    layer: str = ""
    text: str = ""
    server: MeshServer | None = None
    presented: bytes = b""


class Dialer:
    """Connects callers to mesh API servers over the simulated network."""

    def __init__(
        self,
        simulation: "Simulation",
        servers: MeshServers,
        wire: "Wire",
        datapath: "Datapath",
        known_nodes: Callable[[str, str], frozenset[str]],
    ) -> None:
        self._simulation = simulation
        self._servers = servers
        self._wire = wire
        self._datapath = datapath
        self._known_nodes = known_nodes

    def dial(self, caller: Caller, entry: Entry, now: float) -> Attempt:
        """Try the entry's endpoints in order; the first that connects, else the last failure."""
        missing = self.missing_file(caller, entry)
        if missing or not entry.host_ports:
            text = missing or entry.problem or "etcdclient: no available endpoints"
            return Attempt(next(iter(entry.endpoints), ""), "", 0, layer=FILES, text=text)
        last: Attempt | None = None
        for endpoint, (host, port) in zip(entry.endpoints, entry.host_ports, strict=True):
            last = self.dial_endpoint(caller, entry, endpoint, host, port, now)
            if not last.layer:
                return last
        assert last is not None
        return last

    def missing_file(self, caller: Caller, entry: Entry) -> str:
        """The first certificate file of the entry that is not there, as Go says it, or ""."""
        for path in (entry.cert_file, entry.key_file, entry.trusted_ca_file):
            if path and caller.file(path) is None:
                return f"open {path}: no such file or directory"
        return ""

    def dial_endpoint(self, caller: Caller, entry: Entry, endpoint: str, host: str, port: int, now: float) -> Attempt:
        """Try one endpoint."""
        addresses, unresolved = self._resolve(caller, entry, host)
        if not addresses:
            return Attempt(endpoint, host, port, layer=NAME, text=unresolved)
        server, text, address = None, "", addresses[0]
        for address in addresses:
            server, text = self._connect(caller, address, port)
            if server is not None:
                break
        if server is None:
            return Attempt(endpoint, host, port, addresses, address, TCP, text)
        presented = server.certificate()
        refused = trust.refuse_server(presented, caller.file(entry.trusted_ca_file) or b"", host, now)
        if refused:
            text = f"tls: failed to verify certificate: {refused}"
            return Attempt(endpoint, host, port, addresses, address, SERVER, text, server, presented)
        own = caller.file(entry.cert_file) or b""
        complaint = trust.refuse_client(own, server.trusted(), now)
        if complaint is not None:
            text = f"remote error: {complaint.alert}"
            return Attempt(endpoint, host, port, addresses, address, CLIENT, text, server, presented)
        chain = trust.parse(own)
        if not server.admits(trust.common_name(chain[0]) if chain else ""):
            text = "etcdserver: permission denied"
            return Attempt(endpoint, host, port, addresses, address, USER, text, server, presented)
        return Attempt(endpoint, host, port, addresses, address, "", "", server, presented)

    def path_holds(self, caller: Caller, attempt: Attempt) -> bool:
        """Whether packets of an open connection still get through to the same etcd."""
        server = attempt.server
        if server is None or not self._servers.alive(server):
            return False
        if server.cluster == caller.cluster:
            return self._datapath.within(caller.cluster, caller.runtime.node, server.runtime.node)
        source = self._datapath.node_address(caller.cluster, caller.runtime.node)
        return self._wire.reaches(caller.cluster, source, attempt.address, "tcp", attempt.port)

    def _resolve(self, caller: Caller, entry: Entry, host: str) -> tuple[tuple[str, ...], str]:
        try:
            return (str(ipaddress.ip_address(host)),), ""
        except ValueError:
            pass
        aliases = dict(entry.aliases)
        for alias in caller.runtime.spec.get("hostAliases") or ():
            if host in (alias.get("hostnames") or ()):
                aliases.setdefault(host, ())
                aliases[host] = (*aliases[host], str(alias["ip"]))
        if aliases.get(host):
            return tuple(dict.fromkeys(aliases[host])), ""
        service = self._servers.local_service(caller.cluster, host)
        if service is not None:
            return (str(service["spec"].get("clusterIP", "")),), ""
        found = self._wire.resolve(host)
        if found:
            return found, ""
        store = self._simulation.clusters[caller.cluster].cluster.objects
        dns = store.stored(SERVICES, "kube-system", "kube-dns")
        server = dns["spec"].get("clusterIP", "127.0.0.53") if dns else "127.0.0.53"
        return (), f"lookup {host} on {server}:53: no such host"

    def _connect(self, caller: Caller, address: str, port: int) -> tuple[MeshServer | None, str]:
        """The etcd at an address as this caller's packets find it, or why TCP does not stand."""
        timeout = f"dial tcp {address}:{port}: i/o timeout"
        refused = f"dial tcp {address}:{port}: connect: connection refused"
        local = self._local(caller, address, port)
        if local is not None:
            cluster, service, service_port = local
            server = self._servers.behind(cluster, service, service_port)
            if server is None:
                return None, refused
            if not self._datapath.within(cluster, caller.runtime.node, server.runtime.node):
                return None, timeout
            return server, ""
        source = self._datapath.node_address(caller.cluster, caller.runtime.node)
        delivery = self._wire.send(caller.cluster, source, address, "tcp", port)
        if not delivery.delivered:
            return None, timeout
        found = self._servers.at(delivery.arrival) if delivery.arrival is not None else None
        server = self._servers.behind(*found) if found is not None else None
        return (server, "") if server is not None else (None, refused)

    def _local(self, caller: Caller, address: str, port: int) -> tuple[str, dict[str, object], int] | None:
        """A Service of the caller's own cluster that takes the packet before it leaves the node."""
        store = self._simulation.clusters[caller.cluster].cluster.objects
        for service in store.view(SERVICES):
            if service["spec"].get("clusterIP") == address:
                return caller.cluster, service, port
        host = self._simulation.clusters[caller.cluster].ground.host(caller.runtime.node)
        # With kube-proxy replacement a node port of any node the agent knows is translated at the source (§6, F17).
        if (
            host.replaces_kube_proxy
            and host.agent
            and address in self._known_nodes(caller.cluster, caller.runtime.node)
        ):
            own = self._servers.node_port_service(caller.cluster, port)
            if own is not None:
                numbers = [item["port"] for item in own["spec"]["ports"] if item.get("nodePort") == port]
                return caller.cluster, own, int(numbers[0])
        return None
