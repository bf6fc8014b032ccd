"""What a check may see: facts of judged age, every read recorded, undeclared reads refused (anchors-features §2.4)."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from mesh import catalogue
from mesh.excerpt import LIMIT, excerpt
from mesh.facts import Fact, FactKey, FactName, FactStore, Known, Origin, Reason, Source, Unknown, V
from mesh.finding import Command, EvidenceRef, Missing
from mesh.model.cilium import CiliumSettings
from mesh.model.context import ContextRef
from mesh.model.network import CloudIdentity
from mesh.releases import CHART_REPOSITORY
from mesh.subject import MESH, OfCluster, Subject
from mesh.text import one_line


class NeedFact(Exception):
    """A verdict needs facts that are not known; ``missing`` says which and what would give them."""

    def __init__(self, missing: tuple[Missing, ...]) -> None:
        super().__init__(", ".join(str(item.key) for item in missing))
        self.missing = missing


class UndeclaredRead(LookupError):
    """A check read a fact that it does not declare: a mistake in the check."""


class Entry(Struct, frozen=True):
    """A fact as judged at the time of the run, with the evidence that quotes it."""

    fact: Fact
    evidence: EvidenceRef | None


class Reading:
    """A store prepared for one run: the age of every fact judged against ``now``, each fact quoted once.

    ``shared`` keeps what several bodies derive from the same facts, so that cost does not grow with the pairs.
    """

    __slots__ = ("_entries", "_store", "now", "shared")

    def __init__(self, store: FactStore) -> None:
        self._store = store
        self._entries: dict[tuple[str, Subject], Entry] = {}
        self.now = store.get(catalogue.NOW, MESH)
        self.shared: dict[Any, Any] = {}

    def entry(self, name: FactName[Any], subject: Subject) -> Entry:
        """The fact of that name, or ``Unknown``: not collected, too old, or of an age that cannot be told."""
        place = (name.name, subject)
        found = self._entries.get(place)
        if found is None:
            found = self._entries[place] = self._judge(name, subject)
        return found

    def _judge(self, name: FactName[Any], subject: Subject) -> Entry:
        fact = self._store.get(name, subject)
        if not isinstance(fact, Known):
            return Entry(fact, None)
        if name.max_age is not None and fact.source.origin is not Origin.PLANNED:
            if not isinstance(self.now, Known):
                detail = "the time of judging is not known"
                return Entry(Unknown(Reason.STALE, detail, "read the facts again", fact.source), None)
            age = self.now.value - fact.observed_at
            if age > name.max_age:
                detail = f"read {age:.0f} s ago, good for {name.max_age:.0f} s"
                return Entry(Unknown(Reason.STALE, detail, "read the facts again", fact.source), None)
        key = FactKey(name.name, subject)
        quote = excerpt(name.name, fact.value)
        return Entry(fact, EvidenceRef(key, quote, str(fact.source), fact.observed_at, fact.source.origin))


class View:
    """The facts one check may read, for one subject.

    Raises ``UndeclaredRead`` for facts outside ``declared``, and ``NeedFact`` where a value is asked for and not known.
    """

    __slots__ = ("_declared", "_reading", "_used", "clusters")

    def __init__(self, reading: Reading, declared: frozenset[str], clusters: tuple[str, ...]) -> None:
        self._reading = reading
        self._declared = declared
        self._used: dict[tuple[str, Subject], Entry] = {}
        self.clusters = clusters

    def fact(self, name: FactName[V], subject: Subject) -> V:
        """The value. Raises ``NeedFact`` when it is not known or too old."""
        fact = self.known(name, subject)
        if isinstance(fact, Known):
            value: V = fact.value
            return value
        raise NeedFact((_missing(name, subject, fact),))

    def of(self, name: FactName[V], cluster: str) -> V:
        """The value of a cluster's fact. Raises ``NeedFact``."""
        return self.fact(name, OfCluster(cluster))

    def every(self, name: FactName[V], clusters: Iterable[str]) -> dict[str, V]:
        """The values of several clusters. Raises ``NeedFact`` with all that are missing, not just the first."""
        found: dict[str, V] = {}
        missing: list[Missing] = []
        for cluster in clusters:
            try:
                found[cluster] = self.of(name, cluster)
            except NeedFact as need:
                missing += need.missing
        if missing:
            raise NeedFact(tuple(missing))
        return found

    def known(self, name: FactName[Any], subject: Subject) -> Fact:
        """The fact as it is, known or not: for defeaters and for what only adds to a message, never to reach a PASS."""
        if name.name not in self._declared:
            raise UndeclaredRead(f"{name.name} is not among the declared inputs")
        entry = self._reading.entry(name, subject)
        self._used[(name.name, subject)] = entry
        return entry.fact

    def planned(self, name: FactName[Any], cluster: str) -> bool:
        """Whether this fact is what the goal will make of the cluster, not what is in force."""
        fact = self.known(name, OfCluster(cluster))
        return isinstance(fact, Known) and fact.source.origin is Origin.PLANNED

    def goal(self, cluster: str) -> tuple[str, ...]:
        """Keys of the clusters this one shall be joined with; empty when no goal is set."""
        fact = self.known(catalogue.CONNECTION_GOAL, OfCluster(cluster))
        return tuple(fact.value) if isinstance(fact, Known) else ()

    def now(self) -> float:
        """The time of judging, epoch seconds. Raises ``NeedFact``."""
        return self.fact(catalogue.NOW, MESH)

    def aside(self) -> "View":
        """A view of the same facts whose reads are no evidence: for what a remedy looks up, never for a verdict."""
        return View(self._reading, self._declared, self.clusters)

    def context(self, cluster: str) -> ContextRef:
        """The context of a cluster, for commands; a name is no evidence, so reading it needs no declaration."""
        fact = self._reading.entry(catalogue.CONTEXT, OfCluster(cluster)).fact
        return fact.value if isinstance(fact, Known) else ContextRef(cluster, cluster, "")

    def kubectl(self, cluster: str, *words: str) -> Command:
        """A kubectl command against this cluster, as a person would type it."""
        ref = self.context(cluster)
        return Command(("kubectl", *_file(ref), "--context", ref.context, *words), cluster)

    def helm(self, cluster: str, *words: str) -> Command:
        """A helm command against this cluster, as a person would type it."""
        ref = self.context(cluster)
        return Command(("helm", *_file(ref), "--kube-context", ref.context, *words), cluster)

    def helm_upgrade(self, cluster: str, *words: str, version: str = "") -> tuple[Command, ...]:
        """The command that changes values of Cilium's release and nothing else: the chart stays the one in force.

        None where there is no release to change, or the chart in force is not known: helm would take the newest.
        """
        subject = OfCluster(cluster)
        release = self._reading.entry(catalogue.HELM, subject).fact
        running = self._reading.entry(catalogue.CILIUM_VERSION, subject).fact
        name, namespace, chart = "cilium", "kube-system", version
        if isinstance(release, Known):
            if release.value is None:
                return ()
            name, namespace = release.value.name, release.value.namespace
            chart = chart or release.value.chart_version
        chart = chart or (running.value or "" if isinstance(running, Known) else "")
        if not chart:
            return ()
        source = ("cilium", "--repo", CHART_REPOSITORY, "--version", chart)
        place = ("-n", namespace, "upgrade", name, *source, "--reset-then-reuse-values")
        return (self.helm(cluster, *place, *words),)

    def listed_by(self, cluster: str) -> tuple[str, ...]:
        """The members that are known to list this one as a peer, for commands; as with ``context``, no evidence."""
        settings = self._reading.entry(catalogue.SETTINGS, OfCluster(cluster)).fact
        if not isinstance(settings, Known) or settings.value is None:
            return ()
        entries = {one: self._reading.entry(catalogue.PEERS, OfCluster(one)).fact for one in self.others(cluster)}
        return tuple(
            one
            for one, found in entries.items()
            if isinstance(found, Known)
            and any(entry.name == settings.value.cluster_name for entry in found.value or ())
        )

    def connect(self, cluster: str, peer: str) -> Command:
        """The command that makes each of two clusters a peer of the other."""
        one, other = self.context(cluster).context, self.context(peer).context
        return Command(("cilium", "clustermesh", "connect", "--context", one, "--destination-context", other), cluster)

    def cloud(self, cluster: str) -> CloudIdentity | None:
        """Where the cluster is in its cloud, for commands; as with ``context``, no evidence."""
        fact = self._reading.entry(catalogue.CLOUD, OfCluster(cluster)).fact
        return fact.value if isinstance(fact, Known) else None

    def note(self, name: FactName[Any], cluster: str, text: str, state: str = "") -> EvidenceRef:
        """A line of evidence in the check's own words, with source and age of the fact it was read from."""
        subject = OfCluster(cluster)
        fact = self._reading.entry(name, subject).fact
        key = FactKey(name.name, subject)
        if not isinstance(fact, Known):
            return EvidenceRef(key, one_line(text, LIMIT), state=state)
        source = fact.source
        return EvidenceRef(key, one_line(text, LIMIT), str(source), fact.observed_at, source.origin, state)

    def others(self, cluster: str) -> tuple[str, ...]:
        """All members but this one."""
        return tuple(other for other in self.clusters if other != cluster)

    def once(self, key: tuple[Any, ...], make: Callable[[], V]) -> V:
        """What ``make`` yields, computed once per run for ``key``; it must depend on nothing but the key's facts."""
        shared = self._reading.shared
        if key not in shared:
            shared[key] = make()
        value: V = shared[key]
        return value

    @property
    def evidence(self) -> tuple[EvidenceRef, ...]:
        """A quotation of every known fact read so far, in the order of reading."""
        return tuple(entry.evidence for entry in self._used.values() if entry.evidence is not None)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Every fact that was looked at and is not known."""
        return tuple(
            Missing(FactKey(name, subject), entry.fact.reason, entry.fact.detail, entry.fact.lift)
            for (name, subject), entry in self._used.items()
            if isinstance(entry.fact, Unknown)
        )

    @property
    def rests_on_goal(self) -> bool:
        """Whether any fact read is what the goal will make so; the aim itself is not one of them."""
        return any(
            entry.evidence is not None and entry.evidence.origin is Origin.PLANNED
            for (name, _), entry in self._used.items()
            if name != catalogue.CONNECTION_GOAL.name
        )

    @property
    def used(self) -> frozenset[str]:
        """Names of the facts read so far."""
        return frozenset(name for name, _ in self._used)


def view_of(
    store: FactStore, inputs: Iterable[str], clusters: Iterable[str] = (), defeaters: Iterable[str] = ()
) -> View:
    """A view over a store outside a run, as a test or a screen takes one."""
    return View(Reading(store), frozenset((*inputs, *defeaters)), tuple(clusters) or store.clusters())


def judged_at(store: FactStore, now: float, where: str = "") -> FactStore:
    """The store with the time at which its facts are judged (epoch seconds), which ages are measured against."""
    fact = Known(now, Source(Origin.LIVE, "clock", where), now)
    return store.put([(FactKey(catalogue.NOW.name, MESH), fact)])


def any_of(thunks: Iterable[Callable[[], bool]]) -> bool:
    """Kleene "or": one True decides; else what is not known is raised as one ``NeedFact``."""
    return _kleene(thunks, decisive=True)


def all_of(thunks: Iterable[Callable[[], bool]]) -> bool:
    """Kleene "and": one False decides; else what is not known is raised as one ``NeedFact``."""
    return _kleene(thunks, decisive=False)


def _kleene(thunks: Iterable[Callable[[], bool]], decisive: bool) -> bool:
    missing: dict[FactKey, Missing] = {}
    for thunk in thunks:
        try:
            if thunk() is decisive:
                return decisive
        except NeedFact as need:
            missing.update((item.key, item) for item in need.missing)
    if missing:
        raise NeedFact(tuple(missing.values()))
    return not decisive


def without_cilium(view: View, *clusters: str) -> str:
    """Why a check of Cilium's settings does not apply: Cilium is absent and no goal is set. Raises ``NeedFact``."""
    absent = [cluster for cluster, settings in view.every(catalogue.SETTINGS, clusters).items() if settings is None]
    return f"Cilium is not installed in {', '.join(absent)} and no join is planned" if absent else ""


