"""Real Kubernetes control planes on loopback: etcd, API server, controllers, scheduler, and kwok in place of kubelets.

Nodes and pods are objects that kwok keeps alive; what is exec'd into a pod runs on this machine with ``programs`` first
in its PATH, and a pod's log is the file ``pod.log``. Nothing but loopback is used.
"""

import base64
import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from tests.real.certificates import Authority, Leaf, signing_key
from tests.real.programs import BIN, STAGES, Exited, Program, free_ports

STARTING = 60.0
JSON = "application/json"
HOSTS = ("127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc")
STAGE_FILES = (
    "node/fast/node-initialize",
    "node/heartbeat/node-heartbeat",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)


class ControlPlane:
    """One cluster: ``context`` is its name in kubeconfigs, ``service_cidr`` its service range."""

    def __init__(self, folder: Path, context: str, service_cidr: str) -> None:
        self.folder, self.context, self.service_cidr = folder, context, service_cidr
        self.programs = folder / "bin"
        self.pod_log = folder / "pod.log"
        self.kubeconfig = folder / "kubeconfig"
        self.programs.mkdir(parents=True)
        self.pod_log.touch()
        self.port = 0
        self._running: list[Program] = []
        self.authority = Authority(folder, f"{context} CA")
        self.server = self.authority.issue("server", "kube-apiserver", hosts=HOSTS)
        self.admin = self.authority.issue("admin", "admin", ["system:masters"])
        self.tokens = signing_key(folder, "tokens")

    @property
    def url(self) -> str:
        """Where its API server listens."""
        return f"https://127.0.0.1:{self.port}"

    def start_store_and_api(self) -> None:
        """Start etcd and the API server on new ports; they answer later (see ``ready``)."""
        self.port, client, peer, self._kubelet_port = free_ports(4)
        self._run("etcd", *_etcd_flags(self.context, client, peer))
        self._run("kube-apiserver", *self._api_flags(client))
        _write(self.kubeconfig, [(self, self.admin)])

    def start_controllers(self) -> None:
        """Start controller manager and scheduler; the API server must be ready."""
        private, _ = self.tokens
        shared = ("--kubeconfig=kubeconfig", "--secure-port=0", "--leader-elect=false")
        self._run(
            "kube-controller-manager",
            *shared,
            f"--service-account-private-key-file={private}",
            f"--root-ca-file={self.authority.certificate_file}",
            "--use-service-account-credentials",
        )
        self._run("kube-scheduler", *shared)

    def start_nodes(self) -> None:
        """Start kwok: every Node becomes Ready, every scheduled Pod Running; exec and logs are answered."""
        documents = [(STAGES / f"{name}.yaml").read_text() for name in STAGE_FILES]
        kind = "apiVersion: kwok.x-k8s.io/v1alpha1\nkind: {}\nmetadata: {{name: all}}\nspec: {}\n"
        documents.append(kind.format("ClusterExec", "{execs: [{local: {}}]}"))
        logs = {"logs": [{"logsFile": str(self.pod_log), "follow": True}]}
        documents.append(kind.format("ClusterLogs", json.dumps(logs)))
        (self.folder / "kwok.yaml").write_text("\n---\n".join(documents))
        certificate, key = self.server
        port = self._kubelet_port
        flags = ["--config=kwok.yaml", "--kubeconfig=kubeconfig", "--manage-all-nodes=true", "--node-ip=127.0.0.1"]
        flags += [f"--node-port={port}", f"--server-address=127.0.0.1:{port}"]
        flags += [f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}"]
        self._run("kwok", *flags)

    def stop(self) -> None:
        """End everything, last started first."""
        while self._running:
            self._running.pop().kill()

    def check(self) -> None:
        """Raise ``Exited`` if one of its programs has ended."""
        for program in self._running:
            program.check()

    def ready(self) -> bool:
        """Whether the API server says that it is; raises ``Exited`` if a program has ended."""
        self.check()
        try:
            status, body = self.request("GET", "/readyz")
        except OSError:
            return False
        return status == 200 and body == "ok"

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = JSON, accept: str = JSON
    ) -> tuple[int, Any]:
        """One request as administrator: status and the decoded JSON, or the text where it is none."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._tls())
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": content_type, "Accept": accept})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def create(self, path: str, *objects: dict[str, Any]) -> None:
        """Create objects in a collection; a ``status`` that they carry is written to the subresource."""
        for each in objects:
            code, answer = self.request("POST", path, each)
            assert code == 201, answer
            if "status" in each:
                patch = {"status": each["status"]}
                target = f"{path}/{each['metadata']['name']}/status"
                code, answer = self.request("PATCH", target, patch, "application/merge-patch+json")
                assert code == 200, answer

    def give_address(self, namespace: str, service: str, address: str) -> None:
        """What a cloud's controller does for a LoadBalancer Service; ``address`` is an IP or a host name."""
        entry = {"ip" if address.replace(".", "").isdigit() else "hostname": address}
        path = f"/api/v1/namespaces/{namespace}/services/{service}/status"
        patch = {"status": {"loadBalancer": {"ingress": [entry]}}}
        code, answer = self.request("PATCH", path, patch, "application/merge-patch+json")
        assert code == 200, answer

    def apply(self, kubectl: Path, manifest: str) -> None:
        """Create what a YAML text describes, as an administrator does with text that the product prints."""
        command = [str(kubectl), "--kubeconfig", str(self.kubeconfig), "apply", "-f", "-"]
        done = subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def user(self, name: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of a user who has no rights but those that the tests bind to the name or a group."""
        file = self.folder / f"kubeconfig-{name}"
        _write(file, [(self, self.issue(name, groups))])
        return file

    def issue(self, user: str, groups: Sequence[str] = ()) -> Leaf:
        """A client certificate by which the API server knows this user."""
        return self.authority.issue(f"user-{user}", user, groups)

    def program(self, name: str, script: str) -> None:
        """Put a program into the PATH of what is exec'd into this cluster's pods; ``script`` starts with its ``#!``."""
        path = self.programs / name
        path.write_text(script)
        path.chmod(0o755)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate_file))
        context.load_cert_chain(*self.admin)
        return context

    def _run(self, name: str, *flags: str) -> None:
        env = {"PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": str(self.folder)}
        self._running.append(Program(name, [str(BIN / name), *flags], self.folder, env))

    def _api_flags(self, etcd: int) -> list[str]:
        authority = self.authority.certificate_file
        (certificate, key), (client, client_key), (private, public) = self.server, self.admin, self.tokens
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={authority}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={self.service_cidr}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            # Nodes have the addresses of their clouds; the one kwok listens on is their external name.
            "--kubelet-preferred-address-types=ExternalDNS",
            f"--kubelet-certificate-authority={authority}",
            f"--kubelet-client-certificate={client}",
            f"--kubelet-client-key={client_key}",
        ]


