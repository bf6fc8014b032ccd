"""What a verdict consists of: hops in path order, the way they make, and the three values they can have."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from mesh.reach.rules import Flow


class Passage(StrEnum):
    """Whether packets pass: what is not known is never open."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


_WEIGHT = {Passage.OPEN: 0, Passage.UNKNOWN: 1, Passage.CLOSED: 2}


def answered(flow: Flow) -> bool:
    """Whether the flow is nothing without replies: the tunnel's datagrams are two flows of their own."""
    return flow.protocol not in ("udp", "esp")


def worst(passages: Iterable[Passage]) -> Passage:
    """Closed if anything is closed, else unknown if anything is unknown, else open."""
    return max(passages, key=_WEIGHT.__getitem__, default=Passage.OPEN)


class Hop(Struct, frozen=True):
    """One object on the way and what it does with the flow.

    ``kind`` is ``SG out``, ``NACL in``, ``route``, ``gateway``, ``VPN``…; ``object`` its id ("" = none there), ``rule``
    what decided as shown, ``nearest`` the rule that comes closest to letting the flow in and ``fails`` the fields that
    keep it from it. ``excerpt`` is what was read, ``far`` the addresses that are kept out or doubtful, ``missing`` the
    right that would tell. A hop that is not ``judged`` (the end node's own firewall) leaves the verdict alone.
    """

    site: str
    kind: str
    passage: Passage
    object: str = ""
    rule: str = ""
    nearest: str = ""
    fails: tuple[str, ...] = ()
    excerpt: str = ""
    far: tuple[str, ...] = ()
    missing: str = ""
    judged: bool = True
    index: int = 0


class Way(Struct, frozen=True):
    """A flow from one class of nodes to another: its hops, and those of the replies where it needs replies.

    ``source`` and ``target`` name the classes' first nodes. Numbers go on from ``hops`` to ``reply``.
    """

    from_site: str
    to_site: str
    flow: Flow
    source: str = ""
    target: str = ""
    hops: tuple[Hop, ...] = ()
    reply: tuple[Hop, ...] = ()

    @property
    def forward(self) -> Passage:
        """The request alone."""
        return worst(hop.passage for hop in self.hops if hop.judged)

    @property
    def passage(self) -> Passage:
        """Request and replies."""
        return worst((self.forward, *(hop.passage for hop in self.reply if hop.judged)))

    @property
    def blocks(self) -> tuple[Hop, ...]:
        """All closed hops in order: the first blocks, the others lie behind it."""
        return tuple(hop for hop in (*self.hops, *self.reply) if hop.judged and hop.passage is Passage.CLOSED)

    @property
    def doubts(self) -> tuple[Hop, ...]:
        """All unknown hops in order."""
        return tuple(hop for hop in (*self.hops, *self.reply) if hop.judged and hop.passage is Passage.UNKNOWN)

    @property
    def decides(self) -> Hop | None:
        """The hop the verdict rests on: the first closed, else the first unknown; None when all are open."""
        return next(iter(self.blocks or self.doubts), None)


class Verdict(Struct, frozen=True):
    """A flow from one site to another: that of the worst pair of classes, whose way is shown.

    ``closed`` and ``unknown`` name a node of each class that the flow fares so for; ``classes`` counts those of both
    ends.
    """

    way: Way
    classes: tuple[int, int] = (0, 0)
    closed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def passage(self) -> Passage:
        """Open, closed or unknown."""
        return self.way.passage


def numbered(hops: Sequence[Hop], start: int = 1) -> tuple[Hop, ...]:
    """The hops with their numbers."""
    return tuple(replace(hop, index=number) for number, hop in enumerate(hops, start))


def asymmetric(way: Way) -> bool:
    """Whether replies come back over other connections or peerings than the request went by."""
    return bool(way.reply) and _carriers(way.hops) != _carriers(way.reply)


def _carriers(hops: Iterable[Hop]) -> set[str]:
    """What joins two networks is the same both ways; a gateway is a hop of its own only where packets leave by it."""
    return {hop.object for hop in hops if hop.kind == "VPN" or hop.object.startswith("pcx-")}
