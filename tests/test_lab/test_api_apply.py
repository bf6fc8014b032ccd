"""Server-side apply and who manages which field."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.test_lab.serving import APPLY, MERGE, Answer, Api, served

MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


async def apply(api: Api, manager: str, body: dict[str, Any], *, force: bool = False, path: str = MAPS) -> Answer:
    query = f"?fieldManager={manager}" + ("&force=true" if force else "")
    return await api.patch(f"{path}/{body['metadata']['name']}{query}", body, APPLY)


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def managers(answer: Answer) -> dict[str, Any]:
    """What each manager has, by name and operation."""
    entries = answer.body["metadata"]["managedFields"]
    return {f"{entry['manager']}/{entry['operation']}": entry["fieldsV1"] for entry in entries}


async def test_an_apply_creates_and_then_changes(api: Api) -> None:
    assert (await apply(api, "one", config(a="1"))).status == 201
    changed = await apply(api, "one", config(a="2"))
    assert (changed.status, changed.body["data"]) == (200, {"a": "2"})
    assert managers(changed) == {"one/Apply": {"f:data": {"f:a": {}}}}


async def test_what_a_manager_no_longer_applies_goes(api: Api) -> None:
    await apply(api, "one", config(a="1", b="2"))
    assert (await apply(api, "one", config(b="2"))).body["data"] == {"b": "2"}


async def test_what_another_manager_has_stays(api: Api) -> None:
    await apply(api, "one", config(a="1", b="2"))
    await apply(api, "two", config(b="2", c="3"))
    left = await apply(api, "one", config(a="1"))
    assert left.body["data"] == {"a": "1", "b": "2", "c": "3"}
    assert managers(left) == {
        "one/Apply": {"f:data": {"f:a": {}}},
        "two/Apply": {"f:data": {"f:b": {}, "f:c": {}}},
    }


async def test_a_different_value_of_a_field_of_somebody_else_conflicts(api: Api) -> None:
    await apply(api, "one", config(a="1", b="2"))
    refused = await apply(api, "two", config(a="9"))
    assert (refused.status, refused.reason) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert refused.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    forced = await apply(api, "two", config(a="9"), force=True)
    assert forced.body["data"] == {"a": "9", "b": "2"}
    assert managers(forced) == {"two/Apply": {"f:data": {"f:a": {}}}, "one/Apply": {"f:data": {"f:b": {}}}}


async def test_an_update_takes_the_fields_that_it_changes(api: Api) -> None:
    await apply(api, "one", config(a="1", b="2"))
    updated = await api.patch(f"{MAPS}/m?fieldManager=hand", {"data": {"a": "5"}}, MERGE)
    assert managers(updated) == {"one/Apply": {"f:data": {"f:b": {}}}, "hand/Update": {"f:data": {"f:a": {}}}}
    refused = await apply(api, "one", config(a="1", b="2"))
    assert refused.message == 'Apply failed with 1 conflict: conflict with "hand" using v1: .data.a'


async def test_the_user_agent_names_a_manager_that_was_not_given(api: Api) -> None:
    made = await api.post(MAPS, config(a="1"), User_Agent="tool/1.2 (linux)")
    assert managers(made) == {"tool/Update": {"f:data": {".": {}, "f:a": {}}}}


async def test_items_of_a_list_with_keys_are_owned_one_by_one(api: Api) -> None:
    def service(*ports: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports)}}

    http, admin = {"name": "http", "port": 80}, {"name": "admin", "port": 81, "protocol": "TCP"}
    await apply(api, "one", service(http), path=SERVICES)
    both = await apply(api, "two", service(admin), path=SERVICES)
    assert [port["name"] for port in both.body["spec"]["ports"]] == ["http", "admin"]
    # The protocol that "one" left out is the key's default: the same item. Another name for it is a conflict.
    refused = await apply(api, "two", service({**http, "name": "web", "protocol": "TCP"}), path=SERVICES)
    assert refused.message == (
        'Apply failed with 1 conflict: conflict with "one": .spec.ports[port=80,protocol="TCP"].name'
    )
    # An item that its manager no longer applies goes with everything in it, the others stay.
    left = await apply(api, "two", {**service(), "spec": {}}, path=SERVICES)
    assert [port["name"] for port in left.body["spec"]["ports"]] == ["http"]


async def test_an_apply_that_changes_nothing_keeps_the_version(api: Api) -> None:
    first = await apply(api, "one", config(a="1"))
    again = await apply(api, "one", config(a="1"))
    assert again.body == first.body


@pytest.mark.parametrize(
    ("body", "query", "status", "message"),
    [
        (config(a="1"), "", 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: '),
        ({**config(), "kind": "Secret"}, "?fieldManager=x", 400, "invalid object type: /v1, Kind=Secret"),
        (
            {**config(), "metadata": {}},
            "?fieldManager=x",
            400,
            "the name of the object (m based on URL) was undeterminable",
        ),
        ({**config(), "metadata": {"name": "n"}}, "?fieldManager=x", 400, "the name of the object (n) does not match"),
        (
            {**config(), "metadata": {"name": "m", "managedFields": [{"manager": "a"}]}},
            "?fieldManager=x",
            400,
            "metadata.managedFields must be nil",
        ),
        ({**config(), "dat": {}}, "?fieldManager=x", 500, "failed to create typed patch object (default/m; /v1, Kind="),
    ],
)
async def test_an_apply_that_cannot_be(api: Api, body: Any, query: str, status: int, message: str) -> None:
    answer = await api.patch(f"{MAPS}/m{query}", body, APPLY)
    assert answer.status == status
    assert answer.message.startswith(message)


async def test_a_client_can_rewrite_who_manages_what(api: Api) -> None:
    made = await apply(api, "one", config(a="1"))
    emptied = await api.patch(f"{MAPS}/m", {"metadata": {"managedFields": [{}]}}, MERGE)
    assert "managedFields" not in emptied.body["metadata"]
    assert emptied.body["data"] == made.body["data"]
