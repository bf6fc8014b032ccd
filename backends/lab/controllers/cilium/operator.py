"""The Cilium operator and the agents' CiliumNodes: CRDs, pod CIDRs out of the cluster's pool, the leader's Lease."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.controllers.cilium.kinds import GROUP, KINDS, definition
from backends.lab.controllers.cilium.release import version_of
from backends.lab.controllers.kubelet.pods import Kubelets
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object, ObjectStore, Resource
from backends.lab.storage.resources import CRDS, NODES, PODS, RESOURCES

_LEASES: Final = RESOURCES["coordination.k8s.io", "leases"]
LOCK: Final = "cilium-operator-resource-lock"
CILIUM_NODES: Final = (GROUP, "ciliumnodes")


class Operator:
    """What the elected cilium-operator does, and the CiliumNode that each agent makes of itself."""

    watches = frozenset({PODS.key, NODES.key, CILIUM_NODES, CRDS.key})

    def __init__(self, store: ObjectStore, kubelets: Kubelets) -> None:
        self._store = store
        self._kubelets = kubelets

    def reconcile(self, now: float) -> float:
        """Register kinds, let agents make their nodes, and give each a range."""
        leader = self.leader()
        if leader is not None:
            self._register(leader)
            self._lease(leader, now)
        resource = self._store.resources.get(CILIUM_NODES)
        if resource is None:
            return NEVER
        agents = self._kubelets.serving("cilium-agent")
        for runtime in agents:
            self._announce(resource, runtime)
        if leader is not None:
            settings = leader.processes["cilium-operator"].settings
            self._sweep(resource)
            self._allocate(resource, settings)
        for runtime in agents:
            self._complete(resource, runtime)
        return NEVER

    def leader(self) -> PodRuntime | None:
        """The ready operator that started first."""
        return next((runtime for runtime in self._kubelets.serving("cilium-operator") if runtime.ready), None)

    def _register(self, leader: PodRuntime) -> None:
        process = leader.processes["cilium-operator"]
        if process.settings.get("skip-crd-creation") == "true":
            return
        _, minor, _ = version_of(process.image)
        for kind in KINDS:
            name = f"{kind.plural}.{GROUP}"
            if kind.since <= minor and self._store.stored(CRDS, None, name) is None:
                self._store.create(CRDS, definition(kind, f"1.{minor + 14}.0"))

    def _lease(self, leader: PodRuntime, now: float) -> None:
        old = self._store.stored(_LEASES, leader.namespace, LOCK)
        if old is not None and str(old["spec"].get("holderIdentity", "")).startswith(leader.node):
            return
        transitions = int((old or {}).get("spec", {}).get("leaseTransitions", -1)) + 1
        spec = {
            "acquireTime": reading.stamp(now).replace("Z", ".000000Z"),
            "holderIdentity": f"{leader.node}-{leader.uid[:10]}",
            "leaseDurationSeconds": 15,
            "leaseTransitions": transitions,
            "renewTime": reading.stamp(now).replace("Z", ".000000Z"),
        }
        self._store.apply(_LEASES, {"metadata": {"name": LOCK, "namespace": leader.namespace}, "spec": spec})

    def _announce(self, resource: Resource, runtime: PodRuntime) -> None:
        if self._store.stored(resource, None, runtime.node) is not None:
            return
        node = self._store.stored(NODES, None, runtime.node)
        if node is None:
            return
        settings = runtime.processes["cilium-agent"].settings
        info = node.get("status", {}).get("nodeInfo") or {}
        provider = str(node.get("spec", {}).get("providerID", ""))
        spec: Object = {
            "addresses": [{"ip": reading.internal_ip(node), "type": "InternalIP"}],
            "alibaba-cloud": {},
            "azure": {},
            "encryption": {},
            "eni": {},
            "health": {},
            "ingress": {},
            "ipam": {"pools": {}},
        }
        if info.get("bootID"):
            spec["bootid"] = info["bootID"]
        if provider.startswith("aws:"):
            spec["instance-id"] = provider.rpartition("/")[2]
        if settings.get("ipam") == "kubernetes" and node["spec"].get("podCIDR"):
            spec["ipam"]["podCIDRs"] = list(node["spec"].get("podCIDRs") or [node["spec"]["podCIDR"]])
        if settings.get("ipam") == "eni":
            spec["eni"] = {"vpc-id": "vpc"}
        body = {
            "metadata": {
                "name": runtime.node,
                "labels": reading.labels(node),
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": runtime.node, "uid": node["metadata"]["uid"]}
                ],
            },
            "spec": spec,
        }
        self._store.create(resource, body)

    def _sweep(self, resource: Resource) -> None:
        for own in list(self._store.view(resource)):
            if self._store.stored(NODES, None, own["metadata"]["name"]) is None:
                self._store.delete(resource, None, own["metadata"]["name"])

    def _allocate(self, resource: Resource, settings: Mapping[str, str]) -> None:
        if settings.get("ipam", "cluster-pool") != "cluster-pool":
            return
        taken = {
            ipaddress.IPv4Network(cidr)
            for own in self._store.view(resource)
            for cidr in own["spec"].get("ipam", {}).get("podCIDRs") or ()
        }
        for own in list(self._store.view(resource)):
            if own["spec"].get("ipam", {}).get("podCIDRs"):
                continue
            free = next((net for net in pool_ranges(settings) if not any(net.overlaps(other) for other in taken)), None)
            fresh = self._store.need(resource, None, own["metadata"]["name"])
            if free is None:
                error = {"operator": {"error": "allocator not configured for the requested cidrs: no CIDR available"}}
                status = {**(fresh.get("status") or {}), "ipam": error}
                if fresh.get("status") != status:
                    self._store.set_status(resource, None, own["metadata"]["name"], status)
                continue
            taken.add(free)
            fresh["spec"]["ipam"]["podCIDRs"] = [str(free)]
            self._store.update(resource, fresh)

    def _complete(self, resource: Resource, runtime: PodRuntime) -> None:
        """The agent adds its router and health addresses once it has a range."""
        own = self._store.stored(resource, None, runtime.node)
        if own is None or own["spec"].get("health", {}).get("ipv4"):
            return
        cidrs = own["spec"].get("ipam", {}).get("podCIDRs") or ()
        if not cidrs:
            return
        fresh = self._store.need(resource, None, runtime.node)
        router, health = own_addresses(cidrs[0], runtime.node)
        fresh["spec"]["addresses"] = [*fresh["spec"]["addresses"], {"ip": router, "type": "CiliumInternalIP"}]
        if runtime.processes["cilium-agent"].settings.get("enable-endpoint-health-checking", "true") != "false":
            fresh["spec"]["health"] = {"ipv4": health}
        self._store.update(resource, fresh)


def pool_ranges(settings: Mapping[str, str]) -> list[Any]:
    """Every node range of the pool in order, from ``cluster-pool-ipv4-cidr`` and ``…-mask-size``."""
    ranges: list[ipaddress.IPv4Network] = []
    mask = int(settings.get("cluster-pool-ipv4-mask-size") or 24)
    for text in settings.get("cluster-pool-ipv4-cidr", "10.0.0.0/8").replace(",", " ").split():
        pool = ipaddress.IPv4Network(text, strict=False)
        if mask < pool.prefixlen:
            continue
        for number, net in enumerate(pool.subnets(new_prefix=mask)):
            if number >= 4096:
                break
            ranges.append(net)
    return ranges


def own_addresses(cidr: str, node: str) -> tuple[str, str]:
    """Router (``cilium_host``) and health address of a node, out of its range; always the same two."""
    net = ipaddress.IPv4Network(cidr)
    room = max(2, net.num_addresses - 2)
    router = int(reading.share(f"router/{node}/{cidr}", 0, room))
    health = (router + 1 + int(reading.share(f"health/{node}/{cidr}", 0, room - 1))) % room
    return str(net[1 + router]), str(net[1 + health])
