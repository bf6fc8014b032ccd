"""The bench itself: two real clusters are up, schedule, run, log, exec and end."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real import clusters
from tests.real.agents import answer_as
from tests.real.conftest import Clusters
from tests.real.control_plane import ControlPlane, wait_for
from tests.real.programs import ROOT, Exited, Program

Kubectl = Callable[..., str]


@pytest.fixture(params=[clusters.EKS, clusters.AKS], ids=["eks", "aks"])
def plane(request: pytest.FixtureRequest, two_clusters: Clusters) -> ControlPlane:
    return two_clusters[str(request.param)]


@pytest.fixture
def run(plane: ControlPlane, two_clusters: Clusters, kubectl: Path) -> Kubectl:
    """kubectl on one of the clusters, by the kubeconfig that holds both; its standard output."""

    def call(*arguments: str, stdin: str | None = None) -> str:
        command = [str(kubectl), "--kubeconfig", str(two_clusters.kubeconfig), "--context", plane.context, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.fixture
def client_pod(plane: ControlPlane, run: Kubectl) -> Iterator[str]:
    """A running pod that the scheduler placed."""
    plane.create("/api/v1/namespaces/default/pods", clusters.pod("client"))
    run("wait", "--for=condition=Ready", "pod/client", "--timeout=20s")
    yield "client"
    run("delete", "pod", "client", "--wait=true", "--timeout=20s")


def items(run: Kubectl, *arguments: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(run("get", "-o", "json", *arguments))["items"]
    return listed


def test_nodes_are_ready_and_have_the_addresses_of_their_cloud(plane: ControlPlane, run: Kubectl) -> None:
    run("wait", "--for=condition=Ready", "node", "--all", "--timeout=20s")
    nodes = items(run, "nodes")
    scheme = "aws:///" if plane.context == clusters.EKS else "azure:///subscriptions/"
    assert len(nodes) == 2
    for node in nodes:
        addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
        assert node["spec"]["providerID"].startswith(scheme)
        assert addresses["InternalIP"].startswith("10.")
        assert addresses["Hostname"] == node["metadata"]["name"]


def test_the_systems_workloads_run_on_every_node(plane: ControlPlane, run: Kubectl) -> None:
    def all_run() -> bool:
        pods = items(run, "pods", "-n", "kube-system")
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        wanted = 6 if plane.context == clusters.EKS else 4
        return len(running) == len(pods) == wanted

    wait_for(all_run, 20, "running pods in kube-system", every=0.3)


def test_exec_runs_a_program_of_this_machine(plane: ControlPlane, run: Kubectl, client_pod: str) -> None:
    # kwok passes the end of standard input not on, and a program's failure as an internal error instead of its code.
    answer = '#!/bin/sh\nread -r line; echo "args: $*, line: $line"; echo broken >&2; exit '
    plane.program("cilium-dbg", answer + "3\n")
    with pytest.raises(AssertionError, match=r"broken\n.*cilium-dbg status: exit status 3"):
        run("exec", "-i", client_pod, "--", "cilium-dbg", "status", stdin="in\n")
    plane.program("cilium-dbg", answer + "0\n")
    said = run("exec", "-i", client_pod, "--", "cilium-dbg", "status", stdin="in\n")
    assert said == "args: status, line: in\n"


def test_an_agent_answers_as_one_that_was_recorded(
    plane: ControlPlane, run: Kubectl, client_pod: str, tmp_path: Path
) -> None:
    (tmp_path / "status.json").write_text('{"cluster-mesh": {}}')
    answer_as(plane, tmp_path)
    assert run("exec", client_pod, "--", "cilium-dbg", "status", "-o", "json") == '{"cluster-mesh": {}}'
    with pytest.raises(AssertionError, match='unknown command "status" for "cilium-health"'):
        run("exec", client_pod, "--", "cilium-health", "status", "-o", "json")


def test_logs_are_read_and_followed(
    plane: ControlPlane, run: Kubectl, client_pod: str, kubectl: Path, tmp_path: Path
) -> None:
    plane.pod_log.write_text("2026-01-01T00:00:00.000000000Z stdout F first line\n")
    assert run("logs", client_pod) == "first line\n"
    argv = [str(kubectl), "--kubeconfig", str(plane.kubeconfig), "logs", "-f", client_pod]
    with Program("logs", argv, tmp_path) as follow:
        wait_for(lambda: "first line" in follow.log.read_text(), 20, "the lines so far")
        with plane.pod_log.open("a") as log:
            log.write("2026-01-01T00:00:01.000000000Z stdout F second line\n")
        wait_for(lambda: "second line" in follow.log.read_text(), 20, "the line written meanwhile")
        follow.check()


def test_a_service_gets_an_address_and_endpoints(plane: ControlPlane, run: Kubectl, client_pod: str) -> None:
    run("expose", "pod", client_pod, "--name=front", "--port=80", "--type=LoadBalancer", "--selector=app=client")
    plane.give_address("default", "front", "10.0.1.200")
    service = json.loads(run("get", "service", "front", "-o", "json"))
    assert service["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.0.1.200"

    def has_endpoint() -> bool:
        slices = items(run, "endpointslices", "-l", "kubernetes.io/service-name=front")
        return any(each.get("endpoints") for each in slices)

    wait_for(has_endpoint, 20, "an endpoint of the Service", every=0.3)
    run("delete", "service", "front")


def test_a_user_without_rights_is_refused(plane: ControlPlane, kubectl: Path) -> None:
    command = [str(kubectl), "--kubeconfig", str(plane.user("nobody")), "get", "nodes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert 'User "nobody" cannot list resource "nodes"' in done.stderr


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped by somebody else does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_programs_end_with_those_who_started_them(tmp_path: Path) -> None:
    code = f"""
        import os, signal, sys, time
        from pathlib import Path
        from tests.real.programs import Program
        program = Program("sleeper", ["sleep", "600"], Path({str(tmp_path)!r}))
        print(program.process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    pid = int(killed.stdout)
    wait_for(lambda: not alive(pid), 5, "the end of the child")


def test_a_program_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Program("shell", ["sh", "-c", "echo no such flag; exit 4"], tmp_path) as program:
        program.process.wait(timeout=10)
        with pytest.raises(Exited, match=r"shell ended with 4:\nno such flag"):
            program.check()


def test_killing_a_program_ends_what_it_started(tmp_path: Path) -> None:
    script = "sleep 600 & echo $!; wait"
    with Program("shell", ["sh", "-c", script], tmp_path) as program:
        wait_for(lambda: program.log.read_text().strip(), 5, "the child's pid")
        child = int(program.log.read_text())
    wait_for(lambda: not alive(child), 5, "the end of the grandchild")
    assert not alive(program.process.pid)
