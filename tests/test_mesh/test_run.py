"""Carrying plans out: order, conditions, the journal before each change, stopping, going on."""

import asyncio
from typing import Any

import pytest

from mesh import catalogue as fact
from mesh.draw.lanes import answers_in_words
from mesh.errors import Refused, RunStopped, Undetermined
from mesh.events import RunDone, ServiceProven, StepDone, StepOutput, StepWaiting
from mesh.facts import FactKey, FactStore, Reason, Unknown
from mesh.goal import ClusterGoal, Goal
from mesh.join import fingerprints, strangers
from mesh.journal import latest_unfinished, read_run
from mesh.model.cilium import CiliumSettings, PeerEntry
from mesh.model.kubernetes import Service
from mesh.plan import Blocker, Condition, HelmApply, ParkDaemonSets, Plan, Prove, Step, Verify
from mesh.ports import Outcome
from mesh.run import Control, run_plan
from mesh.subject import OfCluster
from tests.test_mesh.fakes import FakeCluster, FakeHelm, FakePorts, FakeWorld, Recorder, failing, ref

REFS = (ref("a"), ref("b"))


def peers(*names: str) -> tuple[PeerEntry, ...]:
    return tuple(PeerEntry(name, (f"https://{name}.mesh.cilium.io:2379",), ("10.0.0.1",)) for name in names)


def listed(cluster: str, peer: str) -> Condition:
    return Condition("peers-configured", (cluster,), {"peers": {cluster: [peer]}})


def step(name: str, cluster: str, peer: str, *needs: str, **more: Any) -> Step:
    effects = (HelmApply(cluster, "1.19.5", {"step": name}),)
    given: dict[str, Any] = {"effects": effects, "until": (listed(cluster, peer),), "deadline": 30.0, **more}
    return Step(name, name, (cluster,), "why", needs=needs, **given)


@pytest.fixture
def world() -> FakeWorld:
    made = FakeWorld()
    for cluster in ("a", "b"):
        made.put(fact.PEERS, cluster, ())
        made.put(fact.SETTINGS, cluster, CiliumSettings(cluster_name=cluster))
    made.hooks["helm a"] = lambda: made.put(fact.PEERS, "a", peers("b"))
    made.hooks["helm b"] = lambda: made.put(fact.PEERS, "b", peers("a"))
    return made


def plan_of(world: FakeWorld, *steps: Step, **more: Any) -> Plan:
    goal = Goal(
        (ClusterGoal("a", "a", 1, ("10.1.0.0/16",), "1.19.5"), ClusterGoal("b", "b", 2, ("10.2.0.0/16",), "1.19.5"))
    )
    return Plan(
        "7c1e",
        "Join a and b",
        ("a", "b"),
        goal,
        steps,
        fingerprints=fingerprints(FactStore(world.facts), ("a", "b")),
        **more,
    )


async def test_steps_run_in_order_and_end_by_their_conditions(world: FakeWorld) -> None:
    ports, events = FakePorts(world), Recorder()
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a", "one"))
    result = await run_plan(plan, REFS, ports, events)
    assert result.state == "done"
    assert [call for call in world.calls if call.startswith("helm ")] == ["helm version", "helm a", "helm b"]
    assert [event.state for event in events if isinstance(event, StepDone)] == ["done", "done"]
    assert [event.line for event in events if isinstance(event, StepOutput)] == ["helm a", "helm b"]
    assert world.calls[-3:] == ["release a", "release b", "close"]


async def test_a_command_that_succeeded_is_not_proof(world: FakeWorld) -> None:
    world.hooks.clear()
    ports, events = FakePorts(world), Recorder()
    result = await run_plan(plan_of(world, step("one", "a", "b")), REFS, ports, events)
    assert (result.state, result.failed) == ("failed", "one")
    assert "a does not list b" in result.message
    assert any(isinstance(event, StepWaiting) and "a does not list b" in event.what for event in events)
    assert ports.clock.time - 1000 > 30


async def test_what_is_already_so_is_not_done(world: FakeWorld) -> None:
    world.put(fact.PEERS, "a", peers("b"))
    events = Recorder()
    plan = plan_of(world, step("one", "a", "b"))
    result = await run_plan(plan, REFS, FakePorts(world), events)
    assert result.state == "done"
    assert "helm a" not in world.calls
    assert [event.state for event in events if isinstance(event, StepDone)] == ["already"]


async def test_independent_steps_run_side_by_side(world: FakeWorld) -> None:
    """Each of the two steps lets the other finish: one after another they would both time out."""
    world.hooks["helm a"] = lambda: world.put(fact.PEERS, "b", peers("a"))
    world.hooks["helm b"] = lambda: world.put(fact.PEERS, "a", peers("b"))
    result = await run_plan(
        plan_of(world, step("one", "a", "b"), step("two", "b", "a")), REFS, FakePorts(world), Recorder()
    )
    assert result.state == "done"


