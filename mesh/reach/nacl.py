"""Network ACLs: stateless, the lowest number that matches decides, replies are packets of their own (§4.4)."""

import itertools
from typing import Final

from msgspec import Struct

from mesh.addresses import EVERYTHING, NOTHING, Ranges, interval, union
from mesh.intervals import Steps, layered
from mesh.model.vpc import Nacl, NaclEntry
from mesh.reach.rules import Flow, protocol_word

LINUX_PORTS: Final = (32768, 60999)
EPHEMERAL: Final = (1024, 65535)
_IMPLICIT: Final = 32767
_PORTS: Final = frozenset(("tcp", "udp"))


class Replies(Struct, frozen=True):
    """Which of the client's ports replies do not come back to, and the far ends this is so for.

    ``missing`` are the ports out of Linux's own range, ``beyond`` those that other systems may choose.
    """

    missing: tuple[tuple[int, int], ...] = ()
    beyond: tuple[tuple[int, int], ...] = ()
    denied: Ranges = NOTHING
    by: tuple[NaclEntry, ...] = ()


def matches(entry: NaclEntry, protocol: str, port: int, code: int = 0) -> bool:
    """Whether the entry's protocol and port fit; for ICMP the port is the type."""
    word = protocol_word(entry.protocol)
    if word == "*":
        return True
    if word != protocol:
        return False
    if protocol in ("icmp", "icmpv6"):
        return entry.icmp_type in (-1, port) and (entry.icmp_type == -1 or entry.icmp_code in (-1, code))
    return protocol not in _PORTS or entry.from_port <= port <= entry.to_port


def entries_for(nacl: Nacl, direction: str, protocol: str, port: int) -> Steps[NaclEntry]:
    """For each far address the entry that decides about such a packet; none = the implicit deny."""
    fitting = [item for item in nacl.entries if item.direction == direction and matches(item, protocol, port)]
    return layered(((interval(item.cidr),), (-item.number,), item) for item in sorted(fitting))


def denied(steps: Steps[NaclEntry], far: Ranges) -> tuple[Ranges, NaclEntry | None, NaclEntry | None]:
    """The far addresses that are denied, the first entry that denies (None = ``*``), the first that allows."""
    out: list[Ranges] = []
    by: NaclEntry | None = None
    passes: NaclEntry | None = None
    for entry, addresses in steps.over(far):
        if entry is not None and entry.allow:
            passes = passes or entry
            continue
        by = by if out else entry
        out.append(addresses)
    return union(*out), by, passes


def replies(nacl: Nacl, direction: str, flow: Flow, far: Ranges = EVERYTHING) -> Replies:
    """Whether answers pass in that direction: to any port a client may have chosen, to an echo the type 0."""
    if flow.protocol not in _PORTS:
        kind = 0 if flow.protocol == "icmp" else flow.port
        kept, by, _ = denied(entries_for(nacl, direction, flow.protocol, kind), far)
        return Replies(((kind, kind),) if kept else (), (), kept, (by,) if kept and by else ())
    missing: list[tuple[int, int]] = []
    beyond: list[tuple[int, int]] = []
    kept_out: list[Ranges] = []
    by_entries: dict[NaclEntry, None] = {}
    for low, high in _pieces(nacl, direction):
        kept, by, _ = denied(entries_for(nacl, direction, flow.protocol, low), far)
        if not kept:
            continue
        if LINUX_PORTS[0] <= low <= LINUX_PORTS[1]:
            missing.append((low, high))
            kept_out.append(kept)
            by_entries.update({by: None} if by else {})
        else:
            beyond.append((low, high))
    return Replies(_joined(missing), _joined(beyond), union(*kept_out), tuple(by_entries))


def _pieces(nacl: Nacl, direction: str) -> list[tuple[int, int]]:
    """The ephemeral ports, cut wherever an entry begins or ends."""
    cuts = {EPHEMERAL[0], EPHEMERAL[1] + 1, LINUX_PORTS[0], LINUX_PORTS[1] + 1}
    for entry in nacl.entries:
        if entry.direction == direction:
            cuts |= {cut for cut in (entry.from_port, entry.to_port + 1) if EPHEMERAL[0] < cut <= EPHEMERAL[1]}
    ordered = sorted(cuts)
    return [(low, high - 1) for low, high in itertools.pairwise(ordered)]


def _joined(pieces: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for low, high in pieces:
        if found and found[-1][1] == low - 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def nearest_entry(nacl: Nacl, direction: str, flow: Flow, far: Ranges) -> tuple[NaclEntry, tuple[str, ...]] | None:
    """The allowing entry with the fewest fields that do not fit, and these fields."""
    best: tuple[NaclEntry, tuple[str, ...]] | None = None
    for entry in sorted(nacl.entries):
        if entry.direction != direction or not entry.allow:
            continue
        fails = _fails(entry, flow, far)
        if fails and len(fails) < 3 and (best is None or len(fails) < len(best[1])):
            best = entry, fails
    return best


def _fails(entry: NaclEntry, flow: Flow, far: Ranges) -> tuple[str, ...]:
    word = protocol_word(entry.protocol)
    fails = [] if word in ("*", flow.protocol) else ["protocol"]
    whole = (entry.from_port, entry.to_port) == (0, 65535)
    if word != "*" and flow.protocol in _PORTS and not whole and not entry.from_port <= flow.port <= entry.to_port:
        fails.append("port")
    if word == flow.protocol and word not in _PORTS and not matches(entry, flow.protocol, flow.port):
        fails.append("type")
    low, high = interval(entry.cidr)
    if all(end < low or start > high for start, end in far):
        fails.append("source" if entry.direction == "in" else "destination")
    return tuple(fails)


def entry_words(entry: NaclEntry | None) -> str:
    """``rule 100 allow``; None is the implicit deny."""
    if entry is None or entry.number >= _IMPLICIT:
        return "rule * deny"
    return f"rule {entry.number} {'allow' if entry.allow else 'deny'}"


def entry_excerpt(entry: NaclEntry) -> str:
    """The entry as a line: ``100 allow tcp 443 10.0.0.0/8``."""
    word = protocol_word(entry.protocol)
    ports = ""
    if word in _PORTS:
        ports = f" {entry.from_port}" if entry.from_port == entry.to_port else f" {entry.from_port}-{entry.to_port}"
    elif word in ("icmp", "icmpv6"):
        ports = f" {entry.icmp_type}/{entry.icmp_code}"
    return f"{entry.word} {'allow' if entry.allow else 'deny'} {word}{ports} {entry.cidr}"
