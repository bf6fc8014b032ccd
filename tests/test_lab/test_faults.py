"""Faults: each changes what agents, clouds or API servers say, as far and as late as it would, and goes again."""

import ast
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab import registry
from backends.lab.api.authorizer import Attributes, Authorizer
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.storage import Storage
from backends.lab.faults import EVERY, FAULTS
from backends.lab.network.packet import Packet
from backends.lab.scenarios.places import EAST, TOKYO
from backends.lab.storage.resources import CONFIGMAPS, DAEMONSETS, SERVICES
from backends.lab.world import World
from tests.test_lab.standing import (
    answer,
    links,
    not_ready,
    pods,
    run,
    served_by,
    settle,
    sick,
    standing,
    troubleshoot,
    well,
)

ROOT = Path(__file__).parents[2]
REQUIRED = {
    "vxlan-one-way",
    "vxlan-both-ways",
    "mesh-api-closed",
    "pod-cidr-overlap",
    "pod-cidr-inside-vpc",
    "equal-ids",
    "default-name",
    "routing-modes-differ",
    "tunnel-ports-differ",
    "ca-differs",
    "leaf-expired",
    "mesh-api-without-address",
    "public-load-balancer",
    "same-node-port",
    "aws-node-running",
    "agents-not-ready",
    "exec-denied",
    "secrets-denied",
    "versions-too-far",
    "release-pending",
}
Symptom = Callable[[World], Awaitable[None]]
SYMPTOMS: dict[str, Symptom] = {}


def shows(*names: str) -> Callable[[Symptom], Symptom]:
    """Register what a world with one of these faults shows after ten lab minutes."""

    def register(symptom: Symptom) -> Symptom:
        SYMPTOMS.update(dict.fromkeys(names, symptom))
        return symptom

    return register


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with standing("healthy", tmp_path_factory.mktemp("lab")) as made:
        yield made


def setting(world: World, cluster: str, key: str) -> str:
    found = world.clusters[cluster].objects.need(CONFIGMAPS, "kube-system", "cilium-config")
    return str(found["data"].get(key, ""))


def service(world: World, cluster: str) -> dict[str, Any]:
    return world.clusters[cluster].objects.need(SERVICES, "kube-system", "clustermesh-apiserver")


@shows("vxlan-one-way", "vxlan-both-ways", "routing-modes-differ", "tunnel-ports-differ", "tunnel-protocols-differ")
async def data_path_is_dead_and_status_green(world: World) -> None:
    assert not not_ready(world)
    assert sick(world) == {
        (here, there, f"endpoint.{what}") for here, there in ((TOKYO, EAST), (EAST, TOKYO)) for what in ("icmp", "http")
    }
    assert await served_by(world, EAST, times=1) == {"exit 28"} and await served_by(world, TOKYO, times=3) == {TOKYO}
    status = await answer(world, EAST, "cilium-dbg", "status", "-o", "json")
    assert status["cluster-mesh"]["clusters"][0]["ready"] is True


@shows("health-closed")
async def only_host_probes_fail(world: World) -> None:
    assert not not_ready(world) and sick(world) == {(EAST, TOKYO, "host.http")}
    assert await served_by(world, EAST, times=3) == {TOKYO}


@shows("mesh-api-closed")
async def one_cache_waits_and_agents_go_on(world: World) -> None:
    assert not_ready(world) == {(EAST, "kvstoremesh")} and not sick(world)
    assert "i/o timeout" in await troubleshoot(world, EAST)
    assert await served_by(world, EAST, times=3) == {TOKYO}, "what was read is kept"


@shows("vpn-tunnel-down", "route-missing-back")
async def everything_between_is_dead(world: World) -> None:
    assert not_ready(world) == {(TOKYO, "kvstoremesh"), (EAST, "kvstoremesh")}
    assert {what for _, _, what in sick(world)} == {"host.icmp", "host.http", "endpoint.icmp", "endpoint.http"}


