"""Namespaces with services, and a client to ask them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backends.lab.storage.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, SERVICES
from backends.lab.world import LabCluster

IMAGE: Final = "docker.io/library/nginx:1.27-alpine"
_PAGE: Final = "/usr/share/nginx/html"


@dataclass(frozen=True, slots=True)
class Offer:
    """A Service in one cluster: back-ends, and its ``service.cilium.io/…`` annotations (``shared`` only if false)."""

    name: str
    replicas: int
    is_global: bool = True
    affinity: str = ""
    shared: bool = True
    port_name: str = "http"
    annotations: Mapping[str, str] = field(default_factory=dict)

    def marks(self) -> dict[str, str]:
        """The Service's annotations."""
        found = {"service.cilium.io/global": "true"} if self.is_global else {}
        if self.affinity:
            found["service.cilium.io/affinity"] = self.affinity
        if not self.shared:
            found["service.cilium.io/shared"] = "false"
        return {**found, **self.annotations}


def _deployment(namespace: str, name: str, replicas: int, pod: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def make_namespace(cluster: LabCluster, namespace: str, *, client: bool = True) -> None:
    """A namespace, with a Deployment ``client`` that has curl."""
    store = cluster.objects
    store.apply(NAMESPACES, {"metadata": {"name": namespace}})
    page = {"index.html": json.dumps({"cluster": cluster.name})}
    store.apply(CONFIGMAPS, {"metadata": {"name": "page", "namespace": namespace}, "data": page})
    if client:
        container = {"name": "client", "image": IMAGE, "command": ["sleep", "infinity"]}
        store.apply(DEPLOYMENTS, _deployment(namespace, "client", 1, {"containers": [container]}))


def offer(cluster: LabCluster, namespace: str, what: Offer) -> None:
    """Create the Service, and its Deployment where it has back-ends."""
    store = cluster.objects
    if what.replicas:
        container = {
            "name": what.name,
            "image": IMAGE,
            "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
            "volumeMounts": [{"name": "page", "mountPath": _PAGE}],
        }
        pod = {"containers": [container], "volumes": [{"name": "page", "configMap": {"name": "page"}}]}
        store.apply(DEPLOYMENTS, _deployment(namespace, what.name, what.replicas, pod))
    port = {"name": what.port_name, "port": 80, "targetPort": "http", "protocol": "TCP"}
    metadata: dict[str, Any] = {"name": what.name, "namespace": namespace, "labels": {"app": what.name}}
    if what.marks():
        metadata["annotations"] = what.marks()
    store.apply(SERVICES, {"metadata": metadata, "spec": {"selector": {"app": what.name}, "ports": [port]}})
