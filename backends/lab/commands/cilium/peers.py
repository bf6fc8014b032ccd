"""Peers in a release's values: ``clustermesh.config.clusters`` as a list (charts below 1.20) or a map (§2.3)."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backends.lab.charts.trees import Tree, dig, plant
from backends.lab.commands.cilium.access import Access
from backends.lab.commands.cilium.client import Fatal
from backends.lab.commands.releases.record import Release

RESTARTED: Final = "cilium.io/caBundleChangeRestartedAt"
_INVALID: Final = "existing clustermesh.config.clusters is invalid"


def entry(found: Access) -> Tree:
    """A cluster as its peers' values name it."""
    return {"ips": list(found.service_ips), "port": found.service_port}


def current(config: Mapping[str, Any]) -> tuple[Tree, Tree]:
    """Enabled and disabled peers of a release's values, by name; raises ``Fatal``."""
    given = dig(config, "clustermesh.config.clusters")
    peers: Tree = {}
    if isinstance(given, list):
        for item in given:
            if not isinstance(item, dict) or "name" not in item:
                raise Fatal(_INVALID)
            peers[str(item["name"])] = {key: value for key, value in item.items() if key != "name"}
    elif isinstance(given, dict):
        peers = dict(given)
    elif given is not None:
        raise Fatal(_INVALID)
    if any(not isinstance(peer, dict) for peer in peers.values()):
        raise Fatal(_INVALID)
    disabled = {name: peer for name, peer in peers.items() if peer.get("enabled") is False}
    return {name: peer for name, peer in peers.items() if name not in disabled}, disabled


def planted(release: Release, cluster: str, peers: Tree, disabled: Tree, minor: int) -> Tree:
    """The release's values with these peers; raises ``Fatal`` where they have no room for them."""
    config = copy.deepcopy(release.config)
    for path, text in (("clustermesh", "values"), ("clustermesh.config", "clustermesh.config values")):
        node = dig(config, path)
        if node is not None and not isinstance(node, dict):
            raise Fatal(f"existing {text} are invalid for cluster {cluster}")
    everything = {**disabled, **peers}
    plant(config, "clustermesh.config.enabled", True)
    shaped: Any = everything
    if minor < 20:
        shaped = [{**peer, "name": name} for name, peer in everything.items()]
    plant(config, "clustermesh.config.clusters", shaped)
    return config


def trust(config: Tree, cluster: str, authorities: Mapping[str, str], now: float) -> None:
    """Add CAs to the values' bundle, and restart the mesh server's pods for it; raises ``Fatal``."""
    content, enabled = dig(config, "tls.caBundle.content", ""), dig(config, "tls.caBundle.enabled", False)
    invalid = f"existing tls.caBundle values are invalid for cluster {cluster}"
    if not isinstance(content, str) or not isinstance(enabled, bool):
        raise Fatal(invalid)
    if enabled and not content:
        raise Fatal(f"{invalid}: caBundle is enabled but no content was provided")
    bundle = content.strip()
    for authority in authorities.values():
        if authority not in bundle:
            bundle += "\n" + authority
    bundle = bundle.strip()
    if enabled and bundle == content.strip():
        return
    plant(config, "tls.caBundle.content", bundle)
    plant(config, "tls.caBundle.enabled", True)
    annotations = dict(dig(config, "clustermesh.apiserver.podAnnotations") or {})
    annotations[RESTARTED] = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    plant(config, "clustermesh.apiserver.podAnnotations", annotations)
