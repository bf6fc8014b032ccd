"""The lab's ``cilium`` over the lab's API, as cilium-clustermesh §3 and §10 tell it of the real one."""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import pytest

from backends.lab.charts import ChartVersion
from backends.lab.charts.trust.certificates import new_authority
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.install import install
from backends.lab.commands.releases.options import Chart, Options, Patience
from backends.lab.commands.releases.record import from_secret, to_secret
from backends.lab.storage.resources import SECRETS
from tests.test_lab.meadow import Meadow, values
from tests.test_lab.shell import Said, Shell, shell

VERSION = "1.19.5"
CONNECT = ("clustermesh", "connect", "--context", "east", "--destination-context")
REFUSED = "Unable to connect cluster: "
PLAIN = {"clustermesh": {"useAPIServer": False, "config": {"enabled": False}}}
BOTH: Mapping[str, int] = MappingProxyType({"east": 1, "west": 2})
CACHED = {"clustermesh__apiserver__kvstoremesh__enabled": True}
World: TypeAlias = Callable[..., AbstractAsyncContextManager[Shell]]


@pytest.fixture
def lab(tmp_path: Path) -> World:
    """A world of east and west with Cilium in them, and a shell in it."""

    def make(**kwargs: Any) -> AbstractAsyncContextManager[Shell]:
        return shell(tmp_path, build=lambda one: build(one, **kwargs))

    return make


def build(
    one: Meadow,
    *,
    version: str = VERSION,
    numbers: Mapping[str, int] = BOTH,
    mesh: bool = True,
    one_authority: bool = True,
) -> None:
    """Install a release per cluster and let it come to rest."""
    if one_authority:
        share_authority(one)
    for name, number in numbers.items():
        given = {**values(name, number, **CACHED), **({} if mesh else PLAIN)}
        cluster = one.cluster(name)
        port = StorePort(cluster.objects, cluster.version, one.world.clock.now)
        options = Options(keys="ec", patience=Patience(600.0, 1.0, one.settle))
        install(port, Chart(ChartVersion.parse(version)), given, options=options)
    one.settle(120)


