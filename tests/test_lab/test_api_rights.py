"""Who may what: tokens, certificates, roles, and the reviews that answer for them."""

import itertools
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.api.identity import Identity
from backends.lab.storage.resources import RESOURCES
from tests.test_lab.serving import Api, served

RBAC = "rbac.authorization.k8s.io"
DEV = "dev-token"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


def role(api: Api, name: str, rules: list[dict[str, Any]], user: str, namespace: str = "") -> None:
    """A role and its binding to a user, for one namespace or for all."""
    store, prefix = api.cluster.objects, "" if namespace else "cluster"
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    store.create(RESOURCES[RBAC, f"{prefix}roles"], {"metadata": meta, "rules": rules})
    reference = {"apiGroup": RBAC, "kind": "Role" if namespace else "ClusterRole", "name": name}
    subjects = [{"apiGroup": RBAC, "kind": "User", "name": user}]
    binding = {"metadata": meta, "roleRef": reference, "subjects": subjects}
    store.create(RESOURCES[RBAC, f"{prefix}rolebindings"], binding)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            "/api/v1/namespaces/default/secrets",
            'secrets is forbidden: User "dev" cannot list resource "secrets" in API group "" in the namespace '
            '"default"',
        ),
        (
            "GET",
            "/api/v1/nodes/one",
            'nodes "one" is forbidden: User "dev" cannot get resource "nodes" in API group "" at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/pods",
            'pods is forbidden: User "dev" cannot list resource "pods" in API group "" at the cluster scope',
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/default/deployments/d",
            'deployments.apps "d" is forbidden: User "dev" cannot delete resource "deployments" in API group "apps" in '
            'the namespace "default"',
        ),
        (
            "GET",
            "/api/v1/namespaces/default/pods/web-1/exec?command=echo",
            'pods "web-1" is forbidden: User "dev" cannot get resource "pods/exec" in API group "" in the namespace '
            '"default"',
        ),
        ("GET", "/metrics", 'forbidden: User "dev" cannot get path "/metrics"'),
    ],
)
async def test_a_denial_names_user_verb_resource_and_place(api: Api, method: str, path: str, message: str) -> None:
    answer = await api.as_user(DEV)(method, path)
    assert (answer.status, answer.reason, answer.message) == (403, "Forbidden", message)


async def test_a_denial_comes_before_not_found(api: Api) -> None:
    dev = api.as_user(DEV)
    assert (await dev.get("/api/v1/namespaces/default/secrets/none")).status == 403
    assert (await dev.get("/apis/none.example.com/v1/things")).status == 403
    assert (await dev.get("/api/v1/namespaces/default/pods/none")).status == 404


async def test_unknown_ended_and_missing_credentials(api: Api) -> None:
    clock = api.world.clock
    api.cluster.identities.add("short", Identity("brief", ("system:masters",)), clock.now() + 60)
    assert (await api.as_user("short").get("/api/v1/nodes")).status == 200
    clock.jump(61)
    for token in ("short", "unknown"):
        answer = await api.as_user(token).get("/version")
        assert (answer.status, answer.message) == (401, "Unauthorized")
    nobody = await api.as_user("").get("/api/v1/nodes")
    assert (nobody.status, '"system:anonymous"' in nobody.message) == (403, True)


async def test_a_client_certificate_names_user_and_groups(api: Api, tmp_path: Path) -> None:
    certificate, key = api.cluster.authority.client("carol", ("system:masters",))
    pair = tmp_path / "pair.pem"
    pair.write_bytes(certificate + key)
    tls = ssl.create_default_context(cadata=api.cluster.authority.pem.decode())
    tls.load_cert_chain(pair)
    carol = Api(api.cluster, api.session, "", tls)
    assert (await carol.get("/api/v1/nodes")).status == 200
    review = await carol.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    info = review.body["status"]["userInfo"]
    assert (info["username"], info["groups"]) == ("carol", ["system:masters", "system:authenticated"])


@pytest.mark.parametrize(
    ("rule", "allowed", "denied"),
    [
        (
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
            [("GET", "configmaps/kube-root-ca.crt")],
            [("GET", "configmaps"), ("DELETE", "configmaps/kube-root-ca.crt"), ("GET", "secrets/a")],
        ),
        (
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["*"]},
            [("GET", "configmaps/one"), ("GET", "configmaps?fieldSelector=metadata.name=one")],
            [("GET", "configmaps/two"), ("GET", "configmaps"), ("POST", "configmaps")],
        ),
        (
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
            [("GET", "pods/web-1/log")],
            [("GET", "pods/web-1"), ("GET", "pods/web-1/exec?command=a")],
        ),
        (
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]},
            [("GET", "configmaps"), ("GET", "secrets")],
            [("GET", "secrets/a"), ("GET", "secrets?watch=1")],
        ),
        (
            {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"]},
            [],
            [("GET", "configmaps")],
        ),
    ],
)
async def test_what_a_rule_covers(
    api: Api, rule: dict[str, Any], allowed: list[tuple[str, str]], denied: list[tuple[str, str]]
) -> None:
    role(api, "tested", [rule], "eve", "default")
    api.cluster.identities.add("eve", Identity("eve"))
    eve = api.as_user("eve")
    base = "/api/v1/namespaces/default"
    for method, path in allowed:
        assert (await eve(method, f"{base}/{path}")).status != 403, path
        assert (await eve(method, f"/api/v1/namespaces/kube-system/{path}")).status == 403, path
    for method, path in denied:
        assert (await eve(method, f"{base}/{path}")).status == 403, path


