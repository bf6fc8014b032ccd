"""``meshwright reach``: whether nodes of one cluster reach those of another, hop by hop, without sending a packet."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from mesh import catalogue as fact
from mesh.aim import overlay
from mesh.choose import default_goal
from mesh.draw.way import draw_way, in_words, sign
from mesh.errors import Exit, MeshError, Undetermined, UsageError
from mesh.facts import FactStore, Known, Unknown
from mesh.reach.flows import Sent, flow_of, sent
from mesh.reach.hops import Passage, Verdict, worst
from mesh.reach.reach import Reach
from mesh.reach.sites import site_of
from mesh.subject import OfCluster
from tui.cli.printing import columns, glyphs_for, say, say_json
from tui.cli.session import opened

_CODES = {Passage.OPEN: Exit.CLEAN, Passage.CLOSED: Exit.FINDINGS, Passage.UNKNOWN: Exit.UNDETERMINED}


class Path(Struct, frozen=True):
    """One flow from one cluster to another; ``verdict`` None where a cluster has no nodes."""

    source: str
    target: str
    sent: Sent
    verdict: Verdict | None

    @property
    def passage(self) -> Passage:
        """Unknown where there is nothing to judge."""
        return self.verdict.passage if self.verdict else Passage.UNKNOWN


async def run(arguments: argparse.Namespace) -> int:
    """Judge both directions of the pair. Returns 0 when all is open, 1 when something is closed, else 3."""
    asked = tuple(Sent(flow_of(text)) for text in arguments.port)
    ends = (arguments.source, arguments.target)
    if not (arguments.context or arguments.cluster or arguments.lab or arguments.bundle):
        arguments.context = list(dict.fromkeys(ends))
    async with opened(arguments) as session:
        for name in ends:
            if name not in session.keys:
                raise UsageError(f"There is no cluster {name}", f"Read are: {', '.join(session.keys)}", "Name two.")
        if ends[0] == ends[1]:
            raise UsageError("A path needs two clusters", f"Both ends are {ends[0]}.")
        store = await session.gather()
    paths = tuple(judged(store, session.keys, ends, asked))
    if arguments.output == "json":
        say_json("Paths", {"paths": [document(path) for path in paths]})
    else:
        _print(paths, every=arguments.hops, plain=arguments.ascii)
    return _CODES[worst(path.passage for path in paths)]


def judged(store: FactStore, clusters: Sequence[str], ends: Sequence[str], asked: Sequence[Sent]) -> Iterator[Path]:
    """Every flow there and back: those asked for, else what the settings in force or planned send."""
    reach = Reach(site_of(store, cluster) for cluster in ends)
    aims = _aimed(store, clusters)
    for source, target in (ends, (ends[1], ends[0])):
        for each in asked or _sends(aims, source):
            yield Path(source, target, each, reach.verdict(source, target, each.flow))


def _aimed(store: FactStore, clusters: Sequence[str]) -> FactStore:
    try:
        return overlay(store, default_goal(store, clusters, None), clusters)
    except MeshError:
        return store


def _sends(store: FactStore, cluster: str) -> tuple[Sent, ...]:
    settings = store.get(fact.SETTINGS, OfCluster(cluster))
    if isinstance(settings, Known) and settings.value is not None:
        return sent(settings.value)
    if isinstance(settings, Unknown):
        why, lift = settings.detail or settings.reason.value, settings.lift
        hint = f"{lift}; or name the flow: --port 8472/udp" if lift else "Name the flow: --port 8472/udp"
        raise Undetermined(f"What Cilium sends from {cluster} is not known", why, hint)
    why = "Cilium is not installed there and no join can be planned."
    raise Undetermined(f"What Cilium would send from {cluster} is not known", why, "Name the flow: --port 8472/udp")


def _print(paths: Sequence[Path], *, every: bool, plain: bool) -> None:
    """A line per path; the hops of those that are not open, or of all."""
    glyphs, width = glyphs_for(plain=plain), columns()
    for path in paths:
        purpose = f" {path.sent.purpose}" if path.sent.purpose else ""
        say(f"{sign(path.passage, glyphs)} {path.source} {glyphs.to} {path.target}  {path.sent.flow}{purpose}")
        if path.verdict is None:
            say("   One of them has no nodes: there is nothing to judge.")
            continue
        way = path.verdict.way
        say(f"     from {way.source} to {way.target}")
        say(f"     {in_words(path.verdict)}")
        for line in draw_way(path.verdict.way, width, glyphs) if every or path.passage is not Passage.OPEN else ():
            say(line)
    counts = Counter(path.passage for path in paths)
    told = ", ".join(f"{counts[passage]} {passage.value}" for passage in Passage if counts[passage])
    say(f"{len(paths)} paths: {told}. Judged by what both clouds say of rules and routes; nothing was sent.")


def document(path: Path) -> dict[str, Any]:
    """The path as JSON: hops in order, those of the replies apart."""
    verdict = path.verdict
    flow = path.sent.flow
    row: dict[str, Any] = {
        "from": path.source,
        "to": path.target,
        "flow": {"protocol": flow.protocol, "port": flow.port, "purpose": path.sent.purpose},
        "predicted": path.passage.value,
    }
    if verdict is None:
        return {**row, "why": "one of them has no nodes"}
    way = verdict.way
    row |= {"why": in_words(verdict), "from_node": way.source, "to_node": way.target}
    row |= {"node_classes": list(verdict.classes), "closed": list(verdict.closed), "unknown": list(verdict.unknown)}
    return {**row, "hops": way.hops, "reply_hops": way.reply}
