"""The plan of a join: only what is not already so, in the order of cilium-clustermesh §4.4, as data."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.aim import overlay
from mesh.conditions import holds
from mesh.engine import evaluate
from mesh.errors import Refused, Undetermined
from mesh.explain import message
from mesh.facts import FactKey, FactStore, Known, Reason, Unknown
from mesh.finding import Finding, Risk, Severity, State
from mesh.goal import Goal
from mesh.joining.handover import found
from mesh.joining.install import install_steps
from mesh.joining.mesh import connect_step, path_step, prove_step, wait_step
from mesh.joining.network import rule_steps, vpn_step
from mesh.joining.prepare import ca_step, park_steps, restart_steps
from mesh.joining.situation import Situation
from mesh.joining.unread import gates, unknowns
from mesh.model.kubernetes import OwnerKind
from mesh.plan import Blocker, Plan, Step
from mesh.subject import OfCluster

# Facts whose change makes a plan stale; volatile ones (pods, agents, health, now) are left out.
_RESTS_ON = (
    fact.CLUSTER_UID, fact.SETTINGS, fact.CILIUM_VERSION, fact.HELM, fact.OWNER, fact.MESH_API, fact.PEERS,
    fact.CERTIFICATES, fact.CLOUD_NETWORK, fact.FIREWALL,
)  # fmt: skip


def plan_join(store: FactStore, goal: Goal, findings: Iterable[Finding], made_at: float = 0.0) -> Plan:
    """Steps that join the goal's members, in topological order; steps whose conditions hold are marked ``already``.

    ``findings`` are those of the facts overlaid with the goal: their fixes give the rules to open and the blockers.
    """
    findings = tuple(findings)
    clusters = tuple(member.cluster for member in goal.members)
    situation = Situation(store, goal, findings)
    steps: list[Step] = []
    for make in (
        vpn_step,
        rule_steps,
        ca_step,
        park_steps,
        install_steps,
        restart_steps,
        wait_step,
        path_step,
        connect_step,
    ):
        steps += make(situation, tuple(steps))
    steps = [_judged(step, store, findings) for step in steps]
    if any(not step.already for step in steps) or situation.unproven:
        steps.append(prove_step(situation, tuple(steps)))
    prints = fingerprints(store, clusters)
    names = clusters[0] if len(clusters) == 1 else f"{', '.join(clusters[:-1])} and {clusters[-1]}"
    plan_id = hashlib.sha256(
        msgspec.json.encode((goal, prints, [step.id for step in steps]), order="sorted")
    ).hexdigest()[:4]
    refusals = tuple(_refusals(store, goal))
    refused = {(blocker.code, blocker.subject) for blocker in refusals}
    found = tuple(gate for gate in _gates(findings, steps) if (gate.code, gate.subject) not in refused)
    silent = {blocker.subject for blocker in found if blocker.code == "CM0002"}
    blockers = (*refusals, *found, *gates(situation, steps, silent))
    unread = tuple(unknowns(situation)) if any(not step.already for step in steps) else ()
    return Plan(plan_id, f"Join {names}", clusters, goal, tuple(steps), blockers, prints, made_at, unread)


def rest(plan: Plan, store: FactStore) -> Plan:
    """What going on with this plan still does on these facts: what is so by now, and what was found, told anew."""
    findings = evaluate(overlay(store, plan.goal, plan.clusters), plan.clusters)
    steps = (step if step.already else _judged(replace(step, found=()), store, findings) for step in plan.steps)
    return replace(plan, steps=tuple(steps))


def _judged(step: Step, store: FactStore, findings: Iterable[Finding]) -> Step:
    """With whether it is already so, else with what was found."""
    if step.until and all(holds(condition, store)[0] is True for condition in step.until):
        return replace(step, already=True)
    return replace(step, found=step.found or found(step, findings, store))


def fingerprints(store: FactStore, clusters: Sequence[str]) -> dict[str, str]:
    """Hashes of the facts a plan rests on; an unknown fact has the hash of its reason."""
    prints: dict[str, str] = {}
    for cluster in clusters:
        for name in _RESTS_ON:
            got = store.get(name, OfCluster(cluster))
            material: Any = got.value if isinstance(got, Known) else got.reason
            prints[str(FactKey(name.name, OfCluster(cluster)))] = _print(material)
    return prints


def _print(material: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(material, order="sorted")).hexdigest()[:16]


def moved(plan: Plan, store: FactStore) -> tuple[str, ...]:
    """Facts that differ from those the plan rests on; a plan with any must be made again."""
    now = fingerprints(store, plan.clusters)
    return tuple(key for key, value in plan.fingerprints.items() if now.get(key) != value)


def lost(plan: Plan, store: FactStore) -> dict[FactKey, Unknown]:
    """Facts that the plan rests on, that were known when it was made and could not be read now."""
    unread = {_print(reason) for reason in Reason}
    found = {}
    for cluster in plan.clusters:
        for name in _RESTS_ON:
            key, got = FactKey(name.name, OfCluster(cluster)), store.get(name, OfCluster(cluster))
            before = plan.fingerprints.get(str(key), "")
            if isinstance(got, Unknown) and before and before not in unread:
                found[key] = got
    return found


def strangers(plan: Plan, store: FactStore) -> tuple[str, ...]:
    """Clusters under a key of the plan that are not those it was made for: both UIDs were read, and they differ."""
    unread = {_print(reason) for reason in Reason}
    found = []
    for cluster in plan.clusters:
        before = plan.fingerprints.get(str(FactKey(fact.CLUSTER_UID.name, OfCluster(cluster))), "")
        now = store.value(fact.CLUSTER_UID, OfCluster(cluster))
        if now is not None and before and before not in unread and before != _print(now):
            found.append(cluster)
    return tuple(found)


def _gates(findings: Iterable[Finding], steps: Iterable[Step]) -> Iterable[Blocker]:
    """Findings that need the user: a FAIL that no step lifts, and unread access. What only warns stops no join."""
    # Agents that are not ready for their peers are what connecting waits for, and may be so for minutes after it.
    awaited = {code for step in steps if step.id == "connect" and not step.already for code in step.codes}
    for finding in findings:
        if finding.code in awaited:
            continue
        grave = finding.state is State.FAIL and finding.severity >= Severity.ERROR
        if grave and not any(fix.in_plan for fix in finding.fixes):
            yield Blocker(finding.code, str(finding.subject), message(finding))
        elif finding.state is State.UNKNOWN and finding.code in ("CM0002", "CM0201"):
            way = f"; {finding.fixes[0].text}" if finding.fixes else ""
            yield Blocker(finding.code, str(finding.subject), message(finding) + way, unread=True)


def _refusals(store: FactStore, goal: Goal) -> Iterable[Blocker]:
    """What is not ours to change: provider-managed Cilium, and releases owned by Argo CD, Flux or an operator."""
    for member in goal.members:
        owner = store.value(fact.OWNER, OfCluster(member.cluster))
        if owner is None or owner.kind in (OwnerKind.HELM, OwnerKind.UNOWNED):
            continue
        if owner.kind is OwnerKind.MANAGED:
            code, whose = "CM0204", f"managed by {owner.name or 'the provider'}"
        else:
            code, whose = "CM0205", f"owned by {owner.kind.value}{f' ({owner.name})' if owner.name else ''}"
        yield Blocker(code, member.cluster, f"Cilium is {whose}: {owner.evidence}", refuses=True)


def consent_needed(plan: Plan) -> tuple[str, ...]:
    """Clusters whose name must be typed: those of disruptive or irreversible steps, in plan order."""
    named = [
        cluster
        for step in plan.todo()
        if step.risk in (Risk.DISRUPTIVE, Risk.IRREVERSIBLE)
        for cluster in step.clusters
    ]
    return tuple(dict.fromkeys(named))


def refuse_blocked(plan: Plan) -> None:
    """Raises for a plan with blockers: ``Refused``, what is not ours to change before what can be lifted;
    ``Undetermined`` where all that stands in the way is what could not be read.
    """
    if not plan.blockers:
        return
    first = min(plan.blockers, key=lambda blocker: (not blocker.refuses, blocker.unread))
    error = Undetermined if first.unread else Refused
    raise error(
        f"{first.code} {first.subject}: {first.text}",
        hint=f"Nothing was changed. meshwright explain {first.code} tells what it judges; check shows its fix.",
    )
