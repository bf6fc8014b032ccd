"""The real kubectl in the lab. Skipped where there is none (``tools/build kubectl`` makes one)."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from backends.lab.launch import LabHandle, start_lab
from tests.test_lab import small_lab

_HERE = Path(__file__).resolve().parents[2] / ".tools" / "bin"
KUBECTL = shutil.which("kubectl", path=os.pathsep.join([os.environ.get("MESHWRIGHT_TOOLS", ""), str(_HERE)])) or (
    shutil.which("kubectl")
)
pytestmark = [
    pytest.mark.skipif(KUBECTL is None, reason="no kubectl in MESHWRIGHT_TOOLS, .tools/bin or PATH"),
    pytest.mark.asyncio(loop_scope="module"),
]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80}]}
"""


@dataclass
class Done:
    """How a kubectl ended."""

    code: int
    out: str
    errors: str


class Kubectl:
    """kubectl with the environment of a lab."""

    def __init__(self, lab: LabHandle, home: Path, context: str = "eks-one") -> None:
        self.lab = lab
        self.context = context
        self.env = {**lab.env, "HOME": str(home)}

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        """Start it with pipes."""
        assert KUBECTL is not None
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            KUBECTL, "--context", self.context, *argv, env=self.env, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *argv: str, stdin: str = "") -> Done:
        """Run it to its end."""
        process = await self.start(*argv)
        out, errors = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        return Done(process.returncode or 0, out.decode(), errors.decode())

    async def ok(self, *argv: str, stdin: str = "") -> str:
        """Its standard output, where it succeeds."""
        done = await self(*argv, stdin=stdin)
        assert done.code == 0, done
        return done.out


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubectl(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """One lab for the file; what a test makes has names of its own, what it spoils it puts back."""
    async with start_lab("small", module=small_lab.MODULE, speed=5.0) as lab:
        yield Kubectl(lab, tmp_path_factory.mktemp("home"))


async def test_it_looks_around(kubectl: Kubectl) -> None:
    assert "Server Version: v1.34.4" in await kubectl.ok("version")
    nodes = (await kubectl.ok("get", "nodes", "-o", "wide")).splitlines()
    assert nodes[0].split()[:6] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP"]
    assert nodes[1].split()[:3] == ["one", "Ready", "<none>"]
    pods = await kubectl.ok("get", "pods", "-A", "-l", "tier=front", "--no-headers")
    assert pods.split()[:4] == ["default", "web-2", "2/2", "Running"]
    assert "deployments " in await kubectl.ok("api-resources", "--no-headers")
    described = await kubectl.ok("describe", "pod", "web-2")
    assert "Node:             two" in described or "Node:         two" in described
    assert "rollingUpdate" in await kubectl.ok("explain", "deployment.spec.strategy")


async def test_it_changes_and_undoes(kubectl: Kubectl) -> None:
    assert await kubectl.ok("apply", "-f", "-", stdin=WEB) == "deployment.apps/web created\nservice/web created\n"
    assert await kubectl.ok("apply", "-f", "-", stdin=WEB) == "deployment.apps/web unchanged\nservice/web unchanged\n"
    await kubectl.ok("scale", "deploy/web", "--replicas=5")
    await kubectl.ok("set", "image", "deploy/web", "web=web:2")
    await kubectl.ok("annotate", "deploy/web", "why=test")
    await kubectl.ok("label", "deploy/web", "team=mesh")
    await kubectl.ok("patch", "deploy", "web", "-p", '{"spec":{"paused":true}}')
    read = json.loads(await kubectl.ok("get", "deploy", "web", "-o", "json"))
    assert (read["spec"]["replicas"], read["spec"]["paused"]) == (5, True)
    assert read["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    assert read["metadata"]["annotations"]["why"] == "test"
    assert read["metadata"]["labels"] == {"app": "web", "team": "mesh"}
    refused = await kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=WEB)
    assert refused.code == 1 and ".spec.replicas" in refused.errors
    await kubectl.ok("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-", stdin=WEB)
    assert "replicas: 2" in await kubectl.ok("get", "deploy", "web", "-o", "yaml")
    assert "deleted" in await kubectl.ok("delete", "-f", "-", stdin=WEB)
    assert (await kubectl("get", "deploy", "web")).errors == (
        'Error from server (NotFound): deployments.apps "web" not found\n'
    )


async def test_typed_creations_are_understood(kubectl: Kubectl) -> None:
    await kubectl.ok("create", "namespace", "team")
    await kubectl.ok("create", "configmap", "m", "--from-literal=a=b", "-n", "team")
    await kubectl.ok("create", "secret", "generic", "s", "--from-literal=a=b", "-n", "team")
    await kubectl.ok("create", "deployment", "d", "--image=a:1", "--replicas=0", "-n", "team")
    listed = await kubectl.ok("get", "configmap/m", "secret/s", "deploy/d", "-n", "team", "-o", "name")
    assert listed.split() == ["configmap/m", "secret/s", "deployment.apps/d"]
    assert await kubectl.ok("get", "deploy/d", "-n", "team", "-o", "jsonpath={.spec.replicas}") == "0"
    await kubectl.ok("delete", "namespace", "team")


async def test_it_asks_about_rights(kubectl: Kubectl) -> None:
    assert await kubectl.ok("auth", "can-i", "delete", "nodes") == "yes\n"
    denied = await kubectl("auth", "can-i", "list", "secrets", "--as", "dev")
    assert (denied.code, denied.out) == (1, "no\n")
    assert "operator" in await kubectl.ok("auth", "whoami")
    forbidden = await kubectl("get", "secrets", "--as", "dev")
    assert forbidden.errors == (
        'Error from server (Forbidden): secrets is forbidden: User "dev" cannot list resource "secrets" in API group '
        '"" in the namespace "default"\n'
    )
    kind = Kubectl(kubectl.lab, Path(kubectl.env["HOME"]), "kind-two")
    assert "kubernetes-admin" in await kind.ok("auth", "whoami")


async def test_it_runs_programs_in_pods(kubectl: Kubectl) -> None:
    assert await kubectl.ok("exec", "web-1", "--", "echo", "hello") == "hello\n"
    assert await kubectl.ok("exec", "-i", "web-2", "-c", "side", "--", "cat", stdin="through") == "through"
    failed = await kubectl("exec", "web-1", "--", "false")
    assert (failed.code, failed.errors) == (3, "it is false\ncommand terminated with exit code 3\n")
    missing = await kubectl("exec", "web-1", "--", "none")
    assert missing.code == 1 and "executable file not found in $PATH" in missing.errors


async def test_it_follows_logs_until_the_pod_goes(kubectl: Kubectl) -> None:
    pod = json.loads(await kubectl.ok("get", "pod", "web-1", "-o", "json"))
    assert await kubectl.ok("logs", "web-1", "--tail=1") == "third\n"
    process = await kubectl.start("logs", "-f", "web-1")
    assert process.stdout is not None
    async with asyncio.timeout(20):
        lines = [await process.stdout.readline() for _ in range(5)]
        assert lines[2:4] == [b"third\n", b"line 4\n"]
        await kubectl.ok("delete", "pod", "web-1")
        assert await process.wait() == 0
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        del pod["metadata"][field]
    assert "created" in await kubectl.ok("create", "-f", "-", stdin=json.dumps(pod))


async def test_it_watches(kubectl: Kubectl) -> None:
    process = await kubectl.start("get", "pods", "-w", "--no-headers")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            first = [(await process.stdout.readline()).split()[0] for _ in range(2)]
            assert first == [b"web-1", b"web-2"]
            await kubectl.ok("label", "pod", "web-2", "a=b")
            assert (await process.stdout.readline()).split()[0] == b"web-2"
            waited = await kubectl.ok("wait", "--for=jsonpath={.metadata.labels.a}=b", "pod/web-2", "--timeout=10s")
            assert waited == "pod/web-2 condition met\n"
    finally:
        process.kill()
        await process.wait()


async def test_what_is_wrong_with_a_server_is_what_kubectl_knows(kubectl: Kubectl) -> None:
    control = kubectl.lab.control
    await control.api("eks-one", "down")
    assert "was refused - did you specify the right host or port?" in (await kubectl("get", "nodes")).errors
    await control.api("eks-one", "status", status=401)
    assert "You must be logged in to the server" in (await kubectl("get", "nodes")).errors
    await control.api("eks-one", "status", status=500)
    assert "Error from server (InternalError)" in (await kubectl("get", "nodes")).errors
    await control.api("eks-one", "hanging")
    hung = (await kubectl("get", "nodes", "--request-timeout=1s")).errors
    assert "Client.Timeout exceeded" in hung or "context deadline exceeded" in hung
    await control.api("eks-one")
    await control.login("aws-lab", valid=False)
    ended = await kubectl("get", "nodes")
    assert ended.code == 1 and "Token has expired" in ended.errors
    assert "exec: executable aws failed with exit code 255" in ended.errors
    await control.login("aws-lab", valid=True)
