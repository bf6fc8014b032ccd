"""What the builders make: fresh clusters in the shapes of the providers, and cloud objects that belong to them."""

import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.api.identity import Identity
from backends.lab.storage.resources import DAEMONSETS, DEPLOYMENTS, NODES, RESOURCES, SERVICES
from backends.lab.topology import aks, eks, kind, peering, vpn
from backends.lab.topology.addresses import node_addresses, vnet_subnets, vpc_plan
from backends.lab.world import LabCluster, World
from tests.test_lab.cloud_lab import addresses, cloud_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cloud_world(tmp_path) as made:
        yield made


def nodes(cluster: LabCluster) -> list[Any]:
    return cluster.objects.list(NODES)


def condition(node: Any, kind_: str) -> Any:
    return next(row for row in node["status"]["conditions"] if row["type"] == kind_)


def names(cluster: LabCluster, resource: Any) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.objects.list(resource, "kube-system")}


def test_a_fresh_eks_cluster(world: World) -> None:
    cluster = eks(world, "eks-tokyo")
    made = nodes(cluster)
    assert [node["metadata"]["name"] for node in made] == [
        "ip-192-168-1-10.ap-northeast-1.compute.internal",
        "ip-192-168-1-48.ap-northeast-1.compute.internal",
        "ip-192-168-2-11.ap-northeast-1.compute.internal",
    ]
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in made}
    assert len(zones) == 2
    for node in made:
        labels = node["metadata"]["labels"]
        assert labels["eks.amazonaws.com/nodegroup"] == "eks-tokyo-ng"
        zone, instance = node["spec"]["providerID"].removeprefix("aws:///").split("/")
        assert zone == labels["topology.kubernetes.io/zone"]
        assert instance == cluster.facts["instances"][node["status"]["addresses"][0]["address"]]
        assert [row["type"] for row in node["status"]["addresses"]] == ["InternalIP", "InternalDNS", "Hostname"]
        assert condition(node, "Ready")["status"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == cluster.version
        assert cluster.version.startswith("v1.26.")
        assert "-eks-" in cluster.version
        assert "podCIDR" not in node["spec"]
    assert names(cluster, DAEMONSETS) == {"aws-node", "kube-proxy"}
    assert names(cluster, DEPLOYMENTS) == {"coredns"}
    dns = cluster.objects.need(SERVICES, "kube-system", "kube-dns")
    assert dns["spec"]["clusterIP"] == "10.100.0.10"
    (api,) = cluster.objects.list(RESOURCES["discovery.k8s.io", "endpointslices"], "default")
    inside = ipaddress.IPv4Network("192.168.0.0/16")
    assert all(ipaddress.IPv4Address(one["addresses"][0]) in inside for one in api["endpoints"])
    assert len(api["endpoints"]) == 2


def test_a_fresh_aks_cluster_without_a_network_plugin(world: World) -> None:
    cluster = aks(world, "aks-east")
    made = nodes(cluster)
    assert [node["metadata"]["name"] for node in made] == [f"aks-np1-vmss00000{number}" for number in range(3)]
    for number, node in enumerate(made):
        assert node["spec"]["taints"] == [{"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"}]
        ready = condition(node, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "KubeletNotReady")
        assert "cni plugin not initialized" in ready["message"]
        assert node["metadata"]["labels"]["kubernetes.azure.com/cluster"] == cluster.facts["node_group"]
        assert node["spec"]["providerID"].endswith(f"/virtualMachineScaleSets/aks-np1-vmss/virtualMachines/{number}")
    proxy = cluster.objects.need(DAEMONSETS, "kube-system", "kube-proxy")
    assert proxy["metadata"]["labels"] == {
        "addonmanager.kubernetes.io/mode": "Reconcile",
        "component": "kube-proxy",
        "kubernetes.azure.com/managedby": "aks",
        "tier": "node",
    }
    assert names(cluster, DAEMONSETS) == {"kube-proxy"}
    document = cluster.facts["managed_cluster"]()
    assert document["properties"]["networkProfile"]["networkPlugin"] == "none"
    assert document["properties"]["nodeResourceGroup"] == cluster.facts["node_group"]


def test_clusters_made_without_their_usual_parts(world: World) -> None:
    bare = eks(world, "eks-tokyo", version="1.34", with_aws_node=False, with_kube_proxy=False)
    assert names(bare, DAEMONSETS) == set()
    assert {condition(node, "Ready")["status"] for node in nodes(bare)} == {"False"}
    without = aks(world, "aks-east", kube_proxy=False, network_plugin="azure", subnet_group=False)
    assert names(without, DAEMONSETS) == set()
    assert {condition(node, "Ready")["status"] for node in nodes(without)} == {"True"}
    profile = without.facts["managed_cluster"]()["properties"]["networkProfile"]
    assert profile["kubeProxyConfig"] == {"enabled": False}
    assert "networkSecurityGroup" not in world.clouds.azure.need(without.facts["subnet_id"])["properties"]


def test_a_kind_cluster(world: World) -> None:
    cluster = kind(world, "kind-dr")
    assert [node["metadata"]["name"] for node in nodes(cluster)] == [
        "kind-dr-control-plane",
        "kind-dr-worker",
        "kind-dr-worker2",
    ]
    assert [node["spec"]["podCIDR"] for node in nodes(cluster)] == [f"10.244.{number}.0/24" for number in range(3)]
    assert names(cluster, DAEMONSETS) == {"kindnet", "kube-proxy"}


def test_the_worker_group_is_a_fresh_clusters(world: World) -> None:
    cluster = eks(world, "eks-tokyo")
    ec2 = world.clouds.aws.ec2(cluster.region)
    workers = ec2.get_security_group_from_id(cluster.facts["worker_group"])
    sources = [rule.source_group.get("GroupId") for rule in workers.ingress_rules]
    assert len(sources) == 6
    assert set(sources) == {cluster.facts["worker_group"], cluster.facts["cluster_group"]}
    assert [rule.ip_range for rule in workers.egress_rules] == [{"CidrIp": "0.0.0.0/0"}]


def test_every_interface_lies_in_its_subnet(world: World) -> None:
    cluster = eks(world, "eks-tokyo")
    cards = world.clouds.aws.ec2(cluster.region).enis.values()
    assert len(cards) == 3 + 2 + 1, "nodes, control plane, NAT gateway"
    for card in cards:
        assert ipaddress.IPv4Address(card.private_ip_address) in card.subnet.cidr, card.description


def test_logins_get_tokens_that_the_clusters_know(world: World) -> None:
    viewer = Identity("viewer@mesh-lab.example", ("viewers",))
    first, second = eks(world, "eks-tokyo"), aks(world, "aks-east", identity=viewer)
    logins = world.clouds.logins
    arn = first.identities.of_token(logins.aws("lab")["tokens"]["eks-tokyo"])
    assert arn is not None
    assert ":assumed-role/" in arn.name
    assert "system:masters" in arn.groups
    known = [second.identities.of_token(token) for token in logins.azure()["tokens"].values()]
    assert [one.name for one in known if one] == ["viewer@mesh-lab.example"]
    third = aks(world, "aks-west", region="japanwest", vnet="10.60.0.0/16")
    assert logins.azure()["tokens"] == logins.azure()["tokens"]
    assert any(third.identities.of_token(token) for token in logins.azure()["tokens"].values())


def test_a_vpn_is_made_of_matching_halves(world: World) -> None:
    first, second = eks(world, "eks-tokyo"), aks(world, "aks-east")
    vpn(world, second, first)
    ec2, azure = world.clouds.aws.ec2(first.region), world.clouds.azure
    (connection,) = ec2.vpn_connections.values()
    outside = {tunnel["OutsideIpAddress"] for tunnel in connection.options["TunnelOptions"]}
    locals_ = list(azure.of_type("microsoft.network/localnetworkgateways"))
    assert {one["properties"]["gatewayIpAddress"] for one in locals_} == outside
    public = azure.need(
        second.facts["vnet_id"].partition("/virtualNetworks/")[0] + "/publicIPAddresses/aks-east-vpngw-pip"
    )
    (customer,) = ec2.customer_gateways.values()
    assert customer.ip_address == public["properties"]["ipAddress"]
    for identifier in (*first.facts["route_tables"], first.facts["public_route_table"]):
        table = ec2.get_route_table(identifier)
        assert "10.224.0.0/12" in [route.destination_cidr_block for route in table.routes]


def test_networks_have_one_gateway_each_however_many_vpns(world: World) -> None:
    clusters = [
        eks(world, "eks-tokyo"),
        eks(world, "eks-osaka", region="ap-northeast-3", vpc="10.50.0.0/16"),
        aks(world, "aks-east"),
        kind(world, "kind-dr"),
    ]
    vpn(world, clusters[0], clusters[2])
    vpn(world, clusters[1], clusters[2])
    vpn(world, clusters[3], clusters[2])
    vpn(world, clusters[0], clusters[3])
    assert len(list(world.clouds.azure.of_type("microsoft.network/virtualnetworkgateways"))) == 1
    assert len(list(world.clouds.azure.of_type("microsoft.network/connections"))) == 5
    assert len(world.clouds.aws.ec2("ap-northeast-1").vpn_gateways) == 1
    assert len(world.clouds.aws.ec2("ap-northeast-1").vpn_connections) == 2
    tunnels = [
        tunnel["OutsideIpAddress"]
        for region in ("ap-northeast-1", "ap-northeast-3")
        for one in world.clouds.aws.ec2(region).vpn_connections.values()
        for tunnel in one.options["TunnelOptions"]
    ]
    assert len(set(tunnels)) == 6


def test_what_cannot_be_joined_says_so(world: World) -> None:
    first, second, third = eks(world, "eks-tokyo"), eks(world, "eks-b", vpc="10.50.0.0/16"), aks(world, "aks-east")
    with pytest.raises(ValueError, match="peer them"):
        vpn(world, first, second)
    with pytest.raises(ValueError, match="cannot be peered"):
        peering(world, first, third)
    with pytest.raises(ValueError, match="already a cluster"):
        eks(world, "eks-tokyo")
    with pytest.raises(ValueError, match="too small"):
        vpc_plan("192.168.0.0/26", 3)


@pytest.mark.parametrize("count", [1, 3, 10, 60, 700])
def test_node_addresses_are_distinct_and_spread(count: int) -> None:
    plan = vpc_plan("10.0.0.0/16", count)
    found = node_addresses(plan.private, count)
    assert len({address for _, address in found}) == count
    for index, address in found:
        assert ipaddress.IPv4Address(address) in ipaddress.IPv4Network(plan.private[index])
    assert count < 3 or {index for index, _ in found} == {0, 1}


@pytest.mark.parametrize("vnet", ["10.224.0.0/12", "10.60.0.0/16", "10.60.0.0/20"])
def test_the_gateways_subnet_is_apart_from_the_nodes(vnet: str) -> None:
    node_subnet, gateway = (ipaddress.IPv4Network(part) for part in vnet_subnets(vnet))
    assert not node_subnet.overlaps(gateway)
    assert node_subnet.subnet_of(ipaddress.IPv4Network(vnet))
    assert gateway.subnet_of(ipaddress.IPv4Network(vnet))


def test_many_nodes(world: World) -> None:
    first = eks(world, "eks-tokyo", nodes=12)
    second = aks(world, "aks-east", nodes=40)
    assert len(set(addresses(first))) == 12
    assert nodes(second)[39]["metadata"]["name"] == "aks-np1-vmss000013", "base 36, as scale sets count"
