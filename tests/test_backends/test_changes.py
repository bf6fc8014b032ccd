"""Changes to a cluster, held against the lab's API server: each may be asked for twice, what is not ours is refused."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.authority import belongs_together, fingerprint, new_ca
from backends.credentials.plugin import Credentials
from backends.kube.changes import ClusterChanges
from backends.kube.gateway import cluster_changes
from backends.kube.reader import LiveReader
from backends.kube.restarts import Restarts
from backends.kube.session import ApiSession
from backends.kubeconfig.listing import Kubeconfig
from backends.lab.launch import start_lab
from mesh.errors import Refused, StepFailed
from mesh.text import Secret
from tests.test_lab.small_lab import MODULE
from tests.test_mesh.fakes import FakeClock

DAEMON_SET = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": {"app": "p"}},
        "template": {
            "metadata": {"labels": {"app": "p"}},
            "spec": {"nodeSelector": {"kubernetes.io/os": "linux"}, "containers": [{"name": "p", "image": "p"}]},
        },
    },
}


@asynccontextmanager
async def changing(kubeconfig: Path, environment: dict[str, str], clock: FakeClock) -> AsyncIterator[ClusterChanges]:
    config = Kubeconfig((str(kubeconfig),), environment=environment)
    ref = next(ref for ref in config.contexts().contexts if ref.context == "kind-two")
    session = ApiSession(config.connection(ref), Credentials(environment=environment), environment=environment)
    try:
        yield cluster_changes("kind-two", session, LiveReader(session), clock)
    finally:
        await session.close()


@pytest.fixture
async def changes() -> AsyncIterator[ClusterChanges]:
    async with (
        start_lab("small", module=MODULE) as lab,
        changing(lab.kubeconfig, dict(lab.env), FakeClock()) as made,
    ):
        yield made


async def test_everything_against_one_cluster(changes: ClusterChanges) -> None:
    """One lab serves all: starting one per claim would cost more than the claims."""
    await leases_keep_two_operators_apart(changes)
    await a_ca_is_written_once(changes)
    await daemon_sets_are_parked(changes)
    await objects_are_applied_and_only_our_namespaces_go(changes)
    await commands_run_in_pods(changes)
    await denials_name_the_right(changes)


async def leases_keep_two_operators_apart(changes: ClusterChanges) -> None:
    clock = changes.lease.clock
    assert isinstance(clock, FakeClock)
    await changes.hold("one", 60)
    await changes.hold("one", 60)
    with pytest.raises(Refused, match=r"being changed by \S+@\S+ one"):
        await changes.hold("two", 60)
    clock.time += 61
    await changes.hold("two", 60)
    with pytest.raises(Refused, match=r"being changed by \S+@\S+ two"):
        await changes.hold("one", 60)
    await changes.release("one")
    with pytest.raises(Refused, match=r"being changed by \S+@\S+ two"):
        await changes.hold("one", 60)
    await changes.release("two")
    await changes.hold("one", 60)
    await changes.release("one")


async def a_ca_is_written_once(changes: ClusterChanges) -> None:
    assert await changes.read_ca("kube-system") is None
    ca = new_ca()
    assert (await changes.write_ca("kube-system", "cilium", ca)).changed
    assert (await changes.write_ca("kube-system", "cilium", ca)).changed == ()
    read = await changes.read_ca("kube-system")
    assert read is not None and read.fingerprint == ca.fingerprint and read.key.reveal() == ca.key.reveal()
    with pytest.raises(StepFailed, match="has another cilium-ca"):
        await changes.write_ca("kube-system", "cilium", new_ca())
    _, secret = await changes.ask("GET", "/api/v1/namespaces/kube-system/secrets/cilium-ca")
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert secret["metadata"]["annotations"]["meta.helm.sh/release-name"] == "cilium"


async def daemon_sets_are_parked(changes: ClusterChanges) -> None:
    assert (await changes.park_daemon_set("kube-system", "absent")).changed == ()
    await changes.ask("POST", "/apis/apps/v1/namespaces/kube-system/daemonsets", DAEMON_SET)
    first = await changes.park_daemon_set("kube-system", "kube-proxy")
    assert first.undo["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert (await changes.park_daemon_set("kube-system", "kube-proxy")).changed == ()
    _, found = await changes.ask("GET", "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy")
    selector = found["spec"]["template"]["spec"]["nodeSelector"]
    assert selector == {"kubernetes.io/os": "linux", "meshwright.io/parked": "true"}


async def objects_are_applied_and_only_our_namespaces_go(changes: ClusterChanges) -> None:
    ours = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "meshwright-demo", "labels": {"app.kubernetes.io/managed-by": "meshwright"}},
    }
    page = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "echo", "namespace": "meshwright-demo"},
        "data": {"index.html": "{}"},
    }
    await changes.apply([ours, page])
    await changes.apply([ours, page])
    _, found = await changes.ask("GET", "/api/v1/namespaces/meshwright-demo/configmaps/echo")
    assert found["data"] == {"index.html": "{}"}
    with pytest.raises(StepFailed, match="was not made by Meshwright"):
        await changes.delete_namespace("default", FakeClock())
    assert (await changes.delete_namespace("absent", FakeClock())).changed == ()


async def commands_run_in_pods(changes: ClusterChanges) -> None:
    assert (await changes.run_in_pod("default", "app=web", "main", ("echo",), 5.0))[0] == 125
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await changes.ask("PATCH", "/api/v1/namespaces/default/pods/web-1/status", ready, "application/merge-patch+json")
    code, text = await changes.run_in_pod("default", "app=web", "main", ("echo", "hello"), 5.0)
    assert (code, text) == (0, "hello\n")
    code, text = await changes.run_in_pod("default", "app=web", "main", ("false",), 5.0)
    assert (code, text) == (3, "it is false\n")
    code, text = await changes.run_in_pod("default", "app=absent", "main", ("echo",), 5.0)
    assert code == 125 and "none was created" in text


async def denials_name_the_right(changes: ClusterChanges) -> None:
    with pytest.raises(StepFailed) as caught:
        await changes.ask(
            "POST", "/api/v1/namespaces/absent/configmaps", {"metadata": {"name": "x"}, "kind": "ConfigMap"}
        )
    assert 'namespaces "absent" not found' in caught.value.detail


def test_a_new_ca_hides_its_key_and_fits_it() -> None:
    ca = new_ca()
    assert "KEY" not in repr(ca) + str(ca.key) + f"{ca.key}"
    assert belongs_together(ca.certificate.encode(), ca.key.reveal().encode())
    assert not belongs_together(ca.certificate.encode(), new_ca().key.reveal().encode())
    assert not belongs_together(b"<removed>", b"<removed>")
    assert fingerprint(ca.certificate.encode()) == ca.fingerprint
    assert isinstance(ca.key, Secret)


class Pods:
    """Pods of a cluster under eviction: an evicted pod's controller brings a new one with a Cilium address."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = {pod["metadata"]["name"]: pod for pod in pods}
        self.evicted: list[str] = []
        self.refusals = 0
        self.replaced = True
        self.stale = 0

    async def ask(
        self, method: str, path: str, body: Any = None, content: str = "", *, expect: Sequence[int] = ()
    ) -> tuple[int, dict[str, Any]]:
        if path.endswith("cilium-config"):
            return 200, {"data": {"cluster-pool-ipv4-cidr": "10.120.0.0/16"}}
        if path.endswith("ciliumnodes"):
            return 404, {}
        if path.endswith("/eviction"):
            if self.refusals:
                self.refusals -= 1
                return 429, {}
            name = path.split("/")[-2]
            self.evicted.append(name)
            old = self.pods.pop(name)
            if self.replaced:
                address = "192.168.1.77" if self.stale else "10.120.0.9"
                self.stale = max(0, self.stale - 1)
                self.pods[f"{name}-new"] = pod(f"{name}-new", address, old["metadata"]["ownerReferences"][0]["name"])
            return 201, {}
        return 200, {"items": list(self.pods.values())}


