"""Mesh: the words beside the map, one link or cluster or service at a time (screens.md §3.8, §3.9)."""

import msgspec
from rich.cells import cell_len

from mesh.draw.lanes import answers_in_words, draw_lanes, in_words
from mesh.finding import Finding, State
from mesh.model.picture import Health, Link, MeshPicture, Plane, Proof
from tui.present import words
from tui.present.frame import RULE_ENDS
from tui.present.lines import Line, Span, column, cut, line, pad, rule, wrapped
from tui.present.texts import message
from tui.session import Session
from tui.signs import Signs
from tui.work.judge import Judgement

TOKENS = {
    Health.NOT_JUDGED: "muted",
    Health.OK: "ok",
    Health.DEGRADED: "degraded",
    Health.DOWN: "down",
    Health.UNKNOWN: "unknown",
    Health.ABSENT: "absent",
}
VIEWS = ("Map", "Services")


def title(session: Session, view: str, width: int, below: int = 0) -> tuple[str, str]:
    """``[Map] Services``, ``2 clusters · 1 link: 1✗ · 8 global services``: the views are never cut, the counts are."""
    tabs = " ".join(f"[{name}]" if name == view else name for name in VIEWS)
    picture = session.judged.picture if session.judged else None
    if picture is None or not picture.clusters:
        return tabs, ""
    clusters, links = _n(len(picture.clusters), "cluster"), link_counts(picture)
    services = _n(len(picture.services), "global service")
    more = [f"{_n(below, 'row')} below"] if below > 0 else []
    shorter = ([clusters, links, services, *more], [clusters, links, *more], [links, *more], [links])
    room = width - cell_len(tabs) - RULE_ENDS
    return tabs, next((told for parts in shorter if cell_len(told := " · ".join(parts)) <= room), "")


def link_counts(picture: MeshPicture) -> str:
    """``3 links: 1✓ 1▲ 1✗``."""
    told = []
    for health, sign in (
        (Health.OK, "✓"),
        (Health.DEGRADED, "▲"),
        (Health.DOWN, "✗"),
        (Health.UNKNOWN, "?"),
        (Health.ABSENT, "◌"),
    ):
        number = sum(link.health is health for link in picture.links)
        if number:
            told.append(f"{number}{sign}")
    return f"{_n(len(picture.links), 'link')}: {' '.join(told)}" if told else "no links"


