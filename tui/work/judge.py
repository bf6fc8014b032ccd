"""From facts to everything the screens show about them. Pure, and slow enough to run off-screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mesh import catalogue
from mesh.errors import MeshError
from mesh.facts import FactKey, FactStore, Known, Origin, Source
from mesh.finding import Finding, Problem, State
from mesh.goal import Goal
from mesh.model.picture import MeshPicture
from mesh.plan import Plan
from mesh.subject import MESH


@dataclass(frozen=True)
class Judgement:
    """Findings of the facts overlaid with the goal, and what follows. ``refusal`` says why there is no goal or plan."""

    clusters: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()
    counts: Mapping[State, int] = field(default_factory=dict)
    explained: int = 0
    goal: Goal | None = None
    plan: Plan | None = None
    picture: MeshPicture = field(default_factory=lambda: MeshPicture((), (), ()))
    refusal: str = ""
    at: float = 0.0


def judge(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str], now: float) -> Judgement:
    """Judge the facts of ``clusters`` at ``now`` (epoch seconds); with two clusters or more, aim at joining them."""
    from mesh.assess import assess, picture
    from mesh.engine import evaluate
    from mesh.picture import picture_of
    from mesh.problem import explained, problems_of
    from mesh.summary import counts

    store = store.put([(FactKey(catalogue.NOW.name, MESH), Known(now, Source(Origin.LIVE, "clock"), now))])
    findings: tuple[Finding, ...] | None = None
    problems: tuple[Problem, ...] = ()
    goal, plan, refusal = None, None, ""
    if len(clusters) > 1:
        try:
            assessed = assess(store, clusters, edits)
            findings, problems, goal = assessed.findings, assessed.problems, assessed.goal
            plan = assessed.plan(now)
        except MeshError as error:
            refusal = error.sentence()
    if findings is None:
        findings = evaluate(store, clusters)
        problems = problems_of(findings)
    return Judgement(
        tuple(clusters),
        findings,
        problems,
        counts(findings),
        explained(findings),
        goal,
        plan,
        # Edits are wishes: they change the plan, not the mesh.
        picture(store, clusters) if edits else picture_of(store, clusters, findings),
        refusal,
        now,
    )
