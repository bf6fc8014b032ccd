"""create, update, patch, apply and delete through the API."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.lab.storage.resources import CONFIGMAPS, CRDS, NAMESPACES, PODS, SERVICES
from tests.test_lab.serving import APPLY, JSON_PATCH, MERGE, STRATEGIC, Api, served
from tests.test_lab.test_api_reads import CRD

MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES_PATH = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


def config(name: str = "m", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "d", replicas: int = 2) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "one", "image": "a:1"}, {"name": "two", "image": "b"}]},
            },
        },
    }


async def test_a_new_object_gets_what_only_a_server_gives(api: Api) -> None:
    sent = {
        **config(a="1"),
        "metadata": {"name": "m", "uid": "mine", "generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z"},
    }
    answer = await api.post(MAPS, sent)
    assert answer.status == 201
    meta = answer.body["metadata"]
    assert meta["namespace"] == "default"
    assert len(meta["uid"]) == 36 and not meta["creationTimestamp"].startswith("2001")
    assert "generation" not in meta and int(meta["resourceVersion"]) == api.cluster.objects.resource_version
    assert (await api.post(MAPS, config(a="2"))).reason == "AlreadyExists"


async def test_a_name_is_made_where_only_its_beginning_is_given(api: Api) -> None:
    sent = {"metadata": {"generateName": "part-"}}
    names = {(await api.post(MAPS, sent)).body["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("part-") and len(name) == 10 for name in names)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (MAPS, config("Bad_Name"), 422, 'ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": '),
        (
            MAPS,
            {**config(), "metadata": {"name": "m", "namespace": "other"}},
            400,
            "the namespace of the provided object",
        ),
        (MAPS.replace("default", "none"), config(), 404, 'namespaces "none" not found'),
        ("/api/v1/configmaps", config(), 405, "the server does not allow this method on the requested resource"),
        (
            MAPS,
            {**config(), "data": {"a": 5}},
            400,
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: ',
        ),
        (
            DEPLOYMENTS,
            {**deployment(), "spec": {}},
            422,
            'Deployment.apps "d" is invalid: [spec.selector: Required value, ',
        ),
        (
            "/api/v1/namespaces/default/pods",
            {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}},
            422,
            'Pod "p" is invalid: spec.containers[0].image: Required value',
        ),
    ],
)
async def test_a_create_that_is_refused_says_why(api: Api, path: str, body: Any, status: int, message: str) -> None:
    answer = await api.post(path, body)
    assert answer.status == status
    assert answer.message.startswith(message)


async def test_unknown_fields_are_refused_warned_of_or_dropped(api: Api) -> None:
    sent = {**config(a="1"), "dat": {"b": "2"}}
    strict = await api.post(f"{MAPS}?fieldValidation=Strict", sent)
    assert (strict.status, strict.message) == (
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dat"',
    )
    warned = await api.post(MAPS, sent)
    assert warned.status == 201 and "dat" not in warned.body
    assert warned.headers["Warning"] == '299 - "unknown field \\"dat\\""'
    silent = await api.post(f"{MAPS}?fieldValidation=Ignore", {**sent, "metadata": {"name": "n"}})
    assert silent.status == 201 and "Warning" not in silent.headers


async def test_a_dry_run_answers_and_changes_nothing(api: Api) -> None:
    before = api.cluster.objects.resource_version
    made = await api.post(f"{SERVICES_PATH}?dryRun=All", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert made.status == 201 and made.body["spec"]["clusterIP"].startswith("10.96.")
    assert (await api.get(f"{SERVICES_PATH}/s")).status == 404
    assert api.cluster.objects.resource_version == before
    assert (await api.delete("/api/v1/namespaces/default/pods/web-1?dryRun=All")).status == 200
    assert (await api.get("/api/v1/namespaces/default/pods/web-1")).status == 200


async def test_an_update_of_an_old_version_conflicts(api: Api) -> None:
    first = (await api.post(MAPS, config(a="1"))).body
    assert (await api.put(f"{MAPS}/m", {**first, "data": {"a": "2"}})).status == 200
    late = await api.put(f"{MAPS}/m", {**first, "data": {"a": "3"}})
    assert (late.status, late.reason) == (409, "Conflict")
    assert late.message.startswith('Operation cannot be fulfilled on configmaps "m": the object has been modified')
    assert (await api.put(f"{MAPS}/m", config(a="4"))).body["data"] == {"a": "4"}
    other = await api.put(f"{MAPS}/m", {**config(a="5"), "metadata": {"name": "m", "uid": "another"}})
    assert (other.status, other.reason) == (409, "Conflict")


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    first = (await api.post(MAPS, config(a="1"))).body
    again = (await api.put(f"{MAPS}/m", first)).body
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("kind", "patch", "images"),
    [
        (MERGE, {"spec": {"template": {"spec": {"containers": [{"name": "one", "image": "c"}]}}}}, ["c"]),
        (STRATEGIC, {"spec": {"template": {"spec": {"containers": [{"name": "two", "image": "c"}]}}}}, ["a:1", "c"]),
        (STRATEGIC, {"spec": {"template": {"spec": {"containers": [{"name": "one", "$patch": "delete"}]}}}}, ["b"]),
        (
            STRATEGIC,
            {
                "spec": {
                    "template": {
                        "spec": {
                            "$setElementOrder/containers": [{"name": "new"}, {"name": "two"}, {"name": "one"}],
                            "containers": [{"name": "new", "image": "n"}],
                        }
                    }
                }
            },
            ["n", "b", "a:1"],
        ),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "c"}], ["a:1", "c"]),
        (JSON_PATCH, [{"op": "remove", "path": "/spec/template/spec/containers/0"}], ["b"]),
        (
            JSON_PATCH,
            [{"op": "move", "from": "/spec/template/spec/containers/0", "path": "/spec/template/spec/containers/-"}],
            ["b", "a:1"],
        ),
    ],
)
async def test_every_form_of_patch_changes_containers_its_own_way(
    api: Api, kind: str, patch: Any, images: list[str]
) -> None:
    await api.post(DEPLOYMENTS, deployment())
    answer = await api.patch(f"{DEPLOYMENTS}/d", patch, kind)
    assert answer.status == 200, answer.body
    assert [one["image"] for one in answer.body["spec"]["template"]["spec"]["containers"]] == images
    assert answer.body["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("kind", "patch", "status"),
    [
        (JSON_PATCH, [{"op": "remove", "path": "/spec/none"}], 422),
        (JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "other"}], 422),
        (JSON_PATCH, {"op": "add"}, 400),
        (MERGE, [], 400),
        (MERGE, b"no json", 400),
        (MERGE, {"metadata": {"name": "other"}}, 400),
        (MERGE, {"metadata": {"resourceVersion": "1"}}, 409),
        ("application/json", {}, 415),
        (APPLY, config(a="2"), 422),
    ],
)
async def test_a_patch_that_does_not_apply_changes_nothing(api: Api, kind: str, patch: Any, status: int) -> None:
    before = (await api.post(MAPS, config(a="1"))).body
    assert (await api.patch(f"{MAPS}/m", patch, kind)).status == status
    assert (await api.get(f"{MAPS}/m")).body == before


async def test_null_in_a_merge_patch_takes_a_field_away(api: Api) -> None:
    await api.post(MAPS, config(a="1", b="2"))
    assert (await api.patch(f"{MAPS}/m", {"data": {"a": None, "c": "3"}})).body["data"] == {"b": "2", "c": "3"}


async def test_status_and_the_rest_are_written_apart(api: Api) -> None:
    await api.post(DEPLOYMENTS, {**deployment(), "status": {"replicas": 7}})
    made = (await api.get(f"{DEPLOYMENTS}/d")).body
    assert "replicas" not in made["status"]
    made["status"], made["spec"]["replicas"] = {"readyReplicas": 1}, 5
    main = (await api.put(f"{DEPLOYMENTS}/d", made)).body
    assert (main["spec"]["replicas"], main["status"]) == (5, {})
    main["status"], main["spec"]["replicas"] = {"readyReplicas": 1}, 9
    below = (await api.put(f"{DEPLOYMENTS}/d/status", main)).body
    assert (below["spec"]["replicas"], below["status"]) == (5, {"readyReplicas": 1})
    assert below["metadata"]["generation"] == main["metadata"]["generation"] == 2


async def test_scale_reads_and_writes_the_replicas(api: Api) -> None:
    await api.post(DEPLOYMENTS, deployment())
    scale = (await api.get(f"{DEPLOYMENTS}/d/scale")).body
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 2, "app=d")
    assert (await api.patch(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 6}})).status == 200
    assert (await api.get(f"{DEPLOYMENTS}/d")).body["spec"]["replicas"] == 6


async def test_a_secret_in_plain_text_is_kept_in_base64(api: Api) -> None:
    path = "/api/v1/namespaces/default/secrets"
    sent = {"metadata": {"name": "s"}, "data": {"b": "Yg=="}, "stringData": {"a": "ä"}}
    body = (await api.post(path, sent)).body
    assert body["data"] == {"a": base64.b64encode("ä".encode()).decode(), "b": "Yg=="}
    assert "stringData" not in body and body["type"] == "Opaque"
    assert (await api.put(f"{path}/s", {**sent, "type": "kubernetes.io/tls"})).status == 422


async def test_services_get_addresses_and_node_ports_and_give_them_back(api: Api) -> None:
    def service(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}

    first = (await api.post(SERVICES_PATH, service("a", type="LoadBalancer", externalTrafficPolicy="Local"))).body
    spec = first["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]] and spec["clusterIP"].startswith("10.96.")
    assert 30000 <= spec["ports"][0]["nodePort"] <= 32767 and 30000 <= spec["healthCheckNodePort"] <= 32767
    taken = {"type": "NodePort", "ports": [{"port": 80, "nodePort": spec["ports"][0]["nodePort"]}]}
    refused = await api.post(SERVICES_PATH, service("b", **taken))
    assert (refused.status, refused.message.rpartition(": ")[2]) == (422, "provided port is already allocated")
    # Other edits keep what is allocated, also when they leave it out.
    kept = (await api.put(f"{SERVICES_PATH}/a", service("a", type="LoadBalancer", selector={"x": "y"}))).body["spec"]
    assert (kept["clusterIP"], kept["ports"]) == (spec["clusterIP"], spec["ports"])
    await api.delete(f"{SERVICES_PATH}/a")
    again = await api.post(SERVICES_PATH, service("b", **taken, clusterIP=spec["clusterIP"]))
    assert again.status == 201
    outside = await api.post(SERVICES_PATH, service("c", clusterIP="192.0.2.1"))
    assert outside.status == 422


async def test_a_finalizer_holds_a_deleted_object_until_it_is_taken_away(api: Api) -> None:
    await api.post(MAPS, {**config(), "metadata": {"name": "m", "finalizers": ["example.com/hold"]}})
    gone = await api.delete(f"{MAPS}/m")
    assert gone.status == 200 and "deletionTimestamp" in gone.body["metadata"]
    assert (await api.get(f"{MAPS}/m")).status == 200
    await api.patch(f"{MAPS}/m", {"metadata": {"finalizers": None}})
    assert (await api.get(f"{MAPS}/m")).status == 404


def owned(name: str, owner: dict[str, Any]) -> dict[str, Any]:
    meta = owner["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}
    return {**config(name), "metadata": {"name": name, "ownerReferences": [reference]}}


@pytest.mark.parametrize(
    ("policy", "left"), [("Background", []), ("Foreground", []), ("Orphan", ["child", "grandchild"])]
)
async def test_dependents_go_with_their_owner_as_asked(api: Api, policy: str, left: list[str]) -> None:
    owner = (await api.post(MAPS, config("owner"))).body
    child = (await api.post(MAPS, owned("child", owner))).body
    await api.post(MAPS, owned("grandchild", child))
    await api.delete(f"{MAPS}/owner", {"propagationPolicy": policy})
    names = {item["metadata"]["name"]: item["metadata"] for item in (await api.get(MAPS)).body["items"]}
    assert sorted(set(names) - {"kube-root-ca.crt"}) == left
    if left:
        assert "ownerReferences" not in names["child"]


async def test_an_object_with_two_owners_goes_with_the_last(api: Api) -> None:
    one, two = (await api.post(MAPS, config("one"))).body, (await api.post(MAPS, config("two"))).body
    child = owned("child", one)
    child["metadata"]["ownerReferences"] += owned("child", two)["metadata"]["ownerReferences"]
    await api.post(MAPS, child)
    await api.delete(f"{MAPS}/one")
    assert (await api.get(f"{MAPS}/child")).status == 200
    await api.delete(f"{MAPS}/two")
    assert (await api.get(f"{MAPS}/child")).status == 404


async def test_a_precondition_that_does_not_hold_keeps_the_object(api: Api) -> None:
    await api.post(MAPS, config())
    answer = await api.delete(f"{MAPS}/m", {"preconditions": {"uid": "another"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert (await api.delete(f"{MAPS}/m")).body["status"] == "Success"


async def test_a_collection_goes_by_its_selector(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.post(MAPS, {**config(name), "metadata": {"name": name, "labels": {"keep": str(name == "b").lower()}}})
    answer = await api.delete(f"{MAPS}?labelSelector=keep=false")
    assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in (await api.get(MAPS)).body["items"]] == ["b", "kube-root-ca.crt"]


async def test_a_namespace_takes_what_is_in_it_along(api: Api) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    await api.post(MAPS.replace("default", "team"), config())
    assert (await api.delete("/api/v1/namespaces/team")).status == 200
    assert (await api.get("/api/v1/namespaces/team")).status == 404
    assert api.cluster.objects.get(CONFIGMAPS, "team", "m") is None


async def test_a_namespace_left_to_its_controller_is_only_marked(api: Api) -> None:
    store = api.cluster.objects
    store.left_to_controllers.add(NAMESPACES.key)
    await api.post("/api/v1/namespaces", {"metadata": {"name": "team"}})
    marked = (await api.delete("/api/v1/namespaces/team")).body
    assert marked["status"]["phase"] == "Terminating"
    refused = await api.post(MAPS.replace("default", "team"), config())
    assert (refused.status, refused.body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    await api.put("/api/v1/namespaces/team/finalize", {"metadata": {"name": "team"}, "spec": {"finalizers": []}})
    assert (await api.get("/api/v1/namespaces/team")).status == 404


async def test_pods_left_to_a_kubelet_end_in_their_grace_period(api: Api) -> None:
    api.cluster.objects.left_to_controllers.add(PODS.key)
    path = "/api/v1/namespaces/default/pods/web-1"
    marked = (await api.delete(path)).body["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    assert (await api.get(path)).status == 200
    assert (await api.delete(path, {"gracePeriodSeconds": 0})).status == 200
    assert (await api.get(path)).status == 404


async def test_only_what_a_pod_may_change_is_changed(api: Api) -> None:
    path = "/api/v1/namespaces/default/pods/web-1"
    assert (await api.patch(path, {"spec": {"hostNetwork": True}})).status == 422
    changed = await api.patch(path, {"spec": {"containers": [{"name": "main", "image": "main:2"}]}}, STRATEGIC)
    assert changed.body["spec"]["containers"][0]["image"] == "main:2"


async def test_protobuf_of_a_typed_client_is_read(api: Api) -> None:
    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    meta = field(1, b"typed") + field(2, b"") + field(11, field(1, b"team") + field(2, b"mesh"))
    body = field(1, meta) + field(2, field(1, b"key") + field(2, b"value")) + bytes([4 << 3, 0])
    unknown = field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, body)
    answer = await api.post(MAPS, b"k8s\0" + unknown, Content_Type="application/vnd.kubernetes.protobuf")
    assert answer.status == 201, answer.body
    assert answer.body["data"] == {"key": "value"}
    assert answer.body["metadata"]["labels"] == {"team": "mesh"}
    # A pointer's zero value is kept: immutable false was said, not left out.
    assert answer.body["immutable"] is False
    cut = await api.post(MAPS, b"k8s\0" + unknown[:-3], Content_Type="application/vnd.kubernetes.protobuf")
    assert cut.status == 400


async def test_a_custom_kind_is_pruned_by_its_schema_and_locked_by_version(api: Api) -> None:
    api.cluster.objects.create(CRDS, CRD)
    path = "/apis/example.com/v1/namespaces/default/widgets"
    made = await api.post(path, {"metadata": {"name": "w"}, "spec": {"size": 1, "other": 2}, "status": {"a": 1}})
    assert made.body["spec"] == {"size": 1} and "status" not in made.body
    assert made.body["metadata"]["generation"] == 1
    assert (await api.put(f"{path}/w", {"metadata": {"name": "w"}, "spec": {"size": 2}})).status == 422
    assert (await api.patch(f"{path}/w", {"spec": {"size": 2}}, STRATEGIC)).status == 415
    assert (await api.patch(f"{path}/w", {"spec": {"size": 2}})).body["metadata"]["generation"] == 2


async def test_a_service_is_created_where_put_finds_none(api: Api) -> None:
    made = await api.put(f"{SERVICES_PATH}/new", {"metadata": {"name": "new"}, "spec": {"ports": [{"port": 1}]}})
    assert made.status == 201
    assert api.cluster.objects.get(SERVICES, "default", "new") is not None
    assert (await api.put(f"{MAPS}/new", config("new"))).status == 404


async def test_an_eviction_respects_the_disruption_budget(api: Api) -> None:
    budget = {
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    }
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    await api.post(path, budget)
    await api.patch(f"{path}/b/status", {"status": {"disruptionsAllowed": 0, "desiredHealthy": 2, "currentHealthy": 2}})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-1", "namespace": "default"}}
    refused = await api.post("/api/v1/namespaces/default/pods/web-1/eviction", eviction)
    assert (refused.status, refused.reason) == (429, "TooManyRequests")
    await api.patch(f"{path}/b/status", {"status": {"disruptionsAllowed": 1}})
    assert (await api.post("/api/v1/namespaces/default/pods/web-1/eviction", eviction)).status == 201
    assert (await api.get("/api/v1/namespaces/default/pods/web-1")).status == 404
