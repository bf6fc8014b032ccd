"""L3: who each cluster is in the mesh, and whether their datapaths are of one kind."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from mesh import catalogue as fact
from mesh.finding import Check, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.cilium import CiliumSettings
from mesh.subject import OfPair, Subject
from mesh.text import mesh_name
from mesh.view import NeedFact, View, attempt, settings_of, without_cilium

_NAME: Final = re.compile(r"([a-z0-9][-a-z0-9]*)?[a-z0-9]")
_LONGEST: Final = 32
_PORTS: Final = {"vxlan": 8472, "geneve": 6081}
_NOBODY: Final = "no cluster runs Cilium or shall"
_READS: Final = (fact.SETTINGS.name,)


def _needs_cilium(view: View, subject: Subject) -> str:
    return without_cilium(view, *subject.clusters())


def _set(view: View, cluster: str, text: str, *pairs: str, risk: Risk = Risk.DISRUPTIVE) -> Fix:
    """A change of Helm values; in a cluster that is only planned the plan's choices are edited instead."""
    if view.planned(fact.SETTINGS, cluster):
        return Fix("edit-choice", f"{text}: edit the plan's choices", risk=Risk.NONE)
    sets = tuple(word for pair in pairs for word in ("--set", pair))
    return Fix("helm-values", text, view.helm_upgrade(cluster, *sets), risk)


def _identity(cluster: str, members: dict[str, CiliumSettings]) -> tuple[str, str]:
    """Values that give a cluster a name and an id no known member has; what is good of its own stays."""
    own = members[cluster]
    others = [settings for key, settings in members.items() if key != cluster]
    names, ids = {one.cluster_name for one in others}, {one.cluster_id for one in others}
    number, name = own.cluster_id, own.cluster_name
    if not 1 <= number <= own.max_connected_clusters or number in ids:
        number = next(free for free in range(1, len(ids) + 2) if free not in ids)
    if not _good_name(name) or name in names:
        wanted = mesh_name(cluster)
        numbered = (f"{wanted[: _LONGEST - 4]}-{n}" for n in range(2, len(names) + 3))
        name = next(free for free in (wanted, *numbered) if free not in names)
    return f"cluster.name={name}", f"cluster.id={number}"


def _good_name(name: str) -> bool:
    return name != "default" and len(name) <= _LONGEST and bool(_NAME.fullmatch(name))


def _name(view: View, subject: Subject) -> Verdict:
    (cluster,) = subject.clusters()
    name = settings_of(view, cluster).cluster_name
    args: dict[str, object] = {"name": name}
    if _good_name(name):
        return Verdict(State.PASS, args)
    # The other members only help to choose a name: whether this one is valid does not rest on them.
    members = _known_settings(view.aside(), [])
    text = f"give {cluster} a name of its own, together with its id"
    fix = _set(view, cluster, text, *_identity(cluster, members))
    if name in ("", "default"):
        return Verdict(State.FAIL, args, "default", fixes=(fix,))
    if len(name) > _LONGEST:
        return Verdict(State.FAIL, args | {"length": len(name)}, "long", fixes=(fix,))
    return Verdict(State.FAIL, args, "form", fixes=(fix,))


def _known_settings(view: View, missing: list[Missing]) -> dict[str, CiliumSettings]:
    """Settings of every member that has or shall have Cilium; what is not known goes to ``missing``."""
    found = {cluster: attempt(partial(view.of, fact.SETTINGS, cluster), missing) for cluster in view.clusters}
    return {cluster: settings for cluster, settings in found.items() if settings is not None}


def _unique(view: View, subject: Subject) -> Verdict:
    missing: list[Missing] = []
    members = _known_settings(view, missing)
    problem = _id_problem(members)
    if problem is not None:
        clusters, args, variant = problem
        last = clusters[-1]
        fix = _set(view, last, f"give {last} an id and name of its own", *_identity(last, members))
        return Verdict(State.FAIL, args | {"clusters": clusters}, variant, fixes=(fix,))
    if missing:
        raise NeedFact(tuple(missing))
    if not members:
        return Verdict(State.NOT_APPLICABLE, {"reason": _NOBODY})
    ids = tuple(settings.cluster_id for settings in members.values())
    return Verdict(State.PASS, {"ids": ids, "clusters": tuple(members)})