@shows("public-load-balancer")
async def the_cloud_says_internet_facing(world: World) -> None:
    ingress = service(world, TOKYO)["status"]["loadBalancer"]["ingress"][0]["hostname"]
    balancers = world.clouds.aws.elbv2(world.clusters[TOKYO].region).load_balancers.values()
    assert [one.scheme for one in balancers if one.dns_name == ingress] == ["internet-facing"]


@shows("pod-cidr-inside-vpc")
async def the_network_holds_the_pods_range(world: World) -> None:
    eks = world.clusters[TOKYO]
    blocks = world.clouds.aws.ec2(eks.region).get_vpc(eks.facts["vpc_id"]).get_cidr_block_association_set()
    assert setting(world, TOKYO, "cluster-pool-ipv4-cidr") in {block["cidr_block"] for block in blocks}


@shows("small-path-mtu")
async def large_packets_are_lost(world: World) -> None:
    small = Packet(TOKYO, "192.168.1.10", "10.224.0.4", "udp", 8472, 1200)
    large = Packet(TOKYO, "192.168.1.10", "10.224.0.4", "udp", 8472, 1400)
    assert world.network.deliver(small).delivered and not world.network.deliver(large).delivered


@shows("mesh-api-without-address")
async def the_service_has_no_address(world: World) -> None:
    assert not service(world, TOKYO)["status"]["loadBalancer"]


@shows("same-node-port")
async def caches_meet_themselves(world: World) -> None:
    ports = {service(world, name)["spec"]["ports"][0]["nodePort"] for name in world.clusters}
    assert ports == {32379}
    assert {(TOKYO, "kvstoremesh"), (EAST, "kvstoremesh")} <= not_ready(world)
    for reader, link in links(world, "kvstoremesh"):
        assert link.attempt is not None and link.attempt.server is not None
        assert link.attempt.server.cluster == reader.caller.cluster, "node port replacement answers at the source"


@shows("ca-differs")
async def both_refuse_each_other(world: World) -> None:
    assert {(TOKYO, "kvstoremesh"), (EAST, "kvstoremesh")} <= not_ready(world) and not sick(world)
    for cluster in (TOKYO, EAST):
        assert "x509: certificate signed by unknown authority" in await troubleshoot(world, cluster)


@shows("leaf-expired")
async def only_troubleshoot_names_the_ended_certificate(world: World) -> None:
    assert not not_ready(world) and not sick(world)
    assert "certificate has expired or is not yet valid" in await troubleshoot(world, TOKYO)


@shows("leaf-not-yet-valid")
async def only_troubleshoot_names_the_early_certificate(world: World) -> None:
    assert not not_ready(world)
    assert "is before" in await troubleshoot(world, TOKYO)


@shows("pod-cidr-overlap")
async def two_nodes_have_one_range_and_nobody_complains(world: World) -> None:
    assert not not_ready(world)
    ranges = [
        {net for node in world.simulation.fleet.readers.exports(name).nodes.values() for net in node.pod_cidrs}
        for name in (TOKYO, EAST)
    ]
    assert ranges[0] & ranges[1]


@shows("equal-ids")
async def peers_are_refused_for_their_id(world: World) -> None:
    assert {(TOKYO, "kvstoremesh"), (EAST, "kvstoremesh")} <= not_ready(world)
    assert {link.rejected for _, link in links(world, "kvstoremesh")} == {"ClusterID 1 is already used"}


@shows("max-clusters-differ")
async def peers_are_refused_for_their_number(world: World) -> None:
    assert (EAST, "kvstoremesh") in not_ready(world)
    assert any("mismatched MaxConnectedClusters" in link.rejected for _, link in links(world, "kvstoremesh"))


@shows("default-name")
async def the_name_is_the_default_and_running_agents_do_not_mind(world: World) -> None:
    assert setting(world, EAST, "cluster-name") == "default" and not not_ready(world)


