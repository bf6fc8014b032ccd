"""Errors of a Kubernetes API server: the ``Status`` object and its exact sentences.

Source: k8s.io/apimachinery/pkg/api/errors, compared with a running kube-apiserver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.lab.storage.resources import Resource


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a ``Status``: ``reason`` as ``FieldValueRequired``, ``field`` a path as ``spec.ports[0]``."""

    reason: str
    message: str
    field: str = ""

    def json(self) -> dict[str, str]:
        """The cause as ``details.causes`` holds it."""
        body = {"reason": self.reason, "message": self.message}
        return {**body, "field": self.field} if self.field else body


class ApiError(Exception):
    """A refused request: ``code`` (HTTP), ``reason`` and the complete ``Status`` body."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details) if details is not None else None
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The ``Status`` object in the key order of a real server."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(resource: Resource, name: str = "") -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object that does not exist."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 for a create of a name in use."""
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = CHANGED) -> ApiError:
    """409 for an optimistic lock that did not hold, or a failed precondition."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def other_uid(resource: Resource, held: Mapping[str, Any], uid: str) -> ApiError:
    """409 for an object that was deleted and made again since the client saw it."""
    place = "/".join(part for part in (resource.plural, held.get("namespace"), held["name"]) if part)
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {uid}, UID in object meta: {held['uid']}"
    )
    return conflict(resource, str(held["name"]), why)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with one cause per field."""
    sentences = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    joined = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    details["causes"] = [cause.json() for cause in causes]
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403 with the sentence of admission or authorization."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(resource, name))


def bad_request(message: str) -> ApiError:
    """400 with a free sentence."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: no or unknown credentials."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def no_such_resource() -> ApiError:
    """404 for a path of a known group that serves no such resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> ApiError:
    """405 for a verb that the resource does not have."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def expired(message: str) -> ApiError:
    """410 for a resource version or continue token that is too old."""
    return ApiError(410, "Expired", message)
