"""What every reading command does first: open the ports, choose the contexts, gather the facts."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mesh.errors import MeshError, UsageError
from mesh.events import CollectorProgress, Event, GatherDone
from mesh.facts import FactStore
from mesh.model.context import ContextRef
from mesh.ports import Ports
from tui.cli.choose import chosen

_ERASE: Final = "\r\x1b[2K"


class Progress:
    """One line on stderr that says what is being read; nothing when stderr is not a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._busy: dict[tuple[str, str], str] = {}

    def __call__(self, event: Event) -> None:
        """Take an event of the gathering."""
        if not self._shown:
            return
        if isinstance(event, GatherDone):
            self.clear()
        elif isinstance(event, CollectorProgress):
            key = (event.cluster, event.collector)
            if event.state == "reading":
                self._busy[key] = event.text or (f"{event.done}/{event.total}" if event.total else "")
            else:
                self._busy.pop(key, None)
            words = ", ".join(
                f"{cluster} {what} {text}".strip() for (cluster, what), text in list(self._busy.items())[:2]
            )
            print(f"{_ERASE}reading {words}"[:120] if words else _ERASE, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print(_ERASE, end="", file=sys.stderr, flush=True)


class Session:
    """Open ports, the contexts chosen, and the facts once gathered."""

    def __init__(self, ports: Ports, refs: tuple[ContextRef, ...]) -> None:
        self.ports = ports
        self.refs = refs
        self.keys = tuple(ref.key for ref in refs)

    async def gather(self) -> FactStore:
        """All facts of all chosen clusters."""
        progress = Progress()
        try:
            return await self.ports.gatherer.gather(self.refs, progress)
        finally:
            progress.clear()


@asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[Session]:
    """A session for these arguments; a lab of its own ends with it. Raises ``MeshError``."""
    from backends.wiring import open_ports

    bundle = tuple(getattr(arguments, "bundle", ()) or ())
    lab = getattr(arguments, "lab", None)
    ports = open_ports(kubeconfig=arguments.kubeconfig, bundle=bundle, lab=lab is not None)
    try:
        if lab is not None:
            await _start_lab(ports, lab)
        refs = chosen(arguments, ports.contexts.list(), everything=bool(bundle) or lab is not None)
        yield Session(ports, refs)
    finally:
        if ports.lab is not None:
            await ports.lab.stop()


async def _start_lab(ports: Ports, text: str) -> None:
    from backends.wiring import lab_refuse_unknown, lab_scenarios

    assert ports.lab is not None, "opened with a lab"
    scenario, _, told = text.partition(":")
    if not scenario.strip():
        names = ", ".join(row.name for row in lab_scenarios())
        raise UsageError("--lab names no scenario", f"There are: {names}", "meshwright lab scenarios tells about each.")
    faults = [fault for fault in told.split(",") if fault]
    lab_refuse_unknown(scenario, faults)
    try:
        await ports.lab.start(scenario, faults)
    except UsageError:
        raise
    except MeshError as error:
        raise UsageError(error.title, error.detail, error.hint) from error
