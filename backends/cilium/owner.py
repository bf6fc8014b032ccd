"""Who owns a Cilium installation, by the labels and annotations that its owner leaves on the objects."""

from collections.abc import Sequence
from typing import Final

from backends.cilium.workloads import Metadata
from mesh.model.kubernetes import Owner, OwnerKind

_ARGO_TRACKING: Final = "argocd.argoproj.io/tracking-id"
_ARGO_INSTANCE: Final = "argocd.argoproj.io/instance"
_FLUX: Final = ("helm.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/name")
_AKS: Final = "kubernetes.azure.com/managedby"
_ADDON: Final = ("addonmanager.kubernetes.io/mode", "kubernetes.io/cluster-service")
_OLM: Final = ("olm.owner", "operators.coreos.com/cilium", "olm.managed")
_HELM_NAME: Final = "meta.helm.sh/release-name"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"


def owner_of(objects: Sequence[Metadata]) -> Owner:
    """The owner told by the agent DaemonSet and ``cilium-config`` together; managed and GitOps go before Helm."""
    for find in (_provider, _argo, _flux, _operator, _helm):
        for item in objects:
            found = find(item)
            if found is not None:
                return found
    return Owner(OwnerKind.UNOWNED)


def _provider(item: Metadata) -> Owner | None:
    if item.labels.get(_AKS) == "aks":
        return Owner(OwnerKind.MANAGED, "AKS", f"label {_AKS}=aks")
    for label in _ADDON:
        if item.labels.get(label) in ("Reconcile", "EnsureExists", "true"):
            return Owner(OwnerKind.MANAGED, "the cloud's add-on manager", f"label {label}={item.labels[label]}")
    managers = {one.manager for one in item.managers or ()}
    if "eks" in managers:
        return Owner(OwnerKind.MANAGED, "EKS add-on", "field manager eks")
    if item.name == "anetd":
        return Owner(OwnerKind.MANAGED, "GKE Dataplane V2", "DaemonSet anetd")
    return None


def _argo(item: Metadata) -> Owner | None:
    tracking = item.annotations.get(_ARGO_TRACKING, "")
    if tracking:
        return Owner(OwnerKind.ARGO, tracking.partition(":")[0], f"annotation {_ARGO_TRACKING}")
    name = item.labels.get(_ARGO_INSTANCE) or item.annotations.get(_ARGO_INSTANCE, "")
    return Owner(OwnerKind.ARGO, name, f"label {_ARGO_INSTANCE}={name}") if name else None


def _flux(item: Metadata) -> Owner | None:
    for label in _FLUX:
        name = item.labels.get(label, "")
        if name:
            return Owner(OwnerKind.FLUX, name, f"label {label}={name}")
    return None


def _operator(item: Metadata) -> Owner | None:
    for owner in item.owners or ():
        if owner.kind in ("CiliumConfig", "ClusterServiceVersion"):
            return Owner(OwnerKind.OPERATOR, owner.name, f"owned by {owner.kind} {owner.name}")
    for label, value in item.labels.items():
        if label.startswith(_OLM):
            return Owner(OwnerKind.OPERATOR, value, f"label {label}={value}")
    return None


def _helm(item: Metadata) -> Owner | None:
    name = item.annotations.get(_HELM_NAME, "")
    if name:
        return Owner(OwnerKind.HELM, name, f"annotation {_HELM_NAME}={name}")
    if item.labels.get(_MANAGED_BY) == "Helm":
        return Owner(OwnerKind.HELM, "", f"label {_MANAGED_BY}=Helm")
    return None
