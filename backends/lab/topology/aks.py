"""An AKS cluster in a VNet of its own: network, groups, scale set, the managed cluster, and its Kubernetes objects."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.api.identity import Identity
from backends.lab.clouds.azure.rules import default_rules
from backends.lab.clouds.azure.subscription import AzureSubscription
from backends.lab.storage.resources import DAEMONSETS
from backends.lab.topology import system
from backends.lab.topology.addresses import vnet_subnets
from backends.lab.topology.nodes import Machine, add_node
from backends.lab.topology.versions import aks_version, minor_of
from backends.lab.world import LabCluster, World

_SIZE: Final = "Standard_D4s_v5"
_POOL: Final = "np1"
_FIRST_HOST: Final = 4  # Azure keeps the first four addresses of a subnet


@dataclass(frozen=True, slots=True)
class _Ids:
    group: str
    node_group: str
    vnet: str
    subnet: str
    nic_nsg: str
    scale_set: str
    cluster: str

    def facts(self) -> dict[str, str]:
        """The ids that others look up in the cluster's facts."""
        return {
            "vnet_id": self.vnet,
            "subnet_id": self.subnet,
            "nic_nsg": self.nic_nsg,
            "node_group": self.node_group,
            "cluster_id": self.cluster,
        }


def aks(
    world: World,
    name: str,
    *,
    region: str = "japaneast",
    version: str = "1.26",
    vnet: str = "10.224.0.0/12",
    nodes: int = 3,
    service_cidr: str = "10.201.0.0/16",
    pod_cidr: str = "10.200.0.0/16",
    kube_proxy: bool = True,
    network_plugin: str = "none",
    subnet_group: bool = True,
    cloud_name: str = "",
    identity: Identity | None = None,
) -> LabCluster:
    """A fresh AKS cluster named ``name`` without a CNI (``network_plugin`` none), its subnet under a customer's NSG.

    ``facts`` of the cluster: ``vnet_id``, ``subnet_id``, ``subnet_nsg`` ("" without), ``nic_nsg``, ``node_group``,
    ``cluster_id`` and ``managed_cluster`` (a function that gives ARM's document).
    """
    azure: AzureSubscription = world.clouds.azure
    node_subnet, gateway_subnet = vnet_subnets(vnet)
    label = cloud_name or name
    ids = _identifiers(azure, label, region)
    cluster = world.add_cluster(
        name,
        "aks",
        cloud_name=label,
        region=region,
        account=azure.id,
        resource_group=ids.group,
        version=aks_version(version),
        service_cidr=service_cidr,
        node_subnets=(node_subnet,),
        vnet_cidr=vnet,
        **ids.facts(),
    )
    azure.add_group(ids.group, region)
    azure.add_group(ids.node_group, region, managed_by=ids.cluster)
    _network(cluster, azure, ids, node_subnet, gateway_subnet, subnet_group=subnet_group)
    _managed_cluster(cluster, azure, ids, nodes, pod_cidr, network_plugin, kube_proxy=kube_proxy)
    _balancer(cluster, azure, ids)
    _workers(cluster, azure, ids, nodes, node_subnet, ready=network_plugin != "none")
    system.api_endpoints(cluster, [_public_address(cluster, "api")])
    if kube_proxy:
        system.kube_proxy(cluster)
    system.coredns(cluster)
    _login(world, cluster, identity)
    return cluster


def _identifiers(azure: AzureSubscription, name: str, region: str) -> _Ids:
    group = f"{name}-rg"
    node_group = f"MC_{group}_{name}_{region}"
    base = f"/subscriptions/{azure.id}/resourceGroups"
    own = f"{base}/{group}/providers"
    nodes = f"{base}/{node_group}/providers"
    vnet = f"{own}/Microsoft.Network/virtualNetworks/{name}-vnet"
    number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10**8
    return _Ids(
        group=group,
        node_group=node_group,
        vnet=vnet,
        subnet=f"{vnet}/subnets/aks-subnet",
        nic_nsg=f"{nodes}/Microsoft.Network/networkSecurityGroups/aks-agentpool-{number:08d}-nsg",
        scale_set=f"{nodes}/Microsoft.Compute/virtualMachineScaleSets/aks-{_POOL}-vmss",
        cluster=f"{own}/Microsoft.ContainerService/managedClusters/{name}",
    )


def _network(
    cluster: LabCluster, azure: AzureSubscription, ids: _Ids, nodes: str, gateways: str, *, subnet_group: bool
) -> None:
    subnet: dict[str, Any] = {"addressPrefix": nodes}
    cluster.facts["subnet_nsg"] = ""
    if subnet_group:
        identifier = ids.vnet.replace(
            f"virtualNetworks/{cluster.cloud_name}-vnet", "networkSecurityGroups/aks-agentpool-nsg"
        )
        _group(azure, identifier, cluster.region, [_ssh_from(nodes), _monitoring(nodes)])
        subnet["networkSecurityGroup"] = {"id": identifier}
        cluster.facts["subnet_nsg"] = identifier
    _group(azure, ids.nic_nsg, cluster.region, [])
    azure.put(
        ids.vnet,
        {
            "location": cluster.region,
            "properties": {
                "addressSpace": {"addressPrefixes": [cluster.facts["vnet_cidr"]]},
                "subnets": [
                    {"name": "aks-subnet", "properties": subnet},
                    {"name": "GatewaySubnet", "properties": {"addressPrefix": gateways}},
                ],
                "virtualNetworkPeerings": [],
                "enableDdosProtection": False,
            },
        },
    )


