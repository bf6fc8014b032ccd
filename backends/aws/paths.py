"""What lies between an EKS cluster's nodes and the edge of AWS, out of EC2's answers (cloud-network §2.2)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from backends.aws.tables import Row, VpcTables
from backends.parts import Part, attempt, together
from mesh.model.unread import Unread
from mesh.model.vpc import (
    AWS_RIGHTS,
    AwsNetwork,
    Nacl,
    NaclEntry,
    SiteToSiteVpn,
    TgwAttachment,
    TgwRoute,
    TgwRouteTable,
    Vgw,
    Vpc,
    VpcPeering,
    VpcRoute,
    VpcRouteTable,
    VpcSubnet,
    VpnTunnel,
)
from mesh.text import clean

_ALL_CIDRS: Final = "0.0.0.0/0"
_NOT_IN_USE: Final = ("disassociated", "failed", "disassociating")
# The target that a route names, by the member of the answer, and what this is called here.
_TARGETS: Final = (
    ("TransitGatewayId", "tgw"),
    ("VpcPeeringConnectionId", "pcx"),
    ("NatGatewayId", "nat"),
    ("EgressOnlyInternetGatewayId", "eigw"),
    ("LocalGatewayId", "local gateway"),
    ("CarrierGatewayId", "carrier gateway"),
    ("CoreNetworkArn", "core network"),
    ("OdbNetworkArn", "ODB network"),
    ("NetworkInterfaceId", "eni"),
    ("InstanceId", "instance"),
)


def read_network(tables: VpcTables, seconds: float) -> AwsNetwork:
    """Every list by itself, within ``seconds``."""
    readers: dict[str, Callable[[], object]] = {
        "vpcs": lambda: vpcs(tables.vpcs()),
        "subnets": lambda: subnets(tables.subnets()),
        "nacls": lambda: nacls(tables.nacls()),
        "route_tables": lambda: route_tables(tables),
        "vgws": lambda: vgws(tables.gateways()),
        "vpns": lambda: vpns(tables.vpns(), tables.customer_gateways()),
        "tgw_attachments": lambda: attachments(tables),
        "tgw_route_tables": lambda: transit_tables(tables),
        "peerings": lambda: peerings(tables.peerings()),
    }
    parts = {
        name: Part(right, f"{right.partition(':')[2]} of {tables.vpc}", readers[name])
        for name, right in AWS_RIGHTS.items()
    }
    return AwsNetwork(**together(parts, seconds))


def vpcs(rows: Iterable[Row]) -> tuple[Vpc, ...]:
    """``describe_vpcs``."""
    return tuple(sorted(Vpc(str(row["VpcId"]), _blocks(row, "CidrBlock", "Ipv6CidrBlock")) for row in rows))


def _blocks(row: Row, *families: str) -> tuple[str, ...]:
    """Associated CIDRs of these families; what is being taken away or failed does not count."""
    return tuple(
        sorted(
            str(item[block])
            for block in families
            for item in row.get(f"{block}AssociationSet", [])
            if item.get(f"{block}State", {}).get("State", "associated") == "associated"
        )
    )


def subnets(rows: Iterable[Row]) -> tuple[VpcSubnet, ...]:
    """``describe_subnets``."""
    return tuple(sorted(_subnet(row) for row in rows))


def _subnet(row: Row) -> VpcSubnet:
    own = (str(row["CidrBlock"]),) if row.get("CidrBlock") else ()
    tags = ((clean(tag["Key"]), clean(tag.get("Value", ""))) for tag in row.get("Tags", []))
    return VpcSubnet(
        id=str(row["SubnetId"]),
        vpc=str(row["VpcId"]),
        cidrs=(*own, *_blocks(row, "Ipv6CidrBlock")),
        zone=str(row.get("AvailabilityZone", "")),
        tags=tuple(sorted(tag for tag in tags if tag[0].startswith("kubernetes.io/"))),
    )


def nacls(rows: Iterable[Row]) -> tuple[Nacl, ...]:
    """``describe_network_acls``."""
    return tuple(
        sorted(
            Nacl(
                id=str(row["NetworkAclId"]),
                subnets=tuple(sorted(str(item["SubnetId"]) for item in row.get("Associations", []))),
                entries=tuple(sorted(_entry(item) for item in row.get("Entries", []))),
                default=bool(row.get("IsDefault")),
            )
            for row in rows
        )
    )


def _entry(row: Row) -> NaclEntry:
    action = str(row["RuleAction"])
    if action not in ("allow", "deny"):
        raise ValueError(f"RuleAction {clean(action, 40)}")
    ports, icmp = row.get("PortRange") or {}, row.get("IcmpTypeCode") or {}
    return NaclEntry(
        number=int(row["RuleNumber"]),
        direction="out" if row["Egress"] else "in",
        allow=action == "allow",
        protocol=str(row["Protocol"]),
        cidr=str(row.get("CidrBlock") or row["Ipv6CidrBlock"]),
        from_port=int(ports.get("From", 0)),
        to_port=int(ports.get("To", 65535)),
        icmp_type=int(icmp.get("Type", -1)),
        icmp_code=int(icmp.get("Code", -1)),
    )


def route_tables(tables: VpcTables) -> tuple[VpcRouteTable, ...]:
    """``describe_route_tables``, its prefix lists expanded."""
    return tuple(sorted(_table(row, tables) for row in tables.route_tables()))


def _table(row: Row, tables: VpcTables) -> VpcRouteTable:
    held = [
        item
        for item in row.get("Associations", [])
        if item.get("AssociationState", {}).get("State", "associated") not in _NOT_IN_USE
    ]
    return VpcRouteTable(
        id=str(row["RouteTableId"]),
        vpc=str(row["VpcId"]),
        subnets=tuple(sorted(str(item["SubnetId"]) for item in held if item.get("SubnetId"))),
        main=any(item.get("Main") for item in held),
        gateways=tuple(sorted(str(item["GatewayId"]) for item in held if item.get("GatewayId"))),
        propagating=tuple(sorted(str(item["GatewayId"]) for item in row.get("PropagatingVgws", []))),
        routes=tuple(_route(item, tables) for item in row.get("Routes", [])),
    )


def _route(row: Row, tables: VpcTables) -> VpcRoute:
    listed = str(row.get("DestinationPrefixListId") or "")
    single = row.get("DestinationCidrBlock") or row.get("DestinationIpv6CidrBlock")
    if not listed and not single:
        raise ValueError("a route without a destination")
    kind, target = _target(row)
    return VpcRoute(
        cidrs=tables.prefix_list(listed) if listed else (str(single),),
        kind=kind,
        target=target,
        origin=str(row.get("Origin", "")),
        state=str(row.get("State", "")),
        prefix_list=listed,
    )


def _target(row: Row) -> tuple[str, str]:
    gateway = str(row.get("GatewayId") or "")
    if gateway:
        return gateway.partition("-")[0], gateway
    found = ((kind, str(row[member])) for member, kind in _TARGETS if row.get(member))
    # A target newer than this list is none that is known to lead anywhere.
    return next(found, ("?", ""))


def vgws(rows: Iterable[Row]) -> tuple[Vgw, ...]:
    """``describe_vpn_gateways``."""
    return tuple(
        sorted(
            (
                Vgw(
                    id=str(row["VpnGatewayId"]),
                    state=str(row.get("State", "")),
                    attached={str(item["VpcId"]): str(item["State"]) for item in row.get("VpcAttachments", [])},
                )
                for row in rows
            ),
            key=lambda item: item.id,
        )
    )


def vpns(rows: Iterable[Row], customers: Mapping[str, Row]) -> tuple[SiteToSiteVpn, ...]:
    """``describe_vpn_connections`` with the addresses of ``describe_customer_gateways``."""
    return tuple(sorted(_vpn(row, customers[str(row["CustomerGatewayId"])]) for row in rows))


def _vpn(row: Row, customer: Row) -> SiteToSiteVpn:
    options = row.get("Options") or {}
    return SiteToSiteVpn(
        id=str(row["VpnConnectionId"]),
        state=str(row.get("State", "")),
        gateway=str(row.get("VpnGatewayId") or row.get("TransitGatewayId") or row.get("CoreNetworkArn") or ""),
        peer_address=str(customer.get("IpAddress", "")),
        # AWS calls the customer's side local.
        near_cidr=str(options.get("RemoteIpv4NetworkCidr") or _ALL_CIDRS),
        far_cidr=str(options.get("LocalIpv4NetworkCidr") or _ALL_CIDRS),
        static_only=bool(options.get("StaticRoutesOnly")),
        routes=tuple(
            sorted(
                str(item["DestinationCidrBlock"]) for item in row.get("Routes", []) if item.get("State") == "available"
            )
        ),
        tunnels=tuple(
            sorted(
                VpnTunnel(
                    outside_address=str(item.get("OutsideIpAddress", "")),
                    status=str(item.get("Status", "")),
                    message=clean(str(item.get("StatusMessage") or ""), 120),
                    learned=int(item.get("AcceptedRouteCount") or 0),
                )
                for item in row.get("VgwTelemetry", [])
            )
        ),
    )


def attachments(tables: VpcTables) -> tuple[TgwAttachment, ...] | Unread:
    """Attachments of the VPC's transit gateways; the subnets of its own ones.

    Only its owner sees with which route table an attachment is associated: of a shared gateway that is not known.
    """
    own = {str(row["TransitGatewayAttachmentId"]): row for row in tables.own_attachments()}
    rows = tables.attachments()
    for row in rows:
        if not row.get("Association") and row.get("TransitGatewayOwnerId") != row.get("ResourceOwnerId"):
            owner = clean(str(row.get("TransitGatewayOwnerId")), 40)
            why = f"only its owner, account {owner}, sees the associations of {clean(str(row['TransitGatewayId']), 40)}"
            return Unread("ec2:DescribeTransitGatewayAttachments", "DescribeTransitGatewayAttachments", why)
    return tuple(sorted(_attachment(row, own.get(str(row["TransitGatewayAttachmentId"]), {})) for row in rows))


def _attachment(row: Row, own: Row) -> TgwAttachment:
    association = row.get("Association") or {}
    return TgwAttachment(
        id=str(row["TransitGatewayAttachmentId"]),
        tgw=str(row["TransitGatewayId"]),
        kind=str(row.get("ResourceType", "")),
        resource=str(row.get("ResourceId", "")),
        state=str(row.get("State", "")),
        route_table=str(association.get("TransitGatewayRouteTableId") or ""),
        association=str(association.get("State") or ""),
        subnets=tuple(sorted(str(item) for item in own.get("SubnetIds", []))),
    )


def transit_tables(tables: VpcTables) -> tuple[TgwRouteTable, ...]:
    """``search_transit_gateway_routes`` of each table that an attachment is associated with."""
    rows = tables.attachments()
    wanted = {
        str(table): str(row["TransitGatewayId"])
        for row in rows
        if (table := (row.get("Association") or {}).get("TransitGatewayRouteTableId"))
    }
    return tuple(_transit_table(tables, table, gateway) for table, gateway in sorted(wanted.items()))


def _transit_table(tables: VpcTables, table: str, gateway: str) -> TgwRouteTable:
    action = "SearchTransitGatewayRoutes"
    found: Any = attempt(Part(f"ec2:{action}", f"{action} of {table}", lambda: _transit_routes(tables, table)))
    if isinstance(found, Unread):
        return TgwRouteTable(table, gateway, found, complete=False)
    routes, complete = found
    return TgwRouteTable(table, gateway, routes, complete)


def _transit_routes(tables: VpcTables, table: str) -> tuple[tuple[TgwRoute, ...], bool]:
    rows, complete = tables.transit_routes(table)
    return tuple(_transit_route(row, tables) for row in rows), complete


def _transit_route(row: Row, tables: VpcTables) -> TgwRoute:
    listed = str(row.get("PrefixListId") or "")
    leading = row.get("TransitGatewayAttachments") or []
    return TgwRoute(
        cidrs=tables.prefix_list(listed) if listed else (str(row["DestinationCidrBlock"]),),
        attachments=tuple(str(item["TransitGatewayAttachmentId"]) for item in leading),
        kind=str(row.get("Type", "")),
        state=str(row.get("State", "")),
        source=next((str(item.get("ResourceType", "")) for item in leading), ""),
        prefix_list=listed,
    )


def peerings(rows: Iterable[Row]) -> tuple[VpcPeering, ...]:
    """``describe_vpc_peering_connections``."""
    return tuple(sorted(_peering(row) for row in rows))


def _peering(row: Row) -> VpcPeering:
    requester, accepter = row.get("RequesterVpcInfo", {}), row.get("AccepterVpcInfo", {})
    return VpcPeering(
        id=str(row["VpcPeeringConnectionId"]),
        state=str(row.get("Status", {}).get("Code", "")),
        requester=str(requester.get("VpcId", "")),
        accepter=str(accepter.get("VpcId", "")),
        requester_cidrs=_cidrs(requester),
        accepter_cidrs=_cidrs(accepter),
    )


def _cidrs(side: Row) -> tuple[str, ...]:
    blocks = [str(item["CidrBlock"]) for item in side.get("CidrBlockSet", [])]
    return tuple(sorted(blocks + [str(item["Ipv6CidrBlock"]) for item in side.get("Ipv6CidrBlockSet", [])]))
