"""get, list, discovery and what else only reads."""

import base64
import json
from collections.abc import AsyncIterator

import pytest
import yaml

from backends.lab.storage.resources import CONFIGMAPS, CRDS
from tests.test_lab.serving import TABLE, Api, served

CRD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer"},
                                    "parts": {"type": "array", "items": {"type": "string"}},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
                ],
            }
        ],
    },
}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


def many(api: Api, count: int) -> None:
    for number in range(count):
        api.cluster.objects.create(
            CONFIGMAPS,
            {"metadata": {"name": f"m{number:02}", "namespace": "default", "labels": {"even": str(number % 2 == 0)}}},
        )


async def test_a_get_has_kind_and_version_and_a_list_item_has_not(api: Api) -> None:
    one = (await api.get("/api/v1/namespaces/default/pods/web-1")).body
    assert (one["kind"], one["apiVersion"], one["metadata"]["name"]) == ("Pod", "v1", "web-1")
    listed = (await api.get("/api/v1/pods")).body
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["web-1", "web-2"]
    assert all("kind" not in item and "apiVersion" not in item for item in listed["items"])
    assert {k: v for k, v in one.items() if k not in ("kind", "apiVersion")} == listed["items"][0]


async def test_chunks_are_one_consistent_list_while_objects_change(api: Api) -> None:
    many(api, 7)
    path = "/api/v1/namespaces/default/configmaps?limit=3"
    first = (await api.get(path)).body
    assert first["metadata"]["remainingItemCount"] == 5
    api.cluster.objects.delete(CONFIGMAPS, "default", "m04")
    api.cluster.objects.create(CONFIGMAPS, {"metadata": {"name": "zz", "namespace": "default"}})
    second = (await api.get(f"{path}&continue={first['metadata']['continue']}")).body
    third = (await api.get(f"{path}&continue={second['metadata']['continue']}")).body
    names = [item["metadata"]["name"] for body in (first, second, third) for item in body["items"]]
    assert names == ["kube-root-ca.crt", *(f"m{number:02}" for number in range(7))]
    assert len({body["metadata"]["resourceVersion"] for body in (first, second, third)}) == 1
    assert "continue" not in third["metadata"]


async def test_a_chunk_whose_list_was_forgotten_is_gone(api: Api) -> None:
    many(api, 5)
    path = "/api/v1/namespaces/default/configmaps?limit=2"
    token = (await api.get(path)).body["metadata"]["continue"]
    api.cluster.snapshots.forget()
    answer = await api.get(f"{path}&continue={token}")
    assert (answer.status, answer.reason) == (410, "Expired")
    assert answer.message.startswith("The provided continue parameter is too old")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("labelSelector=app=web", ["web-1", "web-2"]),
        ("labelSelector=app=web,tier", ["web-2"]),
        ("labelSelector=tier!=front", ["web-1"]),
        ("labelSelector=!tier", ["web-1"]),
        ("labelSelector=tier in (front,back)", ["web-2"]),
        ("labelSelector=tier notin (back)", ["web-1", "web-2"]),
        ("fieldSelector=spec.nodeName=two", ["web-2"]),
        ("fieldSelector=status.phase!=Running", []),
        ("fieldSelector=metadata.name=web-1,spec.nodeName=one", ["web-1"]),
        ("labelSelector=app=web&fieldSelector=spec.nodeName=one", ["web-1"]),
    ],
)
async def test_selectors_choose_pods(api: Api, query: str, names: list[str]) -> None:
    body = (await api.get(f"/api/v1/pods?{query}")).body
    assert [item["metadata"]["name"] for item in body["items"]] == names


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/v1/namespaces/default/pods/none", 404, 'pods "none" not found'),
        ("/apis/apps/v1/namespaces/default/deployments/none", 404, 'deployments.apps "none" not found'),
        ("/api/v1/nothings", 404, "the server could not find the requested resource"),
        ("/apis/cilium.io/v2/ciliumnodes", 404, "404 page not found\n"),
        ("/nowhere", 404, "404 page not found\n"),
        ("/api/v1/pods?labelSelector=a===b", 400, "unable to parse requirement: found '=', expected: identifier"),
        ("/api/v1/pods?fieldSelector=spec.none=b", 400, "field label not supported: spec.none"),
        ("/api/v1/pods?limit=some", 400, 'strconv.ParseInt: parsing "some": invalid syntax'),
    ],
)
async def test_what_is_wrong_is_said_as_a_real_server_says_it(api: Api, path: str, status: int, message: str) -> None:
    answer = await api.get(path)
    said = answer.body if isinstance(answer.body, str) else answer.message
    assert (answer.status, said) == (status, message)