def share_authority(one: Meadow) -> None:
    """One CA for both clusters, there before anything is installed."""
    pair = new_authority("Cilium CA", 1095, datetime.fromtimestamp(one.world.clock.now(), UTC), "ec")
    data = {key: base64.b64encode(text).decode() for key, text in (("ca.crt", pair.certificate), ("ca.key", pair.key))}
    marks = {"meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "kube-system"}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    metadata = {"name": "cilium-ca", "namespace": "kube-system", "labels": labels, "annotations": marks}
    for cluster in one.world.clusters.values():
        cluster.objects.create(SECRETS, {"metadata": metadata, "data": data, "type": "Opaque"})


def releases(shell: Shell, name: str) -> list[Any]:
    """The revisions in a cluster."""
    found = shell.cluster(name).objects.list(SECRETS, "kube-system", {"owner": "helm"})
    return sorted((from_secret(secret) for secret in found), key=lambda release: release.revision)


def config(shell: Shell, name: str) -> Any:
    """The values of a cluster's newest revision."""
    return releases(shell, name)[-1].config


def failed(said: Said, words: str) -> bool:
    """Exit code 1 and the text after a blank line."""
    assert (said.code, said.errors) == (1, f"\nError: {words}\n")
    return True


async def test_a_mesh_is_made_looked_at_and_taken_apart(lab: World) -> None:
    async with lab() as at:
        done = await at.cilium(*CONNECT, "west")
        assert done.code == 0, done.errors
        assert done.lines == [
            "✨ Extracting access information of cluster east...",
            "🔑 Extracting secrets from cluster east...",
            "ℹ️  Found ClusterMesh service IPs: [10.1.0.200]",
            "✨ Extracting access information of cluster west...",
            "🔑 Extracting secrets from cluster west...",
            "ℹ️  Found ClusterMesh service IPs: [10.2.0.200]",
            "ℹ️ Configuring Cilium in cluster east to connect to cluster west",
            "ℹ️ Configuring Cilium in cluster west to connect to cluster east",
            "✅ Connected cluster east <=> west!",
        ]
        status = await at.cilium("clustermesh", "status", "--context", "west", "--wait", "--wait-duration", "900s")
        assert status.code == 0, status.output
        assert "✅ All 2 nodes are connected to all clusters [min:1 / avg:1.0 / max:1]" in status.lines
        assert "✅ All 1 KVStoreMesh replicas are connected to all clusters [min:1 / avg:1.0 / max:1]" in status.lines
        assert "  - east: 2/2 configured, 2/2 connected - KVStoreMesh: 1/1 configured, 1/1 connected" in status.lines
        data = json.loads((await at.cilium("clustermesh", "status", "--context", "west", "-o", "json")).output)
        assert data["connectivity"]["clusters"] == {"east": {"configured": 2, "connected": 2}}
        assert data["access_information"]["service_ips"] == ["10.2.0.200"]
        assert data["access_information"]["cluster_id"] == "2"
        assert data["kvstoremesh"]["enabled"] is True
        # Once more is one more revision on each side, and nothing else.
        await at.cilium(*CONNECT, "west")
        assert [release.status for release in releases(at, "west")] == ["superseded", "superseded", "deployed"]
        done = await at.cilium("clustermesh", "disconnect", "--context", "east", "--destination-context", "west")
        assert done.lines[-1] == "✅ Disconnected clusters east <x> west!"
        for name in ("east", "west"):
            assert config(at, name)["clustermesh"]["config"] == {"clusters": [], "enabled": True}


async def test_authorities_that_differ(lab: World) -> None:
    async with lab(one_authority=False) as at:
        mismatch = "Cilium CA certificates do not match between clusters east and west."
        hint = "Use --allow-mismatching-ca to allow this by adding remote CAs to the CA bundle"
        assert failed(await at.cilium(*CONNECT, "west"), f"{REFUSED}{mismatch} {hint}")
        assert len(releases(at, "east")) == 1, "nothing was changed"
        done = await at.cilium(*CONNECT, "west", "--allow-mismatching-ca")
        assert done.code == 0, done.errors
        assert f"⚠️ {mismatch} Remote cluster CA will be trusted in the CA bundle" in done.lines
        bundles = []
        for name in ("east", "west"):
            given = config(at, name)
            assert given["tls"]["caBundle"]["enabled"] is True
            assert "cilium.io/caBundleChangeRestartedAt" in given["clustermesh"]["apiserver"]["podAnnotations"]
            bundles.append(given["tls"]["caBundle"]["content"])
        assert bundles[0] == bundles[1]
        assert bundles[0].count("BEGIN CERTIFICATE") == 2
        status = await at.cilium("clustermesh", "status", "--context", "east", "--wait", "--wait-duration", "900s")
        assert status.code == 0, status.output


async def test_clusters_that_may_not_meet(lab: World) -> None:
    async with lab(numbers={"east": 1, "west": 1}) as at:
        same = "remote and local cluster have the same, non-unique"
        assert failed(await at.cilium(*CONNECT, "west"), f"{REFUSED}{same} ID: 1")
        assert failed(await at.cilium(*CONNECT, "east"), f"{REFUSED}{same} name: east")
        unknown = 'unable to create Kubernetes client to access remote cluster "nope": context "nope" does not exist'
        assert failed(await at.cilium(*CONNECT, "nope"), REFUSED + unknown)
        mode = await at.cilium(*CONNECT, "west", "--connection-mode", "star")
        assert mode.lines == [
            "❌ star is not a correct connection mode.",
            "Available connection modes: bidirectional, mesh, unicast",
        ]
        assert len(releases(at, "east")) == 1
        # Without a destination nothing is refused: one more revision, nobody connected.
        nobody = await at.cilium("clustermesh", "connect", "--context", "east")
        assert nobody.code == 0
        assert nobody.lines[-1] == "ℹ️ Configuring Cilium in cluster east to connect to cluster "
        assert len(releases(at, "east")) == 2


async def test_nothing_installed(lab: World) -> None:
    async with lab(numbers={}) as at:
        absent = 'unable to retrieve ConfigMap "cilium-config": configmaps "cilium-config" not found'
        assert failed(await at.cilium("clustermesh", "status"), f"Unable to determine status:  {absent}")
        typed = ("clustermesh", "enable", "--service-type", "LoadBalancer")
        assert failed(await at.cilium(*typed), "Unable to enable ClusterMesh: release: not found")
        untyped = "cannot auto-detect service type, please specify using '--service-type' option"
        assert failed(await at.cilium("clustermesh", "enable"), f"Unable to enable ClusterMesh: {untyped}")
        connect = await at.cilium(*CONNECT, "west")
        assert connect.output == "❌ Unable to find Helm release for the target cluster\n"
        assert failed(connect, f"{REFUSED}release: not found")
        summary = await at.cilium("status")
        assert summary.code == 1
        assert 'daemonsets.apps "cilium" not found' in summary.errors
        version = await at.cilium("version")
        assert "unknown. Unable to obtain cilium version. Reason: release: not found" in version.lines[-1]


async def test_the_mesh_is_turned_on_and_off(lab: World) -> None:
    async with lab(numbers={"east": 1}, mesh=False) as at:
        service = "clustermesh-apiserver"
        missing = f'unable to get clustermesh service "{service}": services "{service}" not found'
        assert failed(await at.cilium(*CONNECT, "west"), REFUSED + missing)
        store = at.cluster("east").objects
        release = releases(at, "east")[-1]
        release.revision, release.status = 2, "pending-upgrade"
        store.create(SECRETS, to_secret(release, ("createdAt", 0)))
        busy = "another operation (install/upgrade/rollback) is in progress"
        line = ("clustermesh", "enable", "--service-type", "NodePort")
        enabling = "Unable to enable ClusterMesh: "
        assert failed(await at.cilium(*line), f"{enabling}{busy}")
        assert (await at.helm("rollback", "cilium")).code == 0
        done = await at.cilium(*line)
        warning = "⚠️  Using service type NodePort may fail when nodes are removed from the cluster!"
        assert (done.code, done.lines) == (0, [warning])
        given = config(at, "east")["clustermesh"]
        assert given["apiserver"]["service"] == {"type": "NodePort"}
        assert given["apiserver"]["tls"]["auto"] == {"enabled": True, "method": "cronJob", "schedule": "0 0 1 */4 *"}
        assert (await at.cilium("clustermesh", "disable")).code == 0
        given = config(at, "east")["clustermesh"]
        assert (given["useAPIServer"], given["config"]) == (False, {"clusters": [], "enabled": False})
        wrong = await at.cilium("clustermesh", "enable", "--service-type", "ClusterIP")
        assert failed(wrong, f'{enabling}service type "ClusterIP" is not valid')


async def test_newer_charts_take_peers_as_a_map(lab: World) -> None:
    async with lab(version="1.20.2") as at:
        done = await at.cilium(
            *CONNECT, "west", "--connection-mode", "unicast", "--destination-endpoint", "10.9.9.9:2379"
        )
        assert done.lines[-1] == "✅ Connected cluster east => west!"
        assert config(at, "east")["clustermesh"]["config"]["clusters"] == {"west": {"ips": ["10.9.9.9"], "port": 2379}}
        assert len(releases(at, "west")) == 1
        wrong = await at.cilium(*CONNECT, "west", "--destination-endpoint", "10.9.9.9")
        problem = 'invalid endpoint "10.9.9.9", must be IP:PORT: address 10.9.9.9: missing port in address'
        assert failed(wrong, REFUSED + problem)


async def test_status_of_one_cluster(lab: World) -> None:
    async with lab(numbers={"east": 1}, mesh=False) as at:
        done = await at.cilium("status", "--wait", "--wait-duration", "900s", "-o", "json")
        assert done.code == 0, done.errors
        found = json.loads(done.output)
        assert found["helm_chart_version"] == VERSION
        counts = {"Desired": 2, "Ready": 2, "Available": 2, "Unavailable": 0}
        assert found["pod_state"]["cilium"] == {"Type": "DaemonSet", **counts}
        assert len(found["cilium_status"]) == 2
        text = await at.cilium("status")
        plain = text.output.replace("\x1b[32m", "").replace("\x1b[0m", "")
        assert "Cilium:             OK" in plain
        assert "DaemonSet              cilium             Desired: 2, Ready: 2/2, Available: 2/2" in plain
        assert (await at.cilium("version")).lines[-1] == f"cilium image (running): {VERSION}"
