"""What the lab's Cilium chart renders, version by version (cilium-clustermesh §1.4, §2)."""

from typing import Any

import pytest

from backends.lab.charts import NEWEST, ChartVersion, UnknownVersion, default_values, render
from backends.lab.charts.render import INSTALL_ORDER
from tests.test_lab.charting import MEMBER, MINORS, NOW, config, container, env, find, need, peer, rendered

PEER: dict[str, Any] = {"name": "west", "ips": ["10.9.0.4"], "port": 2379}
PEERS: dict[str, Any] = {"clustermesh": {"config": {"clusters": [PEER]}}}
NO_CACHE: dict[str, Any] = {"clustermesh": {"apiserver": {"kvstoremesh": {"enabled": False}}}}
CRON: dict[str, Any] = {
    "clustermesh": {"apiserver": {"tls": {"auto": {"method": "cronJob", "schedule": "0 0 1 */4 *"}}}}
}


@pytest.mark.parametrize("version", MINORS)
def test_objects_come_in_helm_s_order_and_once(version: str) -> None:
    objects = rendered(version, MEMBER)
    places = [INSTALL_ORDER.index(item["kind"]) for item in objects]
    assert places == sorted(places)
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("version", MINORS)
def test_every_setting_is_text(version: str) -> None:
    """An API server refuses anything else in a ConfigMap."""
    data = config(version, MEMBER)
    assert {key for key, value in data.items() if not isinstance(value, str)} == set()
    assert (data["cluster-name"], data["cluster-id"], data["max-connected-clusters"]) == ("east", "1", "255")


def test_values_reach_the_settings() -> None:
    values = {"routingMode": "native", "ipv4NativeRoutingCIDR": "10.0.0.0/8", "MTU": 1400, "autoDirectNodeRoutes": True}
    for version in MINORS:
        data = config(version, MEMBER, values)
        assert data["routing-mode"] == "native"
        assert data["ipv4-native-routing-cidr"] == "10.0.0.0/8"
        assert data["auto-direct-node-routes"] == "true"
        assert data["mtu"] == "1400"


def test_settings_that_came_and_went() -> None:
    settings = {version: config(version, MEMBER) for version in MINORS}

    def known(key: str) -> list[str]:
        return [version for version in MINORS if key in settings[version]]

    assert known("clustermesh-enable-endpoint-sync") == known("clustermesh-enable-mcs-api") == list(MINORS[1:])
    assert known("policy-default-local-cluster") == list(MINORS[3:])
    assert known("clustermesh-cache-ttl") == list(MINORS[4:])
    assert known("clustermesh-default-global-namespace") == list(MINORS[5:])
    assert known("enable-k8s-terminating-endpoint") == list(MINORS[:3])
    # Encapsulation is on unless native routing is chosen, in every version.
    assert {(data["routing-mode"], data["tunnel-protocol"]) for data in settings.values()} == {("tunnel", "vxlan")}


def test_upgrade_keeps_a_deployment_s_older_choices() -> None:
    fresh = config("1.20.2", MEMBER)
    kept = config("1.20.2", MEMBER, {"upgradeCompatibility": "1.14"})
    assert fresh != kept


@pytest.mark.parametrize("version", MINORS)
def test_envoy_has_its_own_daemon_set_from_1_16_on(version: str) -> None:
    assert (find(rendered(version), "DaemonSet", "cilium-envoy") is not None) == (version >= "1.16")


def test_agents_reach_the_api_server_where_values_say() -> None:
    for version in MINORS:
        objects = rendered(version, MEMBER, {"k8sServiceHost": "api.example", "k8sServicePort": 6443})
        agent = container(need(objects, "DaemonSet", "cilium"), "cilium-agent")
        assert env(agent)["KUBERNETES_SERVICE_HOST"] == "api.example"
        assert env(agent)["KUBERNETES_SERVICE_PORT"] == "6443"
        operator = container(need(objects, "Deployment", "cilium-operator"), "cilium-operator")
        assert env(operator)["KUBERNETES_SERVICE_HOST"] == "api.example"


def test_peers_roll_the_agents_only_without_the_cache() -> None:
    """Host aliases are part of the agent's pod template, so that a new peer restarts every agent (§2.4)."""
    for version in MINORS:
        with_cache = need(rendered(version, MEMBER, PEERS), "DaemonSet", "cilium")
        without = need(rendered(version, MEMBER, PEERS, NO_CACHE), "DaemonSet", "cilium")
        aliases = without["spec"]["template"]["spec"]["hostAliases"]
        assert aliases == [{"ip": "10.9.0.4", "hostnames": ["west.mesh.cilium.io"]}]
        cached = default_values(ChartVersion.parse(version))["clustermesh"]["apiserver"]["kvstoremesh"]["enabled"]
        assert cached == (version >= "1.16")
        assert bool(with_cache["spec"]["template"]["spec"].get("hostAliases")) == (not cached)


