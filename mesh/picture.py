"""From facts and findings to the picture of the mesh."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import Any, Final

from msgspec import structs

from mesh import catalogue as fact
from mesh.affinity import Affinity, affinity_of, is_global, is_shared, traffic_from
from mesh.facts import FactName, FactStore, Known, Unknown
from mesh.finding import Finding, State
from mesh.model.cilium import AgentHealth
from mesh.model.kubernetes import Service
from mesh.model.picture import ClusterBox, Health, Lane, Link, MeshPicture, NodeDot, Plane, ServiceLanes
from mesh.subject import OfCluster, OfPair, OfService, related

NOT_PROBED: Final = Plane(Health.UNKNOWN, text="not probed yet")
_OF_BOX: Final[tuple[FactName[Any], ...]] = (fact.VERSION, fact.NODES, fact.SETTINGS, fact.SERVICES)
_PATH_CODES = ("CM0403", "CM0404", "CM0405")


def picture_of(store: FactStore, clusters: Sequence[str], findings: Iterable[Finding] = ()) -> MeshPicture:
    """Draw nothing, decide everything: boxes, the health of every pair, and where each global service is served
    from.
    """
    found = tuple(findings)
    boxes = tuple(_box(store, cluster) for cluster in clusters)
    names = {box.key: box.name for box in boxes}
    links = tuple(_link(store, a, b, names, found) for a, b in combinations(clusters, 2))
    unread = tuple(key for key in clusters if not isinstance(store.get(fact.SERVICES, OfCluster(key)), Known))
    return MeshPicture(boxes, links, _services(store, clusters, links, frozenset(unread), found), unread)


def health_lags(picture: MeshPicture) -> bool:
    """Whether nothing but what cilium-health says, or not yet, keeps a link from being well: it is minutes late."""
    bad = (Health.DEGRADED, Health.DOWN)
    sick = any(link.health in bad and not link.only_health for link in picture.links)
    return not sick and any(_lags(link) for link in picture.links)


def settling(picture: MeshPicture) -> MeshPicture:
    """The picture soon after a join: where cilium-health alone troubles a link, how the link is, is not known yet."""
    return structs.replace(picture, links=tuple(_settling(link) if _lags(link) else link for link in picture.links))


def _lags(link: Link) -> bool:
    return link.only_health and (link.round_trip.health is not Health.UNKNOWN or link.round_trip == NOT_PROBED)


def _settling(link: Link) -> Link:
    plane = link.round_trip
    text = f"{plane.text} so far" if plane.total else plane.text
    return structs.replace(link, round_trip=structs.replace(plane, health=Health.UNKNOWN, text=text))


def _box(store: FactStore, cluster: str) -> ClusterBox:
    subject = OfCluster(cluster)
    told = store.get(fact.SETTINGS, subject)
    settings = told.value if isinstance(told, Known) else None
    context = store.value(fact.CONTEXT, subject)
    nodes = store.get(fact.NODES, subject)
    dots = tuple(NodeDot(node.name, node.ready) for node in nodes.value) if isinstance(nodes, Known) else ()
    return ClusterBox(
        cluster,
        settings.cluster_name if settings else "",
        settings.cluster_id if settings else 0,
        context.provider.cloud if context else "",
        settings.pod_cidrs if settings else (),
        dots,
        isinstance(store.get(fact.VERSION, subject), Known),
        isinstance(told, Known),
        tuple(dict.fromkeys(lift for _, lift in _lifts(store, cluster, *_OF_BOX))),
    )


def _lifts(store: FactStore, cluster: str, *names: FactName[Any]) -> tuple[tuple[str, str], ...]:
    """What would give those of a cluster's facts that are not known."""
    found = (store.get(name, OfCluster(cluster)) for name in names)
    return tuple((cluster, one.lift) for one in found if isinstance(one, Unknown) and one.lift)


def _link(store: FactStore, a: str, b: str, names: dict[str, str], findings: Sequence[Finding]) -> Link:
    pair = OfPair(a, b)
    causes = tuple(
        dict.fromkeys(
            f.code
            for f in findings
            if f.state is State.FAIL and isinstance(f.subject, OfPair) and related(f.subject, pair)
        )
    )
    return Link(
        a,
        b,
        _control(store, a, b),
        _control(store, b, a),
        _predicted(findings, a, b),
        _predicted(findings, b, a),
        _round_trip(store, a, b, names),
        causes,
    )


def _control(store: FactStore, reader: str, peer: str) -> Plane:
    """Agents of ``reader`` that have read ``peer``; not listed = not connected."""
    peers, settings = store.get(fact.PEERS, OfCluster(reader)), store.get(fact.SETTINGS, OfCluster(peer))
    if not isinstance(peers, Known):
        return Plane(Health.UNKNOWN, text="not read", lifts=_lifts(store, reader, fact.PEERS))
    listed = {entry.name for entry in peers.value or ()}
    if listed and not isinstance(settings, Known):
        lifts = _lifts(store, peer, fact.SETTINGS)
        return Plane(Health.UNKNOWN, text="peer's name not read", lifts=lifts)
    name = settings.value.cluster_name if isinstance(settings, Known) and settings.value else ""
    if not name or name not in listed:
        return Plane(Health.ABSENT, text="not connected")
    agents = store.get(fact.AGENTS, OfCluster(reader))
    if not isinstance(agents, Known):
        lifts = _lifts(store, reader, fact.AGENTS)
        return Plane(Health.UNKNOWN, text=f"agents {agents.reason.value}", lifts=lifts)
    total = len(agents.value)
    unread = sum(bool(agent.error) for agent in agents.value)
    good = sum(any(r.name == name and r.ready for r in agent.remotes) for agent in agents.value)
    return Plane(_share(good, total, unread), good, total, f"{good}/{total} agents")


