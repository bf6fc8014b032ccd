"""What a fresh cluster runs in ``kube-system``: the CNI of the provider, kube-proxy and CoreDNS."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.cluster import LabCluster
from backends.lab.objects import Object
from backends.lab.storage.resources import CONFIGMAPS, DAEMONSETS, DEPLOYMENTS, RESOURCES, SERVICES
from backends.lab.topology.versions import minor_of

_NAMESPACE: Final = "kube-system"
_EKS_REGISTRY: Final = "602401143452.dkr.ecr.{region}.amazonaws.com"
_VPC_CNI: Final = {26: "v1.12.6", 27: "v1.13.4", 28: "v1.15.1"}
_COREDNS: Final = {26: "v1.9.3", 27: "v1.10.1", 28: "v1.10.1", 29: "v1.11.1", 30: "v1.11.1"}
_ALL: Final = [{"operator": "Exists"}]
_CRITICAL: Final = [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
_COREFILE: Final = """.:53 {
    errors
    health
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
"""


def aws_node(cluster: LabCluster) -> None:
    """The VPC CNI's DaemonSet."""
    version = _VPC_CNI.get(minor_of(cluster.version), "v1.20.4")
    image = f"{_EKS_REGISTRY.format(region=cluster.region)}/amazon-k8s-cni:{version}-eksbuild.1"
    _account(cluster, "aws-node")
    _daemon_set(
        cluster,
        "aws-node",
        {"k8s-app": "aws-node"},
        image,
        labels={
            "app.kubernetes.io/instance": "aws-vpc-cni",
            "app.kubernetes.io/name": "aws-node",
            "app.kubernetes.io/version": version,
            "k8s-app": "aws-node",
        },
        account="aws-node",
    )


def kube_proxy(cluster: LabCluster) -> None:
    """kube-proxy's DaemonSet as the provider installs it; also what AKS's addon manager puts back."""
    _account(cluster, "kube-proxy")
    plain = cluster.version.partition("-")[0]
    if cluster.provider == "aks":
        selector = {"component": "kube-proxy", "tier": "node"}
        image = f"mcr.microsoft.com/oss/kubernetes/kube-proxy:{plain}"
        labels = {
            **selector,
            "addonmanager.kubernetes.io/mode": "Reconcile",
            "kubernetes.azure.com/managedby": "aks",
        }
    elif cluster.provider == "eks":
        selector = {"k8s-app": "kube-proxy"}
        image = f"{_EKS_REGISTRY.format(region=cluster.region)}/eks/kube-proxy:{plain}-eksbuild.2"
        labels = {**selector, "eks.amazonaws.com/component": "kube-proxy"}
    else:
        selector = {"k8s-app": "kube-proxy"}
        image = f"registry.k8s.io/kube-proxy:{plain}"
        labels = dict(selector)
    name = "kube-proxy-config" if cluster.provider == "eks" else "kube-proxy"
    _config_map(cluster, name, {"config": "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nmode: iptables\n"})
    _daemon_set(cluster, "kube-proxy", selector, image, labels=labels, account="kube-proxy")


def coredns(cluster: LabCluster) -> None:
    """CoreDNS: Deployment, Service ``kube-dns`` at the tenth address of the Service range, and its Corefile."""
    version = _COREDNS.get(minor_of(cluster.version), "v1.12.4")
    image = {
        "eks": f"{_EKS_REGISTRY.format(region=cluster.region)}/eks/coredns:{version}-eksbuild.1",
        "aks": f"mcr.microsoft.com/oss/kubernetes/coredns:{version}",
        "kind": f"registry.k8s.io/coredns/coredns:{version}",
    }[cluster.provider]
    labels = {"k8s-app": "kube-dns"}
    if cluster.provider == "aks":
        labels.update(
            {"addonmanager.kubernetes.io/mode": "Reconcile", "kubernetes.azure.com/managedby": "aks"},
        )
    _account(cluster, "coredns")
    _config_map(cluster, "coredns", {"Corefile": _COREFILE})
    ports = [
        {"containerPort": 53, "name": "dns", "protocol": "UDP"},
        {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
    ]
    container = {"name": "coredns", "image": image, "args": ["-conf", "/etc/coredns/Corefile"], "ports": ports}
    cluster.objects.create(
        DEPLOYMENTS,
        {
            "metadata": {"name": "coredns", "namespace": _NAMESPACE, "labels": labels},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": {
                    "metadata": {"labels": {"k8s-app": "kube-dns"}},
                    "spec": {
                        "containers": [container],
                        "dnsPolicy": "Default",
                        "serviceAccountName": "coredns",
                        "priorityClassName": "system-cluster-critical",
                        "tolerations": _CRITICAL,
                    },
                },
            },
        },
    )
    cluster.objects.create(SERVICES, _dns_service(cluster))


def _dns_service(cluster: LabCluster) -> Object:
    return {
        "metadata": {
            "name": "kube-dns",
            "namespace": _NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "clusterIP": str(ipaddress.IPv4Network(cluster.service_cidr)[10]),
            "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    }


def api_endpoints(cluster: LabCluster, addresses: list[str], port: int = 443) -> None:
    """The EndpointSlice behind the Service ``kubernetes``."""
    cluster.objects.create(
        RESOURCES["discovery.k8s.io", "endpointslices"],
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )


def _daemon_set(
    cluster: LabCluster,
    name: str,
    selector: Mapping[str, str],
    image: str,
    *,
    labels: Mapping[str, str],
    account: str,
) -> None:
    pod: dict[str, Any] = {
        "containers": [{"name": name, "image": image}],
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": account,
        "tolerations": _ALL,
    }
    cluster.objects.apply(
        DAEMONSETS,
        {
            "metadata": {
                "name": name,
                "namespace": _NAMESPACE,
                "labels": dict(labels),
                "annotations": {"deprecated.daemonset.template.generation": "1"},
            },
            "spec": {
                "selector": {"matchLabels": dict(selector)},
                "template": {"metadata": {"labels": dict(selector)}, "spec": pod},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            },
        },
    )


def _account(cluster: LabCluster, name: str) -> None:
    cluster.objects.apply(RESOURCES["", "serviceaccounts"], {"metadata": {"name": name, "namespace": _NAMESPACE}})


def _config_map(cluster: LabCluster, name: str, data: Mapping[str, str]) -> None:
    cluster.objects.apply(CONFIGMAPS, {"metadata": {"name": name, "namespace": _NAMESPACE}, "data": dict(data)})
