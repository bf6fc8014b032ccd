"""Facts: one row per collector and one column per cluster; above three clusters the other way (screens.md §3.2)."""

from collections.abc import Sequence

from mesh import catalogue
from mesh.events import CollectorProgress
from mesh.model.context import Right
from mesh.model.rights import APPLY, CHECK, roles
from mesh.subject import OfCluster
from tui.present import words
from tui.present.lines import Line, Row, Span, column, line, rule, spread, wrapped
from tui.session import Gathering, Session
from tui.signs import Signs

COLUMNS_MAX = 3
ENDED = ("done", "denied", "expired", "failed", "cancelled")


def clusters_of(session: Session) -> tuple[str, ...]:
    """The clusters that are or will be read."""
    return session.gathering.clusters or session.chosen


def swapped(session: Session) -> bool:
    """Whether clusters are rows."""
    return len(clusters_of(session)) > COLUMNS_MAX


def progress(session: Session, cluster: str, collector: str) -> CollectorProgress:
    """What a collector of a cluster says; an empty record before it says anything."""
    found = session.gathering.progress.get((cluster, collector))
    return found or CollectorProgress(cluster, collector, "")


def cell(session: Session, cluster: str, collector: str, signs: Signs) -> Span:
    """What a collector of a cluster says. Rights that were read are not rights that are there."""
    told = progress(session, cluster, collector)
    text, token = words.collector_words(told.state, told.text, told.done, told.total, signs)
    if told.state == "done" and _lacking(session, cluster, collector):
        return f"{signs.warn} {told.text}", "warn"
    return text, token


def _lacking(session: Session, cluster: str, collector: str) -> tuple[Right, ...]:
    if collector != catalogue.RIGHTS.name:
        return ()
    rights = session.store.value(catalogue.RIGHTS, OfCluster(cluster))
    return rights.denied if rights else ()


def title(session: Session) -> tuple[str, str]:
    """Title, and the time it takes."""
    gathering = session.gathering
    clusters = clusters_of(session)
    if gathering.running:
        complete = sum(_complete(session, cluster) for cluster in clusters)
        spent = words.clock(session.now - gathering.started)
        usual = f" of usually {words.clock(gathering.usual)}" if gathering.usual else ""
        return f"Reading facts · {complete} of {len(clusters)} clusters complete", spent + usual
    if gathering.state == "done":
        told = f"{gathering.known} known, {gathering.unknown} unknown"
        return f"Facts complete · {told}", words.clock(gathering.ended - gathering.started)
    if gathering.state == "stopped":
        return "Reading stopped · what was not read is ?", ""
    if gathering.state == "failed":
        return "Reading failed", ""
    chosen = len(session.chosen)
    return "Facts", f"{chosen} {'cluster' if chosen == 1 else 'clusters'} chosen"


def _complete(session: Session, cluster: str) -> bool:
    return bool(session.collectors) and all(
        progress(session, cluster, collector).state in ENDED for collector, _ in session.collectors
    )


def nothing(session: Session) -> list[Line]:
    """What the place says before anything is read."""
    if not session.chosen:
        return [line("  Facts need clusters: press ", ("1", "key"), " and choose them with ", ("space", "key"), ".")]
    return [line("  Nothing was read yet: ", ("r", "key"), " reads the facts of ", (", ".join(session.chosen), "name"))]


