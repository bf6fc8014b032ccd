"""What the two real clusters of the tests hold when they start: nodes and system workloads as EKS and AKS make them.

Shapes: recordings of a fresh EKS and a fresh AKS cluster (Kubernetes 1.34). Nodes carry one address more than a cloud
gives them, ``localhost`` as external name, by which the API server finds kwok.
"""

from collections.abc import Sequence
from typing import Any

from tests.real.control_plane import ControlPlane

Object = dict[str, Any]

EKS = "arn:aws:eks:ap-northeast-1:111122223333:cluster/mesh-eks"
AKS = "mesh-aks"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
NODE_GROUP = "MC_mesh-rg_mesh-aks_japaneast"


def eks_node(address: str, instance: str, region: str = "ap-northeast-1", zone: str = "a") -> Object:
    """A managed node group's node with this VPC address."""
    name = f"ip-{address.replace('.', '-')}.{region}.compute.internal"
    labels = {
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "eks.amazonaws.com/nodegroup": "mesh-ng",
        "node.kubernetes.io/instance-type": "m6i.large",
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": region + zone,
    }
    node = _node(name, f"aws:///{region}{zone}/{instance}", labels, address)
    node["status"]["addresses"].append({"type": "InternalDNS", "address": name})
    return node | {
        "status": node["status"] | {"nodeInfo": _info("v1.34.1-eks-113cf36", "Amazon Linux 2023.9.20251105")}
    }


def aks_node(address: str, index: int) -> Object:
    """A node of the system pool's scale set with this VNet address."""
    scale_set = "aks-nodepool1-34267712-vmss"
    labels = {
        "agentpool": "nodepool1",
        "kubernetes.azure.com/agentpool": "nodepool1",
        "kubernetes.azure.com/cluster": NODE_GROUP,
        "kubernetes.azure.com/mode": "system",
        "kubernetes.azure.com/os-sku": "Ubuntu",
        "node.kubernetes.io/instance-type": "Standard_D4s_v5",
        "topology.kubernetes.io/region": "japaneast",
        "topology.kubernetes.io/zone": "0",
    }
    provider = (
        f"azure:///subscriptions/{SUBSCRIPTION}/resourceGroups/{NODE_GROUP}/providers/Microsoft.Compute"
        f"/virtualMachineScaleSets/{scale_set}/virtualMachines/{index}"
    )
    node = _node(f"{scale_set}{index:06d}", provider, labels, address)
    return node | {"status": node["status"] | {"nodeInfo": _info("v1.34.1", "Ubuntu 22.04.5 LTS")}}


def _node(name: str, provider_id: str, labels: dict[str, str], address: str) -> Object:
    system = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    capacity = {"cpu": "4", "memory": "16373836Ki", "pods": "110"}
    addresses = [
        {"type": "InternalIP", "address": address},
        {"type": "Hostname", "address": name},
        {"type": "ExternalDNS", "address": "localhost"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": system | labels},
        "spec": {"providerID": provider_id},
        "status": {"addresses": addresses, "capacity": capacity, "allocatable": capacity},
    }


def _info(kubelet: str, image: str) -> Object:
    unique = {"machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": ""}
    platform = {"architecture": "amd64", "operatingSystem": "linux", "osImage": image, "kernelVersion": "6.12.53"}
    return unique | platform | {"kubeletVersion": kubelet, "containerRuntimeVersion": "containerd://2.1.4"}


def daemon_set(name: str, labels: dict[str, str], image: str, more: dict[str, str] | None = None) -> Object:
    """A DaemonSet of kube-system on the host network; ``labels`` select, ``more`` are on the object only."""
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(name, image) | {"hostNetwork": True}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": "kube-system", "labels": labels | (more or {})}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def deployment(
    name: str, image: str, replicas: int = 1, namespace: str = "default", labels: dict[str, str] | None = None
) -> Object:
    """A Deployment of pods with one container of the same name; ``labels`` select them, by default ``app``."""
    labels = labels or {"app": name}
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(name, image)}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def pod(name: str, image: str = "client:1", namespace: str = "default") -> Object:
    """A pod with one container of the same name."""
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec(name, image)}


def _pod_spec(name: str, image: str) -> Object:
    tolerations = [{"operator": "Exists"}]
    return {"containers": [{"name": name, "image": image}], "tolerations": tolerations}


def seed(plane: ControlPlane) -> None:
    """The first objects of a control plane by its context: ``EKS``, ``AKS``; nothing for others."""
    if plane.context == EKS:
        addresses = {"10.0.1.21": "i-0a4c123b1612dd272", "10.0.1.57": "i-0d1371c17149d4395"}
        nodes = [eks_node(address, instance) for address, instance in addresses.items()]
        registry = "602401143452.dkr.ecr.ap-northeast-1.amazonaws.com"
        daemons = [
            daemon_set("aws-node", {"k8s-app": "aws-node"}, f"{registry}/amazon-k8s-cni:v1.20.4-eksbuild.1"),
            daemon_set("kube-proxy", {"k8s-app": "kube-proxy"}, f"{registry}/eks/kube-proxy:v1.34.1-eksbuild.2"),
        ]
    elif plane.context == AKS:
        nodes = [aks_node(f"10.224.0.{4 + index}", index) for index in range(2)]
        managed = {"addonmanager.kubernetes.io/mode": "Reconcile", "kubernetes.azure.com/managedby": "aks"}
        image = "mcr.microsoft.com/oss/v2/kubernetes/kube-proxy:v1.34.1"
        daemons = [daemon_set("kube-proxy", {"component": "kube-proxy", "tier": "node"}, image, managed)]
    else:
        return
    _fill(plane, nodes, daemons)


def _fill(plane: ControlPlane, nodes: Sequence[Object], daemons: Sequence[Object]) -> None:
    plane.create("/api/v1/nodes", *nodes)
    plane.create("/apis/apps/v1/namespaces/kube-system/daemonsets", *daemons)
    dns = deployment("coredns", "coredns:v1.12.4", 2, "kube-system", {"k8s-app": "kube-dns"})
    plane.create("/apis/apps/v1/namespaces/kube-system/deployments", dns)


def settled(plane: ControlPlane) -> bool:
    """Whether the controllers did what they do with the first objects: accounts made, system pods running.

    Raises ``Exited`` if a program of the cluster has ended.
    """
    plane.check()
    account, _ = plane.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    _, pods = plane.request("GET", "/api/v1/namespaces/kube-system/pods")
    phases = [pod["status"].get("phase") for pod in pods["items"]]
    _, nodes = plane.request("GET", "/api/v1/nodes")
    daemons = 2 if plane.context == EKS else 1
    wanted = len(nodes["items"]) * daemons + 2 if nodes["items"] else 0
    return account == 200 and phases == ["Running"] * wanted
