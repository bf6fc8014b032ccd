"""Answers of real agents, healthy and broken, and of agents that answer nonsense (recorded, see their README)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.cilium.answers import BadAnswer, agent_health, agent_status
from mesh.model.cilium import AgentStatus, HealthPeer, RemoteCluster
from tests.test_backends.recorded import RECORDINGS

AGENTS = RECORDINGS / "agents"
STATES = sorted(path.parent for path in AGENTS.glob("*/*/status.json"))
WAITING = "Waiting for initial connection to be established"
SYNCED = {"endpoints": True, "identities": True, "nodes": True, "services": True}


def status(place: str) -> AgentStatus:
    return agent_status((AGENTS / place / "status.json").read_bytes(), "node-c1", "cilium-x")


def remote(place: str) -> RemoteCluster:
    (found,) = status(place).remotes
    return found


def peers(place: str) -> dict[str, HealthPeer]:
    found = agent_health((AGENTS / place / "health.json").read_bytes(), "node-c1").peers
    return {f"{peer.cluster}/{peer.node}": peer for peer in found}


@pytest.mark.parametrize("folder", STATES, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_recorded_answer_is_read(folder: Path) -> None:
    place = "/".join(folder.parts[-2:])
    found = status(place)
    assert found.healthy
    assert found.mesh_known
    assert found.kube_proxy_replacement == "false"
    assert (found.error, found.message) == ("", "")
    assert set(peers(place)) == {"c1/node-c1", "c2/node-c2"}
    if found.remotes[0].name == "c2":
        assert all(probe == "" for probe in _probes(peers(place)["c1/node-c1"]))


def _probes(peer: HealthPeer) -> tuple[str | None, ...]:
    return peer.host_icmp, peer.host_http, peer.endpoint_icmp, peer.endpoint_http


@pytest.mark.parametrize("version", ["1.15.19", "1.20.2"])
def test_healthy(version: str) -> None:
    found = remote(f"{version}/healthy")
    assert (found.name, found.ready, found.connected) == ("c2", True, True)
    assert (found.config_required, found.config_retrieved, found.cluster_id) == (True, True, 2)
    assert found.synced == SYNCED
    assert found.nodes == 1
    assert found.endpoints
    assert _probes(peers(f"{version}/healthy")["c2/node-c2"]) == ("", "", "", "")


def test_modes_are_told_by_newer_agents_only() -> None:
    assert (status("1.20.2/healthy").routing_mode, status("1.20.2/healthy").tunnel_protocol) == ("tunnel", "vxlan")
    assert (status("1.15.19/healthy").routing_mode, status("1.15.19/healthy").tunnel_protocol) == ("", "")


@pytest.mark.parametrize("place", ["1.15.19/2379-dropped", "1.20.2/2379-dropped", "1.20.2/expired-client-leaf"])
def test_a_lost_connection_keeps_counters_but_is_not_ready(place: str) -> None:
    found = remote(place)
    assert (found.ready, found.connected, found.config_retrieved, found.synced) == (False, False, False, {})
    assert (found.status, found.failures) == (WAITING, 1)
    assert found.nodes == 1


@pytest.mark.parametrize("place", ["1.15.19/wrong-ca", "1.20.2/wrong-ca"])
def test_a_peer_that_was_never_reached(place: str) -> None:
    found = remote(place)
    assert (found.ready, found.connected, found.status) == (False, False, WAITING)
    assert found.cluster_id == 0


@pytest.mark.parametrize("version", ["1.15.19", "1.20.2"])
def test_with_the_tunnel_port_closed_the_control_plane_stays_green(version: str) -> None:
    assert remote(f"{version}/8472-dropped").ready
    peer = peers(f"{version}/8472-dropped")["c2/node-c2"]
    assert (peer.host_icmp, peer.host_http) == ("", "")
    assert peer.endpoint_icmp == "Connection timed out"
    assert peer.endpoint_http is not None
    assert "context deadline exceeded" in peer.endpoint_http


def test_with_4240_closed_only_the_hosts_http_fails() -> None:
    peer = peers("1.20.2/4240-dropped")["c2/node-c2"]
    assert (peer.host_icmp, peer.endpoint_icmp, peer.endpoint_http) == ("", "", "")
    assert peer.host_http is not None
    assert "deadline exceeded" in peer.host_http


def test_an_absent_mesh_is_not_an_empty_one() -> None:
    absent = agent_status(b'{"cilium": {"state": "Ok"}}', "n", "p")
    null = agent_status(b'{"cilium": {"state": "Ok"}, "cluster-mesh": null}', "n", "p")
    empty = agent_status(b'{"cilium": {"state": "Ok"}, "cluster-mesh": {"clusters": null}}', "n", "p")
    assert (absent.mesh_known, null.mesh_known, empty.mesh_known) == (False, False, True)
    assert (absent.remotes, empty.remotes) == ((), ())


def test_an_agent_that_is_not_well_says_why() -> None:
    found = agent_status(b'{"cilium": {"state": "Warning", "msg": "1.16.5  Kubernetes\\u001b[2J\\ngone"}}', "n", "p")
    assert (found.healthy, found.message) == (False, "1.16.5 Kubernetes gone")
    assert found.version == "1.16.5"


def test_flags_that_a_peer_does_not_support_are_left_out() -> None:
    found = agent_status(
        b'{"cluster-mesh": {"clusters": [{"name": "c", "synced": {"nodes": true, "service-exports": null}}]}}', "n", "p"
    )
    assert found.remotes[0].synced == {"nodes": True}


def test_an_address_that_was_not_probed_yet_is_not_reachable() -> None:
    found = agent_health(b'{"nodes": [{"name": "c/n", "host": {"primary-address": {"ip": "10.0.0.1"}}}]}', "n")
    assert found.peers == (HealthPeer("c", "n"),)
    null = agent_health(b'{"nodes": [{"name": "n", "host": {"primary-address": {"http": {"status": null}}}}]}', "n")
    assert (null.peers[0].cluster, null.peers[0].host_http) == ("", None)


@pytest.mark.parametrize(
    "output", [b"", b"[]", b"{}", b"Error: cannot get status", b'{"cluster-mesh": 7}', b"{" * 50_000]
)
def test_nonsense_is_told_apart_from_an_answer(output: bytes) -> None:
    with pytest.raises(BadAnswer):
        agent_status(output, "n", "p")
    with pytest.raises(BadAnswer):
        agent_health(output, "n")


@given(st.binary(max_size=100))
def test_any_bytes_are_an_answer_or_nonsense(output: bytes) -> None:
    for read in (lambda: agent_status(output, "n", "p"), lambda: agent_health(output, "n")):
        try:
            read()
        except BadAnswer:
            continue
