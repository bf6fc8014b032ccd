"""Mesh: what is selected in full, with what every agent says of it and every check that judged it (screens.md §3.8)."""

import re
from collections.abc import Iterable

from mesh import catalogue
from mesh.facts import Known
from mesh.finding import Finding, State
from mesh.model.cilium import AgentStatus, HealthPeer
from mesh.model.picture import ClusterBox, Link
from mesh.subject import OfCluster, OfPair
from tui.present import words
from tui.present.lines import Line, line, wrapped
from tui.present.mesh import panel
from tui.present.texts import message
from tui.session import Session
from tui.signs import Signs
from tui.work.judge import Judgement

# How cilium-health tells of a time-out: of a ping, and of a GET with the URL before it.
_LATE = re.compile("timed out|deadline exceeded|^timeout$")
_ORDER = (State.FAIL, State.ERROR, State.WARN, State.UNKNOWN, State.BLOCKED, State.INFO, State.PASS)


def lines(session: Session, key: str, width: int, signs: Signs) -> list[Line]:
    """The panel of ``link:a|b``, ``cluster:a`` or ``service:ns/name``, and behind it what the panel sums up."""
    made = panel.detail(session, key, width, signs)
    judged = session.judged
    if judged is None:
        return made
    kind, _, name = key.partition(":")
    if kind == "link":
        link = next((link for link in judged.picture.links if f"{link.a}|{link.b}" == name), None)
        return made + (_link(session, judged, link, width, signs) if link else [])
    if kind == "cluster":
        box = next((box for box in judged.picture.clusters if box.key == name), None)
        return made + (_cluster(judged, box, width, signs) if box else [])
    found = [finding for finding in judged.findings if str(finding.subject) == name]
    return made + _checks(found, width, signs)


def _link(session: Session, judged: Judgement, link: Link, width: int, signs: Signs) -> list[Line]:
    names = {box.key: box.name for box in judged.picture.clusters}
    made: list[Line] = []
    for reader, peer in ((link.a, link.b), (link.b, link.a)):
        made += [(), line((f" AGENTS of {reader} {signs.to} {peer}", "title"))]
        made += _agents(session, reader, names[peer], width, signs)
        made += [(), line((f" CILIUM-HEALTH of {reader} {signs.to} {peer}", "title"))]
        made += _health(session, reader, names[peer], width, signs)
    ends = {link.a, link.b}
    found = [f for f in judged.findings if isinstance(f.subject, OfPair) and set(f.subject.clusters()) == ends]
    return made + _checks(found, width, signs)


def _agents(session: Session, reader: str, peer: str, width: int, signs: Signs) -> list[Line]:
    told = session.store.get(catalogue.AGENTS, OfCluster(reader))
    if not isinstance(told, Known):
        return [line(f"   {signs.unknown} {told.detail or told.reason.value}")]
    made: list[Line] = []
    for agent in told.value:
        good, text = _agent(agent, peer)
        sign = signs.unknown if agent.error else signs.done if good else signs.fail
        token = "unknown" if agent.error else "ok" if good else "down"
        made += _marked(sign, token, f"{agent.node}: {text}", width)
    return made or [line("   no agent")]


def _agent(agent: AgentStatus, peer: str) -> tuple[bool, str]:
    if agent.error:
        return False, agent.error
    remote = next((remote for remote in agent.remotes if peer and remote.name == peer), None)
    if remote is None:
        return False, "does not list it"
    counts = f"{remote.nodes} nodes, {remote.identities} identities, {remote.services} services"
    return remote.ready, f"ready, {counts}" if remote.ready else remote.status or "not ready"


def _health(session: Session, reader: str, peer: str, width: int, signs: Signs) -> list[Line]:
    told = session.store.get(catalogue.HEALTH, OfCluster(reader))
    if not isinstance(told, Known):
        return [line(f"   {signs.unknown} {told.detail or told.reason.value}")]
    made: list[Line] = []
    for agent in told.value:
        if agent.error:
            made += _marked(signs.unknown, "unknown", f"{agent.node}: {agent.error}", width)
        seen = [one for one in agent.peers if peer and one.cluster == peer]
        by_answer: dict[tuple[str, str, str], list[str]] = {}
        for one in seen:
            by_answer.setdefault(_seen(one, signs), []).append(one.node)
        for (sign, token, text), nodes in by_answer.items():
            whom = "all" if len(nodes) == len(seen) else ", ".join(nodes)
            made += _marked(sign, token, f"{agent.node} {signs.to} {whom}: {text}", width)
    return made or [line(f"   {signs.unknown} not probed yet")]


def _seen(seen: HealthPeer, signs: Signs) -> tuple[str, str, str]:
    """Sign and words of one round trip: the node's own address, and the endpoint behind the tunnel."""
    answers = {
        "host ping": seen.host_icmp,
        "host http": seen.host_http,
        "pod ping": seen.endpoint_icmp,
        "pod http": seen.endpoint_http,
    }
    bad = [f"{name} {'timed out' if _LATE.search(answer) else answer}" for name, answer in answers.items() if answer]
    waiting = [name for name, answer in answers.items() if answer is None]
    if bad:
        return signs.fail, "down", "; ".join(bad)
    if waiting:
        return signs.unknown, "unknown", f"not probed yet: {', '.join(waiting)}"
    return signs.done, "ok", "host and pod answer"


def _cluster(judged: Judgement, box: ClusterBox, width: int, signs: Signs) -> list[Line]:
    made: list[Line] = [(), line((" NODES", "title"))]
    for node in box.nodes:
        sign, token = (signs.done, "ok") if node.ready else (signs.fail, "down")
        made += _marked(sign, token, f"{node.name}: {'ready' if node.ready else 'not ready'}", width)
    if not box.nodes:
        made.append(line(f"   {signs.unknown} none was read"))
    return made + _checks([f for f in judged.findings if box.key in f.subject.clusters()], width, signs)


def _checks(found: Iterable[Finding], width: int, signs: Signs) -> list[Line]:
    """Every finding but those that do not apply, worst first."""
    told = sorted(
        (f for f in found if f.state in _ORDER), key=lambda f: (_ORDER.index(f.state), f.code, str(f.subject))
    )
    made: list[Line] = [(), line((" CHECKS", "title"))] if told else []
    for finding in told:
        sign, token = words.state_sign(finding.state, signs)
        subject = words.subject_words(finding.subject, signs)
        made += _marked(sign, token, f"{finding.code} {subject}: {message(finding)}", width)
    return made


def _marked(sign: str, token: str, text: str, width: int) -> list[Line]:
    first, *rest = wrapped(text, width - 1, "", "     ", "       ")
    return [line("   ", (f"{sign} ", token), first[0][0].lstrip()), *rest]
