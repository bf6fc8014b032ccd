"""A plan on the command line: why, what was found, what a person could type, and the way back, in 80 columns."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from backends.authority import belongs_together
from mesh import catalogue as fact
from mesh.assess import assess
from mesh.finding import Command
from mesh.joining.handover import values_files
from mesh.model.kubernetes import Pod
from mesh.plan import ConnectPeers, HelmApply, PlaceCa, Plan, Prove, RestartPods, Step
from tests.test_mesh.test_join import closed
from tests.test_mesh.worlds import SHAPES
from tui.cli.plan_text import folded, say_plan


def plan_of(name: str = "classic") -> Plan:
    world = closed(name)
    return assess(world.store(), world.clusters).plan(0.0)


def step_with(plan: Plan, effect: type) -> Step:
    return next(step for step in plan.todo() if isinstance(step.effects[0], effect))


def blocks(capsys: pytest.CaptureFixture[str], plan: Plan) -> list[str]:
    """What is said of each step to do, in order."""
    say_plan(plan)
    return capsys.readouterr().out.split("\n\n")[1 : 1 + len(plan.todo())]


@pytest.mark.parametrize("name", SHAPES)
def test_every_step_to_do_says_what_was_found(name: str) -> None:
    for step in plan_of(name).todo():
        # Only asking proves that packets get through: nothing that was read makes that step necessary.
        assert step.found or isinstance(step.effects[0], Prove), step.id
        assert step.commands or step.does, step.id


def test_what_is_said_of_a_step_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of()
    told = blocks(capsys, plan)
    for step, block in zip(plan.todo(), told, strict=True):
        flat = " ".join(block.split())
        assert step.title in flat and step.why in flat and step.undo in flat
        assert all(text in flat for text in step.found[:4])
    assert "sg-00000001a has no rule for 8472/udp" in told[0]


def test_what_set_could_change_is_told_as_it_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of("three")
    say_plan(plan)
    told = capsys.readouterr().out.split()
    for member in plan.goal.members:
        assert f"pods.{member.cluster}={','.join(member.pod_cidrs)}" in told
        assert f"id.{member.cluster}={member.cluster_id}" in told
    assert f"mtu={plan.goal.mtu}" in told and f"version={plan.goal.members[0].version}" in told


def test_a_step_of_some_clusters_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of("three")
    say_plan(plan)
    lines = capsys.readouterr().out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("   #  step")) + 1
    rows = lines[first : first + len(plan.steps)]
    for step, row in zip(plan.steps, rows, strict=True):
        assert ("all 3" if len(step.clusters) == 3 else ", ".join(step.clusters)) in row


def test_it_fits_80_columns_but_for_words_that_must_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    say_plan(plan_of())
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= 80 or len(shlex.split(line.removesuffix("\\"))) <= 2, line


def test_a_folded_command_is_the_command() -> None:
    commands = [command for step in plan_of().todo() for command in (*step.commands, *step.same_as)]
    assert commands
    for command in (*commands, Command(("echo", "a 'b'", "--x", "-", "y" * 90, ""))):
        assert shlex.split("\n".join(folded(command, 40)).replace(" \\\n", " ")) == list(command.argv)


def test_the_files_that_helm_reads_are_those_that_are_written() -> None:
    plan = plan_of()
    files = values_files(plan)
    steps = [step for step in plan.todo() if isinstance(step.effects[0], HelmApply)]
    assert len(files) == len(steps) == 2
    for step in steps:
        (effect,) = step.effects
        name = step.commands[0].argv[step.commands[0].argv.index("--values") + 1]
        assert isinstance(effect, HelmApply) and json.loads(files[name]) == effect.values
        assert "/" not in name and " " not in name
    connect = step_with(plan, ConnectPeers)
    assert "when the step runs" in connect.does and connect.same_as, "its values are not known before"


def test_the_ca_by_hand_is_one_for_all_and_is_printed_nowhere() -> None:
    make, *rest = step_with(plan_of(), PlaceCa).commands
    assert make.argv[0] == "openssl" and [command.argv[5] for command in rest[:3]] == ["create", "label", "annotate"]
    for command in rest[3:]:
        assert command.argv[:2] == ("sh", "-c") and command.argv[2].endswith("create -f -"), "into the other cluster"
    assert {command.where for command in rest} == set(plan_of().clusters)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not there")
def test_the_ca_by_hand_is_one_that_leaves_can_be_signed_with(tmp_path: Path) -> None:
    make = step_with(plan_of(), PlaceCa).commands[0]
    subprocess.run(make.argv, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    certificate, key = ((tmp_path / f"cilium-ca.{part}").read_bytes() for part in ("crt", "key"))
    assert belongs_together(certificate, key)
    from cryptography import x509

    read = x509.load_pem_x509_certificate(certificate).extensions
    assert read.get_extension_for_class(x509.BasicConstraints).value.ca
    assert read.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_a_ca_that_is_kept_is_copied() -> None:
    world = SHAPES["fresh"]()
    plan = assess(world.store(), world.clusters, {"ca": f"keep:{world.clusters[0]}"}).plan(0.0)
    (copy,) = step_with(plan, PlaceCa).commands
    assert f"--context {world.clusters[0]} " in copy.argv[2].partition("|")[0]
    assert f"--context {world.clusters[1]} create" in copy.argv[2]


def test_pods_are_restarted_by_workload_those_of_dns_first() -> None:
    world = closed()
    owned = [("shop", "cart-1", "ReplicaSet", "cart-5d8f"), ("shop", "cart-2", "ReplicaSet", "cart-5d8f")]
    owned += [("kube-system", "coredns-1", "ReplicaSet", "coredns-77c"), ("shop", "db-0", "StatefulSet", "db")]
    owned += [("shop", "alone", "", "")]
    pods = [
        Pod(place, name, ip="192.168.1.9", phase="Running", owner_kind=kind, owner_name=owner)
        for place, name, kind, owner in owned
    ]
    host = Pod("kube-system", "proxy", ip="192.168.1.2", phase="Running", host_network=True, owner_kind="DaemonSet")
    world.put(fact.PODS, "eks-tokyo", (*pods, host))
    step = step_with(assess(world.store(), world.clusters).plan(0.0), RestartPods)
    assert step.clusters == ("eks-tokyo",) and step.found[0].startswith("5 pods with an address that is not Cilium's")
    assert [command.argv[4:] for command in step.commands] == [
        ("kube-system", "rollout", "restart", "deployment/coredns"),
        ("shop", "rollout", "restart", "deployment/cart", "statefulset/db"),
    ]
