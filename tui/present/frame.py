"""Header, rail, title, summary and footer: the rows that every screen has (screens.md §2.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from mesh.finding import State
from mesh.model.context import Access
from mesh.model.picture import Health, worst
from tui.present import words
from tui.present.lines import Line, Span, cut, line, rule, spread, width_of
from tui.session import Session
from tui.signs import Signs


@dataclass(frozen=True)
class PlaceName:
    """A place of the rail: its id, key and label."""

    id: str
    key: str
    label: str


# Every place there is. Rail, help and palette are made from this.
PLACES = (
    PlaceName("clusters", "1", "Clusters"),
    PlaceName("facts", "2", "Facts"),
    PlaceName("preconditions", "3", "Preconditions"),
    PlaceName("plan", "4", "Plan"),
    PlaceName("setup", "5", "Set-up"),
    PlaceName("mesh", "6", "Mesh"),
)
# Cells of the title's rule that are neither of its texts: two dashes and a blank at either end, and one between.
RULE_ENDS = 9
ORDER = tuple(place.id for place in PLACES)


@dataclass(frozen=True)
class FootKey:
    """A key in the footer; ``off`` greys it, ``wide`` shows it from 120 columns only."""

    key: str
    label: str
    action: str
    off: bool = False
    wide: bool = False


def header(session: Session, place: str, width: int, signs: Signs, subject: str = "") -> Line:
    """Product, mesh and lab at the left; badge, counts and age at the right."""
    dot = f" {signs.dot} "
    left = [" Meshwright", subject or mesh_words(session)]
    if session.lab and place != "lab":
        left.append(f"lab {session.lab}")
    parts: list[Line] = [line(badge(session))] if badge(session)[0] else []
    parts += [part for part in header_words(session, place, signs) if part]
    right: Line = ()
    for part in parts:
        right = (*right, *(((dot, "muted"),) if right else ()), *part)
    return spread(line((left[0], "title"), dot + dot.join(left[1:])), (*right, (" ", "")), width, signs)


def mesh_words(session: Session) -> str:
    """What the mesh is called before anything else is known: its members."""
    clusters = session.gathering.clusters or ()
    return words.mesh_title(clusters) if clusters else "no mesh yet"


def badge(session: Session) -> Span:
    """READ-ONLY, ARMED or STALE; LAB appears before the others (screens.md §2.1)."""
    lab = "LAB" if session.simulated else ""
    if session.run is not None and session.run.armed:
        return (f"{lab} ARMED".strip(), "armed")
    if session.stale:
        return (f"{lab} STALE".strip(), "warn")
    return (lab or "READ-ONLY", "badge")


def header_words(session: Session, place: str, signs: Signs) -> list[Line]:
    """What the right of the header says at this place."""
    gathering = session.gathering
    if place == "lab":
        return [line("nothing outside this machine is contacted")]
    if place == "clusters":
        if session.contexts is None:
            told = {"starting": "starting the lab", "failed": "no lab runs"}
            return [line(told.get(session.lab_state, "reading kubeconfig"))]
        files = {ref.file for ref in session.refs} | {problem.file for problem in session.contexts.problems}
        return [line(f"{_n(len(session.refs), 'context')} in {_n(len(files), 'file')}")]
    if place == "facts" and gathering.running:
        done = sum(item.state not in ("", "reading", "waiting") for item in gathering.progress.values())
        expected = len(gathering.clusters) * len(session.collectors)
        return [line(f"facts {done}/{max(expected, len(gathering.progress))}")]
    if place == "setup" and session.run is not None:
        return _run_words(session)
    found: list[Line] = []
    if place == "plan" and session.plan is not None:
        found = [line(f"plan {session.plan.id}"), line(_n(len(session.plan.todo()), "step"))]
        age = f"facts {words.age(session.age)}"
    else:
        if session.judged is not None:
            found = [problem_counts(session, signs, _unjudged(session) if place == "mesh" else {})]
        age = words.age(session.age)
    return [*found, line(age)] if gathering.ended else found


def _n(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"


def _run_words(session: Session) -> list[Line]:
    run = session.run
    assert run is not None
    todo = [step.id for step in run.plan.todo()]
    begun = [place for place, step in enumerate(todo, 1) if run.of(step).state not in ("", "blocked")]
    seconds = run.seconds if not run.under_way and run.seconds else session.now - run.started if run.started else 0.0
    told = [line(f"run {run.number}")] if run.number else []
    bad = [place for place, step in enumerate(todo, 1) if run.of(step).state == "failed"]
    step = f"step {max(bad or begun)} of {len(todo)}" if begun else _n(len(todo), "step")
    failed = " failed" if run.state == "failed" else ""
    return [*told, line(step + failed), line(words.clock(seconds))]


def _unjudged(session: Session) -> dict[State, int]:
    """Links by what cilium-health alone holds against them: no check judges it, and the map must not say more than
    the header.
    """
    links = [link.health for link in session.judged.picture.links if link.only_health] if session.judged else []
    states = {Health.DOWN: State.FAIL, Health.DEGRADED: State.WARN, Health.UNKNOWN: State.UNKNOWN}
    return {state: links.count(health) for health, state in states.items()}


def problem_counts(session: Session, signs: Signs, more: Mapping[State, int]) -> Line:
    """``✗2 ▲1 ?2``: roots by state, and ``more`` of them."""
    judged = session.judged
    problems = judged.problems if judged else ()
    found = {state: sum(problem.root.state is state for problem in problems) + more.get(state, 0) for state in State}
    shown = (State.FAIL, State.WARN, State.UNKNOWN)
    parts: list[Span] = []
    for state in shown:
        number = found[state] + (found[State.ERROR] if state is State.FAIL else 0)
        text = f"{signs.states[state]}{number}"
        parts += [(text, words.STATE_TOKENS[state] if number else "muted"), (" ", "")]
    return tuple(parts[:-1])


def rail(session: Session, place: str, width: int, signs: Signs) -> tuple[Line, list[tuple[Line, str]]]:
    """The rail, and its parts with the place each leads to."""
    parts: list[tuple[Line, str]] = []
    here = next((index for index, item in enumerate(PLACES) if item.id == place), -1)
    for index, item in enumerate(PLACES):
        opening = "[" if index == here else "" if index == here + 1 and here >= 0 else " "
        closing = "]" if index == here else ""
        sign, token = place_sign(session, item.id, signs)
        label = f"{opening}{item.key} {item.label}"
        parts.append((line((label, "title" if index == here else ""), (sign, token), (closing, "title")), item.id))
    joined = tuple(span for part, _ in parts for span in part)
    return joined, parts


def needed_place(session: Session) -> str:
    """While nothing is judged, the place that comes first: where clusters are chosen or facts read. "" once it is."""
    if session.judged is not None:
        return ""
    return "facts" if session.chosen else "clusters"


def title_right(title: str, right: str, more: Sequence[str], width: int) -> str:
    """What stands at the right of the title, with ``more``: it gives way, part by part, where both do not fit."""
    parts = [*(part for part in right.split(" · ") if part), *(part for part in more if part)]
    room = width - cell_len(title) - RULE_ENDS
    while parts and cell_len(" · ".join(parts)) > room:
        parts.pop(0)
    return " · ".join(parts)


def small_rail(session: Session, place: str, title: str, width: int, signs: Signs) -> Line:
    """``‹ 3/6 Preconditions ✗ › title``: rail and title in one row, from 60 to 79 columns."""
    here = next((item for item in PLACES if item.id == place), None)
    if here is None:
        return rule(title, "", width, signs)
    sign, token = place_sign(session, place, signs)
    head = line(
        (f"{signs.open_left} ", "key"),
        (f"{here.key}/{len(PLACES)} {here.label} ", "title"),
        (f"{sign} ", token),
        (f"{signs.open_right} ", "key"),
    )
    room = width - width_of(head)
    return (*head, (cut(title, room, signs), "muted")) if room > 8 else head


def place_sign(session: Session, place: str, signs: Signs) -> Span:
    """The state of a place as its sign."""
    kind = _STATES[place](session)
    return {
        "": (signs.todo, "muted"),
        "running": (signs.running, "info"),
        "done": (signs.done, "ok"),
        "warn": (signs.warn, "warn"),
        "fail": (signs.fail, "fail"),
        "unknown": (signs.unknown, "unknown"),
        "outdated": (signs.outdated, "muted"),
    }[kind]


def _clusters_state(session: Session) -> str:
    access = {peek.access for key in session.chosen if (peek := session.peeks.get(key))}
    if access & {Access.UNREACHABLE, Access.INVALID} and session.gathering.clusters:
        return "fail"
    if access & {Access.EXPIRED, Access.NO_PLUGIN} and session.gathering.clusters:
        return "unknown"
    if session.gathering.clusters:
        return "warn" if Access.PARTIAL in access else "done"
    return "running" if session.chosen else ""


def _facts_state(session: Session) -> str:
    gathering = session.gathering
    if gathering.running:
        return "running"
    if not gathering.state:
        return ""
    if session.outdated:
        return "outdated"
    # A run reads too, without a reading of its own being under way.
    if any(item.state in ("reading", "waiting") for item in gathering.progress.values()):
        return "running"
    bad = any(item.state not in ("done", "") for item in gathering.progress.values())
    return "unknown" if gathering.unknown or bad or gathering.state != "done" else "done"


def _preconditions_state(session: Session) -> str:
    judged = session.judged
    if judged is None:
        return "running" if session.judging else ""
    if session.outdated:
        return "outdated"
    states = {problem.root.state for problem in judged.problems}
    if states & {State.FAIL, State.ERROR}:
        return "fail"
    if states & {State.UNKNOWN, State.BLOCKED}:
        return "unknown"
    if session.gathering.running:
        return "unknown" if judged.counts.get(State.UNKNOWN) else "running"
    return "warn" if State.WARN in states else "done"


def _plan_state(session: Session) -> str:
    plan = session.plan
    if plan is None or plan.blockers or session.gathering.running:
        return ""
    if session.outdated:
        return "outdated"
    if session.run is not None and session.run.plan.id == plan.id and session.run.state == "done":
        return "done"
    return "running" if plan.todo() else "done"


def _setup_state(session: Session) -> str:
    if session.run is None:
        return "warn" if session.unfinished else ""
    return {"done": "done", "failed": "fail", "cut off": "warn", "cancelled": "warn", "refused": ""}.get(
        session.run.state, "running"
    )


def _mesh_state(session: Session) -> str:
    links = session.judged.picture.links if session.judged else ()
    health = worst(*(link.health for link in links if link.health is not Health.ABSENT))
    if not any(link.health is not Health.ABSENT for link in links):
        return ""
    return {Health.OK: "done", Health.DEGRADED: "warn", Health.DOWN: "fail"}.get(health, "unknown")


_STATES = {
    "clusters": _clusters_state,
    "facts": _facts_state,
    "preconditions": _preconditions_state,
    "plan": _plan_state,
    "setup": _setup_state,
    "mesh": _mesh_state,
}


def footer(keys: Sequence[FootKey], width: int) -> list[tuple[Line, str]]:
    """As many keys as fit, at most seven below 120 columns; help always stays."""
    wide = width >= 120
    shown = [key for key in keys if wide or not key.wide]
    limit = len(shown) if wide else 7
    made = [(_foot(key), key) for key in shown]
    last = [item for item in made if item[1].label == "help"]
    kept: list[tuple[Line, str]] = []
    room = width - 1 - sum(width_of(part) for part, _ in last)
    for part, key in made:
        if key.label == "help":
            kept.append((part, key.action))
        elif len(kept) < limit - (1 if last else 0) and width_of(part) <= room:
            kept.append((part, key.action))
            room -= width_of(part)
    return [(((" ", ""),), ""), *kept]


def _foot(key: FootKey) -> Line:
    if key.off:
        return ((f"{key.key} {key.label}  ", "muted"),)
    return ((key.key, "key"), (f" {key.label}  ", ""))


def size_notice(width: int, height: int) -> str:
    """What is shown below 40x12."""
    return f"Terminal is {width}x{height}; Meshwright needs 40x12 (best 80x24)"
