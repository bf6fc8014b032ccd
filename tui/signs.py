"""Every sign the app draws, once in Unicode and once in ASCII (screens.md §5). None is an emoji by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from mesh.draw import glyphs
from mesh.finding import State
from mesh.summary import ASCII_SIGNS, SIGNS


@dataclass(frozen=True)
class Signs:
    """One set. Signs of states may be two cells wide, so columns give them two."""

    ascii: bool
    states: Mapping[State, str]
    drawing: glyphs.Glyphs
    done: str = "✓"
    warn: str = "▲"
    fail: str = "✗"
    unknown: str = "?"
    blocked: str = "⊘"
    none: str = "–"
    todo: str = "·"
    running: str = "◐"
    paused: str = "‖"
    undone: str = "↶"
    outdated: str = "◌"
    chosen: str = "■"
    free: str = "□"
    cursor: str = "▸"
    opened: str = "▾"
    branch: str = "├"
    last: str = "└"
    rule: str = "─"
    bar: str = "│"
    ellipsis: str = "…"
    dot: str = "·"
    to: str = "→"
    both: str = "⇄"
    caret: str = "▏"
    open_left: str = "‹"
    open_right: str = "›"
    enter: str = "⏎"
    space: str = "␣"
    up_down: str = "↑↓"
    left_right: str = "←→"
    all_ways: str = "↑↓←→"
    up: str = "↑"
    down: str = "↓"
    above: str = "▴"
    right: str = "→"
    left: str = "←"
    erase: str = "⌫"


UNICODE: Final = Signs(ascii=False, states=SIGNS, drawing=glyphs.UNICODE)
ASCII: Final = Signs(
    ascii=True, states=ASCII_SIGNS, drawing=glyphs.ASCII, done="ok", warn="!", fail="x", blocked="#", none="-",
    todo=".", running="*", paused="=", undone="<", outdated="o", chosen="[x]", free="[ ]", cursor=">", opened="v",
    branch="|", last="`", rule="-", bar="|", ellipsis="~", dot="-", to="->", both="<>", caret="_",
    open_left="<", open_right=">", enter="enter", space="space", up_down="up/dn", left_right="lt/rt",
    all_ways="arrows", up="up", down="dn", above="^", right="rt", left="lt", erase="bksp",
)  # fmt: skip

# What stands in for characters that texts of the core hold, cell for cell, when the terminal takes ASCII only.
_CELLS: Final = str.maketrans(
    "·…→←⇄↔⇒≠≤≥⊄⊂–—“”‘’×±✓▲✗⊘◐◌●○↺━─│┃┄═║╭╮╰╯┏┓┗┛├└▸▾■□▶◀▷◁╲╎▏‹›⏎␣↑↓‖↶µ°",
    "-~><=<=!<>//--\"\"''x+k!x#*o*o@=-|#.=#++++++++|`>v#.><><\\|_<>/_^v=<uo",
)


def ascii_cells(text: str) -> str:
    """The text in printable ASCII, every character as wide as before: the last resort for words from outside."""
    if text.isascii():
        return text
    replaced = text.translate(_CELLS)
    return "".join(char if char.isascii() else "?" * cell_len(char) for char in replaced)
