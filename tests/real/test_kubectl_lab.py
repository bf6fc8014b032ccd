"""The real kubectl in the lab: it gets, describes, watches, applies, deletes, execs and follows logs.

The same expectations are held against a real API server, so that they are Kubernetes' and not the lab's.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.real import clusters
from tests.real.conftest import Clusters
from tests.real.control_plane import wait_for
from tests.real.lab import Lab
from tests.real.programs import Program

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: kubectl, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: kubectl}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: turn, namespace: kubectl}
spec: {holderIdentity: me}
"""


class Kubectl:
    """kubectl with one context of a kubeconfig and an environment for its credential plugin."""

    def __init__(
        self, program: Path, kubeconfig: Path, context: str, env: Mapping[str, str], *, by_kwok: bool = False
    ) -> None:
        self.by_kwok = by_kwok
        self.argv = [str(program), "--kubeconfig", str(kubeconfig), "--context", context]
        self.env = {**os.environ, **env}

    def __call__(self, *arguments: str, stdin: str | None = None, code: int = 0) -> str:
        """Run it; its standard output, or its standard error where a failure is expected."""
        done = subprocess.run(
            [*self.argv, *arguments], input=stdin, capture_output=True, text=True, env=self.env, timeout=60, check=False
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done.stderr if code else done.stdout

    def json(self, *arguments: str) -> Any:
        """What ``-o json`` prints."""
        return json.loads(self(*arguments, "-o", "json"))


@pytest.fixture(scope="module", params=["lab-eks", "lab-aks", "real-eks"])
def kube(request: pytest.FixtureRequest, kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    kind, _, cloud = str(request.param).partition("-")
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    if kind == "real":
        real: Clusters = request.getfixturevalue("two_clusters")
        real[clusters.EKS].pod_log.write_text("2026-01-01T00:00:00.000000000Z stdout F it started\n")
        return Kubectl(kubectl, real.kubeconfig, clusters.EKS, home, by_kwok=True)
    lab: Lab = request.getfixturevalue("healthy_lab")
    return Kubectl(kubectl, lab.kubeconfig, next(name for name in lab.contexts if cloud in name), lab.env | home)


@pytest.fixture(scope="module")
def web(kube: Kubectl) -> Iterator[Kubectl]:
    """A namespace ``kubectl`` with a Deployment of two and a Service, applied by kubectl."""
    kube("create", "namespace", "kubectl")
    assert kube("apply", "-f", "-", stdin=WEB).split("\n")[:2] == ["deployment.apps/web created", "service/web created"]
    yield kube
    kube("delete", "namespace", "kubectl", "--timeout=50s")


def pods_of(kube: Kubectl, selector: str = "app=web", namespace: str = "kubectl") -> list[str]:
    return kube("get", "pods", "-n", namespace, "-l", selector, "-o", "name").split()


def test_version(kube: Kubectl) -> None:
    assert kube.json("version")["serverVersion"]["gitVersion"].startswith("v1.")


def test_get_nodes_as_a_table(kube: Kubectl) -> None:
    header, *rows = kube("get", "nodes", "-o", "wide").splitlines()
    assert header.split()[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert "INTERNAL-IP" in header
    assert rows
    assert all(re.search(r"\bv1\.\d+\.\d+", row) for row in rows)


def test_get_everything_of_kube_system(kube: Kubectl) -> None:
    listed = kube("get", "all", "-n", "kube-system")
    assert re.search(r"^daemonset.apps/[a-z-]+\s+[23]\s+[23]\s+[23]\s", listed, re.MULTILINE)
    assert re.search(r"^deployment.apps/coredns\s+\d/2", listed, re.MULTILINE)


def test_columns_selectors_and_sorting(kube: Kubectl) -> None:
    listed = kube(
        *("get", "pods", "-A", "--sort-by=.metadata.name", "--field-selector=metadata.namespace=kube-system"),
        *("-o", "custom-columns=NAME:.metadata.name", "--no-headers"),
    )
    names = listed.split()
    assert names == sorted(names)
    assert any(name.startswith("coredns-") for name in names)


def test_describe_a_node_and_a_pod(kube: Kubectl) -> None:
    node = kube.json("get", "nodes")["items"][0]["metadata"]["name"]
    described = kube("describe", "node", node)
    assert f"Name:               {node}" in described
    assert "Conditions:" in described
    pod = pods_of(kube, "k8s-app=kube-dns", "kube-system")[0]
    assert re.search(r"^Service Account:|^Containers:", kube("describe", "-n", "kube-system", pod), re.MULTILINE)


def test_explain_and_api_resources(kube: Kubectl) -> None:
    names = kube("api-resources", "--no-headers", "-o", "name").split()
    assert {"pods", "nodes", "secrets", "deployments.apps", "leases.coordination.k8s.io"} <= set(names)


def test_may_i(kube: Kubectl) -> None:
    assert kube("auth", "can-i", "list", "secrets", "-A") == "yes\n"
    assert "Username" in kube("auth", "whoami")


def test_apply_changes_only_what_changed(web: Kubectl) -> None:
    assert web("apply", "-f", "-", stdin=WEB) == "deployment.apps/web unchanged\nservice/web unchanged\n"
    changed = WEB.replace("replicas: 2", "replicas: 3")
    assert web("apply", "-f", "-", stdin=changed) == "deployment.apps/web configured\nservice/web unchanged\n"
    assert web.json("get", "-n", "kubectl", "deployment", "web")["spec"]["replicas"] == 3


def test_server_side_apply_and_diff(web: Kubectl) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sea, namespace: kubectl}\ndata: {wave: high}\n"
    assert web("apply", "--server-side", "-f", "-", stdin=text) == "configmap/sea serverside-applied\n"
    conflict = web(
        "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=text.replace("high", "low"), code=1
    )
    assert "conflict" in conflict
    assert web("diff", "-f", "-", stdin=text) == ""


def test_rollout_scale_label_annotate_patch(web: Kubectl) -> None:
    web("scale", "-n", "kubectl", "deployment/web", "--replicas=2")
    web("rollout", "status", "-n", "kubectl", "deployment/web", "--timeout=50s")
    wait_for(lambda: len(pods_of(web)) == 2, 30, "two pods", every=0.3)
    web("label", "-n", "kubectl", "service/web", "tier=front")
    web("annotate", "-n", "kubectl", "service/web", "service.cilium.io/global=true")
    web("patch", "-n", "kubectl", "service/web", "-p", '{"spec": {"ports": [{"port": 80, "name": "http"}]}}')
    service = web.json("get", "-n", "kubectl", "service", "web")
    assert service["metadata"]["labels"] == {"tier": "front"}
    assert service["metadata"]["annotations"]["service.cilium.io/global"] == "true"
    assert service["spec"]["ports"][0]["name"] == "http"


def test_watch_sees_what_happens(web: Kubectl, tmp_path: Path) -> None:
    argv = [*web.argv, "get", "configmaps", "-n", "kubectl", "--watch", "-o", "name"]
    with Program("watch", argv, tmp_path, web.env) as watch:
        wait_for(lambda: "kube-root-ca.crt" in watch.log.read_text(), 30, "what is there already")
        web("create", "configmap", "-n", "kubectl", "new", "--from-literal=a=b")
        wait_for(lambda: "configmap/new" in watch.log.read_text(), 20, "the new object")
        watch.check()


def test_wait_returns_when_it_is_so(web: Kubectl) -> None:
    web("create", "configmap", "-n", "kubectl", "gone", "--from-literal=a=b")
    web("delete", "configmap", "-n", "kubectl", "gone", "--wait=false")
    web("wait", "-n", "kubectl", "--for=delete", "configmap/gone", "--timeout=20s")
    web("wait", "-n", "kubectl", "--for=condition=Available", "deployment/web", "--timeout=50s")


def test_missing_things_are_said_as_kubectl_says_them(kube: Kubectl) -> None:
    assert kube("get", "pod", "none", code=1) == 'Error from server (NotFound): pods "none" not found\n'
    assert "the server doesn't have a resource type" in kube("get", "widgets", code=1)


def test_exec_gives_output_and_exit_code(kube: Kubectl) -> None:
    pod = pods_of(kube, "k8s-app=kube-dns", "kube-system")[0]
    assert kube("exec", "-n", "kube-system", pod, "--", "echo", "from", "inside") == "from inside\n"
    refused = kube("exec", "-n", "kube-system", pod, "--", "no-such-program", code=1)
    assert "no-such-program" in refused
    if kube.by_kwok:
        return  # it passes a program's failure as an internal error instead of its code
    lost = kube("exec", "-n", "kube-system", pod, "--", "sh", "-c", "no-such-program", code=127)
    assert lost == "sh: no-such-program: not found\ncommand terminated with exit code 127\n"


def test_logs_are_read_and_followed(kube: Kubectl, tmp_path: Path) -> None:
    pod = pods_of(kube, "k8s-app=kube-dns", "kube-system")[0]
    lines = kube("logs", "-n", "kube-system", pod).splitlines()
    assert lines
    assert kube("logs", "-n", "kube-system", pod, "--tail=1").splitlines() == lines[-1:]
    with Program("logs", [*kube.argv, "logs", "-f", "-n", "kube-system", pod], tmp_path, kube.env) as follow:
        wait_for(lambda: lines[-1] in follow.log.read_text(), 20, "the lines so far")
        follow.check()


def test_a_lease_is_taken_and_given_back(web: Kubectl) -> None:
    created = web("create", "-f", "-", stdin=LEASE)
    assert created == "lease.coordination.k8s.io/turn created\n"
    assert "AlreadyExists" in web("create", "-f", "-", stdin=LEASE, code=1)
    gone = web("delete", "lease", "-n", "kubectl", "turn")
    assert gone.startswith('lease.coordination.k8s.io "turn" deleted')
