"""The remedies of findings as a person would type them: to the real kubectl and to the real chart."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name

from mesh.engine import evaluate
from mesh.explain import shell
from mesh.finding import Command, Finding, Fix
from mesh.subject import Subject
from tests import aws_command
from tests.real import clusters
from tests.real.conftest import Clusters
from tests.real.control_plane import ControlPlane, wait_for
from tests.real.lab import Lab, lab_up
from tests.real.programs import ROOT
from tests.test_mesh.cases import CASES
from tests.test_mesh.changes import BOTH, A, T, other_ca
from tests.test_mesh.worlds import SHAPES, World

pytestmark = pytest.mark.real
SECRETS = "/api/v1/namespaces/kube-system/secrets"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def found(world: World) -> tuple[Finding, ...]:
    return evaluate(world.judged(), world.clusters)


def commands(program: str) -> list[Command]:
    """Every different command of any remedy that starts with this program."""
    made = (
        command
        for case in CASES
        for finding in found(case.world())
        for fix in finding.fixes
        for command in fix.commands
        if command.argv[0] == program
    )
    return list(dict.fromkeys(made))


# --- the chart ----------------------------------------------------------------------------------------------------

# Values that differ from what remedies set, so that a value that is set must show.
TUNNEL = """
cluster: {name: one, id: 9}
hubble: {enabled: false}
clustermesh:
  useAPIServer: true
  apiserver: {tls: {auto: {enabled: true, method: cronJob, schedule: 0 0 1 1 *}}, service: {type: NodePort}}
"""
NATIVE = (
    TUNNEL
    + """
routingMode: native
ipv4NativeRoutingCIDR: 10.0.0.0/8
"""
)
LARGE = TUNNEL.replace("  useAPIServer: true", "  useAPIServer: true\n  maxConnectedClusters: 511")
OTHER = (
    TUNNEL
    + """