async def test_a_change_is_journalled_before_it_is_sent(world: FakeWorld) -> None:
    ports = FakePorts(world)
    seen: list[str] = []
    world.hooks["helm a"] = lambda: seen.append(ports.store.records[1][-1]["kind"])
    await run_plan(plan_of(world, step("one", "a", "b", until=())), REFS, ports, Recorder())
    assert seen == ["intent"]
    kinds = [record["kind"] for record in ports.store.records[1]]
    assert kinds == ["run", "step", "intent", "outcome", "step", "end"]


async def test_a_journal_that_cannot_be_written_stops_before_the_first_change(world: FakeWorld) -> None:
    ports = FakePorts(world)
    ports.store.refuse = True
    with pytest.raises(Refused, match="journal"):
        await run_plan(plan_of(world, step("one", "a", "b")), REFS, ports, Recorder())
    assert "helm a" not in world.calls


async def test_a_failed_step_stops_what_needs_it_and_lets_others_end(world: FakeWorld) -> None:
    world.fail["helm a"] = failing("helm failed in a")
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a"), step("three", "b", "a", "one"))
    result = await run_plan(plan, REFS, FakePorts(world), Recorder())
    assert (result.state, result.failed) == ("failed", "one")
    assert world.calls.count("helm b") == 1


async def test_going_on_does_only_what_is_left(world: FakeWorld) -> None:
    ports = FakePorts(world)
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a", "one"))
    world.fail["helm b"] = failing("no")
    await run_plan(plan, REFS, ports, Recorder())
    record = latest_unfinished(ports.store)
    assert record is not None and record.state == "failed"
    assert record.steps["one"].state == "done"
    world.fail.clear()
    world.calls.clear()
    result = await run_plan(record.plan, REFS, ports, Recorder(), before=record)
    assert (result.run, result.state) == (1, "done")
    assert [call for call in world.calls if call.startswith("helm ")] == ["helm version", "helm b"]
    assert latest_unfinished(ports.store) is None


async def test_the_record_of_a_run_cut_at_any_record_can_go_on(world: FakeWorld) -> None:
    ports = FakePorts(world)
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a", "one"))
    await run_plan(plan, REFS, ports, Recorder())
    whole = ports.store.records[1]
    for length in range(1, len(whole)):
        record = read_run(1, whole[:length])
        assert record is not None and record.unfinished
        ports.store.records[1] = whole[:length]
        assert (await run_plan(record.plan, REFS, ports, Recorder(), before=record)).state == "done"
    assert read_run(1, []) is None


async def test_stop_ends_a_wait_and_keeps_the_run(world: FakeWorld) -> None:
    world.hooks.clear()
    ports, control = FakePorts(world), Control()
    world.hooks["helm a"] = control.stop
    result = await run_plan(
        plan_of(world, step("one", "a", "b"), step("two", "b", "a")), REFS, ports, Recorder(), control
    )
    assert result.state == "cancelled"
    record = latest_unfinished(ports.store)
    assert record is not None and record.state == "cancelled"


async def test_pause_starts_no_new_step(world: FakeWorld) -> None:
    ports, control = FakePorts(world), Control()

    def connected_and_paused() -> None:
        world.put(fact.PEERS, "a", peers("b"))
        control.pause()

    world.hooks["helm a"] = connected_and_paused
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a", "one"))
    task = asyncio.create_task(run_plan(plan, REFS, ports, Recorder(), control))
    for _ in range(200):
        await asyncio.sleep(0)
    assert control.paused and "helm b" not in world.calls and not task.done()
    control.go_on()
    assert (await task).state == "done"


async def test_a_stale_plan_is_refused(world: FakeWorld) -> None:
    plan = plan_of(world, step("one", "a", "b"))
    world.put(fact.SETTINGS, "b", CiliumSettings(cluster_name="other"))
    with pytest.raises(Refused, match="changed since"):
        await run_plan(plan, REFS, FakePorts(world), Recorder())
    assert world.calls == []


async def test_an_answer_that_did_not_come_is_asked_for_once_more(world: FakeWorld) -> None:
    plan = plan_of(world, step("one", "a", "b"))
    key = FactKey(fact.SETTINGS.name, OfCluster("b"))
    known, silent = world.facts[key], Unknown(Reason.TIMEOUT, "no answer within 20 s")
    world.facts[key] = silent
    with pytest.raises(Undetermined, match="could not be read again") as told:
        await run_plan(plan, REFS, FakePorts(world), Recorder())
    assert "no answer within 20 s" in told.value.detail and world.calls == []
    assert world.gathered[-1] == (fact.SETTINGS.name,)

    world.hooks[f"gather {fact.SETTINGS.name}"] = lambda: world.facts.update({key: known})
    assert (await run_plan(plan, REFS, FakePorts(world), Recorder())).state == "done"