async def test_a_cluster_role_bound_in_a_namespace_holds_there_alone(api: Api) -> None:
    binding = {
        "metadata": {"name": "v", "namespace": "kube-system"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "lookers"}],
    }
    api.cluster.objects.create(RESOURCES[RBAC, "rolebindings"], binding)
    api.cluster.identities.add("look", Identity("l", ("lookers",)))
    look = api.as_user("look")
    assert (await look.get("/api/v1/namespaces/kube-system/pods")).status == 200
    assert (await look.get("/api/v1/namespaces/default/pods")).status == 403
    assert (await look.get("/api/v1/namespaces/kube-system/secrets")).status == 403


async def test_rights_follow_their_objects_at_once(api: Api) -> None:
    dev = api.as_user(DEV)
    assert (await dev.get("/api/v1/namespaces/default/pods")).status == 200
    await api.delete(f"/apis/{RBAC}/v1/namespaces/default/rolebindings/reader")
    assert (await dev.get("/api/v1/namespaces/default/pods")).status == 403


async def test_every_review_tells_what_a_request_meets(api: Api) -> None:
    """The review and the request itself are asked for each combination; they must never differ."""
    role(api, "names", [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]}], "dev")
    dev, differing = api.as_user(DEV), []
    verbs = {"get": "GET", "list": "GET", "create": "POST", "delete": "DELETE"}
    for verb, plural, namespace in itertools.product(verbs, ("pods", "secrets"), ("default", "kube-system")):
        name = "a" if verb in ("get", "delete") else ""
        asked = {"verb": verb, "resource": plural, "namespace": namespace, "name": name, "group": ""}
        review = await dev.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}}
        )
        path = f"/api/v1/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
        body: dict[str, Any] | None = {} if verb == "create" else None
        met = (await dev(verbs[verb], path, body)).status != 403
        if review.body["status"]["allowed"] is not met:
            differing.append((asked, met))
    assert not differing


async def test_the_rules_review_lists_what_holds_in_the_namespace(api: Api) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    dev = api.as_user(DEV)
    here = (await dev.post(path, {"spec": {"namespace": "default"}})).body["status"]
    there = (await dev.post(path, {"spec": {"namespace": "kube-system"}})).body["status"]
    reads = {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "pods/log"]}
    assert reads in here["resourceRules"] and reads not in there["resourceRules"]
    assert here["incomplete"] is False
    assert any("/version" in rule["nonResourceURLs"] for rule in there["nonResourceRules"])
    assert (await dev.post(path, {"spec": {}})).status == 400


async def test_impersonation_needs_the_right_and_then_has_the_other_s_rights(api: Api) -> None:
    async def pods(client: Api, **headers: str) -> int:
        return (await client.get("/api/v1/namespaces/default/pods", **headers)).status

    assert await pods(api, Impersonate_User="dev") == 200
    assert await pods(api, Impersonate_User="other") == 403
    refused = await api.as_user(DEV).get("/api/v1/namespaces/default/pods", Impersonate_User="admin")
    assert (refused.status, refused.message) == (
        403,
        'users "admin" is forbidden: User "dev" cannot impersonate resource "users" in API group "" at the cluster '
        "scope",
    )


async def test_a_service_account_token_acts_for_the_account_until_it_ends(api: Api) -> None:
    role(api, "pods", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}], "nobody", "default")
    api.cluster.objects.create(
        RESOURCES[RBAC, "rolebindings"],
        {
            "metadata": {"name": "account", "namespace": "default"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "pods"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        },
    )
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    token = (await api.post(path, {"spec": {"expirationSeconds": 600}})).body["status"]["token"]
    account = api.as_user(token)
    assert (await account.get("/api/v1/namespaces/default/pods")).status == 200
    assert (await account.get("/api/v1/namespaces/default/secrets")).status == 403
    api.world.clock.jump(601)
    assert (await account.get("/api/v1/namespaces/default/pods")).status == 401


async def test_masters_may_everything_without_a_role(api: Api) -> None:
    for plural in ("clusterrolebindings", "clusterroles"):
        await api.delete(f"/apis/{RBAC}/v1/{plural}")
    assert (await api.get("/api/v1/secrets")).status == 200
    assert (await api.as_user("").get("/readyz")).status == 200
    assert (await api.as_user("").get("/version")).status == 403
