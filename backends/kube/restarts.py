"""Recreate pods that started before Cilium: by eviction, one workload at a time, stopping at the first that stays
away.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mesh.addresses import covers, ranges
from mesh.errors import StepFailed
from mesh.ports import Clock, Outcome, Output

Ask = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]
Pod = Mapping[str, Any]
_PATIENCE: Final = 300.0
# A pod may be created while its node changes its CNI; what a second life does not mend, a third will not.
_PASSES: Final = 2
_POLL: Final = 2.0
# Names must resolve before anything else comes back.
_FIRST: Final = ("coredns", "kube-dns")


class Restarts:
    """One pass over the cluster's pods."""

    def __init__(self, where: str, ask: Ask, clock: Clock, output: Output) -> None:
        self.where = where
        self.ask = ask
        self.clock = clock
        self.output = output

    async def run(self) -> Outcome:
        """Evict every pod whose address is in none of Cilium's ranges, and once more what came back with such an one.

        Raises ``StepFailed`` for pods that have no owner, and for those that came back with another CNI's address
        twice.
        """
        restarted: dict[str, None] = {}
        for _ in range(_PASSES):
            workloads = await self._old()
            for (namespace, owner), pods in sorted(workloads.items(), key=_order):
                if owner:
                    await self._workload(namespace, owner, pods)
                    restarted[f"pods of {namespace}/{owner} of {self.where}"] = None
            if not any(owner for _, owner in workloads):
                break
        left = await self._old() if restarted else workloads
        if orphans := _named(left, owned=False):
            raise StepFailed(
                f"{self.where} has pods that nothing would recreate",
                f"They keep the address of the old CNI: {', '.join(orphans[:5])}",
                "Delete and create them again yourself.",
            )
        if again := _named(left, owned=True):
            raise StepFailed(
                f"pods of {self.where} come back with addresses that are not Cilium's",
                f"They were restarted {_PASSES} times: {', '.join(again[:5])}",
                "Another CNI answers on their nodes: see there which file of /etc/cni/net.d comes first.",
            )
        return Outcome(tuple(restarted))

    async def _old(self) -> dict[tuple[str, str], list[Pod]]:
        """Pods with another CNI's address, by namespace and owner; "" has none."""
        pool = await self._pool()
        workloads: dict[tuple[str, str], list[Pod]] = {}
        for pod in await self._pods():
            if _unmanaged(pod, pool):
                workloads.setdefault((pod["metadata"]["namespace"], _owner(pod)), []).append(pod)
        return workloads

    async def _pool(self) -> tuple[str, ...]:
        _, config = await self.ask("GET", "/api/v1/namespaces/kube-system/configmaps/cilium-config")
        pool = str((config.get("data") or {}).get("cluster-pool-ipv4-cidr", "")).split()
        _, nodes = await self.ask("GET", "/apis/cilium.io/v2/ciliumnodes", expect=(404,))
        allocated = [
            cidr
            for node in nodes.get("items", [])
            for cidr in node.get("spec", {}).get("ipam", {}).get("podCIDRs") or []
        ]
        return (*pool, *allocated)

    async def _pods(self, namespace: str = "") -> list[Pod]:
        place = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        found: list[Pod] = []
        token = ""
        while True:
            query = f"?limit=500&continue={token}" if token else "?limit=500"
            _, page = await self.ask("GET", place + query)
            found += page.get("items", [])
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return found

    async def _workload(self, namespace: str, owner: str, pods: list[Pod]) -> None:
        """Evict its old pods one after another; each must be replaced before the next goes."""
        for pod in pods:
            name = pod["metadata"]["name"]
            until = self.clock.now() + _PATIENCE
            ready_before = await self._ready(namespace, owner)
            while not await self._evicted(namespace, name, str(pod["metadata"].get("uid", ""))):
                if self.clock.now() > until:
                    raise StepFailed(
                        f"{namespace}/{name} of {self.where} may not be evicted",
                        "Its PodDisruptionBudget allowed no disruption for 5 minutes.",
                        "Let the workload become healthy or relax the budget.",
                    )
                await self.clock.sleep(_POLL)
            self.output(f"{namespace}/{name} evicted")
            while await self._ready(namespace, owner) < ready_before:
                if self.clock.now() > until:
                    raise StepFailed(
                        f"{owner} of {namespace} in {self.where} did not come back",
                        f"{name} was restarted and nothing ready replaced it in 5 minutes; nothing more was restarted.",
                        f"kubectl -n {namespace} describe pods says why.",
                    )
                await self.clock.sleep(_POLL)

    async def _ready(self, namespace: str, owner: str) -> int:
        return sum(_owner(pod) == owner and _is_ready(pod) for pod in await self._pods(namespace))

    async def _evicted(self, namespace: str, name: str, uid: str) -> bool:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}} if uid else {},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        status, _ = await self.ask("POST", path, body, expect=(404, 409, 429))
        return status != 429


def _order(item: tuple[tuple[str, str], list[Pod]]) -> tuple[bool, tuple[str, str]]:
    (namespace, owner), _ = item
    return not owner.startswith(_FIRST), (namespace, owner)


def _named(workloads: Mapping[tuple[str, str], list[Pod]], *, owned: bool) -> list[str]:
    """Pods as people look for them, with address and node."""
    return [
        f"{namespace}/{pod['metadata']['name']} ({pod['status']['podIP']} on {pod['spec'].get('nodeName', 'no node')})"
        for (namespace, owner), pods in sorted(workloads.items())
        for pod in pods
        if bool(owner) is owned
    ]


def _owner(pod: Pod) -> str:
    """The controller's name, without a ReplicaSet's hash, so that pods of an old and a new one count together."""
    for reference in pod["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            name = str(reference["name"])
            return name.rpartition("-")[0] if reference.get("kind") == "ReplicaSet" else name
    return ""


def _is_ready(pod: Pod) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return not pod["metadata"].get("deletionTimestamp") and any(
        item.get("type") == "Ready" and item.get("status") == "True" for item in conditions
    )


def _unmanaged(pod: Pod, pool: tuple[str, ...]) -> bool:
    status = pod.get("status") or {}
    address = status.get("podIP")
    if not address or pod["spec"].get("hostNetwork") or pod["metadata"].get("deletionTimestamp"):
        return False
    if status.get("phase") not in ("Running", "Pending"):
        return False
    return not covers(ranges(pool), ranges((address,)))
