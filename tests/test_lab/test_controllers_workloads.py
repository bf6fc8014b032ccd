"""Workload controllers: pods follow what is wanted, in the steps and with the counts of real ones."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backends.lab.controllers import reading
from backends.lab.controllers.budgets import BUDGETS
from backends.lab.controllers.endpoints import SLICES
from backends.lab.controllers.workloads.cron import following
from backends.lab.controllers.workloads.jobs import CRONJOBS, JOBS
from backends.lab.objects import Object
from backends.lab.storage.resources import DAEMONSETS, DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PODS, SERVICES
from tests.test_lab.meadow import Meadow, install, meadow, values


@pytest.fixture
def one() -> Meadow:
    """A cluster with Cilium on three nodes."""
    made = meadow(nodes=3, names=("east",))
    made.settle(20)
    install(made, "east", "1.19.5", values("east", 1))
    made.settle(60)
    made.cluster("east").objects.create(NAMESPACES, {"metadata": {"name": "shop"}})
    return made


def deployment(name: str, replicas: int, image: str = "nginx:1.27", **strategy: Any) -> Object:
    labels = {"app": name}
    container = {"name": name, "image": image, "ports": [{"name": "http", "containerPort": 80}]}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    if strategy:
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": strategy}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def ready_pods(one: Meadow, label: str, value: str) -> list[Object]:
    return [pod for pod in one.pods("east", label, value) if reading.ready(pod)]


def test_a_daemon_set_has_a_pod_on_every_node_it_selects(one: Meadow) -> None:
    store = one.cluster("east").objects
    status = store.need(DAEMONSETS, "kube-system", "kube-proxy")["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"], status["updatedNumberScheduled"]) == (3, 3, 3)
    pods = [pod for pod in store.view(PODS) if pod["metadata"]["name"].startswith("kube-proxy-")]
    addresses = {reading.node_of(pod): reading.pod_ip(pod) for pod in pods}
    assert addresses == {node["metadata"]["name"]: reading.internal_ip(node) for node in store.view(NODES)}


def test_a_parked_daemon_set_has_no_pods_and_comes_back(one: Meadow) -> None:
    store = one.cluster("east").objects
    park = {"spec": {"template": {"spec": {"nodeSelector": {"meshwright.io/parked": "true"}}}}}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", park, "strategic")
    one.settle(15)
    status = store.need(DAEMONSETS, "kube-system", "kube-proxy")["status"]
    assert status["desiredNumberScheduled"] == 0 and status["observedGeneration"] == 2
    assert not ready_pods(one, "k8s-app", "kube-proxy")
    unpark = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", unpark, "merge")
    one.settle(15)
    assert len(ready_pods(one, "k8s-app", "kube-proxy")) == 3


def test_a_daemon_set_rolls_no_more_pods_at_once_than_allowed(one: Meadow) -> None:
    store = one.cluster("east").objects
    change = {"spec": {"template": {"metadata": {"annotations": {"restarted": "yes"}}}}}
    old = {pod["metadata"]["uid"] for pod in ready_pods(one, "k8s-app", "kube-proxy")}
    store.patch(DAEMONSETS, "kube-system", "kube-proxy", change)
    worst = 3

    def watch() -> bool:
        nonlocal worst
        worst = min(worst, len(ready_pods(one, "k8s-app", "kube-proxy")))
        status = store.need(DAEMONSETS, "kube-system", "kube-proxy")["status"]
        return bool(status.get("updatedNumberScheduled") == 3 and status["numberReady"] == 3)

    assert one.simulation.settle(120, watch)
    assert worst == 2
    assert not old & {pod["metadata"]["uid"] for pod in ready_pods(one, "k8s-app", "kube-proxy")}


def test_a_deployment_keeps_its_pods_while_it_rolls(one: Meadow) -> None:
    store = one.cluster("east").objects
    store.create(DEPLOYMENTS, deployment("cart", 4, maxSurge=1, maxUnavailable=0))
    one.settle(30)
    assert len({reading.node_of(pod) for pod in ready_pods(one, "app", "cart")}) == 3
    change = {"spec": {"template": {"spec": {"containers": [{"name": "cart", "image": "nginx:1.28"}]}}}}
    store.patch(DEPLOYMENTS, "shop", "cart", change, "strategic")
    seen = []

    def rolled() -> bool:
        seen.append(len(ready_pods(one, "app", "cart")))
        status = store.need(DEPLOYMENTS, "shop", "cart")["status"]
        return [status.get("updatedReplicas"), status.get("replicas"), seen[-1]] == [4, 4, 4]

    assert one.simulation.settle(180, rolled)
    assert min(seen) == 4 and max(seen) <= 5
    done = store.need(DEPLOYMENTS, "shop", "cart")
    assert done["status"]["observedGeneration"] == done["metadata"]["generation"] == 2
    assert reading.annotations(done)["deployment.kubernetes.io/revision"] == "2"
    assert {pod["spec"]["containers"][0]["image"] for pod in ready_pods(one, "app", "cart")} == {"nginx:1.28"}


def test_an_image_that_is_not_there_stops_a_rollout_and_says_so(one: Meadow) -> None:
    store = one.cluster("east").objects
    container = {"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.19.99"}
    bad = {"spec": {"template": {"spec": {"containers": [container]}}}}
    store.patch(DAEMONSETS, "kube-system", "cilium", bad, "strategic")
    one.settle(120)
    status = store.need(DAEMONSETS, "kube-system", "cilium")["status"]
    assert status["numberReady"] == 1 and status["numberUnavailable"] == 2
    waiting = [
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
        for pod in one.pods("east", "k8s-app", "cilium")
        if not reading.ready(pod)
    ]
    assert set(waiting) <= {"ErrImagePull", "ImagePullBackOff"} and len(waiting) == 2
    assert any(event["reason"] == "Failed" and "not found" in event["message"] for event in store.view(EVENTS))


def test_a_missing_secret_keeps_a_pod_in_creation_with_an_event(one: Meadow) -> None:
    store = one.cluster("east").objects
    body = deployment("web", 1)
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "web-tls"}}]
    store.create(DEPLOYMENTS, body)
    one.settle(30)
    pod = one.pods("east", "app", "web")[0]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    about = [event for event in store.view(EVENTS) if event["involvedObject"]["name"] == pod["metadata"]["name"]]
    messages = [event["message"] for event in about]
    assert 'MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found' in messages
    store.create(store.resources["", "secrets"], {"metadata": {"name": "web-tls", "namespace": "shop"}, "data": {}})
    one.settle(30)
    assert len(ready_pods(one, "app", "web")) == 1


def test_endpoint_slices_hold_ready_pods_and_their_own_port_numbers(one: Meadow) -> None:
    store = one.cluster("east").objects
    store.create(DEPLOYMENTS, deployment("cart", 2))
    port = {"name": "web", "port": 8080, "targetPort": "http"}
    spec = {"selector": {"app": "cart"}, "ports": [port]}
    store.create(SERVICES, {"metadata": {"name": "cart", "namespace": "shop"}, "spec": spec})
    one.settle(30)
    found = [s for s in store.view(SLICES, "shop") if reading.labels(s)["kubernetes.io/service-name"] == "cart"]
    assert len(found) == 1 and found[0]["ports"] == [{"name": "web", "port": 80, "protocol": "TCP"}]
    addresses = {end["addresses"][0] for end in found[0]["endpoints"]}
    assert addresses == {reading.pod_ip(pod) for pod in ready_pods(one, "app", "cart")}
    store.patch(DEPLOYMENTS, "shop", "cart", {"spec": {"replicas": 0}})
    one.settle(30)
    assert not store.need(SLICES, "shop", found[0]["metadata"]["name"])["endpoints"]


def test_a_budget_tells_how_many_pods_may_go(one: Meadow) -> None:
    store = one.cluster("east").objects
    store.create(DEPLOYMENTS, deployment("cart", 2))
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "cart"}}}
    store.create(BUDGETS, {"metadata": {"name": "cart", "namespace": "shop"}, "spec": spec})
    one.settle(30)

    def allowed() -> int:
        return int(store.need(BUDGETS, "shop", "cart")["status"]["disruptionsAllowed"])

    assert allowed() == 0
    store.patch(BUDGETS, "shop", "cart", {"spec": {"minAvailable": 1}})
    one.settle(1)
    assert allowed() == 1
    name = ready_pods(one, "app", "cart")[0]["metadata"]["name"]
    store.delete(PODS, "shop", name, grace_seconds=30)
    one.settle(0.5)
    assert allowed() == 0, "the pod that goes is healthy no more"
    one.settle(40)
    assert allowed() == 1 and len(ready_pods(one, "app", "cart")) == 2


def test_a_cron_job_runs_when_it_is_due_and_remembers(one: Meadow) -> None:
    store = one.cluster("east").objects
    pod = {"restartPolicy": "Never", "containers": [{"name": "tidy", "image": "busybox:1.36"}]}
    body = {
        "metadata": {"name": "tidy", "namespace": "shop"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    store.create(CRONJOBS, body)
    one.settle(630)
    jobs = [job for job in store.view(JOBS, "shop") if reading.owner(job, "CronJob")]
    assert jobs and all(reading.is_true(job, "Complete") for job in jobs)
    assert store.need(CRONJOBS, "shop", "tidy")["status"]["lastSuccessfulTime"]


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        ("0 0 1 */4 *", "2026-02-03T04:05:06", "2026-05-01T00:00:00"),
        ("*/15 * * * *", "2026-02-03T04:05:06", "2026-02-03T04:15:00"),
        ("30 6 * * 1-5", "2026-02-06T06:30:00", "2026-02-09T06:30:00"),
        ("@daily", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_schedules(schedule: str, after: str, due: str) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()
    found = datetime.fromtimestamp(following(schedule, start), UTC).replace(tzinfo=None)
    assert found == datetime.fromisoformat(due)


def test_a_namespace_goes_with_everything_in_it(one: Meadow) -> None:
    store = one.cluster("east").objects
    store.create(DEPLOYMENTS, deployment("cart", 2))
    one.settle(30)
    store.delete(NAMESPACES, None, "shop")
    assert store.need(NAMESPACES, None, "shop")["status"]["phase"] == "Terminating"
    one.settle(60)
    assert store.get(NAMESPACES, None, "shop") is None and not store.list(PODS, "shop")
