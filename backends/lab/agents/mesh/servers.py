"""The mesh API servers of all clusters: which one answers at an address, as whom, and whom it lets in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from backends.lab.agents.mesh.exports import local_backends
from backends.lab.controllers.kubelet.runtime import PodRuntime, Process
from backends.lab.network.packet import Arrival
from backends.lab.objects import Object
from backends.lab.storage.resources import SERVICES

if TYPE_CHECKING:
    from backends.lab.agents.wire import Wire
    from backends.lab.controllers.simulation import Simulation


def argument(process: Process, name: str) -> str:
    """Value of ``--name=value`` among a process's arguments, or ""."""
    prefix = f"--{name}="
    return next((word[len(prefix) :] for word in process.args if word.startswith(prefix)), "")


@dataclass(frozen=True)
class MeshServer:
    """One running clustermesh-apiserver pod with its etcd."""

    cluster: str
    """The lab cluster's name (its context)."""
    runtime: PodRuntime

    @property
    def uid(self) -> str:
        """Which etcd this is: its data live and die with the pod."""
        return self.runtime.uid

    @property
    def etcd_id(self) -> str:
        """The etcd cluster's id as hex."""
        digest = hashlib.sha256(self.runtime.uid.encode()).digest()
        return f"{int.from_bytes(digest[:8], 'big'):x}"

    @property
    def name(self) -> str:
        """The cluster name it announces, frozen when it started."""
        process = self.runtime.processes.get("apiserver")
        return process.environment.get("CLUSTER_NAME", "") if process else ""

    @property
    def number(self) -> int:
        """The cluster id it announces, frozen when it started."""
        process = self.runtime.processes.get("apiserver")
        text = process.environment.get("CLUSTER_ID", "") if process else ""
        return int(text) if text.isdigit() else 0

    @property
    def max_connected(self) -> int:
        """``max-connected-clusters`` it announces."""
        process = self.runtime.processes.get("apiserver")
        text = argument(process, "max-connected-clusters") if process else ""
        if not text and process:
            text = process.settings.get("max-connected-clusters", "")
        return int(text) if text.isdigit() else 255

    @property
    def caches(self) -> bool:
        """Whether KVStoreMesh runs beside it."""
        return "kvstoremesh" in self.runtime.processes

    def certificate(self) -> bytes:
        """The certificate it presents: read from its file at each handshake."""
        path = argument(self.runtime.processes["etcd"], "cert-file")
        return self.runtime.read("etcd", path) or b""

    def trusted(self) -> bytes:
        """The CAs it accepts clients of: read once, when it started."""
        path = argument(self.runtime.processes["etcd"], "trusted-ca-file")
        at = self.runtime.volume_at("etcd", path)
        return self.runtime.frozen.get(at[0], {}).get(at[1], b"") if at else b""

    def admits(self, user: str) -> bool:
        """Whether a client certificate's common name is an etcd user that may read."""
        if user in ("root", "remote", "externalworkload", f"admin-{self.name}", f"local-{self.name}"):
            return True
        process = self.runtime.processes.get("apiserver")
        path = argument(process, "cluster-users-config-path") if process else ""
        text = self.runtime.read("apiserver", path) if path else None
        if not text:
            return False
        try:
            body = yaml.safe_load(text)
        except yaml.YAMLError:
            return False
        users = body.get("users") if isinstance(body, dict) else None
        return any(isinstance(item, dict) and item.get("name") == user for item in users or ())


class MeshServers:
    """Finds mesh API servers by address."""

    def __init__(self, simulation: "Simulation", wire: "Wire") -> None:
        self._simulation = simulation
        self._wire = wire

    def running(self, cluster: str) -> list[MeshServer]:
        """The pods of a cluster that run an etcd for the mesh."""
        found = self._simulation.clusters[cluster].kubelets.runtimes.values()
        return [MeshServer(cluster, one) for one in found if "etcd" in one.processes]

    def alive(self, server: MeshServer) -> bool:
        """Whether this very etcd still runs."""
        return self._simulation.clusters[server.cluster].kubelets.runtimes.get(server.uid) is server.runtime

    def behind(self, cluster: str, service: Object, port: int) -> MeshServer | None:
        """A ready back-end of a Service's port, or None."""
        meta = service["metadata"]
        names = [item.get("name") or "" for item in service["spec"].get("ports") or () if item["port"] == port]
        backends = local_backends(self._simulation.clusters[cluster].cluster.objects, meta["namespace"], meta["name"])
        addresses = {one.address for name in names for one in backends.get((name, "TCP"), ())}
        ready = [one for one in self.running(cluster) if one.runtime.ip in addresses]
        return min(ready, key=lambda one: one.runtime.name, default=None)

    def local_service(self, cluster: str, host: str) -> Object | None:
        """The cluster's own Service of a name such as ``clustermesh-apiserver.kube-system.svc``."""
        parts = host.split(".")
        if len(parts) < 3 or parts[2] != "svc":
            return None
        return self._simulation.clusters[cluster].cluster.objects.stored(SERVICES, parts[1], parts[0])

    def answers(self, arrival: Arrival) -> bool:
        """Whether anything on the node takes a packet to this port: a node port with a back-end behind it."""
        found = self.at(arrival)
        if found is None:
            return False
        cluster, service, port = found
        meta = service["metadata"]
        host = self._simulation.clusters[cluster].ground.host(arrival.node)
        if not host.iptables and not (host.agent and host.replaces_kube_proxy):
            return False
        backends = local_backends(self._simulation.clusters[cluster].cluster.objects, meta["namespace"], meta["name"])
        names = [item.get("name") or "" for item in service["spec"].get("ports") or () if item["port"] == port]
        return any(backends.get((name, "TCP")) for name in names)

    def at(self, arrival: Arrival) -> tuple[str, Object, int] | None:
        """Cluster, Service and Service port of what a packet found on the machine it came to."""
        one = self._simulation.clusters.get(arrival.cluster)
        if one is None:
            return None
        for service in one.cluster.objects.view(SERVICES):
            for item in service["spec"].get("ports") or ():
                by_address = item["port"] == arrival.port and arrival.address in self.balancer_addresses(service)
                if by_address or item.get("nodePort") == arrival.port:
                    return arrival.cluster, service, int(item["port"])
        return None

    def balancer_addresses(self, service: Object) -> tuple[str, ...]:
        """Addresses of a Service's load balancer, host names resolved as its cloud does."""
        found: list[str] = []
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        for entry in ingress:
            if entry.get("ip"):
                found.append(str(entry["ip"]))
            elif entry.get("hostname"):
                found.extend(self._wire.resolve(str(entry["hostname"])))
        return tuple(found)

    def node_port_service(self, cluster: str, port: int) -> Object | None:
        """The cluster's Service that owns a node port."""
        for service in self._simulation.clusters[cluster].cluster.objects.view(SERVICES):
            if any(item.get("nodePort") == port for item in service["spec"].get("ports") or ()):
                return service
        return None


def settings_of(runtime: PodRuntime, container: str) -> Mapping[str, str]:
    """``cilium-config`` as the container started with it."""
    process = runtime.processes.get(container)
    return process.settings if process else {}
