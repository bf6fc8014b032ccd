"""A small world for tests of controllers and agents: plain nodes, one cable between them, no clouds."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backends.lab.agents.fleet import Fleet
from backends.lab.agents.hooks import attach
from backends.lab.charts import render
from backends.lab.cluster import LabCluster
from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.simulation import Simulation
from backends.lab.network.packet import Arrival, Delivery, Packet
from backends.lab.objects import Object
from backends.lab.storage.resources import NODES, PODS, SECRETS, SERVICES, Resource
from backends.lab.topology import system
from backends.lab.world import ExecResult, World

START = 1_763_900_000.0


@dataclass
class Cable:
    """Every node reaches every node and load balancer but for what is ``cut``: (from, to, protocol, port), * = any."""

    world: World
    cut: set[tuple[str, str, str, int]] = field(default_factory=set)
    revision: int = 0
    largest: int = 9001
    """Largest UDP packet that passes between clusters."""

    def block(self, source: str, destination: str, protocol: str, port: int) -> None:
        self.cut.add((source, destination, protocol, port))
        self.revision += 1

    def open(self) -> None:
        self.cut.clear()
        self.revision += 1

    deliver_to_service: Callable[[Arrival], bool] | None = None

    def touch(self) -> None:
        self.revision += 1

    def resolve(self, hostname: str) -> tuple[str, ...]:
        return ()

    def _passes(self, source: str, destination: str, protocol: str, port: int) -> bool:
        return not any(
            (a in ("*", source)) and (b in ("*", destination)) and c == protocol and d in (0, port)
            for a, b, c, d in self.cut
        )

    def deliver(self, packet: Packet) -> Delivery:
        arrival = self._arrival(packet)
        if arrival is None:
            return Delivery(False, "nowhere")
        for port in (packet.port, arrival.port):
            if not self._passes(packet.source_cluster, arrival.cluster, packet.protocol, port):
                return Delivery(False, "cut")
        if packet.size > self.largest and packet.source_cluster != arrival.cluster:
            return Delivery(False, "too large")
        both = packet.protocol != "udp"
        if both and not self._passes(arrival.cluster, packet.source_cluster, packet.protocol, -1):
            return Delivery(False, "cut on the way back", arrived=True)
        return Delivery(True, "node", arrived=True, arrival=arrival)

    def _arrival(self, packet: Packet) -> Arrival | None:
        for cluster in self.world.clusters.values():
            for node in cluster.objects.view(NODES):
                if reading.internal_ip(node) == packet.destination_ip:
                    name, address = node["metadata"]["name"], packet.destination_ip
                    return Arrival(cluster.name, name, address, packet.protocol, packet.port, packet.source_ip)
            for service in cluster.objects.view(SERVICES):
                ingress = (service["status"].get("loadBalancer") or {}).get("ingress") or ()
                if any(entry.get("ip") == packet.destination_ip for entry in ingress):
                    port = next((p["nodePort"] for p in service["spec"]["ports"] if p["port"] == packet.port), 0)
                    node = next(iter(cluster.objects.view(NODES)))
                    name, address = node["metadata"]["name"], reading.internal_ip(node)
                    return Arrival(cluster.name, name, address, "tcp", port, packet.source_ip, "lb")
        return None


@dataclass
class Balancers:
    """Gives every LoadBalancer Service the address of its cluster."""

    addresses: Mapping[str, str]
    world: World

    def advance(self, now: float) -> float:
        for name, address in self.addresses.items():
            store = self.world.clusters[name].objects
            for service in list(store.view(SERVICES)):
                if service["spec"].get("type") == "LoadBalancer" and not service["status"].get("loadBalancer"):
                    meta = service["metadata"]
                    status = {"loadBalancer": {"ingress": [{"ip": address}]}}
                    store.set_status(SERVICES, meta["namespace"], meta["name"], status)
        return NEVER


@dataclass
class Meadow:
    """A world with its simulation and fleet, driven by hand."""

    world: World
    cable: Cable
    simulation: Simulation
    fleet: Fleet

    def cluster(self, name: str) -> LabCluster:
        return self.world.clusters[name]

    def settle(self, seconds: float) -> None:
        self.simulation.settle(seconds)

    def pods(self, cluster: str, label: str, value: str) -> list[Object]:
        return self.cluster(cluster).objects.list(PODS, None, {label: value})

    async def exec(self, cluster: str, pod: Object, container: str, *argv: str) -> ExecResult:
        meta = pod["metadata"]
        call = self.world.exec(self.cluster(cluster), meta["namespace"], meta["name"], container, list(argv))
        return await call

    async def agent(self, cluster: str, *argv: str, number: int = 0) -> ExecResult:
        pods = self.pods(cluster, "k8s-app", "cilium")
        return await self.exec(cluster, pods[number], "cilium-agent", *argv)


def add_nodes(cluster: LabCluster, prefix: str, addresses: list[str]) -> None:
    for number, address in enumerate(addresses):
        body = {
            "metadata": {
                "name": f"{prefix}{number}",
                "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": f"{prefix}{number}"},
            },
            "spec": {},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        }
        cluster.objects.create(NODES, body)


def meadow(*, speed: float = 50.0, nodes: int = 2, names: tuple[str, ...] = ("east", "west")) -> Meadow:
    """Clusters with nodes and kube-proxy, without a CNI; ``names`` in order get networks 10.1.0.0/24, 10.2.0.0/24, …"""
    world = World(seed=7, speed=speed, start=START)
    world.clock.pause()
    balancers = {}
    for number, name in enumerate(names, start=1):
        cluster = world.add_cluster(
            name, "kind", node_subnets=(f"10.{number}.0.0/24",), service_cidr=f"172.{19 + number}.0.0/16"
        )
        add_nodes(cluster, f"{name}-", [f"10.{number}.0.{10 + n}" for n in range(nodes)])
        system.kube_proxy(cluster)
        system.coredns(cluster)
        balancers[name] = f"10.{number}.0.200"
    cable = Cable(world)
    world.network = cable
    simulation = Simulation(world)
    simulation.followers.append(Balancers(balancers, world))
    return Meadow(world, cable, simulation, attach(world, simulation))


def values(name: str, number: int, **more: Any) -> dict[str, Any]:
    """Chart values of one mesh member."""
    base: dict[str, Any] = {
        "cluster": {"name": name, "id": number},
        "ipam": {"operator": {"clusterPoolIPv4PodCIDRList": [f"10.{110 + number}.0.0/16"]}},
        "k8sServiceHost": "127.0.0.1",
        "k8sServicePort": 443,
        "kubeProxyReplacement": "true",
        "hubble": {"enabled": False},
        "clustermesh": {
            "useAPIServer": True,
            "config": {"enabled": True, "clusters": []},
            "apiserver": {
                "service": {"type": "LoadBalancer"},
                "tls": {"auto": {"method": "cronJob", "schedule": "0 0 1 */4 *"}},
                "kvstoremesh": {"enabled": False},
            },
        },
    }
    for path, value in more.items():
        place = base
        *parents, last = path.split("__")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return base


def install(one: Meadow, cluster: str, version: str, given: Mapping[str, Any]) -> None:
    """Put the chart's objects into a cluster, as helm does it (without keeping a release)."""
    target = one.cluster(cluster)
    store = target.objects

    def lookup(kind: str, namespace: str, name: str) -> Object | None:
        resource = _resource(target, kind)
        return store.get(resource, namespace or None, name) if resource else None

    now = datetime.fromtimestamp(one.world.clock.now(), UTC)
    for obj in render(version, given, lookup=lookup, now=now, kube_version=target.version, keys="ec"):
        resource = _resource(target, obj["kind"])
        assert resource is not None, obj["kind"]
        namespace, name = obj["metadata"].get("namespace"), obj["metadata"]["name"]
        if obj["kind"] == "Job" and store.get(resource, namespace, name) is not None:
            if "helm.sh/hook" not in (obj["metadata"].get("annotations") or {}):
                continue
            store.delete(resource, namespace, name)
        store.apply(resource, obj)


def _resource(cluster: LabCluster, kind: str) -> Resource | None:
    return next((one for one in cluster.objects.resources.values() if one.kind == kind), None)


def join(one: Meadow, version: str = "1.20.2", **more: Any) -> None:
    """Install Cilium in every cluster with one CA, wait for the certificates, and connect all with all."""
    names = list(one.world.clusters)
    for number, name in enumerate(names, start=1):
        install(one, name, version, values(name, number, **more))
        one.settle(90)
        if number == 1:
            for other in names[1:]:
                ca = one.cluster(names[0]).objects.need(SECRETS, "kube-system", "cilium-ca")
                copy = {
                    "metadata": {"name": "cilium-ca", "namespace": "kube-system"},
                    "data": ca["data"],
                    "type": "Opaque",
                }
                one.cluster(other).objects.apply(SECRETS, copy)
    for number, name in enumerate(names, start=1):
        peers = [
            {"name": other, "ips": [f"10.{place}.0.200"], "port": 2379}
            for place, other in enumerate(names, start=1)
            if other != name
        ]
        install(one, name, version, values(name, number, **{**more, "clustermesh__config__clusters": peers}))
    one.settle(240)


def pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(itertools.permutations(names, 2))
