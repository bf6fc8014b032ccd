"""Services of type LoadBalancer: which load balancer comes of them, who reaches it, and that it goes again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.controller import CloudControllers
from backends.lab.network import Arrival
from backends.lab.storage.resources import EVENTS, SERVICES
from backends.lab.topology import aks, eks, open_nodes, vpn
from backends.lab.world import LabCluster, World
from tests.test_lab.cloud_lab import Aws, arm_clients, cloud_world, pass_time, send

AWS = "service.beta.kubernetes.io/aws-load-balancer-"
AZURE = "service.beta.kubernetes.io/azure-load-balancer-"
NODES_GROUP = "MC_aks-east-rg_aks-east_japaneast"


class Place:
    """An EKS and an AKS cluster over a VPN, with their cloud controllers."""

    def __init__(self, world: World, *, lbc: bool = False) -> None:
        self.world = world
        self.eks = eks(world, "eks-tokyo", aws_lb_controller=lbc)
        self.aks = aks(world, "aks-east")
        vpn(world, self.eks, self.aks)
        self.controllers = CloudControllers(world)

    def service(self, cluster: LabCluster, name: str = "mesh", spec: Any = None, **annotations: str) -> None:
        """Create a Service for TCP 2379; annotation names are given without their prefix, ``_`` for ``-``."""
        prefix = AWS if cluster.provider == "eks" else AZURE
        cluster.objects.create(
            SERVICES,
            {
                "metadata": {
                    "name": name,
                    "namespace": "kube-system",
                    "annotations": {prefix + key.replace("_", "-"): value for key, value in annotations.items()},
                },
                "spec": {"type": "LoadBalancer", "ports": [{"port": 2379, "targetPort": 2379}], **(spec or {})},
            },
        )
        self.wait(120)

    def wait(self, seconds: float) -> None:
        pass_time(self.world, self.controllers, seconds)

    def get(self, cluster: LabCluster, name: str = "mesh") -> Any:
        return cluster.objects.get(SERVICES, "kube-system", name)

    def reached_at(self, cluster: LabCluster, name: str = "mesh") -> tuple[str, ...]:
        """The addresses that the Service's status leads to."""
        (ingress,) = self.get(cluster, name)["status"]["loadBalancer"]["ingress"]
        found: tuple[str, ...] = (
            (ingress["ip"],) if "ip" in ingress else self.world.network.resolve(ingress["hostname"])
        )
        return found

    def worker_rules(self) -> set[tuple[str, str]]:
        """(source, ports) of what was added to the worker group."""
        group = self.world.clouds.aws.ec2(self.eks.region).get_security_group_from_id(self.eks.facts["worker_group"])
        return {
            (rule.ip_range.get("CidrIp") or rule.source_group["GroupId"], str(rule.from_port))
            for rule in group.ingress_rules[6:]
        }


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with cloud_world(tmp_path) as world:
        yield Place(world)


@pytest.fixture
async def with_lbc(tmp_path: Path) -> AsyncIterator[Place]:
    async with cloud_world(tmp_path) as world:
        yield Place(world, lbc=True)


def private(address: str) -> bool:
    return address.startswith(("10.", "192.168."))


# -- EKS, the controller that is there from the start ----------------------------------------------------------------


async def test_without_the_controller_the_scheme_annotation_means_nothing(place: Place) -> None:
    place.service(place.eks, scheme="internal")
    assert not any(private(address) for address in place.reached_at(place.eks))
    (held,) = place.world.clouds.aws.elb(place.eks.region).load_balancers.values()
    assert held.scheme == "internet-facing"
    through = send(place.world, place.aks, place.reached_at(place.eks)[0], "tcp", 2379)
    assert through.delivered, "the whole internet reaches it"
    assert through.arrival is not None
    assert through.arrival.client == place.aks.facts["outbound_address"]


@pytest.mark.parametrize(("value", "internal"), [("true", True), ("0.0.0.0/0", True), ("false", False), ("", False)])
async def test_the_in_tree_controller_takes_any_value_but_false(place: Place, value: str, internal: bool) -> None:
    place.service(place.eks, internal=value)
    assert all(private(address) is internal for address in place.reached_at(place.eks))


