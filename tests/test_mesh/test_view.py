"""What a check may see: declared facts, of an age, in three values, quoted as evidence."""

from collections.abc import Callable

import pytest

from mesh import catalogue as fact
from mesh.facts import FactKey, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.finding import Missing
from mesh.model.context import ContextRef, ServerVersion
from mesh.subject import OfCluster
from mesh.view import NeedFact, UndeclaredRead, View, all_of, any_of, judged_at, view_of

A, B = OfCluster("a"), OfCluster("b")
LIVE = Source(Origin.LIVE, "GET /version", "a")


def store(**facts: Known | Unknown) -> FactStore:
    return judged_at(FactStore({FactKey("version", OfCluster(key)): value for key, value in facts.items()}), 5000.0)


def version(at: float = 4000.0, source: Source = LIVE) -> Known:
    return Known(ServerVersion("v1.26.1"), source, at)


def look(facts: FactStore) -> View:
    return view_of(facts, ("version", "now"), ("a", "b"))


def test_known_facts_are_read_and_quoted() -> None:
    view = look(store(a=version()))
    assert view.fact(fact.VERSION, A).git_version == "v1.26.1"
    (quote,) = view.evidence
    assert (quote.excerpt, quote.source, quote.observed_at, quote.origin) == (
        "v1.26.1",
        "GET /version a",
        4000.0,
        Origin.LIVE,
    )
    assert view.used == {"version"} and not view.rests_on_goal


def test_unknown_leaves_as_need() -> None:
    lost = Unknown(Reason.FORBIDDEN, "403", "get /version")
    with pytest.raises(NeedFact) as raised:
        look(store(a=lost)).fact(fact.VERSION, A)
    assert raised.value.missing == (Missing(FactKey("version", A), Reason.FORBIDDEN, "403", "get /version"),)
    with pytest.raises(NeedFact) as raised:
        look(store()).every(fact.VERSION, ("a", "b"))
    assert [item.key.subject for item in raised.value.missing] == [A, B]
    assert look(store(a=lost)).known(fact.VERSION, A) == lost


def test_undeclared_reads_raise() -> None:
    view = look(store(a=version()))
    with pytest.raises(UndeclaredRead):
        view.fact(fact.NODES, A)
    with pytest.raises(UndeclaredRead):
        view.known(fact.NODES, A)


@pytest.mark.parametrize(("at", "fresh"), [(1400.0, True), (1399.0, False), (0.0, False), (9000.0, True)])
def test_facts_get_old(at: float, fresh: bool) -> None:
    got = look(store(a=version(at))).known(fact.VERSION, A)
    assert isinstance(got, Known) is fresh
    assert fresh or (isinstance(got, Unknown) and got.reason is Reason.STALE)


def test_without_a_time_nothing_that_ages_is_known() -> None:
    facts = FactStore(
        {FactKey("version", A): version(), FactKey("context", A): Known(ContextRef("a", "a", "f"), LIVE, 1.0)}
    )
    view = view_of(facts, ("version", "context"), ("a",))
    assert isinstance(view.known(fact.VERSION, A), Unknown) and isinstance(view.known(fact.CONTEXT, A), Known)


def test_planned_facts_do_not_age_and_are_told() -> None:
    view = look(store(a=version(0.0, Source(Origin.PLANNED, "goal"))))
    assert view.planned(fact.VERSION, "a") and view.rests_on_goal


def test_what_is_looked_up_aside_is_no_evidence() -> None:
    view = look(store(a=version()))
    assert view.aside().fact(fact.VERSION, A).git_version == "v1.26.1"
    assert view.evidence == () and view.used == frozenset()


def lack(name: str) -> Callable[[], bool]:
    def thunk() -> bool:
        raise NeedFact((Missing(FactKey(name, A), Reason.STALE),))

    return thunk


@pytest.mark.parametrize(
    ("thunks", "either", "every"),
    [((), False, True), ((True,), True, True), ((False,), False, False), ((True, False), True, False),
     ((None,), None, None), ((True, None), True, None), ((None, True), True, None), ((False, None), None, False),
     ((None, False), None, False), ((None, None), None, None)],
)  # fmt: skip
def test_kleene(thunks: tuple[bool | None, ...], either: bool | None, every: bool | None) -> None:
    def told(of: Callable[[list[Callable[[], bool]]], bool]) -> bool | None:
        made = [lack(f"f{n}") if value is None else (lambda value=value: value) for n, value in enumerate(thunks)]
        try:
            return of(made)
        except NeedFact as need:
            lacking.append(len(need.missing))
            return None

    lacking: list[int] = []
    assert (told(any_of), told(all_of)) == (either, every)
    assert set(lacking) <= {thunks.count(None)}


def test_commands_name_the_context_and_its_file_where_names_are_equal() -> None:
    one = ContextRef("admin (2)", "admin", "/x.yaml")
    facts = FactStore({FactKey("context", A): Known(one, LIVE, 0.0)})
    assert look(facts).kubectl("a", "get", "nodes").argv == (
        *("kubectl", "--kubeconfig", "/x.yaml", "--context", "admin", "get", "nodes"),
    )
    assert look(FactStore()).kubectl("b", "get", "nodes").argv == ("kubectl", "--context", "b", "get", "nodes")
