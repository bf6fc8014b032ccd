"""L3: no two things of the mesh have the same address: pods, nodes, networks, Services."""

from collections.abc import Callable, Iterable
from typing import Final

from mesh import catalogue as fact
from mesh.addresses import Ranges, free_block, meeting, overlap, relation, union
from mesh.facts import Known
from mesh.finding import Check, EvidenceRef, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.reach.footprint import Footprint, beyond, footprint, nodes, pods, services, takes_subnets
from mesh.subject import OfCluster, OfPair, Subject, pair
from mesh.view import NeedFact, View, in_force, settings_of, without_cilium

_POD_FACTS: Final = (fact.SETTINGS.name, fact.CILIUM_NODES.name, fact.NODES.name, fact.CLOUD_NETWORK.name)


def _needs_cilium(view: View, subject: Subject) -> str:
    return without_cilium(view, *subject.clusters())


class _Clash:
    """The first two ranges that overlap, in words and arguments."""

    def __init__(self, one: Footprint, owner: str, other: Footprint, other_owner: str, met: tuple[str, str]) -> None:
        self.args: dict[str, object] = {
            "range": met[0],
            "role": one.role(met[0]),
            "relation": relation(*met),
            "other": met[1],
            "other_role": other.role(met[1]),
            "owner": owner,
            "other_owner": other_owner,
        }


def _clash(one: Footprint, owner: str, other: Footprint, other_owner: str) -> _Clash | None:
    """The sets are compared first: they are merged once per run; texts are searched only where something overlaps."""
    if not overlap(one.addresses, other.addresses):
        return None
    met = meeting(one.cidrs, other.cidrs)
    return _Clash(one, owner, other, other_owner, met) if met else None


def _pods_apart(view: View, subject: Subject) -> Verdict:
    assert isinstance(subject, OfPair)
    left, right = pods(view, subject.source), pods(view, subject.target)
    shared = all(takes_subnets(settings_of(view, c)) for c in subject.clusters()) and _one_network(view, subject)
    found = None if shared else _clash(left, subject.source, right, subject.target)
    if found and shared is not None:
        return Verdict(State.FAIL, found.args, fixes=(_other_pool(view, subject.target),))
    _need(left, right)
    args: dict[str, object] = {"left": subject.source, "right": subject.target}
    return Verdict(State.PASS, args | {"left_pods": left.cidrs[:4], "right_pods": right.cidrs[:4]})


def _need(*prints: Footprint) -> None:
    missing = tuple(dict.fromkeys(item for one in prints for item in one.missing))
    if missing:
        raise NeedFact(missing)


def _other_pool(view: View, cluster: str) -> Fix:
    """Another pool for a cluster's pods: an edit of the plan, or values for a reinstall."""
    aside = view.aside()
    taken = union(*(_every(aside, other) for other in view.clusters))
    block = free_block(taken) or "CIDR"
    if not in_force(view, cluster):
        return Fix("choose-pool", f"choose {block} for the pods of {cluster} among the plan's choices", risk=Risk.NONE)
    commands = view.helm_upgrade(cluster, "--set", f"ipam.operator.clusterPoolIPv4PodCIDRList={{{block}}}")
    text = f"reinstall {cluster} with pool {block}: a range in use cannot be changed live"
    return Fix("other-pool", text, commands, Risk.DISRUPTIVE)


def _every(view: View, cluster: str) -> Ranges:
    return union(*(make(view, cluster).addresses for make in (pods, nodes)))


def _pods_off_networks(view: View, subject: Subject) -> Verdict:
    (cluster,) = subject.clusters()
    own = pods(view, cluster)
    within = takes_subnets(settings_of(view, cluster))
    missing: list[Missing] = list(own.missing)
    for other in (cluster, *view.others(cluster)):
        theirs = nodes(view, other)
        # Pods that take subnets lie in their own network on purpose, which another cluster may share.
        shared = within and (other == cluster or _one_network(view, pair(cluster, other)))
        found = None if shared or (within and theirs.missing) else _clash(own, cluster, theirs, other)
        if found:
            return Verdict(State.FAIL, found.args, fixes=(_other_pool(view, cluster),))
        missing += theirs.missing
    if missing:
        raise NeedFact(tuple(dict.fromkeys(missing)))
    found = _clash(own, cluster, beyond(view, cluster), cluster)
    if found:
        return Verdict(State.WARN, found.args, fixes=(_other_pool(view, cluster),))
    return Verdict(State.PASS, {"pods": own.cidrs[:4], "networks": len(view.clusters)})


def _services_apart(view: View, subject: Subject) -> Verdict:
    (cluster,) = subject.clusters()
    own = services(view, cluster)
    missing: list[Missing] = list(own.missing)
    makers: tuple[Callable[[View, str], Footprint], ...] = (pods, nodes)
    for other in (cluster, *view.others(cluster)):
        for make in makers:
            theirs = make(view, other)
            found = _clash(own, cluster, theirs, other)
            if found:
                at_fault = other if make is pods else cluster
                fix = _other_pool(view, at_fault) if make is pods else _other_services(cluster)
                return Verdict(State.FAIL, found.args, fixes=(fix,))
            missing += theirs.missing
    if missing:
        raise NeedFact(tuple(dict.fromkeys(missing)))
    if not own.ranges:
        return Verdict(State.NOT_APPLICABLE, {"reason": "the cluster has no Service with an address"})
    return Verdict(State.PASS, {"services": own.cidrs[:4], "networks": len(view.clusters)})


