"""``meshwright plan``: the steps of a join as text or JSON; nothing is changed."""

import argparse
from pathlib import Path

import msgspec

from mesh.assess import assess
from mesh.errors import Exit, UsageError
from mesh.plan import Plan
from tui.cli.choose import edits
from tui.cli.printing import say_json, say_plan
from tui.cli.session import Session, opened


async def run(arguments: argparse.Namespace) -> int:
    """Print the plan. Returns 0, or 5 when something stands in the way of applying it."""
    async with opened(arguments) as session:
        plan = await planned(session, arguments)
    if arguments.output == "json":
        say_json("Plan", {"plan": plan})
    else:
        say_plan(plan)
    if arguments.write:
        _write(Path(arguments.write), plan)
    return Exit.REFUSED if plan.blockers else Exit.CLEAN


async def planned(session: Session, arguments: argparse.Namespace) -> Plan:
    """The plan for what is so now."""
    store = await session.gather()
    return assess(store, session.keys, edits(arguments.set)).plan(session.ports.clock.now())


def _write(path: Path, plan: Plan) -> None:
    """New beside the old, then renamed: an interrupted write loses nothing."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"The plan cannot be written to {path}", str(error.strerror or error)) from error


def load(path: Path) -> Plan:
    """A plan that ``--write`` kept. Raises ``UsageError``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", str(error.strerror or error)) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is not a plan", str(error), "Make one with: meshwright plan --write FILE") from error
