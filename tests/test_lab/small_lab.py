"""A lab of two small clusters without clouds, for tests of the process, its API and kubectl.

Run as ``python -m tests.test_lab.small_lab`` it is a lab server whose only scenarios and faults are these.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from backends.lab import registry, server
from backends.lab.api.identity import Identity
from backends.lab.clouds.logins import Logins
from backends.lab.objects import Object
from backends.lab.storage.resources import NODES, PODS, RESOURCES
from backends.lab.world import ExecFailed, ExecResult, LabCluster, LogOptions, World

MODULE = "tests.test_lab.small_lab"
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Scenario:
    """A scenario that needs no cloud."""

    name: str
    title: str
    build: Any
    minutes: str = "1"
    group: str = "tests"
    clouds: bool = False


@dataclass(frozen=True)
class Fault:
    """A change of the small world."""

    name: str
    title: str
    inject: Any
    clear: Any
    layer: str = "tests"


def node(name: str, address: str) -> Object:
    """A ready node."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.34.4", "osImage": "Linux", "kernelVersion": "6.12"},
        },
    }


def pod(name: str, node_name: str = "one", *, containers: tuple[str, ...] = ("main",), **labels: str) -> Object:
    """A running pod whose containers are ready."""
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"nodeName": node_name, "containers": [{"name": one, "image": f"{one}:1"} for one in containers]},
        "status": {
            "phase": "Running",
            "podIP": "10.1.0.9",
            "podIPs": [{"ip": "10.1.0.9"}],
            "containerStatuses": [
                {"name": one, "ready": True, "restartCount": 0, "state": {"running": {}}} for one in containers
            ],
        },
    }


async def run(
    cluster: LabCluster, namespace: str, name: str, container: str, argv: list[str], stdin: bytes
) -> ExecResult:
    """Programs of every container: echo, cat, false, wait, big."""
    match argv:
        case ["echo", *words]:
            return ExecResult(" ".join(words).encode() + b"\n")
        case ["cat"]:
            return ExecResult(stdin)
        case ["false"]:
            return ExecResult(b"", b"it is false\n", 3)
        case ["big"]:
            return ExecResult(b"x" * 300_000)
        case ["wait"]:
            await asyncio.Event().wait()
    raise ExecFailed(f'exec: "{argv[0]}": executable file not found in $PATH: unknown')


async def logs(
    cluster: LabCluster, namespace: str, name: str, container: str, options: LogOptions
) -> AsyncIterator[bytes]:
    """Three lines, then one each lab second while it is followed."""
    lines = [b"first\n", b"second\n", b"third\n"]
    for line in lines if options.tail_lines is None else lines[len(lines) - options.tail_lines :]:
        yield line
    count = 3
    while options.follow:
        await cluster.world.clock.sleep(1)
        count += 1
        yield f"line {count}\n".encode()


def furnish(cluster: LabCluster) -> None:
    """Two nodes, two pods, and ``dev``, who may only look at pods of ``default``."""
    store = cluster.objects
    store.create(NODES, node("one", "10.0.0.1"))
    store.create(NODES, node("two", "10.0.0.2"))
    store.create(PODS, pod("web-1", app="web"))
    store.create(PODS, pod("web-2", "two", containers=("main", "side"), app="web", tier="front"))
    reads = {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]}
    named = {"name": "reader", "namespace": "default"}
    store.create(RESOURCES[_RBAC, "roles"], {"metadata": named, "rules": [reads]})
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": "reader"}
    subject = {"apiGroup": _RBAC, "kind": "User", "name": "dev"}
    binding = {"metadata": named, "roleRef": reference, "subjects": [subject]}
    store.create(RESOURCES[_RBAC, "rolebindings"], binding)
    cluster.identities.add("dev-token", Identity("dev", ("developers",)))


def build(world: World) -> None:
    """An EKS-like and a kind cluster."""
    world.exec_hook, world.logs_hook = run, logs
    eks = world.add_cluster(
        "eks-one", "eks", region="eu-west-1", account="111122223333", service_cidr="10.96.0.0/16", version="v1.34.4"
    )
    kind = world.add_cluster("kind-two", "kind", cloud_name="two", service_cidr="10.97.0.0/16", version="v1.33.2")
    logins = Logins(world.state_dir / "logins", world.rng)
    logins.add_aws("lab", "111122223333", "eu-west-1")
    world.logins = logins
    logins.grant_eks(eks, "lab", Identity("operator", ("system:masters",)))
    kind.identities.add("kind-token", Identity("kubernetes-admin", ("system:masters",)))
    for cluster in (eks, kind):
        furnish(cluster)


def broken(world: World) -> None:
    """A scenario that cannot be built."""
    raise ValueError("this scenario needs what is not there")


def taint(world: World, *, cluster: str = "eks-one") -> None:
    """Take a node of one cluster out of service."""
    store = world.clusters[cluster].objects
    store.update(NODES, {**store.need(NODES, None, "one"), "spec": {"unschedulable": True}})


def untaint(world: World) -> None:
    """Put every node back."""
    for cluster in world.clusters.values():
        cluster.objects.update(NODES, {**cluster.objects.need(NODES, None, "one"), "spec": {}})


SCENARIOS = {
    one.name: one
    for one in (Scenario("small", "two small clusters", build), Scenario("broken", "cannot be built", broken))
}
FAULTS = {"node-cordoned": Fault("node-cordoned", "a node takes no pods", taint, untaint)}


def main() -> int:
    """Serve these scenarios as the lab's server serves its own."""
    registry.scenarios = lambda: SCENARIOS
    registry.faults = lambda: FAULTS
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
