"""Facts judged as they will be: what is in force, overlaid with the goal of a join where nothing is there yet."""

from collections.abc import Sequence

from mesh import catalogue as fact
from mesh.facts import Fact, FactKey, FactStore, Known, Origin, Source
from mesh.goal import ClusterGoal, Goal
from mesh.model.cilium import CiliumSettings
from mesh.subject import MESH, OfCluster

_WHAT = "goal"


def overlay(store: FactStore, goal: Goal | None, clusters: Sequence[str]) -> FactStore:
    """The store with the goal's settings and versions where Cilium is known to be absent, marked as planned.

    What is in force stays, and what is unknown stays unknown. Members also get the other members as their aim; of
    ``clusters``, those that are no members aim at nobody, and without a goal none does.
    """
    now = store.value(fact.NOW, MESH) or 0.0
    planned: list[tuple[FactKey, Fact]] = []
    for cluster in clusters:
        subject = OfCluster(cluster)
        member = goal.member(cluster) if goal else None
        others = tuple(m.cluster for m in goal.members if m.cluster != cluster) if goal and member else ()
        source = Source(Origin.PLANNED, _WHAT, cluster)
        planned.append((FactKey(fact.CONNECTION_GOAL.name, subject), Known(others, source, now)))
        if goal is None or member is None:
            continue
        if _absent(store, fact.SETTINGS.name, subject):
            settings = Known(_settings(goal, member), source, now)
            planned.append((FactKey(fact.SETTINGS.name, subject), settings))
        if _absent(store, fact.CILIUM_VERSION.name, subject):
            planned.append((FactKey(fact.CILIUM_VERSION.name, subject), Known(member.version, source, now)))
    return store.put(planned)


def _absent(store: FactStore, name: str, subject: OfCluster) -> bool:
    """Known to be absent: unknown is not absent."""
    got = store.get(name, subject)
    return isinstance(got, Known) and got.value is None


def _settings(goal: Goal, member: ClusterGoal) -> CiliumSettings:
    """What the chart will write with the values of this goal (``mesh/values.py``)."""
    return CiliumSettings(
        cluster_name=member.name,
        cluster_id=member.cluster_id,
        max_connected_clusters=goal.max_connected_clusters,
        max_connected_explicit=True,
        routing_mode=goal.routing_mode,
        tunnel_protocol=goal.tunnel_protocol,
        tunnel_port=goal.tunnel_port,
        ipam="cluster-pool",
        pod_cidrs=member.pod_cidrs,
        pod_cidr_mask=member.mask_size,
        mtu=goal.mtu,
        kube_proxy_replacement=True,
        ipv4=True,
        ipv6=False,
        health_checking=True,
    )
