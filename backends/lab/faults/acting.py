"""What several faults do to a cluster: change its Cilium settings, make pods anew, change its Helm release."""

from collections.abc import Mapping
from typing import Any, Final

from backends.lab.charts.version import ChartVersion
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.errors import NotFound, ReleaseError
from backends.lab.commands.releases.options import Chart, Options
from backends.lab.commands.releases.record import Release
from backends.lab.commands.releases.storage import Storage
from backends.lab.commands.releases.upgrade import upgrade
from backends.lab.controllers import reading
from backends.lab.faults.fault import Undo, cluster, pair
from backends.lab.storage.resources import CONFIGMAPS, PODS
from backends.lab.world import LabCluster, World

HOME: Final = "kube-system"
RELEASE: Final = "cilium"
AGENTS: Final = ("k8s-app", "cilium")
OPERATORS: Final = ("io.cilium/app", "operator")
MESH_API: Final = ("k8s-app", "clustermesh-apiserver")


def target_of(world: World, target: str, prefer: str = "eks") -> LabCluster:
    """The cluster that a fault is about: the named one, else one of the preferred provider, else the first.

    Raises ``ValueError``.
    """
    if target:
        return cluster(world, target)
    found = [one for one in world.clusters.values() if one.provider == prefer] or list(world.clusters.values())
    if not found:
        raise ValueError("there is no cluster")
    return found[0]


def peer_of(world: World, target: LabCluster, source: str = "") -> LabCluster:
    """Another cluster than ``target``. Raises ``ValueError``."""
    return pair(world, source, target.name)[0]


def settings(target: LabCluster) -> dict[str, str]:
    """``cilium-config`` as it is. Raises ``ValueError`` where Cilium is not installed."""
    found = target.objects.stored(CONFIGMAPS, HOME, "cilium-config")
    if found is None:
        raise ValueError(f"{target.name} has no Cilium")
    return {key: str(value) for key, value in (found.get("data") or {}).items()}


def need_tunnel(target: LabCluster) -> None:
    """Raises ``ValueError`` where Cilium is installed and routes without a tunnel."""
    found = target.objects.stored(CONFIGMAPS, HOME, "cilium-config") or {}
    if (found.get("data") or {}).get("routing-mode") == "native":
        raise ValueError(f"{target.name} has no tunnel: its routing mode is native")


def change_settings(target: LabCluster, changes: Mapping[str, str | None]) -> Undo:
    """Write keys of ``cilium-config`` (None removes one); returns what writes the old ones back."""
    before = settings(target)

    def write(values: Mapping[str, str | None]) -> None:
        target.objects.patch(CONFIGMAPS, HOME, "cilium-config", {"data": dict(values)})

    write(changes)
    return lambda: write({key: before.get(key) for key in changes})


def restart(target: LabCluster, *labels: tuple[str, str]) -> None:
    """Delete the pods with these labels; their workloads make new ones."""
    for key, value in labels:
        for pod in target.objects.list(PODS, HOME, {key: value}):
            target.objects.delete(PODS, HOME, pod["metadata"]["name"])


def recreate_pods(target: LabCluster) -> None:
    """Delete every pod of the pod network."""
    for pod in target.objects.list(PODS):
        if not reading.host_network(pod) and not reading.finished(pod) and not reading.terminating(pod):
            target.objects.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])


def storage(world: World, target: LabCluster) -> Storage:
    """The releases of Cilium's namespace."""
    return Storage(StorePort(target.objects, target.version, world.clock.now), HOME)


def release(world: World, target: LabCluster) -> Release:
    """The newest revision. Raises ``ValueError`` where there is none."""
    try:
        return storage(world, target).last(RELEASE)
    except NotFound:
        raise ValueError(f"{target.name} has no Helm release {RELEASE}") from None


def upgrade_release(world: World, target: LabCluster, values: Mapping[str, Any], version: str = "") -> None:
    """``helm upgrade`` with these values, without waiting for anything. Raises ``ValueError`` as helm refuses it."""
    port = StorePort(target.objects, target.version, world.clock.now)
    chart = Chart(ChartVersion.parse(version)) if version else None
    options = Options(keys="ec", hooks=False)
    try:
        upgrade(port, chart, values, name=RELEASE, namespace=HOME, policy="reset", options=options)
    except ReleaseError as problem:
        raise ValueError(f"helm in {target.name}: {problem}") from problem


def undone(*steps: Undo) -> Undo:
    """All of these, in order."""

    def run() -> None:
        for step in steps:
            step()

    return run


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, tables merged."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
