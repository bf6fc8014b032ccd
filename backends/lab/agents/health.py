"""What ``cilium-health`` of every agent knows: round trips to each node, as old as its last probe.

Nothing is probed at its hour: whenever the world changes, the outcome that a probe would have is noted, and an answer
takes for each target the outcome at the time of the last probe before it. Source: cilium-clustermesh §11.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from backends.lab.agents.mesh.exports import RemoteNode
from backends.lab.agents.mesh.processes import AGENT, Reader
from backends.lab.controllers import reading
from backends.lab.controllers.loop import NEVER

if TYPE_CHECKING:
    from backends.lab.agents.datapath.routing import Datapath
    from backends.lab.agents.mesh.processes import Readers
    from backends.lab.agents.wire import Wire

PORT: Final = 4240
BASE: Final = 60.0
TIMEOUT: Final = 10.0
_EVERY: Final = 5.0
MANY: Final = 64
"""With more agents than this, only those that have ever been asked remember what their probes found."""
TIMED_OUT: Final = "Connection timed out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe finds: error texts, "" = reachable."""

    icmp: str = ""
    http: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known about one address: ``at`` 0 means that it was not probed yet."""

    address: str
    outcome: Outcome = Outcome()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One node as an agent's prober sees it; ``name`` is cluster/node."""

    name: str
    host: Probed
    endpoint: Probed | None


@dataclass(slots=True)
class _Track:
    """Outcomes of one target over time."""

    since: float
    times: list[float] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def note(self, now: float, outcome: Outcome) -> None:
        while self.times and self.times[-1] > now:
            # The clock was set back while the world was built.
            self.times.pop()
            self.outcomes.pop()
        if not self.outcomes or self.outcomes[-1] != outcome:
            self.times.append(now)
            self.outcomes.append(outcome)

    def at(self, moment: float) -> Outcome | None:
        place = bisect_right(self.times, moment)
        return self.outcomes[place - 1] if place else None


