"""Which peers a cluster is configured for, and where it reaches them (cilium-clustermesh §2.2, §2.4)."""

import base64
import binascii
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from mesh.model.cilium import PeerEntry

_PEER: Final = "endpoints:"
_KEY: Final = ".etcd-client.key"
_ENDPOINT: Final = re.compile(r"^\s*-\s*[\"']?(https?://[^\s\"']+)", re.MULTILINE)
_INLINE: Final = re.compile(r"endpoints:\s*\[([^\]]*)\]")
_ALIASES: Final = re.compile(r"^cilium-host-aliases:", re.MULTILINE)
_ALIAS_HOST: Final = re.compile(r"hostname:\s*[\"']?([\w.-]+)")
_ADDRESS: Final = re.compile(r"(?<![\w.:])((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]+)(?![\w.])")
_MAX_VALUE: Final = 64 * 1024
_TRUST: Final = re.compile(r"^trusted-ca-file:\s*[\"']?(\S+?)[\"']?\s*$", re.MULTILINE)


class PeerSecret(Struct):
    """``cilium-clustermesh`` or ``cilium-kvstoremesh``; it may hold keys of peers with certificates of their own."""

    data: dict[str, str] | None = None


def read_peers(data: Mapping[str, str], own_name: str, aliases: Mapping[str, tuple[str, ...]]) -> tuple[PeerEntry, ...]:
    """The peers in a Secret's data. A key is a peer if and only if its decoded value contains ``endpoints:``.

    ``aliases`` are the hostAliases of the pods that connect; the own name is ignored, as the agent does.
    """
    peers = []
    for name, encoded in data.items():
        text = "" if name.endswith(_KEY) else _decoded(encoded)
        if name == own_name or _PEER not in text:
            continue
        endpoints = _endpoints(text)
        found = [ip for endpoint in endpoints for ip in _ips(_host(endpoint), text, aliases)]
        embedded = any(f"/{name}.etcd-client" in path for path in _TRUST.findall(text))
        peers.append(PeerEntry(name, endpoints, tuple(dict.fromkeys(found)), embedded))
    return tuple(sorted(peers))


def _endpoints(text: str) -> tuple[str, ...]:
    """URLs of the list under ``endpoints``; other lists hold no URLs."""
    inline = _INLINE.search(text)
    if inline:
        return tuple(part.strip().strip("\"'") for part in inline[1].split(",") if part.strip())
    return tuple(_ENDPOINT.findall(text[text.index(_PEER) :]))


def _host(endpoint: str) -> str:
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:
        return ""


def _ips(host: str, text: str, aliases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        pass
    return _own_aliases(text).get(host) or aliases.get(host, ())


def _own_aliases(text: str) -> dict[str, tuple[str, ...]]:
    """``cilium-host-aliases`` inside the value (1.20 and newer): host name to addresses."""
    start = _ALIASES.search(text)
    found: dict[str, tuple[str, ...]] = {}
    if start is None:
        return found
    # One list item per host name: the addresses between it and the next.
    for item in re.split(r"^\s*-\s+(?=[a-z]+:\s)", text[start.end() :], flags=re.MULTILINE):
        host = _ALIAS_HOST.search(item)
        if host:
            found[host[1]] = tuple(_ADDRESS.findall(item))
    return found


def _decoded(encoded: str) -> str:
    if len(encoded) > _MAX_VALUE:
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
