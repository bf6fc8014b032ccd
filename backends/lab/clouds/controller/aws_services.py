"""Which AWS load balancer a Service becomes, and with which scheme: two controllers that read different annotations.

Source: cloud-network §4.6, cilium-clustermesh §3.2.
"""

from typing import Any, Final

from backends.lab.clouds.controller import aws_making
from backends.lab.clouds.controller.aws_balancer import Choice
from backends.lab.clouds.controller.lifecycle import CannotBalance, Made, annotation
from backends.lab.cluster import LabCluster
from backends.lab.objects import Object

_PREFIX: Final = "service.beta.kubernetes.io/aws-load-balancer-"
_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")
_CLASS: Final = "service.k8s.aws/nlb"


class AwsServices:
    """The controller that is installed in the cluster: ``facts["aws_lb_controller"]`` says which.

    ``facts["nlb_security_groups"]`` lets the AWS Load Balancer Controller give its load balancers groups of their own,
    as it does from 2.6 on.
    """

    def __init__(self, cluster: LabCluster) -> None:
        self._cluster = cluster
        self.delay = 4.0

    @property
    def _lbc(self) -> bool:
        return bool(self._cluster.facts.get("aws_lb_controller"))

    @property
    def component(self) -> str:
        """The event source."""
        return "service" if self._lbc else "service-controller"

    @property
    def finalizer(self) -> str:
        """What holds a Service until its load balancer is gone."""
        return "service.k8s.aws/resources" if self._lbc else "service.kubernetes.io/load-balancer-cleanup"

    def wants(self, service: Object) -> bool:
        """Type LoadBalancer and not meant for another controller."""
        spec = service["spec"]
        if spec.get("type") != "LoadBalancer":
            return False
        given = spec.get("loadBalancerClass")
        if self._lbc:
            return given in (None, _CLASS)
        # The in-tree controller leaves Services alone whose type says that somebody else makes the balancer.
        return given is None and annotation(service, _PREFIX + "type") not in ("external", "nlb-ip")

    def shape(self, service: Object) -> object:
        """The scheme under the AWS Load Balancer Controller; the in-tree one never looks again."""
        if not self._lbc:
            return None
        return (annotation(service, _PREFIX + "scheme"), annotation(service, _PREFIX + "internal"))

    def make(self, service: Object, nodes: list[Object]) -> Made:
        """Choose, find subnets, create."""
        choice = self.choose(service)
        subnets = self._subnets(choice)
        notes: Any
        if choice.kind == "network":
            notes = aws_making.make_network(self._cluster, service, choice, subnets, nodes)
            active = 90.0
        else:
            notes = aws_making.make_classic(self._cluster, service, choice, subnets, nodes)
            active = 25.0
        return Made([{"hostname": notes.hostname}], active, notes)

    def choose(self, service: Object) -> Choice:
        """Kind and scheme by the annotations that the installed controller knows. Raises ``CannotBalance``."""
        internal = annotation(service, _PREFIX + "internal")
        if self._lbc:
            scheme = annotation(service, _PREFIX + "scheme")
            if scheme not in (None, "internal", "internet-facing"):
                raise CannotBalance("FailedBuildModel", f"Failed build model due to unknown scheme: {scheme}")
            if scheme is None and internal is not None and internal not in _TRUE + _FALSE:
                raise CannotBalance(
                    "FailedBuildModel",
                    f"Failed build model due to failed to parse bool annotation, {_PREFIX}internal: {internal}: "
                    f'strconv.ParseBool: parsing "{internal}": invalid syntax',
                )
            public = scheme == "internet-facing" or (scheme is None and internal in _FALSE)
            return Choice("network", "lbc", not public)
        kind = "network" if annotation(service, _PREFIX + "type") == "nlb" else "classic"
        return Choice(kind, "in-tree", internal not in (None, "", "false"))

    def _subnets(self, choice: Choice) -> list[Any]:
        """One subnet per zone that carries the role's tag. Raises ``CannotBalance``."""
        ec2 = self._cluster.world.clouds.aws.ec2(self._cluster.region)
        role = "kubernetes.io/role/" + ("internal-elb" if choice.internal else "elb")
        found: dict[str, Any] = {}
        rows = [subnet for zone in ec2.subnets.values() for subnet in zone.values()]
        for subnet in sorted(rows, key=lambda one: str(one.id)):
            tags = {tag["key"]: tag["value"] for tag in subnet.get_tags()}
            if subnet.vpc_id == self._cluster.facts["vpc_id"] and tags.get(role) in ("", "1"):
                found.setdefault(subnet.availability_zone, subnet)
        if found:
            return [found[zone] for zone in sorted(found)]
        if choice.by == "lbc":
            raise CannotBalance(
                "FailedBuildModel",
                f"Failed build model due to unable to resolve at least one subnet (0 match VPC and tags: [{role}])",
            )
        raise CannotBalance(
            "SyncLoadBalancerFailed",
            "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for "
            "creating the ELB",
        )

    def activate(self, made: Made) -> None:
        """Provisioning is over."""
        aws_making.activate(self._cluster, made.notes)

    def change(self, made: Made, service: Object, nodes: list[Object]) -> None:
        """Targets, listeners and rules as they should be now."""
        aws_making.change(self._cluster, made.notes, service, nodes)

    def remove(self, made: Made) -> None:
        """Everything that was made, rules in others' groups too."""
        aws_making.remove(self._cluster, made.notes)
