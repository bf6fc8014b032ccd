"""Scenarios: what is true in each from the first request on."""

import time
from pathlib import Path

import pytest
import yaml

from backends.lab.api.authorizer import Attributes, Authorizer
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.storage import Storage
from backends.lab.controllers import reading
from backends.lab.faults import FAULTS
from backends.lab.network.packet import Packet
from backends.lab.scenarios import SCENARIOS
from backends.lab.scenarios.living import at_rest
from backends.lab.scenarios.meshes import Member, all_ready, connect, enabled, install_release, place_authority, values
from backends.lab.scenarios.places import EAST, RECOVERY, TOKYO, VNET, open_nodes
from backends.lab.storage.resources import CONFIGMAPS, DAEMONSETS, DEPLOYMENTS, NODES, PODS, SECRETS, SERVICES
from backends.lab.world import World
from tests.test_lab.standing import (
    answer,
    links,
    not_ready,
    pods,
    served_by,
    settle,
    sick,
    standing,
    troubleshoot,
    well,
)

AWS_NODE, AKS_NODE = "192.168.1.10", "10.224.0.4"


def passes(world: World, source: str, destination: str, protocol: str, port: int) -> bool:
    cluster = EAST if source == AKS_NODE else TOKYO
    return bool(world.network.deliver(Packet(cluster, source, destination, protocol, port)).delivered)


def ready_nodes(world: World, cluster: str) -> int:
    return sum(reading.is_true(node, "Ready") for node in world.clusters[cluster].objects.view(NODES))


def running(world: World, cluster: str, daemon_set: str) -> int:
    found = world.clusters[cluster].objects.get(DAEMONSETS, "kube-system", daemon_set)
    return int(found["status"]["numberReady"]) if found else -1


def test_the_list_is_the_start_screens() -> None:
    assert list(SCENARIOS) == [
        "classic",
        "fresh",
        "overlap",
        "vxlan-one-way",
        "ca-mismatch",
        "expired",
        "denied",
        "twins",
        "three-clouds",
        "healthy",
    ]
    assert all(one.title and one.minutes and one.note for one in SCENARIOS.values())
    assert {one.group for one in SCENARIOS.values()} == {"Guided", "Broken", "Access", "Demo"}


@pytest.mark.parametrize(("name", "minor", "kube_proxy"), [("classic", "v1.26.", 3), ("fresh", "v1.34.", -1)])
def test_the_guided_pairs_have_nothing_installed(tmp_path: Path, name: str, minor: str, kube_proxy: int) -> None:
    started = time.time()
    with standing(name, tmp_path) as world:
        assert world.clock.now() <= time.time() and world.clock.now() > started - 1, (
            "the world has a past, not a future"
        )
        assert all(cluster.version.startswith(minor) for cluster in world.clusters.values())
        assert at_rest(world.clusters[TOKYO])
        assert (ready_nodes(world, TOKYO), ready_nodes(world, EAST)) == (3, 0)
        assert (running(world, TOKYO, "aws-node"), running(world, TOKYO, "kube-proxy")) == (3, 3)
        assert running(world, EAST, "kube-proxy") == kube_proxy
        for cluster in world.clusters.values():
            assert ("cilium.io", "ciliumnodes") not in cluster.objects.resources
            assert cluster.objects.get(CONFIGMAPS, "kube-system", "cilium-config") is None
            created = reading.parse_time(next(iter(cluster.objects.view(NODES)))["metadata"]["creationTimestamp"])
            assert world.clock.now() - created > 86_400
        waiting = pods(world, EAST, "k8s-app=kube-dns")
        assert {pod["status"]["phase"] for pod in waiting} == {"Pending"}
        for protocol, port in (("udp", 8472), ("tcp", 4240), ("icmp", 8)):
            assert not passes(world, AKS_NODE, AWS_NODE, protocol, port), "the worker group lacks the rule"
        assert passes(world, AWS_NODE, AKS_NODE, "udp", 8472), "Azure lets in what the VPN announces"