def _id_problem(members: dict[str, CiliumSettings]) -> tuple[tuple[str, ...], dict[str, object], str] | None:
    """The clusters whose identity cannot be, what else there is to say of it, and which text says it."""
    unset = tuple(cluster for cluster, settings in members.items() if settings.cluster_id == 0)
    if unset:
        return unset, {}, "unset"
    for cluster, settings in members.items():
        if not 1 <= settings.cluster_id <= settings.max_connected_clusters:
            most = settings.max_connected_clusters
            return (cluster,), {"id": settings.cluster_id, "most": most}, "range"
    by_id = _shared(members, lambda settings: settings.cluster_id)
    if by_id:
        return by_id, {"id": members[by_id[0]].cluster_id}, "same-id"
    by_name = _shared(members, lambda settings: settings.cluster_name)
    if by_name:
        return by_name, {"name": members[by_name[0]].cluster_name}, "same-name"
    return None


def _shared(members: dict[str, CiliumSettings], key: Callable[[CiliumSettings], object]) -> tuple[str, ...]:
    """The first clusters, in order, that have the same value."""
    holders: dict[object, list[str]] = {}
    for cluster, settings in members.items():
        holders.setdefault(key(settings), []).append(cluster)
    return next((tuple(found) for found in holders.values() if len(found) > 1), ())


def _capacity(view: View, subject: Subject) -> Verdict:
    missing: list[Missing] = []
    members = _known_settings(view, missing)
    values = {cluster: settings.max_connected_clusters for cluster, settings in members.items()}
    for cluster, value in values.items():
        if value not in (255, 511):
            fix = _set(
                view, cluster, "set 255 or 511 when the cluster is installed", "clustermesh.maxConnectedClusters=255"
            )
            return Verdict(State.FAIL, {"clusters": (cluster,), "value": value}, "value", fixes=(fix,))
    if len(set(values.values())) > 1:
        low, high = (next(c for c, v in values.items() if v == number) for number in (255, 511))
        fix = _set(view, low, "reinstall one side with the other's value", "clustermesh.maxConnectedClusters=511")
        return Verdict(State.FAIL, {"clusters": (low, high)}, fixes=(fix,))
    if missing:
        raise NeedFact(tuple(missing))
    if len(values) < 2:
        return Verdict(State.NOT_APPLICABLE, {"reason": "fewer than two clusters run Cilium or shall"})
    return Verdict(State.PASS, {"value": next(iter(values.values())), "clusters": tuple(values)})


def _two(view: View, subject: Subject) -> tuple[CiliumSettings, CiliumSettings, dict[str, object]]:
    assert isinstance(subject, OfPair)
    args: dict[str, object] = {"left": subject.source, "right": subject.target}
    return settings_of(view, subject.source), settings_of(view, subject.target), args


def _routing(view: View, subject: Subject) -> Verdict:
    left, right, args = _two(view, subject)
    if left.routing_mode == right.routing_mode:
        return Verdict(State.PASS, args | {"mode": left.routing_mode})
    cluster = subject.clusters()[0] if right.routing_mode == "tunnel" else subject.clusters()[1]
    fix = _set(view, cluster, f"reinstall {cluster} with routing mode tunnel, node by node", "routingMode=tunnel")
    args |= {"left_mode": left.routing_mode, "right_mode": right.routing_mode}
    return Verdict(State.FAIL, args, fixes=(fix,))


def _needs_tunnels(view: View, subject: Subject) -> str:
    reason = _needs_cilium(view, subject)
    native = [c for c in subject.clusters() if not reason and settings_of(view, c).routing_mode != "tunnel"]
    return reason or (f"{native[0]} routes natively: it has no tunnel" if native else "")


def _tunnel(view: View, subject: Subject) -> Verdict:
    left, right, args = _two(view, subject)
    if left.tunnel_protocol != right.tunnel_protocol:
        cluster, kept = _odd(subject, left, right, left.tunnel_protocol == "vxlan")
        fix = _set(view, cluster, f"give {cluster} the other's protocol", f"tunnelProtocol={kept.tunnel_protocol}")
        args |= {"left_protocol": left.tunnel_protocol, "right_protocol": right.tunnel_protocol}
        return Verdict(State.FAIL, args, "protocol", fixes=(fix,))
    if left.tunnel_port != right.tunnel_port:
        cluster, kept = _odd(subject, left, right, left.tunnel_port == _PORTS.get(left.tunnel_protocol))
        fix = _set(view, cluster, f"give {cluster} the other's port", f"tunnelPort={kept.tunnel_port}")
        args |= {"left_port": left.tunnel_port, "right_port": right.tunnel_port}
        return Verdict(State.FAIL, args, "port", fixes=(fix,))
    return Verdict(State.PASS, args | {"protocol": left.tunnel_protocol, "port": left.tunnel_port})


