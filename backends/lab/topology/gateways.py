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
    public = _public_address(cluster.name)
    address = f"{base}/publicIPAddresses/{cluster.cloud_name}-vpngw-pip"
    azure.put(
        address,
        {
            "location": cluster.region,
            "sku": {"name": "Standard"},
            "properties": {
                "ipAddress": public,
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
            },
        },
    )
    subnet = f"{cluster.facts['vnet_id']}/subnets/GatewaySubnet"
    inside = str(ipaddress.IPv4Network(azure.need(subnet)["properties"]["addressPrefix"])[-2])
    properties = _gateway(identifier, subnet, address, public, inside)
    azure.put(identifier, {"location": cluster.region, "properties": properties})
    cluster.facts["vpn_gateway"] = identifier
    return identifier


def _gateway(identifier: str, subnet: str, address: str, public: str, inside: str) -> dict[str, Any]:
    configuration = f"{identifier}/ipConfigurations/default"
    peering = {
        "ipconfigurationId": configuration,
        "defaultBgpIpAddresses": [inside],
        "customBgpIpAddresses": [],
        "tunnelIpAddresses": [public],
    }
    return {
        "gatewayType": "Vpn",
        "vpnType": "RouteBased",
        "vpnGatewayGeneration": "Generation1",
        "sku": {"name": "VpnGw1AZ", "tier": "VpnGw1AZ", "capacity": 2},
        "activeActive": False,
        "enableBgp": False,
        "bgpSettings": {"asn": 65515, "bgpPeeringAddress": inside, "peerWeight": 0, "bgpPeeringAddresses": [peering]},
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
    }


def azure_gateway_address(world: World, gateway: str) -> str:
    """The gateway's public address."""
    azure = world.clouds.azure
    configuration = azure.need(gateway)["properties"]["ipConfigurations"][0]["properties"]
    return str(azure.need(configuration["publicIPAddress"]["id"])["properties"]["ipAddress"])


def _public_address(name: str) -> str:
    digest = hashlib.sha256(f"{name}/vpngw".encode()).digest()
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("20.89.0.0")) + int.from_bytes(digest[:2], "big")))
