"""Facts overlaid with a goal: only what is known to be absent becomes planned."""

import yaml

from mesh import catalogue as fact
from mesh.aim import overlay
from mesh.choose import default_goal
from mesh.engine import evaluate
from mesh.facts import Known, Origin, Reason, Unknown
from mesh.finding import State
from mesh.model.context import Provider
from mesh.problem import problems_of
from mesh.subject import OfCluster
from mesh.values import install_values
from tests.test_mesh.changes import A, T, without_rule
from tests.test_mesh.worlds import SHAPES


def test_absent_becomes_planned_and_in_force_stays() -> None:
    world = SHAPES["half"]()
    store = overlay(world.store(), world.goal, world.clusters)
    planned, kept = store.get(fact.SETTINGS, OfCluster(A)), store.get(fact.SETTINGS, OfCluster(T))
    assert isinstance(planned, Known) and planned.source.origin is Origin.PLANNED
    assert planned.value.cluster_id == 2 and planned.value.pod_cidrs == ("10.121.0.0/16",)
    assert kept == world.store().get(fact.SETTINGS, OfCluster(T))
    version = store.get(fact.CILIUM_VERSION, OfCluster(A))
    assert isinstance(version, Known) and version.source.origin is Origin.PLANNED and version.value == "1.15.1"
    assert store.value(fact.CONNECTION_GOAL, OfCluster(A)) == (T,)


def test_unknown_is_not_absent() -> None:
    world = SHAPES["fresh"]()
    world.lose(fact.SETTINGS, A, Reason.FORBIDDEN)
    assert isinstance(overlay(world.store(), world.goal, world.clusters).get(fact.SETTINGS, OfCluster(A)), Unknown)


def test_without_a_goal_nobody_aims_and_nothing_is_planned() -> None:
    world = SHAPES["fresh"]()
    store = overlay(world.store(), None, world.clusters)
    assert store.value(fact.CONNECTION_GOAL, OfCluster(A)) == ()
    assert store.get(fact.SETTINGS, OfCluster(A)) == world.store().get(fact.SETTINGS, OfCluster(A))
    states = {f.code: f.state for f in evaluate(store, world.clusters)}
    for code in ("CM0201", "CM0208", "CM0301", "CM0302", "CM0306", "CM0320", "CM0403", "CM0405", "CM0601", "CM0701"):
        assert states[code] is State.NOT_APPLICABLE, code


def test_two_absent_values_are_never_equal() -> None:
    world = SHAPES["fresh"]()
    world.goal = None
    passed = {f.code for f in evaluate(world.judged(), world.clusters) if f.state is State.PASS}
    assert not passed & {"CM0202", "CM0302", "CM0303", "CM0306", "CM0307", "CM0310", "CM0320", "CM0606", "CM0608"}


def test_the_plan_of_values_is_what_is_judged() -> None:
    """The chart writes what the overlay says it will."""
    world = SHAPES["fresh"]()
    goal = default_goal(world.store(), world.clusters)
    settings = overlay(world.store(), goal, world.clusters).value(fact.SETTINGS, OfCluster(T))
    member = goal.member(T)
    assert settings is not None and member is not None
    values = yaml.safe_load(yaml.safe_dump(install_values(goal, member, Provider.EKS, "h", 443)))
    assert settings.cluster_name == values["cluster"]["name"] and settings.cluster_id == values["cluster"]["id"]
    assert settings.routing_mode == values["routingMode"] and settings.tunnel_protocol == values["tunnelProtocol"]
    assert settings.ipam == values["ipam"]["mode"]
    assert list(settings.pod_cidrs) == values["ipam"]["operator"]["clusterPoolIPv4PodCIDRList"]
    assert settings.kube_proxy_replacement is (values["kubeProxyReplacement"] in (True, "true"))
    assert settings.max_connected_clusters == values["clustermesh"]["maxConnectedClusters"]


def test_a_procedure_not_begun_fails_only_for_the_rules_that_lack() -> None:
    """Nothing installed, a VPN that is up, no rule on the worker group: the rules are the only problems."""
    world = SHAPES["classic"]()
    for port in (8472, 4240, 8):
        without_rule(T, port)(world)
    goal = default_goal(world.store(), world.clusters)
    findings = evaluate(overlay(world.store(), goal, world.clusters), world.clusters)
    problems = problems_of(findings)
    assert [(p.root.code, str(p.root.subject)) for p in problems] == [
        ("CM0403", "aks-east → eks-tokyo"),
        ("CM0404", "aks-east → eks-tokyo"),
    ]
    assert all(fix.in_plan for p in problems for fix in p.root.fixes[:1])
    assert all(f.to_do for f in findings if f.state is State.INFO)
    assert {f.code for f in findings if f.to_do} == {"CM0201", "CM0208", "CM0405", "CM0601", "CM0608", "CM0701"}