def test_mesh_server_is_exposed_as_asked() -> None:
    values = {
        "clustermesh": {
            "apiserver": {
                "service": {"type": "LoadBalancer", "annotations": {"a": "b"}, "externalTrafficPolicy": "Local"}
            }
        }
    }
    for version in MINORS:
        node_port = need(rendered(version, MEMBER), "Service", "clustermesh-apiserver")["spec"]
        assert (node_port["type"], node_port["ports"][0]["nodePort"]) == ("NodePort", 32379)
        service = need(rendered(version, MEMBER, values), "Service", "clustermesh-apiserver")
        assert service["spec"]["type"] == "LoadBalancer"
        assert service["spec"]["externalTrafficPolicy"] == "Local"
        assert service["metadata"]["annotations"]["a"] == "b"
        assert "nodePort" not in service["spec"]["ports"][0]


def test_no_mesh_no_mesh_objects() -> None:
    for version in MINORS:
        names = {item["metadata"]["name"] for item in rendered(version, {"cluster": {"name": "east", "id": 1}})}
        assert not [name for name in names if "mesh" in name]


@pytest.mark.parametrize("version", MINORS)
def test_certificates_by_job(version: str) -> None:
    """A hook of fixed name up to 1.18, afterwards an object whose name follows its spec (§2.7)."""
    objects = rendered(version, MEMBER, CRON)
    jobs = [item for item in objects if item["kind"] == "Job" and "clustermesh" in item["metadata"]["name"]]
    assert len(jobs) == 1
    hook = "helm.sh/hook" in (jobs[0]["metadata"].get("annotations") or {})
    assert hook == (version < "1.19")
    assert (jobs[0]["metadata"]["name"] == "clustermesh-apiserver-generate-certs") == hook
    assert need(objects, "CronJob", "clustermesh-apiserver-generate-certs")["spec"]["schedule"] == "0 0 1 */4 *"
    assert find(objects, "Secret", "clustermesh-apiserver-server-cert") is None


def test_the_job_runs_again_only_when_its_work_changes() -> None:
    def name(*more: dict[str, Any]) -> str:
        found = [item for item in rendered("1.19.5", MEMBER, CRON, *more) if item["kind"] == "Job"]
        return str(next(item["metadata"]["name"] for item in found if "clustermesh" in item["metadata"]["name"]))

    assert name() == name(PEERS) == name({"MTU": 1400})
    assert name() != name(NO_CACHE)
    assert name() != name({"cluster": {"name": "other"}})


def test_kubernetes_too_old_for_the_chart() -> None:
    from backends.lab.charts import ChartError

    with pytest.raises(ChartError, match=r"chart requires kubeVersion: >= 1\.21\.0-0 which is incompatible"):
        rendered("1.19.5", MEMBER, kube_version="v1.20.9")
    assert rendered("1.15.19", MEMBER, kube_version="v1.20.9")


def test_versions() -> None:
    assert str(ChartVersion.parse("v1.16.5")) == "1.16.5"
    for text in ("1.14.3", "1.21.0", "2.0.0", "1.16", "1.16.0-rc.1", "latest"):
        with pytest.raises(UnknownVersion):
            ChartVersion.parse(text)
    assert NEWEST.offered
    assert not ChartVersion(19, 99).offered
    with pytest.raises(UnknownVersion):
        render("1.2.3", {}, lookup=lambda *_: None, now=NOW, kube_version="v1.34.4")


def test_namespace_and_release_are_the_caller_s() -> None:
    objects = rendered("1.20.2", MEMBER, namespace="cilium-system", release="mesh")
    assert need(objects, "DaemonSet", "cilium")["metadata"]["namespace"] == "cilium-system"
    users = need(objects, "ConfigMap", "clustermesh-remote-users")
    assert users["metadata"]["namespace"] == "cilium-system"
    direct = need(rendered("1.20.2", MEMBER, PEERS, namespace="cilium-system"), "Secret", "cilium-clustermesh")
    assert peer(direct, "west")["endpoints"] == ["https://clustermesh-apiserver.cilium-system.svc:2379"]
