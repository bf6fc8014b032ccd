"""``meshwright rights``: what reading or joining needs of each API server, what is there, and what grants the rest;
with ``--cloud`` the policy or role that grants what it needs of a cloud.
"""

import argparse

from mesh import catalogue as fact
from mesh.errors import Exit
from mesh.facts import Known
from mesh.model.cloud_rights import granting
from mesh.model.context import Right, Rights
from mesh.model.rights import APPLY, CHECK, profile, roles
from mesh.subject import OfCluster
from tui.cli.printing import say, say_json
from tui.cli.session import opened


async def run(arguments: argparse.Namespace) -> int:
    """Ask every chosen cluster. Returns 0 when all is granted, 1 when something is denied, 3 when it is not known."""
    if arguments.cloud:
        say(granting(arguments.cloud, arguments.purpose).rstrip())
        return Exit.CLEAN
    wanted = APPLY if arguments.purpose == "apply" else CHECK
    async with opened(arguments) as session:
        store = await session.ports.gatherer.gather(session.refs, lambda _: None, only=(fact.RIGHTS.name,))
    rows = []
    code = Exit.CLEAN
    for key in session.keys:
        got = store.get(fact.RIGHTS, OfCluster(key))
        if not isinstance(got, Known):
            rows.append({"cluster": key, "known": False, "why": got.detail or got.reason.value, "lift": got.lift})
            code = Exit.UNDETERMINED
            continue
        row = _row(key, got.value, arguments.purpose, wanted)
        rows.append(row)
        if row["missing"] and code is Exit.CLEAN:
            code = Exit.FINDINGS
    if arguments.output == "json":
        say_json("Rights", {"for": arguments.purpose, "needed": [str(right) for right in wanted], "clusters": rows})
    else:
        _print(rows)
    return code


def _row(key: str, found: Rights, purpose: str, wanted: tuple[Right, ...]) -> dict[str, object]:
    missing = [right for right in wanted if right in found.denied]
    return {
        "cluster": key,
        "known": True,
        "user": found.user,
        "profile": profile(found),
        "granted": len(wanted) - len(missing),
        "of": len(wanted),
        "missing": [str(right) for right in missing],
        # All of them, not only what is missing: applied where the role stands already, it must not lose the others.
        "roles": roles(wanted, f"meshwright-{purpose}", found.user) if missing else "",
        "incomplete": found.incomplete,
    }


def _print(rows: list[dict[str, object]]) -> None:
    for row in rows:
        if not row["known"]:
            say(f"? {row['cluster']}: not known, {row['why']}")
            if row["lift"]:
                say(f"     lift  {row['lift']}")
            continue
        sign = "▲" if row["missing"] else "✓"
        say(f"{sign} {row['cluster']}: {row['granted']}/{row['of']} as {row['user'] or 'this user'} ({row['profile']})")
        missing = row["missing"]
        for right in missing if isinstance(missing, list) else ():
            say(f"     missing  {right}")
        if row["roles"]:
            say()
            say(str(row["roles"]))
