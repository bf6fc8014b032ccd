"""What every new cluster holds before anything is installed: namespaces, the ``kubernetes`` Service, default RBAC."""

import functools
import ipaddress
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backends.lab.storage.resources import CONFIGMAPS, NAMESPACES, RESOURCES, SERVICES, Resource
from backends.lab.storage.selectors import Object

if TYPE_CHECKING:
    from backends.lab.cluster import LabCluster

_RBAC: Final = "rbac.authorization.k8s.io"
_ACCOUNTS: Final = RESOURCES["", "serviceaccounts"]
_BUNDLE_NOTE: Final = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
    "distributions of Kubernetes clusters."
}


def base_objects(cluster: "LabCluster") -> None:
    """Create them in the cluster's store; later namespaces get the account and CA bundle that each one has."""
    store = cluster.objects

    def furnish(kind: str, resource: Resource, obj: Object) -> None:
        if kind == "ADDED" and resource.key == NAMESPACES.key:
            name = obj["metadata"]["name"]
            store.create(_ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
            meta = {"name": "kube-root-ca.crt", "namespace": name, "annotations": _BUNDLE_NOTE}
            store.create(CONFIGMAPS, {"metadata": meta, "data": {"ca.crt": cluster.authority.pem.decode()}})

    store.subscribe(furnish)
    for name in ("default", "kube-node-lease", "kube-public"):
        store.create(NAMESPACES, {"metadata": {"name": name}})
    store.create(NAMESPACES, {"metadata": {"name": "kube-system", "uid": cluster.own_uid()}})
    first = str(ipaddress.IPv4Network(cluster.service_cidr)[1])
    store.create(
        SERVICES,
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": first,
                "ports": [{"name": "https", "port": 443, "targetPort": 443 if cluster.provider != "kind" else 6443}],
            },
        },
    )
    _default_roles(cluster)


@functools.cache
def _recorded() -> dict[str, list[dict[str, Any]]]:
    path = Path(__file__).parent / "data" / "roles.json.xz"
    loaded: dict[str, list[dict[str, Any]]] = msgspec.json.decode(lzma.decompress(path.read_bytes()))
    return loaded


def _default_roles(cluster: "LabCluster") -> None:
    for plural, objects in _recorded().items():
        for obj in objects:
            cluster.objects.create(RESOURCES[_RBAC, plural], obj)
