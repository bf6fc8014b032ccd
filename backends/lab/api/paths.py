"""Paths that name no resource: version, health, discovery, OpenAPI."""

import re
from typing import Any, Final

from aiohttp import web

from backends.lab.api import answers, discovery, openapi
from backends.lab.api.context import Context, unsupported_verb
from backends.lab.storage.status import no_such_resource

_HEALTH: Final = ("ping", "log", "etcd", "informer-sync", "poststarthook/rbac/bootstrap-roles", "shutdown")
_GO: Final = {26: "go1.19.10", 27: "go1.20.14", 28: "go1.21.13", 29: "go1.22.12", 30: "go1.22.12", 31: "go1.22.12"}


def version_info(git_version: str) -> dict[str, Any]:
    """``GET /version`` from a version such as ``v1.26.15-eks-1234567``, whose minor is ``26+``."""
    match = re.match(r"v?(\d+)\.(\d+)", git_version)
    major, minor = (match[1], match[2]) if match else ("1", "0")
    number = int(minor)
    body: dict[str, Any] = {"major": major, "minor": f"{minor}+" if "-eks-" in git_version else minor}
    if number >= 33:
        body |= {
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(number - 1),
        }
    return body | {
        "gitVersion": git_version,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": _GO.get(number, "go1.24.12"),
        "compiler": "gc",
        "platform": "linux/amd64",
    }


async def serve(context: Context) -> web.Response:
    """Answer a request whose path names no resource."""
    info, store = context.info, context.store
    parts = [part for part in info.path.split("/") if part]
    if parts and parts[0] in ("healthz", "livez", "readyz"):
        return _health(context, parts)
    answer = _known(context, parts)
    if answer is None:
        if parts[:1] == ["api"] or (parts[:1] == ["apis"] and parts[1:2] and parts[1] in discovery.groups(store)):
            raise no_such_resource()
        return answers.text("404 page not found\n", 404)
    if info.verb not in ("get", "head"):
        raise unsupported_verb()
    if parts in (["api"], ["apis"]) and "as=APIGroupDiscoveryList" in context.request.headers.get("Accept", ""):
        return answers.answer(
            answers.encode(discovery.aggregated(store, core=parts == ["api"])),
            200,
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            {"Vary": "Accept"},
        )
    return answers.respond(context.request, answer)


def _known(context: Context, parts: list[str]) -> dict[str, Any] | None:
    store = context.store
    match parts:
        case []:
            return {"paths": _index(context)}
        case ["version"]:
            return version_info(context.cluster.version)
        case ["api"]:
            return discovery.api_versions()
        case ["apis"]:
            return discovery.group_list(store)
        case ["api", "v1"]:
            return discovery.resource_list(store, "", "v1")
        case ["apis", group]:
            return discovery.group(store, group)
        case ["apis", group, version]:
            return discovery.resource_list(store, group, version)
        case ["openapi", "v3"]:
            return openapi.index(store)
        case ["openapi", "v3", "api", version]:
            return openapi.document(store, version_info(context.cluster.version), "", version)
        case ["openapi", "v3", "apis", group, version]:
            return openapi.document(store, version_info(context.cluster.version), group, version)
    return None


def _index(context: Context) -> list[str]:
    found = ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
    for group, versions in discovery.groups(context.store).items():
        if group:
            found += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
    return sorted(found)


def _health(context: Context, parts: list[str]) -> web.Response:
    kind = parts[0]
    if len(parts) > 1:
        known = "/".join(parts[1:]) in _HEALTH
        return answers.text("ok") if known else answers.text("404 page not found\n", 404)
    if "verbose" not in context.info.query:
        return answers.text("ok")
    lines = "".join(f"[+]{check} ok\n" for check in _HEALTH)
    return answers.text(f"{lines}{kind} check passed\n")
