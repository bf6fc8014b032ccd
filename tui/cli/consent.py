"""Who says yes to a plan: ``--yes`` for what it prints, ``--confirm CLUSTER`` for what cannot be undone (DESIGN §3)."""

import argparse
import sys

from mesh.errors import Refused
from mesh.finding import Risk
from mesh.join import consent_needed
from mesh.plan import Plan


def consented(plan: Plan, arguments: argparse.Namespace) -> None:
    """Return when the plan may be carried out. Raises ``Refused`` with what would have to be said."""
    final = {cluster for step in plan.todo() if step.risk is Risk.IRREVERSIBLE for cluster in step.clusters}
    missing = sorted(final - set(arguments.confirm))
    if missing:
        flags = " ".join(f"--confirm {cluster}" for cluster in missing)
        raise Refused(f"Irreversible steps in {', '.join(missing)} were not confirmed", hint=f"Add {flags}")
    if arguments.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(
            "Nobody consented to this plan", "There is no terminal to ask on.", "Read the plan, then add --yes."
        )
    from tui.present.plan import summary_text

    # Where one types, in one view: the plan above is longer than a terminal.
    print(f"\n{summary_text(plan, (), plan.numbers)}\n", file=sys.stderr)
    names = consent_needed(plan)
    for cluster in names:
        print(
            f"Type the cluster name to allow its disruptive steps:  {cluster}\n> ", end="", file=sys.stderr, flush=True
        )
        if sys.stdin.readline().strip() != cluster:
            raise Refused(f"{cluster} was not confirmed", "Nothing has been changed.")
    if not names:
        print("Type apply to carry the plan out: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != "apply":
            raise Refused("The plan was not confirmed", "Nothing has been changed.")
