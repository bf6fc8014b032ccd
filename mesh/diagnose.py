"""From facts to the one finding that explains why a step did not get there."""

from collections.abc import Sequence

from mesh.checks import ALL_CHECKS
from mesh.engine import evaluate
from mesh.facts import FactStore
from mesh.finding import Finding, State
from mesh.plan import Step
from mesh.problem import problems_of


def root_cause(store: FactStore, clusters: Sequence[str], step: Step) -> Finding | None:
    """The first problem that failed and touches the step's clusters, if the checks find one."""
    for problem in problems_of(evaluate(store, clusters, ALL_CHECKS)):
        touched = problem.root.subject.clusters()
        if problem.root.state is State.FAIL and (not touched or set(touched) & set(step.clusters)):
            return problem.root
    return None
