"""The engine by checks made for it: order, gates, missing facts, faults of a body."""

from collections.abc import Callable

import pytest

from mesh import catalogue as fact
from mesh.engine import evaluate, sequence
from mesh.events import Event, FindingChanged
from mesh.facts import FactKey, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.finding import Check, Scope, Severity, State, Verdict
from mesh.model.cilium import CiliumSettings
from mesh.subject import MESH, OfCluster, OfPair, Subject, pair
from mesh.view import View, judged_at

Body = Callable[[View, Subject], Verdict]


def says(state: State) -> Body:
    return lambda view, subject: Verdict(state)


PASSES = says(State.PASS)


def reads(view: View, subject: Subject) -> Verdict:
    for cluster in subject.clusters():
        view.of(fact.SETTINGS, cluster)
    return Verdict(State.PASS)


def check(
    code: str,
    body: Body = PASSES,
    layer: int = 3,
    scope: Scope = Scope.CLUSTER,
    gates: tuple[str, ...] = (),
    causes: tuple[str, ...] = (),
    applies: Callable[[View, Subject], str] | None = None,
    answers_for: tuple[str, ...] = (),
) -> Check:
    inputs = (fact.SETTINGS.name,)
    return Check(
        code, code, layer, scope, Severity.ERROR, inputs, body, {}, "why", (), applies, gates, causes, (), answers_for
    )


def facts(*clusters: str) -> FactStore:
    known = {
        FactKey("cilium.settings", OfCluster(c)): Known(CiliumSettings(), Source(Origin.LIVE), 90.0) for c in clusters
    }
    return judged_at(FactStore(dict(known)), 100.0)


def states(
    *checks: Check, store: FactStore | None = None, clusters: tuple[str, ...] = ("a", "b")
) -> dict[object, State]:
    found = evaluate(facts(*clusters) if store is None else store, clusters, checks)
    return {f.identity: f.state for f in found}


def test_codes_are_unique() -> None:
    with pytest.raises(ValueError, match="used twice"):
        sequence([check("X1"), check("X1")])


def test_edges_go_to_the_same_or_a_lower_layer() -> None:
    with pytest.raises(ValueError, match="higher layer"):
        sequence([check("X1", layer=2, gates=("X2",)), check("X2", layer=3)])
    with pytest.raises(ValueError, match="higher layer"):
        sequence([check("X1", layer=2, causes=("X2",)), check("X2", layer=3)])
    with pytest.raises(ValueError, match="does not exist"):
        sequence([check("X1", gates=("X9",))])


def test_circles_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        sequence([check("X1", gates=("X2",)), check("X2", causes=("X3",)), check("X3", gates=("X1",))])


def test_what_a_check_leans_on_comes_first() -> None:
    order = sequence(
        [check("X1", gates=("X3",)), check("X2", layer=1), check("X3", causes=("X4",)), check("X4")]
    ).checks
    assert [c.code for c in order] == ["X2", "X4", "X3", "X1"]


@pytest.mark.parametrize(
    ("gate", "state"),
    [(State.PASS, State.PASS), (State.INFO, State.PASS), (State.WARN, State.PASS), (State.NOT_APPLICABLE, State.PASS),
     (State.FAIL, State.BLOCKED), (State.UNKNOWN, State.BLOCKED), (State.ERROR, State.BLOCKED)],
)  # fmt: skip
def test_gates(gate: State, state: State) -> None:
    def raises(view: View, subject: Subject) -> Verdict:
        raise RuntimeError("boom")

    body = raises if gate is State.ERROR else says(gate)
    assert states(check("X1", body), check("X2", gates=("X1",)))["X2", OfCluster("a")] is state


def only_a(view: View, subject: Subject) -> Verdict:
    return Verdict(State.FAIL if "a" in subject.clusters() else State.PASS)


@pytest.mark.parametrize(
    ("gate", "scope", "blocked"),
    [(Scope.CLUSTER, Scope.CLUSTER, ["a"]), (Scope.CLUSTER, Scope.PAIR, ["a ⇄ b", "a ⇄ c"]),
     (Scope.CLUSTER, Scope.MESH, ["mesh"]), (Scope.PAIR, Scope.CLUSTER, ["a", "b", "c"]),
     (Scope.DIRECTED, Scope.PAIR, ["a ⇄ b", "a ⇄ c"]),
     (Scope.PAIR, Scope.DIRECTED, ["a → b", "a → c", "b → a", "c → a"])],
)  # fmt: skip
def test_gates_bear_on_related_subjects(gate: Scope, scope: Scope, blocked: list[str]) -> None:
    clusters = ("a", "b", "c")
    made = (check("X1", only_a, scope=gate), check("X2", scope=scope, gates=("X1",)))
    found = evaluate(facts(*clusters), clusters, made)
    assert sorted(str(f.subject) for f in found if f.code == "X2" and f.state is State.BLOCKED) == blocked


