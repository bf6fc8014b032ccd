"""Row *nodes*: addresses, readiness, provider ids."""

from typing import Any

from msgspec import Struct, field

from mesh import catalogue as fact
from mesh.facts import FactName
from mesh.model import kinds
from mesh.model.context import Right
from mesh.model.kubernetes import Node
from mesh.reading import Collected, Cost, Scope

_POOLS = ("eks.amazonaws.com/nodegroup", "kubernetes.azure.com/agentpool", "agentpool", "cloud.google.com/gke-nodepool")


class _Address(Struct):
    type: str = ""
    address: str = ""


class _Condition(Struct):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class _Info(Struct):
    kubelet: str = field(name="kubeletVersion", default="")
    kernel: str = field(name="kernelVersion", default="")
    system: str = field(name="operatingSystem", default="")


class _Status(Struct):
    addresses: list[_Address] = []
    conditions: list[_Condition] = []
    info: _Info = field(name="nodeInfo", default_factory=_Info)


class _Taint(Struct):
    key: str = ""
    value: str = ""
    effect: str = ""


class _Spec(Struct):
    provider_id: str = field(name="providerID", default="")
    cidr: str = field(name="podCIDR", default="")
    cidrs: list[str] | None = field(name="podCIDRs", default=None)
    taints: list[_Taint] | None = None


class _Metadata(Struct):
    name: str = ""
    labels: dict[str, str] = {}


class _Node(Struct):
    metadata: _Metadata
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class Nodes:
    """All nodes."""

    id = "nodes"
    label = "nodes"
    provides: tuple[FactName[Any], ...] = (fact.NODES,)
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = (kinds.NODES.right("list"),)
    cost = Cost.NORMAL
    timeout_s = 60.0
    max_bytes = 256_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        found = await scope.reader.list(
            kinds.NODES, _Node, count=lambda done, total: scope.progress(done, total, f"{done:,}/{total:,}")
        )
        nodes = tuple(sorted(_node(item) for item in found))
        ready = sum(node.ready for node in nodes)
        text = f"{len(nodes):,}" if ready == len(nodes) else f"{len(nodes):,}, {ready:,} ready"
        return Collected({fact.NODES: scope.known(nodes, "list nodes")}, text)


def _node(item: _Node) -> Node:
    labels, status, spec = item.metadata.labels, item.status, item.spec
    condition = next((one for one in status.conditions if one.type == "Ready"), _Condition())
    ready = condition.status == "True"
    cidrs = spec.cidrs or ([spec.cidr] if spec.cidr else [])
    return Node(
        name=item.metadata.name,
        internal_ips=tuple(one.address for one in status.addresses if one.type == "InternalIP"),
        external_ips=tuple(one.address for one in status.addresses if one.type == "ExternalIP"),
        provider_id=spec.provider_id,
        ready=ready,
        ready_reason="" if ready else (condition.message or condition.reason or "no Ready condition"),
        pod_cidrs=tuple(cidrs),
        kubelet_version=status.info.kubelet,
        kernel_version=status.info.kernel,
        os=status.info.system,
        zone=labels.get("topology.kubernetes.io/zone") or labels.get("failure-domain.beta.kubernetes.io/zone", ""),
        region=labels.get("topology.kubernetes.io/region")
        or labels.get("failure-domain.beta.kubernetes.io/region", ""),
        pool=next((labels[name] for name in _POOLS if name in labels), ""),
        labels=labels,
        taints=tuple(f"{one.key}{'=' + one.value if one.value else ''}:{one.effect}" for one in spec.taints or ()),
    )


def _label(labels: dict[str, str], *names: str) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