async def test_a_version_that_is_not_reached_yet_times_out(api: Api) -> None:
    answer = await api.get("/api/v1/pods?resourceVersion=99999999")
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert answer.message.startswith("Timeout: Too large resource version: 99999999, current: ")


async def test_a_table_has_the_columns_and_cells_of_kubectl(api: Api) -> None:
    table = (await api.get("/api/v1/namespaces/default/pods", Accept=f"{TABLE},application/json")).body
    assert table["kind"] == "Table"
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    cells = dict(zip(names, table["rows"][1]["cells"], strict=True))
    assert (cells["Name"], cells["Ready"], cells["Status"], cells["Node"]) == ("web-2", "2/2", "Running", "two")
    assert table["rows"][1]["object"]["kind"] == "PartialObjectMetadata"


async def test_only_metadata_where_only_that_is_asked(api: Api) -> None:
    form = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    body = (await api.get("/api/v1/nodes", Accept=form)).body
    assert body["kind"] == "PartialObjectMetadataList"
    assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_yaml_and_indented_json_are_given_to_who_asks(api: Api) -> None:
    answer = await api.get("/api/v1/namespaces/default", Accept="application/yaml")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(answer.body)["metadata"]["name"] == "default"
    async with api.session.get(
        f"{api.cluster.server_url}/version", headers=api.headers({"User-Agent": "curl/8"}), ssl=api.tls
    ) as response:
        assert (await response.text()).startswith('{\n  "major"')


async def test_an_unknown_form_is_not_acceptable(api: Api) -> None:
    answer = await api.get("/api/v1/pods", Accept="text/html")
    assert (answer.status, answer.reason) == (406, "NotAcceptable")


async def test_a_custom_kind_appears_with_its_definition_and_goes_with_it(api: Api) -> None:
    assert (await api.get("/apis/example.com/v1/widgets")).status == 404
    api.cluster.objects.create(CRDS, CRD)
    groups = [group["name"] for group in (await api.get("/apis")).body["groups"]]
    assert groups[-1] == "example.com"
    made = await api.post(
        "/apis/example.com/v1/namespaces/default/widgets",
        {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}},
    )
    assert made.status == 201
    listed = (await api.get("/apis/example.com/v1/widgets")).body
    assert (listed["kind"], listed["items"][0]["kind"]) == ("WidgetList", "Widget")
    await api.patch(
        "/apis/example.com/v1/namespaces/default/widgets/w/status",
        {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    )
    table = (await api.get("/apis/example.com/v1/widgets", Accept=TABLE)).body
    assert table["rows"][0]["cells"] == ["w", 3, "True"]
    api.cluster.objects.delete(CRDS, None, "widgets.example.com")
    assert (await api.get("/apis/example.com/v1/widgets")).status == 404


async def test_aggregated_discovery_tells_the_same_as_the_plain_one(api: Api) -> None:
    api.cluster.objects.create(CRDS, CRD)
    form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = {}
    for root in ("/api", "/apis"):
        answer = await api.get(root, Accept=form)
        assert answer.headers["Content-Type"] == form
        for group in answer.body["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                for resource in version["resources"]:
                    found[name, version["version"], resource["resource"]] = resource["verbs"]
    plain = {}
    for group, version in {key[:2] for key in found}:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for resource in (await api.get(path)).body["resources"]:
            if "/" not in resource["name"]:
                plain[group, version, resource["name"]] = resource["verbs"]
    assert found == plain
    assert ("example.com", "v1", "widgets") in found


async def test_every_openapi_document_that_the_index_names_is_there_and_closed(api: Api) -> None:
    index = (await api.get("/openapi/v3")).body["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(index)
    for entry in index.values():
        document = (await api.get(entry["serverRelativeURL"])).body
        schemas = document["components"]["schemas"]
        text = json.dumps(document)
        named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert named <= set(schemas)


async def test_health_and_version_are_open_to_everybody(api: Api) -> None:
    nobody = api.as_user("")
    for path in ("/healthz", "/livez", "/readyz"):
        answer = await nobody.get(path)
        assert (answer.status, answer.body) == (200, "ok")
    version = (await nobody.get("/version")).body
    assert (version["gitVersion"], version["major"], version["minor"]) == ("v1.34.4", "1", "34")


async def test_a_continue_token_says_where_it_goes_on(api: Api) -> None:
    many(api, 3)
    token = (await api.get("/api/v1/configmaps?limit=1")).body["metadata"]["continue"]
    read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    assert read["v"] == "meta.k8s.io/v1"
    assert read["rv"] == api.cluster.objects.resource_version
