"""Rules that load balancer controllers write: groups of the balancer's own, and openings in the nodes' group.

A rule for the nodes is written only where exactly one of their groups is meant by it: the only one, or the only one
with the tag ``kubernetes.io/cluster/NAME`` (cloud-network §4.6).
"""

from typing import Any, Final

from backends.lab.clouds.controller.aws_balancer import Choice, Notes
from backends.lab.cluster import LabCluster
from backends.lab.objects import Object

_ANYWHERE: Final = "0.0.0.0/0"
_SHARED: Final = "elbv2.k8s.aws/targetGroupBinding=shared"


def own_groups(cluster: LabCluster, service: Object, choice: Choice, name: str) -> list[str]:
    """The groups of a network load balancer: front end and back end from LBC 2.6 on, else none."""
    if choice.by != "lbc" or not cluster.facts.get("nlb_security_groups"):
        return []
    ec2 = _ec2(cluster)
    front = ec2.create_security_group(
        name, "[k8s] Managed SecurityGroup for LoadBalancer", vpc_id=cluster.facts["vpc_id"], force=True
    )
    back = ec2.create_security_group(
        f"k8s-traffic-{name}", "[k8s] Shared Backend SecurityGroup for LoadBalancer", vpc_id=cluster.facts["vpc_id"]
    )
    for port in service["spec"].get("ports") or ():
        for source in _sources(service):
            _allow(ec2, front.id, "tcp", port["port"], port["port"], source)
    return [front.id, back.id]


def classic_group(cluster: LabCluster, service: Object, name: str) -> list[str]:
    """The group of a classic load balancer."""
    ec2 = _ec2(cluster)
    group = ec2.create_security_group(
        f"k8s-elb-{name}",
        f"Security group for Kubernetes ELB {name} ({service['metadata']['namespace']}/{service['metadata']['name']})",
        vpc_id=cluster.facts["vpc_id"],
        tags={f"kubernetes.io/cluster/{cluster.cloud_name}": "owned"},
    )
    refresh_classic(cluster, group.id, service)
    return [group.id]


def refresh_classic(cluster: LabCluster, group: str, service: Object) -> None:
    """Its rules: the Service's ports and path MTU discovery from every allowed source."""
    ec2 = _ec2(cluster)
    ec2.get_security_group_from_id(group).ingress_rules.clear()
    for source in _sources(service):
        for port in service["spec"].get("ports") or ():
            _allow(ec2, group, "tcp", port["port"], port["port"], source)
        _allow(ec2, group, "icmp", 3, 4, source)


def node_rules(cluster: LabCluster, notes: Notes, service: Object, instances: list[str]) -> list[tuple[str, str]]:
    """Open the nodes for the balancer; returns (group, rule id) of what was added."""
    group = _node_group(cluster, instances)
    if group is None:
        return []
    ec2 = _ec2(cluster)
    ports = [port["nodePort"] for port in service["spec"].get("ports") or ()]
    if notes.kind == "classic":
        return _added(group, [_allow(ec2, group, "-1", None, None, group=notes.groups[0])])
    if notes.groups:
        back = notes.groups[-1]
        return _added(group, [_allow(ec2, group, "tcp", port, port, group=back, note=_SHARED) for port in ports])
    subnets = [subnet.cidr_block for subnet in notes.subnets]
    made = []
    for port in ports:
        for number, source in enumerate(dict.fromkeys([*_clients(cluster, notes, service), *subnets])):
            note = _SHARED
            if notes.by != "lbc":
                what = "client" if number < len(_clients(cluster, notes, service)) else "health"
                note = f"kubernetes.io/rule/nlb/{what}={notes.name}"
            made.append(_allow(ec2, group, "tcp", port, port, source, note=note))
    return _added(group, made)


def _clients(cluster: LabCluster, notes: Notes, service: Object) -> list[str]:
    """Who may come: for an internal balancer the AWS Load Balancer Controller takes the VPC, the in-tree one all."""
    given = list(service["spec"].get("loadBalancerSourceRanges") or ())
    if given:
        return given
    if notes.by == "lbc" and notes.internal:
        vpc = _ec2(cluster).get_vpc(cluster.facts["vpc_id"])
        return [str(block["cidr_block"]) for block in vpc.get_cidr_block_association_set(ipv6=False)]
    return [_ANYWHERE]


def withdraw(cluster: LabCluster, rules: list[tuple[str, str]]) -> None:
    """Take added rules away again; ones that are gone already do not matter."""
    ec2 = _ec2(cluster)
    doomed = {identifier for _, identifier in rules}
    for name in {name for name, _ in rules}:
        group = ec2.get_security_group_from_id(name)
        if group is not None:
            group.ingress_rules[:] = [rule for rule in group.ingress_rules if rule.id not in doomed]


def _node_group(cluster: LabCluster, instances: list[str]) -> str | None:
    ec2 = _ec2(cluster)
    instance = ec2.get_instance_by_id(instances[0]) if instances else None
    if instance is None:
        return None
    groups = sorted({group.id: group for group in instance.nics[0].group_set}.values(), key=lambda one: str(one.id))
    if len(groups) == 1:
        return str(groups[0].id)
    tag = f"kubernetes.io/cluster/{cluster.cloud_name}"
    tagged = [group for group in groups if any(row["key"] == tag for row in group.get_tags())]
    return str(tagged[0].id) if len(tagged) == 1 else None


def _allow(
    ec2: Any,
    target: str,
    protocol: str,
    low: int | None,
    high: int | None,
    source: str = "",
    *,
    group: str = "",
    note: str = "",
) -> str:
    """Add one rule, unless it is there; returns the new rule's id or ""."""
    from moto.ec2.exceptions import InvalidPermissionDuplicateError

    extra = {"Description": note} if note else {}
    try:
        rules, _ = ec2.authorize_security_group_ingress(
            target,
            protocol,
            low,
            high,
            [{"CidrIp": source, **extra}] if source else [],
            source_groups=[{"GroupId": group, **extra}] if group else [],
        )
    except InvalidPermissionDuplicateError:
        return ""
    return str(rules[0].id) if rules else ""


def _added(group: str, identifiers: list[str]) -> list[tuple[str, str]]:
    return [(group, identifier) for identifier in identifiers if identifier]


def _sources(service: Object) -> list[str]:
    return list(service["spec"].get("loadBalancerSourceRanges") or ()) or [_ANYWHERE]


def _ec2(cluster: LabCluster) -> Any:
    return cluster.world.clouds.aws.ec2(cluster.region)