def _share(good: int, total: int, unread: int = 0) -> Health:
    if not total or (good + unread == total and unread):
        return Health.UNKNOWN
    return Health.OK if good == total else Health.DEGRADED if good else Health.DOWN


def _predicted(findings: Sequence[Finding], source: str, target: str) -> Plane:
    """The static verdict of the rules from ``source`` to ``target``."""
    subject = OfPair(source, target, directed=True)
    found = [f for f in findings if f.code in _PATH_CODES and f.subject == subject]
    states = {f.code: f.state for f in found}
    if closed := [code for code, state in states.items() if state is State.FAIL]:
        return Plane(Health.DOWN, text=f"predicted closed ({closed[0]})")
    judged = [state for state in states.values() if state is not State.NOT_APPLICABLE]
    if not judged:
        return Plane(Health.NOT_JUDGED, text="not judged")
    if all(state in (State.PASS, State.INFO, State.WARN) for state in judged):
        return Plane(Health.OK, text="predicted open")
    lacks = [(item.key.subject.clusters(), item.lift) for f in found for item in f.missing if item.lift]
    lifts = tuple(dict.fromkeys((cluster, lift) for clusters, lift in lacks for cluster in clusters))
    return Plane(Health.UNKNOWN, text="not judged: not read", lifts=lifts)


def _round_trip(store: FactStore, a: str, b: str, names: dict[str, str]) -> Plane:
    """cilium-health between the two, both ways together: endpoints that answered of those probed."""
    good = total = 0
    known = False
    for reader, peer in ((a, b), (b, a)):
        health = store.get(fact.HEALTH, OfCluster(reader))
        if not isinstance(health, Known):
            continue
        known = True
        probed, answered = _probed(health.value, names[peer]) if names[peer] else (0, 0)
        total, good = total + probed, good + answered
    if not known:
        lifts = (*_lifts(store, a, fact.HEALTH), *_lifts(store, b, fact.HEALTH))
        return Plane(Health.UNKNOWN, text="not read", lifts=lifts)
    if not total:
        return NOT_PROBED
    return Plane(_share(good, total), good, total, f"endpoints {good}/{total}")


def _probed(agents: Iterable[AgentHealth], peer: str) -> tuple[int, int]:
    rows = [row for agent in agents for row in agent.peers if row.cluster == peer]
    states = [
        state
        for row in rows
        if (state := row.endpoint_http if row.endpoint_http is not None else row.endpoint_icmp) is not None
    ]
    return len(states), states.count("")


def _services(
    store: FactStore,
    clusters: Sequence[str],
    links: Iterable[Link],
    unread: AbstractSet[str],
    findings: Sequence[Finding],
) -> tuple[ServiceLanes, ...]:
    by_name: dict[tuple[str, str], dict[str, Service]] = {}
    linked: dict[str, set[str]] = {cluster: set() for cluster in clusters}
    for link in links:
        for reader, peer, plane in ((link.a, link.b, link.control_ab), (link.b, link.a, link.control_ba)):
            if plane.health is not Health.ABSENT:
                linked[reader].add(peer)
    for cluster in clusters:
        for service in store.value(fact.SERVICES, OfCluster(cluster)) or ():
            by_name.setdefault((service.namespace, service.name), {})[cluster] = service
    rows = []
    for (namespace, name), services in sorted(by_name.items()):
        if not any(is_global(service) for service in services.values()):
            continue
        subject = OfService(namespace, name)
        codes = tuple(
            dict.fromkeys(f.code for f in findings if f.subject == subject and f.state in (State.FAIL, State.WARN))
        )
        lanes = tuple(
            Lane(cluster, read=False) if cluster in unread else _lane(cluster, services, linked[cluster], unread)
            for cluster in clusters
        )
        rows.append(ServiceLanes(namespace, name, lanes, codes))
    return tuple(rows)


def lanes_of(store: FactStore, clusters: Sequence[str], namespace: str, name: str) -> ServiceLanes:
    """One global service as the facts have it; without lanes when no cluster's facts hold it."""
    found = (row for row in picture_of(store, clusters).services if (row.namespace, row.name) == (namespace, name))
    return next(found, ServiceLanes(namespace, name, ()))


def _lane(cluster: str, services: dict[str, Service], linked: AbstractSet[str], unread: AbstractSet[str]) -> Lane:
    service = services.get(cluster)
    if service is None:
        return Lane(cluster)
    used = traffic_from(cluster, services, linked)
    # With back-ends of its own and affinity local, what others have changes nothing.
    alone = not is_global(service) or (used.affinity is Affinity.LOCAL and used.local)
    return Lane(
        cluster,
        service.ready_endpoints,
        service.total_endpoints,
        affinity_of(service).value,
        is_global(service),
        is_shared(service),
        used.chosen,
        unread=() if alone else tuple(sorted(linked & unread)),
    )
