"""Virtual network gateways and their connections: state, and which prefixes they know (cloud-network §3.3, §4.9)."""

from functools import partial
from typing import Any

from backends.azure import ids
from backends.azure.session import AzureSession
from mesh.model.network import VpnConnection
from mesh.reading import NotRead
from mesh.text import clean


class Gateways:
    """The VPN gateway of a VNet or, when it uses a peer's gateway, of that hub."""

    def __init__(self, session: AzureSession, vnet: dict[str, Any]) -> None:
        self.session = session
        self.homes = [str(vnet.get("id", ""))] + [
            str(row["properties"].get("remoteVirtualNetwork", {}).get("id", ""))
            for row in vnet["properties"].get("virtualNetworkPeerings", [])
            if row.get("properties", {}).get("useRemoteGateways")
        ]
        self._rows: list[tuple[dict[str, Any], dict[str, Any]]] | None = None

    def _all(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(gateway, connection) pairs. There is no list over a subscription: the groups of the VNets are asked."""
        if self._rows is None:
            rows = []
            client = self.session.network()
            for group in sorted({ids.group(home) for home in self.homes if home}, key=str.lower):
                gateways = self.session.pages(
                    "Microsoft.Network/virtualNetworkGateways/read",
                    partial(client.virtual_network_gateways.list, group),
                )
                mine = [gateway for gateway in gateways if self._is_home(gateway)]
                if not mine:
                    continue
                listed = self.session.pages(
                    "Microsoft.Network/connections/read",
                    partial(client.virtual_network_gateway_connections.list, group),
                )
                for row in listed:
                    gateway = next((g for g in mine if ids.same(str(g["id"]), _gateway_of(row))), None)
                    if gateway:
                        # The status is reliable only from a single get (§3.3).
                        whole = self.session.call(
                            "Microsoft.Network/connections/read",
                            partial(client.virtual_network_gateway_connections.get, group, row["name"]),
                        )
                        rows.append((gateway, whole))
            self._rows = rows
        return self._rows

    def _is_home(self, gateway: dict[str, Any]) -> bool:
        subnets = [
            str(c.get("properties", {}).get("subnet", {}).get("id", "")).lower()
            for c in gateway.get("properties", {}).get("ipConfigurations", [])
        ]
        return any(subnet.startswith(home.lower() + "/subnets/") for subnet in subnets for home in self.homes if home)

    def connections(self) -> tuple[VpnConnection, ...]:
        """Every connection with its state. Shared keys that an answer may carry are not taken over."""
        made = []
        for _, row in self._all():
            properties = row.get("properties", {})
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
                    static_prefixes=self._local_prefixes(row),
                    detail=str(properties.get("connectionType", "")),
                )
            )
        return tuple(sorted(made))

    def _local_prefixes(self, row: dict[str, Any]) -> tuple[str, ...]:
        local = row.get("properties", {}).get("localNetworkGateway2", {}).get("id", "")
        if not local:
            return ()
        found = self.session.call(
            "Microsoft.Network/localNetworkGateways/read",
            lambda: self.session.network().local_network_gateways.get(ids.group(local), ids.name(local)),
        )
        return tuple(found.get("properties", {}).get("localNetworkAddressSpace", {}).get("addressPrefixes", []))

    def prefixes(self) -> set[str] | None:
        """Remote prefixes that the gateway knows; None when a BGP connection's learned routes cannot be read."""
        known: set[str] = set()
        for gateway, row in self._all():
            known |= set(self._local_prefixes(row))
            if row.get("properties", {}).get("enableBgp"):
                learned = self._learned(gateway)
                if learned is None:
                    return None
                known |= learned
        return known

    def _learned(self, gateway: dict[str, Any]) -> set[str] | None:
        operations = self.session.network().virtual_network_gateways
        try:
            answer = self.session.call(
                "Microsoft.Network/virtualNetworkGateways/getLearnedRoutes/action",
                lambda: operations.begin_get_learned_routes(ids.group(str(gateway["id"])), gateway["name"]).result(60),
            )
        except NotRead:
            return None
        return {
            str(row["network"])
            for row in answer.get("value", [])
            if row.get("origin") != "Network" and row.get("network")
        }


def _gateway_of(row: dict[str, Any]) -> str:
    return str(row.get("properties", {}).get("virtualNetworkGateway1", {}).get("id", ""))
