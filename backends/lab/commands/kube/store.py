"""The port over a lab cluster's object store: no HTTP, for building scenarios."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from backends.lab.commands.kube.kinds import Kind
from backends.lab.commands.kube.port import ApiFailure, Object
from backends.lab.objects import ApiError, ObjectStore, Resource


class StorePort:
    """``store`` in the clothes of an API server of this version; ``clock`` gives epoch seconds."""

    def __init__(self, store: ObjectStore, version: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._version = version
        self._clock = clock

    def version(self) -> str:
        """The version given."""
        return self._version

    def now(self) -> float:
        """The clock given."""
        return self._clock()

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or ``None``."""
        resource = self._resource(kind)
        return self._store.get(resource, namespace if kind.namespaced else None, name)

    def list(self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The objects of a kind with these labels."""
        resource = self._resource(kind)
        return self._store.list(resource, namespace if kind.namespaced else None, labels)

    def create(self, kind: Kind, item: Object) -> Object:
        """Create an object."""
        with _failures():
            return self._store.create(self._resource(kind), item)

    def replace(self, kind: Kind, item: Object) -> Object:
        """Replace an object as a whole."""
        with _failures():
            return self._store.update(self._resource(kind), item)

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Object) -> Object:
        """Change an object by a JSON merge patch."""
        with _failures():
            place = namespace if kind.namespaced else None
            return self._store.patch(self._resource(kind), place, name, body, "merge")

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object."""
        with _failures():
            self._store.delete(self._resource(kind), namespace if kind.namespaced else None, name)

    def _resource(self, kind: Kind) -> Resource:
        try:
            return self._store.resources[kind.group, kind.plural]
        except KeyError:
            raise ApiFailure(404, "NotFound", "the server could not find the requested resource") from None


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise ApiFailure(error.code, error.reason, error.message) from error
