"""get and list: selectors, chunks with a consistent view, tables and metadata alone."""

import base64
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from backends.lab.api import answers, json_text
from backends.lab.api.context import Context
from backends.lab.api.tables import Printer, partial
from backends.lab.objects import Object, Resource
from backends.lab.storage.history import Listed
from backends.lab.storage.selectors import labels_match, parse_fields, parse_labels
from backends.lab.storage.status import ApiError, Cause, bad_request, expired

_GONE: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def matcher(context: Context, resource: Resource) -> Callable[[Object], bool] | None:
    """What the request's selectors let through; None where there are none. Raises ``ApiError`` 400."""
    labels = context.info.query.get("labelSelector", "")
    fields = context.info.query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    requirements, of_fields = parse_labels(labels), parse_fields(resource, fields)
    return lambda obj: labels_match(requirements, obj) and of_fields(obj)


def get(context: Context, resource: Resource) -> web.Response:
    """One object."""
    info = context.info
    return show(context, resource, context.store.need(resource, context.namespace, info.name))


def show(context: Context, resource: Resource, obj: Object, code: int = 200) -> web.Response:
    """An object as the client wants to see it: whole, as a table's row, or its metadata."""
    obj = relabelled(resource, obj)
    wanted = answers.accepted(context.request)
    body: Object = obj
    if wanted.kind == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        body = Printer(context.store, resource).table([obj], meta, _include(context))
    elif wanted.kind == "PartialObjectMetadata":
        body = partial(obj)
    response = answers.respond(context.request, body, code)
    for name, value in context.warning_headers():
        response.headers.add(name, value)
    return response


def _include(context: Context) -> str:
    return context.info.query.get("includeObject", "Metadata")


def relabelled(resource: Resource, obj: Object) -> Object:
    """The object under the version that the path names."""
    return obj if obj.get("apiVersion") == resource.api_version else {**obj, "apiVersion": resource.api_version}


def check_version(context: Context, *, watching: bool = False) -> None:
    """Raises ``ApiError`` for a ``resourceVersion`` that is none (400; 500 in a watch) or is not reached yet (504)."""
    given = context.info.query.get("resourceVersion", "")
    if not context.info.flag("sendInitialEvents"):
        _check_match(context.info.query.get("resourceVersionMatch", ""), given)
    if given and not given.isdigit():
        why = f'resourceVersion: Invalid value: "{given}": strconv.ParseUint: parsing "{given}": invalid syntax'
        raise ApiError(500, "", why) if watching else bad_request(f"invalid resource version: {why}")
    if given and int(given) > context.store.resource_version:
        current = context.store.resource_version
        details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        message = f"Timeout: Too large resource version: {given}, current: {current}"
        raise ApiError(504, "Timeout", message, details, {"Retry-After": "1"})


def _check_match(match: str, version: str) -> None:
    """Raises ``ApiError`` 422 for a ``resourceVersionMatch`` that cannot be (meta/internalversion/validation)."""
    reason = "FieldValueForbidden"
    if match not in ("", "Exact", "NotOlderThan"):
        reason = "FieldValueNotSupported"
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    elif match and not version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and version == "0":
        why = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    else:
        return
    cause = Cause(reason, why, "resourceVersionMatch")
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause.json()]}
    raise ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {why}', details)


def listing(context: Context, resource: Resource) -> web.Response:
    """All objects of a kind, or one chunk of them."""
    query = context.info.query
    check_version(context)
    limit = _limit(query.get("limit", ""))
    token = query.get("continue", "")
    if token:
        version, start, listed = _resumed(context, resource, token)
    else:
        matches = matcher(context, resource)
        version, start = context.store.resource_version, 0
        listed = context.store.encoded(resource, context.namespace)
        if matches is not None:
            listed = [entry for entry in listed if matches(entry[0])]
    meta: Object = {"resourceVersion": str(version)}
    chunk = listed[start : start + limit] if limit else listed[start:]
    left = len(listed) - start - len(chunk)
    if left > 0:
        key = (resource.key, context.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""), version)
        context.cluster.snapshots.keep(key, listed)
        meta["continue"] = _token(version, start + len(chunk))
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = left
    return _shown(context, resource, chunk, meta)


def _limit(text: str) -> int:
    if text and not text.lstrip("-").isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return max(int(text or 0), 0)


def _token(version: int, start: int) -> str:
    token = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": version, "start": str(start)})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _resumed(context: Context, resource: Resource, token: str) -> tuple[int, int, Listed]:
    query = context.info.query
    version, start = _position(token)
    if query.get("resourceVersion") not in (None, "", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    key = (resource.key, context.namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""), version)
    listed = context.cluster.snapshots.find(key)
    if listed is None:
        raise expired(_GONE)
    return version, start, listed


def _position(token: str) -> tuple[int, int]:
    invalid = "invalid continue token: continue key is not valid: "
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise bad_request(f"{invalid}illegal base64 data at input byte 0") from None
    try:
        read = msgspec.json.decode(decoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request(f"{invalid}{json_text.complaint(decoded)}") from None
    try:
        return int(read["rv"]), int(read["start"])
    except (ValueError, KeyError, TypeError):
        raise bad_request(f"{invalid}server does not recognize this encoded version ") from None


def _shown(context: Context, resource: Resource, chunk: Listed, meta: Object) -> web.Response:
    wanted = answers.accepted(context.request)
    if wanted.kind == "Table":
        table = Printer(context.store, resource).table((obj for obj, _ in chunk), meta, _include(context))
        return answers.respond(context.request, table)
    if wanted.kind == "PartialObjectMetadataList":
        # Go writes a list that was never appended to as null.
        items = [partial(obj) for obj, _ in chunk] or None
        body = {"kind": wanted.kind, "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
        return answers.respond(context.request, body)
    head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta}
    items_raw = b",".join(_item(resource, obj, raw) for obj, raw in chunk)
    body_raw = answers.encode(head)[:-1] + b',"items":[' + items_raw + b"]}"
    return answers.respond(context.request, body_raw)


def _item(resource: Resource, obj: Object, raw: Callable[[], bytes]) -> bytes:
    """An item of a list; built-in kinds carry no ``kind`` and ``apiVersion`` there."""
    if resource.custom:
        return raw() if obj["apiVersion"] == resource.api_version else answers.encode(relabelled(resource, obj))
    prefix = len('{"kind":"","apiVersion":"",') + len(obj["kind"]) + len(obj["apiVersion"])
    return b"{" + raw()[prefix:]
