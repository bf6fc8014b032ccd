"""``meshwright lab``: the embedded lab alone, for kubectl and for looking at faults."""

import argparse
import asyncio
import shlex
import sys

from mesh.errors import Exit, UsageError
from tui.cli.printing import say, say_json


async def run(arguments: argparse.Namespace) -> int:
    """Dispatch the action."""
    match arguments.action:
        case "up":
            return await _up(arguments)
        case "scenarios":
            return _scenarios(arguments.output)
        case "faults":
            return await _faults(arguments.output)
        case _:
            return await _control(arguments)


async def _up(arguments: argparse.Namespace) -> int:
    """Stay until a signal or the lab's own end; the lab's word is printed when it is ready."""
    from backends.wiring import lab_up

    faults = [fault for fault in arguments.fault.split(",") if fault]
    handle = await lab_up(arguments.scenario, faults, arguments.speed, arguments.seed)
    try:
        if arguments.output == "json":
            import json

            print(json.dumps(dict(handle.ready)), flush=True)
        else:
            for name, value in handle.env.items():
                print(f"export {name}={shlex.quote(value)}")
            named = " ".join(f"--context {shlex.quote(context)}" for context in handle.contexts)
            print(f"# lab {arguments.scenario}; next: meshwright check {named}", flush=True)
            print("meshwright: the lab runs until Ctrl-C; use the lines above in another shell", file=sys.stderr)
        await handle.process.wait()
    finally:
        await asyncio.shield(handle.stop())
    return Exit.CLEAN


def _scenarios(output: str) -> int:
    from backends.wiring import lab_scenarios

    rows = lab_scenarios()
    if output == "json":
        say_json("Scenarios", {"scenarios": rows})
    for row in rows if output == "text" else ():
        say(f"{row.group:8} {row.name:16} {row.title:58} {row.lasts}")
    return Exit.CLEAN


async def _faults(output: str) -> int:
    from backends.wiring import lab_faults

    rows = await lab_faults()
    if output == "json":
        say_json("Faults", {"faults": rows})
    for row in rows if output == "text" else ():
        mark = "■" if row["active"] else "□"
        say(f"{mark} {row['layer']!s:10} {row['name']:24} {row['title']}")
    return Exit.CLEAN


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError(f"{text} is not KEY=NAME", hint="Such as: meshwright lab inject exec-denied:target=aks-east")
    return key, value


async def _control(arguments: argparse.Namespace) -> int:
    from backends.wiring import lab_control

    name, _, where = getattr(arguments, "fault", "").partition(":")
    pairs = dict(_pair(part) for part in where.split(",") if part)
    control = lab_control()
    if arguments.action == "inject":
        await control.inject(name, **pairs)
        say(f"injected {name}")
    elif arguments.action == "clear":
        await control.clear(arguments.fault)
        say(f"cleared {arguments.fault}")
    else:
        say_json("LabState", {"state": await control.state()})
    return Exit.CLEAN
