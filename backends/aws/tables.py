"""Tables of EC2 that a VPC's paths are joined from: each asked for once in a reading, and without keys."""

from typing import Any, Final

from backends.aws.session import AwsSession
from mesh.facts import Reason
from mesh.reading import Cached, NotRead

Row = dict[str, Any]
_GONE: Final = ("deleted", "deleting", "failed", "rejected")
_IDS_AT_ONCE: Final = 200


class VpcTables:
    """Rows as EC2 answers them for one VPC. Every method raises ``NotRead``, remembered like the rows themselves."""

    def __init__(self, session: AwsSession, cached: Cached, vpc: str) -> None:
        self.session = session
        self.vpc = vpc
        self._cached = cached

    def _of_vpc(self, action: str, key: str, name: str = "vpc-id") -> list[Row]:
        filters = [{"Name": name, "Values": [self.vpc]}]
        return self._cached(f"{action} {name}", lambda: self.session.pages("ec2", action, key, Filters=filters))

    def vpcs(self) -> list[Row]:
        """The VPC itself."""
        found = self._of_vpc("describe_vpcs", "Vpcs")
        if not found:
            where = f"region {self.session.region or 'not set'}"
            raise NotRead(Reason.INVALID, f"{self.vpc} was not found in {where}", right="ec2:DescribeVpcs")
        return found

    def subnets(self) -> list[Row]:
        """All subnets of the VPC."""
        return self._of_vpc("describe_subnets", "Subnets")

    def nacls(self) -> list[Row]:
        """All network ACLs of the VPC."""
        return self._of_vpc("describe_network_acls", "NetworkAcls")

    def route_tables(self) -> list[Row]:
        """All route tables of the VPC, the edge's too."""
        return self._of_vpc("describe_route_tables", "RouteTables")

    def peerings(self) -> list[Row]:
        """Peerings from either end."""
        sides = ("requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id")
        found = {
            str(row["VpcPeeringConnectionId"]): row
            for side in sides
            for row in self._of_vpc("describe_vpc_peering_connections", "VpcPeeringConnections", side)
        }
        return list(found.values())

    def gateways(self) -> list[Row]:
        """Virtual private gateways attached to the VPC."""
        return self._of_vpc("describe_vpn_gateways", "VpnGateways", "attachment.vpc-id")

    def own_attachments(self) -> list[Row]:
        """The VPC's attachments to transit gateways."""
        rows = self._of_vpc("describe_transit_gateway_vpc_attachments", "TransitGatewayVpcAttachments")
        return [row for row in rows if row.get("State") not in _GONE]

    def attachments(self) -> list[Row]:
        """Every attachment of the transit gateways that the VPC is attached to."""

        def read() -> list[Row]:
            gateways = sorted({str(row["TransitGatewayId"]) for row in self.own_attachments()})
            return self._among(
                "describe_transit_gateway_attachments", "TransitGatewayAttachments", "transit-gateway-id", gateways
            )

        return self._cached("attachments", read)

    def vpns(self) -> list[Row]:
        """Connections of the VPC's gateways of both kinds, stripped of their pre-shared keys."""

        def read() -> list[Row]:
            own = sorted(str(row["VpnGatewayId"]) for row in self.gateways())
            action, key = "describe_vpn_connections", "VpnConnections"
            rows = self._among(action, key, "vpn-gateway-id", own)
            rows += self._among(action, key, "transit-gateway-id", self._transit_gateways())
            return [_without_keys(row) for row in rows if row.get("State") != "deleted"]

        return self._cached("vpns", read)

    def _transit_gateways(self) -> list[str]:
        """Those attached; where that may not be asked, those that a route leads to."""
        try:
            return sorted({str(row["TransitGatewayId"]) for row in self.own_attachments()})
        except NotRead:
            routes = [route for table in self.route_tables() for route in table.get("Routes", [])]
            return sorted({str(route["TransitGatewayId"]) for route in routes if route.get("TransitGatewayId")})

    def customer_gateways(self) -> dict[str, Row]:
        """The customer gateways of the connections, by id."""

        def read() -> dict[str, Row]:
            ids = sorted({str(row["CustomerGatewayId"]) for row in self.vpns()})
            rows = self._among("describe_customer_gateways", "CustomerGateways", "customer-gateway-id", ids)
            return {str(row["CustomerGatewayId"]): row for row in rows}

        return self._cached("customer gateways", read)

    def _among(self, action: str, key: str, name: str, ids: list[str]) -> list[Row]:
        """Rows by a filter of ids. They are not remembered here: some hold keys that must be taken out first."""
        return [
            row
            for start in range(0, len(ids), _IDS_AT_ONCE)
            for row in self.session.pages(
                "ec2", action, key, Filters=[{"Name": name, "Values": ids[start : start + _IDS_AT_ONCE]}]
            )
        ]

    def prefix_list(self, list_id: str) -> tuple[str, ...] | None:
        """The entries of a managed prefix list; None when they cannot be read."""

        def read() -> tuple[str, ...]:
            rows = self.session.pages("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=list_id)
            return tuple(str(row["Cidr"]) for row in rows)

        try:
            return self._cached(f"prefix list {list_id}", read)
        except NotRead:
            return None

    def transit_routes(self, table: str) -> tuple[list[Row], bool]:
        """The routes of a transit gateway's table, and whether these are all of them."""
        filters = [{"Name": "type", "Values": ["static", "propagated"]}]
        pages = self.session.every_page(
            "ec2", "search_transit_gateway_routes", TransitGatewayRouteTableId=table, Filters=filters
        )
        complete = not (pages and pages[-1].get("AdditionalRoutesAvailable"))
        return [row for page in pages for row in page.get("Routes", [])], complete


def _without_keys(row: Row) -> Row:
    """A VPN connection without its pre-shared keys, which its configuration for the customer's device repeats."""
    kept = {key: value for key, value in row.items() if key != "CustomerGatewayConfiguration"}
    options = dict(kept.get("Options") or {})
    options.pop("TunnelOptions", None)
    return kept | {"Options": options}
