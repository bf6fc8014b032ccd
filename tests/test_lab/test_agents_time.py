"""Agents notice as late, and as little, as real ones do (cilium-clustermesh §11)."""

import json
from typing import Any

import pytest

from backends.lab.agents.mesh.links import Link
from backends.lab.controllers import reading
from backends.lab.storage.resources import CONFIGMAPS, DEPLOYMENTS, SECRETS
from backends.lab.world import LogOptions
from tests.test_lab.breaking import lab_date, reissue, restart, secret, trust_another_ca, write
from tests.test_lab.meadow import Meadow, install, join, meadow, values

DIRECT = {"clustermesh__apiserver__kvstoremesh__enabled": False}


def joined(version: str = "1.20.2", **more: Any) -> Meadow:
    one = meadow(nodes=2)
    one.settle(30)
    join(one, version, **{**DIRECT, **more})
    return one


async def peer(one: Meadow, cluster: str = "east", number: int = 0) -> dict[str, Any]:
    answer = await one.agent(cluster, "cilium-dbg", "status", "-o", "json", number=number)
    found: dict[str, Any] = json.loads(answer.stdout)["cluster-mesh"]["clusters"][0]
    return found


async def controllers(one: Meadow) -> dict[str, str]:
    answer = await one.agent("east", "cilium-dbg", "status", "-o", "json")
    entries = json.loads(answer.stdout)["controllers"]
    return {entry["name"]: entry["status"].get("last-failure-msg", "") for entry in entries}


async def health(one: Meadow, cluster: str, of: str) -> dict[str, str]:
    """Error texts of one remote node as one agent reports them; an address not yet probed has none."""
    answer = await one.agent(cluster, "cilium-health", "status", "-o", "json")
    node = next(entry for entry in json.loads(answer.stdout)["nodes"] if entry["name"] == of)
    places = {"host": node["host"]["primary-address"], "endpoint": node["health-endpoint"]["primary-address"]}
    return {
        f"{k}.{what}": place.get(what, {}).get("status", "") for k, place in places.items() for what in ("http", "icmp")
    }


async def log(one: Meadow, cluster: str = "east") -> str:
    name = one.pods(cluster, "k8s-app", "cilium")[0]["metadata"]["name"]
    lines = one.world.logs(one.cluster(cluster), "kube-system", name, "cilium-agent", LogOptions())
    return "".join([line.decode() async for line in lines])


def first_link(one: Meadow) -> Link:
    """The link of the agent that ``peer`` asks."""
    pod = one.pods("east", "k8s-app", "cilium")[0]["metadata"]["uid"]
    reader = next(one for one in one.fleet.readers.agents() if one.caller.runtime.uid == pod)
    return reader.links["west"]


def until_not_ready(one: Meadow, most: float = 300.0) -> float:
    """Lab seconds until the first agent of east has lost its peer."""
    start = one.world.clock.now()
    link = first_link(one)
    assert one.simulation.settle(most, lambda: not link.ready(one.world.clock.now()))
    return one.world.clock.now() - start


@pytest.mark.parametrize(("version", "low", "high"), [("1.15.19", 25, 40), ("1.20.2", 80, 125)])
async def test_ready_outlives_the_cut_of_2379(version: str, low: float, high: float) -> None:
    one = joined(version)
    before = await peer(one)
    one.cable.block("*", "*", "tcp", 2379)
    assert low < until_not_ready(one) < high
    after = await peer(one)
    assert after["status"] == "Waiting for initial connection to be established" and after["num-failures"] == 1
    assert "connected" not in after and after["synced"] == {} and "config" not in after
    assert after["num-nodes"] == before["num-nodes"] and after["num-endpoints"] == before["num-endpoints"]
    assert "reconnecting etcd" in await log(one)
    one.cable.open()
    start = one.world.clock.now()
    assert one.simulation.settle(30, lambda: first_link(one).ready(one.world.clock.now()))
    assert one.world.clock.now() - start < 9


async def test_a_short_cut_is_not_noticed() -> None:
    one = joined()
    one.cable.block("*", "*", "tcp", 2379)
    one.settle(60)
    one.cable.open()
    one.settle(200)
    found = await peer(one)
    assert found["ready"] is True and "num-failures" not in found


