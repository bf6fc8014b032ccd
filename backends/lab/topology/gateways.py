"""The gateways of VPCs and VNets, of which each network has one."""

import hashlib
import ipaddress
from typing import Any

from backends.lab.world import LabCluster, World


def aws_gateway(ec2: Any, cluster: LabCluster) -> Any:
    """The virtual private gateway of the cluster's VPC, made and attached where there is none."""
    vpc = cluster.facts["vpc_id"]
    for gateway in ec2.vpn_gateways.values():
        attachment = gateway.attachments.get(vpc)
        if attachment is not None and attachment.state == "attached":
            return gateway
    gateway = ec2.create_vpn_gateway("ipsec.1", amazon_side_asn="64512", tags={"Name": f"{cluster.cloud_name}-vgw"})
    ec2.attach_vpn_gateway(gateway.id, vpc)
    cluster.facts["vpn_gateway"] = gateway.id
    return gateway


def azure_gateway(world: World, cluster: LabCluster) -> str:
    """The id of the virtual network gateway in the cluster's VNet, made where there is none."""
    azure = world.clouds.azure
    base = cluster.facts["vnet_id"].partition("/virtualNetworks/")[0]
    identifier = f"{base}/virtualNetworkGateways/{cluster.cloud_name}-vpngw"
    if azure.get(identifier) is not None:
        return identifier
    address = f"{base}/publicIPAddresses/{cluster.cloud_name}-vpngw-pip"
    azure.put(
        address,
        {
            "location": cluster.region,
            "sku": {"name": "Standard"},
            "properties": {
                "ipAddress": _public_address(cluster.name),
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
            },
        },
    )
    subnet = f"{cluster.facts['vnet_id']}/subnets/GatewaySubnet"
    prefix = azure.need(subnet)["properties"]["addressPrefix"]
    inside = str(ipaddress.IPv4Network(prefix)[-2])
    configuration = f"{identifier}/ipConfigurations/default"
    azure.put(
        identifier,
        {
            "location": cluster.region,
            "properties": {
                "gatewayType": "Vpn",
                "vpnType": "RouteBased",
                "vpnGatewayGeneration": "Generation1",
                "sku": {"name": "VpnGw1AZ", "tier": "VpnGw1AZ", "capacity": 2},
                "activeActive": False,
                "enableBgp": False,
                "bgpSettings": {
                    "asn": 65515,
                    "bgpPeeringAddress": inside,
                    "peerWeight": 0,
                    "bgpPeeringAddresses": [
                        {
                            "ipconfigurationId": configuration,
                            "defaultBgpIpAddresses": [inside],
                            "customBgpIpAddresses": [],
                            "tunnelIpAddresses": [_public_address(cluster.name)],
                        }
                    ],
                },
                "ipConfigurations": [
                    {
                        "name": "default",
                        "id": configuration,
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateIPAllocationMethod": "Dynamic",
                            "subnet": {"id": subnet},
                            "publicIPAddress": {"id": address},
                        },
                    }
                ],
            },
        },
    )
    cluster.facts["vpn_gateway"] = identifier
    return identifier


def azure_gateway_address(world: World, gateway: str) -> str:
    """The gateway's public address."""
    azure = world.clouds.azure
    configuration = azure.need(gateway)["properties"]["ipConfigurations"][0]["properties"]
    return str(azure.need(configuration["publicIPAddress"]["id"])["properties"]["ipAddress"])


def _public_address(name: str) -> str:
    digest = hashlib.sha256(f"{name}/vpngw".encode()).digest()
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("20.89.0.0")) + int.from_bytes(digest[:2], "big")))
