"""One cluster of the lab: who it is, its objects, its API server's address and who may use it."""

import random
import socket
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backends.lab.api.authority import Authority
from backends.lab.api.conditions import Conditions
from backends.lab.api.identity import Identities
from backends.lab.objects import ObjectStore
from backends.lab.storage.bootstrap import base_objects
from backends.lab.storage.history import Snapshots

if TYPE_CHECKING:
    from backends.lab.world import World


class LabCluster:
    """A cluster as its provider would describe it.

    ``name`` is the kubeconfig context, ``cloud_name`` the provider's name (default: the same), ``provider`` is eks,
    aks or kind. ``account`` is the AWS account id or the Azure subscription id. ``facts`` is free room for builders
    (VPC ids, subnets, addresses).
    """

    def __init__(
        self,
        world: "World",
        name: str,
        provider: str,
        *,
        cloud_name: str = "",
        region: str = "",
        account: str = "",
        resource_group: str = "",
        version: str = "v1.34.4",
        service_cidr: str = "10.96.0.0/12",
        node_subnets: tuple[str, ...] = (),
        **facts: Any,
    ) -> None:
        if provider not in ("eks", "aks", "kind"):
            raise ValueError(f"no such provider: {provider}")
        self.world = world
        self.name = name
        self.provider = provider
        self.cloud_name = cloud_name or name
        self.region = region
        self.account = account
        self.resource_group = resource_group
        self.version = version
        self.service_cidr = service_cidr
        self.node_subnets = node_subnets
        self.facts: dict[str, Any] = facts
        # Every cluster draws from its own source, so that what happens in one does not change the ids of another.
        self.rng = random.Random(f"{world.seed}/{name}")
        self.objects = ObjectStore(world.clock.now, self.rng, service_cidr)
        self.identities = Identities(world.clock.now)
        self.conditions = Conditions()
        self.snapshots = Snapshots()
        self._port = 0
        self._holder: socket.socket | None = None
        base_objects(self)

    def own_uid(self) -> str:
        """A uid for ``kube-system`` that a cluster of this name in another scenario does not have."""
        source = random.Random(f"{self.world.seed}/{self.world.scenario}/{self.name}")
        return str(UUID(int=source.getrandbits(128), version=4))

    @property
    def uid(self) -> str:
        """The uid of ``kube-system``, by which clusters are told apart."""
        space = self.objects.stored(self.objects.resources["", "namespaces"], None, "kube-system")
        return str(space["metadata"]["uid"]) if space else ""

    @cached_property
    def authority(self) -> Authority:
        """The cluster's CA with the API server's certificate (ECDSA P-256)."""
        return Authority()

    @property
    def port(self) -> int:
        """The API server's port on loopback, taken when it is first asked for."""
        if not self._port:
            self.hold_port()
        return self._port

    @property
    def server_url(self) -> str:
        """``https://127.0.0.1:PORT``."""
        return f"https://127.0.0.1:{self.port}"

    def open_port(self) -> socket.socket:
        """A socket bound to the cluster's port, not listening yet."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", self._port))
        self._port = bound.getsockname()[1]
        return bound

    def hold_port(self) -> None:
        """Keep the port while no server listens on it: a connect is refused, and nobody else gets it."""
        if self._holder is None:
            self._holder = self.open_port()

    def release_port(self) -> None:
        """Stop keeping the port: a server listens on it, or the lab ends."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def close(self) -> None:
        """Give the port back."""
        self.release_port()
