"""``cilium clustermesh status``."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from backends.lab.commands.cilium.access import SERVICE_NAME, Access, access
from backends.lab.commands.cilium.client import Client, Fatal
from backends.lab.commands.cilium.connectivity import (
    AGENTS,
    REPLICAS,
    Connectivity,
    NotSupported,
    determine,
    of_agent,
    of_replica,
)
from backends.lab.commands.cilium.waiting import Waiting
from backends.lab.commands.kube.kinds import DEPLOYMENT
from backends.lab.commands.kube.port import ApiFailure, Object, Unreachable

T = TypeVar("T")
_AGENT_HINT: Final = "cilium-dbg troubleshoot clustermesh"
_CACHE_HINT: Final = "/usr/bin/clustermesh-apiserver kvstoremesh-dbg troubleshoot"

_COUNTS: Final = {"availableReplicas": "available", "readyReplicas": "ready", "updatedReplicas": "up-to-date"}


class MeshStatus:
    """One run; ``form`` is ``summary`` or ``json``, whose progress goes to stderr."""

    def __init__(self, client: Client, form: str, *, wait: bool, seconds: float) -> None:
        self._client = client
        self._json = form == "json"
        self._wait = wait
        self._limit = client.port.now() + (seconds or 900.0)
        self._own = ""

    def run(self) -> None:
        """Print the status; raises ``Fatal``, with JSON only before the pods are asked."""
        settings = self._client.settings()
        number, self._own = settings.get("cluster-id") or "0", settings.get("cluster-name") or "default"
        if number == "0" or self._own == "default":
            self._say(
                "⚠️  Cluster not configured for clustermesh, use '--set cluster.id' and '--set cluster.name' with "
                "'cilium install'."
            )
        found: Access | None = None
        cached = False
        if settings.get("identity-allocation-mode") != "crd":
            self._say("✅ Cilium is configured with an external kvstore")
        else:
            found = self._access()
            cached = self._deployment()
        agents, caches, problem = self._connectivity(cached)
        if self._json:
            self._print_json(found, agents, caches, cached)
            return
        if agents is not None:
            self._summary(agents, caches, cached)
        if problem is not None:
            raise problem

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr if self._json else sys.stdout, flush=True)

    def _until(self, look: Callable[[], T], words: str) -> T:
        """Look once, or with ``--wait`` until it raises no ``Fatal``."""
        waiting = Waiting(self._client, self._limit, lambda since, why: self._say(words.format(since, why)))
        while True:
            try:
                return look()
            except Fatal as error:
                if not self._wait:
                    raise
                waiting.again(error)

    def _access(self) -> Access:
        found = self._until(
            lambda: access(self._client, (), self._say, verbose=False),
            "⌛ Waiting ({}) for access information: {}",
        )
        self._say(f'✅ Service "{SERVICE_NAME}" of type "{found.service_type}" found')
        self._say("✅ Cluster access information is available:")
        for address in found.service_ips:
            self._say(f"  - {address}:{found.service_port}")
        return found

    def _deployment(self) -> bool:
        """Whether the mesh server, once ready, has a cache."""
        try:
            words = f"⌛ Waiting ({{}}) for deployment {SERVICE_NAME} to become ready: {{}}"
            deployment = self._until(lambda: ready_deployment(self._client), words)
        except Fatal as error:
            raise Fatal(f"deployment {SERVICE_NAME} is not ready: {error}") from error
        self._say(f"✅ Deployment {SERVICE_NAME} is ready")
        containers = deployment["spec"]["template"]["spec"]["containers"]
        cached = any(container["name"] == "kvstoremesh" for container in containers)
        self._say(f"ℹ️  KVStoreMesh is {'enabled' if cached else 'disabled'}")
        return cached

    def _connectivity(self, cached: bool) -> tuple[Connectivity | None, Connectivity | None, Fatal | None]:
        agents: Connectivity | None = None
        caches: Connectivity | None = None
        ask_agents, ask_caches = True, cached
        words = "⌛ Waiting ({}) for clusters to be connected: {}"
        waiting = Waiting(self._client, self._limit, lambda since, why: self._say(words.format(since, why)))
        while True:
            first: Fatal | None = None
            second: Fatal | None = None
            if ask_agents:
                agents, first = self._asked(self._agents, agents)
            if ask_caches:
                caches, second = self._asked(self._caches, caches)
            if not self._wait:
                return agents, caches, second or first
            first = first or _unready(agents, "nodes")
            second = second or (_unready(caches, "KVStoreMesh replicas") if ask_caches else None)
            ask_agents, ask_caches = ask_agents and first is not None, ask_caches and second is not None
            problem = second or first
            if problem is None:
                return agents, caches, None
            try:
                waiting.again(problem)
            except Fatal as error:
                return agents, caches, error

    def _asked(
        self, ask: Callable[[], Connectivity | None], before: Connectivity | None
    ) -> tuple[Connectivity | None, Fatal | None]:
        try:
            return ask(), None
        except Fatal as error:
            return before, error

    def _agents(self) -> Connectivity:
        return determine(self._client, self._own, "cilium-clustermesh", AGENTS, of_agent)

    def _caches(self) -> Connectivity | None:
        try:
            return determine(self._client, self._own, "cilium-kvstoremesh", REPLICAS, of_replica)
        except NotSupported:
            self._say("⚠️  KVStoreMesh status retrieval is not supported by this Cilium version")
            return None

    def _print_json(
        self, found: Access | None, agents: Connectivity | None, caches: Connectivity | None, cached: bool
    ) -> None:
        mesh: dict[str, Any] = {}
        if found is not None:
            mesh["access_information"] = found.json()
        if agents is not None:
            mesh["connectivity"] = agents.json()
        mesh["kvstoremesh"] = {"enabled": cached, **({"status": caches.json()} if caches is not None else {})}
        print(json.dumps(mesh, indent=1, ensure_ascii=False))

    def _summary(self, agents: Connectivity, caches: Connectivity | None, cached: bool) -> None:
        self._say("")
        self._ready_line(agents, "nodes")
        if caches is not None:
            self._ready_line(caches, "KVStoreMesh replicas")
        self._say("")
        if agents.clusters:
            self._say("🔌 Cluster Connections:")
            for name in sorted(agents.clusters):
                self._say(_cluster_line(name, agents, caches))
        else:
            self._say("🔌 No cluster connected")
        self._say("")
        count = len(agents.errors) + (len(caches.errors) if caches is not None else 0)
        if count:
            self._say(f"❌ {count} Errors:")
            self._errors(agents.errors, "cilium-agent", _AGENT_HINT, cached)
            if caches is not None:
                self._errors(caches.errors, "kvstoremesh", _CACHE_HINT, False)

    def _ready_line(self, found: Connectivity, what: str) -> None:
        counts = f"[min:{found.least} / avg:{found.average:.1f} / max:{found.most}]"
        if found.not_ready:
            self._say(f"⚠️  {found.not_ready}/{found.total} {what} are not connected to all clusters {counts}")
        elif found.clusters:
            self._say(f"✅ All {found.total} {what} are connected to all clusters {counts}")

    def _errors(
        self, errors: Mapping[str, Mapping[str, list[tuple[Any, str]]]], container: str, command: str, cached: bool
    ) -> None:
        for pod in sorted(errors):
            for cluster, problems in errors[pod].items():
                for kind, text in problems:
                    self._say(f"  ❌ {pod} is not connected to cluster {cluster}: {text}")
                    if kind == "unconnected":
                        line = (
                            f"kubectl exec -it -n {self._client.namespace} {pod} -c {container} -- {command} {cluster}"
                        )
                        self._say(f"     💡 Run '{line}' to investigate the cause")
                    elif kind == "config" and cached:
                        self._say(
                            "     💡 This is likely caused by KVStoreMesh not being connected to the given cluster"
                        )
                    elif kind == "config":
                        self._say(
                            "     💡 Double check if the cluster name matches the one configured in the remote cluster"
                        )


def ready_deployment(client: Client) -> Object:
    """The mesh server's Deployment; raises ``Fatal`` with what is missing."""
    try:
        found = client.get(DEPLOYMENT, SERVICE_NAME)
    except (ApiFailure, Unreachable) as error:
        raise Fatal(str(error)) from error
    status, generation = found.get("status") or {}, int(found["metadata"].get("generation", 0))
    observed, replicas = int(status.get("observedGeneration", 0)), int(status.get("replicas", 0))
    if observed != generation:
        raise Fatal(f"observed generation ({observed}) is older than generation of the desired state ({generation})")
    if not replicas:
        raise Fatal("replicas count is zero")
    for key, word in _COUNTS.items():
        count = int(status.get(key, 0))
        if count != replicas:
            raise Fatal(f"only {count} of {replicas} replicas are {word}")
    return found


def _unready(found: Connectivity | None, what: str) -> Fatal | None:
    return Fatal(f"{found.not_ready} {what} are not ready") if found is not None and found.not_ready else None


def _cluster_line(name: str, agents: Connectivity, caches: Connectivity | None) -> str:
    configured, connected = agents.clusters[name]
    line = f"  - {name}: {configured}/{agents.total} configured, {connected}/{agents.total} connected"
    if caches is None:
        return line
    if name not in caches.clusters:
        return f"{line} - KVStoreMesh: status not available"
    configured, connected = caches.clusters[name]
    return f"{line} - KVStoreMesh: {configured}/{caches.total} configured, {connected}/{caches.total} connected"
