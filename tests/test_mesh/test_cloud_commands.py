"""Commands for AWS and Azure that the product shows are such as the clouds' own programs take."""

import re
import shlex
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.engine import evaluate
from mesh.model.network import FirewallRule
from mesh.remedies import REMEDIES
from tests import aws_command, az_command
from tests.aws_command import BadCommand
from tests.test_mesh.cases import CASES
from tests.test_mesh.changes import T
from tests.test_mesh.faults import FAULTS
from tests.test_mesh.test_join import plan_of
from tests.test_mesh.test_remedies import BROKEN
from tests.test_mesh.worlds import SHAPES, World

CHECKED = {"aws": aws_command.check, "az": az_command.check}
# What stands in angle brackets in a remedy is told by a cluster; a number is a good value of any kind.
_HOLE = re.compile(r"<[^>]*>")


def untold(world: World) -> None:
    """Nobody told what the prefix lists of Tokyo's rules hold, nor its load balancer's scheme."""
    world.change(fact.LOAD_BALANCER, T, internal=None)
    firewall = world.get(fact.FIREWALL, T)
    groups = [replace(group, rules=tuple(map(listed, group.rules))) for group in firewall.groups]
    world.put(fact.FIREWALL, T, replace(firewall, groups=tuple(groups)))


def listed(rule: FirewallRule) -> FirewallRule:
    return replace(rule, sources=(), peers=("pl-0a1b2c",)) if rule.sources else rule


def worlds() -> Iterator[World]:
    yield from (case.world() for case in (*CASES, *FAULTS.values()))
    yield from (make() for make in SHAPES.values())
    for _, shape, change in (*BROKEN.values(), ("", "connected", untold)):
        world = SHAPES[shape]()
        change(world)
        yield world


def shown() -> Iterator[tuple[str, ...]]:
    """Every command of a finding, a plan's step or a page of ``explain``."""
    for world in worlds():
        for finding in evaluate(world.judged(), world.clusters):
            yield from (command.argv for fix in finding.fixes for command in fix.commands)
    for make in SHAPES.values():
        yield from (command.argv for step in plan_of(make()).steps for command in step.commands)
    for remedies in REMEDIES.values():
        yield from (tuple(shlex.split(_HOLE.sub("443", line))) for one in remedies for line in one.lines)


def test_every_command_for_a_cloud_is_one_that_its_program_takes() -> None:
    seen: dict[str, set[tuple[str, ...]]] = {name: set() for name in CHECKED}
    for argv in shown():
        if argv[0] in CHECKED:
            seen[argv[0]].add(argv)
    bad = []
    for program, commands in seen.items():
        for argv in sorted(commands):
            try:
                CHECKED[program](argv)
            except BadCommand as error:
                bad.append(f"{shlex.join(argv)}: {error}")
    assert not bad, "\n".join(bad)
    assert {" ".join(argv[1:3]) for argv in seen["aws"]} >= {
        "ec2 authorize-security-group-ingress",
        "ec2 authorize-security-group-egress",
        "ec2 describe-security-group-rules",
        "elbv2 describe-load-balancers",
        "eks update-kubeconfig",
        "sts get-caller-identity",
    }
    assert {words for argv in seen["az"] if (words := az_command.command_of(argv))} == set(az_command.COMMANDS)


PERMISSION = 'IpProtocol=udp,FromPort=8472,ToPort=8472,IpRanges=[{CidrIp=10.0.0.0/16,Description="a [b], c"}]'
OPEN = ("aws", "ec2", "authorize-security-group-ingress", "--group-id", "sg-1", "--ip-permissions", PERMISSION)


def test_a_rule_is_read_as_the_service_gets_it() -> None:
    service, operation, given = aws_command.call(OPEN)
    assert (service, operation) == ("ec2", "AuthorizeSecurityGroupIngress")
    ranges = [{"CidrIp": "10.0.0.0/16", "Description": "a [b], c"}]
    wanted = {"IpProtocol": "udp", "FromPort": 8472, "ToPort": 8472, "IpRanges": ranges}
    assert given == {"GroupId": "sg-1", "IpPermissions": [wanted]}
    command = ("aws", "ec2", "describe-security-group-rules", "--filters", "Name=group-id,Values=sg-1,sg-2")
    assert aws_command.call(command)[2] == {"Filters": [{"Name": "group-id", "Values": ["sg-1", "sg-2"]}]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("authorize-security-group-ingress", "authorize-security-group"),
        ("--group-id", "--group"),
        ("sg-1", ""),
        (PERMISSION, PERMISSION.replace("CidrIp", "Cidr")),
        (PERMISSION, PERMISSION.replace("8472", "vxlan")),
        (PERMISSION, PERMISSION.replace("IpRanges=[", "IpRanges=[[")),
        (PERMISSION, PERMISSION.replace("}]", "}")),
    ],
)
def test_what_aws_does_not_take_is_told(old: str, new: str) -> None:
    with pytest.raises(BadCommand):
        aws_command.check([new if word == old else word for word in OPEN])


RULE = shlex.split(
    "az network nsg rule create -g rg --nsg-name nsg -n meshwright-udp-8472-in --priority 300 --direction Inbound"
    " --access Allow --protocol Udp --source-address-prefixes 10.0.0.0/16 10.1.0.0/16 --destination-port-ranges 8472"
)


@pytest.mark.parametrize(
    ("old", "new"),
    [("rule", "rules"), ("--nsg-name", "--nsg"), ("rg", ""), ("300", "0"), ("Udp", "UDP"), ("Inbound", "In")],
)
def test_what_azure_does_not_take_is_told(old: str, new: str) -> None:
    az_command.check(RULE)
    with pytest.raises(BadCommand):
        az_command.check([new if word == old else word for word in RULE])
