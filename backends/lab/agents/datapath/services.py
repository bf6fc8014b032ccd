"""Which back-ends a Service has for the pods of a node: Cilium's rule for global Services, else the cluster's own.

Source: cilium-clustermesh §5.2–5.4.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.lab.agents.mesh.exports import AFFINITY, Backend, annotation, is_global, local_backends
from backends.lab.controllers.cilium.release import version_of
from backends.lab.objects import Object

if TYPE_CHECKING:
    from backends.lab.agents.mesh.processes import Readers
    from backends.lab.controllers.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Candidates:
    """Back-ends of one Service port as one node knows them."""

    local: tuple[Backend, ...]
    remote: tuple[Backend, ...] = ()
    affinity: str = "none"


class Services:
    """Looks Services up for pods of a node."""

    def __init__(self, simulation: "Simulation", readers: "Readers") -> None:
        self._simulation = simulation
        self._readers = readers

    def candidates(self, cluster: str, node: str, service: Object, port: dict[str, Any]) -> Candidates:
        """All back-ends that the node's agent (or kube-proxy) knows for a port."""
        meta = service["metadata"]
        key = (port.get("name") or "", port.get("protocol", "TCP"))
        store = self._simulation.clusters[cluster].cluster.objects
        local = local_backends(store, meta["namespace"], meta["name"]).get(key, ())
        reader = self._readers.on_node(cluster, node)
        if reader is None or not reader.number or not is_global(service):
            return Candidates(local)
        remote: list[Backend] = []
        for _, seen in self._readers.seen_by(cluster, node):
            remote.extend(seen.services.get((meta["namespace"], meta["name"]), {}).get(key, ()))
        own = {one.address for one in local}
        # The same address in two clusters: the remote back-end is dropped (§5.4).
        kept = tuple(dict.fromkeys(one for one in remote if one.address not in own))
        wanted = (annotation(service, AFFINITY) or "").lower()
        if wanted == "none" and self._drops_none(reader.caller.runtime.processes["cilium-agent"].image):
            kept = ()
        return Candidates(local, kept, wanted if wanted in ("local", "remote") else "none")

    @staticmethod
    def _drops_none(image: str) -> bool:
        """The literal value ``none`` loses the remote back-ends in these releases (#46623)."""
        _, minor, patch = version_of(image)
        return minor == 18 and patch <= 10

    def chosen(self, candidates: Candidates) -> tuple[Backend, ...]:
        """The back-ends that take new connections (§5.3: all of one side, or both)."""
        local, remote = candidates.local, candidates.remote
        if candidates.affinity == "local":
            return local or remote
        if candidates.affinity == "remote":
            return remote or local
        return (*local, *remote)