def test_directed_gates_keep_their_direction() -> None:
    def one_way(view: View, subject: Subject) -> Verdict:
        return Verdict(State.FAIL if subject == OfPair("a", "b", True) else State.PASS)

    found = states(check("X1", one_way, scope=Scope.DIRECTED), check("X2", scope=Scope.DIRECTED, gates=("X1",)))
    assert found["X2", OfPair("a", "b", True)] is State.BLOCKED and found["X2", OfPair("b", "a", True)] is State.PASS


def test_blocking_goes_on() -> None:
    made = (check("X1", says(State.FAIL)), check("X2", gates=("X1",)), check("X3", gates=("X2",)))
    found = evaluate(facts("a"), ("a",), made)
    assert [(f.state, f.blocked_by) for f in found] == [
        (State.FAIL, ()),
        (State.BLOCKED, (("X1", OfCluster("a")),)),
        (State.BLOCKED, (("X2", OfCluster("a")),)),
    ]


def test_missing_facts_are_named() -> None:
    (finding,) = evaluate(facts("a"), ("a", "b"), [check("X1", reads, scope=Scope.PAIR)])
    assert finding.state is State.UNKNOWN and finding.subject == pair("a", "b")
    assert [(m.key.subject, m.reason) for m in finding.missing] == [(OfCluster("b"), Reason.NOT_COLLECTED)]
    assert [e.key.subject for e in finding.evidence if e.key] == [OfCluster("a")]


def test_a_right_that_lacks_answers_for_the_facts_it_hides() -> None:
    hidden = facts().put([(FactKey("cilium.settings", OfCluster("a")), Unknown(Reason.FORBIDDEN))])
    timeout = facts().put([(FactKey("cilium.settings", OfCluster("a")), Unknown(Reason.TIMEOUT))])
    right = check("X1", says(State.UNKNOWN), layer=1, answers_for=("cilium.settings",))
    granted = check("X1", layer=1, answers_for=("cilium.settings",))
    need = check("X2", reads)
    key = ("X2", OfCluster("a"))
    assert states(right, need, store=hidden, clusters=("a",))[key] is State.BLOCKED
    assert states(right, need, store=timeout, clusters=("a",))[key] is State.UNKNOWN
    assert states(granted, need, store=hidden, clusters=("a",))[key] is State.UNKNOWN


def test_a_body_that_raises_is_an_error_and_the_others_stand() -> None:
    def raises(view: View, subject: Subject) -> Verdict:
        raise KeyError("lost\x1b[31m")

    broken, good = evaluate(facts("a"), ("a",), [check("X1", raises), check("X2")])
    assert broken.state is State.ERROR and broken.args["detail"] == "KeyError: 'lost\\x1b[31m'"
    assert good.state is State.PASS


def test_an_undeclared_read_is_an_error_of_the_check() -> None:
    (finding,) = evaluate(
        facts("a"), ("a",), [check("X1", lambda v, s: Verdict(State.PASS, {"n": v.of(fact.NODES, "a")}))]
    )
    assert finding.state is State.ERROR


def test_not_applicable_tells_why() -> None:
    (finding,) = evaluate(facts("a"), ("a",), [check("X1", applies=lambda v, s: "no cloud")])
    assert finding.state is State.NOT_APPLICABLE and finding.args == {"reason": "no cloud"}


def test_findings_are_emitted_causes_first() -> None:
    seen: list[Event] = []
    made = (check("X1", gates=("X2",)), check("X2", scope=Scope.MESH))
    evaluate(facts("a"), ("a",), made, seen.append)
    assert [e.finding.identity for e in seen if isinstance(e, FindingChanged)] == [("X2", MESH), ("X1", OfCluster("a"))]


def test_clusters_are_judged_once_each_and_one_alone_has_no_pairs() -> None:
    made = (check("X1"), check("X2", scope=Scope.PAIR), check("X3", scope=Scope.DIRECTED))
    assert len(evaluate(facts("a"), ("a", "a"), made)) == 1
