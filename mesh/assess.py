"""From facts to verdict and plan in one call: what the screens and the command line both show."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from mesh.aim import overlay
from mesh.checks import ALL_CHECKS
from mesh.choose import default_goal
from mesh.engine import evaluate
from mesh.errors import MeshError
from mesh.facts import FactStore
from mesh.finding import Check, Finding, Problem
from mesh.goal import Goal
from mesh.join import plan_join
from mesh.model.picture import MeshPicture
from mesh.picture import picture_of
from mesh.plan import Plan
from mesh.problem import problems_of


class Assessment(Struct, frozen=True):
    """Facts judged against a goal: every finding, and the problems they fold into, worst first."""

    clusters: tuple[str, ...]
    store: FactStore
    goal: Goal
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]

    def plan(self, made_at: float) -> Plan:
        """The join that these facts and this goal ask for."""
        return plan_join(self.store, self.goal, self.findings, made_at)


def assess(
    store: FactStore,
    clusters: Sequence[str],
    edits: Mapping[str, str] | None = None,
    checks: Iterable[Check] = ALL_CHECKS,
) -> Assessment:
    """Choose the goal, overlay the facts with it, run the checks, fold. Raises ``UsageError`` for a bad edit."""
    goal = default_goal(store, clusters, edits)
    planned = overlay(store, goal, clusters)
    findings = evaluate(planned, clusters, checks)
    return Assessment(tuple(clusters), store, goal, findings, problems_of(findings))


def picture(store: FactStore, clusters: Sequence[str]) -> MeshPicture:
    """The mesh as it is; what nothing uses yet is predicted for a join with the default choices, if there are any."""
    try:
        findings = assess(store, clusters).findings
    except MeshError:
        findings = evaluate(store, clusters)
    return picture_of(store, clusters, findings)