async def test_a_closed_tunnel_leaves_status_green_and_health_red_from_both_sides() -> None:
    one = joined()
    one.settle(200)
    one.cable.block("east", "west", "udp", 8472)
    assert (await health(one, "east", "west/west-0"))["endpoint.http"] == ""
    one.settle(220)
    for cluster, of in (("east", "west/west-0"), ("west", "east/east-0")):
        found = await health(one, cluster, of)
        assert (
            "context deadline exceeded" in found["endpoint.http"] and found["endpoint.icmp"] == "Connection timed out"
        )
        assert found["host.http"] == found["host.icmp"] == ""
        assert (await peer(one, cluster))["ready"] is True
    assert "warn" not in await log(one)
    one.cable.open()
    one.settle(220)
    assert (await health(one, "east", "west/west-0"))["endpoint.http"] == ""


async def test_health_is_late_and_a_probe_of_1_20_answers_from_memory() -> None:
    one = joined()
    one.settle(200)
    one.cable.block("*", "*", "udp", 8472)
    one.settle(1)
    for words in (("status",), ("status", "--probe")):
        answer = await one.agent("east", "cilium-health", *words, "-o", "json")
        rows = [node for node in json.loads(answer.stdout)["nodes"] if node["name"].startswith("west/")]
        assert all("status" not in node["health-endpoint"]["primary-address"]["http"] for node in rows)


async def test_a_probe_of_1_15_hangs_where_something_does_not_answer() -> None:
    one = joined("1.15.19")
    one.settle(120)
    one.cable.block("*", "*", "udp", 8472)
    one.world.clock.speed = 500
    one.world.clock.resume()
    start = one.world.clock.now()
    answer = await one.agent("east", "cilium-health", "status", "--probe", "-o", "json")
    assert answer.exit_code == 1 and not answer.stdout and b"context deadline exceeded" in answer.stderr
    assert one.world.clock.now() - start >= 30


