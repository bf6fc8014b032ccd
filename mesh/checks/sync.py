"""L7: the agents of each cluster have read the other one."""

from functools import partial
from typing import Any, Final

from msgspec import Struct

from mesh import catalogue as fact
from mesh.facts import FactKey, FactName, Reason
from mesh.finding import Check, EvidenceRef, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.cilium import AgentStatus, RemoteCluster
from mesh.subject import OfCluster, OfPair, Subject
from mesh.text import plural
from mesh.view import NeedFact, View, any_of, attempt, in_force, settings_of, without_cilium


class _Tally(Struct):
    """How the agents of one cluster stand to one peer."""

    ready: int = 0
    lagging: int = 0
    silent: int = 0
    worst: str = ""


def _ends(subject: Subject) -> tuple[str, str]:
    assert isinstance(subject, OfPair)
    return subject.source, subject.target


def _not_aimed(view: View, subject: Subject) -> str:
    """Not applicable where no peer entry is in force on either side and no join is planned."""
    source, target = _ends(subject)
    reason = without_cilium(view, source, target)
    if reason or target in view.goal(source):
        return reason
    here = partial(_lists, view, source, target, (fact.AGENTS,))
    if any_of((here, partial(_lists, view, target, source))):
        return ""
    return f"{source} and {target} are not connected and no join is planned"


def _lists(view: View, cluster: str, peer: str, then: tuple[FactName[Any], ...] = ()) -> bool:
    """Whether a peer entry for ``peer`` is in force in ``cluster``.

    Raises ``NeedFact``; with it are named those of ``then``, which would be asked for next, that are missing too.
    """
    if not in_force(view, cluster):
        return False
    missing: list[Missing] = []
    entries = attempt(partial(view.of, fact.PEERS, cluster), missing)
    if missing:
        for name in then:
            attempt(partial(view.of, name, cluster), missing)
        raise NeedFact(tuple(missing))
    own = settings_of(view, peer).cluster_name
    return any(entry.name == own for entry in entries or ())


def _ready(view: View, subject: Subject) -> Verdict:
    source, target = _ends(subject)
    args: dict[str, object] = {"source": source, "target": target}
    if not _lists(view, source, target, (fact.AGENTS,)):
        if _lists(view, target, source):
            return Verdict(State.FAIL, args, "one-sided", fixes=(_connect(view, source, target),))
        return Verdict(State.INFO, args, fixes=(_connect(view, source, target),), to_do=True)
    peer = settings_of(view, target).cluster_name
    agents = view.of(fact.AGENTS, source)
    tally = _count(agents, peer)
    args |= {"ready": tally.ready, "agents": len(agents)}
    notes = _notes(view, source, peer, agents)
    if tally.ready + tally.silent + tally.lagging < len(agents):
        named = args | {"status": tally.worst}
        return Verdict(State.FAIL, named, notes=notes, fixes=(_troubleshoot(view, source, agents),))
    if tally.silent or not agents:
        key = FactKey(fact.AGENTS.name, OfCluster(source))
        first = next((agent.error for agent in agents if agent.error), "there is no agent")
        told = f"{tally.silent} of {plural(len(agents), 'agent')} could not be asked: {first}"
        raise NeedFact((Missing(key, Reason.UNREACHABLE, told),))
    if tally.lagging:
        named = args | {"lagging": tally.lagging, "status": tally.worst}
        return Verdict(State.WARN, named, notes=notes, fixes=(_troubleshoot(view, source, agents),))
    return Verdict(State.PASS, args, notes=notes)


def _count(agents: tuple[AgentStatus, ...], peer: str) -> _Tally:
    tally = _Tally()
    for agent in agents:
        remote = next((item for item in agent.remotes if item.name == peer), None)
        if agent.error:
            tally.silent += 1
        elif remote is None or not remote.ready:
            tally.worst = tally.worst or _status(remote)
        elif not all(remote.synced.values()):
            tally.lagging += 1
            behind = ", ".join(sorted(kind for kind, done in remote.synced.items() if not done))
            tally.worst = tally.worst or f"{behind} not synced"
        else:
            tally.ready += 1
    return tally


def _status(remote: RemoteCluster | None) -> str:
    if remote is None:
        return "the agent does not list the peer"
    if remote.status:
        return remote.status
    if remote.config_required and not remote.config_retrieved:
        return "connected, but the peer's configuration is not there"
    return "connected, not ready" if remote.connected else "not connected"


def _notes(view: View, source: str, peer: str, agents: tuple[AgentStatus, ...]) -> tuple[EvidenceRef, ...]:
    lines = []
    for agent in agents[:8]:
        remote = next((item for item in agent.remotes if item.name == peer), None)
        good = remote is not None and remote.ready and not agent.error
        if agent.error:
            words = agent.error
        elif remote is not None and remote.ready:
            words = f"ready, {remote.nodes} nodes, {remote.identities} identities, {remote.services} services"
        else:
            words = _status(remote)
        state = State.PASS if good else State.UNKNOWN if agent.error else State.FAIL
        lines.append(view.note(fact.AGENTS, source, f"{agent.pod} on {agent.node}: {words}", state.value))
    return tuple(lines)


def _connect(view: View, source: str, target: str) -> Fix:
    text = f"connect {source} and {target} both ways"
    return Fix("connect", text, (view.connect(source, target),), Risk.LOW, in_plan=True)


def _troubleshoot(view: View, source: str, agents: tuple[AgentStatus, ...]) -> Fix:
    pod = next((agent.pod for agent in agents if not agent.error), "ds/cilium")
    words = ("-n", "kube-system", "exec", pod, "-c", "cilium-agent", "--", "cilium-dbg", "troubleshoot", "clustermesh")
    text = "ask an agent: it names the step that fails (address, TCP, TLS, etcd)"
    return Fix("troubleshoot", text, (view.kubectl(source, *words),), Risk.NONE)


CHECKS: Final = (
    Check(
        code="CM0701",
        title="Every agent has read the other cluster",
        layer=7,
        scope=Scope.DIRECTED,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.PEERS.name, fact.AGENTS.name, fact.CONNECTION_GOAL.name),
        gates=("CM0002",),
        causes=(
            *("CM0201", "CM0206", "CM0301", "CM0302", "CM0303", "CM0323", "CM0405"),
            *("CM0601", "CM0602", "CM0606", "CM0608", "CM0610"),
        ),
        applies=_not_aimed,
        body=_ready,
        texts={
            "PASS": "{ready}/{agents} agents of {source} are ready for {target}",
            "INFO": "{source} does not list {target} yet: the plan connects them",
            "WARN": "{ready}/{agents} agents of {source} are ready for {target}, {lagging} lag behind: {status}",
            "FAIL": "{ready}/{agents} agents of {source} are ready for {target}: {status}",
            "FAIL.one-sided": "{target} lists {source} as a peer, {source} does not list {target}",
        },
        why="Pods and Services of the other cluster exist for a node only as far as its own agent has read them.",
        docs=("cilium/operations/troubleshooting_clustermesh",),
    ),
)
