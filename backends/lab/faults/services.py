"""Faults of global services."""

from typing import Any, Final

from backends.lab.faults.acting import target_of
from backends.lab.faults.fault import Fault, Undoing
from backends.lab.objects import Object, Resource
from backends.lab.storage.resources import DEPLOYMENTS, SERVICES
from backends.lab.world import LabCluster, World

_LAYER: Final = "services"
_GLOBAL: Final = "service.cilium.io/global"


def _service(here: LabCluster, name: str) -> Object:
    """``namespace/name``, or the first global Service. Raises ``ValueError``."""
    for one in here.objects.view(SERVICES):
        meta = one["metadata"]
        wanted = f"{meta['namespace']}/{meta['name']}" == name if name else _GLOBAL in (meta.get("annotations") or {})
        if wanted:
            return dict(one)
    raise ValueError(f"{here.name} has no {'Service ' + name if name else 'global Service'}")


def _patch(here: LabCluster, resource: Resource, obj: Object, body: dict[str, Any]) -> None:
    here.objects.patch(resource, obj["metadata"]["namespace"], obj["metadata"]["name"], body)


def _local_pods_gone() -> Fault:
    """The Deployment behind a Service has no replicas."""
    undoing = Undoing()

    def inject(world: World, target: str = "", service: str = "") -> None:
        here = target_of(world, target)
        found = _service(here, service)
        wanted = (found["spec"].get("selector") or {}).items()
        for deployment in here.objects.list(DEPLOYMENTS, found["metadata"]["namespace"]):
            labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
            replicas = deployment["spec"].get("replicas", 1)
            if wanted and wanted <= labels.items() and replicas:
                _patch(here, DEPLOYMENTS, deployment, {"spec": {"replicas": 0}})
                body = {"spec": {"replicas": replicas}}
                undoing.add(world, lambda one=deployment, back=body: _patch(here, DEPLOYMENTS, one, back))  # type: ignore[misc]  # defaults bind
                return
        raise ValueError(f"nothing runs behind {found['metadata']['name']} in {here.name}")

    return Fault("local-pods-gone", "Local pods gone", _LAYER, inject, undoing.clear)


def _port_names_differ() -> Fault:
    """A Service's port has another name than in the other clusters."""
    undoing = Undoing()

    def inject(world: World, target: str = "", service: str = "", name: str = "web") -> None:
        here = target_of(world, target, "aks")
        found = _service(here, service)
        before = [dict(port) for port in found["spec"]["ports"]]
        after = [{**before[0], "name": name}, *before[1:]]
        _patch(here, SERVICES, found, {"spec": {"ports": after}})
        undoing.add(world, lambda: _patch(here, SERVICES, found, {"spec": {"ports": before}}))

    return Fault("port-names-differ", "Port names differ", _LAYER, inject, undoing.clear)


def _marked(name: str, title: str, key: str, value: str) -> Fault:
    """A Service's annotation has another value."""
    undoing = Undoing()

    def inject(world: World, target: str = "", service: str = "") -> None:
        here = target_of(world, target, "aks")
        found = _service(here, service)
        before = (found["metadata"].get("annotations") or {}).get(key)
        _patch(here, SERVICES, found, {"metadata": {"annotations": {key: value}}})
        undoing.add(world, lambda: _patch(here, SERVICES, found, {"metadata": {"annotations": {key: before}}}))

    return Fault(name, title, _LAYER, inject, undoing.clear)


FAULTS: Final[tuple[Fault, ...]] = (
    _local_pods_gone(),
    _port_names_differ(),
    _marked("affinity-unknown", "Affinity has an unknown value", "service.cilium.io/affinity", "nearest"),
    _marked("not-global-here", "Service is global on one side only", _GLOBAL, "false"),
)
