"""The lab's helm and the real one tell the same story on a real API server: same words, same codes, same objects."""

import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.real import clusters
from tests.real.chart_fields import Object, differences, fields
from tests.real.conftest import Clusters
from tests.real.control_plane import ControlPlane, wait_for
from tests.real.programs import CHARTS, ROOT

SPACE = "kube-system"
OLD, NEW = CHARTS / "1.15.19", CHARTS / "1.20.2"
OWNER = "app.kubernetes.io/managed-by"
MESH = "cluster.name=c1,cluster.id=1,clustermesh.useAPIServer=true,clustermesh.config.enabled=true"
COLLECTIONS = {
    f"/api/v1/namespaces/{SPACE}": ("configmaps", "secrets", "services", "serviceaccounts"),
    f"/apis/apps/v1/namespaces/{SPACE}": ("daemonsets", "deployments"),
    f"/apis/batch/v1/namespaces/{SPACE}": ("jobs", "cronjobs"),
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SPACE}": ("roles", "rolebindings"),
    "/apis/rbac.authorization.k8s.io/v1": ("clusterroles", "clusterrolebindings"),
    "/apis/rbac.authorization.k8s.io/v1/namespaces/cilium-secrets": ("roles", "rolebindings"),
}
TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000 UTC|Z)|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"
)
QUOTED_OBJECT = re.compile(r'"\{\\"apiVersion.*\}"')

pytestmark = pytest.mark.timeout(900)


@dataclass
class Teller:
    """One program's run of the story: every command with its output and code, and the objects at some points."""

    argv: Sequence[str]
    plane: ControlPlane
    home: Path
    said: list[str] = field(default_factory=list)
    seen: list[dict[str, Object]] = field(default_factory=list)

    def helm(self, *arguments: str) -> str:
        """Run a command on the cluster; its standard output."""
        command = [*self.argv, *arguments, "--namespace", SPACE, "--kubeconfig", str(self.plane.kubeconfig)]
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False, cwd=self.home)
        self.said.append(f"$ helm {' '.join(arguments)}")
        self.said += [f"1| {line}" for line in normal(done.stdout)] + [f"2| {line}" for line in normal(done.stderr)]
        self.said.append(f"= {done.returncode}")
        return done.stdout

    def look(self) -> None:
        """Remember every object that helm made."""
        self.seen.append(fields(self.objects()))

    def objects(self) -> list[Object]:
        """The live objects with helm's label, without what the API server draws by lot."""
        found: list[Object] = []
        for path, plurals in COLLECTIONS.items():
            for plural in plurals:
                code, answer = self.plane.request("GET", f"{path}/{plural}?labelSelector={OWNER}%3DHelm")
                assert code == 200, answer
                kind = {"apiVersion": answer["apiVersion"], "kind": answer["kind"].removesuffix("List")}
                found += [settled({**kind, **item}) for item in answer["items"]]
        return found

    def releases(self) -> list[Object]:
        """The release's Secrets, oldest first."""
        _, answer = self.plane.request("GET", f"/api/v1/namespaces/{SPACE}/secrets?labelSelector=owner%3Dhelm")
        return sorted(answer["items"], key=lambda item: int(item["metadata"]["labels"]["version"]))

    def cut_off(self) -> None:
        """Leave the newest revision as a killed upgrade leaves it."""
        secret = self.releases()[-1]
        release = record(secret)
        release["info"] |= {"status": "pending-upgrade", "description": "Preparing upgrade"}
        secret["metadata"]["labels"]["status"] = "pending-upgrade"
        packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
        secret["data"]["release"] = base64.b64encode(packed).decode()
        code, answer = self.plane.request("PUT", self._secret(secret["metadata"]["name"]), secret)
        assert code == 200, answer

    def patch(self, path: str, body: Object) -> None:
        """Change an object beside helm."""
        code, answer = self.plane.request("PATCH", path, body, "application/merge-patch+json")
        assert code == 200, answer

    def clean(self) -> None:
        """Remove what a story leaves."""
        for path, plurals in COLLECTIONS.items():
            for plural in plurals:
                for selector in (f"{OWNER}%3DHelm", "owner%3Dhelm"):
                    self.plane.request("DELETE", f"{path}/{plural}?labelSelector={selector}")
        self.plane.request("DELETE", self._secret("cilium-ca"))
        secrets = "/api/v1/namespaces/cilium-secrets"
        self.plane.request("DELETE", secrets)
        wait_for(
            lambda: self.plane.request("GET", secrets)[0] == 404 and not self.objects(), 60, "an empty cluster", 0.5
        )

    def _secret(self, name: str) -> str:
        return f"/api/v1/namespaces/{SPACE}/secrets/{name}"


