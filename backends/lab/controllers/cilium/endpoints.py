"""CiliumEndpoints and CiliumIdentities: what agents and operator keep for each pod that Cilium connects."""

import ipaddress
from collections.abc import Mapping
from typing import Final

from backends.lab.controllers import reading
from backends.lab.controllers.cilium.kinds import GROUP
from backends.lab.controllers.kubelet.pods import Kubelets
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object, ObjectStore, Resource
from backends.lab.storage.resources import NAMESPACES, NODES, PODS

ENDPOINTS: Final = (GROUP, "ciliumendpoints")
IDENTITIES: Final = (GROUP, "ciliumidentities")
_FIRST: Final = 256


class Endpoints:
    """Writes CiliumEndpoints of running pods whose address is in their node's range, and the identities they use."""

    watches = frozenset({PODS.key, NODES.key, NAMESPACES.key, ENDPOINTS, (GROUP, "ciliumnodes")})

    def __init__(self, store: ObjectStore, kubelets: Kubelets) -> None:
        self._store = store
        self._kubelets = kubelets

    def reconcile(self, now: float) -> float:
        """Add, change and remove endpoints."""
        resource = self._store.resources.get(ENDPOINTS)
        nodes = self._store.resources.get((GROUP, "ciliumnodes"))
        if resource is None or nodes is None:
            return NEVER
        agents = {
            runtime.node: runtime.processes["cilium-agent"].settings
            for runtime in self._kubelets.runtimes.values()
            if "cilium-agent" in runtime.processes and runtime.ready
        }
        wanted: dict[tuple[str, str], Object] = {}
        for pod in self._store.view(PODS):
            settings = agents.get(reading.node_of(pod))
            if settings is None or reading.host_network(pod) or reading.finished(pod) or not reading.pod_ip(pod):
                continue
            if (pod.get("status") or {}).get("phase") != "Running" or not self._managed(nodes, pod):
                continue
            meta = pod["metadata"]
            wanted[meta["namespace"], meta["name"]] = self._endpoint(pod, settings)
        self._write(resource, wanted, set(agents))
        return NEVER

    def _managed(self, nodes: Resource, pod: Object) -> bool:
        own = self._store.stored(nodes, None, reading.node_of(pod))
        cidrs = (own or {}).get("spec", {}).get("ipam", {}).get("podCIDRs") or ()
        address = ipaddress.IPv4Address(reading.pod_ip(pod))
        return any(address in ipaddress.IPv4Network(cidr) for cidr in cidrs)

    def _write(self, resource: Resource, wanted: Mapping[tuple[str, str], Object], agents: set[str]) -> None:
        have = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in self._store.view(resource)}
        for key, body in wanted.items():
            old = have.get(key)
            if old is not None and old.get("status") == body["status"]:
                continue
            space = self._store.stored(NAMESPACES, None, key[0])
            if space is None or (old is None and reading.terminating(space)):
                continue
            if old is None:
                self._store.create(resource, body)
            else:
                self._store.set_status(resource, *key, body["status"])
        for key in [key for key in have if key not in wanted]:
            pod = self._store.stored(PODS, *key)
            # An agent that is away leaves the endpoints of its node as they are.
            if pod is None or reading.node_of(pod) in agents:
                self._store.delete(resource, *key)

    def _endpoint(self, pod: Object, settings: Mapping[str, str]) -> Object:
        meta = pod["metadata"]
        identity, labels = self._identity(pod, settings)
        node = self._store.stored(NODES, None, reading.node_of(pod))
        number = int(reading.share(f"endpoint/{meta['uid']}", 1, 4095))
        status: Object = {
            "encryption": {},
            "external-identifiers": {
                "cni-attachment-id": f"{meta['uid'].replace('-', '')}:eth0",
                "k8s-namespace": meta["namespace"],
                "k8s-pod-name": meta["name"],
                "pod-name": f"{meta['namespace']}/{meta['name']}",
            },
            "id": number,
            "identity": {"id": identity, "labels": labels},
            "networking": {
                "addressing": [{"ipv4": reading.pod_ip(pod)}],
                "node": reading.internal_ip(node) if node else "",
            },
            "state": "ready",
        }
        return {
            "metadata": {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "labels": reading.labels(pod),
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}],
            },
            "status": status,
        }

    def _identity(self, pod: Object, settings: Mapping[str, str]) -> tuple[int, list[str]]:
        """Number and labels of the pod's identity; numbers carry the cluster's id above 16 (or 15) bits."""
        labels = identity_labels(self._store, pod, settings.get("cluster-name", "default"))
        listed = [f"{key}={value}" for key, value in sorted(labels.items())]
        resource = self._store.resources.get(IDENTITIES)
        if resource is None:
            return 0, listed
        used = set()
        for one in self._store.view(resource):
            if one.get("security-labels") == labels:
                return int(one["metadata"]["name"]), listed
            used.add(int(one["metadata"]["name"]))
        bits = 15 if settings.get("max-connected-clusters") == "511" else 16
        base = int(settings.get("cluster-id") or 0) << bits
        start = int(reading.share(f"identity/{listed}", _FIRST, (1 << bits) - 1))
        number = next(base + n for n in range(start, start + 70000) if base + n not in used)
        plain = {key.removeprefix("k8s:"): value for key, value in labels.items()}
        self._store.create(resource, {"metadata": {"name": str(number), "labels": plain}, "security-labels": labels})
        return number, listed


def identity_labels(store: ObjectStore, pod: Object, cluster: str) -> dict[str, str]:
    """The security labels of a pod: its own, its namespace's, its account's and its cluster's."""
    namespace = pod["metadata"]["namespace"]
    found = {
        f"k8s:{key}": value
        for key, value in reading.labels(pod).items()
        if key not in ("pod-template-hash", "controller-revision-hash", "pod-template-generation")
        and not key.endswith(("controller-uid", "job-name"))
        and not key.startswith(("app.kubernetes.io/", "statefulset.kubernetes.io/"))
    }
    space = store.stored(NAMESPACES, None, namespace)
    for key, value in reading.labels(space or {"metadata": {}}).items():
        found[f"k8s:io.cilium.k8s.namespace.labels.{key}"] = value
    found["k8s:io.cilium.k8s.policy.cluster"] = cluster
    found["k8s:io.cilium.k8s.policy.serviceaccount"] = str(pod["spec"].get("serviceAccountName") or "default")
    found["k8s:io.kubernetes.pod.namespace"] = namespace
    return found
