"""Rule documents as the evaluator gets them: security groups and NSGs through the product's own readers.

NACLs, routes and the networks themselves are put together here.
"""

from collections.abc import Sequence
from typing import Any

from backends.aws.rules import rule_from
from backends.azure.rules import rules_from
from mesh.model.network import Firewall, FirewallGroup
from mesh.model.site import NodePlace, Site
from mesh.model.vnet import (
    AzureNetwork,
    AzureRoute,
    AzureRouteTable,
    GatewayConnection,
    LocalNetworkGateway,
    Vnet,
    VnetGateway,
    VnetSubnet,
)
from mesh.model.vpc import (
    AwsNetwork,
    Nacl,
    NaclEntry,
    SiteToSiteVpn,
    Vgw,
    Vpc,
    VpcRoute,
    VpcRouteTable,
    VpcSubnet,
    VpnTunnel,
)
from tests.real.kernel.documents import ARM, IN_AWS, IN_AZURE, NODES, SUBNETS, VNET, VPC, Document, Documents

_AZURE_ADDRESS, _TUNNEL = "20.1.2.3", "52.0.0.1"
_VNET_ID = f"{ARM}/virtualNetworks/vnet-1"


def sites(documents: Documents) -> tuple[dict[str, Site], tuple[Site, Site]]:
    """Every node as a site of its own, and the nodes of each cloud as one."""
    aws, azure = _aws(documents), _azure(documents)
    alone = {node: _aws_site(documents, aws, node, (node,)) for node in IN_AWS}
    alone |= {node: _azure_site(documents, azure, node, (node,)) for node in IN_AZURE}
    return alone, (_aws_site(documents, aws, "aws", IN_AWS), _azure_site(documents, azure, "azure", IN_AZURE))


def _subnet_id(subnet: str) -> str:
    return f"{_VNET_ID}/subnets/{subnet}" if subnet.startswith("b") else subnet


def _places(nodes: Sequence[str]) -> tuple[NodePlace, ...]:
    return tuple(NodePlace(node, (NODES[node][1],), _subnet_id(NODES[node][0])) for node in nodes)


# AWS


def _aws_site(documents: Documents, aws: AwsNetwork, name: str, nodes: Sequence[str]) -> Site:
    groups = []
    for group in sorted({group for node in nodes for group in documents.members[node]}):
        rows = [row for row in documents.security_group_rules if row["GroupId"] == group]
        rules = tuple(rule_from(row, documents.prefix_lists.get) for row in rows)
        members = tuple(node for node in nodes if group in documents.members[node])
        groups.append(FirewallGroup(group, group, "sg", members, rules))
    return Site(name, _places(nodes), "vpc-1", Firewall(tuple(groups)), aws=aws)


def _aws(documents: Documents) -> AwsNetwork:
    vpn = SiteToSiteVpn(
        "vpn-1",
        "available",
        "vgw-1",
        _AZURE_ADDRESS,
        static_only=True,
        routes=documents.vpn_routes,
        tunnels=(VpnTunnel(_TUNNEL, "UP"),),
    )
    return AwsNetwork(
        vpcs=(Vpc("vpc-1", (VPC,)),),
        subnets=tuple(VpcSubnet(name, "vpc-1", (cidr,), "z") for name, cidr in SUBNETS.items() if name.startswith("a")),
        nacls=tuple(_nacl(document) for document in documents.network_acls),
        route_tables=tuple(_route_table(document, documents) for document in documents.route_tables),
        vgws=(Vgw("vgw-1", attached={"vpc-1": "attached"}),),
        vpns=(vpn,),
    )


def _nacl(document: Document) -> Nacl:
    subnets = tuple(tied["SubnetId"] for tied in document["Associations"])
    return Nacl(document["NetworkAclId"], subnets, tuple(map(_entry, document["Entries"])))


def _entry(row: Document) -> NaclEntry:
    ports, kind = row.get("PortRange", {}), row.get("IcmpTypeCode", {})
    return NaclEntry(
        row["RuleNumber"],
        "out" if row["Egress"] else "in",
        row["RuleAction"] == "allow",
        row["Protocol"],
        row["CidrBlock"],
        ports.get("From", 0),
        ports.get("To", 65535),
        kind.get("Type", -1),
        kind.get("Code", -1),
    )


def _route_table(document: Document, documents: Documents) -> VpcRouteTable:
    tied = document["Associations"]
    return VpcRouteTable(
        document["RouteTableId"],
        document["VpcId"],
        tuple(one["SubnetId"] for one in tied if "SubnetId" in one),
        any(one.get("Main") for one in tied),
        routes=tuple(_route(row, documents) for row in document["Routes"]),
    )


def _route(row: Document, documents: Documents) -> VpcRoute:
    target: str = row.get("GatewayId") or row["NatGatewayId"]
    named: str = row.get("DestinationPrefixListId", "")
    cidrs = documents.prefix_lists.get(named) if named else (row["DestinationCidrBlock"],)
    return VpcRoute(cidrs, target.partition("-")[0], target, row["Origin"], row["State"], named)


# Azure


def _azure_site(documents: Documents, azure: AzureNetwork, name: str, nodes: Sequence[str]) -> Site:
    groups = []
    for kind, placed in (("nsg-subnet", _by_subnet(documents)), ("nsg-nic", documents.nic_nsg)):
        for nsg in sorted({placed[node] for node in nodes if placed[node]}):
            members = tuple(node for node in nodes if placed[node] == nsg)
            document: dict[str, Any] = documents.nsgs[nsg]
            groups.append(FirewallGroup(nsg, nsg, kind, members, rules_from(document), resource_id=document["id"]))
    standing = {node for group in groups for node in group.nodes}
    bare = tuple(node for node in nodes if node not in standing)
    return Site(name, _places(nodes), _VNET_ID, Firewall(tuple(groups), unguarded=bare), azure=azure)


def _by_subnet(documents: Documents) -> dict[str, str]:
    return {node: documents.subnet_nsg[NODES[node][0]] for node in IN_AZURE}


def _azure(documents: Documents) -> AzureNetwork:
    gateway, local = f"{ARM}/virtualNetworkGateways/vng-1", f"{ARM}/localNetworkGateways/lng-1"
    tables = {subnet: _azure_table(document) for subnet, document in documents.azure_tables.items()}
    subnets = tuple(
        VnetSubnet(_subnet_id(name), (cidr,), tables[name].id if name in tables else "")
        for name, cidr in SUBNETS.items()
        if name.startswith("b")
    )
    own = VnetSubnet(f"{_VNET_ID}/subnets/GatewaySubnet", ("10.239.255.0/27",))
    return AzureNetwork(
        vnets=(Vnet(_VNET_ID, (VNET,), (*subnets, own)),),
        route_tables=tuple(tables.values()),
        gateways=(VnetGateway(gateway, _VNET_ID, (_AZURE_ADDRESS,)),),
        connections=(GatewayConnection(f"{ARM}/connections/to-aws", gateway, "Connected", local_gateway=local),),
        local_gateways=(LocalNetworkGateway(local, _TUNNEL, documents.local_prefixes),),
        tags=documents.service_tags,
    )


def _azure_table(document: Document) -> AzureRouteTable:
    properties = document["properties"]
    routes = tuple(
        AzureRoute(
            row["name"],
            row["properties"]["addressPrefix"],
            row["properties"]["nextHopType"],
            "",
            row["properties"]["hasBgpOverride"],
        )
        for row in properties["routes"]
    )
    return AzureRouteTable(document["id"], routes, properties["disableBgpRoutePropagation"])
