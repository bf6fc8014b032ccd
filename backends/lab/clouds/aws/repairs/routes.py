"""Route tables: propagation from virtual private gateways, origins, black holes, and routes on the VPC's own range.

A propagated route is never stored: it follows from the table's gateways and from what their VPN connections know.
"""

from collections.abc import Iterator
from typing import Any

from moto.core.responses import EmptyResult
from moto.ec2.exceptions import EC2ClientError, RouteAlreadyExistsError
from moto.ec2.models.route_tables import Route, RouteBackend, RouteTable
from moto.ec2.responses import EC2Response

from backends.lab.clouds.aws.repairs.rules import canonical
from backends.lab.clouds.aws.repairs.vpn import known_prefixes


def attached(gateway: Any, vpc_id: str) -> bool:
    """Whether a virtual private gateway is attached to the VPC."""
    attachment = gateway.attachments.get(vpc_id)
    return gateway.state == "available" and attachment is not None and attachment.state == "attached"


def propagating(table: Any) -> list[str]:
    """Ids of the gateways whose routes the table takes."""
    found: list[str] = table.__dict__.setdefault("propagating_ids", [])
    return found


def apply() -> None:
    """See the module."""
    RouteTable.routes = property(_routes)  # type: ignore[assignment,method-assign]  # a repair
    RouteTable.propagating_vgws = property(  # type: ignore[attr-defined]  # a response member moto lacks
        lambda table: [{"GatewayId": identifier} for identifier in propagating(table)]
    )
    Route.origin = property(_origin)  # type: ignore[assignment,method-assign]  # a repair
    Route.state = property(_state)  # type: ignore[assignment,method-assign]  # a repair
    _create_route()
    for method in (enable_vgw_route_propagation, disable_vgw_route_propagation):
        setattr(EC2Response, method.__name__, method)


def _routes(table: Any) -> list[Route]:
    return [*table._routes.values(), *_propagated(table)]


def _propagated(table: Any) -> Iterator[Route]:
    backend = table.ec2_backend
    factory: Any = Route  # abstract by moto's own annotations, made by moto all the same
    for identifier in propagating(table):
        gateway = backend.vpn_gateways.get(identifier)
        if gateway is None or not attached(gateway, table.vpc_id):
            continue
        for prefix in known_prefixes(backend, identifier):
            route = factory(table, prefix, None, gateway=gateway)
            route.propagated = True
            yield route


def _origin(route: Any) -> str:
    if getattr(route, "propagated", False):
        return "EnableVgwRoutePropagation"
    return "CreateRouteTable" if route.local else "CreateRoute"


def _state(route: Any) -> str:
    gateway = route.gateway
    if gateway is not None and gateway.id.startswith("vgw-"):
        return "active" if attached(gateway, route.route_table.vpc_id) else "blackhole"
    if gateway is not None and gateway.id.startswith("igw-"):
        vpc = gateway.vpc
        return "active" if vpc is not None and vpc.id == route.route_table.vpc_id else "blackhole"
    if route.nat_gateway is not None and route.nat_gateway.state != "available":
        return "blackhole"
    if route.vpc_pcx is not None and route.vpc_pcx._status.code != "active":
        return "blackhole"
    return "active"


def _create_route() -> None:
    original = RouteBackend.create_route

    def create_route(
        self: Any, route_table_id: str, destination_cidr_block: str | None, *args: Any, **kwargs: Any
    ) -> Route:
        if destination_cidr_block:
            destination_cidr_block = canonical(destination_cidr_block)
            if not kwargs.get("local"):
                for route in self.get_route_table(route_table_id)._routes.values():
                    if route.local and route.destination_cidr_block == destination_cidr_block:
                        raise RouteAlreadyExistsError(destination_cidr_block)
        return original(self, route_table_id, destination_cidr_block, *args, **kwargs)

    RouteBackend.create_route = create_route  # type: ignore[method-assign]  # a repair


def _table_and_gateway(response: Any) -> tuple[Any, str]:
    backend = response.ec2_backend
    table = backend.get_route_table(response._get_param("RouteTableId"))
    gateway = backend.get_vpn_gateway(response._get_param("GatewayId"))
    if not attached(gateway, table.vpc_id):
        raise EC2ClientError(
            "Gateway.NotAttached",
            f"resource {gateway.id} is not attached to network {table.vpc_id}",
        )
    return table, gateway.id


def enable_vgw_route_propagation(self: Any) -> EmptyResult:
    """EC2 action EnableVgwRoutePropagation."""
    table, gateway = _table_and_gateway(self)
    if gateway not in propagating(table):
        propagating(table).append(gateway)
    return EmptyResult()


def disable_vgw_route_propagation(self: Any) -> EmptyResult:
    """EC2 action DisableVgwRoutePropagation."""
    table, gateway = _table_and_gateway(self)
    if gateway in propagating(table):
        propagating(table).remove(gateway)
    return EmptyResult()