def _group(azure: AzureSubscription, identifier: str, region: str, rules: list[dict[str, Any]]) -> None:
    azure.put(
        identifier,
        {"location": region, "properties": {"securityRules": rules, "defaultSecurityRules": default_rules()}},
    )


def _ssh_from(nodes: str) -> dict[str, Any]:
    return _rule("allow-ssh-bastion", 200, "Tcp", "22", nodes)


def _monitoring(nodes: str) -> dict[str, Any]:
    return _rule("allow-node-exporter", 210, "Tcp", "9100", nodes)


def _rule(name: str, priority: int, protocol: str, port: str, addresses: str) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {
            "protocol": protocol,
            "sourcePortRange": "*",
            "destinationPortRange": port,
            "sourceAddressPrefix": addresses,
            "destinationAddressPrefix": addresses,
            "access": "Allow",
            "priority": priority,
            "direction": "Inbound",
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    }


def _managed_cluster(
    cluster: LabCluster,
    azure: AzureSubscription,
    ids: _Ids,
    nodes: int,
    pod_cidr: str,
    network_plugin: str,
    *,
    kube_proxy: bool,
) -> None:
    version = cluster.version.removeprefix("v")
    dns_prefix = f"{cluster.cloud_name}-dns"
    azure.put(
        ids.cluster,
        {
            "location": cluster.region,
            "sku": {"name": "Base", "tier": "Free"},
            "identity": {"type": "SystemAssigned", "principalId": azure.new_guid(), "tenantId": azure.tenant},
            "properties": {
                "powerState": {"code": "Running"},
                "kubernetesVersion": version,
                "currentKubernetesVersion": version,
                "dnsPrefix": dns_prefix,
                "fqdn": f"{dns_prefix}-{ids.nic_nsg[-12:-4]}.hcp.{cluster.region}.azmk8s.io",
                "nodeResourceGroup": ids.node_group,
                "enableRBAC": True,
                "networkProfile": _network_profile(cluster, pod_cidr, network_plugin, kube_proxy=kube_proxy),
                "agentPoolProfiles": [_pool(ids, nodes, version)],
                "aadProfile": {"managed": True, "enableAzureRBAC": False, "tenantID": azure.tenant},
                "apiServerAccessProfile": {"enablePrivateCluster": False},
            },
        },
    )
    cluster.facts["managed_cluster"] = lambda: azure.get(ids.cluster)
    azure.on_kube_proxy.append(lambda name, kept: _kube_proxy_wanted(cluster, name, kept))


def _network_profile(cluster: LabCluster, pod_cidr: str, network_plugin: str, *, kube_proxy: bool) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "networkPlugin": network_plugin,
        "podCidr": pod_cidr,
        "podCidrs": [pod_cidr],
        "serviceCidr": cluster.service_cidr,
        "serviceCidrs": [cluster.service_cidr],
        "dnsServiceIP": str(ipaddress.IPv4Network(cluster.service_cidr)[10]),
        "outboundType": "loadBalancer",
        "loadBalancerSku": "standard",
        "ipFamilies": ["IPv4"],
    }
    if not kube_proxy:
        profile["kubeProxyConfig"] = {"enabled": False}
    return profile


def _pool(ids: _Ids, nodes: int, version: str) -> dict[str, Any]:
    return {
        "name": _POOL,
        "count": nodes,
        "vmSize": _SIZE,
        "type": "VirtualMachineScaleSets",
        "mode": "System",
        "osType": "Linux",
        "osSKU": "Ubuntu",
        "vnetSubnetID": ids.subnet,
        "orchestratorVersion": version,
        "currentOrchestratorVersion": version,
        "provisioningState": "Succeeded",
        "powerState": {"code": "Running"},
    }


def _kube_proxy_wanted(cluster: LabCluster, name: str, kept: bool) -> None:
    """AKS takes its kube-proxy away, or brings it back, when the managed cluster says so."""
    if name != cluster.cloud_name:
        return
    if kept:
        system.kube_proxy(cluster)
    elif cluster.objects.stored(DAEMONSETS, "kube-system", "kube-proxy") is not None:
        cluster.objects.delete(DAEMONSETS, "kube-system", "kube-proxy")


