"""``helm list``, ``status``, ``history`` and ``get``."""

import re
from typing import Final

from backends.lab.charts.trees import coalesce
from backends.lab.commands.flags import BadCommandLine, Flag
from backends.lab.commands.helm.printing import calendar, full, status, table, written
from backends.lab.commands.helm.session import FORMAT, Session
from backends.lab.commands.kube.yamls import dump
from backends.lab.commands.releases.record import (
    DEPLOYED,
    FAILED,
    PENDING,
    SUPERSEDED,
    UNINSTALLED,
    UNINSTALLING,
    Release,
    ordered,
)
from backends.lab.commands.releases.storage import Storage

_REVISION: Final = Flag("revision", "int")
LIST_FLAGS: Final = (
    FORMAT,
    Flag("short", "bool", "q"),
    Flag("no-headers"),
    Flag("date", "bool", "d"),
    Flag("reverse", "bool", "r"),
    Flag("all", "bool", "a"),
    Flag("uninstalled"),
    Flag("superseded"),
    Flag("uninstalling"),
    Flag("deployed"),
    Flag("failed"),
    Flag("pending"),
    Flag("all-namespaces", "bool", "A"),
    Flag("max", "int", "m", 256),
    Flag("offset", "int"),
    Flag("filter", "string", "f"),
)
STATUS_FLAGS: Final = (FORMAT, _REVISION, Flag("show-desc"))
HISTORY_FLAGS: Final = (FORMAT, Flag("max", "int", default=256))
VALUES_FLAGS: Final = (FORMAT, _REVISION, Flag("all", "bool", "a"))
PART_FLAGS: Final = (_REVISION,)

_STATES: Final = {
    "uninstalled": (UNINSTALLED,),
    "superseded": (SUPERSEDED,),
    "uninstalling": (UNINSTALLING,),
    "deployed": (DEPLOYED,),
    "failed": (FAILED,),
    "pending": PENDING,
}


def run_list(session: Session) -> None:
    """``helm list``: the newest revision of every release, by default if it is deployed or failed."""
    rows = [_row(release) for release in _listed(session)]
    if session["short"]:
        names = [row["name"] for row in rows]
        if session["output"] == "table":
            print("".join(f"{name}\n" for name in names), end="")
        else:
            written(session["output"], names)
    elif session["output"] != "table":
        written(session["output"], rows)
    else:
        heads = [("NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION")]
        table([*(() if session["no-headers"] else heads), *(tuple(row.values()) for row in rows)])


def run_status(session: Session) -> None:
    """``helm status NAME``."""
    release = _release(session)
    status(release, session["output"], chart=False, description=session["show-desc"])


def run_history(session: Session) -> None:
    """``helm history NAME``."""
    found = Storage(session.port(), session.namespace).history(session.words[0])[-session["max"] :]
    rows = [
        {
            "revision": release.revision,
            "updated": release.last_deployed,
            "status": release.status,
            "chart": release.chart_label,
            "app_version": release.app_version,
            "description": release.description,
        }
        for release in found
    ]
    if session["output"] != "table":
        written(session["output"], rows)
        return
    heads = [("REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION")]
    table([*heads, *((*row.values(),) for row in ({**row, "updated": calendar(str(row["updated"]))} for row in rows))])


def run_values(session: Session) -> None:
    """``helm get values NAME``."""
    release = _release(session)
    found = release.config
    if session["all"]:
        found = coalesce(release.chart.get("values") or {}, release.config)
    if session["output"] != "table":
        written(session["output"], ordered(found) or None)
        return
    print("COMPUTED VALUES:" if session["all"] else "USER-SUPPLIED VALUES:")
    print(dump(found or None).removesuffix("...\n"), end="")


def run_manifest(session: Session) -> None:
    """``helm get manifest NAME``."""
    print(_release(session).manifest)


def run_hooks(session: Session) -> None:
    """``helm get hooks NAME``."""
    for hook in _release(session).hooks:
        print(f"---\n# Source: {hook['path']}\n{hook['manifest']}")


def run_notes(session: Session) -> None:
    """``helm get notes NAME``."""
    release = _release(session)
    if release.notes:
        print(f"NOTES:\n{release.notes}")


def _release(session: Session) -> Release:
    return Storage(session.port(), session.namespace).get(session.words[0], session["revision"])


def _listed(session: Session) -> list[Release]:
    try:
        pattern = re.compile(session["filter"])
    except re.error as error:
        raise BadCommandLine(f"error parsing regexp: {error}") from error
    storage = Storage(session.port(), session.namespace)
    everything = storage.everything(None if session["all-namespaces"] else session.namespace)
    newest = {(release.namespace, release.name): release for release in everything if pattern.search(release.name)}
    chosen = [name for name in _STATES if session[name]]
    states = {state for name in chosen or ("deployed", "failed") for state in _STATES[name]}
    shown = everything if chosen == ["superseded"] else list(newest.values())
    found = [release for release in shown if session["all"] or release.status in states]
    found.sort(key=lambda release: (release.last_deployed if session["date"] else "", release.name, release.revision))
    if session["reverse"]:
        found.reverse()
    found = found[session["offset"] :]
    return found[: session["max"]] if session["max"] else found


def _row(release: Release) -> dict[str, str]:
    return {
        "name": release.name,
        "namespace": release.namespace,
        "revision": str(release.revision),
        "updated": full(release.last_deployed),
        "status": release.status,
        "chart": release.chart_label,
        "app_version": release.app_version,
    }
