"""How many agents and cache replicas are ready for which peer, asked of every pod (cilium-clustermesh §3.4)."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from backends.lab.commands.cilium.client import Client, Fatal
from backends.lab.commands.kube.kinds import POD
from backends.lab.commands.kube.port import ApiFailure, Unreachable

Problem = tuple[Literal["", "unconnected", "config"], str]
Collector = Callable[[Client, str], list[dict[str, Any]] | None]

AGENTS: Final = {"k8s-app": "cilium"}
REPLICAS: Final = {"k8s-app": "clustermesh-apiserver"}
NO_STATUS: Final = "ClusterMesh status is not available"


class NotSupported(Exception):
    """This version's cache has no status command."""


@dataclass(slots=True)
class Connectivity:
    """Counts over the pods asked; ``errors`` by pod and peer."""

    least: int = -1
    total_ready: int = 0
    most: int = 0
    total: int = 0
    not_ready: int = 0
    clusters: dict[str, list[int]] = field(default_factory=dict)
    errors: dict[str, dict[str, list[Problem]]] = field(default_factory=dict)

    @property
    def average(self) -> float:
        """Peers ready per pod."""
        return self.total_ready / self.total if self.total else 0.0

    def json(self) -> dict[str, Any]:
        """Without zeros, as the program writes it."""
        connected = {"min": self.least, "avg": self.average, "max": self.most}
        clusters = {
            name: _filled({"configured": counts[0], "connected": counts[1]}) for name, counts in self.clusters.items()
        }
        errors = {
            pod: {
                peer: {"Errors": [text for _, text in problems], "Warnings": [], "Disabled": False}
                for peer, problems in sorted(peers.items())
            }
            for pod, peers in sorted(self.errors.items())
        }
        rest = {"clusters": dict(sorted(clusters.items())), "total": self.total, "not_ready": self.not_ready}
        return {"connected": _filled(connected), **_filled({**rest, "errors": errors})}

    def add(self, pod: str, expected: Sequence[str], found: Sequence[Mapping[str, Any]]) -> None:
        """Count one pod's peers."""
        self.total += 1
        ready = 0
        for peer in found:
            counts = self.clusters.setdefault(str(peer.get("name", "")), [0, 0])
            counts[0] += 1
            if peer.get("ready"):
                ready += 1
                counts[1] += 1
            else:
                self._note(pod, str(peer.get("name", "")), problem(peer))
        names = {str(peer.get("name", "")) for peer in found}
        missing = [name for name in expected if name not in names]
        for name in missing:
            self._note(pod, name, ("", "unknown status"))
        if missing or ready != len(names):
            self.not_ready += 1
        self.least = ready if self.least < 0 else min(self.least, ready)
        self.most = max(self.most, ready)
        self.total_ready += ready

    def _note(self, pod: str, peer: str, found: Problem) -> None:
        self.errors.setdefault(pod, {}).setdefault(peer, []).append(found)


def problem(peer: Mapping[str, Any]) -> Problem:
    """Why a peer is not ready, the first reason of the chain."""
    config, synced = peer.get("config"), peer.get("synced")
    if not peer.get("connected"):
        return "unconnected", str(peer.get("status", ""))
    if config is None:
        return "", "remote cluster configuration retrieval status unknown"
    if config.get("required") and not config.get("retrieved"):
        return "config", "remote cluster configuration required but not found"
    if synced is None:
        return "", "synchronization status unknown"
    left = [name for name in ("endpoints", "identities", "nodes", "services") if not synced.get(name)]
    return "", f"synchronization in progress for {', '.join(left)}" if left else "not ready"


def determine(client: Client, own: str, secret: str, labels: Mapping[str, str], collect: Collector) -> Connectivity:
    """Ask every pod with these labels; the peers expected are those of ``secret``. Raises ``Fatal``."""
    expected = _expected(client, own, secret)
    found = Connectivity(clusters={name: [0, 0] for name in expected})
    try:
        pods = client.port.list(POD, client.namespace, labels)
    except (ApiFailure, Unreachable) as error:
        raise Fatal(f"unable to list pods: {error}") from error
    for item in pods:
        name = item["metadata"]["name"]
        try:
            peers = collect(client, name)
        except Fatal as error:
            raise Fatal(f'unable to determine status of pod "{name}": {error}') from error
        if peers is not None:
            found.add(name, expected, peers)
        elif expected:
            raise Fatal(f'unable to determine status of pod "{name}": {NO_STATUS}')
    return found


def of_agent(client: Client, pod: str) -> list[dict[str, Any]] | None:
    """An agent's remote clusters; ``None`` where it is in no mesh."""
    mesh = agent_status(client, pod).get("cluster-mesh")
    return None if mesh is None else list(mesh.get("clusters") or [])


def agent_status(client: Client, pod: str) -> dict[str, Any]:
    """``cilium status -o json`` of an agent; raises ``Fatal``."""
    place = f"command failed (pod={client.namespace}/{pod}, container=cilium-agent)"
    done = client.execute(pod, "cilium-agent", "cilium", "status", "-o", "json")
    said = done.stderr.decode(errors="replace")
    if done.failure or said:
        parts = [place, *([done.failure] if done.failure else []), *([json.dumps(said)] if said else [])]
        raise Fatal(": ".join(parts))
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise Fatal(f"unable to unmarshal response of cilium status: {error}") from error
    return found


def of_replica(client: Client, pod: str) -> list[dict[str, Any]] | None:
    """A cache replica's remote clusters; raises ``NotSupported``, ``Fatal``."""
    argv = ("/usr/bin/clustermesh-apiserver", "kvstoremesh-dbg", "status", "-o", "json")
    done = client.execute(pod, "kvstoremesh", *argv)
    if done.failure:
        said = done.stderr.decode(errors="replace")
        if "Usage:" in said or "unknown command" in said:
            raise NotSupported
        raise Fatal(f"command failed (pod={client.namespace}/{pod}, container=kvstoremesh): {done.failure}")
    try:
        return list(json.loads(done.stdout) or [])
    except (ValueError, TypeError) as error:
        raise Fatal(f"unable to unmarshal response of kvstoremesh-dbg status: {error}") from error


def _expected(client: Client, own: str, secret: str) -> list[str]:
    """Keys of the peers' Secret; none yet is no failure."""
    try:
        data = client.secret(secret)
    except ApiFailure as error:
        if error.missing:
            return []
        raise Fatal(f"unable to retrieve configuration: {error}") from error
    except Unreachable as error:
        raise Fatal(f"unable to retrieve configuration: {error}") from error
    return [name for name, value in data.items() if name != own and b"endpoints:" in _decoded(value)]


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        return b""


def _filled(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value}
