"""``cilium status``."""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from backends.lab.commands.cilium.client import Client, Fatal
from backends.lab.commands.cilium.connectivity import agent_status
from backends.lab.commands.cilium.summary import summary
from backends.lab.commands.cilium.waiting import duration
from backends.lab.commands.kube.kinds import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, POD, Kind
from backends.lab.commands.kube.port import ApiFailure, Object, Unreachable
from backends.lab.commands.releases.errors import NotFound

AGENT: Final = "cilium"
ENVOY: Final = "cilium-envoy"
DEPLOYMENTS: Final = {
    "cilium-operator": {"name": "cilium-operator"},
    "hubble-relay": {"k8s-app": "hubble-relay"},
    "hubble-ui": {"k8s-app": "hubble-ui"},
    "clustermesh-apiserver": {"k8s-app": "clustermesh-apiserver"},
}
_ENDPOINTS: Final = Kind("cilium.io/v2", "CiliumEndpoint", "ciliumendpoints")
_ANNOTATION: Final = "cilium.io/cilium-config"


@dataclass(slots=True)
class Status:
    """What was collected; ``errors`` by component and pod as the program writes them."""

    images: dict[str, dict[str, int]] = field(default_factory=dict)
    phases: dict[str, dict[str, int]] = field(default_factory=dict)
    pod_state: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: int = 0
    managed: int = 0
    agents: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    collection_errors: list[str] = field(default_factory=list)
    chart_version: str = ""
    config_errors: list[str] = field(default_factory=list)

    def note(self, component: str, pod: str) -> dict[str, Any]:
        """The errors and warnings of one pod."""
        pods = self.errors.setdefault(component, {})
        return pods.setdefault(pod, {"Errors": [], "Warnings": [], "Disabled": False})

    def count(self, key: str) -> int:
        """All ``Errors`` or ``Warnings``."""
        return sum(len(pod[key]) for pods in self.errors.values() for pod in pods.values())

    def json(self) -> dict[str, Any]:
        """As printed; the errors of collecting lose their text, as in the program."""
        found: dict[str, Any] = {
            "image_count": self.images,
            "phase_count": self.phases,
            "pod_state": self.pod_state,
            "pods_count": {"all": self.pods, "by_cilium": self.managed},
            "cilium_status": self.agents,
            "errors": self.errors,
            "collection_errors": [{} for _ in self.collection_errors],
            "helm_chart_version": self.chart_version,
            "config_errors": self.config_errors,
        }
        return {key: value for key, value in found.items() if value}


def run(client: Client, form: str, *, wait: bool, seconds: float, ignore_warnings: bool) -> None:
    """Print the status; raises ``Fatal`` where it could not be collected, or ``--wait`` ended."""
    limit = client.port.now() + (seconds or 300.0)
    status = collect(client)
    while wait and (status.count("Errors") or (status.count("Warnings") and not ignore_warnings)):
        if client.port.now() >= limit:
            print(summary(status), end="", file=sys.stderr)
            problem = "timeout while waiting for status to become successful: context deadline exceeded"
            raise Fatal(f"Unable to determine status:  {problem}")
        client.sleep(0.25)
        status = collect(client)
    if form == "json":
        print(json.dumps(status.json(), indent=1, ensure_ascii=False))
    else:
        print(summary(status), end="")
    if status.collection_errors:
        raise Fatal(f"status check failed: [{', '.join(status.collection_errors)}]")


def collect(client: Client) -> Status:
    """Ask the cluster once."""
    status = Status()
    _daemon_set(client, status, AGENT, optional=False)
    _daemon_set(client, status, ENVOY, optional=True)
    for name in DEPLOYMENTS:
        _deployment(client, status, name)
    for agent in _pods(client, status, AGENT, {"k8s-app": "cilium"}):
        if (agent.get("status") or {}).get("phase") == "Running":
            _agent(client, status, agent)
    if not status.errors.get(ENVOY, {}).get(ENVOY, {}).get("Disabled"):
        _pods(client, status, ENVOY, {"name": ENVOY})
    for name, labels in DEPLOYMENTS.items():
        if name in status.pod_state:
            _pods(client, status, name, labels)
    _count_pods(client, status)
    _config(client, status)
    try:
        release = client.last_release()
        status.chart_version = str((release.chart.get("metadata") or {}).get("version", ""))
    except (NotFound, ApiFailure, Unreachable):
        pass
    return status


def _daemon_set(client: Client, status: Status, name: str, *, optional: bool) -> None:
    try:
        item = client.get(DAEMON_SET, name)
    except (ApiFailure, Unreachable) as error:
        if optional and isinstance(error, ApiFailure) and error.missing:
            status.note(name, name)["Disabled"] = True
        else:
            status.note(name, name)["Errors"].append(str(error))
            status.collection_errors.append(str(error))
        return
    found = item.get("status") or {}
    numbers = {
        "Desired": int(found.get("desiredNumberScheduled", 0)),
        "Ready": int(found.get("numberReady", 0)),
        "Available": int(found.get("numberAvailable", 0)),
        "Unavailable": int(found.get("numberUnavailable", 0)),
    }
    _judge(status, item, name, "DaemonSet", numbers, int(found.get("updatedNumberScheduled", 0)))


