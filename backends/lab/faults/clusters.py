"""Faults of what runs in a cluster and of its Helm release."""

import dataclasses
from typing import Any, Final

from backends.lab.commands.releases.record import PENDING_UPGRADE
from backends.lab.faults.acting import HOME, release, storage, target_of, undone, upgrade_release
from backends.lab.faults.fault import Fault, Undo, Undoing
from backends.lab.storage.resources import DAEMONSETS
from backends.lab.topology import system
from backends.lab.world import LabCluster, World

_LAYER: Final = "clusters"
_NO_SUCH: Final = "v1.19.99"


def _still_running(name: str, title: str, workload: str, prefer: str) -> Fault:
    """A DaemonSet that Cilium replaces runs on every node (again)."""
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, prefer)
        before = here.objects.get(DAEMONSETS, HOME, workload)
        if before is None:
            (system.aws_node if workload == "aws-node" else system.kube_proxy)(here)
            undoing.add(world, lambda: _delete(here, workload))
            return
        spec = before["spec"]["template"]["spec"]
        here.objects.patch(DAEMONSETS, HOME, workload, _selector(None))
        undoing.add(world, lambda: _select(here, workload, spec.get("nodeSelector")))

    return Fault(name, title, _LAYER, inject, undoing.clear)


def _selector(value: dict[str, str] | None) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"nodeSelector": value}}}}


def _select(here: LabCluster, workload: str, value: dict[str, str] | None) -> None:
    here.objects.patch(DAEMONSETS, HOME, workload, _selector(value))


def _delete(here: LabCluster, workload: str) -> None:
    if here.objects.stored(DAEMONSETS, HOME, workload) is not None:
        here.objects.delete(DAEMONSETS, HOME, workload)


def _image(here: LabCluster, workload: str, image: str) -> Undo:
    """Give a DaemonSet's first container another image."""
    found = here.objects.get(DAEMONSETS, HOME, workload)
    if found is None:
        raise ValueError(f"{here.name} has no DaemonSet {workload}")
    container = found["spec"]["template"]["spec"]["containers"][0]

    def write(value: str) -> None:
        entry = {"name": container["name"], "image": value}
        body = {"spec": {"template": {"spec": {"containers": [entry]}}}}
        here.objects.patch(DAEMONSETS, HOME, workload, body, "strategic")

    write(image)
    return lambda: write(str(container["image"]))


def _agents_not_ready() -> Fault:
    """A rollout of the agents stops at an image that no registry has."""
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, "aks")
        undoing.add(world, _image(here, "cilium", f"quay.io/cilium/cilium:{_NO_SUCH}"))

    return Fault("agents-not-ready", "Agents are not ready", _LAYER, inject, undoing.clear)


def _versions_too_far() -> Fault:
    """One cluster's release is of an older minor version."""
    undoing = Undoing()

    def inject(world: World, target: str = "", version: str = "1.17.4") -> None:
        here = target_of(world, target, "aks")
        now = release(world, here)
        before = str(now.chart["metadata"]["version"])
        values = dict(now.config)
        upgrade_release(world, here, values, version)
        undoing.add(world, lambda: upgrade_release(world, here, values, before))

    return Fault("versions-too-far", "Cilium versions too far apart", _LAYER, inject, undoing.clear)


def _release_pending() -> Fault:
    """A helm upgrade was cut off: its revision is ``pending-upgrade``, the one before still in force."""
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, "aks")
        now = release(world, here)
        stuck = dataclasses.replace(
            now, revision=now.revision + 1, status=PENDING_UPGRADE, description="Preparing upgrade"
        )
        storage(world, here).create(stuck)
        undoing.add(world, undone(lambda: storage(world, here).delete(stuck)))

    return Fault("release-pending", "Helm release is stuck in an upgrade", _LAYER, inject, undoing.clear)


FAULTS: Final[tuple[Fault, ...]] = (
    _still_running("aws-node-running", "aws-node still runs", "aws-node", "eks"),
    _still_running("kube-proxy-running", "kube-proxy still runs", "kube-proxy", "eks"),
    _agents_not_ready(),
    _versions_too_far(),
    _release_pending(),
)
