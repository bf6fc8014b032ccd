"""One request on its way through the API: who asks, what for, and the cluster that answers."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

from backends.lab.api.authorizer import Attributes, Authorizer
from backends.lab.api.identity import Identity
from backends.lab.api.request import RequestInfo
from backends.lab.cluster import LabCluster
from backends.lab.objects import ObjectStore, Resource
from backends.lab.storage.status import ApiError, no_such_resource

Handler: TypeAlias = Callable[["Context"], Coroutine[Any, Any, web.StreamResponse]]


@dataclass(slots=True)
class Context:
    """``request`` is the HTTP request, ``info`` what it is about, ``who`` its authenticated user."""

    cluster: LabCluster
    request: web.BaseRequest
    info: RequestInfo
    who: Identity
    authorizer: Authorizer
    warnings: list[str] = field(default_factory=list)

    @property
    def store(self) -> ObjectStore:
        """The cluster's objects."""
        return self.cluster.objects

    @property
    def namespace(self) -> str | None:
        """The namespace of the path; None where the request is about all of them, or about a namespace itself."""
        return None if self.info.resource == "namespaces" else self.info.namespace or None

    def resource(self) -> Resource:
        """The kind that the path names. Raises ``ApiError`` 404 where the group serves no such kind."""
        info = self.info
        resource = self.store.served(info.group, info.version, info.resource)
        if resource is None or (info.namespace and not resource.namespaced and info.resource != "namespaces"):
            raise no_such_resource()
        return resource

    def allowed(self, verb: str, group: str, resource: str, subresource: str = "", name: str = "") -> bool:
        """Whether the user may do something else in the request's namespace."""
        what = Attributes(verb, group, resource, subresource, self.info.namespace, name)
        return self.authorizer.allows(self.who, what)

    @property
    def manager(self) -> str:
        """The field manager of a write: the parameter, else the program's name in the user agent."""
        given = self.info.query.get("fieldManager", "")
        return given or self.request.headers.get("User-Agent", "unknown").partition("/")[0] or "unknown"

    def warning_headers(self) -> list[tuple[str, str]]:
        """``Warning`` headers of the answer (RFC 7234, code 299)."""
        return [("Warning", '299 - "' + text.replace("\\", "\\\\").replace('"', '\\"') + '"') for text in self.warnings]


def attributes(info: RequestInfo) -> Attributes:
    """What authorization is asked for a request."""
    if not info.is_resource:
        return Attributes(info.verb, path=info.path)
    return Attributes(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name, info.path)


def unsupported_verb() -> ApiError:
    """405 for a verb that the path does not have."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
