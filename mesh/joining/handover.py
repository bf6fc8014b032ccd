"""A plan in a person's hands: the files that its commands name, and what was found that makes a step necessary."""

import json
import re
from collections.abc import Iterable
from typing import Final

from mesh.conditions import holds
from mesh.explain import message
from mesh.facts import FactStore
from mesh.finding import Finding, State
from mesh.plan import HelmApply, OpenRules, Plan, Step

_WRONG: Final = (State.FAIL, State.WARN)


def values_file(cluster: str, purpose: str) -> str:
    """Name of the file that a helm line reads its values from; a cluster's key may hold anything."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', cluster)}-{purpose}.json"


def values_files(plan: Plan) -> dict[str, str]:
    """The values files of the steps to do, by name; helm takes JSON as YAML.

    Those of connecting are not among them: the addresses in them are read when the step runs.
    """
    return {
        values_file(effect.cluster, effect.purpose): json.dumps(effect.values, indent=2, ensure_ascii=False) + "\n"
        for step in plan.todo()
        for effect in step.effects
        if isinstance(effect, HelmApply)
    }


def found(step: Step, findings: Iterable[Finding], store: FactStore) -> tuple[str, ...]:
    """What makes the step necessary now: the findings it lifts, else which of its conditions do not hold."""
    told = [
        message(finding)
        for finding in findings
        if (finding.state in _WRONG or finding.to_do) and finding.code in step.codes and _concerns(finding, step)
    ]
    if not told:
        told = [text for state, text in (holds(condition, store) for condition in step.until) if state is not True]
    return tuple(dict.fromkeys(told))


def _concerns(finding: Finding, step: Step) -> bool:
    """Whether it is about this step's clusters; of rules, whether it asks for one of the step's own."""
    groups = {effect.group for effect in step.effects if isinstance(effect, OpenRules)}
    if groups:
        return any(opening.group in groups for fix in finding.fixes[:1] for opening in fix.opens)
    return set(finding.subject.clusters()) <= set(step.clusters)
