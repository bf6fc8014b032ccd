"""Load balancers as packets see them: read out of moto and ARM, and put on the interfaces that are theirs."""

from typing import Any

from backends.lab.clouds.aws.account import AwsAccount
from backends.lab.clouds.azure.rendering import reference
from backends.lab.clouds.azure.subscription import AzureSubscription, Document
from backends.lab.network.places import Balancer, Interface, Pool
from backends.lab.network.prefixes import number
from backends.lab.network.vnet import Vnet
from backends.lab.network.vpc import Vpc


def aws_balancers(account: AwsAccount, vpcs: list[Vpc]) -> list[Balancer]:
    """Network and classic load balancers; their interfaces are found by description, as everybody has to."""
    found = []
    by_id = {vpc.id: vpc for vpc in vpcs}
    for region in tuple(account.regions):
        nodes = _instances(account.ec2(region), by_id)
        cards = _by_description(account.ec2(region), by_id)
        for held in list(account.elbv2(region).load_balancers.values()):
            balancer = Balancer(
                held.arn,
                "network",
                _network_listeners(account.elbv2(region), held, nodes),
                held.state == "active",
                held.dns_name.lower(),
                frozenset(held.security_groups or ()),
            )
            _own(balancer, cards.get("ELB " + held.arn.partition("loadbalancer/")[2], []), held.scheme)
            found.append(balancer)
        for held in list(account.elb(region).load_balancers.values()):
            balancer = Balancer(
                held.name,
                "classic",
                _classic_listeners(held, nodes),
                getattr(held, "ready", True),
                held.dns_name.lower(),
                frozenset(held.security_groups),
            )
            _own(balancer, cards.get(f"ELB {held.name}", []), held.scheme)
            found.append(balancer)
    return found


def _instances(ec2: Any, vpcs: dict[str, Vpc]) -> dict[str, Interface]:
    found = {}
    for reservation in list(ec2.reservations.values()):
        for instance in reservation.instances:
            vpc = vpcs.get(instance.vpc_id or "")
            if vpc is not None and instance.state == "running" and instance.private_ip:
                card = vpc.interfaces.get(number(instance.private_ip))
                if card is not None:
                    found[instance.id] = card
    return found


def _by_description(ec2: Any, vpcs: dict[str, Vpc]) -> dict[str, list[Interface]]:
    found: dict[str, list[Interface]] = {}
    for card in list(ec2.enis.values()):
        vpc = vpcs.get(card.subnet.vpc_id)
        if vpc is not None and card.description.startswith("ELB ") and card.private_ip_address:
            found.setdefault(card.description, []).append(vpc.interfaces[number(card.private_ip_address)])
    return found


def _own(balancer: Balancer, cards: list[Interface], scheme: str) -> None:
    for card in cards:
        card.balancer = balancer
        balancer.addresses.append(card.public if scheme == "internet-facing" and card.public else card.address)


def _network_listeners(elbv2: Any, held: Any, nodes: dict[str, Interface]) -> dict[tuple[str, int], Pool]:
    listeners = {}
    for listener in held.listeners.values():
        targets: list[tuple[Interface, int]] = []
        for action in listener.default_actions:
            for arn in elbv2._get_target_group_arns_from(action.data) if action.type == "forward" else ():
                group = elbv2.target_groups.get(arn)
                rows = group.targets.values() if group is not None else ()
                targets += [(nodes[row["Id"]], int(row["Port"])) for row in rows if row["Id"] in nodes]
        protocol = "udp" if listener.protocol == "UDP" else "tcp"
        listeners[protocol, int(listener.port)] = Pool(targets)
    return listeners


def _classic_listeners(held: Any, nodes: dict[str, Interface]) -> dict[tuple[str, int], Pool]:
    cards = [nodes[identifier] for identifier in held.instance_ids if identifier in nodes]
    return {
        ("tcp", int(listener.load_balancer_port)): Pool([(card, int(listener.instance_port)) for card in cards])
        for listener in held.listeners
    }


def azure_balancers(azure: AzureSubscription, vnets: list[Vnet]) -> list[Balancer]:
    """Balancers with their front ends: private ones become interfaces of their VNet."""
    found = []
    subnets = {
        subnet.id: (vnet, subnet)
        for vnet in vnets
        for subnet in {card.subnet.id: card.subnet for card in vnet.interfaces.values()}.values()
    }
    for document in azure.of_type("microsoft.network/loadbalancers"):
        properties = document["properties"]
        pool = _pool_members(document, vnets)
        for front in properties.get("frontendIPConfigurations", []):
            listeners = _azure_listeners(properties, front, pool)
            balancer = Balancer(str(front["id"]), "azure", listeners)
            private = front["properties"].get("privateIPAddress")
            home = subnets.get(reference(front, "subnet"))
            if private and home is not None:
                vnet, subnet = home
                balancer.addresses.append(number(private))
                vnet.interfaces[number(private)] = Interface(
                    number(private), f"{document['name']}/{front['name']}", subnet, balancer=balancer
                )
            public = azure.resources.get(reference(front, "publicIPAddress"))
            if public is not None and public["properties"].get("ipAddress"):
                balancer.addresses.append(number(public["properties"]["ipAddress"]))
            if balancer.addresses:
                found.append(balancer)
    return found


def _pool_members(document: Document, vnets: list[Vnet]) -> list[Interface]:
    """AKS puts every machine of its node resource group into its balancers' pools."""
    group = str(document["id"]).lower().partition("/providers/")[0]
    return [
        card
        for vnet in vnets
        for card in vnet.interfaces.values()
        if card.node and card.subject.startswith(group + "/")
    ]


def _azure_listeners(properties: Document, front: Document, pool: list[Interface]) -> dict[tuple[str, int], Pool]:
    probes = {str(probe["id"]).lower(): int(probe["properties"]["port"]) for probe in properties.get("probes", [])}
    listeners = {}
    for rule in properties.get("loadBalancingRules", []):
        if reference(rule, "frontendIPConfiguration") != str(front["id"]).lower():
            continue
        held = rule["properties"]
        floating = bool(held.get("enableFloatingIP"))
        port = int(held["frontendPort"] if floating else held["backendPort"])
        probe = probes.get(reference(rule, "probe"), 0)
        key = (str(held["protocol"]).lower(), int(held["frontendPort"]))
        listeners[key] = Pool([(card, port) for card in pool], floating, probe)
    return listeners
