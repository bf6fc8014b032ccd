"""The two clouds of a lab: AWS by moto, Azure by a server of our own, and the logins to both."""

import asyncio
import uuid
from typing import Final

from backends.lab.clouds.aws.account import AwsAccount, load_moto
from backends.lab.clouds.aws.server import AwsServer
from backends.lab.clouds.azure.server import ArmServer
from backends.lab.clouds.azure.subscription import AzureSubscription
from backends.lab.clouds.logins import Logins
from backends.lab.world import World

_PROBE_SECONDS: Final = 5.0  # real ones, that moto waits for the event loop
_accounts_in_use: set[str] = set()


class Clouds:
    """``aws`` and ``azure`` hold the state, ``logins`` who is signed in. Made by ``start``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.logins = Logins(world.state_dir / "logins", world.rng)
        account = str(world.rng.randrange(10**11, 10**12))
        while account in _accounts_in_use:
            # moto keeps one state per account in a process: two worlds of one seed must not share it.
            account = str((int(account) + 1) % 10**12).zfill(12)
        _accounts_in_use.add(account)
        self.aws = AwsAccount(account, self.logins)
        tenant, subscription = (_guid(world), _guid(world))
        self.azure = AzureSubscription(subscription, tenant, self.logins, world.rng)
        self._aws_server = AwsServer(self.aws)
        self._arm_server = ArmServer(self.azure, world.clock, world.spawn)

    @property
    def aws_endpoint(self) -> str:
        """URL for ``AWS_ENDPOINT_URL``."""
        return self._aws_server.endpoint

    @property
    def azure_endpoint(self) -> str:
        """URL of Azure Resource Manager."""
        return self._arm_server.endpoint

    @property
    def version(self) -> int:
        """Grows with every change in either cloud."""
        return self.aws.changes.number + self.azure.changes.number

    def prepare(self) -> None:
        """Import moto, so that state can be built; enough where nobody calls the APIs."""
        load_moto(self.world.seed)

    async def serve(self) -> None:
        """Start both servers; the AWS side needs about two seconds, in a thread."""
        await asyncio.gather(self._aws_server.start(self.world.seed), self._arm_server.start())

    async def close(self) -> None:
        """Stop both servers and forget the AWS account's state."""
        await asyncio.gather(self._aws_server.close(), self._arm_server.close())
        if self.aws.account in _accounts_in_use:
            self.aws.forget()
            self._forget_probes()
            _accounts_in_use.discard(self.aws.account)

    def _forget_probes(self) -> None:
        from backends.lab.clouds.aws.repairs.balancers import HEALTH

        HEALTH.pop(self.aws.account, None)


def _guid(world: World) -> str:
    return str(uuid.UUID(int=world.rng.getrandbits(128), version=4))


async def start(world: World, *, serve: bool = True) -> Clouds:
    """Give the world its clouds and a network, and serve the clouds until the world is closed.

    Begin it early (``asyncio.create_task``) and await it before a scenario is built. Without ``serve`` there is state
    but no endpoint.
    """
    # Imported late: the network reads the clouds' modules.
    from backends.lab.network import Network

    clouds = Clouds(world)
    if serve:
        await clouds.serve()
    else:
        clouds.prepare()
    world.clouds = clouds
    if world.network is None:
        world.network = Network(world)
    _probe_targets(clouds, world)
    world.spawn(_until_closed(clouds))
    return clouds


def _probe_targets(clouds: Clouds, world: World) -> None:
    """Let the load balancers of the account tell the health that the network gives their targets."""
    from backends.lab.clouds.aws.repairs.balancers import HEALTH

    loop = asyncio.get_running_loop()

    async def probe(balancer: str, address: str, port: int) -> bool:
        return bool(world.network.target_healthy(balancer, address, port))

    def healthy(balancer: str, instance_id: str, port: int) -> bool:
        for region in tuple(clouds.aws.regions):
            instance = clouds.aws.ec2(region).get_instance_by_id(instance_id)
            if instance is not None:
                # Asked in a thread of moto's; the world belongs to the loop's.
                asked = asyncio.run_coroutine_threadsafe(probe(balancer, instance.private_ip, port), loop)
                try:
                    return asked.result(_PROBE_SECONDS)
                except TimeoutError:
                    asked.cancel()
        return False

    HEALTH[clouds.aws.account] = healthy


async def _until_closed(clouds: Clouds) -> None:
    """Hold the servers open, and close them when the world ends its tasks."""
    try:
        await asyncio.Event().wait()
    finally:
        await clouds.close()
