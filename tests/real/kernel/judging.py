"""One set of documents: what the evaluator says of every packet, and what became of it in the kernel."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from mesh.reach.hops import Passage, Way
from mesh.reach.reach import Reach
from mesh.reach.rules import ECHO, Flow
from tests.real.kernel.compiler import compiled
from tests.real.kernel.documents import NODES, TCP_PORTS, UDP_PORTS, Documents, documents
from tests.real.kernel.hosts import Hosts
from tests.real.kernel.packets import Probe, Seen, Wire
from tests.real.kernel.reading import sites

_LINUX_PORTS = (32768, 60999)
# Two nodes of one subnet share a namespace: what passes between them crosses no rule here.
PAIRS = [(one, other) for one in NODES for other in NODES if NODES[one][0] != NODES[other][0]]


KINDS = frozenset(
    (
        *("SG in", "SG out", "NACL in", "NACL out", "NACL in, reply", "NACL out, reply"),
        *("NSG of subnet", "NSG of NIC", "route", "gateway", "VPN"),
    )
)


class Difference(NamedTuple):
    """What one seed showed."""

    seed: int
    words: str


@dataclass
class Tally:
    """What was compared, and the differences."""

    sets: int = 0
    packets: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    closed_by: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        told = ", ".join(f"{count:,} {word}" for word, count in sorted(self.verdicts.items()))
        return f"{self.sets:,} sets, {self.packets:,} packets, {told}, {len(self.differences)} differences"

    def report(self) -> str:
        """The first differences, and how to see them again."""
        again = f"MESHWRIGHT_SEED={self.differences[0].seed} make test-real ARGS='-k kernel_judge'"
        shown = [f"seed {one.seed}: {one.words}" for one in self.differences[:5]]
        return "\n".join([str(self), *shown, f"Replay: {again}"])

    def telling(self) -> bool:
        """Whether there was something to compare: packets of both fates, and every kind of hop that can close."""
        judged = sum(self.verdicts.values())
        enough = all(self.verdicts[word] > judged / 10 for word in ("open", "closed"))
        return enough and self.verdicts["unknown"] < judged / 50 and set(self.closed_by) >= KINDS


@dataclass(frozen=True)
class Judge:
    """The namespaces and the sockets in them."""

    hosts: Hosts
    wire: Wire

    def compare(self, seed: int, tally: Tally) -> None:
        """One seed: send, evaluate, note every difference."""
        made = documents(seed)
        dice = random.Random(seed ^ 0x5EED)
        flows = [Flow("udp", port) for port in sorted(dice.sample(UDP_PORTS, 2))]
        flows += [Flow("tcp", port) for port in sorted(dice.sample(TCP_PORTS, 2))]
        flows += [Flow("icmp", 8), Flow("icmp", 13)]
        probes = _probes(flows, client_ports(made, dice))
        self.hosts.put(compiled(made, tally.sets % 65535 + 1))
        seen = self.wire.exchange(tally.sets + 1, probes)
        tally.sets += 1
        tally.packets += len(probes)
        _compare(made, flows, _gathered(probes, seen), tally)


@contextmanager
def judge() -> Iterator[Judge]:
    """Namespaces and sockets for as long as the block runs."""
    with Hosts() as hosts, ExitStack() as cleanup:
        yield Judge(hosts, Wire(hosts, cleanup))


def client_ports(made: Documents, dice: random.Random) -> list[int]:
    """Ports to ask from: one or both ends of every stretch of Linux's own range that a NACL may treat alike."""
    cuts = {_LINUX_PORTS[0], _LINUX_PORTS[1] + 1}
    for acl in made.network_acls:
        for row in acl["Entries"]:
            ports = row.get("PortRange", {"From": 0, "To": 65535})
            cuts |= {cut for cut in (ports["From"], ports["To"] + 1) if _LINUX_PORTS[0] < cut <= _LINUX_PORTS[1]}
    ordered = sorted(cuts)
    return [dice.choice((low, high - 1)) for low, high in itertools.pairwise(ordered)]


def _probes(flows: Sequence[Flow], clients: Sequence[int]) -> list[Probe]:
    found = []
    for source, target in PAIRS:
        for flow in flows:
            ports = clients if flow.protocol == "tcp" else (0,)
            found += [Probe(source, target, flow.protocol, flow.port, client) for client in ports]
    return found


_Asked = tuple[str, str, Flow]


def _gathered(probes: Sequence[Probe], seen: Sequence[Seen]) -> dict[_Asked, Seen]:
    """By node, node and flow: whether all requests arrived, and whether all were answered."""
    found: dict[_Asked, Seen] = {}
    for probe, one in zip(probes, seen, strict=True):
        key = (probe.source, probe.target, Flow(probe.protocol, probe.port))
        before = found.get(key, Seen(True, True))
        found[key] = Seen(before.arrived and one.arrived, before.answered and one.answered)
    return found


def _compare(made: Documents, flows: Sequence[Flow], seen: dict[_Asked, Seen], tally: Tally) -> None:
    alone, whole = sites(made)
    reach = Reach(alone.values())
    fared: dict[_Asked, bool] = {}
    for (source, target, flow), one in seen.items():
        [way] = reach.ways(source, target, flow)
        fared[source, target, flow] = one.answered if _reply_known(flow) else one.arrived
        _judge(made.seed, way, "request", way.forward, one.arrived, tally)
        if _reply_known(flow):
            _judge(made.seed, way, "request and reply", way.passage, one.answered, tally)
    clouds = Reach(whole)
    for near, far in (whole, whole[::-1]):
        for flow in flows:
            if flow.protocol == "icmp" and not _reply_known(flow):
                continue
            verdict = clouds.verdict(near.name, far.name, flow)
            assert verdict is not None
            pairs = [(one.name, other.name, flow) for one in near.nodes for other in far.nodes]
            _judge(made.seed, verdict.way, "all nodes", verdict.passage, all(fared[pair] for pair in pairs), tally)


def _reply_known(flow: Flow) -> bool:
    """The evaluator knows what answers a connection and an echo; datagrams are two flows of their own."""
    return flow.protocol == "tcp" or flow == ECHO


def _judge(seed: int, way: Way, what: str, said: Passage, passed: bool, tally: Tally) -> None:
    tally.verdicts[said.value] += 1
    if way.decides is not None and said is Passage.CLOSED:
        tally.closed_by[way.decides.kind] += 1
    if said is Passage.UNKNOWN or (said is Passage.OPEN) is passed:
        return
    hops = "\n".join(
        f"    {hop.index} {hop.site} {hop.kind} {hop.object}: {hop.passage} {hop.rule}"
        for hop in (*way.hops, *way.reply)
    )
    ends = f"{way.from_site} {way.source} → {way.to_site} {way.target} {way.flow}"
    fate = "let it through" if passed else "did not let it through"
    tally.differences.append(Difference(seed, f"{ends}, {what}: evaluated {said}, the kernel {fate}\n{hops}"))
