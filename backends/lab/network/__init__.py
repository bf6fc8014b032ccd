"""The lab's own packet walk over the state of both clouds. It shares no verdict code with the program under test."""

from backends.lab.network.core import VPN_MTU, Network
from backends.lab.network.packet import EPHEMERAL, Arrival, Delivery, Hop, Packet

__all__ = ["EPHEMERAL", "VPN_MTU", "Arrival", "Delivery", "Hop", "Network", "Packet"]