@shows("wrong-peer-name")
async def the_peer_is_connected_without_configuration(world: World) -> None:
    found = [link for _, link in links(world, "kvstoremesh") if link.peer == "ghost"]
    assert found and found[0].connected and found[0].config is None


@shows("aws-node-running", "kube-proxy-running")
async def a_replaced_workload_runs(world: World) -> None:
    store = world.clusters[TOKYO].objects
    found = [store.get(DAEMONSETS, "kube-system", name) for name in ("aws-node", "kube-proxy")]
    assert [one["status"]["numberReady"] for one in found if one] == [3]
    assert not not_ready(world), "what Cilium manages goes on"


@shows("agents-not-ready")
async def a_rollout_of_agents_is_stuck(world: World) -> None:
    status = world.clusters[EAST].objects.need(DAEMONSETS, "kube-system", "cilium")["status"]
    assert status["numberReady"] < 3 and status["numberUnavailable"] >= 1
    assert {what for here, _, what in sick(world) if here == TOKYO} == {"host.http"}


@shows("versions-too-far")
async def one_side_runs_an_older_minor(world: World) -> None:
    found = {}
    for cluster in (TOKYO, EAST):
        result = await run(world, cluster, "k8s-app=cilium", "cilium-agent", "cilium-dbg", "version")
        found[cluster] = result.stdout.decode().split()[1]
    assert found == {TOKYO: "1.19.5", EAST: "1.17.4"}


@shows("release-pending")
async def the_release_is_pending(world: World) -> None:
    cluster = world.clusters[EAST]
    history = Storage(StorePort(cluster.objects, cluster.version, world.clock.now), "kube-system").history("cilium")
    assert [one.status for one in history][-2:] == ["deployed", "pending-upgrade"]


@shows("local-pods-gone")
async def requests_go_to_the_peer(world: World) -> None:
    assert await served_by(world, TOKYO, times=6) == {EAST}


@shows("port-names-differ")
async def ports_do_not_meet(world: World) -> None:
    assert await served_by(world, EAST, times=6) == {EAST}


@shows("affinity-unknown")
async def affinity_is_ignored(world: World) -> None:
    assert await served_by(world, EAST, times=30) == {TOKYO, EAST}


@shows("not-global-here")
async def each_side_serves_itself(world: World) -> None:
    assert await served_by(world, EAST, times=6) == {EAST}


@shows("login-ended")
async def a_login_is_over(world: World) -> None:
    assert world.logins.aws("lab")["valid"] is False


def may(world: World, cluster: str, verb: str, resource: str, subresource: str = "") -> bool:
    identities = world.clusters[cluster].identities
    identity = identities.of_token(next(iter(identities.all())))
    assert identity is not None
    what = Attributes(verb, "", resource, subresource, "kube-system")
    return Authorizer(world.clusters[cluster].objects).allows(identity, what)


@shows("exec-denied")
async def exec_is_denied_and_the_rest_is_not(world: World) -> None:
    assert not may(world, EAST, "create", "pods", "exec")
    assert (
        may(world, EAST, "list", "secrets") and may(world, EAST, "delete", "pods") and may(world, TOKYO, "get", "pods")
    )


@shows("secrets-denied")
async def secrets_are_denied_and_the_rest_is_not(world: World) -> None:
    assert not may(world, EAST, "list", "secrets") and may(world, EAST, "create", "pods", "exec")


def test_every_fault_is_held_to_a_symptom() -> None:
    assert set(EVERY) >= set(FAULTS) >= REQUIRED
    assert set(SYMPTOMS) == set(EVERY)
    assert all(one.title and one.layer for one in EVERY.values())


