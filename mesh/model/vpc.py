"""What lies between an EKS cluster's nodes and the edge of AWS: NACLs, routes, gateways, VPNs, peerings.

Each docstring names the call whose answer fills the record (cloud-network §2.2). A list that could not be read is
``Unread``; states and kinds are the API's own words, so that a word newer than this file is seen as one.
"""

from typing import Final

from msgspec import Struct

from mesh.model.unread import Unread


class NaclEntry(Struct, frozen=True, order=True):
    """A row of ``describe_network_acls`` → ``Entries[]``; 32767 is the implicit ``*``.

    ``direction`` is ``in`` or ``out`` (``Egress``); ``protocol`` the number as the API gives it, ``-1`` = all; ``cidr``
    the far end; ports are destination ports (``PortRange``), ICMP in ``IcmpTypeCode``, -1 = any.
    """

    number: int
    direction: str
    allow: bool
    protocol: str
    cidr: str
    from_port: int = 0
    to_port: int = 65535
    icmp_type: int = -1
    icmp_code: int = -1

    @property
    def word(self) -> str:
        """``*`` for the implicit deny, else the number."""
        return "*" if self.number >= 32767 else str(self.number)


class Nacl(Struct, frozen=True, order=True):
    """``describe_network_acls``: subnets by ``Associations[].SubnetId``."""

    id: str
    subnets: tuple[str, ...] = ()
    entries: tuple[NaclEntry, ...] = ()
    default: bool = False


class VpcSubnet(Struct, frozen=True, order=True):
    """``describe_subnets``; ``zone`` = ``AvailabilityZone``, ``tags`` those of ``kubernetes.io/``, which place load
    balancers.
    """

    id: str
    vpc: str
    cidrs: tuple[str, ...] = ()
    zone: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class VpcRoute(Struct, frozen=True, order=True):
    """A row of ``describe_route_tables`` → ``Routes[]``.

    ``cidrs`` is the one destination, or the entries of ``prefix_list`` (``get_managed_prefix_list_entries``), None when
    these could not be read. ``kind`` is ``local``, ``vgw``, ``tgw``, ``pcx``, ``nat``, ``igw``, ``eni``, ``vpce`` or
    another target's word; ``target`` its id. ``origin`` and ``state`` are the API's words.
    """

    cidrs: tuple[str, ...] | None
    kind: str
    target: str
    origin: str = "CreateRoute"
    state: str = "active"
    prefix_list: str = ""

    @property
    def propagated(self) -> bool:
        """Whether it came from a virtual private gateway."""
        return self.origin == "EnableVgwRoutePropagation"


class VpcRouteTable(Struct, frozen=True, order=True):
    """``describe_route_tables``: ``subnets`` and ``main`` by ``Associations[]``, ``gateways`` = edge associations
    (``GatewayId``), ``propagating`` = ``PropagatingVgws[]``.
    """

    id: str
    vpc: str
    subnets: tuple[str, ...] = ()
    main: bool = False
    gateways: tuple[str, ...] = ()
    propagating: tuple[str, ...] = ()
    routes: tuple[VpcRoute, ...] = ()


class Vpc(Struct, frozen=True, order=True):
    """``describe_vpcs``: all associated CIDRs of both families."""

    id: str
    cidrs: tuple[str, ...] = ()


class Vgw(Struct, frozen=True, order=True):
    """``describe_vpn_gateways``: ``attached`` maps a VPC to its ``VpcAttachments[].State``."""

    id: str
    state: str = "available"
    attached: dict[str, str] = {}


class VpnTunnel(Struct, frozen=True, order=True):
    """``describe_vpn_connections`` → ``VgwTelemetry[]``; ``learned`` = ``AcceptedRouteCount``."""

    outside_address: str
    status: str
    message: str = ""
    learned: int = 0


class SiteToSiteVpn(Struct, frozen=True, order=True):
    """``describe_vpn_connections``, joined with ``describe_customer_gateways``.

    ``gateway`` is the VGW or TGW; ``peer_address`` the customer gateway's ``IpAddress``. ``far_cidr`` is
    ``LocalIpv4NetworkCidr`` (AWS calls the customer's side local), ``near_cidr`` ``RemoteIpv4NetworkCidr``: the traffic
    selectors. ``routes`` are the static ones that are ``available``.
    """

    id: str
    state: str
    gateway: str
    peer_address: str = ""
    near_cidr: str = "0.0.0.0/0"
    far_cidr: str = "0.0.0.0/0"
    static_only: bool = False
    routes: tuple[str, ...] = ()
    tunnels: tuple[VpnTunnel, ...] = ()


class TgwAttachment(Struct, frozen=True, order=True):
    """``describe_transit_gateway_attachments``, for VPCs with ``SubnetIds`` of ``…_vpc_attachments``.

    ``kind`` = ``ResourceType``, ``resource`` = ``ResourceId``; ``route_table`` the one *associated* ("" = none). The
    two sides of a TGW peering are two records of one id.
    """

    id: str
    tgw: str
    kind: str
    resource: str
    state: str = "available"
    route_table: str = ""
    association: str = "associated"
    subnets: tuple[str, ...] = ()


class TgwRoute(Struct, frozen=True, order=True):
    """``search_transit_gateway_routes``: ``kind`` = ``Type``, ``source`` = ``ResourceType`` of the attachments."""

    cidrs: tuple[str, ...] | None
    attachments: tuple[str, ...] = ()
    kind: str = "propagated"
    state: str = "active"
    source: str = ""
    prefix_list: str = ""


class TgwRouteTable(Struct, frozen=True, order=True):
    """``search_transit_gateway_routes`` of one table; ``complete`` is not ``AdditionalRoutesAvailable``."""

    id: str
    tgw: str
    routes: tuple[TgwRoute, ...] | Unread = ()
    complete: bool = True


class VpcPeering(Struct, frozen=True, order=True):
    """``describe_vpc_peering_connections``: ``state`` = ``Status.Code``, the two VPCs and their CIDRs."""

    id: str
    state: str
    requester: str
    accepter: str
    requester_cidrs: tuple[str, ...] = ()
    accepter_cidrs: tuple[str, ...] = ()


class AwsNetwork(Struct, frozen=True):
    """All of it for one account and region, each list read once and filtered by the VPC where the API can."""

    vpcs: tuple[Vpc, ...] | Unread = ()
    subnets: tuple[VpcSubnet, ...] | Unread = ()
    nacls: tuple[Nacl, ...] | Unread = ()
    route_tables: tuple[VpcRouteTable, ...] | Unread = ()
    vgws: tuple[Vgw, ...] | Unread = ()
    vpns: tuple[SiteToSiteVpn, ...] | Unread = ()
    tgw_attachments: tuple[TgwAttachment, ...] | Unread = ()
    tgw_route_tables: tuple[TgwRouteTable, ...] | Unread = ()
    peerings: tuple[VpcPeering, ...] | Unread = ()


# The right that each list needs, by its field.
AWS_RIGHTS: Final = {
    "vpcs": "ec2:DescribeVpcs",
    "subnets": "ec2:DescribeSubnets",
    "nacls": "ec2:DescribeNetworkAcls",
    "route_tables": "ec2:DescribeRouteTables",
    "vgws": "ec2:DescribeVpnGateways",
    "vpns": "ec2:DescribeVpnConnections",
    "tgw_attachments": "ec2:DescribeTransitGatewayAttachments",
    "tgw_route_tables": "ec2:SearchTransitGatewayRoutes",
    "peerings": "ec2:DescribeVpcPeeringConnections",
}
