"""Request bodies: JSON, YAML or protobuf, read into an object of the kind that the path names."""

from typing import Any, Final

import msgspec
import yaml

from backends.lab.api import json_text, wire
from backends.lab.api.context import Context
from backends.lab.objects import Object, Resource
from backends.lab.storage import decoding, schemas
from backends.lab.storage.resources import CRDS
from backends.lab.storage.status import ApiError, bad_request

LIMIT: Final = 3 * 1024 * 1024
_UNKNOWN_FORM: Final = (
    "the body of the request was in an unknown format - accepted media types include: application/json, "
    "application/yaml, application/vnd.kubernetes.protobuf"
)


async def raw(context: Context) -> bytes:
    """The body's bytes. Raises ``ApiError`` 413 above 3 MiB."""
    body = await context.request.read() if context.request.body_exists else b""
    if len(body) > LIMIT:
        message = f"Request entity too large: limit is {LIMIT}"
        raise ApiError(413, "RequestEntityTooLarge", message, {})
    return body


def media_type(context: Context) -> str:
    """The content type without its parameters; JSON where none is given."""
    return context.request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()


async def anything(context: Context, kind: str) -> Any:
    """The decoded body. Raises ``ApiError`` 400 or 415."""
    body = await raw(context)
    form = media_type(context)
    if form == wire.MEDIA_TYPE:
        return wire.decode(body)
    if form in ("application/yaml", "application/apply-patch+yaml"):
        return _yaml(body)
    if form not in ("application/json", ""):
        raise ApiError(415, "UnsupportedMediaType", _UNKNOWN_FORM)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request(_unrecognized(kind, json_text.complaint(body), body)) from None


def _unrecognized(kind: str, why: str, body: bytes) -> str:
    """The sentence of a body without version and kind."""
    return (
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
        f"json parse error: {why} ({json_text.shown(body)})"
    )


def _yaml(body: bytes) -> Any:
    try:
        return yaml.load(body, Loader=_Loader)
    except yaml.YAMLError as problem:
        raise bad_request(f"error decoding YAML: {' '.join(str(problem).split())}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader is not in the stubs
    """YAML without dates: a timestamp stays the text it is, as in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


async def of_kind(context: Context, resource: Resource) -> Object:
    """The object of a create or update, checked against its schema. Raises ``ApiError`` 400 or 415."""
    body = await anything(context, resource.kind)
    if not isinstance(body, dict):
        names = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}
        go_type = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        why = f"json: cannot unmarshal {names.get(type(body), 'null')} into Go value of type {go_type}"
        raise bad_request(_unrecognized(resource.kind, why, await raw(context)))
    body.setdefault("apiVersion", resource.api_version)
    body.setdefault("kind", resource.kind)
    if body["apiVersion"] != resource.api_version or body["kind"] != resource.kind:
        raise bad_request(_other_kind(body, resource))
    return typed(context, resource, body)


def _other_kind(body: Object, resource: Resource) -> str:
    if body["kind"] == resource.kind:
        return (
            f"the API version in the data ({body['apiVersion']}) does not match the expected API version "
            f"({resource.api_version})"
        )
    version = str(body["apiVersion"]).rpartition("/")[2]
    said = f'{body["kind"]} in version "{version}" cannot be handled as a {resource.kind}: '
    if schemas.schema_name(str(body["apiVersion"]), str(body["kind"])) is not None:
        package = resource.group.partition(".")[0] or "core"
        return f"{said}converting ({version}.{body['kind']}) to ({package}.{resource.kind}): unknown conversion"
    registered = f'no kind "{body["kind"]}" is registered for version "{body["apiVersion"]}"'
    return f'{said}{registered} in scheme "pkg/api/legacyscheme/scheme.go:30"'


def shape_of(context: Context, resource: Resource) -> "schemas.Shape | None":
    """The schema of a kind in this cluster."""
    if not resource.custom:
        return schemas.root(resource.api_version, resource.kind)
    crd = context.store.stored(CRDS, None, f"{resource.plural}.{resource.group}")
    return None if crd is None else schemas.from_crd(crd, resource.version)


def find_unknown(context: Context, resource: Resource, body: Object, unknown: list[str]) -> Object:
    """The object as the server's types hold it; paths of unknown fields go to ``unknown``. Raises ``ApiError`` 400."""
    meta = body.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: cannot '
            f"unmarshal into Go struct field {resource.kind}.metadata of type v1.ObjectMeta"
        )
    obj = decoding.normalized(shape_of(context, resource), body, unknown)
    if resource.custom:
        meta = decoding.normalized(schemas.metadata_shape(), obj.get("metadata") or {}, unknown, "metadata")
        obj = {**obj, "metadata": meta}
    obj.setdefault("metadata", {})
    return obj


def typed(context: Context, resource: Resource, body: Object) -> Object:
    """The object as the server holds it; unknown fields are refused, warned of or ignored as the client asks."""
    unknown: list[str] = []
    obj = find_unknown(context, resource, body, unknown)
    mode = context.info.query.get("fieldValidation", "Warn")
    named = [f'unknown field "{path}"' for path in sorted(unknown)]
    if named and mode == "Strict":
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(named)}"
        )
    if mode == "Warn":
        context.warnings += named
    return obj