def settings_of(view: View, cluster: str) -> CiliumSettings:
    """Cilium's settings, in force or planned, where ``without_cilium`` was asked before. Raises ``NeedFact``."""
    settings = view.of(catalogue.SETTINGS, cluster)
    if settings is None:
        raise LookupError(f"Cilium is not installed in {cluster}")
    return settings


def in_force(view: View, cluster: str) -> bool:
    """Whether Cilium runs in the cluster now, not only by plan. Raises ``NeedFact``."""
    return view.of(catalogue.SETTINGS, cluster) is not None and not view.planned(catalogue.SETTINGS, cluster)


def attempt(thunk: Callable[[], V], missing: list[Missing]) -> V | None:
    """What the thunk yields, or None with what it needs noted: for verdicts that one part alone may decide."""
    try:
        return thunk()
    except NeedFact as need:
        missing += need.missing
        return None


def _file(ref: ContextRef) -> tuple[str, ...]:
    """The flag that names the context's file, needed where its name stands in several."""
    return ("--kubeconfig", ref.file) if ref.file and ref.key != ref.context and ref.key.endswith(")") else ()


def _missing(name: FactName[Any], subject: Subject, fact: Unknown) -> Missing:
    return Missing(FactKey(name.name, subject), fact.reason, fact.detail, fact.lift)