tunnelProtocol: geneve
tunnelPort: 8473
"""
)


def values_of(command: Command) -> list[str]:
    """The flags of a helm upgrade that set values."""
    words = command.argv
    return [word for at, flag in enumerate(words) if flag.startswith("--set") for word in words[at : at + 2]]


def test_every_value_that_a_remedy_sets_changes_what_the_real_chart_renders(
    helm: Path, chart: Path, tmp_path: Path
) -> None:
    (tmp_path / "cas.pem").write_text("-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n")

    def render(base: str, flags: list[str]) -> list[object]:
        file = tmp_path / "base.yaml"
        file.write_text(base)
        command = [str(helm), "template", "cilium", str(chart), "-n", "kube-system", "--kube-version", "v1.34.4"]
        done = subprocess.run(
            [*command, "-f", str(file), *flags],
            cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.defpath},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (flags, done.stderr)
        return [item for item in yaml.load_all(done.stdout, Loader=_Loader) if item and item["kind"] != "Secret"]

    plain = {base: render(base, []) for base in (TUNNEL, NATIVE, LARGE, OTHER)}
    wanted = {tuple(flags) for command in commands("helm") if (flags := values_of(command))}
    assert len(wanted) >= 12
    for one in sorted(wanted):
        assert any(render(base, list(one)) != rendered for base, rendered in plain.items()), one


# --- kubectl ------------------------------------------------------------------------------------------------------

CHANGING = ("create", "patch", "delete", "annotate", "apply")
BAD_USE = re.compile(r"unknown (flag|command|shorthand)|unable to parse|must specify|invalid argument|Usage:|See '")
CONTEXTS = {T: clusters.EKS, A: clusters.AKS}


class Typist:
    """Types a remedy's kubectl commands at the real clusters, in a folder of its own."""

    def __init__(self, kubectl: Path, kubeconfig: Path, folder: Path) -> None:
        self.kubectl, self.kubeconfig, self.folder = kubectl, kubeconfig, folder

    def run(self, command: Command, *more: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The command with the names of the real contexts and files in place of the made-up ones."""
        words = []
        for before, word in pairwise(command.argv):
            context = CONTEXTS.get(word, clusters.EKS) if before == "--context" else word
            words.append(str(self.kubeconfig) if before == "--kubeconfig" else context)
        env = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder), "PATH": os.defpath}
        return subprocess.run(
            [self.kubectl, *words, *more],
            cwd=self.folder, env=env, input=given,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def succeed(self, command: Command) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(command)
        assert done.returncode == 0, (shell(command.argv), done.stderr)
        return done.stdout


@pytest.fixture
def typist(kubectl: Path, two_clusters: Clusters, tmp_path: Path) -> Typist:
    return Typist(kubectl, two_clusters.kubeconfig, tmp_path)


def test_kubectl_understands_every_command(typist: Typist) -> None:
    """Most of what they name is not there; what counts is that no word of them is refused."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}}
    (typist.folder / "cart.yaml").write_text(yaml.safe_dump(service))
    every = commands("kubectl")
    assert len(every) > 40
    for command in every:
        changes = "auth" not in command.argv and set(command.argv) & {*CHANGING}
        more = ("--dry-run=server",) if changes else ()
        done = typist.run(command, *more)
        assert not BAD_USE.search(done.stderr), (shell(command.argv), done.stderr)


@pytest.fixture
def authorities(two_clusters: Clusters) -> Iterator[dict[str, str]]:
    """A CA of its own in each cluster, as two installations leave it: context → PEM."""
    made = {}
    for plane in two_clusters.planes:
        pem = f"-----BEGIN CERTIFICATE-----\n{plane.context}\n-----END CERTIFICATE-----\n"
        data = {"ca.crt": pem, "ca.key": f"key of {plane.context}"}
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
        plane.create(SECRETS, {"metadata": {"name": "cilium-ca"}, "data": encoded})
        made[plane.context] = pem
    yield made
    for plane in two_clusters.planes:
        plane.request("DELETE", f"{SECRETS}/cilium-ca")


def fixes(code: str, subject: Subject) -> dict[str, Fix]:
    world = SHAPES["connected"]()
    other_ca(world)
    finding = next(one for one in found(world) if (one.code, one.subject) == (code, subject))
    return {fix.id: fix for fix in finding.fixes}


def authority(plane: ControlPlane) -> dict[str, str]:
    data: dict[str, str] = plane.request("GET", f"{SECRETS}/cilium-ca")[1]["data"]
    return data


def test_two_authorities_are_shown_to_be_trusted_both(typist: Typist, authorities: dict[str, str]) -> None:
    first, second, *_ = fixes("CM0608", BOTH)["trust-both"].commands
    shown = {CONTEXTS[command.where]: typist.succeed(command) for command in (first, second)}
    assert shown == authorities


def test_one_authority_is_given_to_both(typist: Typist, authorities: dict[str, str], two_clusters: Clusters) -> None:
    line = fixes("CM0608", BOTH)["one-ca"].commands[0].argv[2]
    copy, put = (Command(tuple(shlex.split(part))) for part in line.split(" | "))
    printed = typist.run(put, given=typist.succeed(copy))
    assert printed.returncode == 0 and "key of" not in printed.stdout, printed.stderr
    east, tokyo = (authority(two_clusters[CONTEXTS[name]]) for name in (A, T))
    assert east == tokyo and base64.b64decode(tokyo["ca.crt"]).decode() == authorities[clusters.AKS]


# --- a broken lab, mended as it says ------------------------------------------------------------------------------


# The AWS CLI's part, with the SDK that it is made of.
_AWS = """
import boto3, json, sys
service, operation, region, given = sys.argv[1:]
getattr(boto3.client(service, region_name=region), operation)(**json.loads(given))
"""


class Person:
    """Reads what ``check`` says of a lab, and types it, with the real kubectl and the lab's helm."""

    def __init__(self, lab: Lab, kubectl: Path, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").symlink_to(kubectl)
        self.env = {**os.environ, **lab.env, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self.env["PATH"] = f"{folder / 'bin'}:{lab.env['PATH']}"

    def check(self) -> dict[str, Any]:
        """The report on both clusters."""
        contexts = [word for context in self.lab.contexts for word in ("--context", context)]
        command = [sys.executable, "-m", "tui", "check", *contexts, "-o", "json"]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def type(self, argv: list[str]) -> str:
        """One command, which must succeed: its standard output."""
        if argv[0] == "aws":
            service, operation, given = aws_command.call(argv)
            region = argv[argv.index("--region") + 1]
            argv = [sys.executable, "-c", _AWS, service, xform_name(operation), region, json.dumps(given)]
        done = subprocess.run(
            argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (shell(argv), done.stderr)
        return done.stdout


def root(report: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = (one["root"] for one in report["problems"] if one["root"]["code"] == code)
    return dict(found)


@pytest.mark.parametrize("remedy", ["trust-both", "one-ca"])
def test_a_mesh_of_two_authorities_is_mended_by_what_is_shown(kubectl: Path, tmp_path: Path, remedy: str) -> None:
    with lab_up(tmp_path / "lab", "--scenario", "ca-mismatch", "--speed", "60") as lab:
        person = Person(lab, kubectl, tmp_path)
        told = next(fix for fix in root(person.check(), "CM0608")["fixes"] if fix["id"] == remedy)
        shows = [one["argv"] for one in told["commands"] if "get" in one["argv"]]
        (tmp_path / "cas.pem").write_text("".join(map(person.type, shows)))
        for command in told["commands"]:
            if command["argv"] not in shows:
                person.type(command["argv"])
        last: dict[str, Any] = {}

        def mended() -> bool:
            last.update(person.check())
            return not last["problems"]

        try:
            wait_for(mended, 90, "a mesh without a problem", every=1.0)
        except AssertionError:
            raise AssertionError([one["root"]["message"] for one in last["problems"]]) from None


@pytest.mark.parametrize(
    "faults",
    ["leaf-expired,aws-node-running,release-pending,not-global-here", "tunnel-ports-differ", "versions-too-far"],
)
def test_problems_are_mended_one_after_the_other_as_they_are_told(kubectl: Path, tmp_path: Path, faults: str) -> None:
    """The first problem's first remedy is typed until there is no problem left."""
    with lab_up(tmp_path / "lab", "--scenario", "healthy", "--fault", faults, "--speed", "60") as lab:
        person = Person(lab, kubectl, tmp_path)
        told: list[str] = []

        def first() -> dict[str, Any]:
            problems = person.check()["problems"]
            return dict(problems[0]["root"]) if problems else {}

        wait_for(first, 60, "a problem", every=0.5)
        while (one := first()) and len(told) < 8:
            told.append(f"{one['code']}: {one['message']}")
            for command in one["fixes"][0]["commands"]:
                person.type(command["argv"])
            mended, before = (lambda code=one["code"]: first().get("code") != code), told[-1]
            wait_for(mended, 90, f"an end of {before}", every=0.5)
        assert not first(), told
        assert len(told) == faults.count(",") + 1


def test_a_shared_node_port_is_mended_by_its_remedy_and_by_the_rule_that_it_announces(
    kubectl: Path, tmp_path: Path
) -> None:
    with lab_up(tmp_path / "lab", "--scenario", "healthy", "--fault", "same-node-port", "--speed", "60") as lab:
        person = Person(lab, kubectl, tmp_path)

        def roots() -> list[str]:
            return [one["root"]["code"] for one in person.check()["problems"]]

        wait_for(lambda: roots() == ["CM0606"], 60, "the fault alone", every=0.5)
        remedy = root(person.check(), "CM0606")["fixes"][0]
        for command in remedy["commands"]:
            person.type(command["argv"])
        assert "CM0405" in remedy["text"]
        wait_for(lambda: "CM0405" in roots(), 60, "the rule that is lacking", every=0.5)
        for command in root(person.check(), "CM0405")["fixes"][0]["commands"]:
            person.type(command["argv"])
        # Connections that stood are noticed late: up to two minutes, a few seconds of this lab.
        wait_for(lambda: not roots(), 90, "a mesh without a problem", every=0.5)
