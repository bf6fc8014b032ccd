"""Lines of agents and KVStoreMesh in the two formats that Cilium has had (cilium-clustermesh §3.6, §11)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from backends.lab.agents.mesh.links import Link

STRUCTURED_SINCE: Final = 18
"""First minor whose lines are written by slog; before that logrus wrote them."""

_MESH: Final = ("agent.controlplane.clustermesh", "clustermesh")
_ETCD: Final = ("agent.controlplane.clustermesh", "kvstore")
_STORE: Final = ("agent.infra.kvstore-utils", "shared-store")
_IDENTITIES: Final = ("agent.controlplane.identity.identity", "allocator")
_NODES: Final = ("agent.controlplane.node-manager", "nodemanager")


def _quoted(value: object) -> str:
    text = str(value)
    if text and not any(sign in text for sign in ' "=\\'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line(
    minor: int, at: float, level: str, message: str, module: str, subsys: str, fields: Mapping[str, object]
) -> str:
    """One line: slog from 1.18 on (nanoseconds, ``module=``), logrus before (seconds, sorted fields, ``subsys=``)."""
    moment = datetime.fromtimestamp(at, UTC)
    if minor >= STRUCTURED_SINCE:
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}{int(at * 1e9) % 1000:03d}Z"
        parts = [f"time={stamp}", f"level={level}", f"msg={_quoted(message)}", f"module={module}"]
        parts += [f"{key}={_quoted(value)}" for key, value in fields.items()]
        return " ".join(parts)
    word = {"warn": "warning"}.get(level, level)
    rest = sorted({**fields, "subsys": subsys}.items())
    parts = [f'time="{moment.strftime("%Y-%m-%dT%H:%M:%SZ")}"', f"level={word}", f'msg="{message}"']
    return " ".join([*parts, *(f"{key}={_quoted(value)}" for key, value in rest)])


class Teller:
    """Turns what happens to a link into the lines its process writes."""

    def __init__(self, link: Link, now: float) -> None:
        self._link = link
        self._now = now
        self._modern = link.minor >= STRUCTURED_SINCE
        self._endpoints = f"[{' '.join(link.entry.endpoints)}]"
        self._path = f"/var/lib/cilium/clustermesh/{link.peer}"

    def say(self, level: str, message: str, place: tuple[str, str] = _MESH, /, **fields: object) -> str:
        """One line about the link's peer; ``place`` is its module and subsystem."""
        named = {"clusterName": self._link.peer, **fields}
        return line(self._link.minor, self._now, level, message, *place, named)

    def lines(self, what: str) -> Iterator[str]:
        """All lines of one event."""
        match what:
            case "connecting":
                yield from self._connecting()
            case "established":
                yield from self._established()
            case "configured":
                yield from self._configured()
            case "reconnecting":
                yield from self._reconnecting()
            case "removed":
                yield from self._removed()
            case "rejected":
                yield self.say("warn", "Unable to get remote cluster configuration", error=self._link.rejected)
            case "failed-files":
                error = self._link.last.text if self._link.last else ""
                yield self.say("info", "Waiting for all etcd configuration files to be available", error=error)
            case "failed-user" | "denied":
                yield from self._denied()

    def _etcd(self, message: str, **fields: object) -> str:
        return self.say("info", message, _ETCD, endpoints=self._endpoints, config=self._path, **fields)

    def _connecting(self) -> Iterator[str]:
        old = self._link.minor <= 15
        yield self.say("info", "New remote cluster configuration" if old else "Connecting to remote cluster")
        limits: dict[str, object] = {
            "ConfigPath": self._path,
            "KeepAliveHeartbeat": "15s",
            "KeepAliveTimeout": "25s",
            "RateLimit": 20,
            "MaxInflight": 20,
            "ListLimit": 256,
        }
        if self._modern:
            limits = {key[0].lower() + key[1:]: value for key, value in limits.items()}
        yield self.say("info", "Creating etcd client", _ETCD, **limits)
        yield self._etcd("Connecting to etcd server...")

    def _established(self) -> Iterator[str]:
        attempt = self._link.attempt
        identity = attempt.server.etcd_id if attempt and attempt.server else ""
        if self._modern:
            yield self._etcd("Initial etcd connection established")
            yield self.say("info", "Connection to remote cluster established", etcdClusterID=identity)
        else:
            yield self._etcd("Initial etcd session established")
            yield self.say("info", "Connection to remote cluster established")

    def _configured(self) -> Iterator[str]:
        yield self.say("info", "Found remote cluster configuration")
        yield self.say("info", "Starting watch store manager", _STORE)
        for prefix in ("synced/{0}/", "state/nodes/v1/{0}/", "state/services/v1/{0}/", "state/ip/v1/default/"):
            path = f"cilium/{prefix.format(self._link.peer)}"
            yield self.say("info", "Starting restartable watch store", _STORE, prefix=path)
        text = "Remote kvstore watcher successfully synchronized and registered"
        yield self.say("info", text if self._modern else "Remote kvstore watcher registered", _IDENTITIES)

    def _reconnecting(self) -> Iterator[str]:
        why = "not able to connect to any etcd endpoints"
        yield self.say("warn", "Error observed on etcd connection, reconnecting etcd", error=why)
        yield from self._stopped()
        yield self._etcd("Connecting to etcd server...")

    def _stopped(self) -> Iterator[str]:
        for prefix in ("synced/{0}/", "state/nodes/v1/{0}/", "state/services/v1/{0}/", "state/ip/v1/default/"):
            path = f"cilium/{prefix.format(self._link.peer)}"
            yield self.say("info", "Stopped restartable watch store", _STORE, prefix=path)
        yield self.say("info", "Stopped watch store manager", _STORE)

    def _removed(self) -> Iterator[str]:
        yield from self._stopped()
        yield self.say("info", "Connection to remote cluster stopped")
        for name in sorted(self._link.seen.nodes) if self._link.seen else ():
            yield self.say("info", "Node deleted", _NODES, nodeName=name)
        yield self.say("info", "Remote cluster disconnected")

    def _denied(self) -> Iterator[str]:
        level = "warn" if self._link.minor <= 15 else "info"
        more = "" if self._link.minor <= 15 else ", will retry"
        yield self.say(
            level,
            f"Unable to list keys before starting watcher{more}",
            _ETCD,
            endpoints=self._endpoints,
            config=self._path,
            prefix="cilium/.heartbeat",
            error="etcdserver: permission denied",
        )