def _deployment(client: Client, status: Status, name: str) -> None:
    try:
        item = client.get(DEPLOYMENT, name)
    except (ApiFailure, Unreachable) as error:
        note = status.note(name, name)
        if isinstance(error, ApiFailure) and error.missing:
            note["Disabled"] = True
        elif name == "cilium-operator":
            note["Errors"].append(str(error))
            status.collection_errors.append(str(error))
        else:
            words = name.replace("clustermesh-apiserver", "clustermesh").replace("-", " ")
            note["Warnings"].append(f"{words} is not deployed")
        return
    found = item.get("status") or {}
    numbers = {
        "Desired": int(found.get("replicas", 0)),
        "Ready": int(found.get("readyReplicas", 0)),
        "Available": int(found.get("availableReplicas", 0)),
        "Unavailable": int(found.get("unavailableReplicas", 0)),
    }
    _judge(status, item, name, "Deployment", numbers, int(found.get("updatedReplicas", 0)))


def _judge(status: Status, item: Object, name: str, kind: str, numbers: Mapping[str, int], updated: int) -> None:
    status.pod_state[name] = {"Type": kind, **numbers}
    errors, warnings = status.note(name, name)["Errors"], status.note(name, name)["Warnings"]
    missing = numbers["Desired"] - numbers["Ready"]
    if missing > 0:
        errors.append(f"{missing} pods of {kind} {name} are not ready")
    if numbers["Unavailable"] - missing > 0:
        warnings.append(f"{numbers['Unavailable'] - missing} pods of {kind} {name} are not available")
    if int(item["metadata"].get("generation", 0)) != int((item.get("status") or {}).get("observedGeneration", 0)):
        errors.append(f"{kind.lower()} {name} is updated but rollout has not started")
    if updated < numbers["Desired"]:
        progress = f"{updated} out of {numbers['Desired']} pods updated"
        errors.append(f"{kind.lower()} {name} is rolling out - {progress}")


def _pods(client: Client, status: Status, name: str, labels: Mapping[str, str]) -> list[Object]:
    try:
        found = client.port.list(POD, client.namespace, labels)
    except (ApiFailure, Unreachable) as error:
        status.collection_errors.append(str(error))
        return []
    phases: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for item in found:
        state = item.get("status") or {}
        phase = str(state.get("phase", ""))
        phases[phase] += 1
        images.update(str(container["image"]) for container in item["spec"]["containers"])
        pod = item["metadata"]["name"]
        if phase == "Pending":
            status.note(name, pod)["Warnings"].append("pod is pending")
        elif phase == "Failed":
            reason = f"{state.get('reason', '')} - {state.get('message', '')}"
            status.note(name, pod)["Errors"].append(f"pod has failed: {reason}")
    status.phases[name], status.images[name] = dict(phases), dict(images)
    return found


def _agent(client: Client, status: Status, pod: Object) -> None:
    name = pod["metadata"]["name"]
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    agent = next((item for item in containers if item.get("name") == "cilium-agent"), None)
    errors = status.note(AGENT, name)["Errors"]
    try:
        if agent is None or "running" not in (agent.get("state") or {}):
            raise Fatal(_stopped(agent, name, client.namespace))
        found = agent_status(client, name)
    except Fatal as error:
        errors.append(f"unable to retrieve cilium status: {error}")
        status.agents[name] = None
        return
    status.agents[name] = found
    _subsystems(client, status, name, found)


def _stopped(agent: Object | None, pod: str, namespace: str) -> str:
    words, last = "is not running", f"try 'kubectl -n {namespace} logs -c cilium-agent {pod}'"
    if agent is not None:
        if ((agent.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff":
            words = "is in CrashLoopBackOff"
        ended = (agent.get("lastState") or {}).get("terminated")
        if ended:
            words += f", exited with code {ended.get('exitCode', 0)}"
            last = str(ended.get("message") or "").strip() or last
    return f"container cilium-agent {words}: {last}"


def _subsystems(client: Client, status: Status, pod: str, found: Mapping[str, Any]) -> None:
    parts = {
        "Cilium": found.get("cilium"),
        "Health": (found.get("cluster") or {}).get("ciliumHealth"),
        "Hubble": found.get("hubble"),
        "Kubernetes": found.get("kubernetes"),
        "Kvstore": found.get("kvstore"),
    }
    note = status.note(AGENT, pod)
    for title, part in parts.items():
        state = str((part or {}).get("state", "")).lower()
        if state in ("warning", "failure"):
            note["Warnings" if state == "warning" else "Errors"].append(f"{title}: {(part or {}).get('msg', '')}")
    for controller in found.get("controllers") or []:
        failing = controller.get("status") or {}
        times = int(failing.get("consecutive-failure-count") or 0)
        if times:
            began = _seconds(str(failing.get("last-failure-timestamp") or ""))
            since = duration(max(0.0, client.port.now() - began))
            why = failing.get("last-failure-msg", "")
            note["Errors"].append(f"controller {controller.get('name')} is failing since {since} ({times}x): {why}")


def _seconds(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _count_pods(client: Client, status: Status) -> None:
    try:
        everything = client.port.list(POD, None)
    except (ApiFailure, Unreachable) as error:
        status.collection_errors.append(str(error))
        return
    status.pods = sum(
        not item["spec"].get("hostNetwork") and (item.get("status") or {}).get("phase") in ("Running", "Pending")
        for item in everything
    )
    try:
        status.managed = len(client.port.list(_ENDPOINTS, None))
    except ApiFailure as error:
        if not error.missing:
            status.collection_errors.append(str(error))
    except Unreachable as error:
        status.collection_errors.append(str(error))


def _config(client: Client, status: Status) -> None:
    try:
        annotations = client.get(CONFIG_MAP, "cilium-config")["metadata"].get("annotations") or {}
    except (ApiFailure, Unreachable) as error:
        status.collection_errors.append(f'unable to retrieve ConfigMap "cilium-config": {error}')
        return
    status.config_errors = sorted(value for key, value in annotations.items() if key.startswith(_ANNOTATION))
