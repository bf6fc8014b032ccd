"""The mesh as one frozen picture: what screens draw and exports write."""

from enum import StrEnum

from msgspec import Struct


class Health(StrEnum):
    """Health of a plane, link, node or cluster, worst last by ``rank``; the value is the word shown.

    ``NOT_JUDGED`` is what nothing here judges: it makes no link sick, and it is not shown as good.
    """

    NOT_JUDGED = "not judged"
    OK = "ok"
    ABSENT = "not connected"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    DOWN = "down"

    @property
    def rank(self) -> int:
        """0 = best."""
        return list(Health).index(self)


def worst(*healths: Health) -> Health:
    """The worst of them; ``OK`` for none."""
    return max(healths, key=lambda health: health.rank, default=Health.OK)


class NodeDot(Struct, frozen=True):
    """A node in a box."""

    name: str
    ready: bool


class ClusterBox(Struct, frozen=True):
    """A cluster: its key, Cilium name and id ("" and 0 = none that is known), cloud word, pod ranges, nodes.

    ``read``: whether Cilium's settings were read, so that without a name there is no Cilium. ``lifts`` are the rights
    and logins that would give what was not read of it.
    """

    key: str
    name: str = ""
    cluster_id: int = 0
    cloud: str = ""
    pod_cidrs: tuple[str, ...] = ()
    nodes: tuple[NodeDot, ...] = ()
    reachable: bool = True
    read: bool = True
    lifts: tuple[str, ...] = ()

    @property
    def nameless(self) -> str:
        """What is to be said where there is no Cilium name: absent, or only not read."""
        if not self.reachable:
            return "not reachable"
        return "no Cilium yet" if self.read else "Cilium not read"


class Plane(Struct, frozen=True):
    """One plane of a link: how many of how many are good, and in words.

    ``lifts`` are what would give what was not read: cluster, and the right or login it lacks.
    """

    health: Health
    good: int = 0
    total: int = 0
    text: str = ""
    lifts: tuple[tuple[str, str], ...] = ()


class Link(Struct, frozen=True):
    """Two clusters, ``a`` before ``b``. ``control_ab``: agents of a reading b. ``open_ab``: the static verdict a → b.

    ``round_trip`` is cilium-health: it colours the pair, never a direction. ``causes`` are codes of findings behind
    a sick link.
    """

    a: str
    b: str
    control_ab: Plane
    control_ba: Plane
    open_ab: Plane
    open_ba: Plane
    round_trip: Plane
    causes: tuple[str, ...] = ()

    @property
    def health(self) -> Health:
        """Worst of all planes; not connected if neither side lists the other."""
        if self.control_ab.health is Health.ABSENT and self.control_ba.health is Health.ABSENT:
            return Health.ABSENT
        return worst(self._judged, self.round_trip.health)

    @property
    def only_health(self) -> bool:
        """Whether cilium-health, which no check judges, alone makes the link as it is."""
        return self.health is not Health.ABSENT and self.round_trip.health.rank > self._judged.rank

    @property
    def planes(self) -> tuple[Plane, ...]:
        """All of them."""
        return (self.control_ab, self.control_ba, self.open_ab, self.open_ba, self.round_trip)

    @property
    def lifts(self) -> tuple[tuple[str, str], ...]:
        """What would give what was not read of it: cluster, and the right or login it lacks."""
        return tuple(dict.fromkeys(lift for plane in self.planes for lift in plane.lifts))

    @property
    def _judged(self) -> Health:
        return worst(*(plane.health for plane in self.planes[:-1]))


class Lane(Struct, frozen=True):
    """A Service in one cluster: None counts = not defined there, or not ``read``.

    ``chosen`` maps cluster keys to endpoints in use; ``unread`` are clusters that may serve it as well: what they have
    could not be read.
    """

    cluster: str
    ready: int | None = None
    total: int | None = None
    affinity: str = "none"
    is_global: bool = False
    shared: bool = False
    chosen: dict[str, int] = {}
    read: bool = True
    unread: tuple[str, ...] = ()


class ServiceLanes(Struct, frozen=True):
    """A global service over all clusters."""

    namespace: str
    name: str
    lanes: tuple[Lane, ...]
    findings: tuple[str, ...] = ()

    @property
    def affinity(self) -> str:
        """The affinity where all clusters agree, else the first with ``≠``."""
        words = [lane.affinity for lane in self.lanes if lane.ready is not None]
        return (words[0] + ("" if len(set(words)) == 1 else "≠")) if words else "none"


class Proof(Struct, frozen=True):
    """What the proof of a join showed before it was removed: the service as it was served, and who answered whom.

    ``answers`` maps the cluster that asked to the clusters that answered, and how many requests in a row each.
    ``service`` has no lanes when Services could not be read.
    """

    service: ServiceLanes
    answers: dict[str, dict[str, int]] = {}


class MeshPicture(Struct, frozen=True):
    """Clusters in the order chosen, one link per pair, global services by name.

    ``services_unread`` are the clusters whose Services could not be read: there may be more global ones.
    """

    clusters: tuple[ClusterBox, ...]
    links: tuple[Link, ...]
    services: tuple[ServiceLanes, ...]
    services_unread: tuple[str, ...] = ()
