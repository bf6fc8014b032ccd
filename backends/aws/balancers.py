"""Network and classic load balancers behind a Service, and the private addresses they answer on (cloud-network
§4.6).
"""

from collections.abc import Callable
from typing import Any

from backends.aws.session import AwsSession
from mesh.model.cilium import MeshApiServer
from mesh.model.network import FirewallGroup, LoadBalancer

Groups = Callable[[dict[str, list[str]]], tuple[FirewallGroup, ...]]


class AwsBalancers:
    """Looks a host name up among both generations of load balancers."""

    def __init__(self, session: AwsSession, groups: Groups) -> None:
        self.session = session
        self.groups = groups

    def find(self, server: MeshApiServer) -> LoadBalancer | None:
        """The balancer of the Service's host name; None when the account has none of that name (yet)."""
        for host in server.ingress_hostnames:
            found = self._network(host, server) or self._classic(host, server)
            if found:
                return found
        return None

    def addresses(self, host: str) -> tuple[str, ...]:
        """Private addresses behind a host name."""
        server = MeshApiServer(ingress_hostnames=(host,))
        found = self.find(server)
        return found.addresses if found else ()

    def _network(self, host: str, server: MeshApiServer) -> LoadBalancer | None:
        rows = self.session.pages("elbv2", "describe_load_balancers", "LoadBalancers")
        row = next((item for item in rows if str(item.get("DNSName", "")).lower() == host.lower()), None)
        if row is None:
            return None
        arn = row["LoadBalancerArn"]
        targets = self.session.pages("elbv2", "describe_target_groups", "TargetGroups", LoadBalancerArn=arn)
        description = "ELB " + arn.partition("loadbalancer/")[2]
        given = [
            address["PrivateIPv4Address"]
            for zone in row.get("AvailabilityZones", [])
            for address in zone.get("LoadBalancerAddresses", [])
            if address.get("PrivateIPv4Address")
        ]
        own: dict[str, list[str]] = {group: [] for group in row.get("SecurityGroups", [])}
        return LoadBalancer(
            id=row["LoadBalancerName"],
            internal=row.get("Scheme") == "internal",
            addresses=tuple(sorted(given)) or self._interface_addresses(description),
            groups=self.groups(own),
            target_port=next((int(item["Port"]) for item in targets if item.get("Port")), server.node_port),
            # With instance targets an NLB keeps the client's address unless told otherwise.
            preserves_client_ip=all(item.get("TargetType", "instance") == "instance" for item in targets),
            kind="nlb" if row.get("Type") == "network" else str(row.get("Type", "")),
            subnets=self._subnets(
                [zone["SubnetId"] for zone in row.get("AvailabilityZones", []) if zone.get("SubnetId")]
            ),
        )

    def _classic(self, host: str, server: MeshApiServer) -> LoadBalancer | None:
        rows = self.session.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions")
        row = next((item for item in rows if str(item.get("DNSName", "")).lower() == host.lower()), None)
        if row is None:
            return None
        listeners: list[dict[str, Any]] = [item["Listener"] for item in row.get("ListenerDescriptions", [])]
        return LoadBalancer(
            id=row["LoadBalancerName"],
            internal=row.get("Scheme") == "internal",
            addresses=self._interface_addresses(f"ELB {row['LoadBalancerName']}"),
            groups=self.groups({group: [] for group in row.get("SecurityGroups", [])}),
            target_port=next((int(item["InstancePort"]) for item in listeners), server.node_port),
            preserves_client_ip=False,
            kind="classic",
            subnets=self._subnets(row.get("Subnets", [])),
        )

    def _interface_addresses(self, description: str) -> tuple[str, ...]:
        """AWS tells a balancer's addresses only through its interfaces, found by their description."""
        filters = [{"Name": "description", "Values": [description]}]
        rows = self.session.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
        return tuple(sorted(row["PrivateIpAddress"] for row in rows if row.get("PrivateIpAddress")))

    def _subnets(self, ids: list[str]) -> tuple[str, ...]:
        if not ids:
            return ()
        return tuple(
            sorted(row["CidrBlock"] for row in self.session.pages("ec2", "describe_subnets", "Subnets", SubnetIds=ids))
        )
