"""``meshwright resume``: go on with a run; what is already so is not done again."""

import argparse
from pathlib import Path

from mesh.errors import Exit, Refused, UsageError
from mesh.journal import RunRecord, latest_unfinished, read_run
from mesh.ports import Store
from tui.cli.choose import problems
from tui.cli.commands.apply import carried_out
from tui.cli.printing import lasting, say
from tui.cli.session import Session, opened


async def run(arguments: argparse.Namespace) -> int:
    """Find the run, find its contexts again, carry the rest of its plan out. Returns as ``apply`` does: 0 as well when
    there is nothing to go on with.
    """
    from backends.wiring import open_ports

    ports = open_ports(kubeconfig=arguments.kubeconfig)
    record = _record(ports.store, arguments.run)
    if record is None or not record.unfinished:
        # As with apply on what is already so: nothing was asked for that is not there.
        why = f"run {record.run} is {record.state}" if record else "there is no unfinished run"
        say(f"Nothing to do: {why}. meshwright plan shows what a new run would do.")
        return Exit.CLEAN
    if not arguments.context and not arguments.cluster:
        if _gone(record):
            raise Refused(
                f"The clusters of run {record.run} are gone",
                f"There is no {', '.join(_files(record))}: a lab's clusters end with it.",
                f"If they are there under other contexts: meshwright resume {record.run} --context NAME",
            )
        arguments.cluster = [f"{key}={place}" for key, place in record.contexts.items()]
    async with opened(arguments) as session:
        _same_clusters(session, record)
        lasting(say)(f"run {record.run} was {_how(record)}; {len(record.changes)} changes are in its journal")
        return await carried_out(session, record.plan, arguments, record)


def _record(store: Store, number: int | None) -> RunRecord | None:
    if number is None:
        return latest_unfinished(store, _gone)
    record = read_run(number, store.read(number))
    if record is None:
        known = ", ".join(str(run) for run in store.runs()[-8:]) or "none"
        raise UsageError(f"There is no run {number}", f"Runs: {known}")
    return record


def _files(record: RunRecord) -> list[str]:
    """The kubeconfig files that its contexts were read from."""
    return sorted({place.rpartition("@")[2] for place in record.contexts.values()} - {""})


def _gone(record: RunRecord) -> bool:
    """Whether none of the kubeconfig files that the run was begun with is there any more."""
    files = _files(record)
    return bool(files) and not any(Path(file).exists() for file in files)


def _how(record: RunRecord) -> str:
    if record.cut_off:
        return f"cut off in step {record.plan.step(record.cut_off).title}"
    return {"failed": "stopped by a failure", "cancelled": "stopped by the user", "": "cut off"}.get(
        record.state, record.state
    )


def _same_clusters(session: Session, record: RunRecord) -> None:
    missing = [cluster for cluster in record.plan.clusters if cluster not in session.keys]
    if missing:
        detail = problems(session.ports.contexts.list())
        raise Refused(
            f"Run {record.run} needs {', '.join(missing)}", detail, "Name its contexts with --cluster NAME=CONTEXT."
        )
