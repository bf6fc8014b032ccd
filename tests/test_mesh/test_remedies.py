"""Remedies do what they say: with the rules of a fix in place, the finding is gone."""

import pytest
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.engine import evaluate
from mesh.facts import FactStore
from mesh.finding import Finding, Opening, State
from mesh.model.context import Right
from mesh.model.kubernetes import HelmRelease
from mesh.model.network import FirewallGroup
from mesh.subject import MESH, OfCluster
from tests.test_mesh.changes import (
    BOTH,
    INTO_AKS,
    INTO_EKS,
    A,
    Change,
    T,
    both,
    closed_outbound,
    denied,
    denied_by_nsg,
    leaf,
    only_hosts,
    pods,
    unknown_to_gateway,
    without_balancer_rule,
    without_rule,
)
from tests.test_mesh.members import NOW
from tests.test_mesh.worlds import SHAPES, World


def judge(world: World, code: str) -> dict[object, Finding]:
    return {f.subject: f for f in evaluate(world.judged(), world.clusters) if f.code == code}


def opened(groups: tuple[FirewallGroup, ...], openings: list[Opening]) -> tuple[FirewallGroup, ...]:
    return tuple(
        replace(
            group,
            rules=(
                *group.rules,
                *(replace(o.rule, id=f"new-{n}") for n, o in enumerate(openings) if o.group == group.id),
            ),
        )
        for group in groups
    )


def carry_out(world: World, openings: tuple[Opening, ...]) -> None:
    for cluster in world.clusters:
        here = [opening for opening in openings if opening.cluster == cluster]
        firewall = world.get(fact.FIREWALL, cluster)
        if firewall is not None:
            world.put(fact.FIREWALL, cluster, replace(firewall, groups=opened(firewall.groups, here)))
        balancer = world.get(fact.LOAD_BALANCER, cluster)
        if balancer is not None:
            world.put(fact.LOAD_BALANCER, cluster, replace(balancer, groups=opened(balancer.groups, here)))


