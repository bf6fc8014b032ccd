"""Network and classic load balancers in moto, with their interfaces, targets and rules."""

import hashlib
import ipaddress
from typing import Any, Final

from backends.lab.clouds.controller import aws_groups
from backends.lab.clouds.controller.aws_balancer import Choice, Notes
from backends.lab.cluster import LabCluster
from backends.lab.objects import Object

_FIRST_HOST: Final = 220
_PUBLIC_BLOCK: Final = int(ipaddress.IPv4Address("54.150.0.0"))


def make_network(
    cluster: LabCluster, service: Object, choice: Choice, subnets: list[Any], nodes: list[Object]
) -> Notes:
    """An NLB with TCP listeners and instance targets."""
    aws = cluster.world.clouds.aws
    name = _nlb_name(service) if choice.by == "lbc" else _uid_name(service)
    with aws.writing():
        elbv2 = aws.elbv2(cluster.region)
        groups = aws_groups.own_groups(cluster, service, choice, name)
        scheme = "internal" if choice.internal else "internet-facing"
        held = elbv2.create_load_balancer(
            name,
            groups,
            [subnet.id for subnet in subnets],
            scheme=scheme,
            loadbalancer_type="network",
            tags=_tags(service),
        )
        # moto knows application load balancers only: arn and name are of that kind.
        del elbv2.load_balancers[held.arn]
        held.arn = held.arn.replace("/app/", "/net/")
        elbv2.load_balancers[held.arn] = held
        held.dns_name = f"{name}-{held.arn.rpartition('/')[2]}.elb.{cluster.region}.amazonaws.com"
        held.security_groups = groups
        notes = Notes(
            "network",
            choice.by,
            choice.internal,
            name,
            held.arn,
            held.dns_name,
            subnets,
            groups=groups,
            own_groups=groups,
        )
        _interfaces(cluster, notes, f"ELB net/{name}/{held.arn.rpartition('/')[2]}", "network_load_balancer")
        _apply_network(cluster, notes, service, nodes)
    return notes


def make_classic(
    cluster: LabCluster, service: Object, choice: Choice, subnets: list[Any], nodes: list[Object]
) -> Notes:
    """A classic load balancer with TCP listeners on node ports."""
    aws = cluster.world.clouds.aws
    name = _uid_name(service)
    with aws.writing():
        groups = aws_groups.classic_group(cluster, service, name)
        held = aws.elb(cluster.region).create_load_balancer(
            name,
            [],
            _classic_ports(service),
            scheme="internal" if choice.internal else "internet-facing",
            subnets=[subnet.id for subnet in subnets],
            security_groups=groups,
        )
        number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10**10
        prefix = "internal-" if choice.internal else ""
        held.dns_name = f"{prefix}{name}-{number}.{cluster.region}.elb.amazonaws.com"
        held.availability_zones = [subnet.availability_zone for subnet in subnets]
        held.ready = False
        notes = Notes(
            "classic", choice.by, choice.internal, name, name, held.dns_name, subnets, groups=groups, own_groups=groups
        )
        _interfaces(cluster, notes, f"ELB {name}", "interface")
        _apply_classic(cluster, notes, service, nodes)
    return notes


def activate(cluster: LabCluster, notes: Notes) -> None:
    """The load balancer starts to work."""
    aws = cluster.world.clouds.aws
    with aws.writing():
        if notes.kind == "network":
            aws.elbv2(cluster.region).load_balancers[notes.key].state = "active"
        else:
            aws.elb(cluster.region).load_balancers[notes.key].ready = True


def change(cluster: LabCluster, notes: Notes, service: Object, nodes: list[Object]) -> None:
    """Listeners, targets and rules anew."""
    with cluster.world.clouds.aws.writing():
        apply = _apply_network if notes.kind == "network" else _apply_classic
        apply(cluster, notes, service, nodes)


def remove(cluster: LabCluster, notes: Notes) -> None:
    """Delete the load balancer and everything made for it."""
    aws = cluster.world.clouds.aws
    with aws.writing():
        ec2 = aws.ec2(cluster.region)
        aws_groups.withdraw(cluster, notes.rules)
        if notes.kind == "network":
            elbv2 = aws.elbv2(cluster.region)
            elbv2.delete_load_balancer(notes.key)
            for arn in notes.target_groups:
                elbv2.target_groups.pop(arn, None)
        else:
            aws.elb(cluster.region).delete_load_balancer(notes.key)
        for card in notes.cards:
            ec2.enis.pop(card, None)
        for group in notes.own_groups:
            if ec2.get_security_group_from_id(group) is not None:
                ec2.delete_security_group(group_id=group)


