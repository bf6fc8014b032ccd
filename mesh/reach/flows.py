"""What a mesh sends from node to node, by the settings in force (cloud-network §4.1)."""

import re
from typing import Final

from msgspec import Struct

from mesh.errors import UsageError
from mesh.model.cilium import CiliumSettings
from mesh.reach.rules import ECHO, Flow

HEALTH: Final = Flow("tcp", 4240)
WIREGUARD: Final = Flow("udp", 51871)
# A security group and an NSG know a protocol without ports by all of them.
ESP: Final = Flow("esp", 0)
_TUNNELS: Final = {"vxlan": "VXLAN", "geneve": "Geneve"}
_FLOW: Final = re.compile(r"(?:(?P<port>[0-9]{1,5})/(?P<protocol>tcp|udp)|(?P<word>icmp|esp))", re.IGNORECASE)


class Sent(Struct, frozen=True):
    """A flow and what it is for: ``VXLAN``, ``health``, ``WireGuard``, ``IPsec``, or "" as asked for."""

    flow: Flow
    purpose: str = ""


def sent(settings: CiliumSettings) -> tuple[Sent, ...]:
    """What nodes of a cluster with these settings send to nodes of its peers, the mesh API left out."""
    found: list[Sent] = []
    if settings.routing_mode == "tunnel":
        purpose = _TUNNELS.get(settings.tunnel_protocol, settings.tunnel_protocol)
        found.append(Sent(Flow("udp", settings.tunnel_port), purpose))
    if settings.health_checking:
        found += (Sent(HEALTH, "health"), Sent(ECHO, "health"))
    if settings.encryption == "wireguard":
        found.append(Sent(WIREGUARD, "WireGuard"))
    if settings.encryption == "ipsec":
        found.append(Sent(ESP, "IPsec"))
    return tuple(found)


def flow_of(text: str) -> Flow:
    """``8472/udp``, ``443/tcp``, ``icmp`` (echo) or ``esp``. Raises ``UsageError``."""
    found = _FLOW.fullmatch(text.strip())
    if found is None or int(found["port"] or 1) not in range(1, 65536):
        raise UsageError(f"{text!r} is no port", hint="Give one such as 8472/udp, 4240/tcp, icmp or esp.")
    if found["word"]:
        return ECHO if found["word"].lower() == "icmp" else ESP
    return Flow(found["protocol"].lower(), int(found["port"]))
