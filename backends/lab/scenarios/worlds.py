"""The worlds behind the scenarios: nothing installed, joined, joined and broken."""

from collections.abc import Callable
from typing import Final

from backends.lab import topology
from backends.lab.api.identity import Identity
from backends.lab.scenarios import places
from backends.lab.scenarios.living import at_rest, past, populate, settle
from backends.lab.scenarios.meshes import Member, all_ready, install_release, join, place_authority, values
from backends.lab.scenarios.services import Offer, make_namespace, offer
from backends.lab.world import World

NEW: Final = "1.19.5"
TOKYO_PODS: Final = "10.120.0.0/16"
EAST_PODS: Final = "10.200.0.0/16"
RECOVERY_PODS: Final = "10.130.0.0/16"

_PAIR_SERVICES: Final = (
    (Offer("cart", 2, affinity="local"), Offer("cart", 2, affinity="remote")),
    (Offer("catalog", 3), Offer("catalog", 1)),
    (Offer("payments", 1, affinity="local"), Offer("payments", 2, affinity="local")),
)
_THREE_SERVICES: Final[tuple[tuple[str, str, tuple[Offer | None, Offer | None, Offer | None]], ...]] = (
    ("shop", "cart", (Offer("cart", 2), Offer("cart", 2), Offer("cart", 1))),
    (
        "shop",
        "catalog",
        (Offer("catalog", 3, affinity="local"), Offer("catalog", 2, affinity="local"), Offer("catalog", 1)),
    ),
    ("shop", "payments", (Offer("payments", 2), Offer("payments", 0), Offer("payments", 0))),
    ("auth", "jwt", (Offer("jwt", 0, affinity="local"), Offer("jwt", 5, affinity="local"), Offer("jwt", 3))),
    ("auth", "sessions", (Offer("sessions", 2, affinity="remote"), Offer("sessions", 2), None)),
    ("mail", "relay", (None, Offer("relay", 3, affinity="remote"), Offer("relay", 1, affinity="remote"))),
    ("search", "index", (Offer("index", 2, shared=False), Offer("index", 2), Offer("index", 2))),
    ("reports", "daily", (Offer("daily", 1, is_global=False), Offer("daily", 1, is_global=False), None)),
)


def classic(world: World) -> None:
    """The published procedure's pair: Kubernetes 1.26, aws-node and kube-proxy running, VPN up, rules missing."""
    with past(world, 3):
        eks = places.tokyo(world, places.SEED)
        aks = places.east(world, places.SEED, kube_proxy=True)
        topology.vpn(world, eks, aks)
        _settle_without_cni(world)


def fresh(world: World) -> None:
    """The same pair on a current Kubernetes; AKS was made without kube-proxy."""
    with past(world, 3):
        eks = places.tokyo(world)
        aks = places.east(world)
        topology.vpn(world, eks, aks)
        _settle_without_cni(world)


def _settle_without_cni(world: World) -> None:
    """AKS has no CNI yet, so its CoreDNS stays pending; EKS comes to rest."""
    populate(world)
    settle(world, places.TOKYO, lambda: at_rest(world.clusters[places.TOKYO]))
    world.simulation.settle(30.0)


def overlap(world: World) -> None:
    """Both clusters already run Cilium, each with the same range for its pods, and are not joined."""
    with past(world, 6):
        eks, aks = places.tokyo(world, addons=False), places.east(world)
        topology.vpn(world, eks, aks)
        populate(world)
        members = [Member(cluster, number, TOKYO_PODS) for number, cluster in enumerate((eks, aks), start=1)]
        place_authority(members)
        for member in members:
            install_release(world, member, NEW, values(member, mesh=False))
        settle(world, "Cilium", lambda: at_rest(eks) and at_rest(aks))


def pair(
    world: World,
    *,
    one_authority: bool = True,
    viewer: Identity | None = None,
    afterwards: Callable[[], None] = lambda: None,
) -> None:
    """EKS and AKS joined, rules open, services in namespace shop; ``afterwards`` is done while it is still the past."""
    with past(world, 9):
        eks, aks = places.tokyo(world, addons=False), places.east(world, identity=viewer)
        topology.vpn(world, eks, aks)
        places.open_nodes(world, eks, places.VNET)
        populate(world)
        members = (Member(eks, 1, TOKYO_PODS), Member(aks, 2, EAST_PODS))
        join(world, members, NEW, one_authority=one_authority)
        for cluster, column in ((eks, 0), (aks, 1)):
            make_namespace(cluster, "shop")
            for row in _PAIR_SERVICES:
                offer(cluster, "shop", row[column])
        settle(world, "services", lambda: at_rest(eks) and at_rest(aks))
        world.simulation.settle(300.0)
        afterwards()


def healthy(world: World) -> None:
    """Joined and green."""
    pair(world)


def ca_mismatch(world: World) -> None:
    """Joined by values, but each cluster made a CA of its own."""
    pair(world, one_authority=False)


def three_clouds(world: World) -> None:
    """EKS, AKS and kind in one mesh, with eight services of every sort."""
    with past(world, 9):
        eks, aks, kind = places.tokyo(world, addons=False), places.east(world), places.recovery(world)
        for one, other in ((eks, aks), (eks, kind), (aks, kind)):
            topology.vpn(world, one, other)
        for source in (places.VNET, *kind.node_subnets):
            places.open_nodes(world, eks, source)
        populate(world)
        members = (
            Member(eks, 1, TOKYO_PODS),
            Member(aks, 2, EAST_PODS),
            Member(kind, 3, RECOVERY_PODS, node_port=32381),
        )
        join(world, members, NEW)
        for column, member in enumerate(members):
            for namespace in sorted({row[0] for row in _THREE_SERVICES if row[2][column]}):
                make_namespace(member.cluster, namespace, client=namespace == "shop")
            for namespace, _, row in _THREE_SERVICES:
                found = row[column]
                if found is not None:
                    offer(member.cluster, namespace, found)
        settle(world, "services", lambda: all(at_rest(member.cluster) for member in members))
        settle(world, "agents", lambda: all_ready(world, members))
        world.simulation.settle(300.0)
