"""Run checks over facts: exactly one finding per check and subject, gates first, unknown never green (§2.3, §2.4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, permutations
from typing import Final

from msgspec import Struct

from mesh import catalogue
from mesh.addresses import AddressError
from mesh.checks import ALL_CHECKS
from mesh.events import Event, FindingChanged
from mesh.facts import FactKey, FactStore, Known, Reason
from mesh.finding import Check, Finding, Missing, Scope, State, Verdict
from mesh.model.kubernetes import Service
from mesh.subject import MESH, OfCluster, OfMesh, OfPair, OfService, Subject
from mesh.text import one_line
from mesh.view import NeedFact, Reading, View

SATISFIES: Final = frozenset((State.PASS, State.INFO, State.WARN, State.NOT_APPLICABLE))
_MESH_PREFIXES: Final = ("service.cilium.io/", "io.cilium/")


class Order(Struct, frozen=True):
    """Checks so that whatever one leans on comes before it, and which checks answer for a missing fact."""

    checks: tuple[Check, ...]
    answering: dict[str, tuple[str, ...]]


def sequence(checks: Iterable[Check]) -> Order:
    """Order checks by layer, and by their gates and causes within one.

    Raises ``ValueError`` for a code used twice, an edge to an unknown code or a higher layer, or a cycle.
    """
    by_code: dict[str, Check] = {}
    for check in checks:
        if check.code in by_code:
            raise ValueError(f"{check.code} is used twice")
        by_code[check.code] = check
    for check in by_code.values():
        for other in (*check.gates, *check.causes):
            if other not in by_code:
                raise ValueError(f"{check.code} leans on {other}, which does not exist")
            if by_code[other].layer > check.layer:
                raise ValueError(f"{check.code} of layer {check.layer} leans on {other} of a higher layer")
    graph = {code: sorted((*check.gates, *check.causes)) for code, check in sorted(by_code.items())}
    try:
        place = {code: number for number, code in enumerate(TopologicalSorter(graph).static_order())}
    except CycleError as error:
        raise ValueError(f"checks lean on each other in a circle: {' → '.join(error.args[1])}") from error
    ordered = sorted(by_code.values(), key=lambda check: (check.layer, place[check.code]))
    answering: dict[str, tuple[str, ...]] = {}
    for check in ordered:
        for name in check.answers_for:
            answering[name] = (*answering.get(name, ()), check.code)
    return Order(tuple(ordered), answering)


_ALL: Final = sequence(ALL_CHECKS)


def evaluate(
    store: FactStore,
    clusters: Sequence[str],
    checks: Iterable[Check] | None = None,
    emit: Callable[[Event], None] | None = None,
) -> tuple[Finding, ...]:
    """Judge the facts of these clusters: one finding per check and subject in its scope, by layer, code and subject.

    ``emit`` gets each finding as it is made, causes before what they cause. Never raises for what a check's body does.
    """
    order = _ALL if checks is None or checks is ALL_CHECKS else sequence(checks)
    run = _Run(store, tuple(sorted(set(clusters))), order)
    findings: list[Finding] = []
    for check in order.checks:
        for finding in run.of(check):
            findings.append(finding)
            if emit is not None:
                emit(FindingChanged(finding))
    findings.sort(key=lambda finding: (finding.layer, finding.code))
    return tuple(findings)


class _Run:
    """One evaluation: the facts as prepared, the subjects, and which findings do not satisfy a gate."""

    def __init__(self, store: FactStore, clusters: tuple[str, ...], order: Order) -> None:
        self.reading = Reading(store)
        self.clusters = clusters
        self.answering = order.answering
        self.unmet = Index()
        self.services, self.unlisted = _services(self.reading, clusters)
        self.subjects: dict[Scope, tuple[Subject, ...]] = {
            Scope.MESH: (MESH,),
            Scope.CLUSTER: tuple(OfCluster(cluster) for cluster in clusters),
            Scope.PAIR: tuple(OfPair(a, b) for a, b in combinations(clusters, 2)),
            Scope.DIRECTED: tuple(OfPair(a, b, directed=True) for a, b in permutations(clusters, 2)),
            Scope.SERVICE: self.services,
        }

    def of(self, check: Check) -> Iterator[Finding]:
        """Every finding of a check."""
        declared = frozenset((*check.inputs, *check.defeaters))
        for subject in self.subjects[check.scope]:
            yield self._note(self._judge(check, subject, declared))
        if check.scope is Scope.SERVICE and self.unlisted:
            # Services that were not read may be global: their findings must not be missed silently.
            unlisted = NeedFact(self.unlisted)
            yield self._note(self._gated(check, MESH) or self._unknown(check, MESH, unlisted, None))

    def _note(self, finding: Finding) -> Finding:
        if finding.state not in SATISFIES:
            self.unmet.add(finding)
        return finding

    def _judge(self, check: Check, subject: Subject, declared: frozenset[str]) -> Finding:
        blocked = self._gated(check, subject)
        if blocked is not None:
            return blocked
        view = View(self.reading, declared, self.clusters)
        try:
            reason = check.applies(view, subject) if check.applies is not None else ""
            verdict = Verdict(State.NOT_APPLICABLE, {"reason": reason}) if reason else check.body(view, subject)
        except NeedFact as need:
            return self._unknown(check, subject, need, view)
        except AddressError as error:
            return _made(check, subject, Verdict(State.UNKNOWN, {"detail": str(error)}, "invalid"), view)
        except Exception as error:  # a check that raises is a fault of ours and shown as such, the others stand
            detail = one_line(f"{type(error).__name__}: {error}", 200)
            return _made(check, subject, Verdict(State.ERROR, {"detail": detail}), view)
        return _made(check, subject, verdict, view)

    def _gated(self, check: Check, subject: Subject) -> Finding | None:
        if not check.gates or self.unmet.empty:
            return None
        found = [finding for gate in check.gates for finding in self.unmet.related(gate, subject)]
        if not found:
            return None
        return _blocked(check, subject, found)

    def _unknown(self, check: Check, subject: Subject, need: NeedFact, view: View | None) -> Finding:
        gates: list[Finding] = []
        for missing in need.missing:
            found = self._answering(check, missing) or self._elsewhere(check, missing)
            if not found:
                gates.clear()
                break
            gates += found
        if gates:
            return _blocked(check, subject, gates, need.missing)
        evidence = view.evidence if view else ()
        planned = view.rests_on_goal if view else False
        return Finding(
            check.code,
            subject,
            State.UNKNOWN,
            check.severity,
            check.layer,
            evidence=evidence,
            missing=need.missing,
            planned=planned,
        )

    def _answering(self, check: Check, missing: Missing) -> list[Finding]:
        """Unsatisfied findings that account for a missing fact.

        They do so where a right is lacking, where what would answer is down, and where they rest on the same fact.
        """
        return [
            finding
            for code in self.answering.get(missing.key.name, ())
            if code != check.code
            for finding in self.unmet.related(code, missing.key.subject)
            if missing.reason is Reason.FORBIDDEN
            or (missing.reason is Reason.UNREACHABLE and finding.state is State.FAIL)
            or any(item.key == missing.key for item in finding.missing)
            or any(quote.key == missing.key for quote in finding.evidence)
        ]

    def _elsewhere(self, check: Check, missing: Missing) -> list[Finding]:
        """The check's own gates where they are unmet for the cluster of a fact that is not the subject's own."""
        return [finding for gate in check.gates for finding in self.unmet.related(gate, missing.key.subject)]


def _services(reading: Reading, clusters: tuple[str, ...]) -> tuple[tuple[OfService, ...], tuple[Missing, ...]]:
    """Names of the Services that are global, or try to be, in any cluster; and the lists that could not be read."""
    names: set[OfService] = set()
    missing: list[Missing] = []
    for cluster in clusters:
        got = reading.entry(catalogue.SERVICES, OfCluster(cluster)).fact
        if isinstance(got, Known):
            names.update(OfService(item.namespace, item.name) for item in got.value if _of_mesh(item))
        else:
            key = FactKey(catalogue.SERVICES.name, OfCluster(cluster))
            missing.append(Missing(key, got.reason, got.detail, got.lift))
    return tuple(sorted(names)), tuple(missing)


def _of_mesh(service: Service) -> bool:
    return any(key.startswith(_MESH_PREFIXES) for key in service.annotations)


def _made(check: Check, subject: Subject, verdict: Verdict, view: View) -> Finding:
    return Finding(
        check.code,
        subject,
        verdict.state,
        check.severity,
        check.layer,
        verdict.args,
        verdict.variant,
        (*verdict.notes, *view.evidence) if verdict.notes else view.evidence,
        view.missing if verdict.state is State.UNKNOWN else (),
        (),
        verdict.fixes,
        view.rests_on_goal,
        verdict.to_do,
    )


def _blocked(check: Check, subject: Subject, gates: Sequence[Finding], missing: tuple[Missing, ...] = ()) -> Finding:
    by = tuple(sorted({finding.identity for finding in gates}, key=lambda item: (item[0], str(item[1]))))
    return Finding(check.code, subject, State.BLOCKED, check.severity, check.layer, missing=missing, blocked_by=by)


class _Shelf:
    """Findings of one code."""

    __slots__ = ("by_cluster", "by_pair", "every", "wide")

    def __init__(self) -> None:
        self.every: list[Finding] = []
        self.wide: list[Finding] = []
        self.by_cluster: dict[str, list[Finding]] = {}
        self.by_pair: dict[tuple[str, str], list[Finding]] = {}


class Index:
    """Looks up findings of a code that bear on a subject, as ``mesh.subject.related`` defines it.

    A mesh-wide finding whose arguments name ``clusters`` bears on those only.
    """

    __slots__ = ("_shelves",)

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._shelves: dict[str, _Shelf] = {}
        for finding in findings:
            self.add(finding)

    @property
    def empty(self) -> bool:
        """Whether there is no finding."""
        return not self._shelves

    def add(self, finding: Finding) -> None:
        """Put a finding on its shelf."""
        shelf = self._shelves.setdefault(finding.code, _Shelf())
        shelf.every.append(finding)
        subject = finding.subject
        if isinstance(subject, OfMesh | OfService):
            shelf.wide.append(finding)
        elif isinstance(subject, OfPair):
            shelf.by_pair.setdefault(_key(subject), []).append(finding)
        else:
            shelf.by_cluster.setdefault(subject.cluster, []).append(finding)

    def related(self, code: str, subject: Subject) -> list[Finding]:
        """The findings of that code that bear on the subject, in the order they were added within each kind."""
        shelf = self._shelves.get(code)
        if shelf is None:
            return []
        if isinstance(subject, OfMesh):
            return list(shelf.every)
        if isinstance(subject, OfService):
            return [item for item in shelf.every if not isinstance(item.subject, OfService) or item.subject == subject]
        clusters = subject.clusters()
        found = [item for item in shelf.wide if touches(item, clusters)]
        for cluster in clusters:
            found += shelf.by_cluster.get(cluster, ())
        if isinstance(subject, OfPair):
            found += (item for item in shelf.by_pair.get(_key(subject), ()) if _same_way(item.subject, subject))
        else:
            found += (item for key, items in shelf.by_pair.items() if subject.cluster in key for item in items)
        return found


def clusters_of(finding: Finding) -> tuple[str, ...]:
    """Keys of the clusters a finding is about: of its subject, else those its arguments name."""
    named = finding.subject.clusters()
    if named:
        return named
    told = finding.args.get("clusters", ())
    return tuple(told) if isinstance(told, tuple | list) else ()


def touches(finding: Finding, clusters: Iterable[str]) -> bool:
    """Whether the finding bears on any of the clusters; one that names none bears on all."""
    named = clusters_of(finding)
    return not named or bool(set(named) & set(clusters))


def _key(pair: OfPair) -> tuple[str, str]:
    return (pair.source, pair.target) if pair.source < pair.target else (pair.target, pair.source)


def _same_way(one: Subject, other: OfPair) -> bool:
    return not (isinstance(one, OfPair) and one.directed and other.directed) or one.source == other.source
