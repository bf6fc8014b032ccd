"""OpenAPI v3 as kubectl reads it: for validation on the server's side, strategic patches and ``explain``."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from backends.lab.api import answers, discovery
from backends.lab.objects import ObjectStore, Resource
from backends.lab.storage import schemas
from backends.lab.storage.resources import CRDS

_REF: Final = "#/components/schemas/"


def index(store: ObjectStore) -> dict[str, Any]:
    """``GET /openapi/v3``: where the document of each group version is; the hash changes with the served kinds."""
    found = {}
    for group, versions in discovery.groups(store).items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            served = [resource.plural for resource in discovery.kinds(store, group, version)]
            crds = [crd["metadata"]["resourceVersion"] for crd in store.view(CRDS) if crd["spec"]["group"] == group]
            digest = hashlib.sha512(answers.encode([path, served, crds])).hexdigest().upper()
            found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": dict(sorted(found.items()))}


def document(store: ObjectStore, version_info: dict[str, Any], group: str, version: str) -> dict[str, Any] | None:
    """The document of one group version, or None where it is not served."""
    if version not in discovery.groups(store).get(group, ()):
        return None
    kinds = discovery.kinds(store, group, version)
    roots: dict[str, Any] = {}
    for resource in kinds:
        if resource.custom:
            roots[_custom_name(resource)] = _custom_schema(store, resource)
    needed = [name for resource in kinds if (name := schemas.schema_name(resource.api_version, resource.kind))]
    needed += [
        name
        for extra in discovery.REVIEWS.get((group, version), ())
        if (name := schemas.schema_name(f"{group}/{version}", extra.kind))
    ]
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
    components = {**_closure([*needed, f"{meta}.DeleteOptions", f"{meta}.ObjectMeta"]), **roots}
    paths = {path: body for resource in kinds for path, body in _paths(resource)}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version_info["gitVersion"]},
        "paths": paths,
        "components": {"schemas": components},
    }


def _closure(names: list[str]) -> dict[str, Any]:
    """Schemas and everything they refer to."""
    everything = schemas.components()
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in everything:
            continue
        found[name] = everything[name]
        waiting += _references(everything[name])
    return dict(sorted(found.items()))


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(_REF)
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _custom_name(resource: Resource) -> str:
    reverse = ".".join(reversed(resource.group.split(".")))
    return f"{reverse}.{resource.version}.{resource.kind}"


def _custom_schema(store: ObjectStore, resource: Resource) -> dict[str, Any]:
    crd = store.stored(CRDS, None, f"{resource.plural}.{resource.group}")
    versions = crd["spec"]["versions"] if crd else []
    given: dict[str, Any] = next((entry for entry in versions if entry["name"] == resource.version), {})
    schema = dict((given.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"})
    meta = {"allOf": [{"$ref": f"{_REF}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]}
    text = {"type": "string"}
    schema["properties"] = {"apiVersion": text, "kind": text, **(schema.get("properties") or {}), "metadata": meta}
    schema["x-kubernetes-group-version-kind"] = [_gvk(resource)]
    return schema


def _gvk(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _paths(resource: Resource) -> Iterator[tuple[str, dict[str, Any]]]:
    """The operations of a kind, with the parameters by which clients find out what the server can do."""
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    name = schemas.schema_name(resource.api_version, resource.kind) or _custom_name(resource)
    content = {"application/json": {"schema": {"$ref": f"{_REF}{name}"}}}
    writes = [
        {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for parameter in ("dryRun", "fieldManager", "fieldValidation")
    ]

    def operation(action: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _gvk(resource),
        }

    body = {"requestBody": {"content": content, "required": True}}
    yield (
        f"{base}{scope}/{resource.plural}",
        {"get": operation("list", []), "post": {**operation("post", writes), **body}},
    )
    patches = {"application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"}
    forms = patches if resource.custom else patches | {"application/strategic-merge-patch+json"}
    patch_body = {"content": {form: {"schema": {"type": "object"}} for form in sorted(forms)}, "required": True}
    yield (
        f"{base}{scope}/{resource.plural}/{{name}}",
        {
            "get": operation("get", []),
            "put": {**operation("put", writes), **body},
            "patch": {**operation("patch", writes), "requestBody": patch_body},
            "delete": operation("delete", []),
        },
    )