def _n(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"


def nothing(session: Session) -> list[Line]:
    """What the place says before there is a picture."""
    if not session.chosen:
        return [line("  The mesh needs clusters: press ", ("1", "key"), " and choose them.")]
    if session.gathering.running or session.judging:
        return [line("  the picture waits for facts")]
    return [line("  The mesh needs facts: press ", ("2", "key"), ", then ", ("r", "key"), ".")]


def proof_of(session: Session) -> Proof | None:
    """The proof of the run that joined these clusters, while nothing else tells where a global service is served."""
    run, judged = session.run, session.judged
    if run is None or judged is None or judged.picture.services:
        return None
    return run.proof if set(run.plan.clusters) == {box.key for box in judged.picture.clusters} else None


def with_proof(session: Session, picture: MeshPicture) -> MeshPicture:
    """The picture with the service that the proof asked for, if it has lanes to draw."""
    proof = proof_of(session)
    if proof is None or not proof.service.lanes:
        return picture
    return msgspec.structs.replace(picture, services=(proof.service,))


def no_service(session: Session, width: int) -> list[Line]:
    """What the lanes say while no Service is global; what the last run proved, if it did."""
    unread = session.judged.picture.services_unread if session.judged else ()
    lead, token = "No Service is global.", "muted"
    if unread:
        lead, token = f"No global service is known: the Services of {', '.join(unread)} could not be read.", "warn"
    run, proof = session.run, proof_of(session)
    if run is not None and proof is not None:
        told = f"{lead} Run {run.number} proved this one and removed it again:"
        more = () if proof.service.lanes else proof_lines(proof, width)
        return [*wrapped(told, width - 2, token, "  ", "  "), (), *more]
    hint = "2 tells why."
    if not unread:
        hint = (
            'The annotation service.cilium.io/global: "true" makes one so, on a Service of the same name and namespace'
            " in every cluster that shall offer or use it."
        )
    return wrapped(f"{lead} {hint}", width - 2, token, "  ", "  ")


def detail(session: Session, key: str, width: int, signs: Signs) -> list[Line]:
    """The panel of what is selected: ``link:a|b``, ``cluster:a`` or ``service:ns/name``."""
    judged = session.judged
    if judged is None:
        return nothing(session)
    kind, _, name = key.partition(":")
    if kind == "link":
        found = next((link for link in judged.picture.links if f"{link.a}|{link.b}" == name), None)
        return link_lines(found, judged, width, signs) if found else []
    if kind == "cluster":
        return cluster_lines(name, judged, width, signs)
    if kind == "service":
        proof = proof_of(session)
        return proof_lines(proof, width) if proof else service_lines(name, judged, width, signs)
    return []


def sign_of(health: Health, signs: Signs) -> Span:
    """The sign of a health."""
    return (signs.drawing.sign(health), TOKENS[health])


def link_lines(link: Link, judged: Judgement, width: int, signs: Signs) -> list[Line]:
    """Every plane of a link with its sign, what is affected, and why."""
    sign, token = sign_of(link.health, signs)
    right, left = signs.drawing.right, signs.drawing.left
    pair = f"{link.a} {signs.both} {link.b}"
    word = link.health.value
    made = [line((f" {sign} {pair}", token), (f"   {word}", "muted"))]
    wide = width >= 76
    rows = (
        (f"control {right}", link.control_ab, f"one-way {right}", link.open_ab),
        (f"control {left}", link.control_ba, f"one-way {left}", link.open_ba),
    )
    for label, plane, other_label, other in rows:
        first = line("   ", (pad(label, 11), "muted"), *_plane(plane, 24 if wide else width - 16, signs))
        second = line((pad(other_label, 11), "muted"), *_plane(other, width - 54 if wide else width - 16, signs))
        made += [(*first, ("  ", ""), *second)] if wide else [first, line("   ", *second)]
    made.append(line("   ", (pad(f"health  {signs.both}", 11), "muted"), *_plane(link.round_trip, width - 16, signs)))
    for cluster, lift in link.lifts:
        made += _lift(f"{cluster}: {lift}", width)
    if link.health is Health.ABSENT:
        made += wrapped("not connected yet: 4 shows the plan that connects it", width - 2, "muted", "   ", "   ")
    made += _affected(link, judged.picture, width)
    made += _causes(link, judged, width, signs)
    return made


def _lift(told: str, width: int) -> list[Line]:
    """A right or login that would give what was not read."""
    return wrapped(told, width - 2, "warn", "   needs      ", "              ")


def _plane(plane: Plane, width: int, signs: Signs) -> tuple[Span, ...]:
    sign, token = sign_of(plane.health, signs)
    return ((f"{sign} ", token), (column(plane.text or plane.health.value, max(width, 8), signs), ""))


def _affected(link: Link, picture: MeshPicture, width: int) -> list[Line]:
    """Global services that cross this link now, when it is not healthy."""
    if link.health not in (Health.DEGRADED, Health.DOWN) or not picture.services:
        return []
    crossing = [
        f"{service.namespace}/{service.name}"
        for service in picture.services
        if any(
            (lane.cluster == link.a and link.b in lane.chosen) or (lane.cluster == link.b and link.a in lane.chosen)
            for lane in service.lanes
        )
    ]
    told = f"{len(crossing)} of {_n(len(picture.services), 'global service')} cross it"
    told += f": {', '.join(crossing[:4])}" if crossing else ", all stay local"
    return wrapped(told, width - 2, "", "   affects    ", "              ")


def _causes(link: Link, judged: Judgement, width: int, signs: Signs) -> list[Line]:
    made: list[Line] = []
    for finding in causes(link, judged)[:3]:
        subject = words.subject_words(finding.subject, signs)
        made += wrapped(
            f"{finding.code} {subject}: {message(finding)}", width - 2, "", "   cause      ", "              "
        )
    return made


def causes(link: Link, judged: Judgement) -> list[Finding]:
    """The failed findings behind a link, roots first."""
    found = [problem.root for problem in judged.problems] + list(judged.findings)
    pair = {link.a, link.b}
    kept = [
        finding
        for finding in found
        if finding.state is State.FAIL and finding.code in link.causes and set(finding.subject.clusters()) <= pair
    ]
    return list({finding.identity: finding for finding in kept}.values())


def cluster_lines(key: str, judged: Judgement, width: int, signs: Signs) -> list[Line]:
    """A cluster: what it is, its links, its findings."""
    box = next((box for box in judged.picture.clusters if box.key == key), None)
    if box is None:
        return []
    ready = sum(node.ready for node in box.nodes)
    identity = f"#{box.cluster_id} {box.name}" if box.name else box.nameless
    made = [line((f" {box.key}", "title"), f"   {box.cloud}   {identity}")]
    made.append(line("   ", (pad("nodes", 11), "muted"), f"{ready}/{len(box.nodes)} ready"))
    if box.pod_cidrs:
        made.append(line("   ", (pad("pods", 11), "muted"), ", ".join(box.pod_cidrs)))
    for lift in box.lifts:
        made += _lift(lift, width)
    for link in judged.picture.links:
        if key in (link.a, link.b):
            other = link.b if link.a == key else link.a
            sign, token = sign_of(link.health, signs)
            made.append(line("   ", (pad("link", 11), "muted"), (f"{sign} ", token), f"{other}  {link.health.value}"))
    roots = [problem.root for problem in judged.problems if key in problem.root.subject.clusters()]
    for root in roots[:4]:
        sign, token = words.state_sign(root.state, signs)
        made.append(
            line("   ", (pad("finding", 11), "muted"), (f"{sign} {root.code} ", token), cut(message(root), width - 26))
        )
    return made


def service_lines(name: str, judged: Judgement, width: int, signs: Signs) -> list[Line]:
    """A global service in words per consuming cluster."""
    service = next((item for item in judged.picture.services if f"{item.namespace}/{item.name}" == name), None)
    if service is None:
        return []
    defined = sum(lane.ready is not None for lane in service.lanes)
    unread = sum(not lane.read for lane in service.lanes)
    told = f"   affinity {service.affinity}, defined in {defined} of {len(service.lanes)}"
    made = [line((f" {name}", "title"), told, (f", {unread} not read" if unread else "", "warn"))]
    for told in in_words(service):
        made += wrapped(told, width - 2, "", "   ", "     ")
    boxes = {box.key: box for box in judged.picture.clusters}
    for lane in service.lanes:
        for lift in () if lane.read else boxes[lane.cluster].lifts:
            made += _lift(f"{lane.cluster}: {lift}", width)
    if service.findings:
        made += wrapped(f"findings {', '.join(service.findings)}", width - 2, "warn", "   ", "   ")
    return made


def proof_lines(proof: Proof, width: int) -> list[Line]:
    """The service of the proof: who answered whom."""
    service = proof.service
    made = [line((f" {service.namespace}/{service.name}", "title"), "   proven, not there any more")]
    for told in answers_in_words(proof):
        made += wrapped(told, width - 2, "", "   ", "     ")
    return made


def lanes(session: Session, picture: MeshPicture, width: int, signs: Signs) -> list[Line]:
    """The global services as lanes, under a rule; while there is none, the one that was proven."""
    number = len(picture.services)
    head = rule("Global services", str(number), width, signs)
    if session.run is not None and proof_of(session):
        head = rule("Global service", f"proven by run {session.run.number}, removed again", width, signs)
    return [head, *draw_lanes(with_proof(session, picture), width, signs.drawing).rows]


def related(picture: MeshPicture, key: str) -> frozenset[str]:
    """What touches the selection and stays bright: of a cluster its links and peers, of a link its ends. With two
    clusters everything touches.
    """
    kind, _, name = key.partition(":")
    if len(picture.clusters) < 3 or kind not in ("link", "cluster"):
        return frozenset()
    found: set[str] = set()
    for link in picture.links:
        here = f"link:{link.a}|{link.b}"
        if (kind == "link" and here == key) or (kind == "cluster" and name in (link.a, link.b)):
            found |= {here, f"cluster:{link.a}", f"cluster:{link.b}"}
    return frozenset(found)


def narrow_lines(session: Session, width: int, signs: Signs) -> list[Line]:
    """Below 80 columns: clusters one below another, links as lines."""
    judged = session.judged
    if judged is None:
        return nothing(session)
    made: list[Line] = []
    for box in judged.picture.clusters:
        ready = sum(node.ready for node in box.nodes)
        made.append(rule(box.name or box.key, f"{box.cloud} {ready}/{len(box.nodes)}", width, signs))
        for link in judged.picture.links:
            if box.key in (link.a, link.b):
                other = link.b if link.a == box.key else link.a
                sign, token = sign_of(link.health, signs)
                made.append(line(f"   {signs.both} {other} ", (f"{sign} {link.health.value}", token)))
    return made


def status(session: Session) -> str:
    """What the picture says in one sentence."""
    judged = session.judged
    if judged is None or not judged.picture.links:
        return ""
    links = judged.picture.links
    late = [link for link in links if link.only_health]
    if session.settling and late:
        told = late[0].round_trip.text
        return f"cilium-health lags behind a join; it is read again: {told}."
    if sick := [link for link in links if link.health in (Health.DEGRADED, Health.DOWN)]:
        return f"{sick[0].a} ⇄ {sick[0].b} is {sick[0].health.value}. Tab jumps to the next sick thing."
    unknown = sum(link.health is Health.UNKNOWN for link in links)
    if unknown:
        return f"{unknown} of {_n(len(links), 'link')} could not be read: this is not a clean bill."
    absent = sum(link.health is Health.ABSENT for link in links)
    if absent:
        return f"{absent} of {_n(len(links), 'link')} {'is' if absent == 1 else 'are'} not connected yet."
    return f"All {_n(len(links), 'link')} are healthy." if len(links) > 1 else "The link is healthy."