def _apply_network(cluster: LabCluster, notes: Notes, service: Object, nodes: list[Object]) -> None:
    elbv2 = cluster.world.clouds.aws.elbv2(cluster.region)
    held = elbv2.load_balancers[notes.key]
    held.listeners.clear()
    for arn in notes.target_groups:
        elbv2.target_groups.pop(arn, None)
    notes.target_groups = []
    instances = _instances(nodes)
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol", "TCP")
        mark = hashlib.sha256(f"{notes.key}/{port['port']}/{port['nodePort']}".encode()).hexdigest()[:10]
        group = elbv2.create_target_group(
            f"{notes.name[:20]}-{mark}",
            vpc_id=cluster.facts["vpc_id"],
            protocol=protocol,
            port=str(port["nodePort"]),
            target_type="instance",
        )
        group.register([{"Id": instance, "Port": port["nodePort"]} for instance in instances])
        notes.target_groups.append(group.arn)
        action = {"Type": "forward", "TargetGroupArn": group.arn, "Order": 1}
        elbv2.create_listener(notes.key, protocol, port["port"], None, None, [action])
    aws_groups.withdraw(cluster, notes.rules)
    notes.rules = aws_groups.node_rules(cluster, notes, service, instances)


def _apply_classic(cluster: LabCluster, notes: Notes, service: Object, nodes: list[Object]) -> None:
    elb = cluster.world.clouds.aws.elb(cluster.region)
    held = elb.load_balancers[notes.key]
    wanted = _classic_ports(service)
    present = {(str(one.load_balancer_port), str(one.instance_port)) for one in held.listeners}
    if present != {(str(one["LoadBalancerPort"]), str(one["InstancePort"])) for one in wanted}:
        held.listeners.clear()
        elb.create_load_balancer_listeners(notes.name, wanted)
    held.instance_sparse_ids = _instances(nodes)
    aws_groups.refresh_classic(cluster, notes.groups[0], service)
    aws_groups.withdraw(cluster, notes.rules)
    notes.rules = aws_groups.node_rules(cluster, notes, service, held.instance_sparse_ids)


def _classic_ports(service: Object) -> list[dict[str, Any]]:
    return [
        {
            "Protocol": "TCP",
            "LoadBalancerPort": port["port"],
            "InstancePort": port["nodePort"],
            "InstanceProtocol": "TCP",
        }
        for port in service["spec"].get("ports") or ()
    ]


def _instances(nodes: list[Object]) -> list[str]:
    ids = [str((node.get("spec") or {}).get("providerID", "")).rpartition("/")[2] for node in nodes]
    return sorted(identifier for identifier in ids if identifier.startswith("i-"))


def _interfaces(cluster: LabCluster, notes: Notes, description: str, kind: str) -> None:
    """One interface per subnet, as AWS makes them: requester-managed, with a private and maybe a public address."""
    ec2 = cluster.world.clouds.aws.ec2(cluster.region)
    for number, subnet in enumerate(notes.subnets):
        card = ec2.create_network_interface(
            subnet.id, _free_address(ec2, subnet), group_ids=list(notes.groups), description=description
        )
        if not notes.groups:
            card._group_set = []  # moto gives the default group, a balancer without groups has none
        card.interface_type = kind
        card.requester_managed = True
        card.requester_id = "amazon-elb"
        card.status = "in-use"
        if not notes.internal:
            digest = hashlib.sha256(f"{notes.hostname}/{number}".encode()).digest()
            card.public_ip = str(ipaddress.IPv4Address(_PUBLIC_BLOCK + int.from_bytes(digest[:2], "big")))
        notes.cards.append(card.id)


def _free_address(ec2: Any, subnet: Any) -> str:
    taken = {row["PrivateIpAddress"] for card in ec2.enis.values() for row in card.private_ip_addresses}
    size = subnet.cidr.num_addresses
    for host in (*range(min(_FIRST_HOST, size // 2), size - 1), *range(4, size - 1)):
        address = str(subnet.cidr[host])
        if address not in taken:
            return address
    raise ValueError(f"{subnet.id} has no free address")


def _nlb_name(service: Object) -> str:
    """``k8s-NAMESPACE-NAME-HASH`` with eight letters of each, as the AWS Load Balancer Controller names them."""
    meta = service["metadata"]
    mark = hashlib.sha256(meta["uid"].encode()).hexdigest()[:10]
    space, name = ("".join(letter for letter in meta[key] if letter.isalnum())[:8] for key in ("namespace", "name"))
    return f"k8s-{space}-{name}-{mark}"


def _uid_name(service: Object) -> str:
    """``a`` and the Service's uid, cut to 32 letters, as the in-tree controller names them."""
    return f"a{service['metadata']['uid']}".replace("-", "")[:32]


def _tags(service: Object) -> list[dict[str, str]]:
    meta = service["metadata"]
    return [{"Key": "kubernetes.io/service-name", "Value": f"{meta['namespace']}/{meta['name']}"}]
