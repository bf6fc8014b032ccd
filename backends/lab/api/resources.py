"""Dispatch of resource requests: verb and subresource to what serves them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web

from backends.lab.api import answers, deleting, reading, reviews, streams, subresources, watching, writing
from backends.lab.api.context import Context
from backends.lab.api.discovery import groups
from backends.lab.objects import Resource
from backends.lab.storage.resources import NAMESPACES
from backends.lab.storage.status import method_not_allowed, no_such_resource

_Serve: TypeAlias = Callable[[Context, Resource], Awaitable[web.StreamResponse]]


async def serve(context: Context) -> web.StreamResponse:
    """Answer a request for a resource of the cluster."""
    info = context.info
    versions = groups(context.store).get(info.group)
    if versions is None:
        return answers.text("404 page not found\n", 404)
    if info.version not in versions:
        raise no_such_resource()
    if reviews.is_review(context):
        return await reviews.serve(context)
    resource = context.resource()
    if info.rest:
        raise no_such_resource()
    if info.subresource:
        below = _SUBRESOURCES.get(info.subresource)
        if below is None:
            raise no_such_resource()
        return await below(context, resource)
    return await _MAIN.get(info.verb, _not_allowed)(context, resource)


async def _get(context: Context, resource: Resource) -> web.Response:
    return reading.get(context, resource)


async def _list(context: Context, resource: Resource) -> web.Response:
    return reading.listing(context, resource)


async def _create(context: Context, resource: Resource) -> web.Response:
    if context.info.name:
        raise method_not_allowed()
    return await writing.create(context, resource)


async def _collection(context: Context, resource: Resource) -> web.Response:
    if resource.key == NAMESPACES.key or (resource.namespaced and context.namespace is None):
        raise method_not_allowed()
    return await deleting.collection(context, resource)


async def _update(context: Context, resource: Resource) -> web.Response:
    if not context.info.name:
        raise method_not_allowed()
    return await writing.replace(context, resource)


async def _patch(context: Context, resource: Resource) -> web.Response:
    if not context.info.name:
        raise method_not_allowed()
    return await writing.patch(context, resource)


async def _not_allowed(context: Context, resource: Resource) -> web.Response:
    raise method_not_allowed()


_MAIN: Final[Mapping[str, _Serve]] = {
    "get": _get,
    "list": _list,
    "watch": watching.serve,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": deleting.delete,
    "deletecollection": _collection,
}
_SUBRESOURCES: Final[Mapping[str, _Serve]] = {
    "status": subresources.status,
    "scale": subresources.scale,
    "finalize": subresources.finalize,
    "eviction": subresources.evict,
    "token": subresources.token,
    "log": streams.log,
    "exec": streams.execute,
}
