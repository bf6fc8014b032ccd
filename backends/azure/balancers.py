"""The Azure load balancer behind a Service (cloud-network §4.6)."""

from typing import Any

from backends.azure import ids
from backends.azure.session import AzureSession
from mesh.model.cilium import MeshApiServer
from mesh.model.network import LoadBalancer


def find_balancer(session: AzureSession, node_group: str, server: MeshApiServer) -> LoadBalancer | None:
    """The balancer of the node resource group whose front end has one of the Service's addresses; None = none has
    (yet).
    """
    if not server.ingress_ips or not node_group:
        return None
    rows = session.pages(
        "Microsoft.Network/loadBalancers/read", lambda: session.network().load_balancers.list(node_group)
    )
    for row in rows:
        for front in row.get("properties", {}).get("frontendIPConfigurations", []):
            properties = front.get("properties", {})
            private = properties.get("privateIPAddress")
            if private in server.ingress_ips:
                return _balancer(row, True, server)
            public = properties.get("publicIPAddress", {}).get("id")
            if public and _public_address(session, public) in server.ingress_ips:
                return _balancer(row, False, server)
    return None


def _public_address(session: AzureSession, resource: str) -> str:
    found = session.call(
        "Microsoft.Network/publicIPAddresses/read",
        lambda: session.network().public_ip_addresses.get(ids.group(resource), ids.name(resource)),
    )
    return str(found.get("properties", {}).get("ipAddress", ""))


def _balancer(row: dict[str, Any], internal: bool, server: MeshApiServer) -> LoadBalancer:
    rules = row.get("properties", {}).get("loadBalancingRules", [])
    ports = [r.get("properties", {}) for r in rules]
    mine: dict[str, Any] = next((r for r in ports if r.get("frontendPort") == server.port), {})
    floating = bool(mine.get("enableFloatingIP"))
    return LoadBalancer(
        id=str(row.get("name", "")),
        internal=internal,
        addresses=server.ingress_ips,
        # With a floating address the node sees the Service's own port; else the back-end port (the node port).
        target_port=server.port if floating else int(mine.get("backendPort") or server.node_port),
        preserves_client_ip=True,
        kind="azure",
    )
