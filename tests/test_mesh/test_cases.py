"""Every code in every state it can be in; healthy shapes are all green; one fault, one root."""

import re
import shlex
from collections import Counter

import pytest

from mesh.checks import ALL_CHECKS
from mesh.engine import evaluate
from mesh.explain import message, placeholders, template_of
from mesh.facts import Known, Origin, Reason, Source
from mesh.finding import Command, Finding, State
from mesh.problem import problems_of
from tests.test_mesh.cases import CASES, NEVER
from tests.test_mesh.changes import AKS, EXEC, SECRETS, A, denied, lose, put
from tests.test_mesh.faults import FAULTS, Case
from tests.test_mesh.worlds import SHAPES, World

PLACEHOLDER = re.compile(r"(^|[= ])[A-Z]{2,}( |$)|<\w+>|\.\.\.|…")
QUIET = (State.PASS, State.NOT_APPLICABLE)


def judge(world: World) -> tuple[Finding, ...]:
    return evaluate(world.judged(), world.clusters)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    found = [f for f in judge(case.world()) if f.code == case.code and f.subject == case.subject]
    assert [(f.state, f.variant) for f in found] == [(case.state, case.variant)], message(found[0])


@pytest.mark.parametrize("code", [check.code for check in ALL_CHECKS])
def test_every_code_has_a_case_of_every_state_it_can_be_in(code: str) -> None:
    wanted = (State.PASS, State.FAIL, State.UNKNOWN, State.BLOCKED, State.NOT_APPLICABLE)
    seen = {case.state for case in CASES if case.code == code}
    assert [state for state in wanted if state not in seen and (code, state) not in NEVER] == []
    assert [state for state in wanted if state in seen and (code, state) in NEVER] == []


def test_every_text_is_said_by_some_case() -> None:
    said = {(case.code, case.state.value + ("." + case.variant if case.variant else "")) for case in CASES}
    texts = {(check.code, name) for check in ALL_CHECKS for name in check.texts}
    assert sorted(texts - said) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_texts_use_exactly_the_arguments_of_their_findings(case: Case) -> None:
    for finding in judge(case.world()):
        template = template_of(finding)
        if template is None:
            assert finding.state in (State.BLOCKED, State.UNKNOWN) and not finding.args
            assert finding.missing or finding.blocked_by
        else:
            assert placeholders(template) == set(finding.args), (finding.code, finding.state, finding.variant)
        words = message(finding)
        assert words and "{" not in words and "  " not in words


@pytest.mark.parametrize("shape", SHAPES)
def test_healthy_shapes_are_green_with_evidence(shape: str) -> None:
    world = SHAPES[shape]()
    for finding in judge(world):
        told = f"{finding.code} {finding.subject}: {message(finding)}"
        if finding.state is State.INFO:
            assert finding.to_do or finding.code in world.infos, told
        else:
            assert finding.state in QUIET, told
        if finding.state is State.PASS:
            assert finding.evidence and all(0 < len(item.excerpt) <= 300 for item in finding.evidence), told


@pytest.mark.parametrize("shape", SHAPES)
def test_every_check_passes_in_some_healthy_shape_and_is_judged_in_most(shape: str) -> None:
    states = Counter(finding.state for finding in judge(SHAPES[shape]()))
    assert states[State.PASS] >= states.total() * 0.55, states


def test_every_fault_is_covered() -> None:
    assert list(FAULTS) == [check.code for check in ALL_CHECKS]


@pytest.mark.parametrize("code", FAULTS)
def test_one_fault_has_one_root(code: str) -> None:
    case = FAULTS[code]
    healthy = {f.identity: f.state for f in judge(SHAPES[case.shape]())}
    findings = judge(case.world())
    problems = problems_of(findings)
    assert [(p.root.code, p.root.subject) for p in problems] == [(code, case.subject)], [
        message(p.root) for p in problems
    ]
    folded = {f.identity for f in problems[0].consequences}
    for finding in findings:
        if finding.state not in (*QUIET, State.INFO) and finding.identity != (code, case.subject):
            assert finding.identity in folded
        assert finding.identity in healthy
    assert problems[0].root.fixes, "a fault without a remedy"


def programs(command: Command) -> set[str]:
    """What it runs; a line of a shell may write a file by echo."""
    program, *words = command.argv
    if program != "sh":
        return {program}
    assert words[0] == "-c"
    return {shlex.split(part)[0] for part in words[1].split(" | ")} - {"echo"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_remedies_are_commands_one_can_type(case: Case) -> None:
    world = case.world()
    for finding in judge(world):
        for fix in finding.fixes:
            assert fix.text
            for command in fix.commands:
                assert programs(command) <= {"kubectl", "helm", "cilium", "aws", "az"} and all(command.argv), command
                assert command.where in world.clusters
                assert not PLACEHOLDER.search(" ".join(command.argv)), command
                if "upgrade" in command.argv:
                    # Without its version helm takes the newest chart: a changed value would become an upgrade.
                    assert command.argv[0] == "helm" and {"--version", "--reset-then-reuse-values"} <= set(command.argv)


TOLD = [
    case for case in CASES if case.state in (State.FAIL, State.WARN) or (case.state is State.UNKNOWN and case.variant)
]
# What its missing fact tells is all there is to do.
BY_ITS_FACT = {"CM0002", "CM0320"}


@pytest.mark.parametrize("case", TOLD, ids=str)
def test_what_is_found_has_a_remedy(case: Case) -> None:
    (finding,) = [f for f in judge(case.world()) if (f.code, f.subject) == (case.code, case.subject)]
    assert finding.fixes or (case.state is State.UNKNOWN and case.code in BY_ITS_FACT)


def test_two_rights_that_lack_each_explain_what_needs_both() -> None:
    """A viewer without exec and Secrets: two roots, and what needs both lies under each."""
    world = SHAPES["connected"]()
    denied(EXEC, SECRETS)(world)
    for name in ("mesh.peers", "mesh.certificates", "helm.release", "cilium.agents"):
        lose(name, A, Reason.FORBIDDEN)(world)
    problems = problems_of(judge(world))
    assert [(p.root.code, p.root.state, {f.code for f in p.consequences}) for p in problems] == [
        ("CM0101", State.UNKNOWN, {"CM0206", "CM0608", "CM0610", "CM0701"}),
        ("CM0102", State.UNKNOWN, {"CM0701"}),
    ]


def test_context_out_of_files() -> None:
    world = SHAPES["connected"]()
    for key, got in list(world.facts.items()):
        if key.name == "context" and isinstance(got, Known):
            world.facts[key] = Known(got.value, Source(Origin.BUNDLE, "aks.json"), got.observed_at)
    (finding,) = [f for f in judge(world) if f.code == "CM0001" and f.subject == AKS]
    assert finding.state is State.NOT_APPLICABLE


def test_facts_in_force_are_not_called_planned() -> None:
    assert not any(finding.planned for finding in judge(SHAPES["connected"]()))
    planned = {f.code for f in judge(SHAPES["fresh"]()) if f.planned}
    assert {"CM0201", "CM0301", "CM0306", "CM0320", "CM0403"} <= planned


def test_planned_settings_fail_where_they_do_not_fit() -> None:
    world = SHAPES["half"]()
    put("cloud.network", A, None)(world)
    world.goal = None
    by_state = {f.identity: f.state for f in judge(world)}
    assert by_state["CM0301", AKS] is State.NOT_APPLICABLE
