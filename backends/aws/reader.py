"""An EKS cluster's account, VPC, rules, VPN and load balancers, read through boto3 (cloud-network §1.2, §2)."""

import time
from typing import Any

from backends.aws.balancers import AwsBalancers
from backends.aws.paths import read_network
from backends.aws.rules import owner_of, rule_from
from backends.aws.session import AwsSession, argument
from backends.aws.tables import VpcTables
from backends.parts import Part, attempt
from mesh.facts import Reason
from mesh.model.cilium import MeshApiServer
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import Node
from mesh.model.network import CloudIdentity, CloudNetwork, Firewall, FirewallGroup, LoadBalancer, VpnConnection
from mesh.model.site import CloudPaths, NodePlace
from mesh.reading import Cached, NotRead
from mesh.text import clean

_CHUNK = 200


class AwsReader:
    """Fetches each table once and joins in memory."""

    def __init__(self, ref: ContextRef, nodes: tuple[Node, ...], cached: Cached) -> None:
        self.ref = ref
        self.nodes = nodes
        self.session = AwsSession(ref)
        self._cached = cached

    def identity(self) -> CloudIdentity:
        """Compare the endpoint: a cluster of the same name in another account is a classic error (§1.2)."""
        caller = self.session.call("sts", "get_caller_identity")
        cluster = self._cluster()
        arn = str(cluster.get("arn", ""))
        account = arn.split(":")[4] if arn.count(":") >= 5 else str(caller.get("Account", ""))
        endpoint = str(cluster.get("endpoint", ""))
        if self.ref.account and account != self.ref.account:
            raise NotRead(
                Reason.INVALID,
                f"signed in to account {account}, but the context belongs to {self.ref.account}",
                f"sign in to {self.ref.account}: {self.session.login}",
            )
        host = endpoint.removeprefix("https://").lower()
        return CloudIdentity(
            provider=Provider.EKS,
            account=account,
            region=self.session.region,
            name=str(cluster.get("name", "")),
            network_id=self._vpc_id(),
            resource_id=arn,
            endpoint=clean(endpoint),
            caller=clean(str(caller.get("Arn", ""))),
            version=str(cluster.get("version", "")),
            proven=bool(host) and host in self.ref.server.lower(),
        )

    def _cluster(self) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            name = (
                self.ref.cloud_name
                or argument(self.ref.exec_argv, "--cluster-name")
                or argument(self.ref.exec_argv, "-i")
            )
            if not name:
                raise NotRead(
                    Reason.INVALID,
                    "the context does not tell the EKS cluster's name",
                    "write the context anew: aws eks update-kubeconfig --name NAME --region REGION",
                )
            cluster: dict[str, Any] = self.session.call("eks", "describe_cluster", name=name)["cluster"]
            return cluster

        return self._cached("cluster", read)

    def _interfaces(self) -> dict[str, dict[str, Any]]:
        """Network interface by node name: the one that owns the node's InternalIP (§1.2)."""

        def read() -> dict[str, dict[str, Any]]:
            instances = self._instances()
            by_address: dict[str, dict[str, Any]] = {}
            for instance in instances:
                for interface in instance.get("NetworkInterfaces", []):
                    for address in interface.get("PrivateIpAddresses", []):
                        by_address[address["PrivateIpAddress"]] = interface
                    by_address.setdefault(interface.get("PrivateIpAddress", ""), interface)
            return {
                node.name: by_address[node.internal_ips[0]]
                for node in self.nodes
                if node.internal_ips and node.internal_ips[0] in by_address
            }

        return self._cached("interfaces", read)

    def _instances(self) -> list[dict[str, Any]]:
        """All of the cluster's VPC in one question, whatever the number of nodes; else the nodes' by their ids.

        Ids go as a filter: asked for by name, one instance that is gone by now would lose the others.
        """
        try:
            vpc = str(self._cluster().get("resourcesVpcConfig", {}).get("vpcId", ""))
        except NotRead:
            vpc = ""
        ids = [i for node in self.nodes if (i := node.provider_id.rpartition("/")[2]).startswith("i-")]
        name, chunks = ("vpc-id", [[vpc]]) if vpc else ("instance-id", _chunks(ids))
        reservations = [
            row
            for values in chunks
            for row in self.session.pages(
                "ec2",
                "describe_instances",
                "Reservations",
                Filters=[{"Name": name, "Values": values}],
                PaginationConfig={"PageSize": 1000},
            )
        ]
        return [instance for reservation in reservations for instance in reservation.get("Instances", [])]

    def _vpc_id(self) -> str:
        try:
            found = {str(interface["VpcId"]) for interface in self._interfaces().values()}
        except NotRead:
            found = set()  # the cluster tells it too
        if len(found) == 1:
            return found.pop()
        vpc = self._cluster().get("resourcesVpcConfig", {}).get("vpcId", "")
        if not vpc:
            raise NotRead(
                Reason.INVALID, "no node of this cluster was found among the EC2 instances of this account and region"
            )
        return str(vpc)

    def network(self) -> CloudNetwork:
        """All prefixes of the VPC, secondary ones too; subnets of the nodes; the Service range."""
        vpc_id = self._vpc_id()
        prefixes = [
            block["CidrBlock"]
            for vpc in self._tables().vpcs()
            for block in vpc.get("CidrBlockAssociationSet", [])
            if block.get("CidrBlockState", {}).get("State", "associated") == "associated"
        ]
        subnets = {row["SubnetId"]: row["CidrBlock"] for row in self._tables().subnets()}
        used = {str(interface["SubnetId"]) for interface in self._interfaces().values()}
        service = self._cluster().get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
        return CloudNetwork(
            id=vpc_id,
            prefixes=tuple(sorted(prefixes)),
            node_subnets=tuple(sorted(subnets[subnet] for subnet in used if subnet in subnets)),
            service_cidrs=(service,) if service else (),
            peer_prefixes=self._peered(vpc_id),
        )

    def _tables(self) -> VpcTables:
        return VpcTables(self.session, self._cached, self._vpc_id())

    def _peered(self, vpc_id: str) -> tuple[str, ...]:
        prefixes: set[str] = set()
        for row in self._tables().peerings():
            own = row.get("RequesterVpcInfo", {}).get("VpcId") == vpc_id
            if row.get("Status", {}).get("Code") == "active":
                other = row.get("AccepterVpcInfo" if own else "RequesterVpcInfo", {})
                prefixes |= {block["CidrBlock"] for block in other.get("CidrBlockSet", [])}
        return tuple(sorted(prefixes))

    def paths(self, seconds: float) -> CloudPaths:
        """The nodes' places and the VPC around them; what cannot be read within ``seconds`` is ``Unread``."""
        began = time.monotonic()
        tables = self._tables()
        places = attempt(Part("ec2:DescribeInstances", f"DescribeInstances of {tables.vpc}", self._places))
        return CloudPaths(tables.vpc, places, aws=read_network(tables, seconds - (time.monotonic() - began)))

    def _places(self) -> tuple[NodePlace, ...]:
        found = self._interfaces()
        subnets = {name: str(interface.get("SubnetId", "")) for name, interface in found.items()}
        return tuple(sorted(NodePlace(node.name, node.internal_ips, subnets.get(node.name, "")) for node in self.nodes))

    def firewall(self) -> Firewall:
        """Every group on the nodes' interfaces with its rules; nodes whose interface was not found are ``unread``."""
        nodes_of: dict[str, list[str]] = {}
        for node, interface in self._interfaces().items():
            for group in interface.get("Groups", []):
                nodes_of.setdefault(group["GroupId"], []).append(node)
        groups = self.groups(nodes_of)
        unread = tuple(node.name for node in self.nodes if node.name not in self._interfaces())
        return Firewall(groups=groups, unread=unread)

    def groups(self, nodes_of: dict[str, list[str]]) -> tuple[FirewallGroup, ...]:
        """Security groups by id, with the nodes each covers."""
        if not nodes_of:
            return ()
        ids = sorted(nodes_of)
        described = self.session.pages("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids)
        expand = VpcTables(self.session, self._cached, "").prefix_list
        filters = [{"Name": "group-id", "Values": ids}]
        rows = self.session.pages("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters)
        return tuple(
            FirewallGroup(
                id=group["GroupId"],
                name=clean(group.get("GroupName", ""), 120),
                kind="sg",
                nodes=tuple(sorted(nodes_of[group["GroupId"]])),
                rules=tuple(sorted(rule_from(row, expand) for row in rows if row["GroupId"] == group["GroupId"])),
                managed_by=owner_of(group.get("Tags", [])),
            )
            for group in sorted(described, key=lambda item: str(item["GroupId"]))
        )

    def vpn(self) -> tuple[VpnConnection, ...]:
        """Connections of the VPC's virtual private gateways; their keys were left out where they came in."""
        rows = (row for row in self._tables().vpns() if row.get("VpnGatewayId") and row.get("State") != "deleting")
        return tuple(sorted(_connection(row) for row in rows))

    def load_balancer(self, server: MeshApiServer) -> LoadBalancer | None:
        """The balancer whose DNS name the Service has."""
        return AwsBalancers(self.session, self.groups).find(server)


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]


def _connection(row: dict[str, Any]) -> VpnConnection:
    telemetry = row.get("VgwTelemetry", [])
    routes = [route["DestinationCidrBlock"] for route in row.get("Routes", []) if route.get("State") == "available"]
    messages = ", ".join(
        sorted({clean(str(item.get("StatusMessage", "")), 60) for item in telemetry if item.get("StatusMessage")})
    )
    return VpnConnection(
        id=row["VpnConnectionId"],
        state=str(row.get("State", "")),
        tunnels_up=sum(item.get("Status") == "UP" for item in telemetry),
        tunnels=len(telemetry),
        static_prefixes=tuple(sorted(routes)),
        detail=messages,
    )
