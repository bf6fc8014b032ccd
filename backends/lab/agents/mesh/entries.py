"""Peer entries as agents and KVStoreMesh find them in their mounted folder (cilium-clustermesh §2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import yaml

from backends.lab.controllers.kubelet.runtime import PodRuntime

FOLDER: Final = "/var/lib/cilium/clustermesh"
MARK: Final = b"endpoints:"


@dataclass(frozen=True, slots=True)
class Entry:
    """One peer: its name is the file's name; ``aliases`` are the entry's own host names (1.20)."""

    name: str
    text: bytes
    endpoints: tuple[str, ...] = ()
    trusted_ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problem: str = ""

    @property
    def host_ports(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every endpoint."""
        parts = (urlsplit(endpoint) for endpoint in self.endpoints)
        return tuple((part.hostname or "", part.port or 2379) for part in parts)


def parse(name: str, text: bytes) -> Entry:
    """Read one entry; what cannot be read is an entry with a ``problem``."""
    try:
        body = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return Entry(name, text, problem=f"error converting YAML to JSON: {error}".splitlines()[0])
    if not isinstance(body, dict):
        return Entry(name, text, problem="error unmarshaling JSON: cannot unmarshal into Go value of type yaml.config")
    aliases = []
    for alias in body.get("cilium-host-aliases") or ():
        aliases.append((str(alias.get("hostname", "")), tuple(str(ip) for ip in alias.get("ips") or ())))
    return Entry(
        name,
        text,
        tuple(str(item) for item in body.get("endpoints") or ()),
        str(body.get("trusted-ca-file") or ""),
        str(body.get("cert-file") or ""),
        str(body.get("key-file") or ""),
        tuple(aliases),
    )


def folder(runtime: PodRuntime, container: str) -> Mapping[str, bytes]:
    """Files of the peers' folder as the container sees them now."""
    at = runtime.volume_at(container, f"{FOLDER}/x")
    return runtime.mounts.files.get(at[0], {}) if at else {}


def entries(runtime: PodRuntime, container: str, own_name: str) -> dict[str, Entry]:
    """Every peer of the container but the own cluster, by name."""
    return {
        name: parse(name, text)
        for name, text in sorted(folder(runtime, container).items())
        if MARK in text and name != own_name
    }