class Health:
    """The probers of all agents."""

    def __init__(self, readers: "Readers", datapath: "Datapath", wire: "Wire") -> None:
        self._readers = readers
        self._datapath = datapath
        self._wire = wire
        self._tracks: dict[tuple[str, str, str, str], _Track] = {}
        self._signature: object = None
        self._asked: set[str] = set()
        self._noted_at = -_EVERY

    # -- noting --------------------------------------------------------------------------------------------------

    def advance(self, now: float) -> float:
        """Note outcomes after a change of the world, at most every five seconds."""
        signature = (self._readers.signature, self._readers.generation)
        if signature == self._signature:
            return NEVER
        if self._noted_at <= now < self._noted_at + _EVERY:
            return self._noted_at + _EVERY
        self._signature, self._noted_at = signature, now
        live = set()
        agents = self._readers.agents()
        for reader in agents:
            if len(agents) > MANY and reader.caller.runtime.uid not in self._asked:
                continue
            if self._settings(reader).get("enable-health-checking", "true") == "false":
                continue
            live |= self._note(reader, now)
        for key in [key for key in self._tracks if key not in live]:
            del self._tracks[key]
        return NEVER

    def _note(self, reader: Reader, now: float) -> set[tuple[str, str, str, str]]:
        """Note every outcome of one agent; returns the keys of what it probes."""
        keys = set()
        for name, node in self.targets(reader):
            for kind in ("host", "endpoint"):
                key = self._key(reader, name, kind)
                keys.add(key)
                self._tracks.setdefault(key, _Track(now)).note(now, self.probe(reader, name, node, kind))
        return keys

    @staticmethod
    def _settings(reader: Reader) -> dict[str, str]:
        return dict(reader.caller.runtime.processes[AGENT].settings)

    @staticmethod
    def _key(reader: Reader, name: str, kind: str) -> tuple[str, str, str, str]:
        runtime = reader.caller.runtime
        return (reader.caller.cluster, f"{runtime.uid}/{runtime.boot}", name, kind)

    def targets(self, reader: Reader) -> Iterator[tuple[str, RemoteNode]]:
        """Every node the agent knows, by cluster/node."""
        for node in self._readers.exports(reader.caller.cluster).nodes.values():
            yield f"{reader.name}/{node.name}", node
        for link, seen in self._readers.seen_by(reader.caller.cluster, reader.caller.runtime.node):
            for node in seen.nodes.values():
                yield f"{link.peer}/{node.name}", node

    def probe(self, reader: Reader, name: str, node: RemoteNode, kind: str) -> Outcome:
        """What a probe would find now."""
        cluster, here = reader.caller.cluster, reader.caller.runtime.node
        source = self._datapath.node_address(cluster, here)
        if node.address == source:
            return Outcome()
        if kind == "endpoint":
            return self._endpoint(cluster, here, source, node)
        icmp = "" if self._wire.reaches(cluster, source, node.address, "icmp", 8) else TIMED_OUT
        if not self._wire.reaches(cluster, source, node.address, "tcp", PORT):
            return Outcome(icmp, _late(node.address))
        there = self._datapath.node_at(node.address)
        if there is None or self._readers.on_node(*there) is None:
            get = f'Get "http://{node.address}:{PORT}/hello": '
            return Outcome(icmp, f"{get}dial tcp {node.address}:{PORT}: connect: connection refused")
        return Outcome(icmp)

    def _endpoint(self, cluster: str, here: str, source: str, node: RemoteNode) -> Outcome:
        there = self._datapath.node_at(node.address)
        through = there is not None and self._datapath.hop(cluster, here, source, node.address)
        if through and there is not None and there[0] != cluster:
            back = {one.address for _, seen in self._readers.seen_by(*there) for one in seen.nodes.values()}
            through = source in back
        if through and there is not None and self._datapath.hop(*there, node.address, source):
            return Outcome()
        return Outcome(TIMED_OUT, _late(node.health_address))

    # -- answering -----------------------------------------------------------------------------------------------

    def interval(self, reader: Reader) -> float:
        """Lab seconds between two probes of one target."""
        if reader.minor <= 15:
            return BASE
        count = sum(1 for _ in self.targets(reader))
        return BASE * math.log1p(2 * count)

    def view(self, reader: Reader, now: float) -> list[NodeHealth]:
        """All nodes as the agent would report them now."""
        uid = reader.caller.runtime.uid
        if uid not in self._asked and len(self._readers.agents()) > MANY:
            self._asked.add(uid)
            self._note(reader, now)
        interval = self.interval(reader)
        found = []
        for name, node in self.targets(reader):
            host = self._probed(reader, name, node.address, "host", interval, now)
            endpoint = None
            if node.health_address:
                endpoint = self._probed(reader, name, node.health_address, "endpoint", interval, now)
            found.append(NodeHealth(name, host, endpoint))
        return found

    def anything_hangs(self, reader: Reader) -> bool:
        """Whether a round of probes now would run into its deadline."""
        for name, node in self.targets(reader):
            for kind in ("host", "endpoint"):
                if TIMED_OUT in (found := self.probe(reader, name, node, kind)).icmp or "deadline" in found.http:
                    return True
        return False

    def fresh(self, reader: Reader, now: float) -> list[NodeHealth]:
        """All nodes as a round of probes would find them now."""
        found = []
        for name, node in self.targets(reader):
            endpoint = None
            if node.health_address:
                endpoint = Probed(node.health_address, self.probe(reader, name, node, "endpoint"), now)
            found.append(NodeHealth(name, Probed(node.address, self.probe(reader, name, node, "host"), now), endpoint))
        return found

    def _probed(self, reader: Reader, name: str, address: str, kind: str, interval: float, now: float) -> Probed:
        key = self._key(reader, name, kind)
        track = self._tracks.get(key)
        if track is None:
            return Probed(address)
        first = track.since + reading.share("/".join(key), 1.0, 20.0)
        if now < first:
            return Probed(address)
        last = first + math.floor((now - first) / interval) * interval
        for _ in range(2):
            if last < first:
                return Probed(address)
            outcome = track.at(last) or Outcome()
            # A probe that hangs is known only when it has timed out; 1.15 shows a round when all of it is done.
            lasted = 0.0 if outcome == Outcome() else (45.0 if reader.minor <= 15 else TIMEOUT)
            if last + lasted <= now:
                return Probed(address, outcome, last + min(lasted, TIMEOUT))
            last -= interval
        return Probed(address, track.at(last) or Outcome(), last) if last >= first else Probed(address)


def _late(address: str) -> str:
    return (
        f'Get "http://{address}:{PORT}/hello": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)"
    )
