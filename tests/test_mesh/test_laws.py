"""Laws of the engine over many worlds: no false green, one finding per subject, the same bytes in any order."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mesh import catalogue
from mesh.aim import overlay
from mesh.checks import ALL_CHECKS
from mesh.engine import evaluate
from mesh.facts import Fact, FactKey, FactStore, Known, Origin, Reason, Unknown
from mesh.finding import Check, Finding, Scope, State
from mesh.problem import problems_of
from mesh.subject import MESH, OfCluster, OfMesh, Subject
from mesh.view import NeedFact, judged_at, view_of
from tests.test_mesh.cases import CASES
from tests.test_mesh.faults import FAULTS
from tests.test_mesh.members import DAY, NOW, aks, eks, kind
from tests.test_mesh.worlds import SHAPES, World, build

WITHDRAWALS = 10_000
LOST = (State.UNKNOWN, State.BLOCKED)
DEFEATED = {check.code for check in ALL_CHECKS if check.defeaters}


def worlds() -> list[World]:
    """Healthy shapes and broken ones: what must not turn green is there to begin with."""
    return [*(make() for make in SHAPES.values()), *(case.world() for case in FAULTS.values())]


def states(store: FactStore, world: World) -> dict[tuple[str, Subject], State]:
    return {f.identity: f.state for f in evaluate(overlay(store, world.goal, world.clusters), world.clusters)}


def offences(
    before: dict[tuple[str, Subject], State], after: dict[tuple[str, Subject], State]
) -> Iterator[tuple[tuple[str, Subject], State | None, State]]:
    for identity, state in after.items():
        was = before.get(identity)
        if state is was or state in LOST:
            continue
        if was is State.WARN and state is State.FAIL and identity[0] in DEFEATED:
            continue
        yield identity, was, state


def test_withdrawing_facts_never_makes_anything_green_or_red() -> None:
    dice = random.Random(7)
    found = worlds()
    stores = [(world, world.store(), list(world.store().items())) for world in found]
    begun = [states(store, world) for world, store, _ in stores]
    for round_ in range(WITHDRAWALS):
        place = round_ % len(stores)
        world, store, items = stores[place]
        picked = dice.sample(items, dice.randint(1, min(15, len(items))))
        lost = [(key, Unknown(dice.choice(list(Reason)))) for key, _ in picked]
        bad = list(offences(begun[place], states(store.put(lost), world)))
        assert not bad, (bad, [str(key) for key, _ in lost])


def test_withdrawing_each_single_fact_of_each_healthy_shape() -> None:
    for world in (make() for make in SHAPES.values()):
        store = world.store()
        before = states(store, world)
        for key, _ in store.items():
            bad = list(offences(before, states(store.put([(key, Unknown(Reason.FORBIDDEN))]), world)))
            assert not bad, (str(key), bad)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_read_yesterday_is_not_good_today(shape: str) -> None:
    """A PASS rests on facts that do not age, or on the goal, or on nothing."""
    world = SHAPES[shape]()
    old = judged_at(overlay(world.store(), world.goal, world.clusters), NOW + DAY)
    before = Counter(finding.state for finding in evaluate(world.judged(), world.clusters))
    findings = evaluate(old, world.clusters)
    for finding in findings:
        if finding.state is State.PASS:
            aged = [quote for quote in finding.evidence if quote.key and catalogue.FACTS[quote.key.name].max_age]
            assert all(quote.origin is Origin.PLANNED for quote in aged), finding
    passed = Counter(finding.state for finding in findings)[State.PASS]
    assert passed < before[State.PASS] / 10


def test_nothing_known_is_nothing_green() -> None:
    world = SHAPES["three"]()
    seen = Counter(states(FactStore(), world).values())
    assert set(seen) <= set(LOST) and seen.total() > 90


def expected(check: Check, world: World) -> int:
    count = len(world.clusters)
    services = {("shop", "cart")}
    return {
        Scope.MESH: 1,
        Scope.CLUSTER: count,
        Scope.PAIR: count * (count - 1) // 2,
        Scope.DIRECTED: count * (count - 1),
        Scope.SERVICE: len(services),
    }[check.scope]


@pytest.mark.parametrize("shape", ["connected", "three", "kind"])
def test_exactly_one_finding_per_check_and_subject(shape: str) -> None:
    world = SHAPES[shape]()
    findings = evaluate(world.judged(), world.clusters)
    assert len({f.identity for f in findings}) == len(findings)
    counted = Counter(f.code for f in findings)
    assert counted == {check.code: expected(check, world) for check in ALL_CHECKS}


def test_services_that_were_not_read_are_not_missed_silently() -> None:
    world = SHAPES["connected"]()
    for cluster in world.clusters:
        world.lose(catalogue.SERVICES, cluster)
    found = [f for f in evaluate(world.judged(), world.clusters) if f.code == "CM0801"]
    assert [(f.subject, f.state) for f in found] == [(MESH, State.UNKNOWN)]
    assert {item.key.subject for item in found[0].missing} == {OfCluster(c) for c in world.clusters}


def document(findings: tuple[Finding, ...]) -> bytes:
    return msgspec.json.encode((findings, problems_of(findings)), order="sorted")


def test_the_order_of_facts_changes_no_byte() -> None:
    dice = random.Random(11)
    for world in (SHAPES["three"](), FAULTS["CM0320"].world(), FAULTS["CM0002"].world()):
        facts: list[tuple[FactKey, Fact]] = list(world.judged().items())
        wanted = document(evaluate(FactStore(dict(facts)), world.clusters))
        for _ in range(50):
            dice.shuffle(facts)
            clusters = dice.sample(world.clusters, len(world.clusters))
            assert document(evaluate(FactStore(dict(facts)), clusters)) == wanted


def test_the_seed_of_hashes_and_the_locale_change_no_byte() -> None:
    code = (
        "import hashlib; from tests.test_mesh.test_laws import document; from mesh.engine import evaluate\n"
        "from tests.test_mesh.faults import FAULTS\n"
        "print(*(hashlib.sha256(document(evaluate(w.judged(), w.clusters))).hexdigest()"
        " for w in (FAULTS[c].world() for c in ('CM0003', 'CM0302', 'CM0403', 'CM0701'))))"
    )
    root = Path(__file__).resolve().parents[2]
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": zone, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed, locale, zone in (
            ("0", "C", "UTC"),
            ("1", "C.UTF-8", "Asia/Tokyo"),
            ("4242", "tr_TR.UTF-8", "PST8PDT"),
        )
    }
    assert len(printed) == 1 and len(printed.pop().split()) == 4


def subjects(check: Check, world: World) -> list[Subject]:
    return [f.subject for f in evaluate(world.judged(), world.clusters) if f.code == check.code]


def read_by(check: Check, world: World) -> set[str]:
    """Names of the facts a check reads in a world; a read that it does not declare raises here."""
    used: set[str] = set()
    for subject in subjects(check, world):
        if isinstance(subject, OfMesh) and check.scope is not Scope.MESH:
            continue
        view = view_of(world.judged(), check.inputs, world.clusters, check.defeaters)
        try:
            if not (check.applies and check.applies(view, subject)):
                check.body(view, subject)
        except (NeedFact, ValueError):
            pass
        used |= view.used
    return used


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.code)
def test_declared_is_used(check: Check) -> None:
    own = [case.world() for case in CASES if case.code == check.code]
    used = set[str]().union(*(read_by(check, world) for world in (*own, *(make() for make in SHAPES.values()))))
    assert used == {*check.inputs, *check.defeaters}


def test_evaluation_does_not_change_the_store() -> None:
    world = SHAPES["connected"]()
    store = world.judged()
    before = dict(store.items())
    evaluate(store, world.clusters)
    assert dict(store.items()) == before
    assert all(isinstance(fact, Known) for fact in before.values())


def test_many_clusters_of_three_kinds_are_green() -> None:
    members = [eks(f"e{n}", n, f"10.{n}", pods=f"10.{100 + n}.0.0/16") for n in range(1, 9)]
    members += [aks(f"a{n}", n, 40 + n, pods=f"10.{100 + n}.0.0/16") for n in range(9, 17)]
    world = build([*members, kind("k", 17, pods="10.200.0.0/16", services="10.201.0.0/16")])
    findings = evaluate(world.judged(), world.clusters)
    assert len(findings) > 2400
    assert {f.state for f in findings} <= {State.PASS, State.NOT_APPLICABLE}, Counter(f.state for f in findings)
