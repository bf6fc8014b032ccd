"""create, update, patch and apply: what a request body becomes before the store takes it."""

import re
from typing import Any, Final

import msgspec
from aiohttp import web

from backends.lab.api import bodies, ownership, reading
from backends.lab.api.context import Context
from backends.lab.objects import Object, Resource
from backends.lab.storage import patches, status
from backends.lab.storage.resources import CRDS, NODES
from backends.lab.storage.status import ApiError, Cause, bad_request

_PATCHES: Final = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
# Kinds that a PUT to a name without an object creates (AllowCreateOnUpdate).
_CREATED_BY_PUT: Final = frozenset(
    {
        ("", "services"),
        ("", "endpoints"),
        ("", "events"),
        ("", "limitranges"),
        ("coordination.k8s.io", "leases"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
    }
)
_LOCKED: Final = frozenset({("coordination.k8s.io", "leases"), ("policy", "poddisruptionbudgets")})
_SERVER_FIELDS: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")


def dry_run(context: Context) -> bool:
    """Whether the client only wants to see what would happen. Raises ``ApiError`` 422 for an unknown value."""
    given = context.request.query.getall("dryRun", [])
    if any(value != "All" for value in given):
        text = f'Unsupported value: ["{given[0]}"]: supported values: "All"'
        cause = Cause("FieldValueNotSupported", text, "dryRun")
        details = {"group": "meta.k8s.io", "kind": "CreateOptions", "causes": [cause.json()]}
        raise ApiError(422, "Invalid", f'CreateOptions.meta.k8s.io "" is invalid: dryRun: {text}', details)
    return bool(given)


async def create(context: Context, resource: Resource) -> web.Response:
    """POST to a collection."""
    if resource.namespaced and context.namespace is None:
        raise status.method_not_allowed()
    obj = await bodies.of_kind(context, resource)
    if obj["metadata"].get("resourceVersion"):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    made = store_new(context, resource, obj)
    return reading.show(context, resource, made, 201)


def store_new(context: Context, resource: Resource, obj: Object, *, manage: bool = True) -> Object:
    """Create an object that a client sent: in the path's namespace, without what only a server sets."""
    meta = obj["metadata"]
    if resource.namespaced:
        _same_namespace(context, meta)
        meta["namespace"] = context.namespace
    for field in _SERVER_FIELDS:
        meta.pop(field, None)
    if resource.status and resource.key not in (NODES.key, CRDS.key):
        obj.pop("status", None)

    def finish(final: Object) -> None:
        if manage:
            final["metadata"].pop("managedFields", None)
            shape = bodies.shape_of(context, resource)
            ownership.record_update(shape, None, final, context.manager, context.store.now())

    return context.store.create(resource, obj, dry_run=dry_run(context), finish=finish)


def _same_namespace(context: Context, meta: Object) -> None:
    if meta.get("namespace") and meta["namespace"] != context.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


async def replace(context: Context, resource: Resource, subresource: str = "") -> web.Response:
    """PUT of an object or its status."""
    obj = await bodies.of_kind(context, resource)
    meta, name = obj["metadata"], context.info.name
    if meta.get("name") and meta["name"] != name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    meta["name"] = name
    if resource.namespaced:
        _same_namespace(context, meta)
        meta["namespace"] = context.namespace
    old = context.store.get(resource, context.namespace, name)
    if old is None:
        if (
            resource.key in _CREATED_BY_PUT
            and not subresource
            and context.allowed("create", resource.group, resource.plural)
        ):
            return reading.show(context, resource, store_new(context, resource, obj), 201)
        raise status.not_found(resource, name)
    if not meta.get("resourceVersion") and (resource.custom or resource.key in _LOCKED):
        cause = Cause(
            "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
        )
        raise status.invalid(resource, name, [cause])
    stored = _update(context, resource, old, obj, subresource)
    return reading.show(context, resource, stored)


def _update(context: Context, resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """Write what the endpoint may change: the status, or everything else."""
    meta = new["metadata"]
    given = meta.get("managedFields")
    if subresource == "status":
        kept = {**old["metadata"], "resourceVersion": meta.get("resourceVersion")}
        new = {**old, "metadata": kept, "status": new.get("status") or {}}
    elif resource.status:
        new = {**new, "status": old["status"]} if "status" in old else {k: v for k, v in new.items() if k != "status"}
    previous = old["metadata"].get("managedFields")
    chosen = previous if given is None else given
    if chosen is None or chosen == [{}]:
        new["metadata"].pop("managedFields", None)
    else:
        new["metadata"]["managedFields"] = chosen

    def finish(final: Object) -> None:
        shape = bodies.shape_of(context, resource)
        ownership.record_update(shape, old, final, context.manager, context.store.now(), subresource)

    return context.store.update(resource, new, dry_run=dry_run(context), finish=finish)


async def patch(context: Context, resource: Resource, subresource: str = "") -> web.Response:
    """PATCH of an object or its status, in any of the four forms."""
    form = _PATCHES.get(bodies.media_type(context))
    if form is None or (form == "strategic" and resource.custom):
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if form == "apply":
        return await _apply(context, resource, subresource)
    if "force" in context.info.query:
        raise _options("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch")
    body = _patch_body(await bodies.raw(context))
    old = context.store.need(resource, context.namespace, context.info.name)
    new = patches.patched(old, body, form)
    _unmoved(context, resource, old, new)
    if new["kind"] != resource.kind or new["apiVersion"] != old["apiVersion"]:
        raise bad_request(f"invalid object type: {new['apiVersion']}, Kind={new['kind']}")
    if subresource != "status":
        new = bodies.typed(context, resource, new)
    stored = _update(context, resource, old, new, subresource)
    return reading.show(context, resource, stored)


def _patch_body(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise bad_request(f"error decoding patch: {problem}") from None


def _unmoved(context: Context, resource: Resource, old: Object, new: Object) -> None:
    name, meta = context.info.name, new["metadata"]
    if meta.get("name") != name:
        raise bad_request(f"the name of the object ({meta.get('name')}) does not match the name on the URL ({name})")
    if meta.get("namespace") != old["metadata"].get("namespace"):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if meta.get("uid") != old["metadata"]["uid"]:
        text = f'Invalid value: "{meta.get("uid", "")}": field is immutable'
        raise status.invalid(resource, name, [Cause("FieldValueInvalid", text, "metadata.uid")])


def _options(field: str, reason: str, text: str) -> ApiError:
    details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [Cause(reason, text, field).json()]}
    return ApiError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {field}: {text}', details)


async def _apply(context: Context, resource: Resource, subresource: str) -> web.Response:
    manager = context.info.query.get("fieldManager", "")
    if not manager:
        raise _options("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
    body = await bodies.anything(context, resource.kind)
    name = context.info.name
    if not isinstance(body, dict) or (body.get("apiVersion"), body.get("kind")) != (
        resource.api_version,
        resource.kind,
    ):
        given = body if isinstance(body, dict) else {}
        group, _, version = str(given.get("apiVersion", "")).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={given.get('kind', '')}")
    meta = body.get("metadata") or {}
    if meta.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    _declared(context, resource, body)
    if not meta.get("name"):
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if meta["name"] != name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if resource.namespaced:
        _same_namespace(context, meta)
        meta["namespace"] = context.namespace
    live = context.store.get(resource, context.namespace, name)
    force, now, shape = context.info.flag("force"), context.store.now(), bodies.shape_of(context, resource)
    result = ownership.applied(shape, live, body, manager, now, force=force, subresource=subresource)
    if live is None:
        if not context.allowed("create", resource.group, resource.plural):
            raise status.forbidden(resource, name, "apply creates the object, and creating it is not allowed")
        made = store_new(context, resource, result, manage=False)
        return reading.show(context, resource, made, 201)
    if resource.status and subresource != "status" and "status" in live:
        result["status"] = live["status"]
    if not meta.get("resourceVersion"):
        result["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return reading.show(context, resource, context.store.update(resource, result, dry_run=dry_run(context)))


def _declared(context: Context, resource: Resource, body: Object) -> None:
    """Raises ``ApiError`` 500 for a field that the schema does not have, as the typed merge of a real server does."""
    unknown: list[str] = []
    bodies.find_unknown(context, resource, body, unknown)
    if unknown:
        path = re.sub(r"\[\d+\]", "", unknown[0])
        kind = f"{resource.group}/{resource.version}, Kind={resource.kind}"
        namespace, name = context.info.namespace, (body.get("metadata") or {}).get("name", "")
        message = (
            f"failed to create typed patch object ({namespace}/{name}; {kind}): .{path}: field not declared in schema"
        )
        raise ApiError(500, "", message)
