"""watch: order, replay, bookmarks, selectors, and its ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from backends.lab.storage.resources import CONFIGMAPS, PODS
from tests.test_lab.serving import TABLE, Api, served

WATCH = "/api/v1/namespaces/default/configmaps?watch=1"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served() as client:
        yield client


class Events:
    """The events of one watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, Any]:
        """The next event, within five seconds."""
        line = await asyncio.wait_for(self.response.content.readline(), 5)
        event: dict[str, Any] = json.loads(line)
        return event

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]

    async def rest(self) -> list[dict[str, Any]]:
        """Everything until the server ends the watch."""
        data = await asyncio.wait_for(self.response.read(), 10)
        return [json.loads(line) for line in data.splitlines()]


@asynccontextmanager
async def watching(api: Api, path: str, **headers: str) -> AsyncIterator[Events]:
    async with api.session.get(api.cluster.server_url + path, headers=api.headers(headers), ssl=api.tls) as response:
        assert response.status == 200
        yield Events(response)


def put(api: Api, name: str, value: str = "", **labels: str) -> None:
    meta = {"name": name, "namespace": "default", "labels": labels}
    api.cluster.objects.apply(CONFIGMAPS, {"metadata": meta, "data": {"v": value}})


async def test_what_is_there_comes_first_and_changes_follow_in_order(api: Api) -> None:
    put(api, "a")
    async with watching(api, WATCH) as events:
        assert await events.names(2) == [("ADDED", "a"), ("ADDED", "kube-root-ca.crt")]
        put(api, "b")
        put(api, "a", "new")
        api.cluster.objects.delete(CONFIGMAPS, "default", "b")
        seen = [await events.next() for _ in range(3)]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in seen] == [
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))


async def test_a_list_and_a_watch_from_its_version_miss_nothing(api: Api) -> None:
    put(api, "a")
    version = (await api.get("/api/v1/namespaces/default/configmaps")).body["metadata"]["resourceVersion"]
    put(api, "b")
    put(api, "a", "new")
    async with watching(api, f"{WATCH}&resourceVersion={version}") as events:
        assert await events.names(2) == [("ADDED", "b"), ("MODIFIED", "a")]


async def test_a_watch_from_a_forgotten_version_is_told_so(api: Api) -> None:
    version = api.cluster.objects.resource_version
    put(api, "a")
    api.cluster.objects.compact()
    async with watching(api, f"{WATCH}&resourceVersion={version}") as events:
        (event,) = await events.rest()
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {version} (")


async def test_an_overflowing_history_forgets_its_oldest_writes(api: Api) -> None:
    version = api.cluster.objects.resource_version
    for number in range(4200):
        put(api, "a", str(number))
    async with watching(api, f"{WATCH}&resourceVersion={version}") as events:
        assert (await events.next())["object"]["code"] == 410
    async with watching(api, f"{WATCH}&resourceVersion={api.cluster.objects.resource_version - 3}") as events:
        assert await events.names(3) == [("MODIFIED", "a")] * 3


async def test_an_object_that_leaves_the_selector_is_deleted_for_the_watcher(api: Api) -> None:
    async with watching(api, f"{WATCH}&labelSelector=team=one") as events:
        put(api, "other", team="two")
        put(api, "a", "1", team="one")
        put(api, "a", "2", team="two")
        put(api, "a", "3", team="one")
        seen = [await events.next() for _ in range(3)]
    assert [event["type"] for event in seen] == ["ADDED", "DELETED", "ADDED"]
    # What left is shown as it last was, at the version at which it left.
    assert seen[1]["object"]["data"] == {"v": "1"}
    assert seen[1]["object"]["metadata"]["resourceVersion"] > seen[0]["object"]["metadata"]["resourceVersion"]


async def test_one_namespace_does_not_see_another(api: Api) -> None:
    async with watching(api, WATCH.replace("default", "kube-public")) as events:
        assert await events.names(1) == [("ADDED", "kube-root-ca.crt")]
        put(api, "a")
        api.cluster.objects.create(CONFIGMAPS, {"metadata": {"name": "b", "namespace": "kube-public"}})
        assert await events.names(1) == [("ADDED", "b")]


async def test_a_streamed_list_ends_with_a_marked_bookmark(api: Api) -> None:
    put(api, "a")
    query = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(api, WATCH + query) as events:
        await events.names(2)
        mark = await events.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["object"]["metadata"]["resourceVersion"] == str(api.cluster.objects.resource_version)


async def test_initial_events_need_their_match(api: Api) -> None:
    answer = await api.get(f"{WATCH}&sendInitialEvents=true")
    assert (answer.status, answer.reason) == (422, "Invalid")


async def test_a_bookmark_comes_before_the_time_is_over_and_only_when_allowed(api: Api) -> None:
    put(api, "a")
    async with (
        watching(api, f"{WATCH}&timeoutSeconds=1&allowWatchBookmarks=true") as marked,
        watching(api, f"{WATCH}&timeoutSeconds=1") as plain,
    ):
        kinds = [event["type"] for event in await marked.rest()]
        others = [event["type"] for event in await plain.rest()]
    assert kinds == ["ADDED", "ADDED", "BOOKMARK"]
    assert others == ["ADDED", "ADDED"]


async def test_a_table_is_headed_once(api: Api) -> None:
    async with watching(api, "/api/v1/namespaces/default/pods?watch=1", Accept=TABLE) as events:
        first, second = await events.next(), await events.next()
    assert [column["name"] for column in first["object"]["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][:3] == ["web-2", "2/2", "Running"]


async def test_a_watcher_that_left_is_forgotten(api: Api) -> None:
    history = api.cluster.objects.history(PODS)
    before = len(history._listeners)
    async with watching(api, "/api/v1/pods?watch=1") as events:
        await events.next()
        assert len(history._listeners) == before + 1
    for _ in range(100):
        if len(history._listeners) == before:
            break
        await asyncio.sleep(0.02)
    assert len(history._listeners) == before


async def test_ten_watchers_see_the_same_in_the_same_order(api: Api) -> None:
    async def seen() -> list[tuple[str, str]]:
        async with watching(api, WATCH) as events:
            started.release()
            return await events.names(1 + 40)

    started = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(seen()) for _ in range(10)]
    for _ in tasks:
        await started.acquire()
    for number in range(20):
        put(api, f"m{number:02}")
        put(api, f"m{number:02}", "again")
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks)
    assert all(result == results[0] for result in results)
    assert [kind for kind, _ in results[0][1:]] == ["ADDED", "MODIFIED"] * 20