def _etcd_flags(name: str, client: int, peer: int) -> list[str]:
    clients, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]


def start(planes: Sequence[ControlPlane], seed: Callable[[ControlPlane], None], cleanup: ExitStack) -> None:
    """Start the control planes side by side; ``seed`` makes each one's first objects, Nodes among them.

    Every program is registered with ``cleanup`` before the next one starts. A port that somebody took in the moment
    between asking for it and using it is asked for again.
    """
    for plane in planes:
        cleanup.callback(plane.stop)
        plane.start_store_and_api()
    for plane in planes:
        _answering(plane)
        plane.start_controllers()
    for plane in planes:
        seed(plane)
        plane.start_nodes()


def _answering(plane: ControlPlane, attempts: int = 3) -> None:
    for attempt in range(attempts):
        try:
            wait_for(plane.ready, STARTING, f"the API server of {plane.context}")
        except Exited as ended:
            if attempt + 1 == attempts or "address already in use" not in str(ended):
                raise
            plane.stop()
            plane.start_store_and_api()
        else:
            return


def wait_for(condition: Callable[[], object], seconds: float, what: str, every: float = 0.05) -> None:
    """Wait until ``condition()`` is true; ``AssertionError`` names what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not so after {seconds:.0f} s"
        time.sleep(every)


def write_kubeconfig(file: Path, planes: Sequence[ControlPlane], user: str = "") -> None:
    """One kubeconfig with a context for each control plane; the first is the current one.

    As administrator, or as a ``user`` who has no rights but those that the tests bind to the name.
    """
    _write(file, [(plane, plane.issue(user) if user else plane.admin) for plane in planes])


def _write(file: Path, entries: Sequence[tuple[ControlPlane, Leaf]]) -> None:
    def text(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    clusters, users, contexts = [], [], []
    for plane, (certificate, key) in entries:
        name = plane.context
        trusted = text(plane.authority.certificate_file)
        clusters.append({"name": name, "cluster": {"server": plane.url, "certificate-authority-data": trusted}})
        user = {"client-certificate-data": text(certificate), "client-key-data": text(key)}
        users.append({"name": f"{name}-user", "user": user})
        contexts.append({"name": name, "context": {"cluster": name, "user": f"{name}-user"}})
    content: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": entries[0][0].context}
    content |= {"clusters": clusters, "users": users, "contexts": contexts}
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content, sort_keys=False))
