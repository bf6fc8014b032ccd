"""Requests of pods: names, back-ends by Cilium's rule, answers over simulated packets, and what is lost is lost."""

import json
from collections import Counter
from typing import Any

import pytest

from backends.lab.objects import Object
from backends.lab.storage.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, SERVICES
from backends.lab.world import ExecFailed, ExecResult
from tests.test_lab.breaking import restart
from tests.test_lab.meadow import Meadow, join, meadow

GLOBAL = {"service.cilium.io/global": "true"}


def joined(version: str = "1.19.5", **more: Any) -> Meadow:
    one = meadow(nodes=2, speed=400)
    one.settle(30)
    join(one, version, **more)
    for name in one.world.clusters:
        one.cluster(name).objects.create(NAMESPACES, {"metadata": {"name": "shop"}})
        client = {"containers": [{"name": "client", "image": "nginx:1.27", "command": ["sleep", "1d"]}]}
        one.cluster(name).objects.create(DEPLOYMENTS, deployment("client", 1, client))
    return one


def deployment(name: str, replicas: int, pod: Object) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def serve(one: Meadow, cluster: str, replicas: int, port_name: str = "http", **annotations: str) -> None:
    """A page that names its cluster, behind a global Service ``cart``."""
    store = one.cluster(cluster).objects
    store.apply(
        CONFIGMAPS,
        {"metadata": {"name": "page", "namespace": "shop"}, "data": {"index.html": json.dumps({"cluster": cluster})}},
    )
    server = {
        "containers": [
            {
                "name": "cart",
                "image": "nginx:1.27",
                "ports": [{"containerPort": 80}],
                "volumeMounts": [{"name": "page", "mountPath": "/usr/share/nginx/html"}],
            }
        ],
        "volumes": [{"name": "page", "configMap": {"name": "page"}}],
    }
    store.apply(DEPLOYMENTS, deployment("cart", replicas, server))
    marks = {**GLOBAL, **{f"service.cilium.io/{key}": value for key, value in annotations.items()}}
    port = {"name": port_name, "port": 80, "targetPort": 80}
    spec = {"selector": {"app": "cart"}, "ports": [port]}
    store.apply(SERVICES, {"metadata": {"name": "cart", "namespace": "shop", "annotations": marks}, "spec": spec})


async def ask(one: Meadow, cluster: str, *words: str) -> ExecResult:
    one.world.clock.resume()
    try:
        pod = one.pods(cluster, "app", "client")[0]
        return await one.exec(cluster, pod, "client", "curl", "-sS", "-m", "5", *(words or ("http://cart.shop/",)))
    finally:
        one.world.clock.pause()


async def answers(one: Meadow, cluster: str, times: int = 40) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(times):
        result = await ask(one, cluster)
        found[json.loads(result.stdout)["cluster"] if result.exit_code == 0 else f"exit {result.exit_code}"] += 1
    return found


@pytest.mark.parametrize("version", ["1.15.19", "1.19.5"])
async def test_affinity_decides_who_serves(version: str) -> None:
    one = joined(version)
    serve(one, "east", 2, affinity="local")
    serve(one, "west", 2, affinity="remote")
    one.settle(60)
    assert set(await answers(one, "east")) == {"east"}
    assert set(await answers(one, "west")) == {"east"}
    serve(one, "east", 0, affinity="local")
    one.settle(60)
    assert set(await answers(one, "east", 10)) == {"west"}, "no local back-end is left"
    assert set(await answers(one, "west", 10)) == {"west"}, "the remote side has none"


async def test_without_affinity_every_back_end_counts_alike() -> None:
    one = joined()
    serve(one, "east", 3)
    serve(one, "west", 1)
    one.settle(60)
    found = await answers(one, "east", 120)
    assert set(found) == {"east", "west"} and 10 < found["west"] < 55


async def test_what_is_not_shared_or_named_otherwise_is_not_used() -> None:
    one = joined()
    serve(one, "east", 1)
    serve(one, "west", 1, shared="false")
    one.settle(60)
    assert set(await answers(one, "east", 30)) == {"east"}
    assert set(await answers(one, "west", 30)) == {"east", "west"}
    serve(one, "west", 1, port_name="web")
    one.settle(60)
    assert set(await answers(one, "east", 30)) == {"east"}, "ports meet by name"


async def test_names_are_those_of_the_own_cluster() -> None:
    one = joined()
    serve(one, "east", 1)
    one.settle(60)
    result = await ask(one, "west")
    assert result.exit_code == 6 and result.stderr == b"curl: (6) Could not resolve host: cart.shop\n"
    result = await ask(one, "east", "http://cart.shop:81/")
    assert result.exit_code == 7 and b"Couldn't connect to server" in result.stderr
    for name in ("cart", "cart.shop.svc", "cart.shop.svc.cluster.local"):
        assert (await ask(one, "east", f"http://{name}/")).exit_code == 0
    assert (await ask(one, "east", "-f", "http://cart/missing")).exit_code == 22
    result = await ask(one, "east", "-o", "/dev/null", "-w", "%{http_code}", "http://cart/missing")
    assert result.stdout == b"404"


async def test_a_tunnel_closed_one_way_hangs_both_sides_while_names_resolve() -> None:
    one = joined()
    serve(one, "east", 1, affinity="remote")
    serve(one, "west", 1, affinity="remote")
    one.settle(60)
    one.cable.block("east", "west", "udp", 8472)
    for cluster in ("east", "west"):
        start = one.world.clock.now()
        result = await ask(one, cluster)
        assert result.exit_code == 28 and result.stdout == b""
        assert result.stderr == b"curl: (28) Connection timed out after 5001 milliseconds\n"
        assert one.world.clock.now() - start >= 5
    one.cable.open()
    assert (await ask(one, "east")).exit_code == 0


