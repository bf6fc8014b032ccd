"""Plans of a join: the order of the procedure, only what is not so, and who must consent."""

from collections.abc import Sequence

import msgspec
import pytest

from mesh import catalogue as fact
from mesh.assess import Assessment, assess
from mesh.conditions import holds
from mesh.finding import Risk, Severity, State
from mesh.join import consent_needed, moved
from mesh.model.network import FirewallRule, VpnConnection
from mesh.plan import ConnectPeers, HelmApply, OpenRules, ParkDaemonSets, Plan, Step
from mesh.values import flatten
from tests.test_mesh.changes import A, cart, services
from tests.test_mesh.worlds import SHAPES, World


def judged(world: World) -> Assessment:
    return assess(world.store(), world.clusters)


def plan_of(world: World) -> Plan:
    return judged(world).plan(0.0)


def places(plan: Plan, *titles: str) -> list[int]:
    return [next(i for i, step in enumerate(plan.steps) if step.title.startswith(title)) for title in titles]


def closed(name: str = "classic") -> World:
    """As the shape, but the worker group of every EKS cluster lets nothing in from outside its VPC."""
    world = SHAPES[name]()

    def inside(rule: FirewallRule) -> bool:
        return rule.direction == "out" or not rule.sources

    for cluster in world.clusters:
        if cluster.startswith("eks"):
            world.rules(cluster, inside)
    return world


def test_the_order_is_the_procedures() -> None:
    plan = plan_of(closed())
    order = places(
        plan, "check the VPN", "open 8472/udp", "place one CA", "park aws-node", "install Cilium", "restart pods",
        "wait for private", "open the mesh path", "connect both ways", "prove",
    )  # fmt: skip
    assert order == sorted(order)
    assert not plan.blockers


def test_the_vpn_is_checked_towards_every_member() -> None:
    world = SHAPES["three"]()
    here, near, far = world.clusters

    def to(cluster: str, tunnels: int) -> VpnConnection:
        return VpnConnection(
            f"{cluster}-{tunnels}", "available", tunnels, 2, world.get(fact.CLOUD_NETWORK, cluster).prefixes
        )

    def told(*connections: VpnConnection) -> tuple[bool, tuple[bool | None, str]]:
        world.put(fact.VPN, here, connections)
        step = plan_of(world).step("vpn")
        return step.already, holds(step.until[0], world.store())

    assert told(to(near, 1), to(far, 0)) == (False, (False, f"no tunnel of {here} to {far} is up"))
    assert told(to(near, 0), to(far, 0)) == (False, (False, f"no tunnel of {here} is up"))
    assert told(to(near, 1), to(far, 0), to(far, 2)) == (True, (True, "tunnels up")), "one of two ways is enough"
    assert told(VpnConnection("bgp", "available", 2, 2))[0], "what names no network is not taken for missing"


def test_needs_point_backwards_only() -> None:
    for make in SHAPES.values():
        plan = plan_of(make())
        seen: set[str] = set()
        for step in plan.steps:
            assert set(step.needs) <= seen, (step.id, step.needs)
            assert step.id not in seen
            seen.add(step.id)


@pytest.mark.parametrize("name", [name for name, make in SHAPES.items() if make().connected and make().goal is None])
def test_a_healthy_mesh_needs_nothing(name: str) -> None:
    world = SHAPES[name]()
    plan = plan_of(world)
    connected = all(world.get(fact.PEERS, cluster) for cluster in world.clusters)
    if connected and len(world.clusters) > 1:
        assert [step.title for step in plan.todo()] == []


def test_rules_are_opened_only_where_they_lack_and_for_the_peers_nodes_alone() -> None:
    plan = plan_of(closed())
    todo = [effect for step in plan.todo() for effect in step.effects if isinstance(effect, OpenRules)]
    assert {effect.cluster for effect in todo} == {"eks-tokyo"}
    rules = [rule for effect in todo for rule in effect.rules]
    assert {(rule.protocol, rule.from_port) for rule in rules} == {("udp", 8472), ("tcp", 4240), ("icmp", 8)}
    networks = closed().get(fact.CLOUD_NETWORK, "aks-east")
    assert {source for rule in rules for source in rule.sources} == set(networks.node_subnets)


