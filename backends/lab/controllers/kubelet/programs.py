"""How the programs of a cluster behave once they are started: what they need, when they are ready, why they end."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from backends.lab.controllers import reading
from backends.lab.controllers.kubelet.host import Host
from backends.lab.controllers.kubelet.runtime import PodRuntime, Process
from backends.lab.controllers.loop import NEVER
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import SERVICES

Finish: TypeAlias = Callable[["Ground", Process], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """State of a pod's processes: ``crash`` is the last line before they ended by themselves ("" = they live).

    ``done`` means that all containers ended with exit code 0; ``again`` is the lab time of the next look.
    """

    ready: bool = False
    crash: str = ""
    done: bool = False
    again: float = NEVER


@dataclass(slots=True)
class Ground:
    """What programs stand on: the cluster's objects, its nodes, the addresses at which its API server answers."""

    store: ObjectStore
    provider: str
    api_hosts: Callable[[], frozenset[str]]
    hosts: dict[str, Host] = field(default_factory=dict)
    finishers: dict[str, Finish] = field(default_factory=dict)
    """What a Job's container does when it ends, by container name; returns why it failed, or ""."""

    def host(self, name: str) -> Host:
        """The node's state; made when first asked for."""
        return self.hosts.setdefault(name, Host(name))

    def service_address(self) -> str:
        """ClusterIP of ``default/kubernetes``."""
        service = self.store.stored(SERVICES, "default", "kubernetes")
        return str(service["spec"].get("clusterIP", "")) if service else ""


class Program(Protocol):
    """A pure look at a running pod."""

    def __call__(self, ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
        """What the processes are doing."""


def _wait(runtime: PodRuntime, seconds: float, now: float) -> Verdict:
    due = runtime.started_at + seconds
    return Verdict(ready=True) if now >= due else Verdict(again=due)


def api_problem(ground: Ground, runtime: PodRuntime, environment: Mapping[str, str]) -> str:
    """Why the pod cannot reach its API server, in client-go's words; "" when it can."""
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    if host:
        if not re.fullmatch(r"[A-Za-z0-9.\-]+", host) or not port.isdigit():
            return f'Get "https://{host}:{port}/api/v1/namespaces/kube-system": invalid URL or port'
        known = ground.api_hosts()
        if known and host not in known and host != ground.service_address():
            return f"dial tcp: lookup {host}: no such host"
        return ""
    if ground.host(runtime.node).reaches_services():
        return ""
    return f"dial tcp {ground.service_address()}:443: i/o timeout"


_NUMBERS: Final = ("cluster-id", "cluster-pool-ipv4-mask-size", "mtu", "tunnel-port", "max-connected-clusters")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "routing-mode": ("tunnel", "native"),
    "tunnel-protocol": ("vxlan", "geneve"),
    "kube-proxy-replacement": ("true", "false", "strict", "partial", "disabled"),
    "ipam": ("cluster-pool", "kubernetes", "eni", "azure", "multi-pool", "delegated-plugin", "crd", "alibabacloud"),
}


def settings_problem(settings: Mapping[str, str]) -> str:
    """The fatal line of an agent for settings it does not accept, or ""."""
    for key in _NUMBERS:
        value = settings.get(key, "")
        if value and not value.isdigit():
            return f'invalid argument "{value}" for "--{key}" flag: strconv.ParseInt: parsing "{value}": invalid syntax'
    for key, accepted in _CHOICES.items():
        value = settings.get(key, "")
        if value and value.lower() not in accepted:
            return f'Invalid value for --{key}: "{value}"'
    number = int(settings.get("cluster-id") or 0)
    highest = int(settings.get("max-connected-clusters") or 255)
    if number > highest:
        return f"invalid cluster id {number}: must be in range 0..{highest}"
    name = settings.get("cluster-name", "default")
    if number and name == "default":
        return "invalid cluster name: cannot use default value with ClusterID != 0"
    return ""


