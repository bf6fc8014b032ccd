"""Facts become sites, and what is not known of them stays unknown."""

import pytest

from mesh import catalogue as fact
from mesh.errors import UsageError
from mesh.facts import Fact, FactKey, FactStore, Known, Origin, Reason, Source, Unknown
from mesh.model.cilium import CiliumSettings
from mesh.model.kubernetes import Node
from mesh.model.site import CloudPaths, Site
from mesh.model.unread import Unread
from mesh.reach.flows import flow_of, sent
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from mesh.reach.rules import Flow
from mesh.reach.sites import site_of
from mesh.subject import OfCluster
from tests.test_mesh.sites import VXLAN, aks, eks

SOURCE = Source(Origin.CLOUD, "test", "test")
CLOUDS = {"aws": "aws:///apne1/i-1", "azure": "azure:///subscriptions/s/x"}


def facts_of(site: Site, cloud: str, **other: Fact) -> dict[str, Fact]:
    """The facts that a site of the evaluator's tests would come from."""
    nodes = tuple(Node(place.name, place.addresses, provider_id=CLOUDS[cloud]) for place in site.nodes)
    paths = CloudPaths(site.network, site.nodes, site.aws, site.azure)
    found = {"nodes": nodes, "cloud.paths": paths, "cloud.firewall": site.firewall}
    return {**{name: Known(value, SOURCE, 1.0) for name, value in found.items()}, **other}


def made(name: str, facts: dict[str, Fact]) -> Site:
    return site_of(FactStore({FactKey(key, OfCluster(name)): value for key, value in facts.items()}), name)


def test_a_site_comes_out_of_its_facts_as_it_went_in() -> None:
    for site, cloud in ((eks(), "aws"), (aks(), "azure")):
        assert made(site.name, facts_of(site, cloud)) == site


@pytest.mark.parametrize(("site", "cloud"), [(eks(), "aws"), (aks(), "azure")], ids=["aws", "azure"])
def test_a_cloud_that_was_not_read_is_not_open_and_says_what_would_lift_it(site: Site, cloud: str) -> None:
    ended = Unknown(Reason.EXPIRED, "the login has ended", "aws sso login --profile mesh")
    lost = {"cloud.paths": ended, "cloud.firewall": ended}
    one = made(site.name, facts_of(site, cloud, **lost))
    other = aks() if cloud == "aws" else eks()
    for ends in ((one.name, other.name), (other.name, one.name)):
        verdict = Reach((one, other)).verdict(*ends, VXLAN)
        assert verdict is not None and verdict.passage is Passage.UNKNOWN
        doubts = [hop for hop in verdict.way.doubts if hop.site == one.name]
        assert doubts and all("aws sso login" in f"{hop.rule} {hop.missing}" for hop in doubts), doubts


def test_places_that_were_not_read_leave_the_addresses() -> None:
    paths = CloudPaths("vpc-1", Unread("ec2:DescribeNetworkInterfaces"), aws=eks().aws)
    site = made("a", facts_of(eks(), "aws", **{"cloud.paths": Known(paths, SOURCE, 1.0)}))
    assert [place.addresses for place in site.nodes] == [place.addresses for place in eks().nodes]
    assert {place.subnet for place in site.nodes} == {""}


def test_clusters_outside_the_clouds_have_no_network_that_is_read() -> None:
    nodes = Known((Node("kind-1", ("172.18.0.2",), provider_id="kind://docker/kind/kind-1"),), SOURCE, 1.0)
    site = made("kind", {"nodes": nodes, "cloud.paths": Known(None, SOURCE, 1.0)})
    assert (site.aws, site.azure, len(site.nodes)) == (None, None, 1)
    verdict = Reach((site, eks())).verdict(site.name, "eks-tokyo", VXLAN)
    assert verdict is not None and verdict.passage is not Passage.OPEN
    assert [hop.kind for hop in verdict.way.doubts] == ["network"]


def test_what_a_mesh_sends_follows_its_settings() -> None:
    assert [str(each.flow) for each in sent(CiliumSettings())] == ["8472/udp", "4240/tcp", "ICMP echo"]
    geneve = CiliumSettings(tunnel_protocol="geneve", tunnel_port=6081, encryption="wireguard", health_checking=False)
    assert [(str(each.flow), each.purpose) for each in sent(geneve)] == [
        ("6081/udp", "Geneve"),
        ("51871/udp", "WireGuard"),
    ]
    assert sent(CiliumSettings(routing_mode="native", encryption="ipsec"))[-1].purpose == "IPsec"
    assert not [each for each in sent(CiliumSettings(routing_mode="native")) if each.flow.protocol == "udp"]


def test_a_flow_is_given_as_port_and_protocol() -> None:
    assert flow_of("8472/UDP") == Flow("udp", 8472) and flow_of("icmp") == Flow("icmp", 8)
    for wrong in ("", "8472", "udp/8472", "0/tcp", "65536/tcp", "8472/sctp", "\uff18/udp"):
        with pytest.raises(UsageError, match="is no port"):
            flow_of(wrong)


def test_catalogue_names() -> None:
    assert (fact.CLOUD_PATHS.name, fact.FIREWALL.name, fact.NODES.name) == ("cloud.paths", "cloud.firewall", "nodes")