async def test_an_internal_classic_balancer_is_reached_over_the_vpn_alone(place: Place) -> None:
    place.service(place.eks, internal="true")
    one, other = place.reached_at(place.eks)
    assert {one.rpartition(".")[0], other.rpartition(".")[0]} == {"192.168.1", "192.168.2"}
    for node in range(3):
        assert send(place.world, place.aks, one, "tcp", 2379, node=node).delivered
    assert not send(place.world, place.aks, one, "tcp", 2380).delivered
    arrival = send(place.world, place.aks, one, "tcp", 2379).arrival
    assert arrival is not None
    assert arrival.port == place.get(place.eks)["spec"]["ports"][0]["nodePort"]
    ((source, _),) = place.worker_rules()
    assert source.startswith("sg-"), "the nodes let the balancer's own group in"


async def test_an_in_tree_nlb_opens_the_node_port_for_everybody(place: Place) -> None:
    place.service(place.eks, type="nlb", internal="true")
    port = str(place.get(place.eks)["spec"]["ports"][0]["nodePort"])
    assert ("0.0.0.0/0", port) in place.worker_rules()
    assert send(place.world, place.aks, place.reached_at(place.eks)[0], "tcp", 2379).delivered


async def test_services_meant_for_others_are_left_alone(place: Place) -> None:
    place.service(place.eks, type="external")
    place.service(place.eks, "classed", {"loadBalancerClass": "other/one"})
    place.service(place.eks, "plain", {"type": "NodePort"})
    for name in ("mesh", "classed", "plain"):
        assert place.get(place.eks, name)["status"]["loadBalancer"] == {}
        assert "finalizers" not in place.get(place.eks, name)["metadata"]


# -- EKS, the AWS Load Balancer Controller ---------------------------------------------------------------------------


async def test_the_controller_makes_an_internal_nlb_that_only_the_vpc_reaches(with_lbc: Place) -> None:
    with_lbc.service(with_lbc.eks, scheme="internal")
    address = with_lbc.reached_at(with_lbc.eks)[0]
    assert private(address)
    refused = send(with_lbc.world, with_lbc.aks, address, "tcp", 2379)
    assert refused.where.startswith("security groups in"), (
        "the client's address is kept, and the VPC's alone is allowed"
    )
    port = with_lbc.get(with_lbc.eks)["spec"]["ports"][0]["nodePort"]
    open_nodes(with_lbc.world, with_lbc.eks, with_lbc.aks, [("tcp", port)])
    assert send(with_lbc.world, with_lbc.aks, address, "tcp", 2379).delivered


async def test_groups_of_its_own_let_the_peer_in(with_lbc: Place) -> None:
    with_lbc.eks.facts["nlb_security_groups"] = True
    with_lbc.service(with_lbc.eks, scheme="internal")
    assert send(with_lbc.world, with_lbc.aks, with_lbc.reached_at(with_lbc.eks)[0], "tcp", 2379).delivered


async def test_the_controller_refuses_a_value_that_is_no_truth_value(with_lbc: Place) -> None:
    with_lbc.service(with_lbc.eks, internal="0.0.0.0/0")
    assert with_lbc.get(with_lbc.eks)["status"]["loadBalancer"] == {}
    messages = [event["message"] for event in with_lbc.eks.objects.list(EVENTS) if event["type"] == "Warning"]
    assert messages
    assert 'strconv.ParseBool: parsing "0.0.0.0/0": invalid syntax' in messages[0]


async def test_a_corrected_service_gets_its_balancer(with_lbc: Place) -> None:
    with_lbc.service(with_lbc.eks, internal="0.0.0.0/0")
    body = {"metadata": {"annotations": {AWS + "internal": "true"}}}
    with_lbc.eks.objects.patch(SERVICES, "kube-system", "mesh", body)
    with_lbc.wait(60)
    assert private(with_lbc.reached_at(with_lbc.eks)[0])


async def test_two_tagged_groups_leave_the_nodes_closed(with_lbc: Place) -> None:
    aws = with_lbc.world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(with_lbc.eks.region)
        tag = {"kubernetes.io/cluster/eks-tokyo": "owned"}
        extra = [
            ec2.create_security_group(name, "more", vpc_id=with_lbc.eks.facts["vpc_id"], tags=tag)
            for name in ("a", "b")
        ]
        for identifier in with_lbc.eks.facts["instances"].values():
            ec2.get_instance(identifier).security_groups += extra
    with_lbc.service(with_lbc.eks, scheme="internal")
    assert with_lbc.worker_rules() == set()


