"""The life of a load balancer Service: seen, made, ready, changed, taken away."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from backends.lab.cluster import LabCluster
from backends.lab.controllers.recording import Recorder
from backends.lab.objects import Object, Resource
from backends.lab.storage.resources import NODES, SERVICES

_RETRY: Final = 15.0
_EXCLUDE: Final = "node.kubernetes.io/exclude-from-external-load-balancers"


class CannotBalance(Exception):
    """The controller gives up for now: ``reason`` and message of the Event that says so."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Made:
    """A load balancer that exists: what Kubernetes shows of it, when it starts to work, and the maker's own notes."""

    ingress: list[dict[str, Any]]
    seconds_until_active: float
    notes: Any


class Maker(Protocol):
    """One cloud's way. ``delay`` is lab seconds from the Service to its load balancer."""

    delay: float

    @property
    def component(self) -> str:
        """The event source."""

    @property
    def finalizer(self) -> str:
        """What holds a Service while its load balancer is taken away."""

    def wants(self, service: Object) -> bool:
        """Whether this controller feels responsible."""

    def shape(self, service: Object) -> object:
        """What of the Service makes another load balancer necessary when it changes."""

    def make(self, service: Object, nodes: list[Object]) -> Made:
        """Create everything. Raises ``CannotBalance``."""

    def activate(self, made: Made) -> None:
        """Let it carry traffic."""

    def change(self, made: Made, service: Object, nodes: list[Object]) -> None:
        """Bring ports and machines up to date."""

    def remove(self, made: Made) -> None:
        """Take everything away."""


@dataclass(slots=True)
class _Record:
    due: float
    key: tuple[str, str]
    made: Made | None = None
    active: bool = False
    shape: object = None
    signature: object = None


class ServiceController:
    """Looks at all Services of one cluster each time it is asked, and remembers what it made."""

    def __init__(self, cluster: LabCluster, maker: Maker, touched: Callable[[], None]) -> None:
        self._store = cluster.objects
        self._maker = maker
        self._touched = touched
        self._recorder = Recorder(cluster.objects)
        self._records: dict[str, _Record] = {}
        self._dirty = True
        self._due = 0.0
        cluster.objects.subscribe(self._changed)

    def _changed(self, kind: str, resource: Resource, obj: Object) -> None:
        if resource.key == SERVICES.key or (resource.key == NODES.key and kind != "MODIFIED"):
            self._dirty = True
            self._touched()

    def advance(self, now: float) -> float:
        """Do what is due; returns when to look again."""
        for _ in range(10):
            if not self._dirty and now < self._due:
                return self._due
            self._dirty = False
            self._due = self._look(now)
        return self._due

    def _look(self, now: float) -> float:
        due = math.inf
        seen = set()
        nodes: list[Object] | None = None
        for service in list(self._store.view(SERVICES)):
            uid = service["metadata"]["uid"]
            seen.add(uid)
            going = "deletionTimestamp" in service["metadata"]
            if going or not self._maker.wants(service):
                self._take_away(uid, service)
                continue
            if nodes is None:
                nodes = [node for node in self._store.view(NODES) if _EXCLUDE not in node["metadata"].get("labels", {})]
            due = min(due, self._care(uid, service, nodes, now))
        for uid in [uid for uid in self._records if uid not in seen]:
            self._forget(uid)
        return due

    # -- making --------------------------------------------------------------------------------------------------

    def _care(self, uid: str, service: Object, nodes: list[Object], now: float) -> float:
        record = self._records.get(uid)
        meta = service["metadata"]
        if record is None:
            record = self._records[uid] = _Record(now + self._maker.delay, (meta["namespace"], meta["name"]))
            self._tell(service, "EnsuringLoadBalancer", "Ensuring load balancer")
            if self._maker.finalizer not in (meta.get("finalizers") or ()):
                self._hold(service, add=True)
        if record.made is not None and record.shape != self._maker.shape(service):
            self._maker.remove(record.made)
            record.made, record.active, record.due = None, False, now + self._maker.delay
        if record.made is None:
            return record.due if now < record.due else self._make(record, service, nodes, now)
        if not record.active:
            if now < record.due:
                return record.due
            self._maker.activate(record.made)
            record.active = True
        signature = _signature(service, nodes)
        if signature != record.signature:
            self._maker.change(record.made, service, nodes)
            record.signature = signature
        return math.inf

    def _make(self, record: _Record, service: Object, nodes: list[Object], now: float) -> float:
        try:
            made = self._maker.make(service, nodes)
        except CannotBalance as problem:
            self._tell(service, problem.reason, str(problem), warn=True)
            record.due = now + _RETRY
            return record.due
        record.made, record.signature, record.shape = made, _signature(service, nodes), self._maker.shape(service)
        record.due = now + made.seconds_until_active
        status = {"loadBalancer": {"ingress": made.ingress}}
        self._store.set_status(SERVICES, *record.key, status)
        self._tell(service, "EnsuredLoadBalancer", "Ensured load balancer")
        return record.due

    # -- taking away ---------------------------------------------------------------------------------------------

    def _take_away(self, uid: str, service: Object) -> None:
        meta = service["metadata"]
        if uid in self._records:
            self._tell(service, "DeletingLoadBalancer", "Deleting load balancer")
            self._forget(uid)
            if "deletionTimestamp" not in meta and (service.get("status") or {}).get("loadBalancer"):
                self._store.set_status(SERVICES, meta["namespace"], meta["name"], {"loadBalancer": {}})
            self._tell(service, "DeletedLoadBalancer", "Deleted load balancer")
        if self._maker.finalizer in (meta.get("finalizers") or ()):
            self._hold(service, add=False)

    def _forget(self, uid: str) -> None:
        record = self._records.pop(uid)
        if record.made is not None:
            self._maker.remove(record.made)

    def _hold(self, service: Object, *, add: bool) -> None:
        meta = service["metadata"]
        fresh = self._store.get(SERVICES, meta["namespace"], meta["name"])
        if fresh is None:
            return
        kept = [name for name in fresh["metadata"].get("finalizers") or () if name != self._maker.finalizer]
        fresh["metadata"]["finalizers"] = [*kept, self._maker.finalizer] if add else kept
        self._store.update(SERVICES, fresh)

    def _tell(self, service: Object, reason: str, message: str, *, warn: bool = False) -> None:
        self._recorder.record(SERVICES, service, reason, message, source=self._maker.component, warn=warn)


def _signature(service: Object, nodes: list[Object]) -> object:
    ports = tuple(
        (port.get("name"), port.get("protocol"), port["port"], port.get("nodePort"))
        for port in service["spec"].get("ports") or ()
    )
    sources = tuple(service["spec"].get("loadBalancerSourceRanges") or ())
    return (ports, sources, tuple(sorted(str((node.get("spec") or {}).get("providerID")) for node in nodes)))


def annotation(service: Object, name: str) -> str | None:
    """The value of an annotation, or None."""
    value = (service["metadata"].get("annotations") or {}).get(name)
    return None if value is None else str(value)
