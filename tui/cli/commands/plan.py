"""``meshwright plan``: the steps of a join as text or JSON; nothing is changed."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from mesh.assess import assess
from mesh.errors import Exit, UsageError
from mesh.joining.handover import values_files
from mesh.plan import Plan
from tui.cli.choose import edits
from tui.cli.plan_text import say_plan
from tui.cli.printing import say, say_json
from tui.cli.session import Session, opened

_MAKE: Final = "Make one with: meshwright plan --write FILE"


async def run(arguments: argparse.Namespace) -> int:
    """Print the plan. Returns 0, 5 when something stands in the way of applying it, or 3 when it cannot be told."""
    async with opened(arguments) as session:
        plan = await planned(session, arguments)
    if arguments.output == "json":
        say_json("Plan", {"plan": plan})
    else:
        say_plan(plan)
        if not plan.todo() and not plan.blockers:
            say("Nothing to do: every step is already so.")
        if arguments.bundle:
            say()
            say("These facts are from a file: apply needs the clusters themselves.")
    files = values_files(plan)
    if arguments.write:
        _write(Path(arguments.write), msgspec.json.format(msgspec.json.encode(plan), indent=1), "plan")
    if arguments.write_values:
        for name, text in files.items():
            _write(Path(arguments.write_values) / name, text.encode(), "values")
    elif files and arguments.output == "text":
        say()
        say("meshwright plan --write-values DIR writes the values files that helm's lines name,")
        say("but those of connecting: the addresses are read when that step runs.")
    if not plan.blockers:
        return Exit.CLEAN
    return Exit.UNDETERMINED if all(blocker.unread for blocker in plan.blockers) else Exit.REFUSED


async def planned(session: Session, arguments: argparse.Namespace) -> Plan:
    """The plan for what is so now."""
    store = await session.gather()
    return assess(store, session.keys, edits(arguments.set)).plan(session.ports.clock.now())


def _write(path: Path, content: bytes, what: str) -> None:
    """New beside the old, then renamed: an interrupted write loses nothing."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        raise UsageError(
            f"The {what} cannot be written to {path}",
            str(error.strerror or error),
            "Name a place that this user may write to.",
        ) from error


def load(path: Path) -> Plan:
    """A plan that ``--write`` kept. Raises ``UsageError``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", str(error.strerror or error), _MAKE) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is not a plan", str(error), _MAKE) from error
