"""What was not read: no step is a guess on it, and no plan is called complete without it."""

from typing import Any

import pytest
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.assess import assess
from mesh.errors import UsageError
from mesh.facts import FactName, Reason
from mesh.model.context import Right
from mesh.plan import HelmApply, Plan
from tests.test_mesh.worlds import SHAPES, World

TOKYO, EAST = "eks-tokyo", "aks-east"


def plan_of(world: World, **edits: str) -> Plan:
    told = {name.replace("__", ".").replace("_", "-"): value for name, value in edits.items()}
    return assess(world.store(), world.clusters, told).plan(0.0)


def gates(plan: Plan, cluster: str) -> list[tuple[str, str]]:
    return [(blocker.code, blocker.text) for blocker in plan.blockers if blocker.subject == cluster]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (fact.CERTIFICATES, "CM0101"),
        (fact.SETTINGS, "CM0101"),
        (fact.CILIUM_VERSION, "CM0101"),
        (fact.HELM, "CM0101"),
        (fact.OWNER, "CM0101"),
        (fact.WORKLOADS, "CM0101"),
        (fact.MESH_API, "CM0101"),
        (fact.PEERS, "CM0101"),
        (fact.RIGHTS, "CM0101"),
    ],
    ids=lambda value: value.name if isinstance(value, FactName) else value,
)
def test_a_guess_is_a_gate_that_names_the_fact_and_its_lift(name: FactName[Any], code: str) -> None:
    world = SHAPES["classic"]()
    assert plan_of(world).blockers == ()
    world.lose(name, EAST, Reason.FORBIDDEN, "get secrets in kube-system")
    told = [text for found, text in gates(plan_of(world), EAST) if found == code and name.name in text]
    assert len(told) == 1
    assert "not known (forbidden); needs get secrets in kube-system" in told[0]


def test_where_it_is_not_known_whether_cilium_is_there_nothing_is_installed_enabled_or_parked() -> None:
    world = SHAPES["classic"]()
    world.lose(fact.SETTINGS, TOKYO)
    steps = {step.id for step in plan_of(world).steps}
    assert not steps & {f"install.{TOKYO}", f"park.{TOKYO}", f"restart.{TOKYO}"}
    assert f"install.{EAST}" in steps


def test_a_mesh_that_needs_nothing_is_not_held_up_by_what_only_a_change_rests_on() -> None:
    world = SHAPES["connected"]()
    world.lose(fact.OWNER, EAST)
    plan = plan_of(world)
    assert plan.todo() == () and not [blocker for blocker in plan.blockers if fact.OWNER.name in blocker.text]


def test_a_right_that_is_denied_is_found_before_the_first_change() -> None:
    world = SHAPES["connected"]()
    world.put(fact.PEERS, EAST, None)
    denied = Right("create", "leases", "coordination.k8s.io", "kube-system")
    world.change(fact.RIGHTS, EAST, denied=(denied,))
    plan = plan_of(world)
    assert ("CM0101", f"denied: {denied}; meshwright rights --for apply prints roles") in gates(plan, EAST)
    assert not gates(plan, TOKYO)


def test_rules_that_were_not_read_are_told_and_not_called_open() -> None:
    world = SHAPES["classic"]()
    assert plan_of(world).unknowns == ()
    world.lose(fact.FIREWALL, EAST, Reason.EXPIRED, "az login")
    plan = plan_of(world)
    (unknown,) = plan.unknowns
    assert (unknown.code, unknown.subject) == ("CM0103", EAST)
    assert "firewall of its cloud not known; needs az login; no rule is opened there" in unknown.text
    assert f"rules.{EAST}" not in {step.id for step in plan.steps}


def on_this_machine(server: str) -> World:
    world = SHAPES["classic"]()
    world.put(fact.CONTEXT, EAST, replace(world.get(fact.CONTEXT, EAST), server=server))
    world.lose(fact.CLOUD, EAST)
    return world


def install_values(plan: Plan, cluster: str) -> dict[str, Any]:
    (found,) = (
        effect.values
        for step in plan.steps
        for effect in step.effects
        if isinstance(effect, HelmApply) and effect.cluster == cluster
    )
    return found


@pytest.mark.parametrize(
    "server", ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443", "https://0.0.0.0", ""]
)
def test_an_address_of_the_machine_that_asks_never_becomes_the_api_servers(server: str) -> None:
    plan = plan_of(on_this_machine(server))
    assert [code for code, text in gates(plan, EAST) if "k8sServiceHost" in text] == ["CM0103"]
    assert f"--set apiserver.{EAST}=HOST:PORT" in gates(plan, EAST)[-1][1]
    assert "k8sServiceHost" not in install_values(plan, EAST)


def test_the_address_that_the_user_gives_lifts_it() -> None:
    world = on_this_machine("https://127.0.0.1:6443")
    plan = assess(world.store(), world.clusters, {f"apiserver.{EAST}": "10.0.0.5:6443"}).plan(0.0)
    assert not [text for _, text in gates(plan, EAST) if "k8sServiceHost" in text]
    values = install_values(plan, EAST)
    assert (values["k8sServiceHost"], values["k8sServicePort"]) == ("10.0.0.5", 6443)


@pytest.mark.parametrize("text", ["127.0.0.1:6443", "localhost:443", "10.0.0.5", "a b:1", "10.0.0.5:99999"])
def test_an_address_that_cannot_be_it_is_not_taken(text: str) -> None:
    world = on_this_machine("https://127.0.0.1:6443")
    with pytest.raises(UsageError, match="apiserver"):
        assess(world.store(), world.clusters, {f"apiserver.{EAST}": text})


def test_steps_to_do_are_numbered_and_what_is_already_so_is_not() -> None:
    world = SHAPES["classic"]()
    plan = plan_of(world)
    assert any(step.already for step in plan.steps)
    assert list(plan.numbers) == [step.id for step in plan.todo()]
    assert list(plan.numbers.values()) == list(range(1, len(plan.todo()) + 1))
