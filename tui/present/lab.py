"""Lab start: the scenarios by group (screens.md §3.13)."""

from collections.abc import Sequence

from rich.cells import cell_len

from mesh.ports import Scenario
from tui.present.lines import Line, Row, column, cut, line, spread, wrapped
from tui.signs import Signs


def rows(scenarios: Sequence[Scenario], width: int, signs: Signs, find: str = "") -> list[Row]:
    """A heading per group, then its scenarios."""
    if not scenarios:
        return [Row("", (line("  This build has no lab. Install it with: pip install 'meshwright[lab]'"),))]
    made: list[Row] = []
    for group in dict.fromkeys(item.group for item in scenarios):
        shown = [item for item in scenarios if item.group == group and _matches(item, find)]
        if shown:
            made.append(Row("", (line((f" {group}", "title")),)))
        for item in shown:
            lasts = item.lasts
            room = max(width - 22 - cell_len(lasts), 10)
            left = line(f"   {column(item.name, 15, signs)} {cut(item.title, room, signs)}")
            made.append(Row(item.name, (spread(left, line((lasts, "muted"), " "), width, signs),)))
    return made or [Row("", (line((f"  no scenario matches {find}", "muted")),))]


def _matches(item: Scenario, find: str) -> bool:
    told = f"{item.name} {item.title} {item.group} {item.note}".lower()
    return all(word in told for word in find.lower().split())


def detail(scenarios: Sequence[Scenario], name: str, width: int) -> list[Line]:
    """What the highlighted scenario is for."""
    item = next((item for item in scenarios if item.name == name), None)
    return wrapped(f"{item.name}: {item.note or item.title}", width - 2, "", " ", " ") if item else []


def command(name: str, seed: int, speed: float) -> str:
    """The command line that starts it."""
    extra = f" --speed {speed:g}" if speed != 1.0 else ""
    return f"meshwright demo --scenario {name} --seed {seed}{extra}" if name else ""
