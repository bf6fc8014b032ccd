"""What every new cluster holds before anything is installed: namespaces, the ``kubernetes`` Service, default RBAC."""

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from backends.lab.storage.resources import NAMESPACES, RESOURCES, SERVICES

if TYPE_CHECKING:
    from backends.lab.cluster import LabCluster

_RBAC: Final = "rbac.authorization.k8s.io"
_BOOTSTRAP_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def base_objects(cluster: "LabCluster") -> None:
    """Create them in the cluster's store."""
    store = cluster.objects
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        store.create(NAMESPACES, {"metadata": {"name": name}})
        store.create(RESOURCES["", "serviceaccounts"], {"metadata": {"name": "default", "namespace": name}})
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


def _rule(verbs: str, groups: str = "", resources: str = "", urls: str = "") -> dict[str, Any]:
    if urls:
        return {"nonResourceURLs": urls.split(), "verbs": verbs.split()}
    return {
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }


_ROLES: Final[dict[str, list[dict[str, Any]]]] = {
    "cluster-admin": [_rule("*", "*", "*"), _rule("*", urls="*")],
    "system:basic-user": [
        _rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        _rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ],
    "system:discovery": [
        _rule("get", urls="/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")
    ],
    "system:public-info-viewer": [_rule("get", urls="/healthz /livez /readyz /version /version/")],
    "view": [
        _rule(
            "get list watch",
            "core",
            "configmaps endpoints events limitranges namespaces persistentvolumeclaims pods pods/log pods/status "
            "replicationcontrollers resourcequotas serviceaccounts services",
        ),
        _rule("get list watch", "apps", "daemonsets deployments deployments/scale replicasets statefulsets"),
        _rule("get list watch", "batch", "cronjobs jobs"),
        _rule("get list watch", "autoscaling", "horizontalpodautoscalers"),
        _rule("get list watch", "discovery.k8s.io", "endpointslices"),
        _rule("get list watch", "networking.k8s.io", "ingresses networkpolicies"),
        _rule("get list watch", "policy", "poddisruptionbudgets"),
    ],
}
_BINDINGS: Final = {
    "cluster-admin": ("cluster-admin", ["system:masters"]),
    "system:basic-user": ("system:basic-user", ["system:authenticated"]),
    "system:discovery": ("system:discovery", ["system:authenticated"]),
    "system:public-info-viewer": ("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]),
}


def _default_roles(cluster: "LabCluster") -> None:
    roles, bindings = RESOURCES[_RBAC, "clusterroles"], RESOURCES[_RBAC, "clusterrolebindings"]
    for name, rules in _ROLES.items():
        meta = {"name": name, "labels": _BOOTSTRAP_LABELS}
        cluster.objects.create(roles, {"metadata": meta, "rules": rules})
    for name, (role, groups) in _BINDINGS.items():
        cluster.objects.create(
            bindings,
            {
                "metadata": {"name": name, "labels": _BOOTSTRAP_LABELS},
                "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups],
            },
        )
