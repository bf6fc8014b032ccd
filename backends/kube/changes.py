"""Changes to one cluster, made only inside the run of a confirmed plan. Each may be asked for again."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from backends.authority import belongs_together, fingerprint
from backends.kube.lease import Lease
from backends.kube.restarts import Restarts
from mesh.conditions import PARKED_LABEL
from mesh.errors import StepFailed
from mesh.ports import CaMaterial, Clock, Outcome, Output
from mesh.text import Secret, clean, one_line

_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
_PLURALS: Final = {
    "Namespace": "namespaces", "ConfigMap": "configmaps", "Service": "services", "Secret": "secrets",
    "Deployment": "deployments", "DaemonSet": "daemonsets",
}  # fmt: skip
_PATIENCE: Final = 180.0
Execute = Callable[[str, str, str, Sequence[str], float], Awaitable[tuple[int, bytes, str]]]


class Reply(Protocol):
    """An answer of the API server."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def body(self) -> bytes:
        """The body, whole."""


class Send(Protocol):
    """Sends one request to the cluster's API server. Raises ``StepFailed`` when no answer comes."""

    async def __call__(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Reply:
        """``path`` with its query; ``body`` is encoded as JSON."""


class ClusterChanges:
    """The ``ClusterGateway`` of one cluster. ``where`` is its key, for messages."""

    def __init__(self, where: str, send: Send, execute: Execute, clock: Clock) -> None:
        self.where = where
        self.send = send
        self.execute = execute
        self.lease = Lease(where, self.ask, clock)

    async def ask(
        self, method: str, path: str, body: Any = None, content: str = "application/json", *, expect: Sequence[int] = ()
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON body; statuses other than 2xx and those expected raise ``StepFailed`` with the server's
        words.
        """
        reply = await self.send(method, path, body, content)
        try:
            found = json.loads(reply.body or b"{}")
        except ValueError:
            found = {}
        if reply.status // 100 == 2 or reply.status in expect:
            return reply.status, found if isinstance(found, dict) else {}
        words = one_line(str(found.get("message", "")), 400) or f"HTTP {reply.status}"
        raise StepFailed(
            f"{self.where} refused {method} {path.partition('?')[0]}", words, _hint(reply.status, method, path)
        )

    async def hold(self, holder: str, seconds: int) -> None:
        """See ``ClusterGateway``."""
        await self.lease.hold(holder, seconds)

    async def release(self, holder: str) -> None:
        """See ``ClusterGateway``."""
        await self.lease.release(holder)

    async def park_daemon_set(self, namespace: str, name: str) -> Outcome:
        """A label that no node has is added to the selector; what was there stays and is remembered."""
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"
        status, found = await self.ask("GET", path, expect=(404,))
        if status == 404:
            return Outcome()
        before = found["spec"]["template"]["spec"].get("nodeSelector") or {}
        if before.get(PARKED_LABEL) == "true":
            return Outcome()
        patch = {"spec": {"template": {"spec": {"nodeSelector": {PARKED_LABEL: "true"}}}}}
        await self.ask("PATCH", f"{path}?fieldManager=meshwright", patch, _MERGE)
        undo = {"cluster": self.where, "daemonset": f"{namespace}/{name}", "nodeSelector": before}
        return Outcome((f"DaemonSet {namespace}/{name} of {self.where}",), undo)

    async def read_ca(self, namespace: str) -> CaMaterial | None:
        """The CA with its key; None where there is no such Secret. Raises ``StepFailed`` when the two do not fit."""
        status, found = await self.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/cilium-ca", expect=(404,))
        if status == 404:
            return None
        data = found.get("data") or {}
        certificate, key = (_decoded(data.get(name)) for name in ("ca.crt", "ca.key"))
        if not belongs_together(certificate, key):
            raise StepFailed(
                f"cilium-ca of {self.where} has no key that fits its certificate",
                hint="Leaves cannot be signed with it. Mend the Secret, or choose another CA in the plan.",
            )
        return CaMaterial(certificate.decode(), Secret(key), fingerprint(certificate))

    async def write_ca(self, namespace: str, release: str, ca: CaMaterial) -> Outcome:
        """Create the Secret as Helm would own it, so that the chart adopts it (DESIGN §8.2); an equal one stays."""
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": "cilium-ca",
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace},
            },
            "data": {"ca.crt": _encoded(ca.certificate), "ca.key": _encoded(ca.key.reveal())},
        }
        path = f"/api/v1/namespaces/{namespace}/secrets?fieldManager=meshwright"
        status, _ = await self.ask("POST", path, body, expect=(409,))
        if status == 409:
            there = await self.read_ca(namespace)
            if there is None or there.fingerprint != ca.fingerprint:
                raise StepFailed(
                    f"{self.where} has another cilium-ca",
                    "Leaf certificates there are signed by it; replacing it would cut what trusts it.",
                    "Choose to keep that CA in the plan's choices: ca=keep:<cluster>",
                )
            return Outcome()
        undo = {"cluster": self.where, "secret": f"{namespace}/cilium-ca", "spki": ca.fingerprint}
        return Outcome((f"Secret {namespace}/cilium-ca of {self.where}",), undo)

    async def restart_unmanaged_pods(self, output: Output, clock: Clock) -> Outcome:
        """See ``Restarts``."""
        return await Restarts(self.where, self.ask, clock, output).run()

    async def apply(self, objects: Sequence[Mapping[str, Any]]) -> Outcome:
        """Server-side apply, one object after another. A namespace on its way out is waited for."""
        changed = []
        for item in objects:
            meta = item["metadata"]
            path = f"{_collection(item)}/{meta['name']}?fieldManager=meshwright&force=true"
            await self.ask("PATCH", path, item, _APPLY)
            changed.append(f"{item['kind']} {meta.get('namespace', '')}/{meta['name']} of {self.where}")
        return Outcome(tuple(changed))

    async def delete_namespace(self, name: str, clock: Clock) -> Outcome:
        """Only a namespace that carries our label; returns when it is gone."""
        path = f"/api/v1/namespaces/{name}"
        status, found = await self.ask("GET", path, expect=(404,))
        if status == 404:
            return Outcome()
        labels = found.get("metadata", {}).get("labels") or {}
        if labels.get("app.kubernetes.io/managed-by") != "meshwright":
            raise StepFailed(f"namespace {name} of {self.where} was not made by Meshwright and is left alone")
        await self.ask("DELETE", path, expect=(404, 409))
        until = clock.now() + _PATIENCE
        while (await self.ask("GET", path, expect=(404,)))[0] != 404:
            if clock.now() > until:
                raise StepFailed(
                    f"namespace {name} of {self.where} does not go away",
                    hint=f"kubectl get namespace {name} -o yaml says why.",
                )
            await clock.sleep(1.0)
        return Outcome((f"namespace {name} of {self.where} removed",))

    async def run_in_pod(
        self, namespace: str, selector: str, container: str, argv: Sequence[str], seconds: float
    ) -> tuple[int, str]:
        """Exec in the first ready pod; while none is ready exit code 125 and what the pods wait for."""
        query = f"labelSelector={selector.replace('=', '%3D')}"
        _, found = await self.ask("GET", f"/api/v1/namespaces/{namespace}/pods?{query}")
        pods = found.get("items", [])
        ready = [pod for pod in pods if _ready(pod)]
        if not ready:
            return 125, f"no pod is ready: {'; '.join(_state(pod) for pod in pods) or 'none was created'}"
        code, output, errors = await self.execute(namespace, ready[0]["metadata"]["name"], container, argv, seconds)
        return code, clean(output.decode(errors="replace") + errors, 4000)


def _collection(item: Mapping[str, Any]) -> str:
    api = str(item["apiVersion"])
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    namespace = item["metadata"].get("namespace")
    return (
        f"{root}/namespaces/{namespace}/{_PLURALS[item['kind']]}" if namespace else f"{root}/{_PLURALS[item['kind']]}"
    )


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except ValueError:
        return b""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return not pod["metadata"].get("deletionTimestamp") and any(
        item.get("type") == "Ready" and item.get("status") == "True" for item in conditions
    )


def _state(pod: Mapping[str, Any]) -> str:
    for container in pod.get("status", {}).get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            return one_line(f"{pod['metadata']['name']} {waiting.get('reason', '')} {waiting.get('message', '')}", 160)
    return one_line(f"{pod['metadata']['name']} {pod.get('status', {}).get('phase', '')}", 160)


def _hint(status: int, method: str, path: str) -> str:
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "get")
    words = path.partition("?")[0].rstrip("/").split("/")
    # /api/v1 or /apis/GROUP/VERSION, then maybe namespaces/NAME, then the resource
    rest = words[3:] if words[1:2] == ["api"] else words[4:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = rest[0] if rest else words[-1]
    if status == 403:
        return f"Needs the right to {verb} {resource}; meshwright rights --for apply lists all of them."
    if status == 401:
        return "The login has ended; sign in again."
    if status == 429 or status >= 500:
        return "Wait until its API server is well again."
    return "Mend what it names."