def _balancer(cluster: LabCluster, azure: AzureSubscription, ids: _Ids) -> None:
    """The public load balancer that every AKS cluster has for its way out."""
    base = ids.scale_set.partition("/Microsoft.Compute/")[0] + "/Microsoft.Network"
    address = f"{base}/publicIPAddresses/{azure.new_guid()}"
    azure.put(
        address,
        {
            "location": cluster.region,
            "sku": {"name": "Standard"},
            "properties": {
                "ipAddress": _public_address(cluster, "outbound"),
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
            },
        },
    )
    balancer = f"{base}/loadBalancers/kubernetes"
    front = f"{balancer}/frontendIPConfigurations/{azure.new_guid()}"
    azure.put(
        balancer,
        {
            "location": cluster.region,
            "sku": {"name": "Standard"},
            "properties": {
                "frontendIPConfigurations": [
                    {"name": front.rpartition("/")[2], "properties": {"publicIPAddress": {"id": address}}}
                ],
                "backendAddressPools": [{"name": "kubernetes", "properties": {}}],
                "loadBalancingRules": [],
                "probes": [],
                "outboundRules": [{"name": "aksOutboundRule", "properties": {"protocol": "All"}}],
            },
        },
    )
    cluster.facts["outbound_address"] = _public_address(cluster, "outbound")


def _workers(cluster: LabCluster, azure: AzureSubscription, ids: _Ids, nodes: int, subnet: str, *, ready: bool) -> None:
    azure.put(
        ids.scale_set,
        {
            "location": cluster.region,
            "sku": {"name": _SIZE, "capacity": nodes},
            "properties": {"orchestrationMode": "Uniform"},
        },
    )
    network = ipaddress.IPv4Network(subnet)
    for number in range(nodes):
        address = str(network[_FIRST_HOST + number])
        _nic(azure, ids, cluster.region, number, address)
        _node(cluster, ids, number, address, ready=ready)


def _nic(azure: AzureSubscription, ids: _Ids, region: str, number: int, address: str) -> None:
    machine = f"{ids.scale_set}/virtualMachines/{number}"
    nic = f"{machine}/networkInterfaces/{ids.scale_set.rpartition('/')[2]}"
    azure.put(
        nic,
        {
            "location": region,
            "properties": {
                "primary": True,
                "enableIPForwarding": True,
                "enableAcceleratedNetworking": True,
                "virtualMachine": {"id": machine},
                "networkSecurityGroup": {"id": ids.nic_nsg},
                "ipConfigurations": [
                    {
                        "name": "ipconfig1",
                        "id": f"{nic}/ipConfigurations/ipconfig1",
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateIPAddress": address,
                            "privateIPAllocationMethod": "Dynamic",
                            "privateIPAddressVersion": "IPv4",
                            "subnet": {"id": ids.subnet},
                            "primary": True,
                        },
                    }
                ],
            },
        },
    )


def _node(cluster: LabCluster, ids: _Ids, number: int, address: str, *, ready: bool) -> None:
    name = f"aks-{_POOL}-vmss{_base36(number):0>6}"
    labels = {
        "agentpool": _POOL,
        "beta.kubernetes.io/instance-type": _SIZE,
        "failure-domain.beta.kubernetes.io/region": cluster.region,
        "failure-domain.beta.kubernetes.io/zone": "0",
        "kubernetes.azure.com/agentpool": _POOL,
        "kubernetes.azure.com/cluster": ids.node_group,
        "kubernetes.azure.com/mode": "system",
        "kubernetes.azure.com/node-image-version": "AKSUbuntu-2204gen2containerd-202511.07.0",
        "kubernetes.azure.com/os-sku": "Ubuntu",
        "kubernetes.azure.com/role": "agent",
        "kubernetes.azure.com/storageprofile": "managed",
        "node.kubernetes.io/instance-type": _SIZE,
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": "0",
    }
    machine = Machine(
        cpu="4",
        memory="16373836Ki",
        storage="129886128Ki",
        pods="250",
        kernel="5.15.0-1098-azure",
        image="Ubuntu 22.04.5 LTS",
        runtime="containerd://1.7.29-1" if minor_of(cluster.version) >= 30 else "containerd://1.7.1+azure-1",
        kubelet=cluster.version,
    )
    add_node(cluster, name, address, f"azure://{ids.scale_set}/virtualMachines/{number}", labels, machine, ready=ready)


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = digits[number % 36]
    while number := number // 36:
        text = digits[number % 36] + text
    return text


def _public_address(cluster: LabCluster, what: str) -> str:
    """A public address of Azure's, always the same for the same thing."""
    digest = hashlib.sha256(f"{cluster.name}/{what}".encode()).digest()
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("20.78.0.0")) + int.from_bytes(digest[:2], "big")))


def _login(world: World, cluster: LabCluster, identity: Identity | None) -> None:
    logins = world.clouds.logins
    azure: AzureSubscription = world.clouds.azure
    if "azure" not in logins.names():
        logins.add_azure(azure.tenant, [(azure.id, azure.name)], user="operator@mesh-lab.example")
    logins.grant_aks(cluster, identity or Identity(str(logins.azure()["user"]), ("system:masters",)))
