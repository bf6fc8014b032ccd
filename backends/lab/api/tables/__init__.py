"""Tables, as kubectl asks for them (meta.k8s.io/v1 Table): columns recorded from a real server, rows made here."""

import functools
import lzma
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.lab.api.tables import cluster, custom, pods, workloads
from backends.lab.api.tables.durations import since
from backends.lab.objects import ObjectStore, Resource
from backends.lab.storage.resources import CRDS

_DATA: Final = Path(__file__).parents[2] / "storage" / "data" / "columns.json.xz"
_RBAC: Final = "rbac.authorization.k8s.io"

_ROWS: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any], float], list[Any]]]] = {
    ("", "configmaps"): cluster.configmap,
    ("", "endpoints"): cluster.endpoints,
    ("", "events"): cluster.event,
    ("", "namespaces"): cluster.namespace,
    ("", "nodes"): cluster.node,
    ("", "pods"): pods.row,
    ("", "replicationcontrollers"): workloads.replicaset,
    ("", "secrets"): cluster.secret,
    ("", "serviceaccounts"): cluster.service_account,
    ("", "services"): cluster.service,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): cluster.webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): cluster.webhooks,
    ("apiextensions.k8s.io", "customresourcedefinitions"): cluster.role,
    ("apps", "daemonsets"): workloads.daemonset,
    ("apps", "deployments"): workloads.deployment,
    ("apps", "replicasets"): workloads.replicaset,
    ("apps", "statefulsets"): workloads.statefulset,
    ("batch", "cronjobs"): workloads.cronjob,
    ("batch", "jobs"): workloads.job,
    ("coordination.k8s.io", "leases"): cluster.lease,
    ("discovery.k8s.io", "endpointslices"): cluster.endpointslice,
    ("networking.k8s.io", "ingresses"): cluster.ingress,
    ("networking.k8s.io", "networkpolicies"): cluster.network_policy,
    ("policy", "poddisruptionbudgets"): cluster.disruption_budget,
    (_RBAC, "clusterrolebindings"): cluster.binding,
    (_RBAC, "clusterroles"): cluster.role,
    (_RBAC, "rolebindings"): cluster.binding,
    (_RBAC, "roles"): cluster.role,
    ("scheduling.k8s.io", "priorityclasses"): cluster.priority_class,
    ("storage.k8s.io", "storageclasses"): cluster.storage_class,
}
_PLAIN: Final = [
    custom.NAME,
    {"name": "Age", "type": "string", "format": "", "description": "Time since the object was made.", "priority": 0},
]


@functools.cache
def _recorded() -> dict[str, list[dict[str, Any]]]:
    loaded: dict[str, list[dict[str, Any]]] = msgspec.json.decode(lzma.decompress(_DATA.read_bytes()))
    return loaded


class Printer:
    """Columns and rows of one kind in one cluster."""

    def __init__(self, store: ObjectStore, resource: Resource) -> None:
        self._store = store
        self._make = _ROWS.get(resource.key)
        self._custom: list[Mapping[str, Any]] = []
        if resource.custom:
            crd = store.stored(CRDS, None, f"{resource.plural}.{resource.group}")
            for version in (crd or {"spec": {"versions": []}})["spec"]["versions"]:
                if version["name"] == resource.version:
                    self._custom = version.get("additionalPrinterColumns") or []
            self.columns = custom.columns(self._custom)
        elif self._make is not None:
            self.columns = _recorded()[f"{resource.group}/{resource.plural}"]
        else:
            self.columns = _PLAIN
        self._is_custom = resource.custom

    def rows(self, objects: Iterable[Mapping[str, Any]], include: str) -> list[dict[str, Any]]:
        """Rows with their object: ``include`` is Metadata (the default), Object or None."""
        now = self._store.now()
        found = []
        for obj in objects:
            row: dict[str, Any] = {"cells": self._cells(obj, now)}
            if include == "Object":
                row["object"] = obj
            elif include != "None":
                row["object"] = partial(obj)
            found.append(row)
        return found

    def _cells(self, obj: Mapping[str, Any], now: float) -> list[Any]:
        if self._is_custom:
            return custom.row(obj, self._custom, now)
        if self._make is not None:
            return self._make(obj, now)
        return [obj["metadata"].get("name", ""), since(obj["metadata"].get("creationTimestamp"), now)]

    def table(
        self, objects: Iterable[Mapping[str, Any]], meta: Mapping[str, Any], include: str, *, headed: bool = True
    ) -> dict[str, Any]:
        """A ``Table``; in a watch only the first one is ``headed``."""
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": dict(meta),
            "columnDefinitions": self.columns if headed else None,
            "rows": self.rows(objects, include),
        }


def partial(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object's metadata alone, as ``PartialObjectMetadata``."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
