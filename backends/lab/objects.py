"""One cluster's Kubernetes objects: plain JSON dicts behind the rules an API server applies at write time."""

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar, cast

import msgspec

from backends.lab.storage import admission, garbage, patches, status
from backends.lab.storage.allocation import Allocator
from backends.lab.storage.history import Change, History, Listed
from backends.lab.storage.resources import CRDS, NAMESPACES, PODS, RESOURCES, Resource, defined
from backends.lab.storage.selectors import Object, from_mapping, labels_match
from backends.lab.storage.status import ApiError

__all__ = ["RESOURCES", "ApiError", "Change", "Object", "ObjectStore", "Resource", "copy_json", "timestamp"]

Objects: TypeAlias = list[Object]
Finish: TypeAlias = Callable[[Object], None]
Callback: TypeAlias = Callable[[str, Resource, Object], None]

_T = TypeVar("_T")
_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()


def copy_json(value: _T) -> _T:
    """A deep copy through JSON; raises ``TypeError`` for what JSON cannot hold."""
    return cast("_T", _DECODER.decode(_ENCODER.encode(value)))


def timestamp(seconds: float) -> str:
    """RFC 3339 with whole seconds, as ``metadata.creationTimestamp`` holds it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Record:
    """A stored object (never changed in place) and its encoded form, made when first asked for."""

    __slots__ = ("body", "encoded")

    def __init__(self, body: Object) -> None:
        self.body = body
        self.encoded: bytes | None = None

    def raw(self) -> bytes:
        if self.encoded is None:
            self.encoded = _ENCODER.encode(self.body)
        return self.encoded


class ObjectStore:
    """Objects of one cluster by resource, namespace and name, with watchable history.

    ``now`` gives lab time in epoch seconds. Methods that write raise ``ApiError`` where a real server refuses.
    Deleting pods and namespaces is immediate unless their key is in ``left_to_controllers``; then they are only marked
    with ``deletionTimestamp`` and whoever simulates the kubelet or the namespace controller removes them.
    """

    def __init__(
        self, now: Callable[[], float], rng: random.Random, service_cidr: str = "10.96.0.0/12", start: int = 1000
    ) -> None:
        self.now = now
        self.rng = rng
        self._start = start
        self.resource_version = start
        self.resources: dict[tuple[str, str], Resource] = dict(RESOURCES)
        self.versions: dict[tuple[str, str], tuple[str, ...]] = {}
        self.allocator = Allocator(service_cidr, rng)
        self.left_to_controllers: set[tuple[str, str]] = set()
        self.owners = garbage.Owners()
        self._tables: dict[tuple[str, str], dict[tuple[str, str], _Record]] = {}
        self._histories: dict[tuple[str, str], History] = {}
        self._subscribers: list[Callback] = []
        self._pending: deque[Change] = deque()
        self._delivering = False

    # -- kinds ---------------------------------------------------------------------------------------------------

    def register(self, resource: Resource, versions: tuple[str, ...] = ()) -> None:
        """Serve a further kind, stored as ``resource.version`` and readable under each of ``versions``."""
        self.resources[resource.key] = resource
        self.versions[resource.key] = versions or (resource.version,)

    def unregister(self, resource: Resource) -> None:
        """Stop serving a kind; its objects go without events, as when a CRD is removed."""
        for obj in self.view(resource):
            self.owners.record(resource, obj, None)
        self.resources.pop(resource.key, None)
        self.versions.pop(resource.key, None)
        self._tables.pop(resource.key, None)
        self._histories.pop(resource.key, None)

    def served(self, group: str, version: str, plural: str) -> Resource | None:
        """The kind at a group and version, or None where discovery does not list it."""
        resource = self.resources.get((group, plural))
        if resource is None or version not in self.versions.get(resource.key, (resource.version,)):
            return None
        return resource.at(version)

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """A copy of the object, or None."""
        record = self._table(resource).get((namespace or "", name))
        return None if record is None else cast("Object", _DECODER.decode(record.raw()))

    def need(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """A copy of the object; raises ``ApiError`` 404."""
        obj = self.get(resource, namespace, name)
        if obj is None:
            raise status.not_found(resource, name)
        return obj

    def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Objects:
        """Copies ordered by namespace and name; ``labels`` are equality terms."""
        requirements = from_mapping(labels or {})
        return [
            copy_json(obj)
            for obj in self.view(resource, namespace)
            if labels is None or labels_match(requirements, obj)
        ]

    def view(self, resource: Resource, namespace: str | None = None) -> Iterator[Object]:
        """The stored objects themselves, in order, read-only: changing one corrupts the history."""
        return (record.body for record in self._records(resource, namespace))

    def encoded(self, resource: Resource, namespace: str | None = None) -> Listed:
        """Read-only objects in order, each with what gives its JSON bytes (kept between calls)."""
        return [(record.body, record.raw) for record in self._records(resource, namespace)]

    def stored(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The stored object itself, read-only."""
        record = self._table(resource).get((namespace or "", name))
        return None if record is None else record.body

    def history(self, resource: Resource) -> History:
        """The writes of one resource, for watches."""
        return self._histories.setdefault(resource.key, History(self._start))

    def compact(self) -> None:
        """Forget the writes so far: a watch from an older version gets 410."""
        self._start = self.resource_version
        for history in self._histories.values():
            history.forget(self.resource_version)

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback(kind, resource, object)`` after every write, in order of the writes; returns what ends it.

        The object is shared by all subscribers and must not be changed.
        """
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    # -- writing -------------------------------------------------------------------------------------------------

    def create(self, resource: Resource, obj: Object, *, dry_run: bool = False, finish: Finish | None = None) -> Object:
        """Store a new object with defaults, uid, timestamps and allocated addresses; returns a copy.

        ``finish`` is called with the defaulted object before the server adds its own part; with ``dry_run`` nothing is
        stored.
        """
        new = copy_json(obj)
        meta = new.setdefault("metadata", {})
        new.setdefault("apiVersion", resource.api_version)
        new.setdefault("kind", resource.kind)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"][:58] + self.allocator.suffix()
        if not resource.namespaced:
            meta.pop("namespace", None)
        else:
            meta["namespace"] = meta.get("namespace") or "default"
        self._may_create(resource, meta)
        meta.setdefault("uid", self.new_uid())
        meta.setdefault("creationTimestamp", timestamp(self.now()))
        if resource.generation:
            meta.setdefault("generation", 1)
        admission.default(resource, new)
        if finish is not None:
            finish(new)
        admission.admit(self.allocator, resource, new)
        if dry_run:
            admission.release(self.allocator, resource, new)
            return copy_json(new)
        self._commit("ADDED", resource, None, new)
        if resource.key == CRDS.key:
            self._establish(new)
        return copy_json(new)

    def update(self, resource: Resource, obj: Object, *, dry_run: bool = False, finish: Finish | None = None) -> Object:
        """Replace an object; with ``metadata.resourceVersion`` given it must be the stored one. Returns a copy.

        Uid, creation time and deletion time stay. The object goes when its last finalizer is taken away while it is
        being deleted.
        """
        new = copy_json(obj)
        meta = new["metadata"]
        old = self._current(resource, meta)
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        _keep_system_fields(old, new)
        admission.prepare_update(self.allocator, resource, old, new)
        if "deletionTimestamp" in meta and garbage.may_go(resource, new) and not dry_run:
            return self._remove(resource, old, new)
        if resource.generation and admission.intent(old) != admission.intent(new):
            meta["generation"] = old["metadata"].get("generation", 1) + 1
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if finish is not None:
            finish(new)
        if dry_run:
            admission.restore(self.allocator, resource, old, new)
        elif new != old:
            self._commit("MODIFIED", resource, old, new)
            if resource.key == CRDS.key:
                self._establish(new)
        return copy_json(new)

    def apply(self, resource: Resource, obj: Object) -> Object:
        """Create the object, or replace everything but its status; for controllers and scenarios."""
        meta = obj["metadata"]
        old = self.get(resource, meta.get("namespace", "default") if resource.namespaced else None, meta["name"])
        if old is None:
            return self.create(resource, obj)
        new = {**copy_json(obj)}
        if "status" not in new and "status" in old:
            new["status"] = old["status"]
        new["metadata"].pop("resourceVersion", None)
        return self.update(resource, new)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Any,
        patch_type: str = "merge",
        subresource: str | None = None,
    ) -> Object:
        """Change an object by a ``json``, ``merge`` or ``strategic`` patch, or its status alone (``subresource``)."""
        old = self.need(resource, namespace, name)
        new = patches.patched(old, body, patch_type)
        if subresource == "status":
            new = {**old, "status": new.get("status", {})}
        return self.update(resource, new)

    def set_status(self, resource: Resource, namespace: str | None, name: str, status: Object) -> Object:
        """Replace the status alone."""
        return self.update(resource, {**self.need(resource, namespace, name), "status": status})

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_seconds: int = 0,
        propagation: str = "Background",
        uid: str | None = None,
    ) -> Object:
        """Delete, or mark for deletion where finalizers, a grace period or a controller hold it; returns the object.

        ``propagation`` is Background, Foreground or Orphan (``ownerReferences`` of dependents).
        """
        record = self._table(resource).get((namespace or "", name))
        if record is None:
            raise status.not_found(resource, name)
        old = record.body
        if uid and uid != old["metadata"]["uid"]:
            raise status.other_uid(resource, old["metadata"], uid)
        if resource.key == PODS.key and PODS.key not in self.left_to_controllers:
            grace_seconds = 0
        new = garbage.marked(self, resource, old, grace_seconds, propagation)
        if garbage.may_go(resource, new):
            return self._remove(resource, old, new)
        if new["metadata"] != old["metadata"] or new.get("status") != old.get("status"):
            self._commit("MODIFIED", resource, old, new)
        garbage.after_marking(self, resource, new)
        return copy_json(new)

    def new_uid(self) -> str:
        """A version 4 UUID from the seeded source."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    # -- inside --------------------------------------------------------------------------------------------------

    def _table(self, resource: Resource) -> dict[tuple[str, str], _Record]:
        return self._tables.setdefault(resource.key, {})

    def _records(self, resource: Resource, namespace: str | None) -> Iterator[_Record]:
        table = self._table(resource)
        keys = sorted(key for key in table if namespace is None or key[0] == namespace)
        return iter([table[key] for key in keys])

    def _may_create(self, resource: Resource, meta: Object) -> None:
        name = str(meta.get("name", ""))
        if resource.namespaced:
            space = self._table(NAMESPACES).get(("", meta["namespace"]))
            if space is None:
                raise status.not_found(NAMESPACES, meta["namespace"])
            if "deletionTimestamp" in space.body["metadata"]:
                raise garbage.terminating(resource, name, space.body)
        if (meta.get("namespace", ""), name) in self._table(resource):
            raise status.already_exists(resource, name)

    def _current(self, resource: Resource, meta: Object) -> Object:
        """What an update replaces. Raises ``ApiError`` 404 or 409 where it is not what the client has seen."""
        name = str(meta["name"])
        record = self._table(resource).get((meta.get("namespace", "default") if resource.namespaced else "", name))
        if record is None:
            raise status.not_found(resource, name)
        held = record.body["metadata"]
        if meta.get("resourceVersion") not in (None, "", held["resourceVersion"]):
            raise status.conflict(resource, name)
        if meta.get("uid", held["uid"]) != held["uid"]:
            raise status.other_uid(resource, held, meta["uid"])
        return record.body

    def _commit(self, kind: str, resource: Resource, old: Object | None, new: Object) -> None:
        self.resource_version += 1
        meta = new["metadata"]
        rest = {key: value for key, value in new.items() if key not in ("kind", "apiVersion", "metadata")}
        new = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta, **rest}
        meta["resourceVersion"] = str(self.resource_version)
        key = (meta.get("namespace", ""), meta["name"])
        history = self.history(resource)
        self.owners.record(resource, old, None if kind == "DELETED" else new)
        if kind == "DELETED":
            del self._table(resource)[key]
        else:
            self._table(resource)[key] = _Record(new)
        change = Change(self.resource_version, kind, resource, old, new)
        history.record(change)
        self._pending.append(change)
        self._deliver()

    def _deliver(self) -> None:
        """Tell everybody in the order of the writes, also when a listener writes."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._pending:
                change = self._pending.popleft()
                history = self._histories.get(change.resource.key)
                if history is not None:
                    history.notify(change)
                for callback in tuple(self._subscribers):
                    callback(change.kind, change.resource, change.after)
        finally:
            self._delivering = False

    def _remove(self, resource: Resource, old: Object, last: Object) -> Object:
        self._commit("DELETED", resource, old, last)
        admission.release(self.allocator, resource, last)
        if resource.key == CRDS.key:
            self._withdraw(last)
        garbage.after_removal(self, resource, last)
        return copy_json(last)

    def _establish(self, crd: Object) -> None:
        self.register(*defined(crd))

    def _withdraw(self, crd: Object) -> None:
        resource = self.resources.get((crd["spec"]["group"], crd["spec"]["names"]["plural"]))
        if resource is not None and resource.custom:
            self.unregister(resource)


def _keep_system_fields(old: Object, new: Object) -> None:
    before, meta = old["metadata"], new["metadata"]
    for field in (
        "uid",
        "creationTimestamp",
        "namespace",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ):
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
