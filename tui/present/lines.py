"""Lines of (text, style token), measured in cells: cut, padded, wrapped and ruled without a terminal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from tui.signs import UNICODE, Signs

Span = tuple[str, str]
Line = tuple[Span, ...]
BLANK: Line = ()
# Not before a digit: an address and its prefix length or port belong together.
_JOINTS = re.compile(r"[,;=|&@](?=.)|[/:](?=[^\d/:])")


@dataclass(frozen=True)
class Row:
    """One row of one or more lines in a list. A row without a key is a heading that the cursor passes over.

    The first cell of the first line is the cursor's.
    """

    key: str
    lines: tuple[Line, ...]


def line(*parts: str | Span) -> Line:
    """A line out of plain texts and (text, token) pairs; empty texts are left out."""
    spans = ((part, "") if isinstance(part, str) else part for part in parts)
    return tuple(span for span in spans if span[0])


def plain(given: Line) -> str:
    """The text of a line."""
    return "".join(text for text, _ in given)


def width_of(given: Line) -> int:
    """Cells it takes."""
    return sum(cell_len(text) for text, _ in given)


def pad(text: str, width: int) -> str:
    """Exactly ``width`` cells: cut without splitting a wide character, or filled with blanks."""
    return set_cell_size(text, max(width, 0))


def cut(text: str, width: int, signs: Signs = UNICODE) -> str:
    """At most ``width`` cells, ending with an ellipsis where something was left out."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    return set_cell_size(text, width - 1).rstrip() + signs.ellipsis if width > 1 else signs.ellipsis


def column(text: str, width: int, signs: Signs = UNICODE) -> str:
    """Cut with an ellipsis and padded: exactly ``width`` cells."""
    return pad(cut(text, width, signs), width)


def clip(given: Line, width: int, signs: Signs = UNICODE) -> Line:
    """At most ``width`` cells of a line, styles kept."""
    if width_of(given) <= width:
        return given
    kept: list[Span] = []
    room = width
    for text, token in given:
        size = cell_len(text)
        if size >= room:
            kept.append((cut(text + " ", room, signs) if size == room else cut(text, room, signs), token))
            break
        kept.append((text, token))
        room -= size
    return tuple(kept)


def fill(given: Line, width: int, signs: Signs = UNICODE) -> Line:
    """Exactly ``width`` cells of a line."""
    clipped = clip(given, width, signs)
    short = width - width_of(clipped)
    return (*clipped, (" " * short, "")) if short > 0 else clipped


def spread(left: Line, right: Line, width: int, signs: Signs = UNICODE, gap: str = " ", token: str = "") -> Line:
    """``left`` and ``right`` at the two ends; the left one gives way."""
    room = width - width_of(right) - (1 if right else 0)
    if room < 8:
        return fill(left, width, signs)
    left = clip(left, room, signs)
    return (*left, (gap * (width - width_of(left) - width_of(right)), token), *right)


def rule(left: str, right: str = "", width: int = 80, signs: Signs = UNICODE, lead: int = 2) -> Line:
    """A horizontal rule with a text near either end: ``── left ───── right ──``."""
    dash = signs.rule
    tail: Line = ((f" {right} ", "muted"), (dash * lead, "rule")) if right else ()
    room = width - width_of(tail) - lead - 3
    text = cut(left, max(room, 0), signs)
    head: Line = ((dash * lead, "rule"), (f" {text} ", "title")) if text else ((dash * lead, "rule"),)
    missing = width - width_of(head) - width_of(tail)
    if missing < 0:
        return clip(head, width, signs)
    return (*head, (dash * missing, "rule"), *tail)


def wrap(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Words wrapped to ``width`` cells; a word that is longer than a line is broken. Newlines are kept."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _wrap_paragraph(paragraph, width, first if not lines else rest, rest)
    return lines


def _wrap_paragraph(text: str, width: int, first: str, rest: str) -> list[str]:
    lines: list[str] = []
    current, empty = first, True
    for word in text.split():
        room = max(width - cell_len(rest), 8)
        pieces = _pieces(word, room)
        for piece in pieces:
            joint = "" if empty else " "
            if not empty and cell_len(current) + len(joint) + cell_len(piece) > width:
                lines.append(current)
                current, joint = rest, ""
            current, empty = current + joint + piece, False
    lines.append(current)
    return lines


def _pieces(word: str, room: int) -> list[str]:
    """A word in pieces of at most ``room`` cells: broken behind a sign that joins two parts, so that names and
    addresses stay whole; where there is none, anywhere.
    """
    made: list[str] = []
    while cell_len(word) > room:
        fits = chop_cells(word, room)[0]
        ends = [match.end() for match in _JOINTS.finditer(word, 0, len(fits) + 1)]
        end = max((end for end in ends if room // 4 < end <= len(fits)), default=len(fits))
        made.append(word[:end])
        word = word[end:]
    return [*made, word]


def wrapped(text: str, width: int, token: str = "", first: str = "", rest: str = "") -> list[Line]:
    """``wrap`` as lines of one token."""
    return [line((row, token)) for row in wrap(text, width, first, rest)]


def labelled(label: str, text: str, width: int, token: str = "", indent: int = 3, room: int = 11) -> list[Line]:
    """``   label      text`` with the text wrapped under itself."""
    head = " " * indent + pad(label, room)
    rows = wrap(text, width, head, " " * (indent + room))
    return [line((head, "muted"), (rows[0][len(head) :], token)), *(line((row, token)) for row in rows[1:])]


def at_most(rows: Sequence[Line], number: int, width: int, signs: Signs = UNICODE) -> list[Line]:
    """The first rows; an ellipsis at the end of the last one tells that there are more."""
    if len(rows) <= number:
        return list(rows)
    last = clip(rows[number - 1], width - 2, signs)
    return [*rows[: number - 1], (*last, (f" {signs.ellipsis}", "muted"))]
