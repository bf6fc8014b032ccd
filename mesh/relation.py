"""Findings on shelves by code and by what they touch: those that bear on a subject are found without a search."""

from collections.abc import Iterable

from mesh.finding import Finding
from mesh.subject import OfMesh, OfPair, OfService, Subject


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