def settled(item: Object) -> Object:
    """The object without addresses and node ports that nobody asked for, and without its controllers' marks."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    for mark in ("deprecated.daemonset.template.generation", "deployment.kubernetes.io/revision"):
        (metadata.get("annotations") or {}).pop(mark, None)
    if item["kind"] == "Service":
        for name in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            spec.pop(name, None)
        for port in spec["ports"]:
            port.pop("nodePort", None)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    for name in list(labels):
        if name.endswith(("controller-uid", "job-name")):
            del labels[name]
    return item


def normal(text: str) -> list[str]:
    """Lines without times and padding; a schema's complaints come in any order."""
    lines = [
        re.sub(r"[ \t]+", " ", QUOTED_OBJECT.sub("<object>", TIME.sub("<time>", line))).rstrip()
        for line in text.splitlines()
    ]
    complaints = sorted(line for line in lines if line.lstrip().startswith("- at '"))
    return [complaints.pop(0) if line.lstrip().startswith("- at '") else line for line in lines]


def record(secret: Object) -> Any:
    """The release in a Secret."""
    return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))


@pytest.fixture
def tellers(two_clusters: Clusters, helm: Path, tmp_path: Path) -> Iterator[tuple[Teller, Teller]]:
    """The real helm and the lab's, on the same cluster one after the other."""
    plane = two_clusters[clusters.EKS]
    launcher = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    launcher += "from backends.lab.commands.helm.catalogue import main; sys.exit(main(sys.argv[1:]))"
    pair = (Teller([str(helm)], plane, tmp_path), Teller([sys.executable, "-I", "-c", launcher], plane, tmp_path))
    for path in (OLD, NEW):
        if not (path / "Chart.yaml").is_file():
            pytest.skip(f"the chart of Cilium {path.name} is not there; run `make tools`")
    yield pair
    pair[0].clean()


def same(tellers: tuple[Teller, Teller]) -> None:
    real, ours = tellers
    # Two that fail alike from the start would agree on everything.
    assert "= 0" in real.said, real.said
    assert ours.said == real.said
    assert len(ours.seen) == len(real.seen)
    for mine, theirs in zip(ours.seen, real.seen, strict=True):
        assert differences(mine, theirs) == []


def test_install_upgrade_rollback_and_uninstall(tellers: tuple[Teller, Teller], tmp_path: Path) -> None:
    for teller in tellers:
        for words in ("status cilium", "list", f"upgrade cilium {OLD}", "rollback cilium", "uninstall cilium"):
            teller.helm(*words.split())
        teller.helm("upgrade", "--install", "cilium", str(OLD), "--set", MESH, "--wait", "--timeout", "60s")
        teller.look()
        teller.helm("install", "cilium", str(OLD))
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", "--set", "MTU=1400", "--description", "smaller")
        teller.look()
        mesh = ("--set", "clustermesh.config.clusters[0].name=c2,clustermesh.config.clusters[0].port=2379")
        address = ("--set", "clustermesh.config.clusters[0].ips={10.1.2.3}")
        teller.helm("upgrade", "cilium", str(OLD), "--reset-then-reuse-values", *mesh, *address, "--set", "MTU=null")
        teller.look()
        teller.helm("get", "values", "cilium")
        teller.helm("get", "values", "cilium", "-o", "json", "--revision", "1")
        (tmp_path / "cas.pem").write_text("one, and\ntwo\n")
        bundle = ("--set", "tls.caBundle.enabled=true", "--set-file", "tls.caBundle.content=cas.pem")
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", *bundle)
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", "--set-file", "tls.caBundle.content=gone.pem")
        teller.look()
        teller.helm("upgrade", "cilium", str(NEW), "--reset-values", "--set", MESH, "--history-max", "3")
        teller.look()
        teller.helm("rollback", "cilium", "2")
        teller.look()
        teller.helm("rollback", "cilium", "1")
        for form in ("table", "json", "yaml"):
            teller.helm("history", "cilium", "-o", form)
            teller.helm("list", "-o", form)
        teller.helm("uninstall", "cilium", "--keep-history")
        teller.look()
        for words in ("list", "list --uninstalled", "list -a -q", "history cilium", "uninstall cilium --keep-history"):
            teller.helm(*words.split())
        teller.helm("upgrade", "--install", "cilium", str(OLD), "--set", MESH)
        teller.helm("history", "cilium")
        teller.helm("uninstall", "cilium")
        teller.look()
        teller.clean()
    same(tellers)


