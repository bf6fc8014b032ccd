"""Answers of simulated agents have the keys, the omissions and the texts of recorded real ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.test_lab.breaking import trust_another_ca
from tests.test_lab.meadow import Meadow, install, join, meadow, values

RECORDED = Path(__file__).parents[1] / "data" / "recordings" / "agents"
PLAIN = {
    "kubeProxyReplacement": "false",
    "enableIPv4Masquerade": False,
    "envoy__enabled": False,
    "clustermesh__apiserver__kvstoremesh__enabled": False,
}
# The recorded peers' apiserver was 1.15.19 for both versions and could not say this (cilium-clustermesh §3.6).
LATER_PEERS_SAY = {"cluster-mesh.clusters[].config.service-exports-enabled"}


def recorded(version: str, state: str, name: str) -> Any:
    return json.loads((RECORDED / version / state / f"{name}.json").read_text())


def shape(value: Any, path: str = "") -> set[str]:
    """Every path of a document, elements of lists folded together; controllers are judged by themselves."""
    if isinstance(value, dict):
        found = set()
        for key, inner in value.items():
            if path == "ipam" and key == "allocations":
                found.add("ipam.allocations")
                continue
            found |= shape(inner, f"{path}.{key}".lstrip("."))
        return found or {path}
    if isinstance(value, list) and value and path != "controllers":
        return set().union(*(shape(item, f"{path}[]") for item in value))
    return {path}


def joined(version: str) -> Meadow:
    one = meadow(nodes=1)
    one.settle(30)
    join(one, version, **PLAIN)
    one.settle(200)
    return one


@pytest.fixture(scope="module", params=["1.15.19", "1.20.2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def status(one: Meadow) -> Any:
    answer = await one.agent("east", "cilium-dbg", "status", "-o", "json")
    assert answer.exit_code == 0, answer.stderr
    return json.loads(answer.stdout)


def break_it(one: Meadow, state: str) -> None:
    match state:
        case "2379-dropped":
            one.cable.block("east", "west", "tcp", 2379)
        case "8472-dropped":
            one.cable.block("east", "west", "udp", 8472)
        case "4240-dropped":
            one.cable.block("east", "west", "tcp", 4240)
    one.settle(200)


@pytest.mark.parametrize("state", ["healthy", "2379-dropped", "8472-dropped"])
async def test_status_has_the_recorded_keys(version: str, state: str) -> None:
    one = joined(version)
    break_it(one, state)
    ours, real = await status(one), recorded(version, state, "status")
    assert shape(ours) - LATER_PEERS_SAY == shape(real)
    known = {key for entry in real["controllers"] for key in entry}
    assert {key for entry in ours["controllers"] for key in entry} == known
    for entry in ours["controllers"]:
        assert re.fullmatch(r"[\w.()/ -]+", entry["name"])
    assert "remote-etcd-west" in {entry["name"] for entry in ours["controllers"]}


@pytest.mark.parametrize("state", ["healthy", "2379-dropped", "8472-dropped"])
async def test_the_peer_in_status_reads_as_recorded(version: str, state: str) -> None:
    one = joined(version)
    break_it(one, state)
    ours = (await status(one))["cluster-mesh"]["clusters"][0]
    real = recorded(version, state, "status")["cluster-mesh"]["clusters"][0]
    ours.get("config", {}).pop("service-exports-enabled", None)
    fixed = ("config", "connected", "ready", "synced", "num-nodes", "num-failures")
    assert {key: ours.get(key) for key in fixed} == {key: real.get(key) for key in fixed}
    numbers = re.compile(r"[0-9a-f]{15,16}|c2|west|3\.\d+\.\d+")
    assert numbers.sub("#", ours["status"]) == numbers.sub("#", real["status"])


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("1.15.19", "healthy"),
        ("1.15.19", "8472-dropped"),
        ("1.20.2", "healthy"),
        ("1.20.2", "8472-dropped"),
        ("1.20.2", "4240-dropped"),
    ],
)
async def test_health_has_the_recorded_keys_and_texts(version: str, state: str) -> None:
    one = joined(version)
    break_it(one, state)
    answer = await one.agent("east", "cilium-health", "status", "-o", "json")
    ours, real = json.loads(answer.stdout), recorded(version, state, "health")

    def told(document: Any, peer: str) -> dict[str, str]:
        """Error texts of the other cluster's node, addresses taken out."""
        node = next(entry for entry in document["nodes"] if entry["name"].startswith(peer))
        probes = {
            f"{kind}.{what}": place["primary-address"].get(what, {}).get("status", "")
            for kind, place in (("host", node["host"]), ("endpoint", node["health-endpoint"]))
            for what in ("http", "icmp")
        }
        return {key: re.sub(r"\d+\.\d+\.\d+\.\d+", "ADDRESS", text) for key, text in probes.items()}

    assert shape(ours) == shape(real)
    assert told(ours, "west/") == told(real, "c2/")


