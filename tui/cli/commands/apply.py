"""``meshwright apply``: carry a plan out, step by step, and say how to go on when it stops."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mesh.errors import Exit, Refused
from mesh.events import Event, RunDone, RunStarted, StepDone, StepOutput, StepStarted, StepWaiting
from mesh.join import refuse_blocked, rest
from mesh.journal import RunRecord
from mesh.plan import Plan, Step
from mesh.run import Control, RunResult, run_plan
from tui.cli.commands.plan import load, planned
from tui.cli.consent import consented
from tui.cli.plan_text import say_plan
from tui.cli.printing import lasting, say
from tui.cli.session import Session, opened

_SIGNS = {"done": "✓", "already": "✓", "failed": "✗", "cancelled": "‖", "blocked": "⊘"}


async def run(arguments: argparse.Namespace) -> int:
    """Plan (or load), show, ask, carry out. Returns 0, 4 when partly applied, 5 when refused."""
    async with opened(arguments) as session:
        plan = load(Path(arguments.plan)) if arguments.plan else await planned(session, arguments)
        if missing := [cluster for cluster in plan.clusters if cluster not in session.keys]:
            raise Refused(
                f"The plan is for {', '.join(plan.clusters)}",
                f"Not among the clusters chosen: {', '.join(missing)}; chosen: {', '.join(session.keys)}",
                "Choose them by these names: --context NAME, or --cluster NAME=CONTEXT",
            )
        return await carried_out(session, plan, arguments)


async def carried_out(
    session: Session, plan: Plan, arguments: argparse.Namespace, before: RunRecord | None = None
) -> int:
    """Show the plan, get consent, run it; signals end it after the calls under way."""
    text = arguments.output == "text"
    # Of a run that goes on only what is left is shown and consented to; done since means done.
    shown = plan if before is None else rest(plan, await session.gather())
    if text:
        lasting(say_plan)(shown)
    refuse_blocked(plan)
    if not plan.todo():
        if text:
            say("Nothing to do: every step is already so.")
        return Exit.CLEAN
    consented(shown, arguments)
    alone = session.ports.lab is not None
    show = lasting(Printer(plan) if text else JsonPrinter())
    control, under_way = Control(), dict[str, str]()

    def tell(event: Event) -> None:
        if isinstance(event, StepStarted):
            under_way[event.step] = titled(plan.step(event.step))
        elif isinstance(event, StepDone):
            under_way.pop(event.step, None)
        show(event)

    task = asyncio.create_task(run_plan(plan, session.refs, session.ports, tell, control, before))
    try:
        result = await asyncio.shield(task)
    except asyncio.CancelledError:
        control.stop()
        if _code(await _last_calls(task, under_way), alone=alone) != Exit.CLEAN:
            raise
        # The last step ended well before it could be stopped: the plan is carried out, whatever wanted it to end.
        return Exit.CLEAN
    return _code(result, alone=alone)


def titled(step: Step) -> str:
    """``park kube-proxy (aks-east)``."""
    return f"{step.title} ({', '.join(step.clusters)})"


async def _last_calls(task: "asyncio.Task[RunResult]", under_way: Mapping[str, str]) -> RunResult:
    calls = f" of {'; '.join(under_way.values())}" if under_way else ""
    print(f"meshwright: stopping after the calls under way{calls}; a second signal ends them", file=sys.stderr)
    try:
        return await task
    except asyncio.CancelledError:
        print("meshwright: cut off; go on with: meshwright resume", file=sys.stderr)
        raise


def _code(result: RunResult, *, alone: bool) -> int:
    """``alone`` = in a lab of its own, which ends with the command: there is nothing left to go on with."""
    if result.state == "done":
        return Exit.CLEAN
    if alone:
        words = "ended with its lab; to go on after a failure use meshwright lab up in another shell"
        print(f"meshwright: run {result.run} {words}", file=sys.stderr)
        return Exit.PARTIAL
    print(f"meshwright: run {result.run} is kept; go on with: meshwright resume {result.run}", file=sys.stderr)
    return Exit.PARTIAL


class Printer:
    """The event stream as lines."""

    def __init__(self, plan: Plan) -> None:
        self._titles = {step.id: titled(step) for step in plan.steps}

    def __call__(self, event: Event) -> None:
        """Print one event, if a person wants to see it."""
        match event:
            case RunStarted():
                say(f"run {event.run}: plan {event.plan}" + (", going on" if event.resumed else ""))
            case StepStarted():
                say(f"◐ {self._titles[event.step]}")
            case StepOutput():
                say(f"    {event.line}")
            case StepWaiting():
                say(f"    waiting for: {event.what}")
            case StepDone():
                why = f"  {event.message}" if event.message else ""
                sign = _SIGNS.get(event.state, "·")
                say(f"{sign} {self._titles[event.step]}: {event.state}, {event.seconds:.1f} s{why}")
                if event.finding:
                    from mesh.explain import message

                    say(f"    cause: {event.finding.code} {event.finding.subject} {message(event.finding)}")
            case RunDone():
                how, colon, why = event.summary.partition(":")
                say(f"{how} in {event.seconds:.0f} s{colon}{why}")


class JsonPrinter:
    """The event stream as JSON lines."""

    def __call__(self, event: Event) -> None:
        """One event of the run per line; facts and collectors are left out."""
        if isinstance(event, RunStarted | StepStarted | StepOutput | StepWaiting | StepDone | RunDone):
            body = {"event": type(event).__name__, **msgspec.to_builtins(event, str_keys=True)}
            print(json.dumps(body, ensure_ascii=False), flush=True)
