"""Node objects in the shapes of the three providers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.cluster import LabCluster
from backends.lab.objects import Object, timestamp
from backends.lab.storage.resources import NODES

_NO_CNI: Final = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
    "returns error: cni plugin not initialized"
)
_COMMON_LABELS: Final = {
    "beta.kubernetes.io/arch": "amd64",
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "kubernetes.io/os": "linux",
}
_PRESSURES: Final = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs between kinds of machines: resources and software."""

    cpu: str
    memory: str
    storage: str
    pods: str
    kernel: str
    image: str
    runtime: str
    kubelet: str


def add_node(
    cluster: LabCluster,
    name: str,
    address: str,
    provider_id: str,
    labels: Mapping[str, str],
    machine: Machine,
    *,
    ready: bool,
    dns_name: str = "",
) -> Object:
    """Create a Node. Not ready means: no CNI plugin yet, with the taint that the node controller sets."""
    now = timestamp(cluster.world.clock.now())
    spec: dict[str, Any] = {"providerID": provider_id}
    if not ready:
        spec["taints"] = [{"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"}]
    resources = {
        "cpu": machine.cpu,
        "ephemeral-storage": machine.storage,
        "memory": machine.memory,
        "pods": machine.pods,
    }
    internal = [{"address": dns_name, "type": "InternalDNS"}] if dns_name else []
    own = {"kubernetes.io/hostname": name}
    return cluster.objects.create(
        NODES,
        {
            "metadata": {
                "name": name,
                "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
                "labels": dict(sorted({**_COMMON_LABELS, **own, **labels}.items())),
            },
            "spec": spec,
            "status": {
                "addresses": [
                    {"address": address, "type": "InternalIP"},
                    *internal,
                    {"address": name, "type": "Hostname"},
                ],
                "allocatable": dict(resources),
                "capacity": dict(resources),
                "conditions": _conditions(now, ready),
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                "nodeInfo": _info(cluster, machine),
            },
        },
    )


def _conditions(now: str, ready: bool) -> list[Object]:
    rows = [
        {"type": kind, "status": "False", "reason": reason, "message": message} for kind, reason, message in _PRESSURES
    ]
    rows.append(
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if ready else _NO_CNI,
        }
    )
    return [{**row, "lastHeartbeatTime": now, "lastTransitionTime": now} for row in rows]


def _info(cluster: LabCluster, machine: Machine) -> Object:
    return {
        "architecture": "amd64",
        "bootID": cluster.objects.new_uid(),
        "containerRuntimeVersion": machine.runtime,
        "kernelVersion": machine.kernel,
        "kubeProxyVersion": "",
        "kubeletVersion": machine.kubelet,
        "machineID": cluster.objects.new_uid().replace("-", ""),
        "operatingSystem": "linux",
        "osImage": machine.image,
        "systemUUID": cluster.objects.new_uid(),
    }
