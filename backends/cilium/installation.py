"""Row *cilium config, owner*: what is installed, with which settings and version, and who owns it."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, field

from backends.cilium.owner import owner_of
from backends.cilium.release import read_release
from backends.cilium.settings import BadSetting, read_settings
from backends.cilium.workloads import (
    DaemonSetObject,
    DeploymentObject,
    Metadata,
    agents_of,
    daemon_set,
    deployment,
    numbers,
    version_of,
)
from mesh import catalogue as fact
from mesh.facts import Fact, FactName, Known, Reason, Unknown
from mesh.model import kinds
from mesh.model.cilium import CiliumNode
from mesh.model.context import Right
from mesh.model.kubernetes import HelmRelease, OwnerKind, Workload
from mesh.model.rights import SYSTEM
from mesh.reading import Collected, Cost, NotRead, Scope

_CONFIG: Final = "cilium-config"


class ConfigMap(Struct):
    """The part of a ConfigMap that is read."""

    metadata: Metadata
    data: dict[str, str] | None = None


class _Address(Struct):
    type: str = ""
    ip: str = ""


class _Ipam(Struct):
    cidrs: list[str] | None = field(name="podCIDRs", default=None)


class _Health(Struct):
    ipv4: str = ""
    ipv6: str = ""


class _Spec(Struct):
    addresses: list[_Address] | None = None
    ipam: _Ipam = field(default_factory=_Ipam)
    health: _Health = field(default_factory=_Health)


class _CiliumNode(Struct):
    metadata: Metadata
    spec: _Spec = field(default_factory=_Spec)


class Installation:
    """Workloads of kube-system and of Cilium's namespace, ``cilium-config``, CiliumNodes, the Helm release, the owner.

    Each is unknown for its own reason where it cannot be read.
    """

    id = "config"
    label = "cilium config, owner"
    provides: tuple[FactName[Any], ...] = (
        fact.WORKLOADS,
        fact.SETTINGS,
        fact.CILIUM_VERSION,
        fact.CILIUM_NODES,
        fact.OWNER,
        fact.HELM,
    )
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = (
        kinds.DAEMON_SETS.right("list"),
        kinds.DEPLOYMENTS.right("list", SYSTEM),
        kinds.CONFIG_MAPS.right("get", SYSTEM),
        kinds.CILIUM_NODES.right("list"),
        kinds.SECRETS.right("list", SYSTEM),
        kinds.SECRETS.right("get", SYSTEM),
    )
    cost = Cost.NORMAL
    timeout_s = 60.0
    max_bytes = 256_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        facts: dict[FactName[Any], Fact] = {fact.CILIUM_NODES: await _cilium_nodes(scope)}
        try:
            sets, deployments, everywhere = await _objects(scope)
        except NotRead as error:
            lost = (fact.WORKLOADS, fact.SETTINGS, fact.CILIUM_VERSION, fact.OWNER, fact.HELM)
            return Collected({**facts, **dict.fromkeys(lost, error.unknown)})
        workloads = tuple(sorted([*map(daemon_set, sets), *map(deployment, deployments)], key=_order))
        agents = agents_of(workloads)
        namespace = agents.namespace if agents else SYSTEM
        facts[fact.WORKLOADS] = scope.known(workloads, "list daemonsets, deployments")
        facts[fact.CILIUM_VERSION] = _version(scope, agents, everywhere)
        config, facts[fact.SETTINGS] = await _settings(scope, namespace, agents)
        objects = [item.metadata for item in sets if agents and _is(item.metadata, agents)]
        objects += [config.metadata] if config else []
        release = owner_release(objects)
        facts[fact.HELM] = await _helm(scope, namespace, release or "cilium")
        facts[fact.OWNER] = _owner(scope, objects, facts[fact.SETTINGS], facts[fact.HELM])
        return Collected(facts, _text(facts))


def _order(item: Workload) -> tuple[str, str, str]:
    return (item.kind, item.namespace, item.name)


def _is(metadata: Metadata, workload: Workload) -> bool:
    return (metadata.namespace, metadata.name) == (workload.namespace, workload.name)


async def _objects(scope: Scope) -> tuple[list[DaemonSetObject], list[DeploymentObject], bool]:
    """DaemonSets and Deployments of kube-system and of the agents' namespace; whether all namespaces were searched."""
    reader = scope.reader
    everywhere = True
    try:
        sets = await reader.list(kinds.DAEMON_SETS, DaemonSetObject)
    except NotRead as error:
        if error.unknown.reason is not Reason.FORBIDDEN:
            raise
        sets, everywhere = await reader.list(kinds.DAEMON_SETS, DaemonSetObject, namespace=SYSTEM), False
    agents = agents_of(map(daemon_set, sets))
    places = dict.fromkeys((SYSTEM, agents.namespace if agents else SYSTEM))
    deployments: list[DeploymentObject] = []
    for namespace in places:
        deployments += await reader.list(kinds.DEPLOYMENTS, DeploymentObject, namespace=namespace)
    return [item for item in sets if item.metadata.namespace in places], deployments, everywhere