async def test_fresh_becomes_a_mesh_step_by_step(tmp_path: Path) -> None:
    """The whole way with the parts that ``helm`` stands in for: rules last, to see what each step gives."""
    with standing("fresh", tmp_path) as world:
        eks, aks = world.clusters[TOKYO], world.clusters[EAST]
        park = {"spec": {"template": {"spec": {"nodeSelector": {"meshwright.io/parked": "true"}}}}}
        for name in ("aws-node", "kube-proxy"):
            eks.objects.patch(DAEMONSETS, "kube-system", name, park, "strategic")
        settle(world, 15)
        assert (running(world, TOKYO, "aws-node"), running(world, TOKYO, "kube-proxy")) == (0, 0)
        members = (Member(eks, 1, "10.120.0.0/16"), Member(aks, 2, "10.200.0.0/16"))
        place_authority(members)
        for member in members:
            install_release(world, member, "1.19.5", values(member))
        assert world.simulation.settle(600, lambda: all(enabled(world, member) for member in members))
        assert (ready_nodes(world, TOKYO), ready_nodes(world, EAST)) == (3, 3)
        old = [pod for pod in pods(world, TOKYO, "k8s-app=kube-dns") if reading.pod_ip(pod).startswith("192.168.")]
        assert old, "pods of aws-node keep their addresses"
        restart = {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}
        eks.objects.patch(DEPLOYMENTS, "kube-system", "coredns", restart)
        connect(world, members)
        assert world.simulation.settle(300, lambda: all_ready(world, members))
        settle(world, 300)
        assert {what for _, _, what in sick(world)} >= {"endpoint.http", "host.http"}, "the node rules are missing"
        open_nodes(world, eks, VNET)
        settle(world, 400)
        assert well(world)
        status = await answer(world, TOKYO, "cilium-dbg", "status", "-o", "json")
        assert [peer["ready"] for peer in status["cluster-mesh"]["clusters"]] == [True]


async def test_healthy_is_green_and_serves(tmp_path: Path) -> None:
    with standing("healthy", tmp_path) as world:
        assert well(world) and not world.faults
        assert len(links(world, "cilium-agent")) == 6 and len(links(world, "kvstoremesh")) == 2
        assert await served_by(world, TOKYO) == {TOKYO} and await served_by(world, EAST) == {TOKYO}
        assert await served_by(world, TOKYO, "catalog", 30) == {TOKYO, EAST}
        for cluster in world.clusters.values():
            port = StorePort(cluster.objects, cluster.version, world.clock.now)
            release = Storage(port, "kube-system").last("cilium")
            assert (release.status, release.revision) == ("deployed", 2)
            assert "key" not in str(release.config.get("tls", {})), "no CA key is a value"
            assert (running(world, cluster.name, "aws-node"), running(world, cluster.name, "kube-proxy")) == (-1, -1)
        assert passes(world, AKS_NODE, AWS_NODE, "udp", 8472)
        assert "❌" not in await troubleshoot(world, TOKYO)


def test_overlap_has_one_range_twice(tmp_path: Path) -> None:
    with standing("overlap", tmp_path) as world:
        pools = [
            cluster.objects.need(CONFIGMAPS, "kube-system", "cilium-config")["data"]["cluster-pool-ipv4-cidr"]
            for cluster in world.clusters.values()
        ]
        assert len(set(pools)) == 1 and all(at_rest(cluster) for cluster in world.clusters.values())
        assert all(
            cluster.objects.get(SERVICES, "kube-system", "clustermesh-apiserver") is None
            for cluster in world.clusters.values()
        )


async def test_vxlan_one_way_is_green_in_status_and_hangs(tmp_path: Path) -> None:
    with standing("vxlan-one-way", tmp_path) as world:
        assert world.clock.now() <= time.time()
        assert not not_ready(world)
        assert {(a, b) for a, b, what in sick(world) if what == "endpoint.http"} == {(TOKYO, EAST), (EAST, TOKYO)}
        assert not {what for _, _, what in sick(world) if what.startswith("host")}
        assert await served_by(world, EAST, times=2) == {"exit 28"}
        assert await served_by(world, TOKYO, times=2) == {TOKYO}
        assert not passes(world, AKS_NODE, AWS_NODE, "udp", 8472) and passes(world, AWS_NODE, AKS_NODE, "udp", 8472)
        for name in sorted(world.faults):
            FAULTS[name].clear(world)
        settle(world, 400)
        assert well(world)


