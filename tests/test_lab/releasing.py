"""A cluster's object store as helm meets it in tests: with a clock by hand, and with requests that fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backends.lab.charts import ChartVersion, Object
from backends.lab.charts.trust.certificates import new_authority
from backends.lab.commands.kube.kinds import Kind
from backends.lab.commands.kube.port import ApiFailure
from backends.lab.commands.kube.store import StorePort
from backends.lab.commands.releases.options import Chart, Options, Patience
from backends.lab.commands.releases.record import Release
from backends.lab.commands.releases.storage import Storage
from backends.lab.objects import ObjectStore
from backends.lab.world import World

OLD, NEW = Chart(ChartVersion.parse("1.15.19")), Chart(ChartVersion.parse("1.20.2"))
MESH: dict[str, Any] = {
    "cluster": {"name": "east", "id": 1},
    "clustermesh": {"useAPIServer": True, "config": {"enabled": True}},
}


def authority() -> dict[str, bytes]:
    """The data of a CA that somebody brings along."""
    pair = new_authority("Company CA", 1000, datetime(2026, 3, 1, tzinfo=UTC), "ec")
    return {"ca.crt": pair.certificate, "ca.key": pair.key}


class Killed(BaseException):
    """The process ended here: nothing of it runs any more."""


class TestPort(StorePort):
    """Counts writes; ``before_write`` may raise instead of the request."""

    __test__ = False

    def __init__(self, store: ObjectStore, clock: Callable[[], float]) -> None:
        super().__init__(store, "v1.34.4", clock)
        self.writes: list[tuple[str, str, str]] = []
        self.before_write: Callable[[str, str, str], None] = lambda verb, kind, name: None

    def create(self, kind: Kind, item: Object) -> Object:
        self._note("create", kind, item["metadata"]["name"])
        return super().create(kind, item)

    def replace(self, kind: Kind, item: Object) -> Object:
        self._note("replace", kind, item["metadata"]["name"])
        return super().replace(kind, item)

    def patch(self, kind: Kind, namespace: str | None, name: str, body: Object) -> Object:
        self._note("patch", kind, name)
        return super().patch(kind, namespace, name, body)

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        self._note("delete", kind, name)
        super().delete(kind, namespace, name)

    def _note(self, verb: str, kind: Kind, name: str) -> None:
        self.before_write(verb, kind.name, name)
        self.writes.append((verb, kind.name, name))


@dataclass
class Place:
    """A cluster, its time, and what happens while somebody waits."""

    world: World
    now: float = 1_790_000_000.0
    while_waiting: Callable[[], None] = lambda: None
    port: TestPort = field(init=False)

    def __post_init__(self) -> None:
        cluster = self.world.add_cluster("eks-one", "eks")
        self.objects = cluster.objects
        self.port = TestPort(cluster.objects, lambda: self.now)

    def options(self, **more: Any) -> Options:
        """Options with quick keys and this place's time."""
        return Options(keys="ec", patience=Patience(60.0, 1.0, self.sleep), **more)

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.while_waiting()

    @property
    def storage(self) -> Storage:
        """The releases."""
        return Storage(self.port, "kube-system")

    def history(self) -> list[tuple[int, str, str]]:
        """Revision, status and description of the release ``cilium``."""
        return [(each.revision, each.status, each.description) for each in self.storage.history("cilium")]

    def last(self) -> Release:
        """The newest revision."""
        return self.storage.last("cilium")

    def get(self, group: str, plural: str, name: str, namespace: str | None = "kube-system") -> Object | None:
        """A live object."""
        return self.objects.get(self.objects.resources[group, plural], namespace, name)

    def need(self, group: str, plural: str, name: str) -> Object:
        """A live object that must be there."""
        found = self.get(group, plural, name)
        assert found is not None, f"no {plural}/{name}"
        return found

    def patch(self, group: str, plural: str, name: str, body: Object) -> None:
        """Change a live object beside helm."""
        self.objects.patch(self.objects.resources[group, plural], "kube-system", name, body, "merge")

    def remove(self, group: str, plural: str, name: str) -> None:
        """Delete a live object beside helm."""
        self.objects.delete(self.objects.resources[group, plural], "kube-system", name)

    def kill_before(self, verb: str, kind: str, name: str) -> None:
        """End the process at this request."""

        def look(*request: str) -> None:
            if request == (verb, kind, name):
                raise Killed

        self.port.before_write = look

    def refuse(self, verb: str, kind: str, name: str, message: str = "denied by a webhook") -> None:
        """Refuse this request."""

        def look(*request: str) -> None:
            if request == (verb, kind, name):
                raise ApiFailure(403, "Forbidden", message)

        self.port.before_write = look

    def recover(self) -> None:
        """Let every request through again."""
        self.port.before_write = lambda verb, kind, name: None
