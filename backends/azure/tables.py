"""Lists of ARM that a VNet's paths are joined from: each asked for once in a reading (cloud-network §3.3)."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from backends.azure import ids
from backends.azure.session import AzureSession
from mesh.facts import Reason
from mesh.model.vnet import AZURE_RIGHTS
from mesh.reading import Cached, NotRead

Row = dict[str, Any]
_NETWORK: Final = "Microsoft.Network"
_PEERS: Final = 4
_KEYS: Final = ("sharedKey", "authorizationKey")
_LEARNED_SECONDS: Final = 40.0
_PAGES: Final = 100


class VnetTables:
    """Rows in REST form around one VNet. Every method raises ``NotRead``, remembered like the rows themselves."""

    def __init__(self, session: AzureSession, cached: Cached, vnet: Row) -> None:
        self.session = session
        self.vnet = vnet
        self._cached = cached

    def _in_groups(self, kind: str, operations: str, of: Iterable[str]) -> list[Row]:
        """All resources of a kind in the resource groups of these ids: there is no list over a subscription."""
        places = {(ids.subscription(one).lower(), ids.group(one).lower()): one for one in of}
        found: list[Row] = []
        for key, one in sorted(places.items()):
            client = self.session.network(ids.subscription(one))
            ask = partial(getattr(client, operations).list, ids.group(one))
            right = f"{_NETWORK}/{kind}/read"
            found += self._cached(
                f"{operations} {key}",
                lambda right=right, ask=ask: [_without_keys(row) for row in self.session.pages(right, ask)],  # type: ignore[misc]  # defaults bind
            )
        return found

    def hubs(self) -> list[Row]:
        """VNets whose gateway this one uses; where it uses none, peers that may have one. Those unreadable are left
        out.
        """
        peerings = [row.get("properties") or {} for row in items(self.vnet, "virtualNetworkPeerings")]
        using = [row for row in peerings if row.get("useRemoteGateways")] or peerings[:_PEERS]
        found = []
        for row in using:
            remote = reference(row, "remoteVirtualNetwork")
            try:
                found.append(self._cached(f"vnet {remote.lower()}", partial(self._get_vnet, remote)))
            except NotRead:
                continue
        return found

    def _get_vnet(self, identifier: str) -> Row:
        client = self.session.network(ids.subscription(identifier))
        return self.session.call(
            f"{_NETWORK}/virtualNetworks/read",
            partial(client.virtual_networks.get, ids.group(identifier), ids.name(identifier)),
        )

    def homes(self) -> list[str]:
        """Ids of the VNets whose gateway may serve this one; a hub that cannot be read is still asked for its own."""
        using = [
            reference(row.get("properties") or {}, "remoteVirtualNetwork")
            for row in items(self.vnet, "virtualNetworkPeerings")
            if (row.get("properties") or {}).get("useRemoteGateways")
        ]
        return [str(self.vnet["id"]), *filter(None, using)]

    def gateways(self, homes: Iterable[str] = ()) -> list[Row]:
        """Virtual network gateways in these VNets, else in those that serve this one."""
        wanted = [home.lower() for home in homes or self.homes()]
        rows = self._in_groups("virtualNetworkGateways", "virtual_network_gateways", homes or self.homes())
        return [row for row in rows if gateway_vnet(row).lower() in wanted]

    def connections(self) -> list[Row]:
        """Connections of those gateways, each read by itself: a list does not tell the status."""
        mine = {str(row["id"]).lower(): str(row["id"]) for row in self.gateways()}
        listed = self._in_groups("connections", "virtual_network_gateway_connections", mine.values())
        return [
            self._cached(f"connection {str(row['id']).lower()}", partial(self._connection, str(row["id"])))
            for row in listed
            if reference(row.get("properties") or {}, "virtualNetworkGateway1").lower() in mine
        ]

    def _connection(self, identifier: str) -> Row:
        client = self.session.network(ids.subscription(identifier))
        return _without_keys(
            self.session.call(
                f"{_NETWORK}/connections/read",
                partial(client.virtual_network_gateway_connections.get, ids.group(identifier), ids.name(identifier)),
            )
        )

    def local_gateways(self) -> dict[str, Row]:
        """Local network gateways that the connections name, by lower-case id."""
        named = [reference(row.get("properties") or {}, "localNetworkGateway2") for row in self.connections()]
        return self._named("localNetworkGateways", "local_network_gateways", named)

    def addresses(self) -> dict[str, Row]:
        """Public addresses of the gateways, by lower-case id."""
        named = [
            reference(item.get("properties") or {}, "publicIPAddress")
            for row in self.gateways()
            for item in items(row, "ipConfigurations")
        ]
        return self._named("publicIPAddresses", "public_ip_addresses", named)

    def route_tables(self) -> dict[str, Row]:
        """Route tables on any subnet of the VNet and of its hubs, by lower-case id."""
        subnets = [row for vnet in (self.vnet, *self.hubs()) for row in items(vnet, "subnets")]
        named = [reference(row.get("properties") or {}, "routeTable") for row in subnets]
        return self._named("routeTables", "route_tables", named)

    def _named(self, kind: str, operations: str, named: Iterable[str]) -> dict[str, Row]:
        wanted = {one.lower(): one for one in named if one}
        rows = self._in_groups(kind, operations, wanted.values())
        return {key: row for row in rows if (key := str(row["id"]).lower()) in wanted}

    def learned(self, gateway: Row) -> list[Row]:
        """What a gateway has learned: a long-running operation, and a right that Reader does not have."""
        identifier = str(gateway["id"])
        client = self.session.network(ids.subscription(identifier))
        begin = partial(
            client.virtual_network_gateways.begin_get_learned_routes, ids.group(identifier), ids.name(identifier)
        )
        action = f"{_NETWORK}/virtualNetworkGateways/getLearnedRoutes/action"
        answer: Row = self._cached(
            f"learned {identifier.lower()}", lambda: self.session.operation(action, begin, _LEARNED_SECONDS)
        )
        return list(answer.get("value") or [])

    def admin_rules(self) -> list[Row]:
        """Security admin rules that a Virtual Network Manager puts on the VNet, page by page by POST."""
        identifier, found, token = str(self.vnet["id"]), list[Row](), ""
        client = self.session.network(ids.subscription(identifier))
        right = AZURE_RIGHTS["admin_rules"]
        for _ in range(_PAGES):
            ask = partial(
                client.list_network_manager_effective_security_admin_rules,
                ids.group(identifier),
                ids.name(identifier),
                {"skipToken": token} if token else {},
            )
            answer = self.session.call(right, ask)
            found += answer.get("value") or []
            token = str(answer.get("skipToken") or "")
            if not token:
                return found
        raise NotRead(Reason.INVALID, f"more than {_PAGES} pages of security admin rules", right=right)

    def service_tags(self, location: str) -> dict[str, tuple[str, ...]]:
        """Prefixes of all service tags of a region: a large answer."""

        def read() -> dict[str, tuple[str, ...]]:
            client = self.session.network()
            right = f"{_NETWORK}/locations/serviceTags/read"
            answer = self.session.call(right, partial(client.service_tags.list, location))
            return {
                str(row["name"]): tuple(map(str, (row.get("properties") or {}).get("addressPrefixes") or []))
                for row in answer.get("values") or []
            }

        return self._cached(f"service tags {location}", read)


def _without_keys(row: Row) -> Row:
    """A connection without the keys that an answer may carry; any other row as it is."""
    kept = {key: value for key, value in (row.get("properties") or {}).items() if key not in _KEYS}
    return row | {"properties": kept}


def items(row: Row, field: str) -> list[Row]:
    """The children in ``properties.FIELD``."""
    return list((row.get("properties") or {}).get(field) or [])


def reference(properties: Row, field: str) -> str:
    """The id that ``FIELD.id`` refers to, or ""."""
    return str((properties.get(field) or {}).get("id") or "")


def gateway_vnet(row: Row) -> str:
    """The VNet whose GatewaySubnet a gateway is in."""
    for item in items(row, "ipConfigurations"):
        subnet = reference(item.get("properties") or {}, "subnet")
        if subnet:
            return subnet[: subnet.lower().find("/subnets/")]
    return ""
