"""EndpointSlices and Endpoints of Services with a selector."""

from collections.abc import Mapping
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import NODES, PODS, RESOURCES, SERVICES

SLICES: Final = RESOURCES["discovery.k8s.io", "endpointslices"]
ENDPOINTS: Final = RESOURCES["", "endpoints"]
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME: Final = "kubernetes.io/service-name"
CONTROLLER: Final = "endpointslice-controller.k8s.io"
LENGTH: Final = 100


def target_port(pod: Object, port: Mapping[str, Any]) -> int | None:
    """Number of a Service port's target in a pod; None where the pod has no port of that name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or str(target).isdigit():
        return int(target)
    for container in pod["spec"].get("containers") or ():
        for offered in container.get("ports") or ():
            if offered.get("name") == target and offered.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(offered["containerPort"])
    return None


class EndpointSlices:
    """The EndpointSlice and Endpoints controllers."""

    watches = frozenset({SERVICES.key, PODS.key, SLICES.key})

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def reconcile(self, now: float) -> float:
        """Write the slices of every Service that selects pods."""
        own: dict[tuple[str, str], list[Object]] = {}
        for one in self._store.view(SLICES):
            labels = reading.labels(one)
            if labels.get(MANAGED_BY) == CONTROLLER:
                own.setdefault((one["metadata"]["namespace"], labels.get(SERVICE_NAME, "")), []).append(one)
        for service in list(self._store.view(SERVICES)):
            meta, spec = service["metadata"], service["spec"]
            if not spec.get("selector") or spec.get("type") == "ExternalName" or reading.terminating(service):
                continue
            pods = [
                pod
                for pod in self._store.view(PODS, meta["namespace"])
                if spec["selector"].items() <= reading.labels(pod).items()
                and reading.pod_ip(pod)
                and not reading.finished(pod)
            ]
            self._write(service, pods, own.get((meta["namespace"], meta["name"]), []), now)
        return NEVER

    def _endpoint(self, pod: Object, service: Object) -> Object:
        going = reading.terminating(pod)
        serving = reading.is_true(pod, "Ready")
        publish = bool(service["spec"].get("publishNotReadyAddresses"))
        body: Object = {
            "addresses": [reading.pod_ip(pod)],
            "conditions": {"ready": (serving and not going) or publish, "serving": serving, "terminating": going},
            "nodeName": reading.node_of(pod),
            "targetRef": {
                "kind": "Pod",
                "name": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
                "uid": pod["metadata"]["uid"],
            },
        }
        node = self._store.stored(NODES, None, reading.node_of(pod))
        zone = reading.labels(node).get("topology.kubernetes.io/zone") if node else None
        return {**body, "zone": zone} if zone else body

    def _write(self, service: Object, pods: list[Object], have: list[Object], now: float) -> None:
        # Pods of one service may resolve a named port differently; each combination is a slice of its own.
        groups: dict[tuple[tuple[str, str, int], ...], list[Object]] = {}
        for pod in pods:
            resolved = []
            for port in service["spec"].get("ports") or ():
                number = target_port(pod, port)
                if number is not None:
                    resolved.append((port.get("name") or "", port.get("protocol", "TCP"), number))
            groups.setdefault(tuple(resolved), []).append(pod)
        if not groups:
            groups[()] = []
        left = list(have)
        for ports, members in sorted(groups.items()):
            endpoints = [self._endpoint(pod, service) for pod in members]
            listed = [{"name": name, "port": number, "protocol": protocol} for name, protocol, number in ports]
            for start in range(0, max(1, len(endpoints)), LENGTH):
                part = endpoints[start : start + LENGTH]
                match = next((one for one in left if (one.get("ports") or []) == listed), left[0] if left else None)
                if match is not None:
                    left.remove(match)
                self._put(service, match, part, listed, now)
        for one in left:
            self._store.delete(SLICES, one["metadata"]["namespace"], one["metadata"]["name"])
        self._legacy(service, groups, now)

    def _labels(self, service: Object) -> dict[str, str]:
        labels = {**reading.labels(service), MANAGED_BY: CONTROLLER, SERVICE_NAME: service["metadata"]["name"]}
        if service["spec"].get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        return labels

    def _put(
        self, service: Object, old: Object | None, endpoints: list[Object], ports: list[Object], now: float
    ) -> None:
        meta, labels = service["metadata"], self._labels(service)
        if old is None:
            body = {
                "metadata": {
                    "generateName": f"{meta['name']}-",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": reading.stamp(now)},
                    "ownerReferences": reading.owned_by("v1", "Service", service),
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            }
            self._store.create(SLICES, body)
            return
        same = old.get("endpoints") == endpoints and (old.get("ports") or []) == ports and reading.labels(old) == labels
        if same:
            return
        fresh = self._store.need(SLICES, meta["namespace"], old["metadata"]["name"])
        fresh["endpoints"], fresh["ports"] = endpoints, ports
        fresh["metadata"]["labels"] = labels
        stamps = {"endpoints.kubernetes.io/last-change-trigger-time": reading.stamp(now)}
        fresh["metadata"]["annotations"] = {**reading.annotations(fresh), **stamps}
        self._store.update(SLICES, fresh)

    def _legacy(
        self, service: Object, groups: Mapping[tuple[tuple[str, str, int], ...], list[Object]], now: float
    ) -> None:
        subsets = []
        for ports, members in sorted(groups.items()):
            subset: Object = {}
            for key, wanted in (("addresses", True), ("notReadyAddresses", False)):
                entries = [
                    {
                        "ip": reading.pod_ip(pod),
                        "nodeName": reading.node_of(pod),
                        "targetRef": self._endpoint(pod, service)["targetRef"],
                    }
                    for pod in members
                    if reading.ready(pod) is wanted and not (reading.terminating(pod) and not wanted)
                ]
                if entries:
                    subset[key] = entries
            if subset:
                subset["ports"] = [
                    {**({"name": name} if name else {}), "port": number, "protocol": protocol}
                    for name, protocol, number in ports
                ]
                subsets.append(subset)
        meta = service["metadata"]
        labels = {**reading.labels(service), MANAGED_BY: "endpoint-controller"}
        if service["spec"].get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        old = self._store.stored(ENDPOINTS, meta["namespace"], meta["name"])
        if old is not None and (old.get("subsets") or []) == subsets and reading.labels(old) == labels:
            return
        body: Object = {"metadata": {"name": meta["name"], "namespace": meta["namespace"], "labels": labels}}
        if subsets:
            body["subsets"] = subsets
        self._store.apply(ENDPOINTS, body)


class EndpointCleaner:
    """Removes Endpoints whose Service is gone (they have no owner reference)."""

    watches = frozenset({SERVICES.key})

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def reconcile(self, now: float) -> float:
        """Delete what the Endpoints controller made for Services that no longer exist."""
        for one in list(self._store.view(ENDPOINTS)):
            meta = one["metadata"]
            made = reading.labels(one).get(MANAGED_BY) == "endpoint-controller"
            if made and self._store.stored(SERVICES, meta["namespace"], meta["name"]) is None:
                self._store.delete(ENDPOINTS, meta["namespace"], meta["name"])
        return NEVER
