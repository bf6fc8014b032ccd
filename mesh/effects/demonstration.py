"""The proof: a global service on every side, asked from every side, compared with Cilium's affinity rule, removed
again.

The first member has affinity ``local``, the others ``remote``, as in the published procedure (screens.md §3.9.1).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mesh import catalogue as fact
from mesh.affinity import Affinity, traffic_from
from mesh.effects.workbench import Workbench
from mesh.errors import RunStopped, StepFailed
from mesh.model.kubernetes import Service
from mesh.model.picture import Proof
from mesh.picture import lanes_of
from mesh.plan import Prove
from mesh.ports import ClusterGateway, Outcome

NAME = "echo"
REQUESTS = 10
_REPLICAS = 2
_PATIENCE = 240.0
_LABELS = {"app.kubernetes.io/managed-by": "meshwright", "app.kubernetes.io/part-of": "meshwright-demo"}


async def demonstrate(effect: Prove, bench: Workbench) -> Outcome:
    """Deploy, ask, compare, clean up. Raises ``StepFailed`` naming the side that was not answered as expected."""
    services = {
        cluster: Service(
            effect.namespace,
            NAME,
            annotations=_annotations(index),
            ready_endpoints=_REPLICAS,
            total_endpoints=_REPLICAS,
        )
        for index, cluster in enumerate(effect.clusters)
    }
    gateways = {cluster: bench.writers.cluster(cluster) for cluster in effect.clusters}
    try:
        for index, (cluster, gateway) in enumerate(gateways.items()):
            name = next(member.name for member in bench.plan.goal.members if member.cluster == cluster)
            await gateway.apply(demonstration_objects(effect.namespace, name, effect.image, index))
            bench.output(f"{cluster}: deployed {NAME} ({_REPLICAS} pods) and a client, affinity {_affinity(index)}")
        answers = {
            cluster: await _ask_until_right(effect.namespace, cluster, services, bench) for cluster in effect.clusters
        }
        store = await bench.reread((fact.SERVICES.name, fact.PEERS.name))
        proof = Proof(lanes_of(store, effect.clusters, effect.namespace, NAME), answers)
    finally:
        await _clean_up(effect.namespace, gateways, bench)
    return Outcome(proof=proof)


async def _clean_up(namespace: str, gateways: Mapping[str, ClusterGateway], bench: Workbench) -> None:
    """Ask every cluster to remove it. Whoever stopped the run does not wait for its being gone."""
    stopped: RunStopped | None = None
    for cluster, gateway in gateways.items():
        try:
            await gateway.delete_namespace(namespace, bench.clock)
            bench.output(f"{cluster}: removed namespace {namespace}")
        except RunStopped as error:
            bench.output(f"{cluster}: removes namespace {namespace}")
            stopped = error
    if stopped:
        raise stopped


def _affinity(index: int) -> Affinity:
    return Affinity.LOCAL if index == 0 else Affinity.REMOTE


def _annotations(index: int) -> dict[str, str]:
    return {"service.cilium.io/global": "true", "service.cilium.io/affinity": _affinity(index).value}


async def _ask_until_right(
    namespace: str, cluster: str, services: Mapping[str, Service], bench: Workbench
) -> dict[str, int]:
    """Ask until ``REQUESTS`` in a row come from where the affinity rule says: back-ends of peers take seconds to
    arrive. How many of them each cluster answered.
    """
    expected = {
        member.name: member.cluster
        for member in bench.plan.goal.members
        if member.cluster in traffic_from(cluster, services).chosen
    }
    told = " or ".join(sorted(expected))
    gateway, until, last = bench.writers.cluster(cluster), bench.clock.now() + _PATIENCE, ""
    right: list[str] = []
    while len(right) < REQUESTS:
        code, text = await gateway.run_in_pod(
            namespace, "app=client", "client", ("curl", "-sS", "-m", "2", f"http://{NAME}.{namespace}/"), 10.0
        )
        answered = _who(text) if code == 0 else ""
        right = [*right, expected[answered]] if answered in expected else []
        said = answered or text.strip() or f"exit {code}"
        if said != last:
            bench.output(f"{cluster} → {said}")
            last = said
        if not right:
            if bench.clock.now() > until:
                raise StepFailed(
                    f"{cluster} is not served by {told}",
                    f"The last answer was: {said}",
                    "The mesh is connected; look at the path between the nodes: meshwright check --layer 4",
                )
            await bench.clock.sleep(1.0)
    bench.output(f"{cluster}: {REQUESTS} of {REQUESTS} answered by {told}")
    return dict(Counter(right))


def _who(text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    return str(answer.get("cluster", "")) if isinstance(answer, dict) else ""


def demonstration_objects(namespace: str, name: str, image: str, index: int) -> Sequence[dict[str, Any]]:
    """Namespace, page, server, client and global Service; the page names the cluster that serves it."""
    meta = {"namespace": namespace, "labels": _LABELS}
    page = {"index.html": json.dumps({"cluster": name})}
    mount = {"name": "page", "mountPath": "/usr/share/nginx/html"}
    server = {
        "containers": [{"name": "echo", "image": image, "ports": [{"containerPort": 80}], "volumeMounts": [mount]}],
        "volumes": [{"name": "page", "configMap": {"name": "echo"}}],
    }
    client = {"containers": [{"name": "client", "image": image, "command": ["sleep", "1200"]}]}
    port = {"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": _LABELS}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "echo"}, "data": page},
        _deployment(meta, "echo", _REPLICAS, server),
        _deployment(meta, "client", 1, client),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**meta, "name": "echo", "annotations": _annotations(index)},
            "spec": {"selector": {"app": "echo"}, "ports": [port]},
        },
    )


def _deployment(meta: Mapping[str, Any], name: str, replicas: int, pod: Mapping[str, Any]) -> dict[str, Any]:
    spec = {**pod, "automountServiceAccountToken": False}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**meta, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name, **_LABELS}}, "spec": spec},
        },
    }