async def test_ca_mismatch_is_refused_by_both(tmp_path: Path) -> None:
    with standing("ca-mismatch", tmp_path) as world:
        assert all(at_rest(cluster) for cluster in world.clusters.values())
        assert len(not_ready(world)) == 4 and not sick(world)
        for cluster in (TOKYO, EAST):
            assert "x509: certificate signed by unknown authority" in await troubleshoot(world, cluster)
        authorities = {
            cluster.objects.need(SECRETS, "kube-system", "cilium-ca")["data"]["ca.crt"]
            for cluster in world.clusters.values()
        }
        assert len(authorities) == 2


def test_expired_ends_one_login(tmp_path: Path) -> None:
    with standing("expired", tmp_path) as world:
        assert well(world)
        assert world.logins.aws("lab")["valid"] is False and world.logins.azure()["valid"] is True


def test_denied_may_look_but_not_exec_or_read_secrets(tmp_path: Path) -> None:
    with standing("denied", tmp_path) as world:
        cluster = world.clusters[EAST]
        token = next(iter(cluster.identities.all()))
        identity = cluster.identities.of_token(token)
        assert identity is not None and "system:masters" not in identity.groups
        rights = Authorizer(cluster.objects)

        def may(verb: str, resource: str, group: str = "", subresource: str = "") -> bool:
            what = Attributes(verb, group, resource, subresource, "kube-system", "")
            return rights.allows(identity, what)

        assert may("list", "pods") and may("list", "nodes") and may("list", "ciliumnodes", "cilium.io")
        assert may("get", "configmaps") and may("get", "pods", subresource="log")
        assert not may("create", "pods", subresource="exec")
        assert not may("list", "secrets") and not may("patch", "daemonsets", "apps")
        assert "system:masters" in next(iter(world.clusters[TOKYO].identities.all().values())).groups


def test_twins_are_one_cluster_in_two_files(tmp_path: Path) -> None:
    with standing("twins", tmp_path) as world:
        assert list(world.clusters) == [EAST] and at_rest(world.clusters[EAST])
        files = [Path(path) for path in world.environment["KUBECONFIG"].split(":")]
        documents = [yaml.safe_load(path.read_text()) for path in files]
        assert [[context["name"] for context in document["contexts"]] for document in documents] == [["admin"]] * 2
        servers = [document["clusters"][0]["cluster"]["server"] for document in documents]
        assert len({server.rpartition(":")[2] for server in servers}) == 1 and servers[0] != servers[1]
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)


async def test_three_clouds_is_one_mesh_with_eight_services(tmp_path: Path) -> None:
    with standing("three-clouds", tmp_path) as world:
        assert well(world) and list(world.clusters) == [TOKYO, EAST, RECOVERY]
        assert len(links(world, "cilium-agent")) == 9 * 2
        own = ("kube-system", "default")
        services = {
            (service["metadata"]["namespace"], service["metadata"]["name"])
            for cluster in world.clusters.values()
            for service in cluster.objects.view(SERVICES)
            if service["metadata"]["namespace"] not in own
        }
        assert len(services) == 8
        assert await served_by(world, RECOVERY, "payments") == {TOKYO}
        assert await served_by(world, EAST, "cart", 60) == {TOKYO, EAST, RECOVERY}


def test_one_seed_gives_one_world(tmp_path: Path) -> None:
    def names(folder: Path) -> list[str]:
        with standing("classic", folder, seed=11) as world:
            return sorted(pod["metadata"]["name"] for c in world.clusters.values() for pod in c.objects.view(PODS))

    assert names(tmp_path / "one") == names(tmp_path / "two")
