"""Deletion: grace periods, finalizers, namespaces and the dependents that ``ownerReferences`` name.

Source: kubernetes.io/docs/concepts/architecture/garbage-collection.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from backends.lab.storage import status
from backends.lab.storage.resources import NAMESPACES, PODS, Resource
from backends.lab.storage.selectors import Object

if TYPE_CHECKING:
    from backends.lab.objects import ObjectStore

FOREGROUND: Final = "foregroundDeletion"


class Owners:
    """Who depends on whom, by the owner's uid, and where each uid is."""

    def __init__(self) -> None:
        self._dependents: dict[str, dict[tuple[tuple[str, str], str, str], Resource]] = {}
        self._places: dict[str, tuple[Resource, str, str]] = {}

    def record(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """Follow one write; ``new`` is None for a removal."""
        meta = (new or old or {})["metadata"]
        place = (resource.key, meta.get("namespace", ""), meta["name"])
        for reference in (old or {"metadata": {}})["metadata"].get("ownerReferences") or ():
            self._dependents.get(reference["uid"], {}).pop(place, None)
        if new is None:
            self._places.pop(meta["uid"], None)
            return
        self._places[meta["uid"]] = (resource, place[1], place[2])
        for reference in meta.get("ownerReferences") or ():
            self._dependents.setdefault(reference["uid"], {})[place] = resource

    def named(self, uid: str) -> list[tuple[Resource, str, str]]:
        """Resource, namespace and name of the objects that name ``uid`` as an owner."""
        return [(resource, place[1], place[2]) for place, resource in self._dependents.get(uid, {}).items()]

    def place(self, uid: str) -> tuple[Resource, str, str] | None:
        """Resource, namespace and name of the object with this uid."""
        return self._places.get(uid)


def marked(store: "ObjectStore", resource: Resource, old: Object, grace_seconds: int, propagation: str) -> Object:
    """A copy of the object with its deletion requested."""
    new: Object = msgspec.json.decode(msgspec.json.encode(old))
    meta = new["metadata"]
    graceful = resource.key == PODS.key and grace_seconds > 0 and _runs(new)
    if propagation == "Foreground" and FOREGROUND not in meta.get("finalizers", ()):
        meta["finalizers"] = [*meta.get("finalizers", ()), FOREGROUND]
    # What nothing holds goes as it was: only pods are deleted in two steps, and namespaces by their controller.
    held = resource.key in (PODS.key, NAMESPACES.key) or bool(meta.get("finalizers"))
    if held and ("deletionTimestamp" not in meta or (resource.key == PODS.key and not graceful)):
        seconds = grace_seconds if graceful else 0
        meta["deletionTimestamp"] = _stamp(store.now() + seconds)
        if resource.key != NAMESPACES.key:
            meta["deletionGracePeriodSeconds"] = seconds
        if resource.generation and "generation" in meta:
            meta["generation"] += 1
    if propagation == "Orphan":
        _orphan(store, meta["uid"])
    if resource.key == NAMESPACES.key:
        new.setdefault("status", {})["phase"] = "Terminating"
        new.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    return new


def may_go(resource: Resource, obj: Object) -> bool:
    """Whether nothing holds an object whose deletion was requested."""
    meta = obj["metadata"]
    if meta.get("finalizers"):
        return False
    if resource.key == NAMESPACES.key and obj.get("spec", {}).get("finalizers"):
        return False
    return not (resource.key == PODS.key and meta.get("deletionGracePeriodSeconds"))


def after_marking(store: "ObjectStore", resource: Resource, obj: Object) -> None:
    """Go on with what a deletion request sets off at once."""
    meta = obj["metadata"]
    if FOREGROUND in meta.get("finalizers", ()):
        for kind, dependent in dependents(store, meta["uid"]):
            _delete_dependent(store, kind, dependent, "Foreground")
        _finish_foreground(store, meta["uid"])
    if resource.key == NAMESPACES.key and NAMESPACES.key not in store.left_to_controllers:
        finalize_namespace(store, meta["name"])


def finalize_namespace(store: "ObjectStore", name: str) -> bool:
    """Delete what is left in a namespace and, once it is empty, the namespace; returns whether it is gone."""
    left = 0
    for resource in [kind for kind in store.resources.values() if kind.namespaced]:
        for obj in list(store.view(resource, name)):
            meta = obj["metadata"]
            if store.get(resource, name, meta["name"]) is not None and "deletionTimestamp" not in meta:
                store.delete(resource, name, meta["name"], grace_seconds=_grace(obj))
        left += sum(1 for _ in store.view(resource, name))
    space = store.get(NAMESPACES, None, name)
    if space is None:
        return True
    if left:
        return False
    space["spec"]["finalizers"] = []
    store.update(NAMESPACES, space)
    return store.get(NAMESPACES, None, name) is None


def after_removal(store: "ObjectStore", resource: Resource, obj: Object) -> None:
    """Collect dependents that have no owner left, then owners that waited for this one."""
    meta = obj["metadata"]
    for kind, dependent in dependents(store, meta["uid"]):
        if not any(store.owners.place(ref["uid"]) for ref in dependent["metadata"]["ownerReferences"]):
            _delete_dependent(store, kind, dependent, "Background")
    for reference in meta.get("ownerReferences") or ():
        _finish_foreground(store, reference["uid"])
    if resource.namespaced and NAMESPACES.key not in store.left_to_controllers:
        space = store.get(NAMESPACES, None, meta["namespace"])
        if space is not None and "deletionTimestamp" in space["metadata"]:
            finalize_namespace(store, meta["namespace"])


def dependents(store: "ObjectStore", uid: str) -> list[tuple[Resource, Object]]:
    """Objects that name ``uid`` as an owner, read-only."""
    found = []
    for resource, namespace, name in store.owners.named(uid):
        obj = store.stored(resource, namespace, name)
        if obj is not None:
            found.append((resource, obj))
    return found


def terminating(resource: Resource, name: str, space: Object) -> status.ApiError:
    """403 for a create in a namespace that is going."""
    namespace = space["metadata"]["name"]
    error = status.forbidden(
        resource, name, f"unable to create new content in namespace {namespace} because it is being terminated"
    )
    cause = status.Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
    error.details = {**(error.details or {}), "causes": [cause.json()]}
    return error


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _runs(pod: Object) -> bool:
    return bool(pod.get("spec", {}).get("nodeName")) and pod.get("status", {}).get("phase") not in (
        "Succeeded",
        "Failed",
    )


def _grace(obj: Object) -> int:
    return int(obj.get("spec", {}).get("terminationGracePeriodSeconds", 0) or 0) if obj.get("kind") == "Pod" else 0


def _delete_dependent(store: "ObjectStore", resource: Resource, obj: Object, propagation: str) -> None:
    meta = obj["metadata"]
    if store.get(resource, meta.get("namespace"), meta["name"]) is not None and "deletionTimestamp" not in meta:
        policy = propagation if dependents(store, meta["uid"]) else "Background"
        store.delete(resource, meta.get("namespace"), meta["name"], grace_seconds=_grace(obj), propagation=policy)


def _orphan(store: "ObjectStore", uid: str) -> None:
    for resource, obj in dependents(store, uid):
        left = [reference for reference in obj["metadata"]["ownerReferences"] if reference.get("uid") != uid]
        meta = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
        store.update(resource, {**obj, "metadata": {**meta, "ownerReferences": left} if left else meta})


def _finish_foreground(store: "ObjectStore", uid: str) -> None:
    place = store.owners.place(uid)
    if place is None or dependents(store, uid):
        return
    resource, namespace, name = place
    obj = store.get(resource, namespace, name)
    if obj is not None and FOREGROUND in obj["metadata"].get("finalizers", ()):
        obj["metadata"]["finalizers"].remove(FOREGROUND)
        store.update(resource, obj)
