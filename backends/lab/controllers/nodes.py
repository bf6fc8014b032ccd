"""Nodes: what the ready pods on them set up, and the Ready condition and taints that follow."""

from collections.abc import Mapping
from typing import Any, Final

from backends.lab.controllers import reading
from backends.lab.controllers.kubelet import host as hosts
from backends.lab.controllers.kubelet.host import NOT_INITIALIZED, Host
from backends.lab.controllers.kubelet.pods import Kubelets
from backends.lab.controllers.kubelet.programs import Ground
from backends.lab.controllers.kubelet.runtime import PodRuntime
from backends.lab.controllers.loop import NEVER
from backends.lab.controllers.recording import Recorder
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import NODES, PODS

NOT_READY: Final = "node.kubernetes.io/not-ready"
AGENT_NOT_READY: Final = "node.cilium.io/agent-not-ready"
_KPR: Final = frozenset({"true", "strict"})


def _on(pod: Object, container: str) -> bool:
    return any(part["name"] == container for part in pod["spec"]["containers"])


class Hosts:
    """Keeps what lies on the nodes in step with the pods that put it there."""

    watches = frozenset({PODS.key, NODES.key})

    def __init__(self, store: ObjectStore, ground: Ground, kubelets: Kubelets) -> None:
        self._store = store
        self._ground = ground
        self._kubelets = kubelets
        kubelets.stopped.append(self._stopped)

    def reconcile(self, now: float) -> float:
        """Look at the ready pods of every node."""
        by_node: dict[str, list[Object]] = {}
        for pod in self._store.view(PODS):
            if reading.ready(pod):
                by_node.setdefault(reading.node_of(pod), []).append(pod)
        for node in self._store.view(NODES):
            name = node["metadata"]["name"]
            self._settle(self._ground.host(name), by_node.get(name, []))
        return NEVER

    def _settle(self, host: Host, pods: list[Object]) -> None:
        host.kube_proxy = any(_on(pod, "kube-proxy") for pod in pods)
        host.iptables = host.iptables or host.kube_proxy
        host.aws_node = any(_on(pod, "aws-node") for pod in pods)
        agent = next((pod for pod in pods if _on(pod, "cilium-agent")), None)
        host.agent = agent["metadata"]["uid"] if agent else ""
        if agent is not None:
            settings = self._settings(agent)
            host.replaces_kube_proxy = settings.get("kube-proxy-replacement", "false").lower() in _KPR
            if settings.get("cni-chaining-mode", "none") == "none" and host.cni != hosts.CILIUM:
                if settings.get("cni-exclusive", "true") != "false":
                    host.set_aside = host.cni
                host.cni = hosts.CILIUM
        elif host.aws_node and not host.cni:
            host.cni = hosts.AWS
        elif any(_on(pod, "kindnet-cni") for pod in pods) and not host.cni:
            host.cni = hosts.BRIDGE

    def _settings(self, pod: Object) -> Mapping[str, str]:
        runtime = self._kubelets.runtimes.get(pod["metadata"]["uid"])
        return runtime.processes["cilium-agent"].settings if runtime else {}

    def _stopped(self, runtime: PodRuntime) -> None:
        process = runtime.processes.get("cilium-agent")
        host = self._ground.host(runtime.node)
        if process is None:
            return
        if host.agent == runtime.uid:
            host.agent = ""
        if process.settings.get("cni-uninstall") == "true" and host.cni == hosts.CILIUM:
            host.cni = ""


class Nodes:
    """Writes the Ready condition of nodes, and the taints that keep pods off those that are not."""

    watches = frozenset({PODS.key, NODES.key})

    def __init__(self, store: ObjectStore, ground: Ground, recorder: Recorder) -> None:
        self._store = store
        self._ground = ground
        self._recorder = recorder

    def reconcile(self, now: float) -> float:
        """Compare every node with its host."""
        for node in list(self._store.view(NODES)):
            host = self._ground.host(node["metadata"]["name"])
            changed = self._condition(node, bool(host.cni), now)
            wanted = self._taints(node, host)
            spec = node.get("spec") or {}
            if changed is None and wanted == list(spec.get("taints") or ()):
                continue
            fresh = self._store.need(NODES, None, node["metadata"]["name"])
            if changed is not None:
                fresh["status"] = {**fresh.get("status", {}), "conditions": changed}
            fresh["spec"] = {**(fresh.get("spec") or {}), "taints": wanted}
            if not wanted:
                del fresh["spec"]["taints"]
            self._store.update(NODES, fresh)
        return NEVER

    def _condition(self, node: Object, ready: bool, now: float) -> list[dict[str, Any]] | None:
        status = "True" if ready else "False"
        before = reading.condition(node, "Ready")
        if before is not None and before.get("status") == status:
            return None
        entry = {
            "lastHeartbeatTime": reading.stamp(now),
            "lastTransitionTime": reading.stamp(now),
            "message": "kubelet is posting ready status" if ready else NOT_INITIALIZED,
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "status": status,
            "type": "Ready",
        }
        name = node["metadata"]["name"]
        reason = "NodeReady" if ready else "NodeNotReady"
        self._recorder.record(NODES, node, reason, f"Node {name} status is now: {reason}", source="kubelet")
        others = [item for item in node.get("status", {}).get("conditions") or () if item["type"] != "Ready"]
        return [*others, entry]

    def _taints(self, node: Object, host: Host) -> list[dict[str, Any]]:
        taints = [dict(taint) for taint in (node.get("spec") or {}).get("taints") or ()]
        if host.agent:
            taints = [taint for taint in taints if taint.get("key") != AGENT_NOT_READY]
        held = any(taint.get("key") == NOT_READY for taint in taints)
        if host.cni and held:
            return [taint for taint in taints if taint.get("key") != NOT_READY]
        if not host.cni and not held:
            return [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
        return taints
