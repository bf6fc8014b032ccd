"""How long verdicts of reachability take: two sites of 500 nodes, and a hundred sites of 20 rule classes each.

``python -m tests.bench.reach`` prints the seconds and the memory.
"""

import resource
import time
from collections.abc import Sequence

from msgspec.structs import replace

from mesh.model.network import Firewall, FirewallGroup, FirewallRule
from mesh.model.site import NodePlace, Site
from mesh.model.vpc import AwsNetwork, TgwAttachment, TgwRoute, TgwRouteTable, Vpc, VpcRouteTable, VpcSubnet
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from tests.test_mesh.sites import FLOWS, aks, default_nacl, eks, local, static, with_aws

_ASKS = (("udp", 8472, 8472), ("tcp", 4240, 4240), ("icmp", 8, -1), ("tcp", 2379, 2379))
_LEAVE = FirewallRule("sgr-out", "out", True, "-1", -1, -1, destinations=("0.0.0.0/0",))


def group(number: int, nodes: Sequence[str], peers: tuple[str, ...]) -> FirewallGroup:
    """A security group that is like no other: one port of its own."""
    asks = (*_ASKS, ("tcp", 10000 + number, 10000 + number))
    rules = tuple(FirewallRule(f"sgr-{number}-{n}", "in", True, *ask, peers) for n, ask in enumerate(asks))
    return FirewallGroup(f"sg-{number}", f"class {number}", "sg", tuple(nodes), (*rules, _LEAVE))


def two_large(nodes: int = 500, classes: int = 20) -> tuple[Site, Site]:
    """An EKS and an AKS site of many nodes each, over one VPN; the AKS rules name near ends, as remedies do."""
    aws, azure = eks(), aks()
    places = tuple(
        NodePlace(f"n{i}", (f"192.168.{1 + i // 200}.{1 + i % 200}",), f"subnet-{i % 3}") for i in range(nodes)
    )
    groups = tuple(
        group(n, [item.name for i, item in enumerate(places) if i % classes == n], ("10.224.0.0/12",))
        for n in range(classes)
    )
    subnets = tuple(f"subnet-{n}" for n in range(3))
    aws = with_aws(aws, nacls=(default_nacl(*subnets),), subnets=tuple(VpcSubnet(s, "vpc-1", (), "z") for s in subnets))
    far = tuple(NodePlace(f"m{i}", (f"10.224.{i // 200}.{4 + i % 200}",), azure.nodes[0].subnet) for i in range(nodes))
    narrow = tuple(
        FirewallRule(
            f"r{n}", "in", True, "udp", 8472, 8472, ("192.168.0.0/16",), (), (f"10.224.{n}.0/24",), 200 + n, f"r{n}"
        )
        for n in range(3)
    )
    assert azure.firewall is not None
    nsg = replace(azure.firewall.groups[0], nodes=tuple(item.name for item in far), rules=narrow)
    return (
        replace(aws, nodes=places, firewall=Firewall(groups)),
        replace(azure, nodes=far, firewall=Firewall((nsg,))),
    )


def many(sites: int = 100, classes: int = 20, shut: int = 0) -> list[Site]:
    """VPCs at one transit gateway; every ``shut``-th class does not let its next site in."""
    prefixes = [f"10.{n + 1}.0.0/16" for n in range(sites)]
    attachments = tuple(
        TgwAttachment(f"tgw-attach-{n}", "tgw-1", "vpc", f"vpc-{n}", route_table="tgw-rtb", subnets=(f"subnet-{n}",))
        for n in range(sites)
    )
    routes = tuple(TgwRoute((cidr,), (f"tgw-attach-{n}",), source="vpc") for n, cidr in enumerate(prefixes))
    made = []
    for n, own in enumerate(prefixes):
        peers = tuple(cidr for cidr in prefixes if cidr != own)
        places = tuple(
            NodePlace(f"s{n}-{i}", (f"10.{n + 1}.0.{2 * i + 4}",), f"subnet-{n}") for i in range(2 * classes)
        )
        groups = tuple(
            group(
                n * classes + c,
                [item.name for i, item in enumerate(places) if i % classes == c],
                peers[1:] if shut and (n * classes + c) % shut == 0 else peers,
            )
            for c in range(classes)
        )
        ways = (local(own), *(static(cidr, "tgw", "tgw-1") for cidr in peers))
        network = AwsNetwork(
            vpcs=(Vpc(f"vpc-{n}", (own,)),),
            subnets=(VpcSubnet(f"subnet-{n}", f"vpc-{n}", (), "z"),),
            nacls=(default_nacl(f"subnet-{n}"),),
            route_tables=(VpcRouteTable(f"rtb-{n}", f"vpc-{n}", main=True, routes=ways),),
            tgw_attachments=attachments,
            tgw_route_tables=(TgwRouteTable("tgw-rtb", "tgw-1", routes),),
        )
        made.append(Site(f"s{n}", places, f"vpc-{n}", Firewall(groups), aws=network))
    return made


def judge(sites: Sequence[Site]) -> dict[Passage, int]:
    """Every flow from each site to each other, counted by verdict."""
    reach, found = Reach(sites), dict.fromkeys(Passage, 0)
    for source in sites:
        for target in sites:
            for flow in FLOWS if source is not target else ():
                made = reach.verdict(source.name, target.name, flow)
                assert made is not None
                found[made.passage] += 1
    return found


def main() -> None:
    """Measure and print."""
    shapes = {
        "2 x 500 nodes": two_large(),
        "100 sites x 20 classes": many(),
        "100 sites x 20 classes, one class in seven shut to one site": many(shut=7),
    }
    for name, sites in shapes.items():
        began = time.perf_counter()
        found = judge(sites)
        seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.2f} s, " + ", ".join(f"{count} {passage}" for passage, count in found.items()))
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