def _odd(subject: Subject, left: CiliumSettings, right: CiliumSettings, usual: bool) -> tuple[str, CiliumSettings]:
    """The cluster to change and whose settings it gets: what is usual stays, for rules are open for it elsewhere."""
    one, other = subject.clusters()
    return (other, left) if usual else (one, right)


def _families(view: View, subject: Subject) -> Verdict:
    left, right, args = _two(view, subject)
    ours, theirs = _words(left), _words(right)
    if ours == theirs:
        return Verdict(State.PASS, args | {"families": ours})
    narrow = subject.clusters()[0] if len(ours) < len(theirs) else subject.clusters()[1]
    fix = _set(view, narrow, f"give {narrow} the families of the other", "ipv4.enabled=true", "ipv6.enabled=true")
    return Verdict(State.FAIL, args | {"left_families": ours, "right_families": theirs}, fixes=(fix,))


def _words(settings: CiliumSettings) -> tuple[str, ...]:
    return tuple(word for word, on in (("IPv4", settings.ipv4), ("IPv6", settings.ipv6)) if on)


CHECKS: Final = (
    Check(
        code="CM0301",
        title="The cluster name is set and valid",
        layer=3,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=_READS,
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_name,
        texts={
            "PASS": "cluster name {name}",
            "FAIL.default": "the cluster name is {name}: a mesh needs one of its own",
            "FAIL.long": "the cluster name {name} has {length} characters; 32 are allowed",
            "FAIL.form": "the cluster name {name} is not of a-z, 0-9 and inner dashes",
        },
        why="The name is part of identities, certificates and peer addresses; a live mesh does not survive its change.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0302",
        title="Cluster ids are set, in range and unique, names too",
        layer=3,
        scope=Scope.MESH,
        severity=Severity.CRITICAL,
        inputs=_READS,
        gates=("CM0002", "CM0003"),
        body=_unique,
        texts={
            "PASS": "cluster ids {ids} of {clusters} are unique, and so are the names",
            "FAIL.unset": "cluster id 0 in {clusters}: not part of a mesh",
            "FAIL.range": "cluster id {id} of {clusters} is not between 1 and {most}",
            "FAIL.same-id": "{clusters} have the same cluster id {id}",
            "FAIL.same-name": "{clusters} have the same cluster name {name}",
        },
        why="Identities carry the cluster id; two clusters of one id take each other's pods for their own.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0303",
        title="All clusters allow the same number of peers",
        layer=3,
        scope=Scope.MESH,
        severity=Severity.CRITICAL,
        inputs=_READS,
        gates=("CM0002",),
        body=_capacity,
        texts={
            "PASS": "max-connected-clusters is {value} in {clusters}",
            "FAIL": "max-connected-clusters differs: 255 and 511 in {clusters}",
            "FAIL.value": "max-connected-clusters of {clusters} is {value}; only 255 and 511 exist",
        },
        why="The value splits an identity into cluster and pod; agents of different values refuse each other.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0306",
        title="Both clusters route the same way",
        layer=3,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=_READS,
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_routing,
        texts={
            "PASS": "{left} and {right} both use routing mode {mode}",
            "FAIL": "routing mode {left_mode} in {left}, {right_mode} in {right}",
        },
        why="Tunnelled and native packets are not understood by the other side, while the control plane stays green.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0307",
        title="Both clusters use the same tunnel and port",
        layer=3,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=_READS,
        gates=("CM0002",),
        applies=_needs_tunnels,
        body=_tunnel,
        texts={
            "PASS": "{left} and {right} both use {protocol} on port {port}",
            "FAIL.protocol": "tunnel protocol {left_protocol} in {left}, {right_protocol} in {right}",
            "FAIL.port": "tunnel port {left_port} in {left}, {right_port} in {right}",
        },
        why="A sender uses its own protocol and port; the other side does not listen there, and nothing says so.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0310",
        title="Both clusters have the same address families",
        layer=3,
        scope=Scope.PAIR,
        severity=Severity.ERROR,
        inputs=_READS,
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_families,
        texts={
            "PASS": "{left} and {right} both use {families}",
            "FAIL": "{left} uses {left_families}, {right} uses {right_families}",
        },
        why="A Service of the missing family has an address but no back-end from the other cluster.",
        docs=("cilium/network/clustermesh/setup",),
    ),
)
