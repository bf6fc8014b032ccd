"""Values as helm merges, types and refuses them (cilium-clustermesh §1.1, §2.6)."""

from typing import Any

import pytest

from backends.lab.charts import ChartError, ChartVersion, default_values
from backends.lab.charts.strvals import AssignmentError, assign
from backends.lab.charts.trees import coalesce, dig, leaves, overlay, plant, reuse
from tests.test_lab.charting import MEMBER, MINORS, config, rendered

VALIDATE = "cilium/templates/validate.yaml"


@pytest.mark.parametrize(
    ("line", "tree"),
    [
        ("a.b=1,c=true", {"a": {"b": 1}, "c": True}),
        ("a=null", {"a": None}),
        ("a=01,b=1.5", {"a": "01", "b": "1.5"}),
        ("a={x,y}", {"a": ["x", "y"]}),
        ("a={},b={x,}", {"a": [""], "b": ["x", ""]}),
        ("a[1].b=2", {"a": [None, {"b": 2}]}),
        (r"a\.b=c\,d", {"a.b": "c,d"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a.b.c=1,a.b.d=2", {"a": {"b": {"c": 1, "d": 2}}}),
    ],
)
def test_assignments(line: str, tree: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    assign(line, found)
    assert found == tree


def test_assignments_as_text_only() -> None:
    found: dict[str, Any] = {}
    assign("a=1,b=true,c=null", found, strings=True)
    assert found == {"a": "1", "b": "true", "c": "null"}


@pytest.mark.parametrize(
    ("line", "words"),
    [("a", 'key "a" has no value'), ("a,b=1", 'key "a" has no value (cannot end with ,)'), ("a[x]=1", "strconv.Atoi")],
)
def test_assignments_that_are_refused(line: str, words: str) -> None:
    with pytest.raises(AssignmentError) as refused:
        assign(line, {})
    assert words in str(refused.value)


def test_merging_of_files_defaults_and_old_values() -> None:
    """Tables merge, lists and scalars replace; a null takes away a default, but only where values meet defaults."""
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 2}
    top = {"a": {"c": [3], "e": 5}, "d": None}
    assert overlay(base, top) == {"a": {"b": 1, "c": [3], "e": 5}, "d": None}
    assert coalesce(base, top) == {"a": {"b": 1, "c": [3], "e": 5}}
    assert reuse(top, base) == {"a": {"b": 1, "c": [3], "e": 5}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 2}, "what is merged stays as it was"


def test_null_defaults_are_kept_by_helm_3_and_dropped_by_helm_4() -> None:
    defaults = {"a": None, "b": {"c": None, "d": 1}}
    assert coalesce(defaults, {}) == defaults
    assert coalesce(defaults, {}, keep_null=False) == {"b": {"d": 1}}


def test_paths() -> None:
    tree: dict[str, Any] = {}
    plant(tree, "a.b.c", 1)
    assert (dig(tree, "a.b.c"), dig(tree, "a.x.c", 5), dig(tree, "a.b.c.d")) == (1, 5, None)
    assert dict(leaves({"a": {"b": 1, "c": {}}, "d": []})) == {"a.b": 1, "a.c": {}, "d": []}


def test_defaults_are_everybody_s_own() -> None:
    version = ChartVersion.parse("1.20.2")
    default_values(version)["cluster"]["name"] = "changed"
    assert default_values(version)["cluster"]["name"] == "default"


def test_defaults_that_changed_with_the_versions() -> None:
    def default(path: str) -> list[Any]:
        return [dig(default_values(ChartVersion.parse(version)), path) for version in MINORS]

    assert default("clustermesh.apiserver.kvstoremesh.enabled") == [False, True, True, True, True, True]
    assert default("clustermesh.apiserver.tls.auto.certValidityDuration") == [1095] * 5 + [365]
    assert default("clustermesh.maxConnectedClusters") == [255] * 6
    assert default("clustermesh.apiserver.service.type") == ["NodePort"] * 6


def test_the_default_name_with_an_id_is_refused_since_1_16() -> None:
    for version in MINORS[1:]:
        with pytest.raises(ChartError, match=r"cannot use default value with cluster\.id != 0") as refused:
            rendered(version, {"cluster": {"id": 3}})
        assert f"execution error at ({VALIDATE}:" in str(refused.value)
    assert config("1.15.19", {"cluster": {"id": 3}})["cluster-name"] == "default"


def test_no_chart_minds_an_id_beyond_the_limit() -> None:
    """It is the agent that will not start with it (R02)."""
    for version in MINORS:
        assert config(version, {"cluster": {"name": "east", "id": 256}})["cluster-id"] == "256"


@pytest.mark.parametrize("name", ["East", "a_b", "-a", "a" * 33])
def test_names_that_no_peer_could_use(name: str) -> None:
    with pytest.raises(ChartError, match="The cluster name is invalid"):
        rendered("1.20.2", MEMBER, {"cluster": {"name": name}})


def test_more_clusters_need_the_other_limit() -> None:
    limit = {"clustermesh": {"maxConnectedClusters": 511}}
    assert config("1.20.2", MEMBER, limit, {"cluster": {"id": 511}})["max-connected-clusters"] == "511"
    with pytest.raises(ChartError):
        rendered("1.20.2", MEMBER, {"clustermesh": {"maxConnectedClusters": 300}})


def test_types_are_checked_since_1_16() -> None:
    """Several problems below one table stand under a line of their own."""
    values = {"cluster": {"id": "x"}, "clustermesh": {"apiserver": {"service": {"type": 3, "annotations": []}}}}
    with pytest.raises(ChartError) as refused:
        rendered("1.20.2", values)
    lines = str(refused.value).splitlines()
    assert lines[:2] == [
        "values don't meet the specifications of the schema(s) in the following chart(s):",
        "cilium:",
    ]
    assert "- at '/cluster/id': got string, want integer" in lines
    assert "- at '/clustermesh/apiserver/service/type': got number, want string" in lines
    both = {"clustermesh": {"apiserver": {"service": {"type": 3, "externalTrafficPolicy": "Nowhere"}}}}
    with pytest.raises(ChartError) as refused:
        rendered("1.20.2", MEMBER, both)
    assert str(refused.value).splitlines()[2:] == [
        "- at '/clustermesh/apiserver/service': validation failed",
        "  - at '/clustermesh/apiserver/service/externalTrafficPolicy': value must be one of 'Local', 'Cluster'",
        "  - at '/clustermesh/apiserver/service/type': got number, want string",
    ]


def test_native_routing_wants_its_range() -> None:
    values = {"routingMode": "native", "enableIPv4Masquerade": True}
    with pytest.raises(ChartError):
        rendered("1.18.3", MEMBER, values)
    given = {"ipv4NativeRoutingCIDR": "10.0.0.0/8"}
    assert config("1.18.3", MEMBER, values, given)["ipv4-native-routing-cidr"] == "10.0.0.0/8"


def test_a_whole_release_s_values_do_not_fit_a_much_newer_chart() -> None:
    """``--reuse-values`` keeps the old chart's defaults, which the new one's schema refuses."""
    old = coalesce(default_values(ChartVersion.parse("1.15.19")), MEMBER)
    with pytest.raises(ChartError, match=r"at '/imagePullSecrets': got null, want array"):
        rendered("1.20.2", MEMBER, defaults=old)
