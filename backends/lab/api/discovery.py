"""Discovery: which groups, versions and kinds a cluster serves, plain and aggregated (apidiscovery.k8s.io/v2)."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.objects import ObjectStore, Resource
from backends.lab.storage.resources import ALL_VERBS

_ORDER: Final = (
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)
_STATUS_VERBS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Extra:
    """A kind that is only posted (a review), or a subresource; ``kind_of`` is its kind's group and version."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    namespaced: bool = False
    kind_of: tuple[str, str] = ("", "")


# Kinds without objects, by group and version.
REVIEWS: Final = {
    ("authentication.k8s.io", "v1"): (Extra("selfsubjectreviews", "SelfSubjectReview", ("create",)),),
    ("authorization.k8s.io", "v1"): (
        Extra("localsubjectaccessreviews", "LocalSubjectAccessReview", ("create",), True),
        Extra("selfsubjectaccessreviews", "SelfSubjectAccessReview", ("create",)),
        Extra("selfsubjectrulesreviews", "SelfSubjectRulesReview", ("create",)),
        Extra("subjectaccessreviews", "SubjectAccessReview", ("create",)),
    ),
}
_SUBRESOURCES: Final = {
    ("", "namespaces"): (Extra("finalize", "Namespace", ("update",)),),
    ("", "pods"): (
        Extra("eviction", "Eviction", ("create",), True, ("policy", "v1")),
        Extra("exec", "PodExecOptions", ("create", "get"), True),
        Extra("log", "Pod", ("get",), True),
    ),
    ("", "serviceaccounts"): (Extra("token", "TokenRequest", ("create",), True, ("authentication.k8s.io", "v1")),),
}
_SCALE: Final = Extra("scale", "Scale", _STATUS_VERBS, True, ("autoscaling", "v1"))


def verbs(resource: Resource) -> tuple[str, ...]:
    """What can be done with a kind; namespaces are not deleted as a collection."""
    if resource.key == ("", "namespaces"):
        return tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    return ALL_VERBS


def subresources(resource: Resource) -> list[Extra]:
    """The subresources of a kind, by name."""
    found = list(_SUBRESOURCES.get(resource.key, ()))
    if resource.scale:
        found.append(_SCALE)
    if resource.status:
        found.append(Extra("status", resource.kind, _STATUS_VERBS, resource.namespaced))
    return sorted(found, key=lambda extra: extra.name)


def groups(store: ObjectStore) -> dict[str, list[str]]:
    """Served versions by group, in the order of a real server; the preferred version first."""
    found: dict[str, list[str]] = {}
    for resource in store.resources.values():
        versions = found.setdefault(resource.group, [])
        for version in (resource.version, *store.versions.get(resource.key, ())):
            if version not in versions:
                versions.append(version)
    for group, version in REVIEWS:
        found.setdefault(group, [version])
    position = {group: index for index, group in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (position.get(item[0], len(_ORDER)), item[0])))


def kinds(store: ObjectStore, group: str, version: str) -> list[Resource]:
    """The kinds at a group and version, by name."""
    found = (store.served(group, version, plural) for of, plural in tuple(store.resources) if of == group)
    return sorted((resource for resource in found if resource is not None), key=lambda resource: resource.plural)


def api_versions() -> dict[str, Any]:
    """``GET /api``."""
    address = {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:443"}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}


def group_list(store: ObjectStore) -> dict[str, Any]:
    """``GET /apis``."""
    listed = [_group(name, versions) for name, versions in groups(store).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(store: ObjectStore, name: str) -> dict[str, Any] | None:
    """``GET /apis/GROUP``, or None for a group that is not served."""
    versions = groups(store).get(name)
    return None if not versions else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(store: ObjectStore, group_name: str, version: str) -> dict[str, Any] | None:
    """``GET /api/v1`` or ``/apis/GROUP/VERSION``, or None for what is not served."""
    if version not in groups(store).get(group_name, ()):
        return None
    group_version = f"{group_name}/{version}" if group_name else version
    body: dict[str, Any] = {"kind": "APIResourceList"}
    if group_name:
        body["apiVersion"] = "v1"
    listed = list(_plain(store, group_name, version))
    return {**body, "groupVersion": group_version, "resources": sorted(listed, key=lambda entry: str(entry["name"]))}


def _plain(store: ObjectStore, group_name: str, version: str) -> Iterator[dict[str, Any]]:
    for extra in REVIEWS.get((group_name, version), ()):
        yield {
            "name": extra.name,
            "singularName": extra.name.removesuffix("s"),
            "namespaced": extra.namespaced,
            "kind": extra.kind,
            "verbs": list(extra.verbs),
        }
    for resource in kinds(store, group_name, version):
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(verbs(resource)),
        }
        if resource.short:
            entry["shortNames"] = list(resource.short)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        identity = f"{resource.group}/{resource.version}/{resource.kind}".encode()
        entry["storageVersionHash"] = base64.b64encode(hashlib.sha256(identity).digest()[:8]).decode()
        yield entry
        for extra in subresources(resource):
            below: dict[str, Any] = {
                "name": f"{resource.plural}/{extra.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
            }
            if extra.kind_of[0]:
                below["group"], below["version"] = extra.kind_of
            yield {**below, "kind": extra.kind, "verbs": list(extra.verbs)}


def aggregated(store: ObjectStore, *, core: bool) -> dict[str, Any]:
    """The whole of ``/api`` (``core``) or ``/apis`` in one answer."""
    items = []
    for name, versions in groups(store).items():
        if bool(name) is core:
            continue
        entries = [
            {"version": version, "resources": list(_aggregated(store, name, version)), "freshness": "Current"}
            for version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": entries})
    meta: dict[str, Any] = {}
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": meta, "items": items}


def _aggregated(store: ObjectStore, group_name: str, version: str) -> Iterator[dict[str, Any]]:
    for extra in REVIEWS.get((group_name, version), ()):
        yield {
            "resource": extra.name,
            "responseKind": {"group": "", "version": "", "kind": extra.kind},
            "scope": "Namespaced" if extra.namespaced else "Cluster",
            "singularResource": extra.name.removesuffix("s"),
            "verbs": list(extra.verbs),
        }
    for resource in kinds(store, group_name, version):
        entry: dict[str, Any] = {
            "resource": resource.plural,
            "responseKind": _response_kind(resource, resource.kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": list(verbs(resource)),
        }
        if resource.short:
            entry["shortNames"] = list(resource.short)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        below = [
            {
                "subresource": extra.name,
                "responseKind": (
                    {"group": extra.kind_of[0], "version": extra.kind_of[1], "kind": extra.kind}
                    if extra.kind_of[0]
                    else _response_kind(resource, extra.kind)
                ),
                "verbs": list(extra.verbs),
            }
            for extra in subresources(resource)
        ]
        yield {**entry, "subresources": below} if below else entry


def _response_kind(resource: Resource, kind: str) -> dict[str, str]:
    if resource.custom:
        return {"group": resource.group, "version": resource.version, "kind": kind}
    return {"group": "", "version": "", "kind": kind}
