"""Other shapes than the plain pair: the verdict out of the facts is what the lab's packets do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.lab.topology import aks, eks, open_mesh, peering, vpn
from backends.lab.world import LabCluster, World
from mesh import catalogue as fact
from mesh.facts import FactStore
from mesh.model.unread import Unread
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from mesh.reach.rules import ECHO, Flow
from mesh.reach.sites import site_of
from mesh.subject import OfCluster
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import Aws, addresses, cloud_world, send

FLOWS = (Flow("udp", 8472), Flow("tcp", 4240), ECHO)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cloud_world(tmp_path, serve=True) as made:
        yield made


def disagreements(world: World, store: FactStore, *clusters: LabCluster) -> list[str]:
    """Flows of which the verdict out of the facts is not what every pair of nodes finds."""
    reach = Reach(site_of(store, one.name) for one in clusters)
    found = []
    for source in clusters:
        for target in clusters:
            for flow in FLOWS if source is not target else ():
                verdict = reach.verdict(source.name, target.name, flow)
                assert verdict is not None
                port = 0 if flow.protocol == "icmp" else flow.port
                arrives = all(
                    send(world, source, there, flow.protocol, port, node=node).delivered
                    for there in addresses(target)
                    for node in range(len(addresses(source)))
                )
                if verdict.passage is not (Passage.OPEN if arrives else Passage.CLOSED):
                    decides = verdict.way.decides
                    found.append(
                        f"{source.name} → {target.name} {flow}: {verdict.passage}, arrives {arrives}; {decides}"
                    )
    return found


@pytest.mark.parametrize("bgp", [False, True])
@pytest.mark.parametrize("opened", [False, True])
async def test_a_vpn_between_the_clouds(world: World, monkeypatch: pytest.MonkeyPatch, bgp: bool, opened: bool) -> None:
    pair = (eks(world, "tokyo"), aks(world, "east"))
    vpn(world, *pair, bgp=bgp)
    if opened:
        open_mesh(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


@pytest.mark.parametrize("joined", [False, True])
async def test_peered_vpcs_of_two_regions(world: World, monkeypatch: pytest.MonkeyPatch, joined: bool) -> None:
    pair = (eks(world, "tokyo"), eks(world, "osaka", region="ap-northeast-3", vpc="172.20.0.0/16"))
    if joined:
        peering(world, *pair)
    open_mesh(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


@pytest.mark.parametrize("joined", [False, True])
async def test_peered_vnets(world: World, monkeypatch: pytest.MonkeyPatch, joined: bool) -> None:
    pair = (aks(world, "east"), aks(world, "west", region="japanwest", vnet="10.96.0.0/12"))
    if joined:
        peering(world, *pair)
    store = await Reading(world, monkeypatch).read(*pair)
    assert disagreements(world, store, *pair) == []


async def test_three_sites_of_which_two_are_not_joined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, east = eks(world, "tokyo"), aks(world, "east")
    other = eks(world, "osaka", region="ap-northeast-3", vpc="172.20.0.0/16")
    vpn(world, hub, east)
    peering(world, hub, other)
    open_mesh(world, hub, east, other)
    store = await Reading(world, monkeypatch).read(hub, east, other)
    assert disagreements(world, store, hub, east, other) == []


@pytest.mark.parametrize("lacking", ["", "allowGatewayTransit", "useRemoteGateways"])
async def test_a_spoke_that_uses_the_gateway_of_its_hub(
    world: World, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    from backends.lab.clouds.aws.repairs.vpn import add_static_route

    far, hub = eks(world, "tokyo"), aks(world, "hub")
    spoke = aks(world, "spoke", region="japanwest", vnet="10.96.0.0/12")
    vpn(world, far, hub)
    peering(world, hub, spoke)
    azure = world.clouds.azure
    for mine, other, flag in ((hub, spoke, "allowGatewayTransit"), (spoke, hub, "useRemoteGateways")):
        side = azure.need(f"{mine.facts['vnet_id']}/virtualNetworkPeerings/to-{other.cloud_name}")["properties"]
        side[flag] = flag != lacking
    azure.changes.bump()
    with world.clouds.aws.writing():
        (connection,) = world.clouds.aws.ec2(far.region).vpn_connections.values()
        add_static_route(connection, spoke.facts["vnet_cidr"])
    open_mesh(world, far, hub, spoke)
    store = await Reading(world, monkeypatch).read(far, hub, spoke)
    assert disagreements(world, store, far, hub, spoke) == []


# -- transit gateways: the lab's packets do not cross one, so what was read is held to what was made -----------------


def through_transit(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Reading, list[LabCluster], dict[str, str]]:
    """Two VPCs on a transit gateway, both propagated; attachment ids by cluster."""
    pair = [eks(world, "one", vpc="172.20.0.0/16"), eks(world, "two", vpc="172.21.0.0/16")]
    open_mesh(world, *pair)
    ec2 = Aws(world).ec2
    made = ec2.create_transit_gateway()["TransitGateway"]
    gateway, table = made["TransitGatewayId"], made["Options"]["AssociationDefaultRouteTableId"]
    attached = {}
    for mine, other in (pair, pair[::-1]):
        attachment = ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=gateway, VpcId=mine.facts["vpc_id"], SubnetIds=mine.facts["subnets"]
        )["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
        ec2.enable_transit_gateway_route_table_propagation(
            TransitGatewayRouteTableId=table, TransitGatewayAttachmentId=attachment
        )
        attached[mine.name] = attachment
        for own in mine.facts["route_tables"]:
            ec2.create_route(RouteTableId=own, DestinationCidrBlock=other.facts["vpc_cidr"], TransitGatewayId=gateway)
    return Reading(world, monkeypatch), pair, attached | {"gateway": gateway, "table": table}


def judged(store: FactStore, flow: Flow = FLOWS[0]) -> tuple[Passage, str]:
    reach = Reach(site_of(store, name) for name in ("one", "two"))
    verdict = reach.verdict("one", "two", flow)
    assert verdict is not None
    decides = verdict.way.decides
    return verdict.passage, decides.object if decides else ""


async def test_two_vpcs_on_a_transit_gateway(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pair, made = through_transit(world, monkeypatch)
    store = await reading.read(*pair)
    assert judged(store) == (Passage.OPEN, "")
    calls = [call for call in reading.aws if "Transit" in call]
    # For each of the two clusters: its own attachments, the gateway's, and the one table.
    assert sorted(calls) == sorted(
        2
        * [
            "ec2:DescribeTransitGatewayAttachments",
            "ec2:DescribeTransitGatewayVpcAttachments",
            "ec2:SearchTransitGatewayRoutes",
        ]
    )
    Aws(world).ec2.disable_transit_gateway_route_table_propagation(
        TransitGatewayRouteTableId=made["table"], TransitGatewayAttachmentId=made["two"]
    )
    assert judged(await reading.read(*pair)) == (Passage.CLOSED, made["table"])


async def test_a_transit_gateways_table_that_may_not_be_searched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pair, made = through_transit(world, monkeypatch)
    world.clouds.aws.denied |= {"ec2:SearchTransitGatewayRoutes"}
    assert judged(await reading.read(*pair)) == (Passage.UNKNOWN, made["table"])


async def test_a_shared_gateways_associations_are_not_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pair, made = through_transit(world, monkeypatch)
    ec2 = world.clouds.aws.ec2(pair[0].region)
    for held in ec2.transit_gateway_attachments.values():
        monkeypatch.setattr(type(held), "transit_gateway_owner_id", "999988887777")
        monkeypatch.setattr(type(held), "association", {})
    ec2.transit_gateways_route_tables[made["table"]].route_table_associations.clear()
    store = await reading.read(*pair)
    paths = store.value(fact.CLOUD_PATHS, OfCluster("one"))
    assert paths is not None and paths.aws is not None
    assert isinstance(paths.aws.tgw_attachments, Unread) and "999988887777" in paths.aws.tgw_attachments.why
    assert judged(store)[0] is Passage.UNKNOWN
