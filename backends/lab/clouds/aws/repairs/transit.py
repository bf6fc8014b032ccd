"""Transit gateways: a route tells its attachment, and what is propagated into a table is found there.

A propagated route is never stored: it follows from the attachment, a VPC's ranges or what a VPN connection knows.
"""

from collections.abc import Callable, Iterator
from typing import Any

from moto.ec2.models.transit_gateway_route_tables import TransitGatewayRouteTableBackend

from backends.lab.clouds.aws.repairs.vpn import prefixes_of

_LEADING = "transitGatewayAttachments"


def apply() -> None:
    """See the module."""
    search: Callable[..., Any] = TransitGatewayRouteTableBackend.search_transit_gateway_routes

    def search_transit_gateway_routes(self: Any, table_id: str, filters: Any, max_results: Any = None) -> list[Any]:
        found = [
            row | ({_LEADING: [row[_LEADING]]} if isinstance(row.get(_LEADING), dict) else {})
            for row in search(self, table_id, filters)
        ]
        kinds, states = filters.get("type") or ["propagated"], filters.get("state") or ["active"]
        if "propagated" in kinds and "active" in states and not any("route-search" in name for name in filters):
            static = {
                row["destinationCidrBlock"] for row in self.transit_gateways_route_tables[table_id].routes.values()
            }
            found += [row for row in _propagated(self, table_id) if row["destinationCidrBlock"] not in static]
        return found[: int(max_results)] if max_results else found

    TransitGatewayRouteTableBackend.search_transit_gateway_routes = (  # type: ignore[method-assign]  # a repair
        lambda self, transit_gateway_route_table_id, filters, max_results=None: search_transit_gateway_routes(
            self, transit_gateway_route_table_id, filters, max_results
        )
    )


def _propagated(backend: Any, table_id: str) -> Iterator[dict[str, Any]]:
    table = backend.transit_gateways_route_tables.get(table_id)
    for item in table.route_table_propagation if table is not None else ():
        attachment = backend.transit_gateway_attachments.get(item.transitGatewayAttachmentId)
        if attachment is None or attachment.state != "available":
            continue
        leading = {
            "resourceId": attachment.resource_id,
            "resourceType": attachment.resource_type,
            "transitGatewayAttachmentId": attachment.id,
        }
        for prefix in _behind(backend, attachment):
            yield {"destinationCidrBlock": prefix, "type": "propagated", "state": "active", _LEADING: [leading]}


def _behind(backend: Any, attachment: Any) -> list[str]:
    if attachment.resource_type == "vpc":
        vpc = backend.vpcs.get(attachment.resource_id)
        blocks = vpc.get_cidr_block_association_set(ipv6=False) if vpc is not None else []
        return [str(block["cidr_block"]) for block in blocks]
    connection = backend.vpn_connections.get(attachment.resource_id)
    return prefixes_of(connection) if connection is not None and connection.options else []
