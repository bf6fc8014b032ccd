"""VPN connections: options, static routes and tunnel telemetry, none of which moto has, and filters by gateway, which
fail as soon as a connection has the other kind.

``learned`` on a connection holds the prefixes that a dynamic (BGP) connection has received.
"""

import ipaddress
from datetime import UTC, datetime
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidVpnConnectionIdError
from moto.ec2.models.vpn_connections import VPNConnection
from moto.ec2.responses import EC2Response
from moto.moto_api._internal import mock_random

from backends.lab.clouds.aws.repairs.rules import canonical

_ANYWHERE: Final = "0.0.0.0/0"
_FIRST_OUTSIDE: Final = int(ipaddress.IPv4Address("52.192.0.10"))


def apply() -> None:
    """See the module."""
    create = EC2Response.create_vpn_connection

    def create_vpn_connection(self: Any) -> Any:
        result: Any = create(self)
        dress(result.result["VpnConnection"], self._get_param("Options") or {})
        return result

    EC2Response.create_vpn_connection = create_vpn_connection  # type: ignore[method-assign]  # a repair
    plain = VPNConnection.get_filter_value

    def get_filter_value(self: Any, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name in ("vpn-gateway-id", "transit-gateway-id"):
            return getattr(self, filter_name.replace("-", "_")) or ""
        return plain(self, filter_name, method_name)

    VPNConnection.get_filter_value = get_filter_value  # type: ignore[method-assign]  # a repair
    for method in (create_vpn_connection_route, delete_vpn_connection_route, modify_vpn_connection_options):
        setattr(EC2Response, method.__name__, method)


def dress(connection: VPNConnection, options: dict[str, Any]) -> None:
    """Give a new connection its options (request shape), two tunnels that are down, and no routes."""
    held: Any = connection
    number = sum(len(other.options["TunnelOptions"]) for other in _dressed(held.ec2_backend))
    asked = options.get("TunnelOptions") or [{}, {}]
    # Regions have disjoint blocks here so that no two tunnels of a lab have one outside address.
    block = sum(ord(letter) for letter in held.ec2_backend.region_name) << 12
    tunnels = []
    for index in range(2):
        wanted = asked[index] if index < len(asked) else {}
        inside = ipaddress.IPv4Network((int(ipaddress.IPv4Address("169.254.21.0")) + 4 * (number + index), 30))
        tunnels.append(
            {
                "OutsideIpAddress": str(ipaddress.IPv4Address(_FIRST_OUTSIDE + block + 37 * (number + index))),
                "TunnelInsideCidr": wanted.get("TunnelInsideCidr") or str(inside),
                "PreSharedKey": wanted.get("PreSharedKey") or mock_random.get_random_string(32),
            }
        )
    held.options = {
        "EnableAcceleration": False,
        "StaticRoutesOnly": bool(options.get("StaticRoutesOnly", False)),
        "LocalIpv4NetworkCidr": canonical(options.get("LocalIpv4NetworkCidr") or _ANYWHERE),
        "RemoteIpv4NetworkCidr": canonical(options.get("RemoteIpv4NetworkCidr") or _ANYWHERE),
        "OutsideIpAddressType": "PublicIpv4",
        "TunnelInsideIpVersion": "ipv4",
        "TunnelOptions": tunnels,
    }
    held.category = "VPN"
    held.routes = []
    held.learned = []
    held.vgw_telemetry = []
    set_tunnels(held, [False, False])


def set_tunnels(connection: Any, up: list[bool], at: float | None = None) -> None:
    """Write the tunnels' telemetry; ``at`` (epoch seconds) is the time of a change, which others keep."""
    static = connection.options["StaticRoutesOnly"]
    old = {entry["OutsideIpAddress"]: entry for entry in connection.vgw_telemetry}
    fresh = []
    for tunnel, is_up in zip(connection.options["TunnelOptions"], up, strict=True):
        outside, status = tunnel["OutsideIpAddress"], "UP" if is_up else "DOWN"
        if outside in old and old[outside]["Status"] == status:
            fresh.append(old[outside])
            continue
        message = "IPSEC IS UP" if is_up else "IPSEC IS DOWN"
        accepted = len(connection.routes if static else connection.learned) if is_up else 0
        if is_up and not static:
            message = f"{accepted} BGP ROUTES"
        changed = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
        fresh.append(
            {
                "AcceptedRouteCount": accepted,
                "LastStatusChange": changed,
                "OutsideIpAddress": outside,
                "Status": status,
                "StatusMessage": message,
            }
        )
    connection.vgw_telemetry = fresh


def known_prefixes(backend: Any, gateway_id: str) -> list[str]:
    """What a virtual private gateway knows through its VPN connections: static routes, or what BGP has brought."""
    found: list[str] = []
    for connection in _dressed(backend):
        if connection.vpn_gateway_id != gateway_id or connection.state != "available":
            continue
        for prefix in prefixes_of(connection):
            if prefix not in found:
                found.append(prefix)
    return found


def prefixes_of(connection: Any) -> list[str]:
    """Prefixes that lie behind one connection, as AWS knows them."""
    if connection.options["StaticRoutesOnly"]:
        return [route["DestinationCidrBlock"] for route in connection.routes if route["State"] == "available"]
    up = any(entry["Status"] == "UP" for entry in connection.vgw_telemetry)
    return list(connection.learned) if up else []


def _dressed(backend: Any) -> list[Any]:
    return [connection for connection in backend.vpn_connections.values() if connection.options]


def _connection(response: Any) -> Any:
    identifier = response._get_param("VpnConnectionId")
    connection = response.ec2_backend.vpn_connections.get(identifier)
    if connection is None or connection.state == "deleted":
        raise InvalidVpnConnectionIdError(identifier)
    return connection


def create_vpn_connection_route(self: Any) -> EmptyResult:
    """EC2 action CreateVpnConnectionRoute."""
    connection = _connection(self)
    add_static_route(connection, self._get_param("DestinationCidrBlock"))
    return EmptyResult()


def add_static_route(connection: Any, prefix: str) -> None:
    """Let a static connection know a prefix. Raises EC2's error on a dynamic one."""
    if not connection.options["StaticRoutesOnly"]:
        raise EC2ClientError(
            "InvalidVpnConnection.InvalidType",
            f"Static routes are not supported on the VPN connection '{connection.id}', which uses dynamic routing.",
        )
    cidr = canonical(prefix)
    if all(route["DestinationCidrBlock"] != cidr for route in connection.routes):
        connection.routes.append({"DestinationCidrBlock": cidr, "Source": "Static", "State": "available"})


def delete_vpn_connection_route(self: Any) -> EmptyResult:
    """EC2 action DeleteVpnConnectionRoute."""
    connection = _connection(self)
    cidr = canonical(self._get_param("DestinationCidrBlock"))
    if all(route["DestinationCidrBlock"] != cidr for route in connection.routes):
        raise EC2ClientError("InvalidRoute.NotFound", f"The specified route {cidr} does not exist")
    connection.routes = [route for route in connection.routes if route["DestinationCidrBlock"] != cidr]
    return EmptyResult()


def modify_vpn_connection_options(self: Any) -> ActionResult:
    """EC2 action ModifyVpnConnectionOptions: the traffic selectors."""
    connection = _connection(self)
    for name in ("LocalIpv4NetworkCidr", "RemoteIpv4NetworkCidr"):
        value = self._get_param(name)
        if value:
            connection.options[name] = canonical(value)
    return ActionResult({"VpnConnection": connection})
