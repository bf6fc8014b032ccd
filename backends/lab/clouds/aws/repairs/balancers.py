"""Load balancers and peerings: provisioning takes time, targets are healthy when a probe gets there, all CIDRs."""

from collections.abc import Callable
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnection
from moto.ec2.responses import EC2Response
from moto.elb.models import ELBBackend
from moto.elbv2.models import FakeHealthStatus, FakeLoadBalancer, FakeTargetGroup

HEALTH: Final[dict[str, Callable[[str, str, int], bool]]] = {}
"""By account: whether a probe of a load balancer (ARN or classic name) gets to an instance at a port."""


def apply() -> None:
    """See the module."""
    # moto makes a balancer active when it is first looked at; here it becomes so when lab time says.
    FakeLoadBalancer.activate = lambda self: None  # type: ignore[method-assign]  # a repair
    _target_health()
    _instance_health()
    EC2Response.describe_vpc_peering_connections = describe_vpc_peering_connections  # type: ignore[method-assign]  # a repair
    for side, vpc in (("requester_vpc_info", "vpc"), ("accepter_vpc_info", "peer_vpc")):
        setattr(VPCPeeringConnection, side, _with_all_cidrs(getattr(VPCPeeringConnection, side), vpc))


def _target_health() -> None:
    original = FakeTargetGroup.health_for

    def health_for(self: Any, target: dict[str, Any], ec2_backend: Any) -> Any:
        status = original(self, target, ec2_backend)
        probe = HEALTH.get(self.account_id)
        if status.status != "healthy" or probe is None or not self.load_balancer_arns:
            return status
        port = int(status.port)
        if probe(self.load_balancer_arns[0], status.instance_id, port):
            return status
        return FakeHealthStatus(
            status.instance_id,
            status.port,
            self.health_check_port,
            "unhealthy",
            "Target.FailedHealthChecks",
            "Health checks failed",
        )

    FakeTargetGroup.health_for = health_for  # type: ignore[method-assign]  # a repair


def _instance_health() -> None:
    original = ELBBackend.describe_instance_health

    def describe_instance_health(self: Any, lb_name: str, instances: list[dict[str, str]]) -> list[dict[str, Any]]:
        rows = original(self, lb_name, instances)
        probe = HEALTH.get(self.account_id)
        if probe is None:
            return rows
        listeners = self.load_balancers[lb_name].listeners
        for row in rows:
            if row["State"] != "InService" or not listeners:
                continue
            if not probe(lb_name, row["InstanceId"], int(listeners[0].instance_port)):
                row.update(
                    State="OutOfService",
                    ReasonCode="Instance",
                    Description="Instance has failed at least the UnhealthyThreshold number of health checks "
                    "consecutively.",
                )
        return rows

    ELBBackend.describe_instance_health = describe_instance_health  # type: ignore[method-assign]  # a repair


def _with_all_cidrs(original: property, attribute: str) -> property:
    def info(self: Any) -> dict[str, Any]:
        assert original.fget is not None
        vpc = getattr(self, attribute)
        blocks = [{"CidrBlock": entry["cidr_block"]} for entry in vpc.get_cidr_block_association_set(ipv6=False)]
        return {**original.fget(self), "CidrBlockSet": blocks}

    return property(info)


def describe_vpc_peering_connections(self: Any) -> ActionResult:
    """EC2 action DescribeVpcPeeringConnections with its filters, which moto ignores."""
    rows = self.ec2_backend.describe_vpc_peering_connections(
        vpc_peering_ids=self._get_param("VpcPeeringConnectionIds", [])
    )
    filters: dict[str, list[str]] = self._filters_from_querystring()
    return ActionResult({"VpcPeeringConnections": [row for row in rows if _peering_matches(row, filters)]})


def _peering_matches(row: Any, filters: dict[str, list[str]]) -> bool:
    values = {
        "vpc-peering-connection-id": row.id,
        "status-code": row._status.code,
        "requester-vpc-info.vpc-id": row.vpc.id,
        "requester-vpc-info.cidr-block": row.vpc.cidr_block,
        "requester-vpc-info.owner-id": row.vpc.owner_id,
        "accepter-vpc-info.vpc-id": row.peer_vpc.id,
        "accepter-vpc-info.cidr-block": row.peer_vpc.cidr_block,
        "accepter-vpc-info.owner-id": row.peer_vpc.owner_id,
    }
    return all(values.get(name) in wanted for name, wanted in filters.items())