async def test_other_clusters_of_the_same_names_are_refused_as_that(world: FakeWorld) -> None:
    world.put(fact.CLUSTER_UID, "a", "one")
    plan = plan_of(world, step("one", "a", "b"))
    world.put(fact.CLUSTER_UID, "b", "read only now")
    assert strangers(plan, FactStore(world.facts)) == (), "a UID that was not read before tells nothing"
    world.put(fact.CLUSTER_UID, "a", "two")
    with pytest.raises(Refused, match="a is not the cluster that this plan was made for"):
        await run_plan(plan, REFS, FakePorts(world), Recorder())
    assert world.calls == []


async def test_another_operator_is_refused_before_any_change(world: FakeWorld) -> None:
    world.holder = "tanaka"
    with pytest.raises(Refused, match="tanaka"):
        await run_plan(plan_of(world, step("one", "a", "b")), REFS, FakePorts(world), Recorder())
    assert "helm a" not in world.calls


async def test_blockers_refuse(world: FakeWorld) -> None:
    plan = plan_of(world, step("one", "a", "b"), blockers=(Blocker("CM0204", "a", "managed by AKS", refuses=True),))
    with pytest.raises(Refused, match="managed by AKS"):
        await run_plan(plan, REFS, FakePorts(world), Recorder())


async def test_a_public_address_stops_at_once(world: FakeWorld) -> None:
    from mesh.model.cilium import MeshApiServer

    world.put(fact.MESH_API, "a", MeshApiServer(1, 1, service_type="LoadBalancer", ingress_ips=("203.0.113.9",)))
    waiting = Step(
        "addresses", "wait", ("a",), "why", (Verify(("a",)),), (Condition("lb-private", ("a",)),), deadline=900.0
    )
    ports = FakePorts(world)
    result = await run_plan(plan_of(world, waiting), REFS, ports, Recorder())
    assert result.state == "failed" and "public" in result.message
    assert ports.clock.time < 1010


async def test_effects_without_conditions_are_done_when_they_return(world: FakeWorld) -> None:
    parking = Step("park", "park", ("a",), "why", (ParkDaemonSets("a", ("aws-node", "kube-proxy")),), ())
    ports = FakePorts(world)
    assert (await run_plan(plan_of(world, parking), REFS, ports, Recorder())).state == "done"
    record = read_run(1, ports.store.records[1])
    assert record is not None and record.changes[0].undo == {"parts": [{"selector": {}}, {"selector": {}}]}


def proving(world: FakeWorld, *answers: str) -> Plan:
    """A plan that only proves; b is answered by these in turn, the last again and again."""
    for cluster, affinity in (("a", "local"), ("b", "remote")):
        annotations = {"service.cilium.io/global": "true", "service.cilium.io/affinity": affinity}
        world.put(
            fact.SERVICES,
            cluster,
            (Service("meshwright-demo", "echo", annotations=annotations, ready_endpoints=2, total_endpoints=2),),
        )
    world.answers = {"a": ['{"cluster": "a"}'], "b": list(answers)}
    return plan_of(world, Step("prove", "prove", ("a", "b"), "why", (Prove(("a", "b"), "image"),), ()))


async def test_a_proof_tells_who_answered_and_is_kept(world: FakeWorld) -> None:
    ports, events = FakePorts(world), Recorder()
    plan = proving(world, "refused", '{"cluster": "a"}', '{"cluster": "b"}', '{"cluster": "a"}')
    assert (await run_plan(plan, REFS, ports, events)).state == "done"
    told = next(event.proof for event in events if isinstance(event, ServiceProven))
    assert told.answers == {"a": {"a": 10}, "b": {"a": 10}}, "ten in a row; what came before does not count"
    assert [(lane.cluster, lane.affinity, lane.ready) for lane in told.service.lanes] == [
        ("a", "local", 2),
        ("b", "remote", 2),
    ]
    assert answers_in_words(told)[1] == "b: remote, 10 of 10 requests answered by a"
    record = read_run(1, ports.store.records[1])
    assert record is not None and record.proof == told
    assert world.calls.index("delete b meshwright-demo") > world.calls.index("exec b")


async def test_answers_from_the_wrong_side_prove_nothing(world: FakeWorld) -> None:
    ports, events = FakePorts(world), Recorder()
    result = await run_plan(proving(world, '{"cluster": "b"}'), REFS, ports, events)
    assert result.state == "failed" and "b is not served by a" in result.message
    assert not any(isinstance(event, ServiceProven) for event in events)
    assert "delete a meshwright-demo" in world.calls and "delete b meshwright-demo" in world.calls
    record = read_run(1, ports.store.records[1])
    assert record is not None and record.proof is None


