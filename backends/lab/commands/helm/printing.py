"""What ``helm`` prints: tables, JSON, YAML, times as Go writes them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from backends.lab.commands.kube.yamls import dump
from backends.lab.commands.releases.record import Release


def table(rows: Sequence[Sequence[Any]]) -> None:
    """Columns padded to their widest cell, the last one too, with tabs between."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        print("\t".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def written(form: str, value: Any) -> None:
    """JSON on one line as Go's encoder escapes it, or YAML."""
    if form == "yaml":
        print(dump(value), end="")
        return
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char, escape in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(char, escape)
    print(text)


def status(release: Release, form: str, *, chart: bool = True, description: bool = False, quiet: bool = False) -> None:
    """A release as ``helm status``, ``install`` and ``upgrade`` show it."""
    if form != "table":
        found = release.json()
        if not chart:
            found.pop("chart", None)
        written(form, found)
        return
    print(f"NAME: {release.name}")
    if release.last_deployed:
        print(f"LAST DEPLOYED: {calendar(release.last_deployed)}")
    print(f"NAMESPACE: {release.namespace}\nSTATUS: {release.status}\nREVISION: {release.revision}")
    if description:
        print(f"DESCRIPTION: {release.description}")
    print("TEST SUITE: None")
    if release.description.lower() == "dry run complete":
        print("HOOKS:")
        for hook in release.hooks:
            print(f"---\n# Source: {hook['path']}\n{hook['manifest']}")
        print(f"MANIFEST:\n{release.manifest}")
    if release.notes and not quiet:
        print(f"NOTES:\n{release.notes.strip()}")


def calendar(stamp: str) -> str:
    """``Mon Nov 23 16:26:59 2026``."""
    moment = _moment(stamp)
    return f"{moment:%a %b} {moment.day:2d} {moment:%H:%M:%S %Y}" if moment else ""


def full(stamp: str) -> str:
    """``2026-11-23 16:27:00.256400924 +0000 UTC``; ``-`` for none."""
    return f"{stamp.removesuffix('Z').replace('T', ' ', 1)} +0000 UTC" if stamp.endswith("Z") else stamp or "-"


def _width(cell: str) -> int:
    return max((len(line) for line in cell.split("\n")), default=0)


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
