"""A kind cluster on a site of its own: machines on one network, a gateway, no cloud."""

import hashlib
import ipaddress
from typing import Final

from backends.lab.storage.resources import DAEMONSETS, NODES, RESOURCES
from backends.lab.topology import system
from backends.lab.topology.nodes import Machine, add_node
from backends.lab.topology.versions import kind_version
from backends.lab.world import LabCluster, World

_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"


def kind(
    world: World,
    name: str,
    *,
    version: str = "1.34",
    network: str = "172.18.0.0/16",
    nodes: int = 3,
    service_cidr: str = "10.96.0.0/16",
    pod_cidr: str = "10.244.0.0/16",
    kindnet: bool = True,
    kube_proxy: bool = True,
) -> LabCluster:
    """A fresh kind cluster: one control plane node and ``nodes - 1`` workers on ``network``.

    ``facts`` of the cluster: ``site`` (its name in ``world.network.sites``) and ``gateway_address`` (public).
    """
    cluster = world.add_cluster(
        name,
        "kind",
        cloud_name=name,
        version=kind_version(version),
        service_cidr=service_cidr,
        node_subnets=(network,),
        site=name,
        gateway_address=_gateway_address(name),
    )
    machines = ipaddress.IPv4Network(network)
    pods = ipaddress.IPv4Network(pod_cidr).subnets(new_prefix=24)
    addresses = {}
    for number in range(nodes):
        node_name = _node_name(name, number)
        address = str(machines[2 + number])
        addresses[node_name] = address
        labels = {_CONTROL_PLANE: ""} if number == 0 else {}
        node = add_node(
            cluster, node_name, address, f"kind://docker/{name}/{node_name}", labels, _machine(cluster), ready=kindnet
        )
        cidr = str(next(pods))
        node["spec"].update(podCIDR=cidr, podCIDRs=[cidr])
        cluster.objects.update(NODES, node)
    world.network.add_site(name, (network,), cluster.facts["gateway_address"])
    system.api_endpoints(cluster, [str(machines[2])], port=6443)
    if kindnet:
        _kindnet(cluster)
    if kube_proxy:
        system.kube_proxy(cluster)
    system.coredns(cluster)
    return cluster


def _node_name(name: str, number: int) -> str:
    if number == 0:
        return f"{name}-control-plane"
    return f"{name}-worker" + ("" if number == 1 else str(number))


def _machine(cluster: LabCluster) -> Machine:
    return Machine(
        cpu="8",
        memory="32768000Ki",
        storage="205374420Ki",
        pods="110",
        kernel="6.8.0-45-generic",
        image="Debian GNU/Linux 12 (bookworm)",
        runtime="containerd://2.1.3",
        kubelet=cluster.version,
    )


def _kindnet(cluster: LabCluster) -> None:
    labels = {"app": "kindnet", "k8s-app": "kindnet", "tier": "node"}
    cluster.objects.apply(
        RESOURCES["", "serviceaccounts"], {"metadata": {"name": "kindnet", "namespace": "kube-system"}}
    )
    cluster.objects.create(
        DAEMONSETS,
        {
            "metadata": {"name": "kindnet", "namespace": "kube-system", "labels": labels},
            "spec": {
                "selector": {"matchLabels": {"app": "kindnet"}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [
                            {"name": "kindnet-cni", "image": "docker.io/kindest/kindnetd:v20250512-df8de77b"}
                        ],
                        "hostNetwork": True,
                        "serviceAccountName": "kindnet",
                        "tolerations": [{"operator": "Exists"}],
                    },
                },
            },
        },
    )


def _gateway_address(name: str) -> str:
    """The site's public address, out of a documentation range."""
    return str(ipaddress.IPv4Address("203.0.113.0") + 1 + hashlib.sha256(name.encode()).digest()[0] % 250)
