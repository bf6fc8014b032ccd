"""The hops of a path in order, as text: on the screen and in ``meshwright reach`` (screens.md §3.17)."""

import textwrap
from collections.abc import Iterable
from typing import Final

from mesh.draw.glyphs import UNICODE, Glyphs
from mesh.model.picture import Health
from mesh.reach.hops import Hop, Passage, Verdict, Way, asymmetric

# An id of AWS has up to 21 characters.
_OBJECT: Final = 21
_KIND: Final = 16
_KEPT: Final = "\N{NO-BREAK SPACE}"
_HEALTH: Final = {Passage.OPEN: Health.OK, Passage.CLOSED: Health.DOWN, Passage.UNKNOWN: Health.UNKNOWN}


def sign(passage: Passage, glyphs: Glyphs = UNICODE) -> str:
    """``✓``, ``✗`` or ``?``."""
    return glyphs.sign(_HEALTH[passage])


def draw_way(way: Way, width: int = 80, glyphs: Glyphs = UNICODE) -> tuple[str, ...]:
    """A line per hop, more where its words do not fit; the replies' hops follow under a head of their own."""
    blocks = way.decides
    lines = [line for hop in way.hops for line in _hop(hop, hop is blocks, width, glyphs)]
    if way.reply:
        lines.append("   replies, by their own way:" if asymmetric(way) else "   replies:")
        lines += [line for hop in way.reply for line in _hop(hop, hop is blocks, width, glyphs)]
    return tuple(lines)


def _hop(hop: Hop, decides: bool, width: int, glyphs: Glyphs) -> Iterable[str]:
    head = f" {sign(hop.passage, glyphs)} {hop.index:<3}{hop.kind:<{_KIND}} "
    words = hop.rule
    if decides and hop.passage is Passage.CLOSED:
        # Not broken, so that it can be looked for.
        words += f" {glyphs.left}{glyphs.horizontal}{_KEPT}blocks{_KEPT}here"
    if hop.missing:
        words += f"; needs {hop.missing}"
    room, thing = max(width, 60), hop.object
    if len(thing) > _OBJECT:
        yield f"{head}{thing}"
        head, thing = " " * len(head), ""
    lead = f"{head}{thing:<{_OBJECT}} "
    told = [(words or "-", lead, " " * len(lead))]
    told += [(text, " " * len(lead), " " * (len(lead) + 2)) for text in nearest(hop)]
    for text, first, later in told:
        for line in textwrap.wrap(text, room, initial_indent=first, subsequent_indent=later, break_on_hyphens=False):
            # What hops say has signs of its own.
            line = line.replace(_KEPT, " ").replace(UNICODE.to, glyphs.to)
            yield line.replace(UNICODE.ellipsis, glyphs.ellipsis)


def nearest(hop: Hop) -> tuple[str, ...]:
    """The rule that comes closest to letting the flow through a closed hop, and what keeps it from it."""
    if hop.passage is not Passage.CLOSED or not hop.nearest:
        return ()
    return (f"nearest {hop.nearest}: {', '.join(hop.fails)} differs",)


def in_words(verdict: Verdict) -> str:
    """The verdict in one sentence: which hop decides, and how many blocks lie behind it."""
    way, decides = verdict.way, verdict.way.decides
    if decides is None:
        return "Open at every hop that is judged."
    where = f"hop {decides.index}, {decides.kind} {decides.object}".strip()
    if way.passage is Passage.UNKNOWN:
        need = f": needs {decides.missing}" if decides.missing else ""
        return f"Not known at {where}{need}; no hop that is known is closed."
    behind = len(way.blocks) - 1
    more = "No further block behind it." if not behind else f"{behind} more behind it: {_numbers(way.blocks[1:])}."
    return f"Closed at {where}. {more}"


def _numbers(hops: Iterable[Hop]) -> str:
    return ", ".join(f"hop {hop.index} ({hop.kind})" for hop in hops)
