"""Row *pods (metadata)*: where pods run, with which address, since when, owned by what."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from mesh import catalogue as fact
from mesh.facts import FactName
from mesh.model import kinds
from mesh.model.context import Right
from mesh.model.kubernetes import Pod
from mesh.reading import Collected, Cost, Scope


class _Owner(Struct, gc=False):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Metadata(Struct, gc=False):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    owners: list[_Owner] | None = field(name="ownerReferences", default=None)
    deleted: str | None = field(name="deletionTimestamp", default=None)


class _Spec(Struct, gc=False):
    node: str = field(name="nodeName", default="")
    host_network: bool = field(name="hostNetwork", default=False)


class _Condition(Struct, gc=False):
    type: str = ""
    status: str = ""


class _Waiting(Struct, gc=False):
    reason: str = ""


class _State(Struct, gc=False):
    waiting: _Waiting | None = None


class _Container(Struct, gc=False):
    restarts: int = field(name="restartCount", default=0)
    state: _State = field(default_factory=_State)


class _Status(Struct, gc=False):
    phase: str = ""
    ip: str = field(name="podIP", default="")
    started: datetime | None = field(name="startTime", default=None)
    conditions: list[_Condition] | None = None
    containers: list[_Container] | None = field(name="containerStatuses", default=None)
    init: list[_Container] | None = field(name="initContainerStatuses", default=None)


class PodObject(Struct, gc=False):
    """The part of a pod that is read."""

    metadata: _Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class Pods:
    """All pods of all namespaces."""

    id = "pods"
    label = "pods (metadata)"
    provides: tuple[FactName[Any], ...] = (fact.PODS,)
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = (kinds.PODS.right("list"),)
    cost = Cost.HEAVY
    timeout_s = 120.0
    max_bytes = 1_000_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        found = await scope.reader.list(
            kinds.PODS, PodObject, count=lambda done, total: scope.progress(done, total, f"{done:,}/{total:,}")
        )
        pods = tuple(sorted(map(pod, found), key=lambda one: (one.namespace, one.name)))
        return Collected({fact.PODS: scope.known(pods, "list pods")}, f"{len(pods):,}")


def pod(item: PodObject) -> Pod:
    """In our words."""
    metadata, spec, status = item.metadata, item.spec, item.status
    owners = metadata.owners or ()
    owner = next((one for one in owners if one.controller), owners[0] if owners else None)
    containers = status.containers or ()
    waiting = next((one.state.waiting.reason for one in (*(status.init or ()), *containers) if one.state.waiting), "")
    return Pod(
        metadata.namespace,
        metadata.name,
        spec.node,
        status.ip,
        spec.host_network,
        status.phase,
        any(one.type == "Ready" and one.status == "True" for one in status.conditions or ()),
        status.started.timestamp() if status.started else 0.0,
        sum(one.restarts for one in containers),
        owner.kind if owner else "",
        owner.name if owner else "",
        metadata.labels,
        waiting,
        metadata.deleted is not None,
    )