def _other_services(cluster: str) -> Fix:
    text = f"make {cluster} again with a Service range of its own: it cannot be changed later"
    return Fix("other-services", text, risk=Risk.IRREVERSIBLE, reversible=False)


def _nodes_apart(view: View, subject: Subject) -> Verdict:
    assert isinstance(subject, OfPair)
    a, b = subject.clusters()
    left, right = nodes(view, a), nodes(view, b)
    shared = _one_network(view, subject)
    ours, theirs = _hosts(view, a, shared), _hosts(view, b, shared)
    # A network counts as a whole only where it is known to be another than the other cluster's.
    found = _clash(ours, a, right if shared is False else theirs, b)
    found = found or _clash(theirs, b, left if shared is False else ours, a)
    if found:
        return Verdict(State.FAIL, found.args, fixes=(_readdress(a, b),))
    _need(left, right)
    found = None if shared else _clash(left, a, right, b)
    if found:
        return Verdict(State.WARN, found.args, fixes=(_readdress(a, b),))
    args: dict[str, object] = {"left": a, "right": b}
    if not ours.ranges or not theirs.ranges:
        looks = tuple(view.kubectl(cluster, "get", "nodes", "-o", "wide") for cluster in (a, b))
        fix = Fix("look", "look at the nodes: each needs an InternalIP", looks, Risk.NONE)
        return Verdict(State.UNKNOWN, args, "no-address", fixes=(fix,))
    args |= {"left_nodes": len(view.of(fact.NODES, a)), "right_nodes": len(view.of(fact.NODES, b))}
    return Verdict(State.PASS, args, notes=_networks(view, subject.clusters()))


def _one_network(view: View, subject: OfPair) -> bool | None:
    """Whether both clusters' nodes are in one VPC or VNet, whose prefixes they then share; None = not known."""
    ids = []
    for cluster in subject.clusters():
        got = view.known(fact.CLOUD_NETWORK, OfCluster(cluster))
        if not isinstance(got, Known):
            return None
        ids.append(got.value.id if got.value is not None else "")
    return bool(ids[0]) and ids[0] == ids[1]


def _hosts(view: View, cluster: str, shared: bool | None) -> Footprint:
    """Where nodes are: their addresses, and their subnets where both clusters are known not to share them."""
    whole, alone = nodes(view, cluster), shared is False
    roles = ("node ", "subnet of nodes") if alone else ("node ",)

    def build() -> Footprint:
        return footprint((item for item in whole.ranges if item.role.startswith(roles)), whole.missing)

    return view.once(("hosts", cluster, alone), build)


def _readdress(one: str, other: str) -> Fix:
    text = f"move {one} or {other} to a network of its own: overlapping networks cannot be routed to each other"
    return Fix("readdress", text, risk=Risk.IRREVERSIBLE, reversible=False)


def _networks(view: View, clusters: Iterable[str]) -> tuple[EvidenceRef, ...]:
    return tuple(
        view.note(fact.CLOUD_NETWORK, cluster, f"{cluster}: {', '.join(nodes(view, cluster).cidrs[:6])}")
        for cluster in clusters
    )


_CLASH: Final = "{role} {range} of {owner} {relation} {other_role} {other} of {other_owner}"

CHECKS: Final = (
    Check(
        code="CM0320",
        title="Pod ranges of two clusters do not overlap",
        layer=3,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=_POD_FACTS,
        gates=("CM0002", "CM0003"),
        applies=_needs_cilium,
        body=_pods_apart,
        texts={"PASS": "pods of {left} in {left_pods}, of {right} in {right_pods}", "FAIL": _CLASH},
        why="Two pods of one address: each cluster answers for itself, and no status says so.",
        docs=("cilium/network/clustermesh/setup", "cilium/network/concepts/ipam"),
    ),
    Check(
        code="CM0321",
        title="Pod ranges are off every node network",
        layer=3,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=_POD_FACTS,
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_pods_off_networks,
        texts={
            "PASS": "pods in {pods} lie in none of the networks of {networks:cluster}",
            "WARN": _CLASH,
            "FAIL": _CLASH,
        },
        why="What is sent to a node in the overlap goes to a pod instead, or nowhere.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0322",
        title="Service ranges meet no pods and no nodes",
        layer=3,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=(*_POD_FACTS, fact.SERVICES.name),
        gates=("CM0002",),
        causes=("CM0320", "CM0321"),
        applies=_needs_cilium,
        body=_services_apart,
        texts={
            "PASS": "Services in {services} meet no pods or nodes of {networks:cluster}",
            "FAIL": _CLASH,
        },
        why="A packet to a remote pod or node of such an address is taken for one to a local Service.",
        docs=("cilium/network/clustermesh/setup",),
    ),
    Check(
        code="CM0323",
        title="Nodes of two clusters have different addresses and networks",
        layer=3,
        scope=Scope.PAIR,
        severity=Severity.CRITICAL,
        inputs=(fact.NODES.name, fact.CLOUD_NETWORK.name),
        gates=("CM0002", "CM0003"),
        body=_nodes_apart,
        texts={
            "PASS": "{left_nodes:node} of {left} and {right_nodes:node} of {right} have addresses of their own",
            "WARN": _CLASH,
            "FAIL": _CLASH,
            "UNKNOWN.no-address": "{left} or {right} has no node with an address",
        },
        why="Routes to an overlapping network end at home: nodes cannot reach each other, whatever the rules allow.",
        docs=("cilium/network/clustermesh/setup", "cloud/overlapping-ranges"),
    ),
)
