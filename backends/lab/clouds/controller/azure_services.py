"""Services on AKS: front ends of the cluster's two load balancers, with floating addresses, probes and public rules."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any, Final

from backends.lab.clouds.azure.rendering import configurations, interfaces
from backends.lab.clouds.azure.subscription import AzureSubscription
from backends.lab.clouds.controller.lifecycle import CannotBalance, Made, annotation
from backends.lab.cluster import LabCluster
from backends.lab.objects import Object
from backends.lab.topology.versions import minor_of

_PREFIX: Final = "service.beta.kubernetes.io/azure-load-balancer-"
_PUBLIC_BLOCK: Final = int(ipaddress.IPv4Address("20.210.0.0"))


@dataclass(slots=True)
class Notes:
    """What belongs to one Service: its front end (name), balancer, public address, rules of the NIC's group."""

    front: str
    balancer: str
    address: str
    public: str = ""
    rules: list[str] = field(default_factory=list)


class AzureServices:
    """The Azure cloud provider of an AKS cluster."""

    def __init__(self, cluster: LabCluster) -> None:
        self.delay = 12.0
        self._cluster = cluster
        self._azure: AzureSubscription = cluster.world.clouds.azure
        group = f"/subscriptions/{self._azure.id}/resourceGroups/{cluster.facts['node_group']}"
        self._base = f"{group}/providers/Microsoft.Network"

    @property
    def component(self) -> str:
        """The event source."""
        return "service-controller"

    @property
    def finalizer(self) -> str:
        """What holds a Service until its front end is gone."""
        return "service.kubernetes.io/load-balancer-cleanup"

    def wants(self, service: Object) -> bool:
        """Type LoadBalancer without a class."""
        spec = service["spec"]
        return spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") is None

    def shape(self, service: Object) -> object:
        """Private or public, and where."""
        names = ("internal", "internal-subnet", "ipv4")
        return (*(annotation(service, _PREFIX + name) for name in names), service["spec"].get("loadBalancerIP"))

    def make(self, service: Object, nodes: list[Object]) -> Made:
        """A private front end in the nodes' subnet where the annotation says so, else a public one."""
        front = _front_name(service)
        internal = annotation(service, _PREFIX + "internal") == "true"
        notes = self._private(service, front) if internal else self._public(service, front)
        self._rules(notes, service)
        ingress: dict[str, Any] = {"ip": notes.address}
        if minor_of(self._cluster.version) >= 30:
            ingress["ipMode"] = "VIP"
        return Made([ingress], 0.0, notes)

    def activate(self, made: Made) -> None:
        """A front end works as soon as it is there."""

    def change(self, made: Made, service: Object, nodes: list[Object]) -> None:
        """Ports anew."""
        self._rules(made.notes, service)

    def remove(self, made: Made) -> None:
        """The front end, its rules and probes; an internal balancer without front ends goes too."""
        notes: Notes = made.notes
        document = self._azure.get(notes.balancer)
        if document is not None:
            properties = document["properties"]
            _drop(properties, notes.front)
            if not properties["frontendIPConfigurations"] and notes.balancer.endswith("-internal"):
                self._azure.remove(notes.balancer)
        if notes.public:
            self._azure.remove(notes.public)
        for rule in notes.rules:
            self._azure.remove(rule)
        self._azure.changes.bump()

    # -- front ends ----------------------------------------------------------------------------------------------

    def _private(self, service: Object, front: str) -> Notes:
        balancer = f"{self._base}/loadBalancers/kubernetes-internal"
        if self._azure.get(balancer) is None:
            self._azure.put(
                balancer,
                {
                    "location": self._cluster.region,
                    "sku": {"name": "Standard"},
                    "properties": {
                        "frontendIPConfigurations": [],
                        "backendAddressPools": [{"name": "kubernetes", "properties": {}}],
                        "loadBalancingRules": [],
                        "probes": [],
                    },
                },
            )
        subnet = self._subnet(service)
        address = self._private_address(service, subnet)
        self._azure.put_child(
            f"{balancer}/frontendIPConfigurations/{front}",
            {
                "properties": {
                    "privateIPAddress": address,
                    "privateIPAllocationMethod": "Dynamic",
                    "privateIPAddressVersion": "IPv4",
                    "subnet": {"id": subnet["id"]},
                }
            },
        )
        return Notes(front, balancer, address)

    def _subnet(self, service: Object) -> dict[str, Any]:
        wanted = annotation(service, _PREFIX + "internal-subnet")
        identifier = self._cluster.facts["subnet_id"]
        if wanted:
            identifier = f"{self._cluster.facts['vnet_id']}/subnets/{wanted}"
        found = self._azure.get(identifier)
        if found is None:
            raise CannotBalance(
                "SyncLoadBalancerFailed",
                "Error syncing load balancer: failed to ensure load balancer: ensure(): lb(kubernetes-internal) - "
                f"failed to get subnet: {self._cluster.facts['vnet_id'].rpartition('/')[2]}/{wanted}",
            )
        return found

    def _private_address(self, service: Object, subnet: dict[str, Any]) -> str:
        network = ipaddress.IPv4Network(subnet["properties"]["addressPrefix"])
        taken = self._taken()
        wanted = annotation(service, _PREFIX + "ipv4") or service["spec"].get("loadBalancerIP")
        if wanted:
            if wanted in taken or ipaddress.IPv4Address(wanted) not in network:
                raise CannotBalance(
                    "SyncLoadBalancerFailed",
                    'Error syncing load balancer: failed to ensure load balancer: Code="PrivateIPAddressIsAllocated" '
                    f'Message="IP configuration is using the private IP address {wanted} which is already allocated '
                    'or outside the subnet."',
                )
            return str(wanted)
        for host in range(4, network.num_addresses - 1):
            address = str(network[host])
            if address not in taken:
                return address
        raise CannotBalance("SyncLoadBalancerFailed", "Error syncing load balancer: the subnet is full")

    def _taken(self) -> set[str]:
        found = {
            str(configuration["properties"].get("privateIPAddress"))
            for nic in interfaces(self._azure)
            for configuration in configurations(nic)
        }
        for document in self._azure.of_type("microsoft.network/loadbalancers"):
            for front in document["properties"].get("frontendIPConfigurations", []):
                found.add(str(front["properties"].get("privateIPAddress")))
        return found

    def _public(self, service: Object, front: str) -> Notes:
        digest = hashlib.sha256(f"{self._cluster.name}/{front}".encode()).digest()
        address = str(ipaddress.IPv4Address(_PUBLIC_BLOCK + int.from_bytes(digest[:2], "big")))
        public = f"{self._base}/publicIPAddresses/kubernetes-{front}"
        self._azure.put(
            public,
            {
                "location": self._cluster.region,
                "sku": {"name": "Standard"},
                "tags": {"k8s-azure-service": f"{service['metadata']['namespace']}/{service['metadata']['name']}"},
                "properties": {
                    "ipAddress": address,
                    "publicIPAllocationMethod": "Static",
                    "publicIPAddressVersion": "IPv4",
                },
            },
        )
        balancer = f"{self._base}/loadBalancers/kubernetes"
        self._azure.put_child(
            f"{balancer}/frontendIPConfigurations/{front}", {"properties": {"publicIPAddress": {"id": public}}}
        )
        return Notes(front, balancer, address, public)

    # -- rules ---------------------------------------------------------------------------------------------------

    def _rules(self, notes: Notes, service: Object) -> None:
        properties = self._azure.need(notes.balancer)["properties"]
        front = f"{notes.balancer}/frontendIPConfigurations/{notes.front}"
        _drop(properties, notes.front, fronts=False)
        for port in service["spec"].get("ports") or ():
            protocol = str(port.get("protocol", "TCP")).capitalize() if port.get("protocol") != "UDP" else "Udp"
            name = f"{notes.front}-{protocol.upper()}-{port['port']}"
            self._azure.put_child(
                f"{notes.balancer}/probes/{name}",
                {
                    "properties": {
                        "protocol": "Tcp",
                        "port": port["nodePort"],
                        "intervalInSeconds": 5,
                        "numberOfProbes": 2,
                    }
                },
            )
            self._azure.put_child(
                f"{notes.balancer}/loadBalancingRules/{name}",
                {
                    "properties": {
                        "frontendIPConfiguration": {"id": front},
                        "backendAddressPool": {"id": f"{notes.balancer}/backendAddressPools/kubernetes"},
                        "probe": {"id": f"{notes.balancer}/probes/{name}"},
                        "protocol": protocol,
                        "frontendPort": port["port"],
                        "backendPort": port["port"],
                        "enableFloatingIP": True,
                        "enableTcpReset": True,
                        "disableOutboundSnat": True,
                        "idleTimeoutInMinutes": 4,
                        "loadDistribution": "Default",
                    }
                },
            )
        for rule in notes.rules:
            self._azure.remove(rule)
        notes.rules = self._open(notes, service) if notes.public else []

    def _open(self, notes: Notes, service: Object) -> list[str]:
        """Let the internet (or the given sources) in at the group of the NICs, as the provider does from 500 upward."""
        group = self._cluster.facts["nic_nsg"]
        made = []
        for port in service["spec"].get("ports") or ():
            used = {rule["properties"]["priority"] for rule in self._azure.need(group)["properties"]["securityRules"]}
            priority = next(number for number in range(500, 4097) if number not in used)
            identifier = f"{group}/securityRules/{notes.front}-TCP-{port['port']}-Internet"
            given = list(service["spec"].get("loadBalancerSourceRanges") or ())
            self._azure.put_child(
                identifier,
                {
                    "properties": {
                        "protocol": str(port.get("protocol", "TCP")).capitalize(),
                        "sourcePortRange": "*",
                        "destinationPortRange": str(port["port"]),
                        "sourcePortRanges": [],
                        "destinationPortRanges": [],
                        "destinationAddressPrefixes": [],
                        "destinationAddressPrefix": notes.address,
                        "sourceAddressPrefixes": given,
                        **({} if given else {"sourceAddressPrefix": "Internet"}),
                        "access": "Allow",
                        "direction": "Inbound",
                        "priority": priority,
                    }
                },
            )
            made.append(identifier)
        return made


def _front_name(service: Object) -> str:
    """``a`` and the Service's uid without dashes, cut to 32 letters."""
    return f"a{service['metadata']['uid']}".replace("-", "")[:32]


def _drop(properties: dict[str, Any], front: str, *, fronts: bool = True) -> None:
    lists = ["loadBalancingRules", "probes", *(["frontendIPConfigurations"] if fronts else [])]
    for name in lists:
        properties[name] = [row for row in properties.get(name, []) if not row["name"].startswith(front)]
