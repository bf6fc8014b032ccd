"""Where a way begins and ends, and how a packet left one network for another."""

from msgspec import Struct

from mesh.addresses import Ranges, cidrs, covers, is_private
from mesh.model.site import Site
from mesh.model.unread import Unread
from mesh.model.vnet import GatewayConnection, VnetGateway
from mesh.model.vpc import SiteToSiteVpn
from mesh.reach.hops import Hop, Passage, worst


class Place(Struct, frozen=True, eq=False):
    """The nodes of one subnet of a site: what routes see of them."""

    site: Site
    subnet: str
    addresses: Ranges

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name


class Exit(Struct, frozen=True):
    """How packets left the source's network; ``kind`` is ``inside`` (they are at the target's subnet), ``vpn``,
    ``gateway`` (one that serves both ends) or ``lost`` (nothing more can be followed).

    ``vpns`` are the AWS connections they may be in, ``connections`` and ``gateway`` the Azure ones.
    """

    kind: str
    vpns: tuple[SiteToSiteVpn, ...] = ()
    connections: tuple[GatewayConnection, ...] = ()
    gateway: VnetGateway | None = None


LOST = Exit("lost")
INSIDE = Exit("inside")


class Leg(Struct, frozen=True):
    """Hops, and how they end."""

    hops: tuple[Hop, ...] = ()
    exit: Exit = LOST

    @property
    def passage(self) -> Passage:
        """Of all its hops."""
        return worst(hop.passage for hop in self.hops)

    def then(self, other: "Leg") -> "Leg":
        """This leg and what follows it."""
        return Leg((*self.hops, *other.hops), other.exit)


_ORDER = {Passage.CLOSED: 0, Passage.UNKNOWN: 1, Passage.OPEN: 2}


def worst_leg(legs: list[Leg]) -> Leg:
    """Of several legs for parts of the addresses, the one that says most against the flow."""
    return min(legs, key=lambda leg: _ORDER[leg.passage], default=Leg())


def lacking(site: str, kind: str, unread: Unread, object_: str = "") -> Hop:
    """A hop whose object could not be read."""
    return Hop(site, kind, Passage.UNKNOWN, object_, str(unread), excerpt=unread.call, missing=unread.right)


def private(addresses: Ranges) -> bool:
    """Whether none of these addresses can be reached over the Internet."""
    return all(is_private(text) for text in cidrs(addresses))


def inside(outer: Ranges, inner: Ranges) -> bool:
    """Whether all of ``inner``, and something, is in ``outer``."""
    return bool(inner) and covers(outer, inner)
