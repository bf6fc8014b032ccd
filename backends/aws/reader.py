"""An EKS cluster's account, VPC, rules, VPN and load balancers, read through boto3 (cloud-network §1.2, §2)."""

from typing import Any

from backends.aws.balancers import AwsBalancers
from backends.aws.rules import owner_of, rule_from
from backends.aws.session import AwsSession, argument
from mesh.facts import Reason
from mesh.model.cilium import MeshApiServer
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import Node
from mesh.model.network import CloudIdentity, CloudNetwork, Firewall, FirewallGroup, LoadBalancer, VpnConnection
from mesh.reading import Cached, NotRead
from mesh.text import clean

_CHUNK = 100


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
            ids = [i for node in self.nodes if (i := node.provider_id.rpartition("/")[2]).startswith("i-")]
            instances: list[dict[str, Any]] = []
            for start in range(0, len(ids), _CHUNK):
                pages = self.session.pages(
                    "ec2", "describe_instances", "Reservations", InstanceIds=ids[start : start + _CHUNK]
                )
                instances += [instance for reservation in pages for instance in reservation["Instances"]]
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

    def _vpc_id(self) -> str:
        found = {str(interface["VpcId"]) for interface in self._interfaces().values()}
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
        vpcs = self.session.pages("ec2", "describe_vpcs", "Vpcs", VpcIds=[vpc_id])
        prefixes = [
            block["CidrBlock"]
            for vpc in vpcs
            for block in vpc.get("CidrBlockAssociationSet", [])
            if block.get("CidrBlockState", {}).get("State", "associated") == "associated"
        ]
        subnets = self._subnets(vpc_id)
        used = {str(interface["SubnetId"]) for interface in self._interfaces().values()}
        service = self._cluster().get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
        return CloudNetwork(
            id=vpc_id,
            prefixes=tuple(sorted(prefixes)),
            node_subnets=tuple(sorted(subnets[subnet] for subnet in used if subnet in subnets)),
            service_cidrs=(service,) if service else (),
            peer_prefixes=self._peered(vpc_id),
        )

    def _subnets(self, vpc_id: str) -> dict[str, str]:
        def read() -> dict[str, str]:
            filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
            rows = self.session.pages("ec2", "describe_subnets", "Subnets", Filters=filters)
            return {row["SubnetId"]: row["CidrBlock"] for row in rows}

        return self._cached("subnets", read)

    def _peered(self, vpc_id: str) -> tuple[str, ...]:
        prefixes: set[str] = set()
        for side, other in (("requester", "AccepterVpcInfo"), ("accepter", "RequesterVpcInfo")):
            filters = [{"Name": f"{side}-vpc-info.vpc-id", "Values": [vpc_id]}]
            rows = self.session.pages(
                "ec2", "describe_vpc_peering_connections", "VpcPeeringConnections", Filters=filters
            )
            for row in rows:
                if row.get("Status", {}).get("Code") == "active":
                    prefixes |= {block["CidrBlock"] for block in row.get(other, {}).get("CidrBlockSet", [])}
        return tuple(sorted(prefixes))

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
        filters = [{"Name": "group-id", "Values": ids}]
        rows = self.session.pages("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters)
        return tuple(
            FirewallGroup(
                id=group["GroupId"],
                name=clean(group.get("GroupName", ""), 120),
                kind="sg",
                nodes=tuple(sorted(nodes_of[group["GroupId"]])),
                rules=tuple(
                    sorted(rule_from(row, self._prefix_list) for row in rows if row["GroupId"] == group["GroupId"])
                ),
                managed_by=owner_of(group.get("Tags", [])),
            )
            for group in sorted(described, key=lambda item: str(item["GroupId"]))
        )

    def _prefix_list(self, list_id: str) -> tuple[str, ...] | None:
        try:
            rows = self.session.pages("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=list_id)
        except NotRead:
            return None
        return tuple(row["Cidr"] for row in rows)

    def vpn(self) -> tuple[VpnConnection, ...]:
        """Connections of the VPC's virtual private gateways. The answer carries pre-shared keys: only these fields
        leave.
        """
        filters = [{"Name": "attachment.vpc-id", "Values": [self._vpc_id()]}]
        gateways = [
            row["VpnGatewayId"]
            for row in self.session.pages("ec2", "describe_vpn_gateways", "VpnGateways", Filters=filters)
        ]
        if not gateways:
            return ()
        filters = [{"Name": "vpn-gateway-id", "Values": gateways}]
        rows = self.session.pages("ec2", "describe_vpn_connections", "VpnConnections", Filters=filters)
        return tuple(sorted(_connection(row) for row in rows if row.get("State") not in ("deleted", "deleting")))

    def load_balancer(self, server: MeshApiServer) -> LoadBalancer | None:
        """The balancer whose DNS name the Service has."""
        return AwsBalancers(self.session, self.groups).find(server)


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