def test_values_say_what_both_sides_must_agree_on() -> None:
    plan = plan_of(closed())
    helm = {
        effect.cluster: flatten(effect.values)
        for step in plan.steps
        for effect in step.effects
        if isinstance(effect, HelmApply)
    }
    eks, aks = helm["eks-tokyo"], helm["aks-east"]
    for key in (
        "routingMode",
        "tunnelProtocol",
        "MTU",
        "kubeProxyReplacement",
        "ipam.mode",
        "clustermesh.maxConnectedClusters",
    ):
        assert eks[key] == aks[key], key
    assert eks["cluster.id"] != aks["cluster.id"] and eks["cluster.name"] != aks["cluster.name"]
    pools = "ipam.operator.clusterPoolIPv4PodCIDRList"
    assert not set(eks[pools]) & set(aks[pools])
    assert aks["aksbyocni.enabled"] is True and "aksbyocni.enabled" not in eks
    assert eks["eni.enabled"] is False
    assert "://" not in eks["k8sServiceHost"] and eks["k8sServiceHost"]


def test_no_plan_holds_key_material() -> None:
    for make in SHAPES.values():
        text = msgspec.json.encode(plan_of(make())).decode()
        assert "PRIVATE KEY" not in text and "tls.ca.key" not in text and '"ca.key"' not in text


def test_disruptive_steps_name_their_cluster_for_consent() -> None:
    plan = plan_of(closed())
    assert consent_needed(plan)[0] == "eks-tokyo"
    assert all(step.consequence for step in plan.todo() if step.risk is Risk.DISRUPTIVE)


def test_every_step_says_why_and_how_it_is_undone() -> None:
    for make in SHAPES.values():
        for step in plan_of(make()).steps:
            assert step.why.endswith(".") or step.why.endswith(")."), step.id
            assert step.undo, step.id
            assert step.deadline > 0 and step.usual > 0


def test_parking_names_only_what_runs() -> None:
    plan = plan_of(closed())
    parked = {e.cluster: e.names for step in plan.steps for e in step.effects if isinstance(e, ParkDaemonSets)}
    assert parked["eks-tokyo"] == ("aws-node", "kube-proxy")


def test_owners_that_reconcile_are_refused() -> None:
    plan = plan_of(SHAPES["argo"]())
    assert [(blocker.code, blocker.refuses) for blocker in plan.blockers] == [("CM0205", True)]


def test_what_only_warns_stops_no_join() -> None:
    """A Service that is global on one side alone is its owner's matter, and no reason to leave a rule missing."""
    world = closed("connected")
    services(A, cart())(world)
    made = judged(world)
    assert [(one.code, one.severity) for one in made.findings if one.code == "CM0801" and one.state is State.FAIL] == [
        ("CM0801", Severity.WARN)
    ]
    plan = made.plan(0.0)
    assert plan.blockers == () and plan.todo()[0].id.startswith("rules.")


def test_three_clusters_connect_all_ways() -> None:
    world = SHAPES["three"]()
    for cluster in world.clusters:
        world.put(fact.PEERS, cluster, ())
    step = next(step for step in plan_of(world).todo() if isinstance(step.effects[0], ConnectPeers))
    assert step.title == "connect all ways" and set(step.clusters) == set(world.clusters)
    assert "--connection-mode" in step.same_as[0].argv


def test_a_fact_that_moves_makes_the_plan_stale() -> None:
    world = closed()
    plan = plan_of(world)
    assert moved(plan, world.store()) == ()
    world.put(fact.SETTINGS, "aks-east", SHAPES["connected"]().get(fact.SETTINGS, "aks-east"))
    assert [key for key in moved(plan, world.store()) if "cilium.settings" in key]


def test_plans_survive_being_kept(tmp_path: object) -> None:
    plan = plan_of(closed())
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert [step.id for step in again.steps] == [step.id for step in plan.steps]
    assert again.fingerprints == plan.fingerprints


def titles(steps: Sequence[Step]) -> list[str]:
    return [step.title for step in steps]


@pytest.mark.parametrize("shuffle", [("aks-east", "eks-tokyo"), ("eks-tokyo", "aks-east")])
def test_the_first_member_is_the_one_named_first(shuffle: tuple[str, ...]) -> None:
    plan = assess(closed().store(), shuffle).plan(0.0)
    assert plan.title == f"Join {shuffle[0]} and {shuffle[1]}"
    assert titles(plan.steps).count("connect both ways") == 1