async def test_subnets_without_the_role_tag_are_not_used(with_lbc: Place) -> None:
    aws = with_lbc.world.clouds.aws
    with aws.writing():
        for subnet in with_lbc.eks.facts["subnets"]:
            aws.ec2(with_lbc.eks.region).delete_tags([subnet], {"kubernetes.io/role/internal-elb": "1"})
    with_lbc.service(with_lbc.eks, scheme="internal")
    assert with_lbc.get(with_lbc.eks)["status"]["loadBalancer"] == {}
    assert any(
        "unable to resolve at least one subnet" in event["message"] for event in with_lbc.eks.objects.list(EVENTS)
    )


# -- time, health and the end ----------------------------------------------------------------------------------------


async def test_a_balancer_takes_time_to_work(with_lbc: Place) -> None:
    with_lbc.eks.facts["nlb_security_groups"] = True
    with_lbc.world.clock.pause()
    with_lbc.eks.objects.create(
        SERVICES,
        {
            "metadata": {"name": "mesh", "namespace": "kube-system"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 2379}]},
        },
    )
    assert not with_lbc.get(with_lbc.eks)["status"]["loadBalancer"]
    with_lbc.wait(10)
    address = with_lbc.reached_at(with_lbc.eks)[0]
    assert send(with_lbc.world, with_lbc.aks, address, "tcp", 2379).where.startswith("load balancer")
    with_lbc.wait(90)
    assert send(with_lbc.world, with_lbc.aks, address, "tcp", 2379).delivered


async def test_balancers_send_to_machines_that_answer(place: Place) -> None:
    place.service(place.eks, internal="true")
    place.service(place.aks, internal="true")
    answering: set[str] = set()

    def hook(arrival: Arrival) -> bool:
        return arrival.address in answering or arrival.node in answering

    place.world.network.deliver_to_service = hook
    for cluster, other in ((place.eks, place.aks), (place.aks, place.eks)):
        front = place.reached_at(cluster)[0]
        answering.clear()
        assert "no healthy target" in str(send(place.world, other, front, "tcp", 2379).trace[-1])
        node = cluster.objects.list(cluster.objects.resources["", "nodes"])[1]["metadata"]["name"]
        answering.add(node)
        for source_port in range(45000, 45006):
            arrival = send(place.world, other, front, "tcp", 2379, source_port=source_port).arrival
            assert arrival is not None
            assert arrival.node == node


@pytest.mark.parametrize("lbc", [False, True])
async def test_a_deleted_service_leaves_nothing_behind(tmp_path: Path, lbc: bool) -> None:
    async with cloud_world(tmp_path) as world:
        place = Place(world, lbc=lbc)
        place.eks.facts["nlb_security_groups"] = lbc
        ec2 = world.clouds.aws.ec2(place.eks.region)

        def state() -> Any:
            groups = {group.id for groups in ec2.groups.values() for group in groups.values()}
            return set(ec2.enis), groups, place.worker_rules(), set(world.clouds.azure.resources)

        before = state()
        place.service(place.eks, scheme="internal", internal="true")
        place.service(place.aks, internal="true")
        place.service(place.aks, "public")
        assert state() != before
        for cluster, name in ((place.eks, "mesh"), (place.aks, "mesh"), (place.aks, "public")):
            cluster.objects.delete(SERVICES, "kube-system", name)
            place.wait(5)
            assert place.get(cluster, name) is None
        assert state() == before
        document = world.clouds.azure.need(
            f"{place.aks.facts['nic_nsg'].partition('/networkSecurityGroups')[0]}/loadBalancers/kubernetes"
        )
        assert len(document["properties"]["frontendIPConfigurations"]) == 1, "the way out of the cluster stays"


async def test_a_service_that_stops_being_one_loses_its_balancer(place: Place) -> None:
    place.service(place.eks, internal="true")
    place.eks.objects.patch(SERVICES, "kube-system", "mesh", {"spec": {"type": "ClusterIP"}})
    place.wait(5)
    assert place.world.clouds.aws.elb(place.eks.region).load_balancers == {}
    assert place.get(place.eks)["status"]["loadBalancer"] == {}


async def test_changed_ports_reach_the_balancer(place: Place) -> None:
    place.service(place.eks, internal="true")
    place.service(place.aks, internal="true")
    for cluster, other in ((place.eks, place.aks), (place.aks, place.eks)):
        body = {"spec": {"ports": [{"port": 2390, "targetPort": 2379, "protocol": "TCP"}]}}
        cluster.objects.patch(SERVICES, "kube-system", "mesh", body)
        place.wait(5)
        front = place.reached_at(cluster)[0]
        assert send(place.world, other, front, "tcp", 2390).delivered
        assert not send(place.world, other, front, "tcp", 2379).delivered


# -- AKS -------------------------------------------------------------------------------------------------------------