@pytest.mark.parametrize("name", sorted(SYMPTOMS))
async def test_a_fault_shows_and_goes_again(world: World, name: str) -> None:
    assert world.simulation.settle(600, lambda: well(world)), ("before", not_ready(world), sick(world))
    EVERY[name].inject(world)
    try:
        settle(world, 600)
        await SYMPTOMS[name](world)
    finally:
        EVERY[name].clear(world)
    assert world.simulation.settle(1500, lambda: well(world)), (not_ready(world), sick(world))
    settle(world, 100)
    assert await served_by(world, EAST, times=2) == {TOKYO}


async def test_faults_are_told_where(world: World) -> None:
    await registry.inject(world, "tunnel-ports-differ", {"target": TOKYO})
    assert setting(world, TOKYO, "tunnel-port") == "8473" and setting(world, EAST, "tunnel-port") != "8473"
    await registry.clear(world, "tunnel-ports-differ")
    for where in ({"target": "nowhere"}, {"colour": "red"}):
        with pytest.raises(ValueError, match=r"nowhere|colour"):
            await registry.inject(world, "equal-ids", where)
    assert not world.faults
    assert world.simulation.settle(1500, lambda: well(world))


async def test_no_answer_knows_the_name_of_a_fault(world: World) -> None:
    for name in ("vxlan-one-way", "leaf-expired", "affinity-unknown", "wrong-peer-name"):
        await registry.inject(world, name, {})
    settle(world, 300)

    async def everything() -> list[str]:
        """Answers of agents with the clock held, and every object that the API serves."""
        found = []
        for cluster in world.clusters.values():
            meta = pods(world, cluster.name, "k8s-app=cilium")[0]["metadata"]
            for words in (["cilium-dbg", "status", "-o", "json"], ["cilium-health", "status", "-o", "json"]):
                result = await world.exec(cluster, meta["namespace"], meta["name"], "cilium-agent", words)
                found.append(result.stdout.decode())
            kinds = cluster.objects.resources.values()
            found += [json.dumps(obj) for kind in kinds for obj in cluster.objects.view(kind)]
        return found

    async def tried() -> list[str]:
        """What connections tried now say, without the time at which they were tried."""
        return [re.sub(r"current time \S+", "", await troubleshoot(world, cluster)) for cluster in (TOKYO, EAST)]

    names, with_names = set(world.faults), await everything()
    assert len(names) == 4
    world.faults.clear()
    assert await everything() == with_names
    world.faults |= names
    tried_with_names = await tried()
    world.faults.clear()
    assert await tried() == tried_with_names
    for name in names:
        await registry.clear(world, name)
    assert world.simulation.settle(1500, lambda: well(world))


def test_no_code_but_the_registry_reads_fault_names() -> None:
    readers = set()
    for path in sorted((ROOT / "backends" / "lab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "faults"
                and isinstance(node.value, ast.Attribute | ast.Name)
            ):
                readers.add(path.relative_to(ROOT / "backends" / "lab").as_posix())
    allowed = {"world.py", "registry.py", "control.py", "scenarios/broken.py"}
    assert readers <= allowed, readers - allowed


def test_two_worlds_do_not_disturb_each_other(world: World, tmp_path: Path) -> None:
    with standing("healthy", tmp_path, seed=7) as other:
        FAULTS["vxlan-both-ways"].inject(other)
        settle(other, 600)
        settle(world, 600)
        assert sick(other) and not sick(world)
        FAULTS["vxlan-both-ways"].clear(world)
        assert sick(other), "clearing a fault in one world leaves the other as it is"


async def test_two_denials_add_up_and_are_taken_back_one_by_one(world: World) -> None:
    for name in ("exec-denied", "secrets-denied"):
        await registry.inject(world, name, {})
    assert not may(world, EAST, "create", "pods", "exec") and not may(world, EAST, "list", "secrets")
    await registry.clear(world, "exec-denied")
    assert may(world, EAST, "create", "pods", "exec") and not may(world, EAST, "list", "secrets")
    await registry.clear(world, "secrets-denied")
    assert may(world, EAST, "list", "secrets") and may(world, EAST, "delete", "pods")
