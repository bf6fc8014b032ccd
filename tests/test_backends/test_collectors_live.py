"""Collectors over a live reader and a server that decides every answer: rights, agents, services, partial denial."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from aiohttp import web

from backends.cilium.agents import Agents
from backends.cilium.installation import Installation
from backends.cilium.meshapi import MeshApi
from backends.gather import ClusterGatherer
from backends.kube.collect.access import Access
from backends.kube.collect.rights import RightsReview
from backends.kube.collect.services import Services
from backends.kube.reader import LiveReader
from mesh import catalogue as fact
from mesh.facts import FactName, FactStore, Known, Origin, Reason, Unknown
from mesh.model import rights
from mesh.model.cilium import AgentStatus
from mesh.model.context import ContextRef, Right
from mesh.model.kubernetes import OwnerKind
from mesh.reading import Collector
from mesh.subject import OfCluster
from tests.test_backends.recorded import RECORDINGS, MachineClock
from tests.test_backends.servers.api import Api, Handler, reading, serving, status
from tests.test_backends.test_kube_execute import SUCCESS, ended, speaking

REF = ContextRef("c", "c", "/kubeconfig")
DAEMON_SETS = "/apis/apps/v1/daemonsets"
SYSTEM = "/apis/apps/v1/namespaces/kube-system"
CONFIG = "/api/v1/namespaces/kube-system/configmaps/cilium-config"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
PODS = "/api/v1/namespaces/kube-system/pods"
STATUS = (RECORDINGS / "agents/1.20.2/healthy/status.json").read_bytes()
HEALTH = (RECORDINGS / "agents/1.20.2/healthy/health.json").read_bytes()


def listed(*items: dict[str, Any]) -> web.Response:
    return web.json_response({"metadata": {"resourceVersion": "1"}, "items": list(items)})


def daemon_set(name: str, **labels: str) -> dict[str, Any]:
    image = "quay.io/cilium/cilium:v1.19.5"
    return {
        "metadata": {"name": name, "namespace": "kube-system", "generation": 2, "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"name": "cilium-agent", "image": image}]}}},
        "status": {"desiredNumberScheduled": 3, "numberReady": 2, "observedGeneration": 1},
    }


def agent(name: str, phase: str = "Running") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "kube-system"}
    return {"metadata": metadata, "spec": {"nodeName": f"node-{name}"}, "status": {"phase": phase}}


@asynccontextmanager
async def cluster(**answers: Any) -> AsyncIterator[tuple[Api, LiveReader]]:
    """A server with an API server's version and Cilium's DaemonSet; everything else is 404."""
    async with serving() as api, reading(api.url, read_seconds=8) as reader:
        api.on("/version", web.json_response({"gitVersion": "v1.34.1", "major": "1", "minor": "34"}))
        api.on("/api/v1/namespaces/kube-system", web.json_response({"metadata": {"uid": "u-1"}}))
        api.on(DAEMON_SETS, listed(daemon_set("cilium", **{"k8s-app": "cilium"})))
        api.on(f"{SYSTEM}/deployments", listed())
        api.on(CONFIG, web.json_response({"metadata": {"name": "cilium-config"}, "data": {"cluster-id": "7"}}))
        api.on(SECRETS, listed())
        yield api, reader


async def gathered(reader: LiveReader, *collectors: Collector) -> FactStore:
    gatherer = ClusterGatherer((Access(), *collectors), lambda _: reader, MachineClock())
    return await gatherer.gather([REF], lambda event: None)


def known(store: FactStore, name: FactName[Any]) -> Any:
    found = store.get(name, OfCluster("c"))
    assert isinstance(found, Known), found
    return found.value


def lost(store: FactStore, name: FactName[Any]) -> Unknown:
    found = store.get(name, OfCluster("c"))
    assert isinstance(found, Unknown), found
    return found


def rules(*given: tuple[str, str, str, list[str]], incomplete: bool = False) -> web.Response:
    found = [
        {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), "resourceNames": names}
        for verbs, group, resources, names in given
    ]
    return web.json_response({"status": {"resourceRules": found, "incomplete": incomplete}})


RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
ASK = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def test_all_rights_and_our_name() -> None:
    async with cluster() as (api, reader):
        api.on(RULES, rules(("*", "*", "*", [])))
        user = {"status": {"userInfo": {"username": "me"}}}
        api.on("/apis/authentication.k8s.io/v1beta1/selfsubjectreviews", web.json_response(user))
        found = known(await gathered(reader, RightsReview()), fact.RIGHTS)
        assert (found.user, found.denied, found.incomplete) == ("me", (), False)
        assert found.granted == rights.APPLY
        assert rights.profile(found) == "operator"


@pytest.mark.parametrize("denied", ["nodes", "leases"])
async def test_an_api_server_that_cannot_be_asked_for_our_name_tells_it_when_it_refuses(denied: str) -> None:
    async def refusing(request: web.Request) -> web.Response:
        words = f'{denied} is forbidden: User "arn:aws:iam::111122223333:user/me" cannot list resource "{denied}"'
        return status(403, words)

    async with cluster() as (api, reader):
        others = {right.resource for right in rights.APPLY} - {denied}
        api.on(RULES, rules(("*", "*", " ".join(others), [])))
        api.on("/api/v1/nodes", refusing)
        api.on("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/meshwright", refusing)
        found = known(await gathered(reader, RightsReview()), fact.RIGHTS)
        assert found.user == "arn:aws:iam::111122223333:user/me"
        assert {right.resource for right in found.denied} == {denied}


async def test_rights_by_namespace_name_and_subresource() -> None:
    async def review(request: web.Request) -> web.Response:
        everywhere: list[tuple[str, str, str, list[str]]] = [
            ("get list watch", "", "nodes namespaces pods services", [])
        ]
        if (await request.json())["spec"]["namespace"] != "kube-system":
            return rules(*everywhere)
        return rules(
            *everywhere,
            ("create", "", "pods/exec", []),
            ("get", "", "configmaps", ["cilium-config", "cilium-root-ca.crt", "other"]),
            ("get", "", "secrets", ["cilium-ca"]),
            ("list", "apps", "*", []),
        )

    async with cluster() as (api, reader):
        api.on(RULES, review)
        found = known(await gathered(reader, RightsReview()), fact.RIGHTS)
        granted = set(found.granted)
        assert {Right("list", "pods"), Right("create", "pods/exec", "", "kube-system")} <= granted
        assert Right("get", "configmaps", "", "kube-system") in granted
        # Named Secrets are not all that is needed; a right in one namespace is not one in all.
        assert Right("get", "secrets", "", "kube-system") in found.denied
        assert Right("list", "daemonsets", "apps") in found.denied
        assert Right("list", "deployments", "apps", "kube-system") in granted
        assert rights.profile(found) == "viewer"


async def test_where_a_webhook_authorizes_each_right_is_asked() -> None:
    async def access(request: web.Request) -> web.Response:
        asked = (await request.json())["spec"]["resourceAttributes"]
        allowed = asked["verb"] in ("get", "list") or asked["subresource"] == "exec"
        return web.json_response({"status": {"allowed": allowed}})

    async with cluster() as (api, reader):
        api.on(RULES, rules(incomplete=True))
        api.on(ASK, access)
        found = known(await gathered(reader, RightsReview()), fact.RIGHTS)
        assert not set(rights.CHECK) & set(found.denied)
        assert not found.incomplete
        assert rights.profile(found) == "diagnoser"
        api.on(ASK, status(500, "no"))
        found = known(await gathered(reader, RightsReview()), fact.RIGHTS)
        assert (found.granted, found.incomplete) == ((), True)


def test_roles_give_what_is_asked_for() -> None:
    text = rights.roles([*rights.EXEC, *rights.SECRETS, Right("list", "nodes")], "meshwright", "it's me")
    assert "kind: ClusterRole\n" in text
    assert "- {apiGroups: [''], resources: [secrets], verbs: [get, list]}" in text
    assert "metadata: {name: meshwright, namespace: kube-system}" in text
    assert "name: 'it''s me'" in text


def test_each_user_has_bindings_of_their_own() -> None:
    """Else ``kubectl apply`` of the roles for one would take them from the other."""
    users = ("ann", "arn:aws:iam::111122223333:user/ann")
    both = [yaml.safe_load_all(rights.roles(rights.CHECK, "meshwright-check", user)) for user in users]
    bindings = [{one["metadata"]["name"] for one in text if one["kind"].endswith("Binding")} for text in both]
    assert bindings == [{"meshwright-check-ann"}, {"meshwright-check-arn:aws:iam::111122223333:user-ann"}]


def test_roles_for_a_user_whose_name_was_not_told_say_how_to_find_it_out() -> None:
    text = rights.roles([Right("list", "nodes")], "meshwright-check", "")
    assert text.startswith("# USER stands for the name") and "kubectl auth whoami" in text.splitlines()[0]
    (binding,) = (one for one in yaml.safe_load_all(text) if one["kind"] == "ClusterRoleBinding")
    assert binding["subjects"][0]["name"] == "USER"


def test_what_collectors_declare_is_what_checking_needs() -> None:
    collectors: list[Collector] = [Access(), Services(), Installation(), Agents(), MeshApi()]
    declared = {right for one in collectors for right in one.rbac}
    assert declared <= set(rights.CHECK)


async def both(request: web.Request) -> web.StreamResponse:
    answer = HEALTH if request.query.getall("command")[0] == "cilium-health" else STATUS
    return await speaking((1, answer), (3, SUCCESS))(request)


async def old(request: web.Request) -> web.StreamResponse:
    command = request.query.getall("command")[0]
    if command == "cilium-dbg":
        return await speaking((2, "not found"), (3, ended(127)))(request)
    return await both(request)


async def test_every_agent_answers_for_itself() -> None:
    async with cluster() as (api, reader):
        api.on(PODS, listed(*(agent(name) for name in ("a", "b", "c", "d", "e")), agent("f", "Pending")))
        paths: dict[str, Handler | web.Response] = {
            "a": both, "b": old, "c": speaking((1, b'{"half"'), close=False), "d": status(404, "gone"),
            "e": speaking((2, "Cannot connect to the agent \x1b[1m"), (3, ended(1))),
        }  # fmt: skip
        for name, answer in paths.items():
            api.on(f"{PODS}/{name}/exec", answer)
        store = await gathered(reader, Installation(), Agents())
        found: dict[str, AgentStatus] = {one.pod: one for one in known(store, fact.AGENTS)}
        assert {name for name, one in found.items() if not one.error} == {"a", "b"}
        assert found["a"].remotes[0].ready
        assert found["a"].node == "node-a"
        assert "went away" in found["c"].error
        assert "no longer there" in found["d"].error
        assert found["e"].error == "code 1: Cannot connect to the agent"
        assert found["f"].error == "the pod is Pending"
        health = {one.node: one for one in known(store, fact.HEALTH)}
        assert len(health["node-a"].peers) == 2
        assert health["node-e"].error
        origin = store.get(fact.AGENTS, OfCluster("c"))
        assert isinstance(origin, Known)
        assert origin.source.origin is Origin.EXEC


async def test_denied_exec_loses_agents_and_says_the_right() -> None:
    async with cluster() as (api, reader):
        api.on(PODS, listed(agent("a"), agent("b")))
        api.on(f"{PODS}/a/exec", status(403, "no"))
        api.on(f"{PODS}/b/exec", status(403, "no"))
        store = await gathered(reader, Installation(), Agents())
        for name in (fact.AGENTS, fact.HEALTH):
            assert lost(store, name).reason is Reason.FORBIDDEN
            assert lost(store, name).lift == "create and get pods/exec in kube-system"


async def test_denied_secrets_lose_only_what_is_in_them() -> None:
    async with cluster() as (api, reader):
        denied = status(403, 'secrets is forbidden: User "u" cannot list resource "secrets"')
        api.on(SECRETS, denied)
        for name in ("cilium-ca", "cilium-kvstoremesh", "cilium-clustermesh"):
            api.on(f"{SECRETS}/{name}", denied)
        store = await gathered(reader, Installation(), MeshApi())
        assert known(store, fact.CILIUM_VERSION) == "1.19.5"
        assert known(store, fact.SETTINGS).cluster_id == 7
        assert known(store, fact.MESH_API) is None
        assert known(store, fact.CILIUM_NODES) is None
        assert lost(store, fact.HELM).lift == "list secrets in kube-system"
        assert lost(store, fact.PEERS).lift == "get secrets in kube-system"
        assert lost(store, fact.CERTIFICATES).reason is Reason.FORBIDDEN
        # Nothing on the objects names an owner, and whether Helm has a release could not be read: still not "Helm".
        assert known(store, fact.OWNER).kind is OwnerKind.UNOWNED


async def test_cilium_is_only_absent_where_all_namespaces_were_searched() -> None:
    async with cluster() as (api, reader):
        api.on(DAEMON_SETS, status(403, "no"))
        api.on(f"{SYSTEM}/daemonsets", listed())
        store = await gathered(reader, Installation())
        assert lost(store, fact.CILIUM_VERSION).reason is Reason.FORBIDDEN
        assert lost(store, fact.CILIUM_VERSION).lift == "list daemonsets.apps"
        api.on(DAEMON_SETS, listed())
        assert known(await gathered(reader, Installation()), fact.CILIUM_VERSION) is None


async def test_a_version_that_nothing_tells_and_a_bad_setting_are_unknown() -> None:
    async with cluster() as (api, reader):
        odd = daemon_set("cilium", **{"k8s-app": "cilium"})
        odd["spec"]["template"]["spec"]["containers"][0]["image"] = "cilium:latest"
        api.on(DAEMON_SETS, listed(odd))
        api.on(CONFIG, web.json_response({"metadata": {}, "data": {"cluster-id": "seven"}}))
        store = await gathered(reader, Installation())
        assert lost(store, fact.CILIUM_VERSION).reason is Reason.INVALID
        assert "cluster-id is 'seven'" in lost(store, fact.SETTINGS).detail


async def test_the_newest_revision_of_a_release_counts() -> None:
    def stored(revision: int, state: str) -> dict[str, Any]:
        labels = {"owner": "helm", "name": "cilium", "status": state, "version": str(revision)}
        return {"metadata": {"name": f"sh.helm.release.v1.cilium.v{revision}", "labels": labels}}

    release = {"name": "cilium", "chart": {"metadata": {"version": "1.19.5"}}, "config": {"cluster": {"id": 7}}}
    inner = base64.b64encode(json.dumps(release).encode())
    async with cluster() as (api, reader):
        api.on(SECRETS, listed(stored(9, "superseded"), stored(10, "deployed"), stored(11, "pending-upgrade")))
        whole = {**stored(11, "pending-upgrade"), "data": {"release": base64.b64encode(inner).decode()}}
        api.on(f"{SECRETS}/sh.helm.release.v1.cilium.v11", web.json_response(whole))
        found = known(await gathered(reader, Installation()), fact.HELM)
        assert (found.revision, found.status, found.deployed_revision) == (11, "pending-upgrade", 10)
        assert (found.chart_version, found.values) == ("1.19.5", {"cluster": {"id": 7}})
        asked = next(request for request in api.seen if request.path == SECRETS)
        assert asked.query["labelSelector"] == "owner=helm,name=cilium"
        assert "PartialObjectMetadataList" in asked.headers["Accept"]


def slice_of(service: str, *endpoints: dict[str, Any], family: str = "IPv4", **labels: str) -> dict[str, Any]:
    marks = {"kubernetes.io/service-name": service, **labels}
    metadata = {"name": f"{service}-x", "namespace": "shop", "labels": marks}
    return {"metadata": metadata, "addressType": family, "endpoints": list(endpoints) or None}


def endpoint(name: str, *, ready: bool | None = True) -> dict[str, Any]:
    conditions = {} if ready is None else {"ready": ready}
    return {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "name": name}}


async def test_back_ends_are_the_clusters_own_each_once() -> None:
    mesh = {"endpointslice.kubernetes.io/managed-by": "endpointslice-mesh-controller.cilium.io"}
    async with cluster() as (api, reader):
        annotations = {"service.cilium.io/global": "TRUE", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        metadata = {"name": "cart", "namespace": "shop", "annotations": annotations}
        spec = {"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "web"}]}
        api.on("/api/v1/services", listed({"metadata": metadata, "spec": spec}))
        api.on("/api/v1/namespaces", listed({"metadata": {"name": "shop", "annotations": {"x/y": "z"}}}))
        slices = [
            slice_of("cart", endpoint("a"), endpoint("b", ready=False)),
            slice_of("cart", endpoint("a"), endpoint("c", ready=None)),
            slice_of("cart", endpoint("a"), family="IPv6"),
            slice_of("cart", endpoint("far"), **mesh),
            slice_of("cart", endpoint("far"), **{"multicluster.kubernetes.io/source-cluster": "other"}),
            slice_of("cart"),
        ]
        api.on("/apis/discovery.k8s.io/v1/endpointslices", listed(*slices))
        store = await gathered(reader, Services())
        (cart,) = known(store, fact.SERVICES)
        assert (cart.ready_endpoints, cart.total_endpoints, cart.headless) == (2, 3, True)
        assert [port.target_port for port in cart.ports] == ["8080", "web"]
        assert cart.annotations == {"service.cilium.io/global": "TRUE"}
        assert known(store, fact.NAMESPACES) == {"shop": {}}
        # Without EndpointSlices the counts would be a lie.
        api.on("/apis/discovery.k8s.io/v1/endpointslices", status(403, "no"))
        assert lost(await gathered(reader, Services()), fact.SERVICES).lift == "list endpointslices.discovery.k8s.io"


async def test_access_tells_version_and_identity() -> None:
    async with cluster() as (api, reader):
        store = await gathered(reader)
        assert known(store, fact.VERSION).git_version == "v1.34.1"
        assert known(store, fact.CLUSTER_UID) == "u-1"
        # Two clusters without a uid would look like one.
        api.on("/api/v1/namespaces/kube-system", web.json_response({"metadata": {}}))
        assert lost(await gathered(reader), fact.CLUSTER_UID).reason is Reason.INVALID
        api.on("/api/v1/namespaces/kube-system", status(403, "no"))
        assert lost(await gathered(reader), fact.CLUSTER_UID).lift == "get namespaces"
        api.on("/version", status(403, "no"))
        assert lost(await gathered(reader), fact.VERSION).reason is Reason.FORBIDDEN
