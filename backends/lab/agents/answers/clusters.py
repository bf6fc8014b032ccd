"""Remote clusters in ``cilium-dbg status`` and ``kvstoremesh-dbg status``: JSON with its omissions, and the text form.

Source: cilium-clustermesh §3.6 and §11; recordings of 1.15.19 and 1.20.2.
"""

from datetime import UTC, datetime
from typing import Any, Final

from backends.lab.agents.mesh.links import Link

NEVER_FAILED: Final = "0001-01-01T00:00:00.000Z"
WAITING: Final = "Waiting for initial connection to be established"


def stamp(seconds: float) -> str:
    """RFC 3339 with milliseconds; the zero time for 0."""
    if not seconds:
        return NEVER_FAILED
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def etcd_status(link: Link) -> str:
    """The etcd client's own sentence."""
    attempt = link.attempt
    if attempt is None or attempt.server is None or link.rejected:
        return WAITING
    locks = 1 if link.minor <= 15 else 0
    lead = f"etcd: 1/1 connected, leases=0, lock leases={locks}, has-quorum=true: "
    if link.minor <= 15:
        return f"{lead}{attempt.endpoint} - 3.5.11 (Leader)"
    return f"{lead}endpoint status checks are disabled, ID: {attempt.server.etcd_id}"


def remote_cluster(link: Link, now: float) -> dict[str, Any]:
    """One element of ``cluster-mesh.clusters``: false and zero fields are absent."""
    seen = link.seen
    counts = {
        "num-endpoints": len(seen.endpoints) if seen else 0,
        "num-failures": link.reconnections(now),
        "num-identities": seen.identities if seen else 0,
        "num-nodes": len(seen.nodes) if seen else 0,
        "num-shared-services": len(seen.services) if seen else 0,
    }
    body: dict[str, Any] = {
        "last-failure": stamp(link.failed_at(now)),
        "name": link.peer,
        "status": etcd_status(link),
        "synced": {},
        **{key: value for key, value in counts.items() if value},
    }
    if link.connected:
        body["connected"] = True
        if not link.denied:
            body["config"] = _config(link)
    if link.connected and link.config is not None and link.ready(now):
        body["ready"] = True
        body["synced"] = dict.fromkeys(("endpoints", "identities", "nodes", "services"), True)
    return dict(sorted(body.items()))


def _config(link: Link) -> dict[str, Any]:
    body: dict[str, Any] = {"required": True}
    if link.config is None:
        return body
    body.update({"cluster-id": link.config.number, "retrieved": True, "sync-canaries": True})
    if link.config.cached:
        body["kvstoremesh"] = True
    if link.minor >= 17 and link.config.service_exports is not None:
        body["service-exports-enabled"] = link.config.service_exports
    return dict(sorted(body.items()))


def ago(seconds: float) -> str:
    """``33s``, ``2m13s``, ``1h2m3s`` as Go prints a rounded duration."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{text}{left}s"


def _word(value: object) -> str:
    return "true" if value else "false"


def _configuration_line(link: Link) -> str:
    if not link.connected or link.denied:
        return "remote configuration: expected=unknown, retrieved=unknown"
    if link.config is None:
        return "remote configuration: expected=true, retrieved=false"
    parts = [
        "expected=true",
        "retrieved=true",
        f"cluster-id={link.config.number}",
        f"kvstoremesh={_word(link.config.cached)}",
        "sync-canaries=true",
    ]
    if link.minor >= 17:
        exports = link.config.service_exports
        words = "unsupported" if exports is None else "enabled" if exports else "disabled"
        parts.append(f"service-exports={words}")
    if link.minor >= 20:
        parts.append("endpoint-slice-export-mode=services-only")
    return f"remote configuration: {', '.join(parts)}"


def text_lines(link: Link, now: float) -> list[str]:
    """The four lines of a peer in ``status --all-clusters``."""
    ready, seen = link.ready(now), link.seen
    failed = link.failed_at(now)
    counts = [
        f"{len(seen.nodes) if seen else 0} nodes",
        f"{len(seen.endpoints) if seen else 0} endpoints",
        f"{seen.identities if seen else 0} identities",
        f"{len(seen.services) if seen else 0} services",
    ]
    if link.minor >= 20:
        counts.append("0 endpoint slices")
    if link.minor >= 17:
        counts.append("0 MCS-API service exports")
    last = f"{ago(now - failed)} ago" if failed else "never"
    counts.append(f"{link.reconnections(now)} reconnections (last: {last})")
    synced = ", ".join(f"{kind}={_word(ready)}" for kind in ("nodes", "endpoints", "identities", "services"))
    return [
        f"   {link.peer}: {'ready' if ready else 'not-ready'}, {', '.join(counts)}",
        f"   └  {etcd_status(link)}",
        f"   └  {_configuration_line(link)}",
        f"   └  synchronization status: {synced}",
    ]