def agent(ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
    """The Cilium agent: needs valid settings, the API server and a pod CIDR for its CiliumNode when it starts."""
    if runtime.ready:
        return Verdict(ready=True)
    process = runtime.processes["cilium-agent"]
    problem = settings_problem(process.settings)
    if problem:
        return Verdict(crash=f'level=fatal msg="{problem}" subsys=daemon')
    unreachable = api_problem(ground, runtime, process.environment)
    if unreachable:
        return Verdict(crash=f'level=fatal msg="Unable to contact k8s api-server" error="{unreachable}" subsys=daemon')
    if not own_node(ground.store, runtime.node):
        return Verdict(again=NEVER)
    return _wait(runtime, reading.share(f"agent/{runtime.uid}", 4.0, 8.0), now)


def own_node(store: ObjectStore, name: str) -> bool:
    """Whether the agent of this node knows from which range it gives addresses."""
    resource = store.resources.get(("cilium.io", "ciliumnodes"))
    node = store.stored(resource, None, name) if resource else None
    if node is None:
        return False
    spec = node.get("spec", {})
    return bool((spec.get("ipam") or {}).get("podCIDRs") or (spec.get("eni") or {}).get("vpc-id"))


def operator(ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
    """The Cilium operator: needs the API server when it starts."""
    if runtime.ready:
        return Verdict(ready=True)
    unreachable = api_problem(ground, runtime, runtime.processes["cilium-operator"].environment)
    if unreachable:
        return Verdict(crash=f'level=fatal msg="Unable to contact k8s api-server" error="{unreachable}"')
    return _wait(runtime, 2.5, now)


def needs_services(seconds: float) -> Program:
    """A program of the pod network that is ready ``seconds`` after it reaches the API server by its ClusterIP."""

    def look(ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
        if runtime.ready or ground.host(runtime.node).reaches_services():
            return _wait(runtime, seconds, now)
        return Verdict()

    return look


def simple(seconds: float) -> Program:
    """A program that needs nothing and is ready after ``seconds``."""

    def look(ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
        return _wait(runtime, seconds, now)

    return look


def job(ground: Ground, runtime: PodRuntime, pod: Object, now: float) -> Verdict:
    """A container that does one thing and ends."""
    name = pod["spec"]["containers"][0]["name"]
    process = runtime.processes[name]
    finish = ground.finishers.get(name)
    due = runtime.started_at + reading.share(f"job/{runtime.uid}", 1.5, 3.0)
    if now < due:
        return Verdict(ready=True, again=due)
    if finish is None:
        return Verdict(done=True)
    unreachable = api_problem(ground, runtime, process.environment)
    failed = unreachable or finish(ground, process)
    return Verdict(crash=f'level=fatal msg="{failed}"') if failed else Verdict(done=True)


_BY_CONTAINER: Final[Mapping[str, Program]] = {
    "cilium-agent": agent,
    "cilium-operator": operator,
    "kube-proxy": simple(1.0),
    "aws-node": needs_services(3.0),
    "coredns": needs_services(1.5),
    "apiserver": needs_services(4.0),
    "cilium-envoy": simple(2.0),
    "hubble-relay": needs_services(3.0),
    "kindnet-cni": simple(1.5),
}


def program_of(pod: Object) -> Program:
    """The behaviour of a pod, told by its containers' names and by who owns it."""
    if reading.owner(pod, "Job") or pod["spec"].get("restartPolicy") in ("Never", "OnFailure"):
        return job
    for container in pod["spec"].get("containers") or ():
        known = _BY_CONTAINER.get(container["name"])
        if known is not None:
            return known
    delays = [
        float((container.get("readinessProbe") or {}).get("initialDelaySeconds") or 0)
        for container in pod["spec"].get("containers") or ()
    ]
    return simple(max([1.0, *delays]))


def stop_seconds(pod: Object) -> float:
    """Lab seconds from a request to delete until the containers have ended; never more than the grace period."""
    names = {container["name"] for container in pod["spec"].get("containers") or ()}
    usual = 5.0 if "coredns" in names else 3.0 if "etcd" in names else 1.5
    return min(usual, float(pod["metadata"].get("deletionGracePeriodSeconds") or 0) or usual)
