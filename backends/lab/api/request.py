"""What a request is about: verb, resource, namespace, name and subresource, read from method, path and query.

Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_VERBS: Final = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_NAME_SELECTOR: Final = re.compile(r"metadata\.name==?([^,!=]+)")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request as authorization and dispatch see it; ``path`` alone counts where ``resource`` is empty."""

    method: str
    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_resource(self) -> bool:
        """Whether the path names a resource of an API group, known or not."""
        return bool(self.resource)

    def flag(self, key: str) -> bool:
        """A boolean of the query as the API server reads it."""
        return self.query.get(key, "").lower() in ("1", "t", "true")

    def number(self, key: str) -> int | None:
        """A non-negative integer of the query, or None."""
        value = self.query.get(key, "")
        return int(value) if value.isdigit() else None


def parse(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Read a request line."""
    plain = RequestInfo(method, path, method.lower(), query=query)
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return plain
    verb = _VERBS.get(method, "")
    if rest[0] == "watch" and len(rest) > 1:
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if not name:
        verb, name = _collection(verb, query)
    return RequestInfo(
        method, path, verb, group, version, namespace, rest[0], subresource, name, tuple(rest[3:]), query
    )


def _collection(verb: str, query: Mapping[str, str]) -> tuple[str, str]:
    """Verb of a request without a name, and the name that a field selector narrows it to."""
    named = _NAME_SELECTOR.fullmatch(query.get("fieldSelector", ""))
    name = named[1] if named else ""
    if verb == "get":
        watching = query.get("watch", "").lower() in ("1", "t", "true")
        return ("watch" if watching else "list"), name
    if verb == "delete":
        return "deletecollection", name
    return verb, name if verb == "watch" else ""
