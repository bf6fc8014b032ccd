"""What is sent over the lab's network and what becomes of it."""

from dataclasses import dataclass

EPHEMERAL = 45678
"""A client port in Linux's range 32768–60999."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow. ``protocol`` is tcp, udp or icmp (echo request unless ``icmp_type`` says otherwise);
    ``port`` the destination's; ``size`` bytes of the IP packet, 0 for a small one.
    """

    source_cluster: str
    source_ip: str
    destination_ip: str
    protocol: str
    port: int = 0
    size: int = 0
    source_port: int = EPHEMERAL
    icmp_type: int = 8


@dataclass(frozen=True, slots=True)
class Hop:
    """One decision on the way: where, by which object, whether it let the packet pass, and why."""

    place: str
    subject: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet at a machine: the cluster and node (or "" for what is no node), the address and port it came to there.

    ``balancer`` names the load balancer that sent it there.
    """

    cluster: str
    node: str
    address: str
    protocol: str
    port: int
    client: str
    balancer: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The fate of a packet. ``delivered``: for udp that it arrived; for tcp and icmp that its answer came back too.

    ``arrived`` is the first half alone; ``where`` names the last place, or the one that dropped it. ``milliseconds`` is
    the way there, for tcp and icmp there and back.
    """

    delivered: bool
    where: str
    trace: tuple[Hop, ...] = ()
    arrived: bool = False
    arrival: Arrival | None = None
    milliseconds: float = 0.0