def rows(session: Session, width: int, signs: Signs, place: int = 0, cursor: str = "") -> list[Row]:
    """The table. ``place`` is the column of the cursor; below 80 columns only that cluster is shown."""
    clusters = clusters_of(session)
    if not session.gathering.state and not session.gathering.progress:
        return [Row("", tuple(nothing(session)))]
    if swapped(session):
        return _by_cluster(session, clusters, width, signs)
    shown = clusters if width >= 80 else clusters[place : place + 1]
    head = 25 if width >= 80 else 22
    room = max((width - head - 3) // max(len(shown), 1), 10)
    made = [Row("", (_heads(session, clusters, shown, head, room, place, width, signs),))]
    for collector, label in session.collectors:
        cells: list[Span] = [(column(f" {label}", head, signs) + " ", "")]
        for cluster in shown:
            text, token = cell(session, cluster, collector, signs)
            here = cluster == clusters[min(place, len(clusters) - 1)] and len(shown) > 1
            mark = signs.cursor if here and collector == cursor else " "
            cells += [(mark, "key"), (column(text, room - 1, signs), token)]
        made.append(Row(collector, (tuple(cells),)))
    made.append(Row("", (_totals(session, shown, head, room, signs),)))
    return made


def _heads(
    session: Session,
    clusters: Sequence[str],
    shown: Sequence[str],
    head: int,
    room: int,
    place: int,
    width: int,
    signs: Signs,
) -> Line:
    label = " Collector" if len(shown) == len(clusters) else f" {place + 1}/{len(clusters)} {signs.left_right}"
    cells: list[Span] = [(column(label, head, signs) + " ", "muted")]
    for cluster in shown:
        here = cluster == clusters[min(place, len(clusters) - 1)] and len(shown) > 1
        cells += [
            (signs.cursor if here else " ", "key"),
            (column(_head(session, cluster, signs), room - 1, signs), "name"),
        ]
    return tuple(cells)


def _head(session: Session, cluster: str, signs: Signs) -> str:
    first = next((progress(session, cluster, collector) for collector, _ in session.collectors[:1]), None)
    if first is not None and first.state == "failed":
        return f"{signs.fail} {cluster}"
    return f"{signs.unknown} {cluster}" if first is not None and first.state == "expired" else cluster


def _totals(session: Session, shown: Sequence[str], head: int, room: int, signs: Signs) -> Line:
    cells: list[Span] = [(column(" collectors read", head, signs) + " ", "muted")]
    for cluster in shown:
        text, token = summary(session, cluster, signs)
        cells += [(" ", ""), (column(text, room - 1, signs), token)]
    return tuple(cells)


def summary(session: Session, cluster: str, signs: Signs) -> Span:
    """``✓ 28/28``, ``◐ 13/28  ? 2``."""
    states = [progress(session, cluster, collector).state for collector, _ in session.collectors]
    good, bad = states.count("done"), sum(state in ENDED and state != "done" for state in states)
    trouble = f"  {signs.unknown} {bad}" if bad else ""
    if session.gathering.running and good + bad < len(states):
        return (f"{signs.running} {good}/{len(states)}{trouble}", "info")
    return (f"{signs.unknown if bad else signs.done} {good}/{len(states)}{trouble}", "unknown" if bad else "ok")


def _by_cluster(session: Session, clusters: Sequence[str], width: int, signs: Signs) -> list[Row]:
    """One row per cluster: a strip of signs in the order of the collectors, and counts."""
    name = max(width - 12 - len(session.collectors) * 2 - 16, 14)
    made = [
        Row("", (line((column(" Cluster", name, signs) + " ", "muted"), ("collectors, in the order of ⏎", "muted")),))
    ]
    for cluster in clusters:
        cells: list[Span] = [(column(f" {cluster}", name, signs) + " ", "name")]
        for collector, _ in session.collectors:
            text, token = cell(session, cluster, collector, signs)
            cells.append((column(text.partition(" ")[0], 2, signs), token))
        text, token = summary(session, cluster, signs)
        made.append(Row(cluster, (line(*cells, " ", (text, token)),)))
    return made


def role_for(session: Session, cluster: str, collector: str) -> str:
    """Role and binding that lift a denied cell; on the rights' own cell all that reading needs, and where it lacks
    nothing all that joining does, as ``meshwright rights`` prints them. "" where that is not known.

    A role holds what its name stands for, whoever lacks which part of it: applied for one user it takes nothing from
    another.
    """
    told = progress(session, cluster, collector)
    rights = session.store.value(catalogue.RIGHTS, OfCluster(cluster))
    if rights is None or not rights.denied:
        return ""
    if collector == catalogue.RIGHTS.name:
        purpose, wanted = ("check", CHECK) if set(rights.denied) & set(CHECK) else ("apply", APPLY)
        return roles(wanted, f"meshwright-{purpose}", rights.user)
    named = set(told.lift.replace(",", " ").split()) if told.state == "denied" else set()
    wanted = tuple(right for right in CHECK if right.what in named)
    return roles(wanted, f"meshwright-{collector}", rights.user) if set(wanted) & set(rights.denied) else ""


def grouped(rights: Sequence[Right]) -> list[str]:
    """``create and get pods/exec in kube-system``: the verbs of one resource together."""
    verbs: dict[Right, list[str]] = {}
    for right in rights:
        verbs.setdefault(Right("", right.resource, right.group, right.namespace), []).append(right.verb)
    return [f"{' and '.join(sorted(found))}{right}" for right, found in verbs.items()]


def _role_lines(role: str, cluster: str, width: int, *, full: bool) -> list[Line]:
    """Where the manifest is, and with ``full`` the manifest."""
    made = wrapped("c copies the Role and RoleBinding that grant it", width - 1, "muted", "   ", "   ")
    if full:
        made = wrapped(
            f"somebody who may grant rights applies this to {cluster}; c copies it:", width - 1, "muted", "   ", "   "
        )
        made += [line(("     " + row, "key")) for row in role.rstrip().split("\n")]
    return made


def detail(
    session: Session, cluster: str, collector: str, width: int, signs: Signs, *, full: bool = False
) -> list[Line]:
    """The cell under the cursor in words: what it says, what is lost, what lifts it; with ``full`` the manifest too."""
    label = dict(session.collectors).get(collector, collector)
    told = progress(session, cluster, collector)
    if not cluster or not collector:
        return []
    text, token = cell(session, cluster, collector, signs)
    seconds = words.duration(told.seconds) if told.seconds else ""
    made = [
        spread(line((f" {cluster} {signs.dot} {label}", "title")), line((text, token), f"  {seconds} "), width, signs)
    ]
    if told.detail:
        made += wrapped(told.detail, width - 1, "", "   ", "   ")
    if told.lift:
        made += wrapped(told.lift, width - 1, "key", "   lifts it: ", "             ")
    lacking = _lacking(session, cluster, collector)
    role = role_for(session, cluster, collector)
    for purpose, rights in (
        ("read", [right for right in lacking if right in CHECK]),
        ("join", [right for right in lacking if right not in CHECK]),
    ):
        if rights:
            told_rights = f"not granted, to {purpose}: {', '.join(grouped(rights))}"
            made += wrapped(told_rights, width - 1, "", "   ", "     ")
        if purpose == "read" and role:
            made += _role_lines(role, cluster, width, full=full)
    if told.state == "":
        made.append(line(("   not read yet", "muted")))
    elif told.state == "done" and not told.detail and not lacking:
        made.append(line(("   all of it was read; v shows the facts", "muted")))
    return made


def cluster_detail(session: Session, cluster: str, width: int, signs: Signs) -> list[Line]:
    """All collectors of one cluster, below each other: for the swapped table and small screens."""
    made = [rule(cluster, "", width, signs)]
    for collector, label in session.collectors:
        told = progress(session, cluster, collector)
        text, token = cell(session, cluster, collector, signs)
        made.append(line(column(f"   {label}", 28, signs), " ", (text, token)))
        if told.detail and told.state != "done":
            made += wrapped(told.detail, width - 1, "muted", "     ", "     ")
    return made


def status(session: Session, gathering: Gathering) -> str:
    """The first thing that ended badly, which others may rest on, and how many did; else what is so."""
    order = [collector for collector, _ in session.collectors]
    bad = [item for item in gathering.progress.values() if item.state in ENDED and item.state != "done"]
    if bad:
        first = min(bad, key=lambda item: order.index(item.collector) if item.collector in order else len(order))
        label = dict(session.collectors).get(first.collector, first.collector)
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        return f"{first.cluster}: {label} could not be read ({first.state}){more}."
    return "Everything was read. > shows the checks." if gathering.state == "done" else ""
