"""An EKS cluster in a VPC of its own: network, groups, instances, the managed cluster, and its Kubernetes objects."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.api.identity import Identity
from backends.lab.topology import system
from backends.lab.topology.addresses import node_addresses, vpc_plan
from backends.lab.topology.nodes import Machine, add_node
from backends.lab.topology.versions import eks_version, minor_of
from backends.lab.world import LabCluster, World

_FROM_CONTROL_PLANE: Final = (
    ("tcp", 443, 443),
    ("tcp", 10250, 10250),
    ("tcp", 1025, 65535),
    ("tcp", 53, 53),
    ("udp", 53, 53),
)
_ANYWHERE: Final = "0.0.0.0/0"
_INSTANCE_TYPE: Final = "m6i.large"


@dataclass(frozen=True, slots=True)
class _Net:
    vpc: Any
    private: tuple[Any, ...]
    public: tuple[Any, ...]
    control_plane: Any
    workers: Any


def eks(
    world: World,
    name: str,
    *,
    region: str = "ap-northeast-1",
    version: str = "1.26",
    vpc: str = "192.168.0.0/16",
    nodes: int = 3,
    service_cidr: str = "10.100.0.0/16",
    with_aws_node: bool = True,
    with_kube_proxy: bool = True,
    cloud_name: str = "",
    profile: str = "lab",
    aws_lb_controller: bool = False,
    identity: Identity | None = None,
) -> LabCluster:
    """A fresh EKS cluster named ``name``: workers reach each other and the control plane, nothing beyond the VPC does.

    ``facts`` of the cluster: ``vpc_id``, ``worker_group``, ``cluster_group``, ``subnets`` and ``public_subnets`` (ids),
    ``route_tables`` (of the nodes' subnets), ``aws_profile``, ``aws_lb_controller`` (which controller makes load
    balancers). Raises ``ValueError`` for a VPC that is too small.
    """
    account = world.clouds.aws
    plan = vpc_plan(vpc, nodes)
    cluster = world.add_cluster(
        name,
        "eks",
        cloud_name=cloud_name or name,
        region=region,
        account=account.account,
        version=eks_version(version),
        service_cidr=service_cidr,
        node_subnets=plan.private,
        aws_lb_controller=aws_lb_controller,
        aws_profile=profile,
    )
    with account.writing():
        net = _network(cluster, account.ec2(region), vpc, plan.private, plan.public)
        control_plane = _managed_cluster(cluster, account, net)
        _workers(cluster, account, net, nodes, plan.private, ready=with_aws_node)
    system.api_endpoints(cluster, control_plane)
    if with_aws_node:
        system.aws_node(cluster)
    if with_kube_proxy:
        system.kube_proxy(cluster)
    system.coredns(cluster)
    _login(world, cluster, profile, identity)
    return cluster


def _network(cluster: LabCluster, ec2: Any, cidr: str, private: tuple[str, str], public: tuple[str, str]) -> _Net:
    vpc = ec2.create_vpc(cidr, tags=[{"Key": "Name", "Value": f"{cluster.cloud_name}/VPC"}])
    vpc.enable_dns_hostnames = True
    zones = _zones(cluster.region)
    internal, outer = (
        tuple(
            ec2.create_subnet(
                vpc.id,
                part,
                availability_zone=zone,
                tags={"subnet": {"Name": f"{cluster.cloud_name}/{kind}{zone}", f"kubernetes.io/role/{role}": "1"}},
            )
            for part, zone in zip(parts, zones, strict=True)
        )
        for parts, kind, role in ((private, "Private", "internal-elb"), (public, "Public", "elb"))
    )
    for subnet in internal:
        subnet.map_public_ip_on_launch = False
    _routing(cluster, ec2, vpc, internal, outer)
    control_plane, workers = _groups(cluster, ec2, vpc)
    cluster.facts.update(
        vpc_id=vpc.id,
        vpc_cidr=cidr,
        worker_group=workers.id,
        cluster_group=control_plane.id,
        subnets=[subnet.id for subnet in internal],
        public_subnets=[subnet.id for subnet in outer],
    )
    return _Net(vpc, internal, outer, control_plane, workers)


def _zones(region: str) -> tuple[str, str]:
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    names = [zone.name for zone in RegionsAndZonesBackend.zones[region]]
    return names[0], names[1]


def _routing(cluster: LabCluster, ec2: Any, vpc: Any, private: tuple[Any, ...], public: tuple[Any, ...]) -> None:
    internet = ec2.create_internet_gateway(tags=[{"Key": "Name", "Value": f"{cluster.cloud_name}/InternetGateway"}])
    ec2.attach_internet_gateway(internet.id, vpc.id)
    address = ec2.allocate_address("vpc")
    address.public_ip = _public_address(cluster, "nat")
    nat = ec2.create_nat_gateway(public[0].id, address.allocation_id, tags={"Name": f"{cluster.cloud_name}/NATGateway"})
    _place(nat, str(public[0].cidr[5]))
    outer = ec2.create_route_table(vpc.id, tags=[{"Key": "Name", "Value": f"{cluster.cloud_name}/Public"}])
    ec2.create_route(outer.id, _ANYWHERE, gateway_id=internet.id)
    for subnet in public:
        ec2.associate_route_table(outer.id, subnet_id=subnet.id)
    tables = []
    for subnet in private:
        tags = [{"Key": "Name", "Value": f"{cluster.cloud_name}/Private{subnet.availability_zone}"}]
        table = ec2.create_route_table(vpc.id, tags=tags)
        ec2.create_route(table.id, _ANYWHERE, nat_gateway_id=nat.id)
        ec2.associate_route_table(table.id, subnet_id=subnet.id)
        tables.append(table.id)
    cluster.facts.update(route_tables=tables, public_route_table=outer.id)


def _place(nat: Any, address: str) -> None:
    """Put a NAT gateway into its subnet; moto gives it an address anywhere."""
    card = nat._eni
    card.description = f"Interface for NAT Gateway {nat.id}"
    card.private_ip_address = nat.private_ip = address
    card.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
    card.interface_type, card.requester_managed, card.status = "nat_gateway", True, "in-use"
    for row in nat.address_set:
        row["privateIp"] = address


def _groups(cluster: LabCluster, ec2: Any, vpc: Any) -> tuple[Any, Any]:
    name = cluster.cloud_name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    control_plane = ec2.create_security_group(
        f"eks-cluster-sg-{name}-{int(mark, 16) % 10**10}",
        "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any "
        "managed workloads.",
        vpc_id=vpc.id,
        tags={f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name},
    )
    workers = ec2.create_security_group(
        f"{name}-worker-sg",
        "Communication between the control plane and worker nodes",
        vpc_id=vpc.id,
        tags={"Name": f"{name}-worker-sg"},
    )
    _allow(ec2, control_plane, "-1", None, None, group=control_plane.id)
    _allow(ec2, control_plane, "tcp", 443, 443, group=workers.id)
    _allow(ec2, workers, "-1", None, None, group=workers.id)
    for protocol, low, high in _FROM_CONTROL_PLANE:
        _allow(ec2, workers, protocol, low, high, group=control_plane.id)
    return control_plane, workers


def _allow(ec2: Any, target: Any, protocol: str, low: int | None, high: int | None, *, group: str) -> None:
    ec2.authorize_security_group_ingress(
        target.id, protocol, low, high, [], source_groups=[{"GroupId": group}], vpc_id=target.vpc_id
    )


def _managed_cluster(cluster: LabCluster, account: Any, net: _Net) -> list[str]:
    """The EKS object and the control plane's interfaces in the nodes' subnets, whose addresses are returned."""
    name, region = cluster.cloud_name, cluster.region
    subnets = [subnet.id for subnet in (*net.private, *net.public)]
    held = account.eks(region).create_cluster(
        name,
        f"arn:aws:iam::{account.account}:role/{name}-cluster",
        {
            "vpcId": net.vpc.id,
            "subnetIds": subnets,
            "securityGroupIds": [],
            "clusterSecurityGroupId": net.control_plane.id,
            "endpointPublicAccess": True,
            "endpointPrivateAccess": True,
            "publicAccessCidrs": [_ANYWHERE],
        },
        version=f"1.{minor_of(cluster.version)}",
        kubernetes_network_config={"serviceIpv4Cidr": cluster.service_cidr, "ipFamily": "ipv4"},
    )
    held.endpoint = cluster.server_url
    held.platform_version = "eks.4"
    held.access_config = {"authenticationMode": "API_AND_CONFIG_MAP"}
    held.health = {"issues": []}
    found = []
    for index, subnet in enumerate(net.private):
        address = str(subnet.cidr[200 + index if subnet.cidr.num_addresses >= 256 else -4 - index])
        card = account.ec2(region).create_network_interface(
            subnet.id, address, group_ids=[net.control_plane.id], description=f"Amazon EKS {name}"
        )
        card.requester_managed = True
        card.status = "in-use"
        found.append(address)
    return found


def _workers(
    cluster: LabCluster, account: Any, net: _Net, nodes: int, subnets: tuple[str, ...], *, ready: bool
) -> None:
    ec2 = account.ec2(cluster.region)
    name = cluster.cloud_name
    group = account.eks(cluster.region).create_nodegroup(
        name,
        f"arn:aws:iam::{account.account}:role/{name}-node",
        f"{name}-ng",
        [subnet.id for subnet in net.private],
        scaling_config={"minSize": nodes, "maxSize": nodes, "desiredSize": nodes},
        instance_types=[_INSTANCE_TYPE],
        version=f"1.{minor_of(cluster.version)}",
        release_version=f"1.{minor_of(cluster.version)}.4-20231002",
    )
    group.resources["remoteAccessSecurityGroup"] = None
    instances = {}
    for index, address in node_addresses(subnets, nodes):
        subnet = net.private[index]
        reservation = ec2.run_instances(
            "ami-0c3f1d2e4b5a69788",
            1,
            None,
            [],
            security_group_ids=[net.workers.id],
            subnet_id=subnet.id,
            private_ip=address,
            instance_type=_INSTANCE_TYPE,
            region_name=cluster.region,
            is_instance_type_default=False,
            associate_public_ip=False,
            tags={
                "instance": {
                    "Name": f"{name}-ng-Node",
                    f"kubernetes.io/cluster/{name}": "owned",
                    "eks:cluster-name": name,
                    "eks:nodegroup-name": f"{name}-ng",
                }
            },
            block_device_mappings=[],
        )
        instance = reservation.instances[0]
        instance.nics[0].private_dns_name = instance.private_dns_name
        instances[address] = instance.id
        _node(cluster, instance, subnet, address, ready=ready)
    cluster.facts["instances"] = instances


def _node(cluster: LabCluster, instance: Any, subnet: Any, address: str, *, ready: bool) -> None:
    zone = subnet.availability_zone
    minor = minor_of(cluster.version)
    labels = {
        "beta.kubernetes.io/instance-type": _INSTANCE_TYPE,
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "eks.amazonaws.com/nodegroup": f"{cluster.cloud_name}-ng",
        "eks.amazonaws.com/nodegroup-image": "ami-0c3f1d2e4b5a69788",
        "failure-domain.beta.kubernetes.io/region": cluster.region,
        "failure-domain.beta.kubernetes.io/zone": zone,
        "k8s.io/cloud-provider-aws": hashlib.md5(cluster.cloud_name.encode(), usedforsecurity=False).hexdigest(),
        "node.kubernetes.io/instance-type": _INSTANCE_TYPE,
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": zone,
    }
    machine = Machine(
        cpu="2",
        memory="7866220Ki",
        storage="83873772Ki",
        pods="29",
        kernel="5.10.192-183.736.amzn2.x86_64" if minor < 30 else "6.12.53-69.119.amzn2023.x86_64",
        image="Amazon Linux 2" if minor < 30 else "Amazon Linux 2023.9.20251105",
        runtime="containerd://1.6.19" if minor < 30 else "containerd://2.1.4",
        kubelet=cluster.version,
    )
    name = instance.private_dns_name
    add_node(cluster, name, address, f"aws:///{zone}/{instance.id}", labels, machine, ready=ready, dns_name=name)


def _public_address(cluster: LabCluster, what: str) -> str:
    """A public address of AWS's, always the same for the same thing."""
    digest = hashlib.sha256(f"{cluster.name}/{what}".encode()).digest()
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("54.64.0.0")) + int.from_bytes(digest[:2], "big")))


def _login(world: World, cluster: LabCluster, profile: str, identity: Identity | None) -> None:
    logins = world.clouds.logins
    if profile not in logins.aws_profiles():
        logins.add_aws(profile, cluster.account, cluster.region)
    held = logins.aws(profile)
    role = f"AWSReservedSSO_{held['role']}_{cluster.account[:8]}"
    arn = f"arn:aws:sts::{cluster.account}:assumed-role/{role}/{held['user']}"
    logins.grant_eks(cluster, profile, identity or Identity(arn, ("system:masters",)))