def _version(scope: Scope, agents: Workload | None, everywhere: bool) -> Fact:
    if agents is None:
        if everywhere:
            return scope.known(None, "list daemonsets")
        where = f"only {SYSTEM} could be searched for Cilium's agents"
        return Unknown(Reason.FORBIDDEN, where, str(kinds.DAEMON_SETS.right("list")))
    version = version_of(agents)
    if version:
        return scope.known(version, f"get daemonset {agents.name}")
    image = next(iter(agents.images), "no image")
    return Unknown(
        Reason.INVALID, f"the agents' image names no version: {image}", "exec into an agent: cilium-dbg version"
    )


async def _settings(scope: Scope, namespace: str, agents: Workload | None) -> tuple[ConfigMap | None, Fact]:
    try:
        found = await scope.reader.get(kinds.CONFIG_MAPS, ConfigMap, _CONFIG, namespace)
    except NotRead as error:
        return None, error.unknown
    version = numbers(version_of(agents)) if agents else ()
    return found, settings_of(scope, found, version, f"get configmap {_CONFIG} in {namespace}")


def settings_of(scope: Scope, config: ConfigMap | None, version: tuple[int, ...], what: str) -> Fact:
    """The settings of this ConfigMap; none = Cilium is not installed."""
    try:
        return scope.known(read_settings(config.data or {}, version) if config else None, what)
    except BadSetting as error:
        return Unknown(Reason.INVALID, f"{_CONFIG}: {error}", "Correct the value with helm upgrade.")


def owner_release(objects: Sequence[Metadata]) -> str:
    """Name of the Helm release by the objects' annotations; "" if they name none."""
    names = [item.annotations.get("meta.helm.sh/release-name", "") for item in objects]
    return next((name for name in names if name), "")


async def _helm(scope: Scope, namespace: str, release: str) -> Fact:
    try:
        return scope.known(
            await read_release(scope.reader, namespace, release), f"get secrets of release {release} in {namespace}"
        )
    except NotRead as error:
        return error.unknown


def _owner(scope: Scope, objects: Sequence[Metadata], settings: Fact, helm: Fact) -> Fact:
    """Labels tell; only "nobody" needs every object to have been read."""
    owner = owner_of(objects)
    if owner.kind is OwnerKind.UNOWNED:
        if isinstance(settings, Unknown):
            return settings
        if isinstance(helm, Known) and isinstance(helm.value, HelmRelease):
            release = helm.value
            owner = type(owner)(
                OwnerKind.HELM, release.name, f"Helm release {release.name} revision {release.revision}"
            )
    return scope.known(owner, f"labels and annotations of daemonset cilium, configmap {_CONFIG}")


async def _cilium_nodes(scope: Scope) -> Fact:
    try:
        found = await scope.reader.list(kinds.CILIUM_NODES, _CiliumNode)
    except NotRead as error:
        if error.unknown.reason is Reason.ABSENT_API:
            return scope.known(None, "list ciliumnodes")
        return error.unknown
    return scope.known(tuple(sorted(_cilium_node(item) for item in found)), "list ciliumnodes")


def _cilium_node(item: _CiliumNode) -> CiliumNode:
    addresses = item.spec.addresses or ()
    return CiliumNode(
        name=item.metadata.name,
        internal_ips=tuple(one.ip for one in addresses if one.type == "InternalIP"),
        cilium_internal_ips=tuple(one.ip for one in addresses if one.type == "CiliumInternalIP"),
        pod_cidrs=tuple(item.spec.ipam.cidrs or ()),
        health_ip=item.spec.health.ipv4 or item.spec.health.ipv6,
    )


def _text(facts: dict[FactName[Any], Fact]) -> str:
    version, helm, owner = facts[fact.CILIUM_VERSION], facts[fact.HELM], facts[fact.OWNER]
    if isinstance(version, Known) and version.value is None:
        return "no Cilium"
    words = [version.value] if isinstance(version, Known) else []
    if isinstance(owner, Known) and owner.value.kind is not OwnerKind.HELM:
        words.append(f"owner {owner.value.kind.value}")
    elif isinstance(helm, Known) and helm.value is not None:
        words.append(f"Helm rev {helm.value.revision}")
    return ", ".join(words)