async def test_an_open_connection_outlives_its_certificate() -> None:
    one = joined()
    reissue(one, "east", "clustermesh-apiserver-remote-cert", "remote", days=1, starts=-10 * 86400)
    one.settle(200)
    assert (await peer(one))["ready"] is True
    one.world.clock.resume()
    text = (await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")).stdout.decode()
    one.world.clock.pause()
    assert "❌ TLS client authentication failed: remote error: tls: expired certificate" in text
    assert "x509: certificate has expired or is not yet valid: current time" in text
    restart(one, "west", "clustermesh-apiserver")
    assert 80 < until_not_ready(one) < 140
    assert "x509" not in await log(one)


async def test_a_leaf_of_the_future_is_refused_alike_but_said_otherwise() -> None:
    one = joined()
    reissue(one, "east", "clustermesh-apiserver-remote-cert", "remote", days=30, starts=86400)
    one.settle(200)
    one.world.clock.resume()
    text = (await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")).stdout.decode()
    assert "tls: expired certificate" in text and "is before" in text


async def test_an_expired_server_leaf_is_named_by_troubleshoot_alone() -> None:
    one = joined()
    reissue(one, "west", "clustermesh-apiserver-server-cert", "x", days=1, starts=-10 * 86400)
    one.settle(200)
    assert (await peer(one))["ready"] is True
    one.world.clock.resume()
    text = (await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")).stdout.decode()
    assert "❌ Cannot establish TLS connection to west.mesh.cilium.io:2379: tls: failed to verify certificate" in text


async def test_another_ca_is_silent() -> None:
    one = joined()
    trust_another_ca(one, "east")
    one.settle(120)
    found = await peer(one)
    assert found["status"] == "Waiting for initial connection to be established" and "ready" not in found
    said = await log(one)
    assert "level=warn" not in said and "x509" not in said


async def test_a_restarted_remote_server_is_found_again() -> None:
    one = joined()
    before = (await peer(one))["status"]
    restart(one, "west", "clustermesh-apiserver")
    one.settle(240)
    found = await peer(one)
    assert found["ready"] is True and found["num-failures"] >= 1
    assert found["status"] != before, "the new etcd has another id"


async def test_a_client_that_is_no_etcd_user() -> None:
    for version, connected in (("1.15.19", True), ("1.20.2", False)):
        one = joined(version)
        reissue(one, "east", "clustermesh-apiserver-remote-cert", "remote-zz", days=30)
        one.settle(100)
        restart(one, "east", "cilium")
        one.settle(120)
        found = await peer(one)
        assert found.get("connected", False) is connected and "ready" not in found and "config" not in found
        if connected:
            assert "permission denied" in (await controllers(one))["remote-etcd-west"]


async def test_a_peer_of_the_wrong_name_connects_but_has_no_configuration() -> None:
    one = joined()
    names = [{"name": "ghost", "ips": ["10.2.0.200"], "port": 2379}]
    install(one, "east", "1.20.2", values("east", 1, **DIRECT, clustermesh__config__clusters=names))
    one.settle(240)
    found = await peer(one)
    assert found["connected"] is True and found["config"] == {"required": True} and found["synced"] == {}
    assert (await controllers(one))["remote-etcd-ghost-cluster-config"] == "not found"


async def test_equal_ids() -> None:
    for version, ready in (("1.15.19", True), ("1.20.2", False)):
        one = joined(version)
        store = one.cluster("west").objects
        store.patch(CONFIGMAPS, "kube-system", "cilium-config", {"data": {"cluster-id": "1"}})
        for app in ("clustermesh-apiserver", "cilium"):
            restart(one, "west", app)
        one.settle(300)
        found = await peer(one)
        assert found.get("ready", False) is ready
        if not ready:
            failures = found["num-failures"]
            one.settle(60)
            assert (await peer(one))["num-failures"] > failures + 10
            assert "already used" in await log(one)


async def test_a_removed_peer_is_gone_and_leaves_null() -> None:
    one = joined()
    install(one, "east", "1.20.2", values("east", 1, **DIRECT))
    one.settle(240)
    answer = await one.agent("east", "cilium-dbg", "status", "-o", "json")
    assert json.loads(answer.stdout)["cluster-mesh"] == {"clusters": None}


async def test_leaf_files_that_are_missing() -> None:
    one = joined()
    one.cluster("east").objects.delete(SECRETS, "kube-system", "clustermesh-apiserver-remote-cert")
    restart(one, "east", "cilium")
    one.settle(60)
    assert "ready" not in await peer(one)
    text = (await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")).stdout.decode()
    assert "❌ Cannot parse etcd configuration: open /var/lib/cilium/clustermesh/common-etcd-client" in text
    assert "no such file or directory" in await log(one)


async def test_new_settings_are_in_force_only_after_a_restart() -> None:
    one = joined()
    store = one.cluster("east").objects
    store.patch(CONFIGMAPS, "kube-system", "cilium-config", {"data": {"routing-mode": "native", "mtu": "1400"}})
    one.settle(120)

    async def mode() -> str:
        answer = await one.agent("east", "cilium-dbg", "status", "-o", "json")
        return str(json.loads(answer.stdout)["routing"]["inter-host-routing-mode"])

    assert await mode() == "Tunnel"
    restart(one, "east", "cilium")
    one.settle(60)
    assert await mode() == "Native"


async def test_a_stopped_remote_agent_changes_only_the_next_probe() -> None:
    one = joined()
    one.settle(200)
    unschedule = {"spec": {"template": {"spec": {"nodeSelector": {"gone": "yes"}}}}}
    store = one.cluster("west").objects
    store.patch(store.resources["apps", "daemonsets"], "kube-system", "cilium", unschedule, "strategic")
    one.settle(220)
    found = await health(one, "east", "west/west-0")
    assert found["host.http"].endswith("connect: connection refused") and not found["endpoint.http"]
    assert (await peer(one))["ready"] is True


async def test_logs_follow_and_end_with_their_container() -> None:
    one = joined()
    pod = one.pods("east", "k8s-app", "cilium")[0]["metadata"]["name"]
    lines = one.world.logs(
        one.cluster("east"), "kube-system", pod, "cilium-agent", LogOptions(follow=True, tail_lines=1)
    )
    first = await anext(aiter(lines))
    assert first.endswith(b"\n")
    one.cable.block("*", "*", "tcp", 2379)
    one.settle(200)
    assert b"reconnecting etcd" in await anext(aiter(lines))
    restart(one, "east", "cilium")
    one.settle(60)
    rest = [line async for line in lines]
    assert rest and rest[-1].endswith(b"\n")


async def test_an_agent_that_has_no_range_does_not_answer() -> None:
    one = meadow(names=("east",))
    one.settle(30)
    store = one.cluster("east").objects
    install(one, "east", "1.19.5", values("east", 1))
    store.patch(DEPLOYMENTS, "kube-system", "cilium-operator", {"spec": {"replicas": 0}})
    one.settle(6)
    pods = [pod for pod in one.pods("east", "k8s-app", "cilium") if pod["status"]["phase"] == "Running"]
    assert not any(map(reading.ready, pods))


def test_the_meadow_dates_certificates_by_lab_time() -> None:
    one = joined()
    leaf = secret(one, "east", "clustermesh-apiserver-server-cert")
    assert leaf["tls.crt"] and lab_date(one).year == 2025
    write(one, "east", "clustermesh-apiserver-server-cert", leaf)
