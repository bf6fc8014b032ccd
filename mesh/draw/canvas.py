"""A grid of styled cells: text, boxes, orthogonal paths that bridge over each other, and hit regions."""

from msgspec import Struct

from mesh.draw.glyphs import Glyphs

Row = tuple[tuple[str, str], ...]


class Region(Struct, frozen=True):
    """A rectangle of cells that belongs to something: ``kind`` is cluster, link or service, ``id`` its key."""

    kind: str
    id: str
    x: int
    y: int
    width: int
    height: int


class Drawing(Struct, frozen=True):
    """Rows of (text, style token) runs, and what lies where."""

    width: int
    rows: tuple[Row, ...]
    regions: tuple[Region, ...] = ()

    def text(self) -> str:
        """The drawing without styles, trailing blanks removed."""
        return "\n".join("".join(run for run, _ in row).rstrip() for row in self.rows)


class Canvas:
    """Cells are written once per call; later writes win, but a path never overwrites the path it crosses."""

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self.width = width
        self.glyphs = glyphs
        self._cells: list[list[tuple[str, str]]] = [[(" ", "")] * width for _ in range(height)]
        self._regions: list[Region] = []

    def put(self, x: int, y: int, text: str, style: str = "") -> None:
        """Write text; what lies outside is left out."""
        self._grow(y)
        for offset, char in enumerate(text):
            if 0 <= x + offset < self.width:
                self._cells[y][x + offset] = (char, style)

    def at(self, x: int, y: int) -> str:
        """The character of a cell, a blank outside."""
        return self._cells[y][x][0] if 0 <= y < len(self._cells) and 0 <= x < self.width else " "

    def horizontal(self, x1: int, x2: int, y: int, char: str, style: str) -> None:
        """A run from ``x1`` to ``x2`` inclusive, going under verticals that are there."""
        for x in range(min(x1, x2), max(x1, x2) + 1):
            if self.at(x, y) == " ":
                self.put(x, y, char, style)

    def vertical(self, x: int, y1: int, y2: int, char: str, style: str) -> None:
        """A run between two rows, both exclusive, going over horizontals."""
        for y in range(min(y1, y2) + 1, max(y1, y2)):
            self.put(x, y, char, style)

    def box(self, x: int, y: int, width: int, height: int, style: str, *, dashed: bool = False) -> None:
        """A frame; dashed means that what is inside is not known to be there now."""
        g = self.glyphs
        line = g.dashed if dashed else g.box_horizontal
        self.put(x, y, g.box_top_left + line * (width - 2) + g.box_top_right, style)
        for row in range(y + 1, y + height - 1):
            self.put(x, row, g.box_vertical, style)
            self.put(x + width - 1, row, g.box_vertical, style)
        self.put(x, y + height - 1, g.box_bottom_left + line * (width - 2) + g.box_bottom_right, style)

    def region(self, kind: str, key: str, x: int, y: int, width: int, height: int) -> None:
        """Remember where something lies."""
        self._regions.append(Region(kind, key, x, y, width, height))

    def drawing(self) -> Drawing:
        """The finished picture, runs of equal style joined."""
        return Drawing(self.width, tuple(_runs(row) for row in self._cells), tuple(self._regions))

    def _grow(self, y: int) -> None:
        while len(self._cells) <= y:
            self._cells.append([(" ", "")] * self.width)


def _runs(cells: list[tuple[str, str]]) -> Row:
    runs: list[tuple[str, str]] = []
    for char, style in cells:
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + char, style)
        else:
            runs.append((char, style))
    return tuple(runs)


def fit(text: str, width: int, ellipsis: str) -> str:
    """The text cut to ``width`` cells and padded."""
    return (text if len(text) <= width else text[: max(width - 1, 0)] + ellipsis).ljust(width)
