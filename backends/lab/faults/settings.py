"""Faults of Cilium's settings: keys of ``cilium-config`` that do not fit together across clusters."""

import base64
from collections.abc import Callable, Mapping
from typing import Final

from backends.lab.faults.acting import (
    AGENTS,
    HOME,
    MESH_API,
    OPERATORS,
    change_settings,
    need_tunnel,
    peer_of,
    recreate_pods,
    restart,
    settings,
    target_of,
    undone,
)
from backends.lab.faults.fault import Fault, Undoing
from backends.lab.storage.resources import RESOURCES, SECRETS
from backends.lab.world import LabCluster, World

_LAYER: Final = "settings"


def _agents(target: LabCluster) -> None:
    restart(target, AGENTS)


def _everything(target: LabCluster) -> None:
    restart(target, OPERATORS, AGENTS, MESH_API)


def _nothing(target: LabCluster) -> None:
    """Running processes keep what they started with."""


def _changed(
    name: str,
    title: str,
    keys: Callable[[LabCluster, LabCluster], Mapping[str, str | None]],
    then: Callable[[LabCluster], None] = _agents,
) -> Fault:
    """``keys`` gives the new settings of the target, seen beside a peer; ``then`` puts them in force."""
    undoing = Undoing()

    def inject(world: World, target: str = "", source: str = "") -> None:
        here = target_of(world, target, "aks")
        undo = change_settings(here, keys(here, peer_of(world, here, source)))
        then(here)
        undoing.add(world, undone(undo, lambda: then(here)))

    return Fault(name, title, _LAYER, inject, undoing.clear)


def _native(here: LabCluster, peer: LabCluster) -> Mapping[str, str | None]:
    own = settings(here).get("cluster-pool-ipv4-cidr", "10.0.0.0/8")
    return {"routing-mode": "native", "ipv4-native-routing-cidr": own, "auto-direct-node-routes": "true"}


def _tunnel(changes: Mapping[str, str | None]) -> Callable[[LabCluster, LabCluster], Mapping[str, str | None]]:
    """These settings, where packets go through a tunnel at all."""

    def keys(here: LabCluster, peer: LabCluster) -> Mapping[str, str | None]:
        need_tunnel(here)
        need_tunnel(peer)
        return changes

    return keys


def _same_id(here: LabCluster, peer: LabCluster) -> Mapping[str, str | None]:
    return {"cluster-id": settings(peer).get("cluster-id", "0")}


def _same_pool() -> Fault:
    """The operator gives ranges out of the peer's pool, and everything gets new addresses."""
    undoing = Undoing()

    def renumber(here: LabCluster) -> None:
        nodes = here.objects.resources.get(("cilium.io", "ciliumnodes"))
        restart(here, OPERATORS, AGENTS)
        for own in here.objects.list(nodes) if nodes else ():
            here.objects.delete(nodes or RESOURCES["", "nodes"], None, own["metadata"]["name"])
        recreate_pods(here)

    def inject(world: World, target: str = "", source: str = "", cidr: str = "") -> None:
        here = target_of(world, target, "aks")
        wanted = cidr or settings(peer_of(world, here, source)).get("cluster-pool-ipv4-cidr", "")
        if not wanted:
            raise ValueError("the peer has no pool; name a range with cidr=")
        undo = change_settings(here, {"cluster-pool-ipv4-cidr": wanted})
        renumber(here)
        undoing.add(world, undone(undo, lambda: renumber(here)))

    return Fault("pod-cidr-overlap", "Pod ranges overlap", _LAYER, inject, undoing.clear)


def _wrong_peer_name() -> Fault:
    """The peers' folder names the cluster otherwise than it names itself."""
    undoing = Undoing()

    def inject(world: World, target: str = "", name: str = "ghost") -> None:
        here = target_of(world, target)
        secret = "cilium-kvstoremesh" if _has_peers(here, "cilium-kvstoremesh") else "cilium-clustermesh"
        found = here.objects.need(SECRETS, HOME, secret)
        data = dict(found.get("data") or {})
        peer = next((key for key, text in sorted(data.items()) if b"endpoints:" in base64.b64decode(text)), "")
        if not peer:
            raise ValueError(f"{here.name} has no peers")
        here.objects.patch(SECRETS, HOME, secret, {"data": {peer: None, name: data[peer]}})
        back = {"data": {peer: data[peer], name: None}}
        undoing.add(world, lambda: _write(here, secret, back))

    return Fault("wrong-peer-name", "A peer's entry has the wrong name", _LAYER, inject, undoing.clear)


def _write(here: LabCluster, secret: str, body: Mapping[str, object]) -> None:
    here.objects.patch(SECRETS, HOME, secret, dict(body))


def _has_peers(here: LabCluster, secret: str) -> bool:
    found = here.objects.stored(SECRETS, HOME, secret)
    return any(b"endpoints:" in base64.b64decode(text) for text in ((found or {}).get("data") or {}).values())


FAULTS: Final[tuple[Fault, ...]] = (
    _same_pool(),
    _changed("equal-ids", "Two clusters have the same id", _same_id, _everything),
    _changed(
        "default-name", "A cluster has the default name", lambda here, peer: {"cluster-name": "default"}, _nothing
    ),
    _changed("routing-modes-differ", "Routing modes differ", _native),
    _changed("tunnel-ports-differ", "Tunnel ports differ", _tunnel({"tunnel-port": "8473"})),
    _changed("tunnel-protocols-differ", "Tunnel protocols differ", _tunnel({"tunnel-protocol": "geneve"})),
    _changed(
        "max-clusters-differ",
        "Largest number of clusters differs",
        lambda here, peer: {"max-connected-clusters": "511"},
        _everything,
    ),
    _wrong_peer_name(),
)
