"""The kinds a cluster serves: group, version, plural, kind and scope, as API discovery lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One served kind. Identity is group, version, plural, kind and scope; the rest is what discovery adds."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = field(default=(), compare=False)
    categories: tuple[str, ...] = field(default=(), compare=False)
    singular: str = field(default="", compare=False)
    status: bool = field(default=False, compare=False)
    scale: bool = field(default=False, compare=False)
    generation: bool = field(default=False, compare=False)
    custom: bool = field(default=False, compare=False)

    @property
    def api_version(self) -> str:
        """``v1`` or ``group/version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The plural with its group, as error messages name it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def key(self) -> tuple[str, str]:
        """Key in ``RESOURCES``: group and plural."""
        return (self.group, self.plural)

    def at(self, version: str) -> "Resource":
        """The same kind served under another version of its group."""
        return self if version == self.version else replace(self, version=version)


def _row(api_version: str, plural: str, kind: str, flags: str = "", short: str = "", categories: str = "") -> Resource:
    """Flags: n namespaced, s status subresource, c scale subresource, g generation counted."""
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced="n" in flags,
        short=tuple(short.split()),
        categories=tuple(categories.split()),
        singular=kind.lower(),
        status="s" in flags,
        scale="c" in flags,
        generation="g" in flags,
    )


_ROWS: Final = (
    _row("v1", "configmaps", "ConfigMap", "n", "cm"),
    _row("v1", "endpoints", "Endpoints", "n", "ep"),
    _row("v1", "events", "Event", "n", "ev"),
    _row("v1", "limitranges", "LimitRange", "n", "limits"),
    _row("v1", "namespaces", "Namespace", "s", "ns"),
    _row("v1", "nodes", "Node", "s", "no"),
    _row("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "ns", "pvc"),
    _row("v1", "persistentvolumes", "PersistentVolume", "s", "pv"),
    _row("v1", "pods", "Pod", "nsg", "po", "all"),
    _row("v1", "podtemplates", "PodTemplate", "n"),
    _row("v1", "replicationcontrollers", "ReplicationController", "nscg", "rc", "all"),
    _row("v1", "resourcequotas", "ResourceQuota", "ns", "quota"),
    _row("v1", "secrets", "Secret", "n"),
    _row("v1", "serviceaccounts", "ServiceAccount", "n", "sa"),
    _row("v1", "services", "Service", "ns", "svc", "all"),
    _row(
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        "g",
        "",
        "api-extensions",
    ),
    _row(
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        "g",
        "",
        "api-extensions",
    ),
    _row(
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "sg",
        "crd crds",
        "api-extensions",
    ),
    _row("apps/v1", "controllerrevisions", "ControllerRevision", "n"),
    _row("apps/v1", "daemonsets", "DaemonSet", "nsg", "ds", "all"),
    _row("apps/v1", "deployments", "Deployment", "nscg", "deploy", "all"),
    _row("apps/v1", "replicasets", "ReplicaSet", "nscg", "rs", "all"),
    _row("apps/v1", "statefulsets", "StatefulSet", "nscg", "sts", "all"),
    _row("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "ns", "hpa", "all"),
    _row("batch/v1", "cronjobs", "CronJob", "nsg", "cj", "all"),
    _row("batch/v1", "jobs", "Job", "nsg", "", "all"),
    _row("certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", "s", "csr"),
    _row("coordination.k8s.io/v1", "leases", "Lease", "n"),
    _row("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", "ng"),
    _row("networking.k8s.io/v1", "ingressclasses", "IngressClass", "g"),
    _row("networking.k8s.io/v1", "ingresses", "Ingress", "nsg", "ing"),
    _row("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "ng", "netpol"),
    _row("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "nsg", "pdb"),
    _row("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding"),
    _row("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole"),
    _row("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", "n"),
    _row("rbac.authorization.k8s.io/v1", "roles", "Role", "n"),
    _row("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "g", "pc"),
    _row("storage.k8s.io/v1", "csidrivers", "CSIDriver"),
    _row("storage.k8s.io/v1", "storageclasses", "StorageClass", "", "sc"),
)

RESOURCES: Final[dict[tuple[str, str], Resource]] = {row.key: row for row in _ROWS}

PODS: Final = RESOURCES["", "pods"]
NODES: Final = RESOURCES["", "nodes"]
SERVICES: Final = RESOURCES["", "services"]
SECRETS: Final = RESOURCES["", "secrets"]
CONFIGMAPS: Final = RESOURCES["", "configmaps"]
NAMESPACES: Final = RESOURCES["", "namespaces"]
EVENTS: Final = RESOURCES["", "events"]
DAEMONSETS: Final = RESOURCES["apps", "daemonsets"]
DEPLOYMENTS: Final = RESOURCES["apps", "deployments"]
CRDS: Final = RESOURCES["apiextensions.k8s.io", "customresourcedefinitions"]
JOBS: Final = RESOURCES["batch", "jobs"]


def defined(crd: Mapping[str, Any]) -> tuple[Resource, tuple[str, ...]]:
    """The kind that a CustomResourceDefinition defines, and the versions under which it is served."""
    spec, names = crd["spec"], crd["spec"]["names"]
    stored = next((version for version in spec["versions"] if version.get("storage")), spec["versions"][0])
    subresources = stored.get("subresources") or {}
    resource = Resource(
        group=spec["group"],
        version=stored["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        singular=names.get("singular") or str(names["kind"]).lower(),
        status="status" in subresources,
        scale="scale" in subresources,
        generation=True,
        custom=True,
    )
    return resource, tuple(version["name"] for version in spec["versions"] if version.get("served", True))
