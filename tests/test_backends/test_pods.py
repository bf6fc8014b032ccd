"""Pods: what is read of them, and ten thousand of them within the budget (DESIGN §7)."""

import json
import time
from typing import Any

import msgspec

from backends.kube.collect.pods import PodObject, pod
from mesh.text import clean_value

COUNT = 10_000


def served(number: int, **status: Any) -> dict[str, Any]:
    """A pod as an API server serves it, with much that is not read."""
    container = {
        "name": "web",
        "image": "registry.example/web:1",
        "env": [{"name": f"V{n}", "value": "text"} for n in range(20)],
        "volumeMounts": [{"name": f"v{n}", "mountPath": f"/{n}"} for n in range(6)],
    }
    owner = {"kind": "ReplicaSet", "name": "web-6f7c9", "controller": True, "uid": "u"}
    return {
        "metadata": {
            "name": f"web-{number:05}",
            "namespace": "shop",
            "labels": {"app": "web", "pod-template-hash": "6f7c9"},
            "ownerReferences": [{"kind": "Node", "name": "n"}, owner],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {f"f:{n}": {"f:x": {}} for n in range(20)}}],
        },
        "spec": {"nodeName": f"node-{number % 100}", "containers": [container, container]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "startTime": "2026-11-23T14:05:16Z",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 2, "state": {"running": {}}}, {"restartCount": 1}],
            **status,
        },
    }


def read(item: dict[str, Any]) -> PodObject:
    return msgspec.json.decode(json.dumps(item), type=PodObject)


def test_what_is_read_of_a_pod() -> None:
    found = pod(read(served(7)))
    assert (found.namespace, found.name, found.node, found.ip) == ("shop", "web-00007", "node-7", "10.0.0.1")
    assert (found.phase, found.ready, found.restarts, found.started_at) == ("Running", True, 3, 1795442716.0)
    assert (found.owner_kind, found.owner_name) == ("ReplicaSet", "web-6f7c9")
    assert not found.host_network
    assert not found.deleting


def test_a_pod_that_waits_and_one_that_goes() -> None:
    waiting = served(1, containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}], conditions=[])
    waiting["metadata"]["deletionTimestamp"] = "2026-11-23T14:05:16Z"
    found = pod(read(waiting))
    assert (found.waiting, found.ready, found.deleting) == ("ImagePullBackOff", False, True)
    bare = pod(read({"metadata": {"name": "a"}}))
    assert (bare.phase, bare.started_at, bare.owner_kind) == ("", 0.0, "")


def test_ten_thousand_pods_within_the_budget() -> None:
    page = b'{"items":[' + b",".join(json.dumps(served(n)).encode() for n in range(500)) + b"]}"
    shape: Any = msgspec.defstruct("Page", [("items", list[PodObject])])
    decoder = msgspec.json.Decoder(shape)

    def cpu() -> float:
        began = time.process_time()
        pods = tuple(pod(item) for _ in range(COUNT // 500) for item in decoder.decode(page).items)
        assert clean_value(pods) is pods
        return time.process_time() - began

    def peer() -> float:
        began = time.process_time()
        for _ in range(COUNT // 500):
            json.loads(page)
        return time.process_time() - began

    # On a machine slower than the budget's own, Python's JSON decoder is the measure: it needs more than twice as long.
    best = min(cpu() for _ in range(5))
    assert best < 0.1 or best < peer() / 2
