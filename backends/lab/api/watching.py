"""watch: what is there, then every change, with bookmarks; 410 for a version that is too old."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from backends.lab.api import answers, reading
from backends.lab.api.context import Context
from backends.lab.api.tables import Printer, partial
from backends.lab.objects import Change, Object, Resource
from backends.lab.storage.status import ApiError, Cause, expired

_BOOKMARK_SECONDS: Final = 60.0
_DEFAULT_TIMEOUT: Final = 1800.0
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


class _Writer:
    """Puts events on the wire in the form that the client asked for."""

    def __init__(self, context: Context, resource: Resource) -> None:
        self._resource = resource
        self._form = answers.accepted(context.request).kind
        self._include = context.info.query.get("includeObject", "Metadata")
        self._printer = Printer(context.store, resource) if self._form == "Table" else None
        self._headed = True

    def line(self, kind: str, obj: Object) -> bytes:
        """One event as a line of JSON."""
        return answers.encode({"type": kind, "object": self._object(obj)}) + b"\n"

    def _object(self, obj: Object) -> Object:
        if obj.get("kind") == "Status":
            return obj
        obj = reading.relabelled(self._resource, obj)
        if self._printer is not None:
            meta = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            table = self._printer.table([obj], meta, self._include, headed=self._headed)
            self._headed = False
            return table
        return partial(obj) if self._form.startswith("PartialObjectMetadata") else obj

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """A bookmark: an empty object of the kind at a resource version."""
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if annotations:
            meta["annotations"] = annotations
        resource = self._resource
        bare: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        if self._printer is not None:
            bare = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": str(version)},
                "columnDefinitions": None,
                "rows": [{"cells": [""] * len(self._printer.columns), "object": partial(bare)}],
            }
        return answers.encode({"type": "BOOKMARK", "object": bare}) + b"\n"


async def serve(context: Context, resource: Resource) -> web.StreamResponse:
    """Stream events until the client goes, the time is over, or the watch cannot go on."""
    query, store = context.info.query, context.store
    initial = context.info.flag("sendInitialEvents")
    _check(context, initial)
    matches = reading.matcher(context, resource) or (lambda obj: True)
    namespace = context.namespace
    writer = _Writer(context, resource)
    given = query.get("resourceVersion", "")
    history = store.history(resource)
    queue: asyncio.Queue[Change] = asyncio.Queue()
    stop = history.listen(queue.put_nowait)
    try:
        lines: list[bytes] = []
        fresh = initial or given in ("", "0")
        if not fresh and int(given) < history.oldest:
            error = expired(f"too old resource version: {given} ({history.oldest})")
            lines.append(writer.line("ERROR", error.status()))
            return await _stream(context, lines, None)
        if fresh:
            lines += [writer.line("ADDED", obj) for obj in store.view(resource, namespace) if matches(obj)]
            if initial and context.info.flag("allowWatchBookmarks"):
                lines.append(writer.bookmark(store.resource_version, _INITIAL_END))
        else:
            lines += _lines(writer, history.since(int(given)), namespace, matches)
        source = _Source(queue, writer, namespace, matches, lambda: store.resource_version)
        return await _stream(context, lines, source)
    finally:
        stop()


def _check(context: Context, initial: bool) -> None:
    match_ = context.info.query.get("resourceVersionMatch", "")
    if initial and match_ != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        cause = Cause("FieldValueForbidden", text, "resourceVersionMatch")
        details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause.json()]}
        message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {text}'
        raise ApiError(422, "Invalid", message, details)
    reading.check_version(context, watching=True)


class _Source:
    """Later changes of a watch, as lines."""

    def __init__(
        self,
        queue: "asyncio.Queue[Change]",
        writer: _Writer,
        namespace: str | None,
        matches: Callable[[Object], bool],
        version: Callable[[], int],
    ) -> None:
        self._queue = queue
        self._writer = writer
        self._namespace = namespace
        self._matches = matches
        self._version = version

    async def next(self, seconds: float) -> list[bytes]:
        """Lines of the next changes; empty when there was none for ``seconds`` (real time)."""
        try:
            first = await asyncio.wait_for(self._queue.get(), seconds)
        except TimeoutError:
            return []
        rest = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        return _lines(self._writer, list(itertools.chain([first], rest)), self._namespace, self._matches)

    def bookmark(self) -> bytes:
        """A bookmark at the present version."""
        return self._writer.bookmark(self._version())


def _lines(
    writer: _Writer, changes: list[Change], namespace: str | None, matches: Callable[[Object], bool]
) -> list[bytes]:
    found = []
    for change in changes:
        if namespace is not None and change.after["metadata"].get("namespace") != namespace:
            continue
        before = change.before is not None and matches(change.before)
        after = change.kind != "DELETED" and matches(change.after)
        if after:
            found.append(writer.line("MODIFIED" if before else "ADDED", change.after))
        elif before and change.kind == "DELETED":
            found.append(writer.line("DELETED", change.after))
        elif before and change.before is not None:
            meta = {**change.before["metadata"], "resourceVersion": str(change.version)}
            found.append(writer.line("DELETED", {**change.before, "metadata": meta}))
    return found


async def _stream(context: Context, lines: list[bytes], source: _Source | None) -> web.StreamResponse:
    response = web.StreamResponse(headers=answers.base_headers({"Content-Type": "application/json"}))
    response.enable_chunked_encoding()
    await response.prepare(context.request)
    loop = asyncio.get_running_loop()
    seconds = context.info.number("timeoutSeconds") or _DEFAULT_TIMEOUT
    end = loop.time() + seconds
    # A real server sends a bookmark every minute and one shortly before the time is over.
    mark = loop.time() + min(_BOOKMARK_SECONDS, max(seconds - 2, seconds / 2))
    marks = context.info.flag("allowWatchBookmarks")
    if lines:
        await response.write(b"".join(lines))
    while source is not None and loop.time() < end:
        lines = await source.next(max(min(end, mark if marks else end) - loop.time(), 0))
        if marks and loop.time() >= mark:
            lines.append(source.bookmark())
            mark = loop.time() + _BOOKMARK_SECONDS
        if lines:
            await response.write(b"".join(lines))
    await response.write_eof()
    return response