def test_objects_of_others(tellers: tuple[Teller, Teller]) -> None:
    """An install refuses or adopts what is there; an upgrade leaves foreign fields alone and takes its own back."""
    authority = {"kind": "Secret", "metadata": {"name": "cilium-ca", "namespace": SPACE}, "data": {"ca.crt": "eA=="}}
    agent = f"/apis/apps/v1/namespaces/{SPACE}/daemonsets/cilium"
    for teller in tellers:
        teller.plane.create(f"/api/v1/namespaces/{SPACE}/secrets", authority)
        teller.helm("install", "cilium", str(NEW), "--set", "cluster.name=c1,cluster.id=1")
        marks = {"meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "elsewhere"}
        owned: Object = {"metadata": {"labels": {OWNER: "Helm"}, "annotations": marks}}
        teller.patch(f"/api/v1/namespaces/{SPACE}/secrets/cilium-ca", owned)
        teller.helm("install", "cilium", str(NEW), "--set", "cluster.name=c1,cluster.id=1,tls.ca.cert=b,tls.ca.key=b")
        marks["meta.helm.sh/release-namespace"] = SPACE
        teller.patch(f"/api/v1/namespaces/{SPACE}/secrets/cilium-ca", owned)
        teller.plane.request("DELETE", f"/api/v1/namespaces/{SPACE}/secrets/cilium-ca")
        teller.helm("install", "cilium", str(OLD), "--set", MESH)
        annotations = {"someone": "else"}
        template = {"metadata": {"annotations": {"restarted": "now"}}, "spec": {"hostNetwork": False}}
        containers = {"spec": {"template": template, "minReadySeconds": 7}}
        teller.patch(agent, {"metadata": {"annotations": annotations}, **containers})
        teller.patch(f"/api/v1/namespaces/{SPACE}/configmaps/cilium-config", {"data": {"mtu": "9", "mine": "1"}})
        teller.plane.request("DELETE", f"/api/v1/namespaces/{SPACE}/services/clustermesh-apiserver")
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", "--set", "debug.enabled=true")
        teller.look()
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", "--set", "clustermesh.useAPIServer=false")
        teller.look()
        teller.clean()
    same(tellers)


def test_operations_that_fail_or_never_end(tellers: tuple[Teller, Teller]) -> None:
    balancer = ("--set", "clustermesh.apiserver.service.type=LoadBalancer")
    for teller in tellers:
        teller.helm("install", "cilium", str(OLD), "--set", MESH, *balancer, "--wait", "--timeout", "4s")
        teller.helm("list")
        teller.helm("history", "cilium")
        teller.helm("upgrade", "cilium", str(OLD), "--set", MESH)
        teller.helm("upgrade", "cilium", str(OLD), "--set", MESH, *balancer, "--atomic", "--timeout", "4s")
        teller.helm("history", "cilium")
        teller.look()
        teller.helm("upgrade", "cilium", str(OLD), "--set", MESH, "--set", "MTU=1300")
        teller.cut_off()
        for words in (f"upgrade cilium {OLD}", "list", "list --pending", "status cilium", "rollback cilium"):
            teller.helm(*words.split())
        teller.helm("history", "cilium")
        teller.look()
        teller.helm("upgrade", "cilium", str(NEW), "--reuse-values")
        teller.helm("upgrade", "cilium", str(NEW), "--set", "cluster.id=7")
        teller.helm("upgrade", "cilium", str(NEW), "--set", "cluster.id=x,clustermesh.apiserver.service.type=3")
        teller.helm("upgrade", "cilium", str(OLD), "--set", "extraConfig.a=1")
        teller.helm("history", "cilium")
        teller.clean()
    same(tellers)


def test_hooks_run_to_their_end(tellers: tuple[Teller, Teller]) -> None:
    """The certgen Job of the old chart is a hook: made anew every time, waited for, kept."""
    method = ("--set", "clustermesh.apiserver.tls.auto.method=cronJob")
    for teller in tellers:
        teller.helm("install", "cilium", str(OLD), "--set", MESH, *method, "--timeout", "30s")
        first = hook(teller)
        teller.helm("upgrade", "cilium", str(OLD), "--reuse-values", "--timeout", "30s")
        assert hook(teller)["uid"] != first["uid"]
        runs = [record(secret)["hooks"][0]["last_run"]["phase"] for secret in teller.releases()]
        teller.said.append(f"phases {runs}")
        teller.helm("uninstall", "cilium")
        teller.plane.request("DELETE", f"/apis/batch/v1/namespaces/{SPACE}/jobs/{first['name']}")
        teller.clean()
    same(tellers)


def hook(teller: Teller) -> Any:
    _, answer = teller.plane.request("GET", f"/apis/batch/v1/namespaces/{SPACE}/jobs")
    return next(item["metadata"] for item in answer["items"] if item["metadata"]["name"].startswith("clustermesh"))


def test_each_reads_the_other_s_releases(tellers: tuple[Teller, Teller]) -> None:
    real, ours = tellers
    ours.helm("install", "cilium", str(OLD), "--set", MESH)
    real.helm("upgrade", "cilium", str(OLD), "--reset-then-reuse-values", "--set", "MTU=1400")
    ours.helm("upgrade", "cilium", str(NEW), "--reset-then-reuse-values")
    real.helm("rollback", "cilium", "1")
    # The namespace of the newer chart ends a little later, and takes nothing new until then.
    wait_for(lambda: real.plane.request("GET", "/api/v1/namespaces/cilium-secrets")[0] == 404, 60, "a namespace's end")
    ours.helm("rollback", "cilium", "3")
    assert [line for line in ours.said + real.said if line.startswith("= ")] == ["= 0"] * 5
    for form in ("json", "table"):
        for words in ("history cilium", "list", "get values cilium", "status cilium"):
            answers = [teller.helm(*words.split(), "-o", form) for teller in tellers]
            assert answers[0] == answers[1]


def waiting(teller: Teller, revisions: int) -> bool:
    """Whether there is a further revision and its Service is written."""
    path = f"/api/v1/namespaces/{SPACE}/services/clustermesh-apiserver"
    _, service = teller.plane.request("GET", path)
    return len(teller.releases()) > revisions and bool(service["spec"]["type"] == "LoadBalancer")


@pytest.mark.parametrize("unread", [False, True], ids=["read", "unread"])
def test_a_signal_marks_the_release_and_a_kill_does_not(tellers: tuple[Teller, Teller], unread: bool) -> None:
    """One whose output nobody reads dies of its farewell, before it marks anything."""
    wait = ("--set", f"{MESH},clustermesh.apiserver.service.type=LoadBalancer", "--wait")
    for teller in tellers:
        teller.helm("install", "cilium", str(OLD), "--set", MESH)
        for number in (signal.SIGTERM,) if unread else (signal.SIGTERM, signal.SIGKILL):
            command = [*teller.argv, "upgrade", "cilium", str(OLD), *wait, "-n", SPACE]
            command += ["--kubeconfig", str(teller.plane.kubeconfig)]
            count = len(teller.releases())
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                # From then on it waits for the load balancer's address, for five minutes.
                wait_for(partial(waiting, teller, count), 30, "an upgrade on its way")
                if unread:
                    process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
                    process.stdout = None
                process.send_signal(number)
                output, errors = (said or "" for said in process.communicate(timeout=20))
            teller.said += [*normal(output), *normal(errors), str(process.returncode)]
            teller.helm("history", "cilium")
        teller.helm("upgrade", "cilium", str(OLD))
        teller.clean()
    same(tellers)
