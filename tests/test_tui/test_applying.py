"""A run on the command line that a signal wants to end: what it says and how it ends."""

import argparse
import asyncio
import os
import sys

import pytest

from mesh import catalogue as fact
from mesh.errors import Exit
from mesh.facts import FactStore
from mesh.goal import ClusterGoal, Goal
from mesh.join import fingerprints
from mesh.model.cilium import CiliumSettings, PeerEntry
from mesh.plan import Condition, HelmApply, Plan, Step
from tests.test_mesh.fakes import FakePorts, FakeWorld, ref
from tui.cli.commands.apply import carried_out
from tui.cli.session import Session

REFS = (ref("a"), ref("b"))
YES = argparse.Namespace(output="text", yes=True, confirm=[])


@pytest.fixture
def world() -> FakeWorld:
    made = FakeWorld()
    for cluster in ("a", "b"):
        made.put(fact.PEERS, cluster, ())
        made.put(fact.SETTINGS, cluster, CiliumSettings(cluster_name=cluster))
    return made


def plan_of(world: FakeWorld) -> Plan:
    steps = []
    for cluster, peer, needs in (("a", "b", ()), ("b", "a", ("list-a",))):
        until = (Condition("peers-configured", (cluster,), {"peers": {cluster: [peer]}}),)
        effects = (HelmApply(cluster, "1.19.5", {}),)
        steps.append(Step(f"list-{cluster}", f"list {peer}", (cluster,), "why", effects, until, needs=needs))
    goal = Goal(tuple(ClusterGoal(key, key, number, (), "1.19.5") for number, key in enumerate(("a", "b"), 1)))
    facts = fingerprints(FactStore(world.facts), ("a", "b"))
    return Plan("7c1e", "Join a and b", ("a", "b"), goal, tuple(steps), fingerprints=facts)


def signalled_at(world: FakeWorld, cluster: str) -> "asyncio.Task[int]":
    """The command, cancelled as the loop does at a signal while helm writes to this cluster."""
    plan, session = plan_of(world), Session(FakePorts(world), REFS)

    def writing(here: str, peer: str) -> None:
        world.put(fact.PEERS, here, (PeerEntry(peer, (f"https://{peer}.mesh.cilium.io:2379",), ("10.0.0.1",)),))
        if here == cluster:
            task.cancel()

    world.hooks |= {"helm a": lambda: writing("a", "b"), "helm b": lambda: writing("b", "a")}
    task = asyncio.ensure_future(carried_out(session, plan, YES))
    return task


async def test_a_run_that_is_stopped_says_how_to_go_on(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await signalled_at(world, "a")
    said = capsys.readouterr()
    assert "helm b" not in world.calls
    assert "Stopped in" in said.out and "Joined" not in said.out
    assert "stopping after the calls under way;" in said.err, "the only call had ended"
    assert "go on with: meshwright resume 1" in said.err


async def test_a_run_that_was_done_before_it_could_be_stopped_ends_well(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await signalled_at(world, "b") == Exit.CLEAN
    said = capsys.readouterr()
    assert "Joined in" in said.out and "resume" not in said.err


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_reader_who_goes_does_not_tear_the_run(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    reader, writer = os.pipe()
    ports, plan = FakePorts(world), plan_of(world)

    def writing(here: str, peer: str) -> None:
        world.put(fact.PEERS, here, (PeerEntry(peer, (f"https://{peer}.mesh.cilium.io:2379",), ("10.0.0.1",)),))
        if here == "a":
            os.close(reader)

    world.hooks |= {"helm a": lambda: writing("a", "b"), "helm b": lambda: writing("b", "a")}
    arguments = argparse.Namespace(output=output, yes=True, confirm=[])
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert await carried_out(Session(ports, REFS), plan, arguments) == Exit.CLEAN
        monkeypatch.undo()
    assert "helm b" in world.calls and ports.store.records[1][-1]["state"] == "done"
    assert capsys.readouterr().err.count("nobody reads this any more") == 1