def pod(name: str, address: str, owner: str = "", **spec: Any) -> dict[str, Any]:
    owners = [{"controller": True, "kind": "ReplicaSet", "name": owner}] if owner else []
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "ownerReferences": owners},
        "spec": spec,
        "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
    }


async def restart(pods: Pods, clock: FakeClock | None = None) -> list[str]:
    lines: list[str] = []
    await Restarts("eks", pods.ask, clock or FakeClock(), lines.append).run()
    return lines


async def test_only_pods_older_than_cilium_go_and_dns_goes_first() -> None:
    pods = Pods(
        pod("cart-1", "192.168.1.9", "cart-6f"),
        pod("coredns-1", "192.168.1.8", "coredns-7c"),
        pod("new-1", "10.120.0.4", "new-1a"),
        pod("agent", "192.168.1.1", "agent-1", hostNetwork=True),
    )
    await restart(pods)
    assert pods.evicted == ["coredns-1", "cart-1"]


async def test_a_budget_is_waited_for() -> None:
    pods = Pods(pod("cart-1", "192.168.1.9", "cart-6f"))
    pods.refusals = 3
    await restart(pods)
    assert pods.evicted == ["cart-1"]
    pods = Pods(pod("cart-1", "192.168.1.9", "cart-6f"))
    pods.refusals = 10_000
    with pytest.raises(StepFailed, match="may not be evicted"):
        await restart(pods)


async def test_the_first_workload_that_does_not_come_back_stops_the_rest() -> None:
    pods = Pods(pod("a-1", "192.168.1.9", "a-6f"), pod("b-1", "192.168.1.8", "b-7c"))
    pods.replaced = False
    with pytest.raises(StepFailed, match="did not come back"):
        await restart(pods)
    assert pods.evicted == ["a-1"]


async def test_a_pod_that_comes_back_with_an_old_address_goes_once_more() -> None:
    """Its node's CNI may change between the eviction and the new pod's sandbox; one that changes never is told."""
    pods = Pods(pod("cart-1", "192.168.1.9", "cart-6f"))
    pods.stale = 1
    await restart(pods)
    assert pods.evicted == ["cart-1", "cart-1-new"]
    pods = Pods(pod("cart-1", "192.168.1.9", "cart-6f", nodeName="ip-10-0-1-21"))
    pods.stale = 10_000
    with pytest.raises(StepFailed, match="addresses that are not Cilium's") as caught:
        await restart(pods)
    assert "shop/cart-1-new-new (192.168.1.77 on no node)" in caught.value.detail
    assert pods.evicted == ["cart-1", "cart-1-new"]


async def test_pods_that_nothing_recreates_are_left_and_named() -> None:
    pods = Pods(pod("alone", "192.168.1.9"), pod("b-1", "192.168.1.8", "b-7c"))
    with pytest.raises(StepFailed) as caught:
        await restart(pods)
    assert "shop/alone" in caught.value.detail
    assert pods.evicted == ["b-1"]
