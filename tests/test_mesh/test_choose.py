"""The default goal: what is in force stays, the rest is free of every known range; edits obey their rules."""

from ipaddress import IPv4Network, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh import catalogue as fact
from mesh.choose import NAME, default_goal, edit_problem, free_range
from mesh.errors import UsageError
from mesh.facts import FactKey, FactName, FactStore, Known, Origin, Source
from mesh.goal import Exposure
from mesh.model.cilium import Certificate, CiliumSettings, MeshCertificates
from mesh.model.context import ContextRef, Provider, ServerVersion
from mesh.model.kubernetes import Service
from mesh.model.network import CloudNetwork
from mesh.releases import at_least, is_tested_with, parts, propose
from mesh.subject import OfCluster
from mesh.text import mesh_name


def store(*facts: tuple[FactName[Any], str, Any]) -> FactStore:
    return FactStore(
        {
            FactKey(name.name, OfCluster(cluster)): Known(value, Source(Origin.LIVE), 1.0)
            for name, cluster, value in facts
        }
    )


def fresh(version: str = "v1.32.1", *more: tuple[FactName[Any], str, Any]) -> FactStore:
    return store(
        (fact.VERSION, "eks", ServerVersion(version)),
        (fact.VERSION, "aks", ServerVersion(version)),
        (fact.CONTEXT, "eks", ContextRef("eks", "eks", "f", provider=Provider.EKS)),
        (fact.CONTEXT, "aks", ContextRef("aks", "aks", "f", provider=Provider.AKS)),
        (fact.SETTINGS, "eks", None),
        (fact.SETTINGS, "aks", None),
        (fact.CILIUM_VERSION, "eks", None),
        (fact.CILIUM_VERSION, "aks", None),
        (fact.CLOUD_NETWORK, "eks", CloudNetwork("vpc-1", ("10.120.0.0/14",), service_cidrs=("172.20.0.0/16",))),
        (fact.CLOUD_NETWORK, "aks", CloudNetwork("vnet", ("10.224.0.0/12",), service_cidrs=("10.0.0.0/16",))),
        *more,
    )


def test_ranges_are_free_of_every_network_and_of_each_other() -> None:
    goal = default_goal(fresh(), ("eks", "aks"))
    pods = [ip_network(cidr) for member in goal.members for cidr in member.pod_cidrs]
    taken = [ip_network(text) for text in ("10.120.0.0/14", "10.224.0.0/12", "172.20.0.0/16", "10.0.0.0/16")]
    assert len(pods) == 2
    assert not pods[0].overlaps(pods[1])
    assert not any(pod.overlaps(other) for pod in pods for other in taken)
    assert [member.cluster_id for member in goal.members] == [1, 2]
    assert goal.mtu == 1400 and goal.exposure is Exposure.INTERNAL_LB and goal.ca == "new"


def test_the_service_range_is_guessed_where_no_cloud_tells_it() -> None:
    service = Service("default", "kubernetes", cluster_ip="10.120.0.1")
    goal = default_goal(store((fact.SERVICES, "a", (service,))), ("a",))
    assert not ip_network(goal.members[0].pod_cidrs[0]).overlaps(ip_network("10.120.0.0/16"))


def test_what_is_in_force_stays_and_others_follow_it() -> None:
    running = CiliumSettings(cluster_name="prod", cluster_id=7, tunnel_port=8473, pod_cidrs=("10.50.0.0/16",), mtu=1380)
    authority = MeshCertificates(ca=Certificate("CN=Cilium CA", "CN=Cilium CA", "1", 0, 9e9))
    facts = fresh(
        "v1.32.1",
        (fact.SETTINGS, "aks", running),
        (fact.CILIUM_VERSION, "aks", "1.18.3"),
        (fact.CERTIFICATES, "aks", authority),
    )
    goal = default_goal(facts, ("eks", "aks"))
    eks, aks = goal.members
    assert (aks.name, aks.cluster_id, aks.pod_cidrs, aks.version) == ("prod", 7, ("10.50.0.0/16",), "1.18.3")
    assert aks.sources == {"id": "in force", "name": "in force", "pods": "in force", "version": "in force"}
    assert eks.version == "1.18.3" and eks.sources["version"] == "from aks"
    assert (goal.tunnel_port, goal.mtu, goal.ca) == (8473, 1380, "keep:aks")
    assert eks.cluster_id == 1


def test_node_ports_differ_between_clusters() -> None:
    goal = default_goal(fresh(), ("eks", "aks"), {"exposure": "NodePort"})
    assert len({member.node_port for member in goal.members}) == 2


@pytest.mark.parametrize(
    ("kubernetes", "release"),
    [
        (("v1.26.15-eks-1",), "1.15.1"),
        (("v1.31.2",), "1.18.3"),
        (("v1.34.0", "v1.33.1"), "1.20.2"),
        (("v1.26.0", "v1.29.1"), "1.15.1"),
    ],
)
def test_the_newest_release_tested_with_all_clusters_is_proposed(kubernetes: tuple[str, ...], release: str) -> None:
    assert propose(kubernetes) == release


def test_releases_are_compared_as_numbers() -> None:
    assert parts("v1.19.5-rc.0") == (1, 19, 5)
    assert at_least("1.20.0", "1.9.0") and not at_least("v3.9.4", "3.14.0")
    assert is_tested_with("1.15.19", "1.26.3") is True and is_tested_with("1.15.19", "1.34") is False
    assert is_tested_with("1.14.0", "1.26") is None


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("name.a", "tokyo-1", "default"),
        ("name.a", "x" * 32, "x" * 33),
        ("id.a", "255", "256"),
        ("pods.a", "10.1.0.0/16,10.2.0.0/16", "10.1.0.1/16"),
        ("pods.a", "10.1.0.0/24", "10.1.0.0/25"),
        ("nodeport.a", "32380", "2379"),
        ("version", "1.19.5", "1.13.0"),
        ("mtu", "0", "1200"),
        ("exposure", "NodePort", "public"),
        ("ca", "keep:a", "keep:z"),
        ("certificates", "helm", "certmanager"),
        ("image", "registry.example/nginx:1@sha256", "a b;rm"),
    ],
)
def test_edits_obey_their_rules(field: str, good: str, bad: str) -> None:
    assert edit_problem(field, good, ("a",)) == ""
    assert edit_problem(field, bad, ("a",))
    with pytest.raises(UsageError, match="cannot be used"):
        default_goal(FactStore(), ("a",), {field: bad})


@pytest.mark.parametrize("field", ["colour", "pods.z", "pods", "mtu.a"])
def test_unknown_choices_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match="there is no choice"):
        default_goal(FactStore(), ("a",), {field: "1"})


@given(st.text(max_size=60))
def test_every_key_gives_a_valid_mesh_name(key: str) -> None:
    assert NAME.match(mesh_name(key)) and mesh_name(key) != "default"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(8, 24)), max_size=8))
def test_a_free_range_touches_nothing_taken(blocks: list[tuple[int, int]]) -> None:
    taken = [IPv4Network(f"10.{second}.0.0/{size}", strict=False) for second, size in blocks]
    assert not any(IPv4Network(free_range(taken)).overlaps(other) for other in taken)


def test_no_free_range_is_said() -> None:
    with pytest.raises(UsageError, match="No private /16"):
        free_range([IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "100.64.0.0/10")])
