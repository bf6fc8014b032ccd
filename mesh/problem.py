"""From findings to problems: the root first, its consequences folded, ranked (anchors-features §2.4, rules 7-9)."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mesh.checks import ALL_CHECKS
from mesh.engine import Index, clusters_of
from mesh.finding import Check, Finding, Problem, Severity, State
from mesh.subject import Subject

Identity = tuple[str, Subject]
# Failures first, then warnings, then what could not be determined, then faults of ours.
_GROUP: Final = {State.FAIL: 0, State.WARN: 1, State.UNKNOWN: 2, State.ERROR: 3, State.BLOCKED: 4}
_UNREAD: Final = frozenset((State.UNKNOWN, State.ERROR, State.BLOCKED))
_CONFIDENCE: Final = {"certain": 0, "likely": 1, "possible": 2}
_CLOUD_LAYER, _PROBE_LAYER = 4, 5


class Folding(Struct):
    """Which findings are roots, under which roots the others are folded, and which unread causes a root may have."""

    roots: dict[Identity, Finding]
    under: dict[Identity, tuple[Identity, ...]]
    possible: dict[Identity, tuple[Finding, ...]]


def problems_of(findings: Iterable[Finding], checks: Iterable[Check] = ALL_CHECKS) -> tuple[Problem, ...]:
    """Problems by rank: each a root with its consequences; BLOCKED and caused FAILs are folded, nothing is dropped."""
    found = tuple(findings)
    folding = fold(found, checks)
    by_identity = {finding.identity: finding for finding in found}
    consequences: dict[Identity, list[Finding]] = {identity: [] for identity in folding.roots}
    for identity, causes in folding.under.items():
        for cause in causes:
            consequences[cause].append(by_identity[identity])
    problems = []
    for identity, root in folding.roots.items():
        folded = tuple(sorted(consequences[identity], key=_place))
        possible = folding.possible.get(identity, ())
        problems.append(Problem(root, folded, possible, confidence(root, folded, possible)))
    problems.sort(key=_rank)
    return tuple(replace(problem, rank=number) for number, problem in enumerate(problems, 1))


def explained(findings: Iterable[Finding], checks: Iterable[Check] = ALL_CHECKS) -> int:
    """How many FAILs are consequences of others."""
    found = tuple(findings)
    under = fold(found, checks).under
    return sum(finding.state is State.FAIL and finding.identity in under for finding in found)


def also_explained_by(problems: Iterable[Problem]) -> dict[Identity, tuple[Finding, ...]]:
    """For each consequence that has several roots, all of them: it is listed under each and counted once."""
    roots: dict[Identity, list[Finding]] = {}
    for problem in problems:
        for finding in problem.consequences:
            roots.setdefault(finding.identity, []).append(problem.root)
    return {identity: tuple(found) for identity, found in roots.items() if len(found) > 1}


def fold(findings: tuple[Finding, ...], checks: Iterable[Check] = ALL_CHECKS) -> Folding:
    """Apply the root rule: a BLOCKED lies under the roots of its gates, a FAIL under failed causes, nothing else."""
    causes = {check.code: check.causes for check in checks}
    judged = [finding for finding in findings if finding.state in _GROUP]
    by_identity = {finding.identity: finding for finding in judged}
    failed = Index(finding for finding in judged if finding.state is State.FAIL)
    unread = Index(finding for finding in judged if finding.state in _UNREAD)
    folder = _Folder(by_identity, causes, failed)
    folding = Folding({}, {}, {})
    for finding in judged:
        identity = finding.identity
        roots = folder.roots(identity)
        if roots == (identity,):
            folding.roots[identity] = finding
            if finding.state is State.FAIL:
                related = (f for code in causes.get(finding.code, ()) for f in unread.related(code, finding.subject))
                folding.possible[identity] = tuple(related)
        else:
            folding.under[identity] = roots
    return folding


class _Folder:
    """Follows gates and causes to the earliest layer; both lead to lower or earlier checks, so it ends."""

    def __init__(self, findings: dict[Identity, Finding], causes: dict[str, tuple[str, ...]], failed: Index) -> None:
        self._findings = findings
        self._causes = causes
        self._failed = failed
        self._known: dict[Identity, tuple[Identity, ...]] = {}

    def roots(self, identity: Identity) -> tuple[Identity, ...]:
        """Identities of the roots of a finding; of a root, its own."""
        known = self._known.get(identity)
        if known is None:
            known = self._known[identity] = self._follow(self._findings[identity])
        return known

    def _follow(self, finding: Finding) -> tuple[Identity, ...]:
        if finding.state is State.BLOCKED:
            leads = [identity for identity in finding.blocked_by if identity in self._findings]
        elif finding.state is State.FAIL:
            related = (self._failed.related(code, finding.subject) for code in self._causes.get(finding.code, ()))
            leads = [cause.identity for found in related for cause in found]
        else:
            leads = []
        roots = dict.fromkeys(root for lead in leads for root in self.roots(lead))
        return tuple(roots) or (finding.identity,)


def confidence(root: Finding, consequences: tuple[Finding, ...], possible: tuple[Finding, ...] = ()) -> str:
    """``certain``: nothing else explains it and a gate, or prediction and probe together, tie its consequences to it.

    ``likely``: the tie is a cause only, or a cause of its own could not be read. ``possible``: the root is unread.
    """
    if root.state in _UNREAD:
        return "possible"
    if possible:
        return "likely"
    gates = any(root.identity in finding.blocked_by for finding in consequences)
    proven = root.layer == _CLOUD_LAYER and any(finding.layer == _PROBE_LAYER for finding in consequences)
    return "certain" if gates or proven or not consequences else "likely"


def _rank(problem: Problem) -> tuple[int, int, int, int, int, int, str, str]:
    root = problem.root
    severity = root.severity if root.state is State.FAIL else Severity.WARN
    touched = {cluster for finding in (root, *problem.consequences) for cluster in clusters_of(finding)}
    return (
        _GROUP[root.state],
        -severity,
        root.layer,
        -len(problem.consequences),
        -len(touched),
        _CONFIDENCE[problem.confidence],
        root.code,
        str(root.subject),
    )


def _place(finding: Finding) -> tuple[int, str, str]:
    return finding.layer, finding.code, str(finding.subject)