async def test_tunnels_of_different_ports_or_modes_do_not_meet() -> None:
    for setting in ({"tunnel-port": "8473"}, {"tunnel-protocol": "geneve"}, {"routing-mode": "native"}):
        one = joined()
        serve(one, "east", 1, affinity="remote")
        serve(one, "west", 1, affinity="remote")
        one.cluster("west").objects.patch(CONFIGMAPS, "kube-system", "cilium-config", {"data": setting})
        restart(one, "west", "cilium")
        one.settle(300)
        assert set(await answers(one, "east", 2)) == {"exit 28"}, setting


async def test_back_ends_outlive_the_control_plane() -> None:
    one = joined()
    serve(one, "east", 0, affinity="remote")
    serve(one, "west", 1)
    one.settle(60)
    one.cable.block("*", "*", "tcp", 2379)
    one.settle(300)
    assert set(await answers(one, "east", 5)) == {"west"}


async def test_equal_pod_ranges_send_packets_to_the_neighbour() -> None:
    one = joined(ipam__operator__clusterPoolIPv4PodCIDRList=["10.111.0.0/16"])
    serve(one, "west", 1)
    serve(one, "east", 1)
    one.settle(120)
    store = one.cluster("west").objects
    backend = next(pod for pod in one.pods("west", "app", "cart"))["status"]["podIP"]
    neighbours = [
        pod
        for pod in one.cluster("east").objects.view(store.resources["", "pods"])
        if pod["status"].get("podIP") == backend
    ]
    result = await ask(one, "east", f"http://{backend}/")
    answered = result.exit_code == 0 and b"west" in result.stdout
    assert not (neighbours and answered), "the address belongs to a pod of the own cluster"


async def test_a_small_path_mtu_stalls_large_answers_and_1_20_gets_over_it() -> None:
    for version, code in (("1.19.5", 28), ("1.20.2", 0)):
        one = joined(version)
        serve(one, "east", 0, affinity="remote")
        serve(one, "west", 1)
        one.settle(60)
        page = {"data": {"index.html": json.dumps({"cluster": "west", "padding": "x" * 60_000})}}
        one.cluster("west").objects.patch(CONFIGMAPS, "shop", "page", page)
        one.settle(120)
        assert (await ask(one, "east", "-o", "/dev/null", "http://cart/")).exit_code == 0
        one.cable.largest = 1300
        one.cable.revision += 1
        start = one.world.clock.now()
        result = await ask(one, "east", "-m", "30", "-o", "/dev/null", "http://cart/")
        assert result.exit_code == code
        assert one.world.clock.now() - start >= (11.5 if code == 0 else 30)
        assert (await ask(one, "east", "http://cart/missing")).exit_code == 0, "small answers pass"


async def test_a_burst_is_counted_where_it_arrives() -> None:
    one = joined()
    reader = (
        "read -r a </sys/class/net/cilium_vxlan/statistics/rx_packets; while read -r k _ n _; do "
        '[[ $k = Udp: && $n != NoPorts ]] && u=$n; done </proc/net/snmp; echo "rx=$a noports=$u"'
    )

    async def counted(cluster: str) -> dict[str, int]:
        result = await one.agent(cluster, "bash", "-c", reader)
        return {key: int(value) for key, _, value in (word.partition("=") for word in result.stdout.decode().split())}

    nodes = one.cluster("west").objects
    first = next(iter(nodes.view(nodes.resources["cilium.io", "ciliumnodes"])))["spec"]["addresses"][1]["ip"]
    burst = f'printf -v p "%300s" x; for ((i=0;i<50;i++)); do printf "%s" "$p" >/dev/udp/{first}/$((33434+i)); done'
    numbers = [pod["spec"]["nodeName"] for pod in one.pods("west", "k8s-app", "cilium")]
    receiver = numbers.index("west-0")

    async def received() -> int:
        result = await one.agent("west", "bash", "-c", reader, number=receiver)
        return int(result.stdout.decode().partition("noports=")[2])

    before, sent = await received(), await counted("east")
    await one.agent("east", "bash", "-c", burst)
    assert await received() == before + 50
    assert (await counted("east"))["tx"] == sent["tx"] + 50
    one.cable.block("east", "west", "udp", 8472)
    await one.agent("east", "bash", "-c", burst)
    assert await received() == before + 50 and (await counted("east"))["tx"] == sent["tx"] + 100


async def test_programs_are_those_of_the_image() -> None:
    one = joined()
    apiserver = one.pods("east", "k8s-app", "clustermesh-apiserver")[0]
    with pytest.raises(ExecFailed, match="executable file not found"):
        await one.exec("east", apiserver, "apiserver", "sh", "-c", "true")
    one.settle(30)
    client = one.pods("east", "app", "client")[0]
    with pytest.raises(ExecFailed, match="container not found"):
        await one.exec("east", client, "sidecar", "true")
    result = await one.exec("east", client, "client", "sh", "-c", "echo one && false; nothing-here")
    assert (result.stdout, result.exit_code) == (b"one\n", 127)
    result = await one.agent("east", "cat", "/var/lib/cilium/clustermesh/west")
    assert b"endpoints:" in result.stdout
    result = await one.agent("east", "cilium-dbg", "status", "--brief")
    assert result.stdout == b"OK\n"
    result = await one.agent("east", "cilium", "version")
    assert b"1.19.5" in result.stdout
