"""What the policy and the role grant is exactly what reading asks of the clouds, nothing more and nothing less."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.azure import server
from backends.lab.clouds.controller import CloudControllers
from backends.lab.storage.resources import SERVICES
from backends.lab.topology import aks, eks, vpn
from backends.lab.topology.vpn import azure_connection
from backends.lab.world import LabCluster, World
from mesh.model.cloud_rights import AWS_APPLY, AWS_CHECK, AZURE_APPLY, AZURE_CHECK, granting
from mesh.model.kubernetes import Node
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import Aws, cloud_world, pass_time

DOCS = Path(__file__).parents[2] / "docs" / "rights"
KIND = "service.beta.kubernetes.io/aws-load-balancer-type"
INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cloud_world(tmp_path, serve=True) as made:
        yield made


def serve_mesh_api(world: World, cluster: LabCluster, annotations: dict[str, str]) -> None:
    cluster.objects.create(
        SERVICES,
        {
            "metadata": {"name": "clustermesh-apiserver", "namespace": "kube-system", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 2379, "targetPort": 2379}]},
        },
    )
    pass_time(world, CloudControllers(world), 120)
    world.clock.resume()


async def asked_of_aws(world: World, reading: Reading) -> set[str]:
    """All that a VPC may have: both kinds of gateways, a prefix list, load balancers of both generations."""
    found: set[str] = set()
    for name, annotations, vpc in (("nlb", {KIND: "nlb"}, "172.20.0.0/16"), ("classic", {}, "172.21.0.0/16")):
        cluster = eks(world, name, vpc=vpc)
        serve_mesh_api(world, cluster, annotations | {INTERNAL: "true"})
        vpn(world, cluster, aks(world, f"far-{name}", vnet="10.224.0.0/12" if name == "nlb" else "10.96.0.0/12"))
        ec2 = Aws(world).ec2
        gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
        ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=gateway, VpcId=cluster.facts["vpc_id"], SubnetIds=cluster.facts["subnets"]
        )
        listed = ec2.create_managed_prefix_list(
            PrefixListName="far", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "10.1.0.0/16"}]
        )["PrefixList"]["PrefixListId"]
        ec2.create_route(
            RouteTableId=cluster.facts["route_tables"][0], DestinationPrefixListId=listed, TransitGatewayId=gateway
        )
        reading.aws.clear()
        await reading.read(cluster)
        found |= set(reading.aws)
    return found


async def test_the_policy_grants_what_is_asked_of_aws(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    eks(world, "login", vpc="172.30.0.0/16")
    asked = await asked_of_aws(world, Reading(world, monkeypatch))
    assert asked - {"sts:GetCallerIdentity"} == set(AWS_CHECK)


async def test_the_role_grants_what_is_asked_of_azure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    authorize, polled = server.ArmServer._authorize, server.ArmServer._polled

    def authorized(inner: Any, action: str, path: Any) -> None:
        asked.add(action)
        authorize(inner, action, path)

    def seen(inner: Any, path: Any) -> Any:
        answer = polled(inner, path)
        if answer is not None:
            asked.add(f"{path.type}/read")
        return answer

    monkeypatch.setattr(server.ArmServer, "_authorize", authorized)
    monkeypatch.setattr(server.ArmServer, "_polled", seen)
    cluster, far = aks(world, "east"), eks(world, "tokyo")
    vpn(world, cluster, far, bgp=True)
    azure_connection(world, cluster, cluster.facts["vpn_gateway"], "odd", "203.0.113.9", ["10.9.0.0/16"], bgp=False)
    serve_mesh_api(world, cluster, {})
    azure = world.clouds.azure
    table = f"{cluster.facts['vnet_id'].partition('/virtualNetworks/')[0]}/routeTables/udr"
    route = {"name": "r", "properties": {"addressPrefix": "AzureMonitor", "nextHopType": "Internet"}}
    azure.put(table, {"location": "japaneast", "properties": {"routes": [route]}})
    azure.need(cluster.facts["subnet_id"])["properties"]["routeTable"] = {"id": table}
    reading = Reading(world, monkeypatch)
    alone = f"azure:///subscriptions/{azure.id}/resourceGroups/{cluster.facts['node_group']}"
    alone += "/providers/Microsoft.Compute/virtualMachines/vm-1"
    reading.others = {"east": (Node("vm-1", provider_id=alone),)}
    await reading.read(cluster)
    headers = server.ArmServer._headers

    def located(*arguments: Any, **more: Any) -> dict[str, str]:
        """As operations are answered that are followed by their result's place only."""
        return {key: value for key, value in headers(*arguments, **more).items() if key != "Azure-AsyncOperation"}

    monkeypatch.setattr(server.ArmServer, "_headers", located)
    await reading.read(cluster)
    assert {action.lower() for action in asked} == {action.lower() for action in AZURE_CHECK}


@pytest.mark.parametrize("purpose", ["check", "apply"])
@pytest.mark.parametrize(("cloud", "stem"), [("aws", "iam"), ("azure", "azure")])
def test_the_files_that_are_shipped_are_these(cloud: str, stem: str, purpose: str) -> None:
    text = (DOCS / f"{stem}-{purpose}.json").read_text()
    assert text == granting(cloud, purpose)
    assert json.loads(text)
    assert set(AWS_CHECK) < set(AWS_APPLY) and set(AZURE_CHECK) < set(AZURE_APPLY)
