"""A world with both clouds, without API servers or agents, and SDK clients for it."""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from backends.lab import clouds
from backends.lab.clouds.controller import CloudControllers
from backends.lab.clouds.logins import ARM_RESOURCE
from backends.lab.network import Delivery, Packet
from backends.lab.world import LabCluster, World


@contextlib.asynccontextmanager
async def cloud_world(folder: Path, *, speed: float = 1.0, serve: bool = False) -> AsyncIterator[World]:
    """A world with clouds, whose APIs answer only if ``serve``; ends everything it started."""
    world = World(seed=7, speed=speed, state_dir=folder)
    try:
        await clouds.start(world, serve=serve)
        yield world
    finally:
        await world.close()


def pass_time(world: World, controllers: CloudControllers, seconds: float) -> None:
    """Let lab time go by at once, the controllers doing what falls due; the clock is left paused."""
    clock = world.clock
    clock.pause()
    end = clock.now() + seconds
    while (due := controllers.advance(clock.now())) <= end:
        clock.jump(max(0.001, due - clock.now()))
    clock.jump(max(0.0, end - clock.now()))
    controllers.advance(clock.now())


def send(
    world: World, source: LabCluster, destination: str, protocol: str, port: int = 0, *, node: int = 0, **more: Any
) -> Delivery:
    """A packet from one of a cluster's nodes."""
    delivery: Delivery = world.network.deliver(
        Packet(source.name, addresses(source)[node], destination, protocol, port, **more)
    )
    return delivery


def addresses(cluster: LabCluster) -> list[str]:
    """The nodes' internal addresses."""
    return [
        str(row["address"])
        for node in cluster.objects.view(cluster.objects.resources["", "nodes"])
        for row in node["status"]["addresses"]
        if row["type"] == "InternalIP"
    ]


class Aws:
    """boto3 clients signed in as a profile of the lab."""

    def __init__(self, world: World, profile: str = "lab") -> None:
        import boto3
        import botocore.session

        # The models of EC2 are megabytes of JSON: read once for all tests.
        inner = botocore.session.Session()
        inner.register_component("data_loader", _loader())
        self._clients: dict[str, Any] = {}
        login = world.clouds.logins.aws(profile)
        self._endpoint = world.clouds.aws_endpoint
        self._session = boto3.Session(
            botocore_session=inner,
            aws_access_key_id=login["access_key"],
            aws_secret_access_key=login["secret_key"],
            aws_session_token=login["session_token"],
            region_name=login["region"],
        )

    def __getattr__(self, service: str) -> Any:
        from botocore.config import Config

        if service not in self._clients:
            config = Config(retries={"mode": "standard", "max_attempts": 2})
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, config=config)
        return self._clients[service]


@functools.cache
def _loader() -> Any:
    from botocore.loaders import create_loader

    return create_loader()


@contextlib.contextmanager
def arm_clients(world: World, token: str | None = None, subscription: str = "") -> Iterator[tuple[Any, Any]]:
    """(network, container service) clients of the real SDKs with the lab's token."""
    from azure.core.credentials import AccessToken
    from azure.core.pipeline.policies import SansIOHTTPPolicy
    from azure.mgmt.containerservice import ContainerServiceClient
    from azure.mgmt.network import NetworkManagementClient

    class Plain(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: Any) -> None:
            request.context.options["enforce_https"] = False

    class Credential:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            return AccessToken(token or world.clouds.logins.azure()["tokens"][ARM_RESOURCE], 2**33)

    with contextlib.ExitStack() as stack:
        yield tuple(  # type: ignore[misc]  # two of them
            stack.enter_context(
                kind(
                    Credential(),
                    subscription or world.clouds.azure.id,
                    base_url=world.clouds.azure_endpoint,
                    credential_scopes=[f"{ARM_RESOURCE}/.default"],
                    per_call_policies=[Plain()],
                    polling_interval=0.05,
                    retry_total=2,
                )
            )
            for kind in (NetworkManagementClient, ContainerServiceClient)
        )
