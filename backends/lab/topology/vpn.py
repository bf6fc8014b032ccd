"""Site-to-site VPNs: between EKS and AKS as the clouds' guides build them, and from either to a site."""

from collections.abc import Sequence
from typing import Any

from backends.lab.topology.gateways import aws_gateway, azure_gateway, azure_gateway_address
from backends.lab.world import LabCluster, World


def vpn(world: World, a: LabCluster, b: LabCluster, *, bgp: bool = False) -> None:
    """Join the networks of two clusters by a site-to-site VPN with two tunnels, both up and every prefix known.

    EKS with AKS, and EKS, AKS or kind with kind; ``bgp`` (EKS with AKS) lets the gateways exchange routes instead of
    static prefixes. Raises ``ValueError`` for two clusters of one cloud, which are peered instead.
    """
    pair = {a.provider: a, b.provider: b}
    if set(pair) == {"eks", "aks"}:
        _eks_aks(world, pair["eks"], pair["aks"], bgp=bgp)
    elif "kind" in pair and a.provider != b.provider:
        site = pair.pop("kind")
        cloud = next(iter(pair.values()))
        (_eks_site if cloud.provider == "eks" else _aks_site)(world, cloud, site)
    elif a.provider == b.provider == "kind":
        world.network.join_sites(a.facts["site"], b.facts["site"])
    else:
        raise ValueError(f"{a.name} and {b.name} are both on {a.provider}: peer them")


def _eks_aks(world: World, eks: LabCluster, aks: LabCluster, *, bgp: bool) -> None:
    gateway = azure_gateway(world, aks)
    behind = [aks.facts["vnet_cidr"]]
    connection = aws_connection(
        world, eks, azure_gateway_address(world, gateway), behind, aks.cloud_name, 65515, bgp=bgp
    )
    for number, tunnel in enumerate(connection.options["TunnelOptions"], start=1):
        azure_connection(
            world,
            aks,
            gateway,
            f"{eks.cloud_name}-tunnel{number}",
            tunnel["OutsideIpAddress"],
            [eks.facts["vpc_cidr"]],
            bgp=bgp,
        )


def _eks_site(world: World, eks: LabCluster, site: LabCluster) -> None:
    aws_connection(world, eks, site.facts["gateway_address"], site.node_subnets, site.cloud_name, 65000, bgp=False)
    world.network.route_site(site.facts["site"], eks.facts["vpc_cidr"])


def _aks_site(world: World, aks: LabCluster, site: LabCluster) -> None:
    gateway = azure_gateway(world, aks)
    azure_connection(
        world, aks, gateway, site.cloud_name, site.facts["gateway_address"], list(site.node_subnets), bgp=False
    )
    world.network.route_site(site.facts["site"], aks.facts["vnet_cidr"])


def aws_connection(
    world: World, eks: LabCluster, peer: str, prefixes: Sequence[str], name: str, asn: int, *, bgp: bool
) -> Any:
    """The AWS side: customer gateway at ``peer``, connection with both tunnels up, propagation into the subnets."""
    from backends.lab.clouds.aws.repairs import vpn as connections
    from backends.lab.clouds.aws.repairs.routes import propagating

    account = world.clouds.aws
    with account.writing():
        ec2 = account.ec2(eks.region)
        gateway = aws_gateway(ec2, eks)
        customer = ec2.create_customer_gateway("ipsec.1", ip_address=peer, bgp_asn=str(asn), tags={"Name": name})
        connection = ec2.create_vpn_connection(
            "ipsec.1", customer.id, vpn_gateway_id=gateway.id, tags={"Name": f"{eks.cloud_name}-{name}"}
        )
        connections.dress(connection, {"StaticRoutesOnly": not bgp})
        if bgp:
            connection.learned = list(prefixes)
        for prefix in () if bgp else prefixes:
            connections.add_static_route(connection, prefix)
        connections.set_tunnels(connection, [True, True], world.clock.now())
        for table in (*eks.facts["route_tables"], eks.facts["public_route_table"]):
            held = propagating(ec2.get_route_table(table))
            if gateway.id not in held:
                held.append(gateway.id)
    eks.facts.setdefault("vpn_connections", []).append(connection.id)
    return connection


def azure_connection(
    world: World, aks: LabCluster, gateway: str, name: str, peer: str, prefixes: list[str], *, bgp: bool
) -> str:
    """The Azure side: a local network gateway at ``peer`` and a connected connection to it; returns its id."""
    azure = world.clouds.azure
    base = gateway.partition("/virtualNetworkGateways/")[0]
    local = f"{base}/localNetworkGateways/lng-{name}"
    properties: dict[str, Any] = {
        "gatewayIpAddress": peer,
        "localNetworkAddressSpace": {"addressPrefixes": [] if bgp else prefixes},
    }
    if bgp:
        properties["bgpSettings"] = {"asn": 64512, "bgpPeeringAddress": "169.254.21.1", "peerWeight": 0}
    azure.put(local, {"location": aks.region, "properties": properties})
    connection = f"{base}/connections/con-{name}"
    azure.put(
        connection,
        {
            "location": aks.region,
            "learned": prefixes if bgp else [],
            "properties": {
                "virtualNetworkGateway1": {"id": gateway},
                "localNetworkGateway2": {"id": local},
                "connectionType": "IPsec",
                "connectionProtocol": "IKEv2",
                "connectionMode": "Default",
                "connectionStatus": "Connected",
                "tunnelConnectionStatus": [],
                "ingressBytesTransferred": 0,
                "egressBytesTransferred": 0,
                "routingWeight": 10,
                "enableBgp": bgp,
                "usePolicyBasedTrafficSelectors": False,
                "ipsecPolicies": [],
                "trafficSelectorPolicies": [],
            },
        },
    )
    aks.facts.setdefault("connections", []).append(connection)
    return connection