async def test_an_internal_front_end_takes_an_address_of_the_node_subnet(place: Place) -> None:
    place.service(place.aks, internal="true")
    assert place.reached_at(place.aks) == ("10.224.0.7",)
    reached = send(place.world, place.eks, "10.224.0.7", "tcp", 2379)
    assert reached.delivered
    assert reached.arrival is not None
    assert (reached.arrival.address, reached.arrival.port) == ("10.224.0.7", 2379), "the floating address is kept"
    place.service(place.aks, "second", internal="true")
    place.service(place.aks, "wished", {"loadBalancerIP": "10.224.0.100"}, internal="true")
    assert place.reached_at(place.aks, "second") == ("10.224.0.8",)
    assert place.reached_at(place.aks, "wished") == ("10.224.0.100",)


async def test_a_public_front_end_opens_the_nics_group_but_not_the_subnets(place: Place) -> None:
    place.service(place.aks)
    (address,) = place.reached_at(place.aks)
    assert not private(address)
    azure = place.world.clouds.azure
    (rule,) = azure.need(place.aks.facts["nic_nsg"])["properties"]["securityRules"]
    assert (rule["properties"]["sourceAddressPrefix"], rule["properties"]["priority"]) == ("Internet", 500)
    assert send(place.world, place.eks, address, "tcp", 2379).where == "subnet group in aks-agentpool-nsg"
    azure.need(place.aks.facts["subnet_id"])["properties"].pop("networkSecurityGroup")
    azure.changes.bump()
    assert send(place.world, place.eks, address, "tcp", 2379).delivered


async def test_a_front_end_moves_when_its_annotation_changes(place: Place) -> None:
    place.service(place.aks, internal="true")
    body = {"metadata": {"annotations": {AZURE + "internal": "false"}}}
    place.aks.objects.patch(SERVICES, "kube-system", "mesh", body)
    place.wait(60)
    assert not private(place.reached_at(place.aks)[0])
    assert (
        place.world.clouds.azure.get(
            f"{place.aks.facts['nic_nsg'].partition('/networkSecurityGroups')[0]}/loadBalancers/kubernetes-internal"
        )
        is None
    )


# -- as the SDKs see them --------------------------------------------------------------------------------------------


async def test_balancers_as_programs_read_them(tmp_path: Path) -> None:
    async with cloud_world(tmp_path, serve=True) as world:
        place = Place(world, lbc=True)
        place.service(place.eks, scheme="internal")
        place.service(place.aks, internal="true")
        port = place.get(place.eks)["spec"]["ports"][0]["nodePort"]

        def read_aws() -> Any:
            aws = Aws(world)
            (row,) = aws.elbv2.describe_load_balancers()["LoadBalancers"]
            (group,) = aws.elbv2.describe_target_groups(LoadBalancerArn=row["LoadBalancerArn"])["TargetGroups"]
            health = aws.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
            description = "ELB " + row["LoadBalancerArn"].partition("loadbalancer/")[2]
            filters = [{"Name": "description", "Values": [description]}]
            cards = aws.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
            return row, group, health["TargetHealthDescriptions"], cards

        row, group, health, cards = await asyncio.to_thread(read_aws)
        hostname = place.get(place.eks)["status"]["loadBalancer"]["ingress"][0]["hostname"]
        assert (row["DNSName"], row["Scheme"], row["Type"]) == (hostname, "internal", "network")
        assert (group["Port"], group["TargetType"]) == (port, "instance")
        assert {one["TargetHealth"]["State"] for one in health} == {"healthy"}
        assert sorted(card["PrivateIpAddress"] for card in cards) == list(place.reached_at(place.eks))
        aws = world.clouds.aws
        with aws.writing():
            held = aws.ec2(place.eks.region).get_security_group_from_id(place.eks.facts["worker_group"])
            held.ingress_rules[:] = held.ingress_rules[:6]
        _, _, health, _ = await asyncio.to_thread(read_aws)
        assert {one["TargetHealth"]["State"] for one in health} == {"unhealthy"}

        def read_azure() -> Any:
            with arm_clients(world) as (network, _):
                return list(network.load_balancers.list(NODES_GROUP))

        balancers = {one.name: one for one in await asyncio.to_thread(read_azure)}
        (front,) = balancers["kubernetes-internal"].frontend_ip_configurations
        assert front.private_ip_address == "10.224.0.7"
        (rule,) = balancers["kubernetes-internal"].load_balancing_rules
        assert (rule.frontend_port, rule.enable_floating_ip) == (2379, True)
