"""Virtual network gateways and their connections: state, and which prefixes they know (cloud-network §3.3, §4.9)."""

from typing import Any

from backends.azure.tables import Row, VnetTables, reference
from mesh.model.network import VpnConnection
from mesh.reading import NotRead
from mesh.text import clean


def connections(tables: VnetTables) -> tuple[VpnConnection, ...]:
    """Every connection with its state. Shared keys that an answer may carry are not taken over."""
    made = []
    for row in tables.connections():
        properties: dict[str, Any] = row.get("properties") or {}
        status = str(properties.get("connectionStatus", "Unknown"))
        tunnels = properties.get("tunnelConnectionStatus") or []
        up = (
            sum(item.get("connectionStatus") == "Connected" for item in tunnels)
            if tunnels
            else int(status == "Connected")
        )
        made.append(
            VpnConnection(
                id=clean(str(row.get("name", ""))),
                state=status,
                tunnels_up=up,
                tunnels=len(tunnels) or 1,
                static_prefixes=_local_prefixes(row, tables),
                detail=str(properties.get("connectionType", "")),
            )
        )
    return tuple(sorted(made))


def known_prefixes(tables: VnetTables) -> set[str] | None:
    """Remote prefixes that the gateways know; None when a BGP connection's learned routes cannot be read."""
    known: set[str] = set()
    gateways = {str(row["id"]).lower(): row for row in tables.gateways()}
    for row in tables.connections():
        known |= set(_local_prefixes(row, tables))
        properties = row.get("properties") or {}
        if properties.get("enableBgp"):
            try:
                learned = tables.learned(gateways[reference(properties, "virtualNetworkGateway1").lower()])
            except NotRead:
                return None
            known |= {
                str(item["network"]) for item in learned if item.get("origin") != "Network" and item.get("network")
            }
    return known


def _local_prefixes(row: Row, tables: VnetTables) -> tuple[str, ...]:
    local = reference(row.get("properties") or {}, "localNetworkGateway2")
    if not local:
        return ()
    found = tables.local_gateways().get(local.lower(), {})
    space = (found.get("properties") or {}).get("localNetworkAddressSpace") or {}
    return tuple(space.get("addressPrefixes") or [])
