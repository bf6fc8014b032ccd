"""The kinds that releases are made of, and their places in the API."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object; ``api_version`` is ``v1`` or ``group/version``."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """URL path of the collection or, with ``name``, of one object."""
        parts = ["/api" if "/" not in self.api_version else "/apis", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def qualified(self) -> str:
        """``plural.group`` as error texts name a resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_RBAC: Final = "rbac.authorization.k8s.io/v1"

KINDS: Final = {
    (kind.api_version, kind.name): kind
    for kind in (
        Kind("v1", "Namespace", "namespaces", False),
        Kind("v1", "Node", "nodes", False),
        Kind("v1", "Pod", "pods"),
        Kind("v1", "ServiceAccount", "serviceaccounts"),
        Kind("v1", "Secret", "secrets"),
        Kind("v1", "ConfigMap", "configmaps"),
        Kind("v1", "Service", "services"),
        Kind("v1", "ResourceQuota", "resourcequotas"),
        Kind("apps/v1", "DaemonSet", "daemonsets"),
        Kind("apps/v1", "Deployment", "deployments"),
        Kind("apps/v1", "ReplicaSet", "replicasets"),
        Kind("apps/v1", "StatefulSet", "statefulsets"),
        Kind("batch/v1", "Job", "jobs"),
        Kind("batch/v1", "CronJob", "cronjobs"),
        Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        Kind(_RBAC, "ClusterRole", "clusterroles", False),
        Kind(_RBAC, "ClusterRoleBinding", "clusterrolebindings", False),
        Kind(_RBAC, "Role", "roles"),
        Kind(_RBAC, "RoleBinding", "rolebindings"),
    )
}

SECRET: Final = KINDS["v1", "Secret"]
CONFIG_MAP: Final = KINDS["v1", "ConfigMap"]
SERVICE: Final = KINDS["v1", "Service"]
NAMESPACE: Final = KINDS["v1", "Namespace"]
NODE: Final = KINDS["v1", "Node"]
POD: Final = KINDS["v1", "Pod"]
DAEMON_SET: Final = KINDS["apps/v1", "DaemonSet"]
DEPLOYMENT: Final = KINDS["apps/v1", "Deployment"]
REPLICA_SET: Final = KINDS["apps/v1", "ReplicaSet"]
JOB: Final = KINDS["batch/v1", "Job"]


class UnknownKind(Exception):
    """A manifest names a kind that is not in the table; the text is the API machinery's."""


def kind_of(item: dict[str, Any]) -> Kind:
    """The kind of an object; raises ``UnknownKind``."""
    version, name = str(item.get("apiVersion")), str(item.get("kind"))
    try:
        return KINDS[version, name]
    except KeyError:
        raise UnknownKind(f'no matches for kind "{name}" in version "{version}"') from None