BROKEN: dict[str, tuple[str, str, Change]] = {
    "tunnel in": ("CM0403", "connected", without_rule(T, 8472)),
    "tunnel in, planned": ("CM0403", "fresh", without_rule(T, 8472)),
    "tunnel in, of three": ("CM0403", "three", without_rule(T, 8472)),
    "tunnel out": ("CM0403", "connected", closed_outbound),
    "tunnel, both ends": (
        "CM0403",
        "two-eks",
        both(lambda w: w.rules("eks-osaka", lambda r: r.direction == "in"), closed_outbound),
    ),
    "tunnel, denied by an NSG": ("CM0403", "connected", denied_by_nsg),
    "geneve": ("CM0403", "geneve-dual", without_rule(T, 6081)),
    "health": ("CM0404", "connected", both(without_rule(T, 4240), without_rule(T, 8))),
    "health, native": ("CM0404", "native", lambda w: w.rules("eks-a", lambda r: r.direction == "out")),
    "echo": ("CM0404", "mixed", without_rule(T, 8)),
    "mesh API, balancer": ("CM0405", "connected", without_balancer_rule),
    "mesh API, node port": ("CM0405", "connected", without_rule(T, 30001)),
    "mesh API, both legs": ("CM0405", "connected", both(without_balancer_rule, without_rule(T, 30001))),
    "mesh API by node port": ("CM0405", "node-ports", without_rule(T, 32379)),
    "mesh API, out": ("CM0405", "connected", closed_outbound),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_first_fix_opens_what_is_closed(name: str) -> None:
    code, shape, change = BROKEN[name]
    world = SHAPES[shape]()
    change(world)
    failed = [f for f in judge(world, code).values() if f.state is State.FAIL]
    assert failed
    for finding in failed:
        assert finding.fixes[0].in_plan and finding.fixes[0].reversible
        assert len(finding.fixes[0].commands) == len(finding.fixes[0].opens) > 0
        carry_out(world, finding.fixes[0].opens)
    after = judge(world, code)
    assert [after[f.subject].state for f in failed] == [State.PASS] * len(failed)


def test_the_narrow_fix_names_subnets_and_the_wide_one_the_network() -> None:
    world = SHAPES["connected"]()
    without_rule(T, 8472)(world)
    narrow, wide = judge(world, "CM0403")[INTO_EKS].fixes
    assert [o.rule.sources for o in narrow.opens] == [("10.224.0.0/20",)]
    assert [o.rule.sources for o in wide.opens] == [("10.224.0.0/16",)] and not wide.in_plan
    assert narrow.opens[0].group == "sg-00000001a", "the cluster's own group is shared with the control plane"
    assert narrow.commands[0].argv[:5] == ("aws", "ec2", "authorize-security-group-ingress", "--region", "ap-1")


def test_a_fix_at_both_ends_is_one_fix() -> None:
    world = SHAPES["two-eks"]()
    without_rule("eks-osaka", 8472)(world)
    closed_outbound(world)
    finding = next(f for f in judge(world, "CM0403").values() if f.state is State.FAIL and str(f.subject).startswith(T))
    assert [(o.cluster, o.rule.direction) for o in finding.fixes[0].opens] == [("eks-osaka", "in"), (T, "out")]
    inbound, outbound = (o.rule for o in finding.fixes[0].opens)
    assert inbound.sources == ("192.168.1.0/24", "192.168.2.0/24") and outbound.destinations == (
        "172.16.1.0/24",
        "172.16.2.0/24",
    )
    assert finding.args["also"] == ("sg-00000001a",)


def test_what_the_gateway_does_not_know_is_mended_at_the_gateway() -> None:
    world = SHAPES["connected"]()
    unknown_to_gateway(world)
    finding = judge(world, "CM0403")[INTO_AKS]
    assert finding.variant == "foreign" and not finding.fixes[0].in_plan and not finding.fixes[0].opens
    assert finding.fixes[0].commands[0].argv[:4] == ("az", "network", "local-gateway", "list")


def test_an_nsg_rule_is_a_command_with_group_name_and_priority() -> None:
    world = SHAPES["connected"]()
    denied_by_nsg(world)
    (command,) = judge(world, "CM0403")[INTO_AKS].fixes[0].commands
    assert command.argv[:9] == ("az", "network", "nsg", "rule", "create", "--subscription", "4321", "-g", "MC_aks-east")
    text = " ".join(command.argv)
    assert "--nsg-name aks-nsg -n meshwright-udp-8472-in --priority 4090 --direction Inbound" in text
    assert (
        "--source-address-prefixes 192.168.1.0/24 192.168.2.0/24 --destination-address-prefixes 10.224.0.0/20" in text
    )


def test_a_proposed_pool_is_free_and_planned_pools_are_edited() -> None:
    planned = SHAPES["fresh"]()
    assert planned.goal is not None
    members = [replace(m, pod_cidrs=("10.224.8.0/21",)) if m.cluster == A else m for m in planned.goal.members]
    planned.goal = replace(planned.goal, members=tuple(members))
    finding = judge(planned, "CM0321")[OfCluster(A)]
    assert finding.planned and finding.fixes[0].commands == () and "10.122.0.0/16" not in finding.fixes[0].text
    assert finding.fixes[0].text == "choose 10.121.0.0/16 for the pods of aks-east among the plan's choices"
    running = SHAPES["connected"]()
    pods(A, "10.224.8.0/21")(running)
    (command,) = judge(running, "CM0321")[OfCluster(A)].fixes[0].commands
    assert command.argv[-1] == "ipam.operator.clusterPoolIPv4PodCIDRList={10.121.0.0/16}"


@pytest.mark.parametrize(
    ("method", "schedule", "verb"),
    [("cronJob", "0 0 1 */4 *", "create"), ("helm", "", "upgrade"), ("certmanager", "", "delete")],
)
def test_certificates_are_issued_again_the_way_they_were_made(method: str, schedule: str, verb: str) -> None:
    world = SHAPES["connected"]()
    leaf(not_after=NOW - 1)(world)
    world.change(fact.CERTIFICATES, T, method=method, renewal_schedule=schedule)
    issue, *waits, restart = judge(world, "CM0610")[OfCluster(T)].fixes[0].commands
    assert verb in issue.argv[5:8] and restart.argv[5:7] == ("rollout", "restart")
    assert [wait.argv[5] for wait in waits] == (["wait"] if method == "cronJob" else []), "a job takes its time"


@pytest.mark.parametrize("code", ["CM0403", "CM0404", "CM0405"])
def test_subnets_without_nodes_yet_are_opened_by_the_remedy_and_by_no_plan(code: str) -> None:
    world = SHAPES["connected"]()
    only_hosts(world)
    finding = judge(world, code)[INTO_EKS]
    assert finding.state is State.WARN and not any(fix.in_plan for fix in finding.fixes)
    assert {source for opening in finding.fixes[0].opens for source in opening.rule.sources} == {"10.224.0.0/20"}
    carry_out(world, finding.fixes[0].opens)
    assert judge(world, code)[INTO_EKS].state is State.PASS


def sets(finding: Finding) -> dict[str, str]:
    """The values that the first remedy sets."""
    (command,) = finding.fixes[0].commands
    return dict(word.split("=", 1) for word in command.argv if "=" in word)


@pytest.mark.parametrize(
    ("change", "code", "subject", "name", "number"),
    [
        ({"cluster_name": "default"}, "CM0301", OfCluster(A), A, "2"),
        ({"cluster_name": "AKS.east", "cluster_id": 0}, "CM0301", OfCluster(A), A, "2"),
        ({"cluster_id": 1}, "CM0302", MESH, T, "2"),
        ({"cluster_id": 0}, "CM0302", MESH, A, "2"),
        ({"cluster_id": 300}, "CM0302", MESH, A, "2"),
        ({"cluster_name": T}, "CM0302", MESH, f"{T}-2", "1"),
    ],
)
def test_a_proposed_identity_is_free_and_keeps_what_is_good(
    change: dict[str, object], code: str, subject: object, name: str, number: str
) -> None:
    world = SHAPES["connected"]()
    world.change(fact.SETTINGS, A, **change)
    assert sets(judge(world, code)[subject]) == {"cluster.name": name, "cluster.id": number}


@pytest.mark.parametrize(
    ("cluster", "change", "wanted"),
    [
        (A, {"tunnel_port": 8473}, {"tunnelPort": "8472"}),
        (T, {"tunnel_port": 8473}, {"tunnelPort": "8472"}),
        (A, {"tunnel_protocol": "geneve"}, {"tunnelProtocol": "vxlan"}),
        (T, {"tunnel_protocol": "geneve"}, {"tunnelProtocol": "vxlan"}),
    ],
)
def test_the_odd_tunnel_is_changed_not_the_usual_one(
    cluster: str, change: dict[str, object], wanted: dict[str, str]
) -> None:
    world = SHAPES["connected"]()
    world.change(fact.SETTINGS, cluster, **change)
    finding = judge(world, "CM0307")[BOTH]
    assert sets(finding) == wanted and finding.fixes[0].commands[0].where == cluster


def test_versions_are_brought_together_one_minor_at_a_time() -> None:
    world = SHAPES["connected"]()
    world.put(fact.CILIUM_VERSION, A, "1.12.4")
    commands = judge(world, "CM0202")[MESH].fixes[0].commands
    versions = [command.argv[command.argv.index("--version") + 1] for command in commands]
    assert versions == ["1.13.x", "1.14.x", "1.15.1"] and {command.where for command in commands} == {A}


def test_values_are_changed_on_the_release_that_is_there_with_the_chart_in_force() -> None:
    world = SHAPES["connected"]()
    world.put(fact.HELM, A, HelmRelease("net", "cni", 4, "deployed", "1.15.7", deployed_revision=4))
    world.put(fact.CONTEXT, A, replace(world.get(fact.CONTEXT, A), key=f"{A} (2)", context=A, file="/b/config"))
    world.change(fact.SETTINGS, A, cluster_name="default")
    (command,) = judge(world, "CM0301")[OfCluster(A)].fixes[0].commands
    assert " ".join(command.argv).startswith(
        f"helm --kubeconfig /b/config --kube-context {A} -n cni upgrade net cilium --repo https://helm.cilium.io/"
        " --version 1.15.7 --reset-then-reuse-values --set "
    )


def test_without_a_release_or_its_chart_no_upgrade_is_proposed() -> None:
    world = SHAPES["connected"]()
    world.change(fact.SETTINGS, A, cluster_name="default")
    world.lose(fact.HELM, A)
    assert "1.15.1" in judge(world, "CM0301")[OfCluster(A)].fixes[0].commands[0].argv
    world.lose(fact.CILIUM_VERSION, A)
    assert judge(world, "CM0301")[OfCluster(A)].fixes[0].commands == ()
    world.put(fact.CILIUM_VERSION, A, "1.15.1")
    world.put(fact.HELM, A, None)
    assert judge(world, "CM0301")[OfCluster(A)].fixes[0].commands == ()


def test_who_has_no_name_yet_is_told_how_to_find_it_out() -> None:
    world = SHAPES["connected"]()
    denied(Right("list", "nodes"))(world)
    (named,) = judge(world, "CM0101")[OfCluster(A)].fixes
    user = world.get(fact.RIGHTS, A).user
    assert named.commands[-1].argv[-1] == f"--user={user}" and "whoami" not in str(named)
    world.change(fact.RIGHTS, A, user="")
    (nameless,) = judge(world, "CM0101")[OfCluster(A)].fixes
    assert nameless.commands[0].argv[-2:] == ("auth", "whoami")
    assert nameless.commands[-1].argv[-1] == "--user=USER"
    assert nameless.text.startswith("grant this user: list nodes; USER stands for the name")


def test_clusters_that_share_a_node_port_are_given_one_each_and_their_peers_connected_again() -> None:
    world = SHAPES["three"]()
    for cluster in world.clusters:
        world.change(fact.MESH_API, cluster, service_type="NodePort", node_port=32379)
    found = [finding for finding in judge(world, "CM0606").values() if finding.state is State.FAIL]
    assert len(found) == 3
    moved: dict[str, set[str]] = {}
    for finding in found:
        upgrade, *connects = finding.fixes[0].commands
        moved.setdefault(upgrade.where, set()).add(upgrade.argv[-1].partition("=")[2])
        peers = {one.argv[-1] for one in connects if one.argv[-3] == world.get(fact.CONTEXT, upgrade.where).context}
        assert peers == {world.get(fact.CONTEXT, one).context for one in world.clusters if one != upgrade.where}
    first, second, third = sorted(world.clusters)
    assert moved == {second: {"32380"}, third: {"32381"}}, f"{first} keeps its port"


def test_remedies_are_no_evidence() -> None:
    world = SHAPES["half"]()
    pods(T, "192.168.64.0/18")(world)
    finding = judge(world, "CM0321")[OfCluster(T)]
    assert finding.state is State.FAIL and not finding.planned, "the other cluster is planned, this finding is in force"
    assert isinstance(world.store(), FactStore)
