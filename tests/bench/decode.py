"""How long 10,000 pods take from the bytes of 20 pages to our words, beside Python's own JSON decoder."""

import asyncio
import json
import resource
import sys
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pyperf

from backends.kube.collect.pods import PodObject, pod
from backends.kube.reader import PAGE, LiveReader
from backends.kube.session import Reply
from mesh.model import kinds
from mesh.model.kubernetes import Pod

PODS = 10_000
PEER = "json.loads of 10,000 pods"
NAME = "read 10,000 pods"


def pod_object(number: int) -> dict[str, Any]:
    """A pod as an API server answers it, about 4 kB: two containers with probes and environment, managed fields."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web-6f7c9",
        "uid": f"{number:032x}",
        "controller": True,
    }
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "periodSeconds": 10,
        "failureThreshold": 3,
    }
    container = {
        "name": "web",
        "image": "registry.example/shop/web:1.4.2",
        "env": [{"name": f"SETTING_{n}", "value": "a value of some length"} for n in range(12)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "volumeMounts": [{"name": f"volume-{n}", "mountPath": f"/var/lib/{n}"} for n in range(4)],
    }
    running = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "ready": True, "restartCount": number % 3}
    fields: dict[str, Any] = {
        f"f:{name}": {".": {}, "k:{}": {"f:name": {}, "f:value": {}}} for name in "abcdefghijklmnop"
    }
    return {
        "metadata": {
            "name": f"web-6f7c9-{number:05}",
            "namespace": f"shop-{number % 40}",
            "labels": {"app": "web", "tier": "front", "pod-template-hash": "6f7c9"},
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {"nodeName": f"node-{number % 500}", "containers": [container, {**container, "name": "sidecar"}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
            "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "PodScheduled")],
            "containerStatuses": [{"name": "web", **running}, {"name": "sidecar", **running}],
        },
    }


def pages() -> Iterator[bytes]:
    """The bodies of a list in pages as the reader asks for them, each made when it is asked for."""
    for start in range(0, PODS, PAGE):
        left = PODS - start - PAGE
        metadata = {"resourceVersion": "1", **({"continue": "more", "remainingItemCount": left} if left else {})}
        items = [pod_object(number) for number in range(start, start + PAGE)]
        yield json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}).encode()


class Session:
    """Answers with one page after the other, from memory."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self.connection = SimpleNamespace(ref=SimpleNamespace(context="bench"))
        self._bodies = iter(bodies)

    async def send(self, *_: object, **__: object) -> Reply:
        """The next page."""
        return Reply(200, {}, next(self._bodies))


def read(bodies: Iterable[bytes]) -> list[Pod]:
    """What the collector of pods does."""
    reader = LiveReader(Session(bodies))  # type: ignore[arg-type]  # a double with what the reader calls
    return [pod(item) for item in asyncio.run(reader.list(kinds.PODS, PodObject))]


def memory() -> None:
    """Print by how many megabytes the process grew at most while it read, one page at a time."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pods = read(pages())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(pods) == PODS
    print(round(grown / (1024 if sys.platform == "linux" else 1024 * 1024), 1))


def main() -> None:
    """Run under pyperf; ``-o FILE`` keeps the values."""
    bodies = list(pages())
    runner = pyperf.Runner()
    runner.bench_func(PEER, lambda: [json.loads(body) for body in bodies])
    runner.bench_func(NAME, read, bodies)


if __name__ == "__main__":
    memory() if sys.argv[1:] == ["memory"] else main()
