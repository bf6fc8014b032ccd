"""delete and deletecollection, with their options in the query or in a body."""

from typing import Any, Final

import msgspec
from aiohttp import web

from backends.lab.api import answers, bodies, reading, wire
from backends.lab.api.context import Context
from backends.lab.api.writing import dry_run
from backends.lab.objects import Object, Resource
from backends.lab.storage import status
from backends.lab.storage.resources import PODS
from backends.lab.storage.status import ApiError, Cause, bad_request

# Kinds whose deletion is answered with the object (ReturnDeletedObject); the others with a Status.
_RETURNED: Final = frozenset(
    {
        ("", "namespaces"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "storageclasses"),
    }
)
_POLICIES: Final = ("Foreground", "Background", "Orphan")
_JOB_WARNING: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


async def delete(context: Context, resource: Resource) -> web.Response:
    """DELETE of one object."""
    options = await _options(context)
    name = context.info.name
    old = context.store.need(resource, context.namespace, name)
    wanted = options.get("preconditions") or {}
    if wanted.get("uid") not in (None, old["metadata"]["uid"]):
        raise _other_uid(resource, old, wanted["uid"])
    if wanted.get("resourceVersion") not in (None, old["metadata"]["resourceVersion"]):
        raise status.conflict(
            resource,
            name,
            f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the ResourceVersion "
            f"in record ({old['metadata']['resourceVersion']}). The object might have been modified",
        )
    gone = _remove(context, resource, old, options)
    still = "deletionTimestamp" in gone["metadata"] and _exists(context, resource, gone)
    if still or resource.key in _RETURNED:
        code = 202 if still and options.get("propagationPolicy") == "Foreground" else 200
        return reading.show(context, resource, gone, code)
    details: Object = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "uid": gone["metadata"]["uid"]}
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    response = answers.respond(context.request, body)
    for header, value in context.warning_headers():
        response.headers.add(header, value)
    return response


def _exists(context: Context, resource: Resource, obj: Object) -> bool:
    meta = obj["metadata"]
    held = context.store.stored(resource, meta.get("namespace"), meta["name"])
    return held is not None and held["metadata"]["uid"] == meta["uid"]


def _other_uid(resource: Resource, old: Object, uid: str) -> ApiError:
    name = old["metadata"]["name"]
    message = (
        f'Operation cannot be fulfilled on {resource.kind} "{name}": the UID in the precondition ({uid}) does not '
        f"match the UID in record ({old['metadata']['uid']}). The object might have been deleted and then recreated"
    )
    return ApiError(409, "Conflict", message, {"name": name, "kind": resource.kind})


def _remove(context: Context, resource: Resource, old: Object, options: Object) -> Object:
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None and resource.key == ("batch", "jobs"):
        policy = "Orphan"
        context.warnings.append(_JOB_WARNING)
    meta = old["metadata"]
    grace = 0
    if resource.key == PODS.key:
        given = options.get("gracePeriodSeconds")
        grace = int(old["spec"].get("terminationGracePeriodSeconds", 30) if given is None else given)
    if dry_run(context):
        return old
    return context.store.delete(
        resource, meta.get("namespace"), meta["name"], grace_seconds=grace, propagation=policy or "Background"
    )


async def collection(context: Context, resource: Resource) -> web.Response:
    """DELETE of everything that the selectors name; answers with the list of what went."""
    options = await _options(context)
    matches = reading.matcher(context, resource) or (lambda obj: True)
    chosen = [obj for obj in context.store.view(resource, context.namespace) if matches(obj)]
    gone = [_remove(context, resource, obj, options) for obj in chosen]
    meta = {"resourceVersion": str(context.store.resource_version)}
    items: list[Any] = gone
    if not resource.custom:
        items = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in gone]
    body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": items}
    return answers.respond(context.request, body)


async def _options(context: Context) -> Object:
    raw = await bodies.raw(context)
    options: Object = {}
    if raw:
        if bodies.media_type(context) == wire.MEDIA_TYPE:
            options = wire.decode(raw)
        else:
            try:
                options = msgspec.json.decode(raw, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise bad_request("the body of the request could not be read as DeleteOptions") from None
    query = context.info.query
    for field in ("propagationPolicy", "gracePeriodSeconds"):
        if query.get(field):
            options.setdefault(field, query[field])
    policy = options.get("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        text = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        cause = Cause("FieldValueNotSupported", text, "propagationPolicy")
        details = {"group": "meta.k8s.io", "kind": "DeleteOptions", "causes": [cause.json()]}
        message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {text}'
        raise ApiError(422, "Invalid", message, details)
    return options
