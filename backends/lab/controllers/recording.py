"""Events: what controllers and kubelets tell about an object, folded when it repeats."""

from typing import Final

from backends.lab.controllers.reading import parse_time, stamp
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import EVENTS, NAMESPACES, Resource

LIFETIME: Final = 3600.0
"""Lab seconds that an event is kept (kube-apiserver --event-ttl)."""


class Recorder:
    """Writes Events of one cluster."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str, str, str], str] = {}

    def record(
        self, resource: Resource, obj: Object, reason: str, message: str, *, source: str, warn: bool = False
    ) -> None:
        """Tell ``message`` about ``obj``; the same reason and message count up one Event."""
        now = stamp(self._store.now())
        meta = obj["metadata"]
        namespace = meta.get("namespace") or "default"
        key = (meta["uid"], reason, message, source)
        name = self._known.get(key)
        seen = self._store.get(EVENTS, namespace, name) if name else None
        if seen is not None:
            self._store.update(EVENTS, {**seen, "count": seen.get("count", 1) + 1, "lastTimestamp": now})
            return
        space = self._store.get(NAMESPACES, None, namespace)
        if space is None or "deletionTimestamp" in space["metadata"]:
            return
        made = self._store.create(
            EVENTS,
            {
                "metadata": {
                    "name": f"{meta['name']}.{self._store.rng.getrandbits(64):016x}",
                    "namespace": namespace,
                },
                "involvedObject": {
                    "apiVersion": resource.api_version,
                    "kind": resource.kind,
                    "name": meta["name"],
                    **({"namespace": meta["namespace"]} if resource.namespaced else {}),
                    "resourceVersion": meta.get("resourceVersion", ""),
                    "uid": meta["uid"],
                },
                "reason": reason,
                "message": message,
                "source": {"component": source},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": "Warning" if warn else "Normal",
                "eventTime": None,
                "reportingComponent": source,
                "reportingInstance": "",
            },
        )
        self._known[key] = made["metadata"]["name"]

    def expire(self, now: float) -> None:
        """Remove Events that are older than an hour of lab time."""
        old = [
            event["metadata"]
            for event in self._store.view(EVENTS)
            if parse_time(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")) < now - LIFETIME
        ]
        for meta in old:
            self._store.delete(EVENTS, meta["namespace"], meta["name"])
        if old:
            gone = {meta["name"] for meta in old}
            self._known = {key: name for key, name in self._known.items() if name not in gone}
