"""What a fact or a finding is about: frozen, ordered, hashable (anchors-features §2.3)."""

from msgspec import Struct


class OfMesh(Struct, frozen=True, order=True, tag="mesh"):
    """The whole mesh."""

    def clusters(self) -> tuple[str, ...]:
        """Keys of the clusters it touches."""
        return ()

    def __str__(self) -> str:
        return "mesh"


class OfCluster(Struct, frozen=True, order=True, tag="cluster"):
    """One cluster, by its key (see ``ContextRef.key``)."""

    cluster: str

    def clusters(self) -> tuple[str, ...]:
        """Keys of the clusters it touches."""
        return (self.cluster,)

    def __str__(self) -> str:
        return self.cluster


class OfPair(Struct, frozen=True, order=True, tag="pair"):
    """Two clusters; ``directed`` means from ``source`` to ``target``, else the keys are in sorted order."""

    source: str
    target: str
    directed: bool = False

    def clusters(self) -> tuple[str, ...]:
        """Keys of the clusters it touches."""
        return (self.source, self.target)

    def __str__(self) -> str:
        return f"{self.source} {'→' if self.directed else '⇄'} {self.target}"


class OfNode(Struct, frozen=True, order=True, tag="node"):
    """One node of one cluster."""

    cluster: str
    node: str

    def clusters(self) -> tuple[str, ...]:
        """Keys of the clusters it touches."""
        return (self.cluster,)

    def __str__(self) -> str:
        return f"{self.cluster}/{self.node}"


class OfService(Struct, frozen=True, order=True, tag="service"):
    """One Service name in one namespace, the same in every cluster of the mesh (namespace sameness)."""

    namespace: str
    name: str

    def clusters(self) -> tuple[str, ...]:
        """Keys of the clusters it touches: unknown from the name alone, hence none."""
        return ()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Subject = OfMesh | OfCluster | OfPair | OfNode | OfService
MESH = OfMesh()


def pair(a: str, b: str) -> OfPair:
    """The undirected pair of two cluster keys, in sorted order."""
    return OfPair(min(a, b), max(a, b))


def related(one: Subject, other: Subject) -> bool:
    """Whether a gate or cause on ``one`` bears on ``other``: equal, mesh-wide, or a cluster in common.

    Two Services bear on each other only when they are the same; two directed pairs only in the same direction.
    """
    if isinstance(one, OfService) and isinstance(other, OfService):
        return one == other
    if one == other or isinstance(one, OfMesh | OfService) or isinstance(other, OfMesh | OfService):
        return True
    if isinstance(one, OfPair) and isinstance(other, OfPair):
        if one.directed and other.directed:
            return (one.source, one.target) == (other.source, other.target)
        return set(one.clusters()) == set(other.clusters())
    return bool(set(one.clusters()) & set(other.clusters()))
