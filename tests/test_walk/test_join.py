"""``apply`` from what a lab begins with to a joined mesh: two clusters, two old ones, three of which one has Cilium."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mesh.text import clean
from tests.test_walk import trio
from tests.test_walk.trio import OSAKA
from tests.test_walk.walking import EAST, TOKYO, Done, Lab, Program, labs, program, until

_SPEED = 60.0
_SECONDS = 100.0


@dataclass
class Join:
    """A lab and the run that joins its clusters; its output is one event per line."""

    lab: Lab
    program: Program

    def ended(self) -> Done:
        """How the run ended, once it has."""
        return self.program.ended(_SECONDS)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event of the run."""
        return [json.loads(line) for line in self.ended().out.splitlines()]

    def steps(self, *states: str) -> list[str]:
        """Ids of the steps that ended in one of these states, in the order of their ends."""
        ended = (event for event in self.events if event["event"] == "StepDone")
        return [event["step"] for event in ended if event["state"] in states]

    def told(self, step: str) -> list[str]:
        """The lines that a step put out."""
        return [event["line"] for event in self.events if event["event"] == "StepOutput" and event["step"] == step]


@pytest.fixture(scope="module")
def joins() -> Iterator[dict[str, Join]]:
    """All runs at once: they wait more than they work."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(labs("fresh", "classic", speed=_SPEED))
        three = stack.enter_context(labs("grown", speed=_SPEED, module=trio.MODULE))
        found = {}
        for lab in (*own, *three):
            argv = ("apply", *lab.named, "--yes", "-o", "json")
            found[lab.said["scenario"]] = Join(lab, stack.enter_context(program(*argv, env=lab.env)))
        yield found


@pytest.fixture(params=["fresh", "classic", "grown"])
def join(request: pytest.FixtureRequest, joins: dict[str, Join]) -> Join:
    one = joins[request.param]
    done = one.ended()
    assert done.code == 0, done.out[-3000:] + done.err
    return one


def test_it_ends_joined(join: Join) -> None:
    last = join.events[-1]
    assert (last["event"], last["state"], last["summary"]) == ("RunDone", "done", "Joined")
    assert join.steps("failed", "cancelled", "blocked") == []
    begun = [event["step"] for event in join.events if event["event"] == "StepStarted"]
    assert sorted(begun) == sorted(join.steps("done", "already")), "every step that began has ended"
    order = join.steps("done", "already")
    assert order[-4:] == ["addresses", "path", "connect", "prove"]


def test_the_global_service_answered_from_all_sides(join: Join) -> None:
    names = set(join.lab.contexts)
    first = join.lab.contexts[0]
    for cluster in join.lab.contexts:
        told = next(line for line in join.told("prove") if line.startswith(f"{cluster}: 10 of 10"))
        expected = {first} if cluster == first else names - {cluster}
        assert set(told.rpartition("answered by ")[2].split(" or ")) == expected
    assert sum("removed namespace" in line for line in join.told("prove")) == len(names)


def test_afterwards_nothing_fails_and_nothing_is_left_to_do(join: Join) -> None:
    # The addon manager of AKS gives a parked kube-proxy back after two minutes, unless it was told to leave it.
    join.lab.tell(lambda control: control.jump(300))
    done = join.lab.check()
    assert done.code == 0, done.roots
    assert done.found("FAIL", "WARN", "UNKNOWN", "BLOCKED", "ERROR") == []
    again = join.lab.call("apply", *join.lab.named, "--yes")
    assert again.code == 0 and "Nothing to do" in again.out
    assert ": 0 to do, " in again.out.splitlines()[0]
    assert len(join.lab.journal(1)) > 10 and join.lab.journal(2) == []


def test_the_picture_shows_every_link(join: Join) -> None:
    members = len(join.lab.contexts)
    pictures: list[dict[str, Any]] = []

    def planes() -> list[str]:
        pictures.append(join.lab.call("graph", *join.lab.named, "-o", "json").report)
        links = pictures[-1]["mesh"]["links"]
        return [plane["health"] for link in links for plane in link.values() if isinstance(plane, dict)]

    links = members * (members - 1) // 2
    until(lambda: planes() == ["ok"] * 5 * links, "every plane of every link is ok", last=pictures)
    assert [len(component) for component in pictures[-1]["components"]] == [members]
    assert pictures[-1]["not_connected"] == [] and len(pictures[-1]["mesh"]["clusters"]) == members


def test_the_journal_tells_the_run_and_no_secret(join: Join) -> None:
    records = join.lab.journal()
    assert records[0]["kind"] == "run" and (records[-1]["kind"], records[-1]["state"]) == ("end", "done")
    sent = [(one["step"], one["effect"]) for one in records if one["kind"] == "intent"]
    assert sent == list(dict.fromkeys(sent)), "every change was sent once"
    answered = {(one["step"], one["effect"]) for one in records if one["kind"] == "outcome"}
    assert answered == set(sent)
    everything = json.dumps(records) + join.ended().out + join.ended().err
    assert "PRIVATE KEY" not in everything and not re.search(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]*UFJJVkFUR", everything)
    assert clean(everything.replace("\n", "")) == everything.replace("\n", "")


def test_fresh_shows_what_is_already_so(joins: dict[str, Join]) -> None:
    join = joins["fresh"]
    join.ended()
    plan = join.lab.journal()[0]["plan"]
    already = [step["id"] for step in plan["steps"] if step["already"]]
    assert already == ["vpn", f"rules.{EAST}"]
    assert not {event["step"] for event in join.events if "step" in event} & set(already), "they are not begun again"


def test_classic_is_the_procedure(joins: dict[str, Join]) -> None:
    join = joins["classic"]
    join.ended()
    done = join.steps("done")
    parked = {f"park.{TOKYO}", f"park.{EAST}"}
    assert parked <= set(done) and f"restart.{TOKYO}" in done
    goal = join.lab.journal()[0]["plan"]["goal"]
    assert {member["version"] for member in goal["members"]} == {"1.15.1"}
    findings = {(one["code"], one["subject_text"]): one for one in join.lab.check().report["findings"]}
    for cluster in (TOKYO, EAST):
        assert findings["CM0208", cluster]["state"] == "PASS", "parked for good"
        assert "1.15.1" in findings["CM0201", cluster]["message"]


def test_cilium_that_is_there_only_gets_what_is_missing(joins: dict[str, Join]) -> None:
    join = joins["grown"]
    join.ended()
    records = join.lab.journal()
    steps = {step["id"]: step for step in records[0]["plan"]["steps"]}
    own = [step for step in steps if step.endswith(OSAKA)]
    assert f"park.{OSAKA}" not in own and steps[f"restart.{OSAKA}"]["already"]
    assert steps[f"install.{OSAKA}"]["title"] == "enable the mesh API"
    goal = {member["cluster"]: member for member in records[0]["plan"]["goal"]["members"]}
    assert (goal[OSAKA]["cluster_id"], {member["version"] for member in goal.values()}) == (7, {trio.VERSION})
    changed = {item for one in records if one["kind"] == "outcome" for item in one["changed"]}
    authorities = {item for item in changed if "cilium-ca" in item}
    assert authorities == {f"Secret kube-system/cilium-ca of {name}" for name in (TOKYO, EAST)}, "its CA is kept"
    assert f"release cilium of {OSAKA}: revision 1 → 2" in changed
    text = join.lab.call("graph", *join.lab.named).out
    assert "not connected" not in text and text.count("━ ✓ ━") == 3 and f"#7  {trio.OSAKA_PODS}" in text
