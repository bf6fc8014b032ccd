"""``cilium-health status``: JSON with its omissions, and the text form."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backends.lab.agents.health import NodeHealth, Probed
from backends.lab.controllers import reading


def seconds_stamp(seconds: float) -> str:
    """RFC 3339 with whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def go_duration(seconds: float) -> str:
    """``1m36.566274746s``."""
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.9f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s" if minutes else f"{text}s"


def _one(name: str, kind: str, probed: Probed, error: str, modern: bool) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if modern:
        body["lastProbed"] = seconds_stamp(probed.at)
    if error:
        body["status"] = error
    else:
        body["latency"] = int(reading.share(f"{name}/{kind}/{probed.at}", 90_000, 1_900_000))
    return dict(sorted(body.items()))


def _address(name: str, probed: Probed, modern: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"ip": probed.address}
    if probed.at:
        body["http"] = _one(name, "http", probed, probed.outcome.http, modern)
        body["icmp"] = _one(name, "icmp", probed, probed.outcome.icmp, modern)
    return dict(sorted(body.items()))


def health_json(own: str, nodes: Sequence[NodeHealth], interval: float, now: float, modern: bool) -> dict[str, Any]:
    """The whole document; ``own`` is cluster/node of the agent asked."""
    rows = []
    for node in nodes:
        host = {"primary-address": _address(f"{node.name}/host", node.host, modern), "secondary-addresses": []}
        row: dict[str, Any] = {"host": host, "name": node.name}
        if node.endpoint is not None:
            found = _address(f"{node.name}/endpoint", node.endpoint, modern)
            row["endpoint"] = found
            row["health-endpoint"] = {"primary-address": dict(found), "secondary-addresses": []}
        rows.append(dict(sorted(row.items())))
    times = [probed.at for node in nodes for probed in (node.host, node.endpoint) if probed is not None and probed.at]
    body: dict[str, Any] = {
        "local": {"name": own},
        "nodes": rows or None,
        "timestamp": seconds_stamp(max(times, default=now)),
    }
    if modern:
        body["probeInterval"] = go_duration(interval)
    return dict(sorted(body.items()))


def health_text(own: str, nodes: Sequence[NodeHealth], interval: float, now: float, modern: bool) -> str:
    """The text form, one block per node."""
    body = health_json(own, nodes, interval, now, modern)
    tail = f" (Probe interval: {body['probeInterval']})" if modern else ""
    lines = [f"Probe time:   {body['timestamp']}{tail}", "Nodes:"]
    for node in nodes:
        lines.append(f"  {node.name}{' (localhost)' if node.name == own else ''}:")
        lines += _block("Host connectivity to", node.host)
        if node.endpoint is not None:
            lines += _block("Endpoint connectivity to", node.endpoint)
    return "\n".join(lines) + "\n"


def _block(label: str, probed: Probed) -> list[str]:
    def said(error: str, kind: str) -> str:
        if not probed.at:
            return "Connection not probed"
        latency = reading.share(f"{probed.address}/{kind}/{probed.at}", 90.0, 1900.0)
        return error or f"OK, RTT={latency:.3f}µs"

    return [
        f"    {label} {probed.address}:",
        f"      ICMP to stack:   {said(probed.outcome.icmp, 'icmp')}",
        f"      HTTP to agent:   {said(probed.outcome.http, 'http')}",
    ]
