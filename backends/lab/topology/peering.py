"""Peerings inside one cloud: VPC with VPC, VNet with VNet."""

from typing import Any

from backends.lab.world import LabCluster, World


def peering(world: World, a: LabCluster, b: LabCluster) -> str:
    """Peer the networks of two clusters of one provider, with routes both ways; returns the peering's id.

    Raises ``ValueError`` for clusters that cannot be peered.
    """
    if a.provider != b.provider or a.provider not in ("eks", "aks"):
        raise ValueError(f"{a.name} ({a.provider}) and {b.name} ({b.provider}) cannot be peered")
    return _vpcs(world, a, b) if a.provider == "eks" else _vnets(world, a, b)


def _vpcs(world: World, a: LabCluster, b: LabCluster) -> str:
    account = world.clouds.aws
    with account.writing():
        here, there = account.ec2(a.region), account.ec2(b.region)
        link = here.create_vpc_peering_connection(
            here.get_vpc(a.facts["vpc_id"]),
            there.get_vpc(b.facts["vpc_id"]),
            tags={"Name": f"{a.cloud_name}-{b.cloud_name}"},
        )
        there.accept_vpc_peering_connection(link.id)
        for mine, other, backend in ((a, b, here), (b, a, there)):
            for table in (*mine.facts["route_tables"], mine.facts["public_route_table"]):
                backend.create_route(table, other.facts["vpc_cidr"], vpc_peering_connection_id=link.id)
    return str(link.id)


def _vnets(world: World, a: LabCluster, b: LabCluster) -> str:
    azure = world.clouds.azure
    for mine, other in ((a, b), (b, a)):
        azure.put_child(
            f"{mine.facts['vnet_id']}/virtualNetworkPeerings/to-{other.cloud_name}",
            {"properties": _vnet_peering(other)},
        )
    return f"{a.facts['vnet_id']}/virtualNetworkPeerings/to-{b.cloud_name}"


def _vnet_peering(other: LabCluster) -> dict[str, Any]:
    space = {"addressPrefixes": [other.facts["vnet_cidr"]]}
    return {
        "peeringState": "Connected",
        "peeringSyncLevel": "FullyInSync",
        "remoteVirtualNetwork": {"id": other.facts["vnet_id"]},
        "remoteAddressSpace": space,
        "remoteVirtualNetworkAddressSpace": space,
        "allowVirtualNetworkAccess": True,
        "allowForwardedTraffic": False,
        "allowGatewayTransit": False,
        "useRemoteGateways": False,
        "doNotVerifyRemoteGateways": False,
        "peerCompleteVnets": True,
    }
