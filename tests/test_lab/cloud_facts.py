"""The product's cloud rows on a lab's clouds over HTTP: facts they bring, calls they make, faults on the way."""

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from backends.aws.reader import AwsReader
from backends.azure import session as azure_session
from backends.azure.reader import AzureReader
from backends.cloud import CloudReaders, cloud_collectors
from backends.gather import ClusterGatherer
from backends.lab.clouds.aws import gate
from backends.lab.clouds.aws.answers import Failure
from backends.lab.clouds.azure import server
from backends.lab.clouds.azure.errors import ArmError
from backends.lab.clouds.logins import ARM_RESOURCE
from backends.lab.storage.resources import NODES, SERVICES
from backends.lab.world import LabCluster, World
from mesh import catalogue as fact
from mesh.facts import FactName, FactStore
from mesh.model.cilium import MeshApiServer
from mesh.model.context import ContextRef, Provider, Right
from mesh.model.kubernetes import Node
from mesh.reading import Collected, Cost, Scope
from tests.test_backends.test_gather import FakeReader

AwsFault = Callable[[str], Failure | None]
AzureFault = Callable[[str, str], ArmError | None]
_KEYS = ("access_key", "secret_key", "session_token")
_PROVIDERS = {"eks": Provider.EKS, "aks": Provider.AKS}


class Given:
    """What the rows before the cloud's would have read of a lab's cluster."""

    id = label = "given"
    provides: tuple[FactName[Any], ...] = (fact.NODES, fact.MESH_API)
    needs: tuple[FactName[Any], ...] = ()
    rbac: tuple[Right, ...] = ()
    cost = Cost.CHEAP
    timeout_s = 60.0
    max_bytes = 1000

    def __init__(self, clusters: Sequence[LabCluster], others: Mapping[str, tuple[Node, ...]]) -> None:
        self._clusters = {cluster.name: cluster for cluster in clusters}
        self._others = others

    async def collect(self, scope: Scope) -> Collected:
        """Nodes and the mesh API's Service out of the lab's objects."""
        cluster = self._clusters[scope.ref.key]
        found: dict[FactName[Any], Any] = {
            fact.NODES: nodes_of(cluster) + self._others.get(cluster.name, ()),
            fact.MESH_API: _mesh_api(cluster),
        }
        return Collected({name: scope.known(value, "given") for name, value in found.items()})


def nodes_of(cluster: LabCluster) -> tuple[Node, ...]:
    """The cluster's nodes as the product knows them."""
    return tuple(
        Node(
            row["metadata"]["name"],
            provider_id=row["spec"].get("providerID", ""),
            internal_ips=tuple(a["address"] for a in row["status"]["addresses"] if a["type"] == "InternalIP"),
        )
        for row in cluster.objects.view(NODES)
    )


def _mesh_api(cluster: LabCluster) -> MeshApiServer | None:
    service = cluster.objects.stored(SERVICES, "kube-system", "clustermesh-apiserver")
    if service is None:
        return None
    ingress = service["status"]["loadBalancer"]["ingress"]
    return MeshApiServer(
        service_type="LoadBalancer",
        port=2379,
        node_port=int(service["spec"]["ports"][0].get("nodePort") or 0),
        ingress_ips=tuple(item["ip"] for item in ingress if item.get("ip")),
        ingress_hostnames=tuple(item["hostname"] for item in ingress if item.get("hostname")),
    )


class Reading:
    """Reads cloud facts, and counts: ``aws`` and ``azure`` are the calls made, ``most`` how many were at once.

    ``others`` are nodes that a cluster has beside its own. ``aws_fault`` and ``azure_fault`` may refuse a call by its
    action, or by its method and path.
    """

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.aws: list[str] = []
        self.azure: list[str] = []
        self.most = 0
        self.others: dict[str, tuple[Node, ...]] = {}
        self.aws_fault: AwsFault = lambda action: None
        self.azure_fault: AzureFault = lambda method, path: None
        self._now = itertools.count(1000)
        self._open = 0
        self._lock = threading.Lock()
        self.readers = CloudReaders({Provider.EKS: AwsReader, Provider.AKS: AzureReader})
        self._sign_in(monkeypatch)
        self._listen(monkeypatch)

    def _sign_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from azure.core.credentials import AccessToken
        from azure.core.pipeline import policies
        from botocore.retries import standard

        logins = self.world.clouds.logins
        login = logins.aws("lab") if "lab" in logins.aws_profiles() else dict.fromkeys(_KEYS, "none")
        for name, value in {
            "AWS_ENDPOINT_URL": self.world.clouds.aws_endpoint,
            "AWS_ACCESS_KEY_ID": login["access_key"],
            "AWS_SECRET_ACCESS_KEY": login["secret_key"],
            "AWS_SESSION_TOKEN": login["session_token"],
            "AWS_EC2_METADATA_DISABLED": "true",
            azure_session.ENDPOINT: self.world.clouds.azure_endpoint,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)

        class Credential:
            def get_token(self, *scopes: str, **_: Any) -> AccessToken:
                return AccessToken(logins.azure()["tokens"][ARM_RESOURCE], 2**33)

        monkeypatch.setattr(azure_session, "_credential", lambda by_cli: Credential())
        # The SDK's patience between two attempts is not what is tried here.
        monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.0)
        monkeypatch.setattr(policies.RetryPolicy, "get_backoff_time", lambda *_: 0.0)
        self.world.clouds.azure.retry_after = 0

    def _listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        call, refusal = gate.Gate.__call__, gate.Gate._refusal
        answer = server.ArmServer._answer

        def called(inner: Any, environ: Any, start: Any) -> Any:
            self._enter(1)
            try:
                return call(inner, environ, start)
            finally:
                self._enter(-1)

        def refused(inner: Any, asked: Any) -> Any:
            self.aws.append(asked.iam_action)
            return self.aws_fault(asked.iam_action) or refusal(inner, asked)

        async def answered(inner: Any, request: Any) -> Any:
            self.azure.append(f"{request.method} {request.path}")
            fault = self.azure_fault(request.method, request.path_qs)
            if fault is not None:
                raise fault
            return await answer(inner, request)

        monkeypatch.setattr(gate.Gate, "__call__", called)
        monkeypatch.setattr(gate.Gate, "_refusal", refused)
        monkeypatch.setattr(server.ArmServer, "_answer", answered)

    def _enter(self, more: int) -> None:
        with self._lock:
            self._open += more
            self.most = max(self.most, self._open)

    async def read(self, *clusters: LabCluster, only: Sequence[str] = (), base: FactStore | None = None) -> FactStore:
        """The facts of these clusters."""
        refs = [
            ContextRef(
                one.name,
                one.name,
                "/f",
                server=one.server_url,
                provider=_PROVIDERS.get(one.provider, Provider.KIND),
                region=one.region,
                cloud_name=one.cloud_name,
            )
            for one in clusters
        ]
        collectors = (Given(clusters, self.others), *cloud_collectors(self.readers))
        gatherer = ClusterGatherer(collectors, FakeReader, self)  # type: ignore[arg-type]  # reads nothing
        return await gatherer.gather(refs, lambda event: None, only=only, base=base)

    def now(self) -> float:
        """Each reading has a time of its own."""
        return float(next(self._now))
