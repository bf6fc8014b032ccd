"""What the stand-ins need of a cluster: a port that the HTTPS client and the lab's own object store both fill."""

from collections.abc import Mapping
from typing import Any, Protocol

from backends.lab.commands.kube.kinds import Kind

Object = dict[str, Any]


class ApiFailure(Exception):
    """A refused request; ``str()`` is the server's message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def missing(self) -> bool:
        """Whether the object was not found."""
        return self.code == 404

    @property
    def exists(self) -> bool:
        """Whether an object of this name was there already."""
        return self.reason == "AlreadyExists"


class Unreachable(Exception):
    """No API server answered, or the configuration names none; the text is the client library's."""


class Port(Protocol):
    """Objects of one cluster. Every method raises ``ApiFailure``; a port over HTTPS also ``Unreachable``."""

    def version(self) -> str:
        """The API server's version, as in ``v1.34.4``."""

    def now(self) -> float:
        """The cluster's time in epoch seconds."""

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or ``None``."""

    def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The objects of a kind with these labels; ``namespace=None`` means all namespaces."""

    def create(self, kind: Kind, item: Object) -> Object:
        """Create an object."""

    def replace(self, kind: Kind, item: Object) -> Object:
        """Replace an object as a whole."""

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Object) -> Object:
        """Change an object by a JSON merge patch (RFC 7396)."""

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object, its dependents in the background."""
