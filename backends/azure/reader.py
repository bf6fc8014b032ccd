"""An AKS cluster's subscription, VNet, NSGs, gateway and load balancers, read through azure-mgmt (cloud-network
§1.3, §3).
"""

import time
from functools import partial
from typing import Any

from backends.azure import ids
from backends.azure.balancers import find_balancer
from backends.azure.gateways import connections, known_prefixes
from backends.azure.paths import prefixes_of, read_network
from backends.azure.rules import rules_from
from backends.azure.session import LOGIN, AzureSession
from backends.azure.tables import VnetTables
from backends.parts import Part, attempt
from mesh.facts import Reason
from mesh.model.cilium import MeshApiServer
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import Node
from mesh.model.network import CloudIdentity, CloudNetwork, Firewall, FirewallGroup, LoadBalancer, VpnConnection
from mesh.model.site import CloudPaths, NodePlace
from mesh.reading import Cached, NotRead
from mesh.text import clean

_WIRE_SERVER = "168.63.129.16/32"


class AzureReader:
    """Fetches each list once and joins in memory. Effective rules exist for standalone NICs only, so they are
    computed.
    """

    def __init__(self, ref: ContextRef, nodes: tuple[Node, ...], cached: Cached) -> None:
        self.ref = ref
        self.nodes = nodes
        ids_of_nodes = [node.provider_id for node in nodes if node.provider_id.startswith("azure://")]
        self.subscription = ids.subscription(ids_of_nodes[0]) if ids_of_nodes else ref.account
        self.node_group = ids.group(ids_of_nodes[0]) if ids_of_nodes else ""
        self.session = AzureSession(self.subscription, ref.exec_argv)
        self._cached = cached

    def _cluster(self) -> dict[str, Any]:
        """The managed cluster whose node resource group or address matches: names prove nothing (§1.3)."""

        def read() -> dict[str, Any]:
            if not self.subscription:
                raise NotRead(Reason.INVALID, "neither the nodes nor the context name a subscription", LOGIN)
            rows = self.session.pages(
                "Microsoft.ContainerService/managedClusters/read",
                lambda: self.session.clusters().managed_clusters.list(),
            )
            for row in rows:
                properties = row.get("properties", {})
                if self.node_group and str(properties.get("nodeResourceGroup", "")).lower() == self.node_group.lower():
                    return row
                addresses = [str(properties.get(key, "")) for key in ("fqdn", "privateFQDN") if properties.get(key)]
                if any(address.lower() in self.ref.server.lower() for address in addresses):
                    return row
            raise NotRead(
                Reason.INVALID,
                f"no AKS cluster of subscription {self.subscription} has node resource group {self.node_group or '?'}",
                f"{LOGIN} with an account that can read it",
            )

        return self._cached("cluster", read)

    def identity(self) -> CloudIdentity:
        """The cluster as ARM knows it."""
        row = self._cluster()
        properties = row.get("properties", {})
        network = properties.get("networkProfile", {})
        proxy = network.get("kubeProxyConfig") or {}
        return CloudIdentity(
            provider=Provider.AKS,
            account=self.subscription,
            region=str(row.get("location", "")),
            name=clean(str(row.get("name", ""))),
            resource_group=ids.group(str(row.get("id", ""))),
            node_resource_group=str(properties.get("nodeResourceGroup", "")),
            network_plugin=str(network.get("networkPlugin", "")),
            resource_id=str(row.get("id", "")),
            endpoint=clean(str(properties.get("fqdn") or properties.get("privateFQDN") or "")),
            kube_proxy_enabled=proxy.get("enabled"),
            version=str(properties.get("currentKubernetesVersion") or properties.get("kubernetesVersion") or ""),
            proven=True,
        )

    def _interfaces(self) -> dict[str, dict[str, Any]]:
        """The NIC of each node, by node name: of its scale set, or a standalone one."""

        def read() -> dict[str, dict[str, Any]]:
            sets = {
                p["virtualmachinescalesets"]
                for node in self.nodes
                if "virtualmachinescalesets" in (p := _provider(node))
            }
            operations = self.session.network().network_interfaces
            found: list[dict[str, Any]] = []
            for name in sorted(sets):
                found += self.session.pages(
                    "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read",
                    partial(operations.list_virtual_machine_scale_set_network_interfaces, self.node_group, name),
                )
            if any("virtualmachinescalesets" not in _provider(node) for node in self.nodes):
                found += self.session.pages(
                    "Microsoft.Network/networkInterfaces/read", lambda: operations.list(self.node_group)
                )
            by_address = {
                configuration.get("properties", {}).get("privateIPAddress"): nic
                for nic in found
                for configuration in nic.get("properties", {}).get("ipConfigurations", [])
            }
            return {
                node.name: by_address[node.internal_ips[0]]
                for node in self.nodes
                if node.internal_ips and node.internal_ips[0] in by_address
            }

        return self._cached("interfaces", read)

    def _subnet_of(self, nic: dict[str, Any]) -> str:
        for configuration in nic.get("properties", {}).get("ipConfigurations", []):
            subnet = configuration.get("properties", {}).get("subnet", {}).get("id")
            if subnet:
                return str(subnet)
        return ""

    def _vnet(self) -> dict[str, Any]:
        """The VNet of the nodes' subnets; often in a resource group of its own."""

        def read() -> dict[str, Any]:
            subnets = self._node_subnets()
            found = {subnet.lower().partition("/subnets/")[0]: subnet for subnet in subnets}
            if len(found) != 1:
                raise NotRead(Reason.INVALID, f"the nodes are in {len(found)} virtual networks; one was expected")
            subnet = next(iter(found.values()))
            name = ids.parts(subnet)["virtualnetworks"]
            return self.session.call(
                "Microsoft.Network/virtualNetworks/read",
                lambda: self.session.network().virtual_networks.get(ids.group(subnet), name),
            )

        return self._cached("vnet", read)

    def _node_subnets(self) -> set[str]:
        """Ids of the subnets of the nodes' NICs; where these cannot be read, of the cluster's agent pools."""
        try:
            return {self._subnet_of(nic) for nic in self._interfaces().values()} - {""}
        except NotRead:
            pools = self._cluster().get("properties", {}).get("agentPoolProfiles") or []
            found = {str(pool.get("vnetSubnetID") or "") for pool in pools} - {""}
            if not found:
                raise
            return found

    def network(self) -> CloudNetwork:
        """VNet prefixes, the nodes' subnets, the Service range, and prefixes of connected peers."""
        vnet = self._vnet()
        used = {self._subnet_of(nic).lower() for nic in self._interfaces().values()}
        subnets = [row for row in vnet["properties"].get("subnets", []) if str(row.get("id", "")).lower() in used]
        service = self._cluster().get("properties", {}).get("networkProfile", {})
        return CloudNetwork(
            id=str(vnet.get("id", "")),
            prefixes=tuple(vnet["properties"].get("addressSpace", {}).get("addressPrefixes", [])),
            node_subnets=tuple(sorted({prefix for row in subnets for prefix in prefixes_of(row)})),
            service_cidrs=tuple(service.get("serviceCidrs") or filter(None, [service.get("serviceCidr")])),
            peer_prefixes=_peered(vnet),
        )

    def firewall(self) -> Firewall:
        """NSGs of the nodes' subnets and NICs; both must let a packet in, and no NSG at all lets everything in
        (§3.4).
        """
        nics = self._interfaces()
        subnets = {str(row.get("id", "")).lower(): row for row in self._vnet()["properties"].get("subnets", [])}
        covered: dict[tuple[str, str], list[str]] = {}
        for node, nic in nics.items():
            own = nic.get("properties", {}).get("networkSecurityGroup", {}).get("id", "")
            subnet = subnets.get(self._subnet_of(nic).lower(), {})
            on_subnet = subnet.get("properties", {}).get("networkSecurityGroup", {}).get("id", "")
            for kind, resource in (("nsg-subnet", on_subnet), ("nsg-nic", own)):
                if resource:
                    covered.setdefault((kind, resource.lower()), []).append(node)
        guarded = {node for nodes in covered.values() for node in nodes}
        return Firewall(
            groups=tuple(self._group(kind, resource, nodes) for (kind, resource), nodes in sorted(covered.items())),
            unguarded=tuple(sorted(set(nics) - guarded)),
            unread=tuple(node.name for node in self.nodes if node.name not in nics),
        )

    def _group(self, kind: str, resource: str, nodes: list[str]) -> FirewallGroup:
        group, name = ids.group(resource), ids.name(resource)
        nsg = self.session.call(
            "Microsoft.Network/networkSecurityGroups/read",
            lambda: self.session.network().network_security_groups.get(group, name),
        )
        tags = {key.lower(): str(value) for key, value in (nsg.get("tags") or {}).items()}
        owner = "AKS" if group.lower() == self.node_group.lower() else _owner(tags)
        return FirewallGroup(
            id=clean(str(nsg.get("name", name))),
            name=clean(str(nsg.get("name", name))),
            kind=kind,
            nodes=tuple(sorted(nodes)),
            rules=rules_from(nsg),
            managed_by=owner,
            tag_prefixes=self._tags(),
            resource_id=str(nsg.get("id", resource)),
        )

    def _tags(self) -> dict[str, tuple[str, ...] | None]:
        """``VirtualNetwork`` as computed for these nodes; None where the gateway's routes could not be read (§3.4)."""

        def read() -> dict[str, tuple[str, ...] | None]:
            vnet = self._vnet()
            own = vnet["properties"].get("addressSpace", {}).get("addressPrefixes", [])
            try:
                remote = known_prefixes(self._tables())
            except NotRead:
                remote = None
            whole = (
                None
                if remote is None
                else tuple(sorted({*own, *_peered(vnet), *remote, *self._user_routes(), _WIRE_SERVER}))
            )
            return {"VirtualNetwork": whole, "AzureLoadBalancer": (_WIRE_SERVER,)}

        return self._cached("tags", read)

    def _user_routes(self) -> set[str]:
        prefixes: set[str] = set()
        used = {self._subnet_of(nic).lower() for nic in self._interfaces().values()}
        for row in self._vnet()["properties"].get("subnets", []):
            table = row.get("properties", {}).get("routeTable", {}).get("id")
            if table and str(row.get("id", "")).lower() in used:
                read = self._tables().route_tables().get(table.lower())
                if read is None:
                    right = "Microsoft.Network/routeTables/read"
                    raise NotRead(Reason.INVALID, f"{right}: not found: {table}", right=right)
                routes = read.get("properties", {}).get("routes", [])
                prefixes |= {
                    p for route in routes if (p := route.get("properties", {}).get("addressPrefix")) and p[:1].isdigit()
                }
        return prefixes - {"0.0.0.0/0"}

    def _tables(self) -> VnetTables:
        return VnetTables(self.session, self._cached, self._vnet())

    def vpn(self) -> tuple[VpnConnection, ...]:
        """Connections of the VNet's gateway, or of the gateway of the hub it uses."""
        return connections(self._tables())

    def paths(self, seconds: float) -> CloudPaths:
        """The nodes' places and the VNet around them; what cannot be read within ``seconds`` is ``Unread``."""
        began = time.monotonic()
        tables = self._tables()
        right = "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read"
        places = attempt(Part(right, "network_interfaces.list", self._places))
        return CloudPaths(
            str(tables.vnet["id"]), places, azure=read_network(tables, seconds - (time.monotonic() - began))
        )

    def _places(self) -> tuple[NodePlace, ...]:
        found = {name: self._subnet_of(nic) for name, nic in self._interfaces().items()}
        return tuple(sorted(NodePlace(node.name, node.internal_ips, found.get(node.name, "")) for node in self.nodes))

    def load_balancer(self, server: MeshApiServer) -> LoadBalancer | None:
        """The balancer whose front end has the Service's address."""
        return find_balancer(self.session, self.node_group, server)


def _provider(node: Node) -> dict[str, str]:
    return ids.parts(node.provider_id.removeprefix("azure://"))


def _peered(vnet: dict[str, Any]) -> tuple[str, ...]:
    """Address spaces of peers that are connected and allowed in."""
    prefixes: set[str] = set()
    for row in vnet["properties"].get("virtualNetworkPeerings", []):
        properties = row.get("properties", {})
        if properties.get("peeringState") == "Connected" and properties.get("allowVirtualNetworkAccess", True):
            prefixes |= set(properties.get("remoteAddressSpace", {}).get("addressPrefixes", []))
    return tuple(sorted(prefixes))


def _owner(tags: dict[str, str]) -> str:
    if any("terraform" in key or value.lower() in ("terraform", "opentofu") for key, value in tags.items()):
        return "Terraform"
    if any(key in ("bicep", "arm-template", "deployment") for key in tags):
        return "Bicep"
    return "Crossplane" if any("crossplane" in key for key in tags) else ""
