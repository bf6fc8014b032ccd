"""DaemonSets and Deployments as the API serves them, the version in their images, and where Cilium's agents are."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from mesh.model.kubernetes import Workload

AGENT_LABELS: Final = "k8s-app=cilium"
_TAG: Final = re.compile(r":v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)(?:[-@]|$)")
_CHART: Final = re.compile(r"-v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)$")


class _Alias(Struct):
    ip: str = ""
    names: list[str] | None = field(name="hostnames", default=None)


class _Variable(Struct):
    name: str = ""
    value: str = ""


class _Container(Struct):
    name: str = ""
    image: str = ""
    env: list[_Variable] | None = None


class _PodSpec(Struct):
    containers: list[_Container] = []
    node_selector: dict[str, str] | None = field(name="nodeSelector", default=None)
    aliases: list[_Alias] | None = field(name="hostAliases", default=None)


class _Template(Struct):
    spec: _PodSpec = field(default_factory=_PodSpec)


class _Spec(Struct):
    template: _Template = field(default_factory=_Template)
    replicas: int = 1


class _DaemonSetStatus(Struct):
    desired: int = field(name="desiredNumberScheduled", default=0)
    current: int = field(name="currentNumberScheduled", default=0)
    ready: int = field(name="numberReady", default=0)
    updated: int = field(name="updatedNumberScheduled", default=0)
    observed: int = field(name="observedGeneration", default=0)


class _DeploymentStatus(Struct):
    replicas: int = 0
    ready: int = field(name="readyReplicas", default=0)
    updated: int = field(name="updatedReplicas", default=0)
    observed: int = field(name="observedGeneration", default=0)


class Manager(Struct):
    """One of ``managedFields``."""

    manager: str = ""


class OwnerReference(Struct):
    """One of ``ownerReferences``."""

    kind: str = ""
    name: str = ""


class Metadata(Struct):
    """What of an object's metadata tells who made it."""

    name: str = ""
    namespace: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owners: list[OwnerReference] | None = field(name="ownerReferences", default=None)
    managers: list[Manager] | None = field(name="managedFields", default=None)


class DaemonSetObject(Struct):
    """The part of a DaemonSet that is read."""

    metadata: Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _DaemonSetStatus = field(default_factory=_DaemonSetStatus)


class DeploymentObject(Struct):
    """The part of a Deployment that is read."""

    metadata: Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _DeploymentStatus = field(default_factory=_DeploymentStatus)


def daemon_set(item: DaemonSetObject) -> Workload:
    """In our words."""
    status = item.status
    return _workload("DaemonSet", item, status.desired, status.current, status.ready, status.updated, status.observed)


def deployment(item: DeploymentObject) -> Workload:
    """In our words; desired are the replicas of the spec."""
    status = item.status
    desired = item.spec.replicas
    return _workload("Deployment", item, desired, status.replicas, status.ready, status.updated, status.observed)


def _workload(
    kind: str,
    item: DaemonSetObject | DeploymentObject,
    desired: int,
    current: int,
    ready: int,
    updated: int,
    observed: int,
) -> Workload:
    metadata, pod = item.metadata, item.spec.template.spec
    aliases: dict[str, tuple[str, ...]] = {}
    for alias in pod.aliases or ():
        for name in alias.names or ():
            aliases[name] = (*aliases.get(name, ()), alias.ip)
    return Workload(
        kind,
        metadata.namespace,
        metadata.name,
        desired,
        current,
        ready,
        updated,
        metadata.generation,
        observed,
        images=tuple(one.image for one in pod.containers),
        containers=tuple(one.name for one in pod.containers),
        node_selector=pod.node_selector or {},
        labels=metadata.labels,
        annotations=_short(metadata.annotations),
        env={one.name: one.value for container in pod.containers for one in container.env or () if _matters(one)},
        host_aliases=aliases,
        field_managers=tuple(dict.fromkeys(one.manager for one in metadata.managers or ())),
    )


def _short(annotations: dict[str, str]) -> dict[str, str]:
    """Without kubectl's copy of the whole object, which may hold anything."""
    return {key: value for key, value in annotations.items() if not key.startswith("kubectl.kubernetes.io/last-")}


def _matters(variable: _Variable) -> bool:
    """Variables are kept by name only: any other may hold a secret."""
    return variable.name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "CLUSTER_NAME", "CLUSTER_ID")


def agents_of(workloads: Iterable[Workload]) -> Workload | None:
    """Cilium's agent DaemonSet: named ``cilium``, or running a container ``cilium-agent`` under another name."""
    sets = [item for item in workloads if item.kind == "DaemonSet"]
    named = [item for item in sets if item.name == "cilium" and item.labels.get("k8s-app", "cilium") == "cilium"]
    running = [item for item in sets if "cilium-agent" in item.containers]
    return next(iter((*named, *running)), None)


def version_of(agents: Workload) -> str:
    """The version in the agent image's tag, else in the labels; "" if neither tells (a bare digest)."""
    pairs = zip(agents.containers, agents.images, strict=False)
    image = next((image for name, image in pairs if name == "cilium-agent"), next(iter(agents.images), ""))
    found = _TAG.search(image)
    if found:
        return found[1]
    for label, pattern in (("app.kubernetes.io/version", re.compile(r"^v?(.+)$")), ("helm.sh/chart", _CHART)):
        told = pattern.search(agents.labels.get(label, ""))
        if told and re.match(r"\d+\.\d+", told[1]):
            return told[1]
    return ""


def numbers(version: str) -> tuple[int, ...]:
    """(major, minor, patch) of a version text; () if there is none."""
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part) for part in found.groups() if part) if found else ()