LABEL = re.compile(r"^ *(?:[└-] +)?[A-Za-z0-9 -]+?(?=:|$)")


def labels(text: str) -> list[str]:
    """What stands before the colon of each line, in order, with its indent; names of clusters taken out."""
    found = []
    for line in text.splitlines():
        match = LABEL.match(re.sub(r"\b(c1|c2|east|west)\b(?:/[\w-]+)?", "peer", line))
        found.append(match[0] if match else "")
    return found


@pytest.mark.parametrize("state", ["2379-dropped", "8472-dropped"])
async def test_the_text_form_has_the_recorded_lines(version: str, state: str) -> None:
    one = joined(version)
    break_it(one, state)
    answer = await one.agent("east", "cilium-dbg", "status", "--all-clusters")
    real = (RECORDED / version / state / "status.txt").read_text()
    ours = answer.stdout.decode()
    assert [label for label in labels(ours) if label] == [label for label in labels(real) if label]
    mine = next(line for line in ours.splitlines() if line.startswith("ClusterMesh:"))
    theirs = next(line for line in real.splitlines() if line.startswith("ClusterMesh:"))
    assert mine == theirs
    health = [re.search(r"^Cluster health.*?(?=\()", text, re.MULTILINE) for text in (ours, real)]
    assert health[0] and health[1]
    assert health[0][0] == health[1][0]


@pytest.mark.parametrize("state", ["healthy", "2379-dropped", "wrong-ca"])
async def test_troubleshoot_prints_the_recorded_layers(state: str) -> None:
    one = joined("1.20.2")
    if state == "wrong-ca":
        trust_another_ca(one, "east")
        one.settle(200)
    else:
        break_it(one, state)
    one.world.clock.resume()
    answer = await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")
    real = (RECORDED / "1.20.2" / state / "troubleshoot.txt").read_text()

    def skeleton(text: str) -> list[str]:
        """Lines with every name, number and date taken out; certificates folded to their first line."""
        signs = re.compile(r"[✅❌⚠ℹ📄🔌🔑⚙]|^Found|^Cluster")
        lines = [line for line in text.splitlines() if signs.search(line)]
        changes = (
            (r"\d+\.\d+\.\d+\.\d+(?::2379)?|3\.\d+\.\d+", "#"),
            (r"\b[0-9a-f]{15,16}\b", "#"),
            (r"\b(c2|west)\b", "peer"),
        )
        for old, new in changes:
            lines = [re.sub(old, new, line) for line in lines]
        return lines

    assert skeleton(answer.stdout.decode()) == skeleton(real)


async def test_version_1_15_has_no_troubleshoot() -> None:
    one = joined("1.15.19")
    answer = await one.agent("east", "cilium-dbg", "troubleshoot", "clustermesh")
    assert answer.exit_code == 1 and b'unknown command "troubleshoot"' in answer.stderr


async def test_a_cluster_without_an_id_says_nothing_of_a_mesh() -> None:
    one = meadow(names=("east",))
    one.settle(30)
    given = values("default", 0)
    given["clustermesh"]["useAPIServer"] = given["clustermesh"]["config"]["enabled"] = False
    install(one, "east", "1.19.5", given)
    one.settle(60)
    assert "cluster-mesh" not in await status(one)


async def test_kvstoremesh_reports_its_own_hop() -> None:
    one = meadow(nodes=1)
    one.settle(30)
    join(one, "1.19.5", clustermesh__apiserver__kvstoremesh__enabled=True)
    pod = one.pods("east", "k8s-app", "clustermesh-apiserver")[0]
    words = ("/usr/bin/clustermesh-apiserver", "kvstoremesh-dbg", "status", "-o", "json")
    answer = await one.exec("east", pod, "kvstoremesh", *words)
    found = json.loads(answer.stdout)
    assert [(entry["name"], entry["ready"]) for entry in found] == [("west", True)]
    assert (await status(one))["cluster-mesh"]["clusters"][0]["config"]["kvstoremesh"] is True
    # With the wire cut, the agents go on reading what their own cluster holds; only the cache notices.
    one.cable.block("*", "*", "tcp", 2379)
    one.settle(200)
    answer = await one.exec("east", pod, "kvstoremesh", *words)
    assert "ready" not in json.loads(answer.stdout)[0]
    assert (await status(one))["cluster-mesh"]["clusters"][0]["ready"] is True
