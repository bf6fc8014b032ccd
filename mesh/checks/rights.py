"""L1: what this user may do; a missing right makes facts unknown, never good."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from mesh import catalogue as fact
from mesh.facts import FactName
from mesh.finding import Check, Command, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.context import Provider, Right
from mesh.model.network import CloudIdentity
from mesh.model.rights import EXEC, READ, SECRETS, USER, WHO
from mesh.subject import Subject
from mesh.view import NeedFact, View, all_of, attempt, in_force

_READS: Final = frozenset((*READ, *SECRETS))
_EXEC: Final = "pods/exec"
_KUBERNETES_FACTS: Final = tuple(
    name.name
    for name in (
        fact.NODES,
        fact.NAMESPACES,
        fact.PODS,
        fact.WORKLOADS,
        fact.SERVICES,
        fact.SETTINGS,
        fact.CILIUM_VERSION,
        fact.CILIUM_NODES,
        fact.MESH_API,
        fact.PEERS,
        fact.CERTIFICATES,
        fact.HELM,
        fact.OWNER,
    )
)
_CLOUD_FACTS: Final[tuple[FactName[Any], ...]] = (fact.CLOUD, fact.CLOUD_NETWORK, fact.FIREWALL, fact.VPN)


def _cluster(subject: Subject) -> str:
    return subject.clusters()[0]


def _rights(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    rights = view.fact(fact.RIGHTS, subject)
    # Who may not exec into the agents is told so by CM0102; that it is missing elsewhere too is no second problem.
    mute = any(right in EXEC for right in rights.denied)
    denied = tuple(right for right in rights.denied if not (mute and right.resource == _EXEC))
    reads = tuple(right for right in denied if right in _READS)
    writes = tuple(right for right in denied if right not in _READS)
    args: dict[str, object] = {"user": rights.user or "this user"}
    missing: list[Missing] = []
    needed = attempt(lambda: _is_work_to_do(view, cluster), missing) if writes else False
    if needed:
        fix = _grant(view, cluster, rights.user, writes, "meshwright-apply")
        return Verdict(State.FAIL, args | {"rights": _words(writes)}, fixes=(fix,))
    if reads:
        fix = _grant(view, cluster, rights.user, reads, "meshwright-read")
        return Verdict(State.UNKNOWN, args | {"rights": _words(reads)}, "read", fixes=(fix,))
    if missing:
        raise NeedFact(tuple(missing))
    if writes:
        fix = _grant(view, cluster, rights.user, writes, "meshwright-apply")
        return Verdict(State.WARN, args | {"rights": _words(writes)}, fixes=(fix,))
    return Verdict(State.PASS, args | {"granted": len(rights.granted)})


def _is_work_to_do(view: View, cluster: str) -> bool:
    """Whether a join would install Cilium or enable the mesh here, so that writing rights are really needed."""
    if not view.goal(cluster):
        return False
    return not all_of((lambda: in_force(view, cluster), lambda: view.of(fact.MESH_API, cluster) is not None))


def _words(rights: Iterable[Right]) -> tuple[str, ...]:
    return tuple(str(right) for right in sorted(rights))


def _grant(view: View, cluster: str, user: str, rights: Iterable[Right], name: str) -> Fix:
    """Roles and bindings that give exactly these rights: one per namespace and verb, else ClusterRoles."""
    by_place: dict[tuple[str, str], set[str]] = {}
    for right in rights:
        resource, _, part = right.resource.partition("/")
        whole = f"{resource}.{right.group}" if right.group else resource
        by_place.setdefault((right.namespace, right.verb), set()).add(f"{whole}/{part}" if part else whole)
    # Without a name the first thing to do is to find it out.
    commands: list[Command] = [] if user else [view.kubectl(cluster, "auth", "whoami")]
    for (namespace, verb), resources in sorted(by_place.items()):
        kind, place = ("role", ("-n", namespace)) if namespace else ("clusterrole", ())
        role = f"{name}-{verb}"
        what = (f"--verb={verb}", f"--resource={','.join(sorted(resources))}")
        commands.append(view.kubectl(cluster, "create", kind, role, *place, *what))
        who = (f"--{kind}={role}", f"--user={user or USER}")
        commands.append(view.kubectl(cluster, "create", f"{kind}binding", role, *place, *who))
    return Fix(
        "grant",
        f"grant {user or 'this user'}: {', '.join(_words(rights))}{'' if user else f'; {WHO}'}",
        tuple(commands),
        Risk.LOW,
        True,
        ("create roles and rolebindings",),
    )


def _exec(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    rights = view.fact(fact.RIGHTS, subject)
    user = rights.user or "this user"
    lacks = tuple(right for right in rights.denied if right in EXEC)
    if lacks:
        fix = _grant(view, cluster, rights.user, lacks, "meshwright-exec")
        return Verdict(State.UNKNOWN, {"user": user}, "denied", fixes=(fix,))
    if not any(right.resource in (_EXEC, "*", "pods/*") for right in rights.granted):
        ask = view.kubectl(cluster, "-n", "kube-system", "auth", "can-i", "create", _EXEC)
        fix = Fix("ask", "ask whether exec is allowed", (ask,), Risk.NONE)
        return Verdict(State.UNKNOWN, {"user": user}, "untold", fixes=(fix,))
    if not in_force(view, cluster):
        return Verdict(State.PASS, {"user": user}, "ahead")
    agents = view.fact(fact.AGENTS, subject)
    silent = [agent for agent in agents if agent.error]
    asked = len(agents) - len(silent)
    args: dict[str, object] = {"agents": len(agents)}
    if silent and asked < _running(view, subject):
        args["error"] = silent[0].error
        words = ("-n", "kube-system", "exec", silent[0].pod, "-c", "cilium-agent", "--", "cilium-dbg", "status")
        fix = Fix("exec-by-hand", "ask one agent by hand", (view.kubectl(cluster, *words),), Risk.NONE)
        if not asked:
            return Verdict(State.FAIL, args, fixes=(fix,))
        return Verdict(State.WARN, args | {"asked": asked}, fixes=(fix,))
    return Verdict(State.PASS, args | {"asked": asked}, "down") if silent else Verdict(State.PASS, args)


def _running(view: View, subject: Subject) -> int:
    """How many agents are ready, and so should answer: one that does not run is no matter of rights."""
    found = view.fact(fact.WORKLOADS, subject)
    return next((item.ready for item in found if (item.kind, item.name) == ("DaemonSet", "cilium")), 0)


def _in_no_cloud(view: View, subject: Subject) -> str:
    return "" if view.fact(fact.CLOUD, subject) is not None else "the cluster is in no cloud that is read"


def _right_account(cluster: str, identity: CloudIdentity) -> Fix:
    who = {Provider.EKS: ("aws", "sts", "get-caller-identity"), Provider.AKS: ("az", "account", "show")}
    words = who.get(identity.provider)
    text = "sign in to the account the cluster belongs to"
    return Fix("account", text, (Command(words, cluster),) if words else (), Risk.NONE)


def _cloud(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    identity = view.fact(fact.CLOUD, subject)
    if identity is None:
        return Verdict(State.NOT_APPLICABLE, {"reason": "the cluster is in no cloud that is read"})
    args: dict[str, object] = {"name": identity.name, "account": identity.account}
    if not identity.proven:
        note = view.note(fact.CLOUD, cluster, f"{identity.endpoint} is not {view.context(cluster).server}", "FAIL")
        return Verdict(State.FAIL, args, notes=(note,), fixes=(_right_account(cluster, identity),))
    missing: list[Missing] = []
    for name in _CLOUD_FACTS:
        attempt(partial(view.fact, name, subject), missing)
    if missing:
        lacks = tuple(dict.fromkeys(item.lift or item.detail or item.reason.value for item in missing))
        what = tuple(item.key.name.removeprefix("cloud.") for item in missing)
        fix = Fix("cloud-rights", f"grant {', '.join(lacks)}", risk=Risk.NONE)
        return Verdict(State.UNKNOWN, {"what": what, "lift": lacks}, "unread", fixes=(fix,))
    return Verdict(State.PASS, args | {"region": identity.region})


CHECKS: Final = (
    Check(
        code="CM0101",
        title="Kubernetes rights suffice",
        layer=1,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=(fact.RIGHTS.name, fact.SETTINGS.name, fact.MESH_API.name, fact.CONNECTION_GOAL.name),
        gates=("CM0002",),
        body=_rights,
        answers_for=_KUBERNETES_FACTS,
        texts={
            "PASS": "{user} has all {granted:right} that reading and joining need",
            "WARN": "{user} can look but not change: {rights} denied",
            "FAIL": "the plan needs rights {user} does not have: {rights}",
            "UNKNOWN.read": "{rights} denied to {user}: what they show is unknown",
        },
        why="A plan that stops half-way for want of a right leaves half a mesh; a list that was not read looks empty.",
        docs=("kubernetes/rbac",),
    ),
    Check(
        code="CM0102",
        title="Agents can be asked by exec",
        layer=1,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=(fact.RIGHTS.name, fact.SETTINGS.name, fact.AGENTS.name, fact.WORKLOADS.name),
        gates=("CM0002",),
        body=_exec,
        answers_for=(fact.AGENTS.name, fact.HEALTH.name),
        texts={
            "PASS": "{agents:agent} answered by exec",
            "PASS.down": "{asked} of {agents:agent} answered by exec, and the others do not run",
            "PASS.ahead": "{user} may exec into pods; there are no agents yet",
            "WARN": "{asked} of {agents:agent} answered by exec: {error}",
            "FAIL": "exec is granted, but none of {agents:agent} could be asked: {error}",
            "UNKNOWN.denied": "pods/exec denied to {user}: agents unknown",
            "UNKNOWN.untold": "whether {user} may exec into pods was not told: agents unknown",
        },
        why="Only the agents know whether they reach their peers; pods that are ready say nothing about it.",
        docs=("kubernetes/rbac", "cilium/cmdref/cilium-dbg_status"),
    ),
    Check(
        code="CM0103",
        title="The cloud can be read",
        layer=1,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=tuple(name.name for name in _CLOUD_FACTS),
        gates=("CM0002",),
        applies=_in_no_cloud,
        body=_cloud,
        answers_for=tuple(name.name for name in _CLOUD_FACTS),
        texts={
            "PASS": "{name} in {region}, account {account}: network, rules and VPN were read",
            "FAIL": "account {account} has a cluster {name} with another API server: signed in to the wrong account",
            "UNKNOWN.unread": "{what} not readable: needs {lift}",
        },
        why="Rules and routes that cannot be read are unknown, and a closed port among them stays unseen.",
        docs=("cloud/permissions",),
    ),
)