async def test_a_stop_ends_the_proof_at_once_and_asks_all_to_clean_up(world: FakeWorld) -> None:
    ports, control = FakePorts(world), Control()
    world.hooks["exec b"] = control.stop
    result = await run_plan(proving(world, "refused"), REFS, ports, Recorder(), control)
    assert result.state == "cancelled"
    assert world.calls.count("exec b") == 1, "it is not asked again"
    assert "delete a meshwright-demo" in world.calls and "delete b meshwright-demo" in world.calls
    record = latest_unfinished(ports.store)
    assert record is not None and record.steps["prove"].state == "cancelled"


async def test_a_stop_ends_a_wait_whose_time_stands_still() -> None:
    control = Control()
    waiting = asyncio.create_task(control.wait(asyncio.Event().wait()))
    await asyncio.sleep(0)
    control.stop()
    with pytest.raises(RunStopped):
        await waiting


async def test_a_lease_that_may_not_be_taken_refuses_the_run_before_it_begins(world: FakeWorld) -> None:
    ports = FakePorts(world)
    world.fail["hold b"] = failing("b refused POST leases", "The login has ended; sign in again.")
    with pytest.raises(Refused) as caught:
        await run_plan(plan_of(world, step("one", "a", "b")), REFS, ports, Recorder())
    assert caught.value.exit_code == 5
    assert caught.value.hint == "The login has ended; sign in again. Then try again. Nothing was changed."
    assert "helm a" not in world.calls and "release a" in world.calls
    assert latest_unfinished(ports.store) is None


async def test_a_run_that_ended_is_free_for_another_process(world: FakeWorld) -> None:
    ports = FakePorts(world)
    result = await run_plan(plan_of(world, step("one", "a", "b")), REFS, ports, Recorder())
    assert ports.store.released == [result.run]


async def test_a_run_whose_clusters_are_gone_hides_no_other(world: FakeWorld) -> None:
    ports = FakePorts(world)
    world.hooks.clear()
    plan = plan_of(world, step("one", "a", "b"))
    first = await run_plan(plan, REFS, ports, Recorder())
    second = await run_plan(plan, REFS, ports, Recorder())
    assert (first.state, second.state) == ("failed", "failed")
    found = latest_unfinished(ports.store, lambda record: record.run == second.run)
    assert found is not None and found.run == first.run


async def test_a_cancellation_while_the_leases_end_is_not_swallowed(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease keeper is ended by a cancellation of its own; one of the run at that moment must not pass for it."""
    monkeypatch.setattr("mesh.run.LEASE_SECONDS", 0)
    ports, events = FakePorts(world), Recorder()
    world.hooks.clear()
    held: list[str] = []

    async def hold(cluster: FakeCluster, holder: str, seconds: int) -> None:
        held.append(cluster.key)
        if len(held) > 2:
            world.put(fact.PEERS, "a", peers("b"))
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    monkeypatch.setattr(FakeCluster, "hold", hold)
    task = asyncio.create_task(run_plan(plan_of(world, step("one", "a", "b")), REFS, ports, events))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.state for event in events if isinstance(event, StepDone)] == ["done"]
    assert not [event for event in events if isinstance(event, RunDone)], "it may not say that it ended well"
    assert world.calls[-3:] == ["release a", "release b", "close"]
    record = latest_unfinished(ports.store)
    assert record is not None and record.unfinished


async def test_a_lease_that_somebody_else_took_stops_the_run_and_is_told(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.run.LEASE_SECONDS", 0)
    ports, events, lost = FakePorts(world), Recorder(), asyncio.Event()

    async def hold(cluster: FakeCluster, holder: str, seconds: int) -> None:
        if "helm a" in world.calls:
            lost.set()
            raise Refused("b is being changed by tanaka")

    async def apply(helm: FakeHelm, ref: Any, *_: Any) -> Outcome:
        await world.did(f"helm {ref.key}")
        await lost.wait()
        return Outcome()

    monkeypatch.setattr(FakeCluster, "hold", hold)
    monkeypatch.setattr(FakeHelm, "apply", apply)
    plan = plan_of(world, step("one", "a", "b"), step("two", "b", "a", "one"))
    result = await asyncio.wait_for(run_plan(plan, REFS, ports, events), 10)
    assert (result.state, result.message) == ("cancelled", "b is being changed by tanaka")
    assert "helm b" not in world.calls
    assert [event.summary for event in events if isinstance(event, RunDone)] == [
        "Stopped: b is being changed by tanaka"
    ]
