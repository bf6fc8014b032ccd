"""Cluster addresses and node ports: what an API server hands out while it creates a Service."""

import ipaddress
import random
from typing import Any, Final

_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
NODE_PORTS: Final = range(30000, 32768)


class Allocator:
    """Free service addresses of one CIDR, node ports of 30000-32767 and name suffixes, drawn by a seeded source."""

    def __init__(self, service_cidr: str, rng: random.Random) -> None:
        self.network = ipaddress.IPv4Network(service_cidr)
        self._rng = rng
        self._addresses: set[str] = set()
        self._ports: set[tuple[str, int]] = set()

    def suffix(self) -> str:
        """Five characters for a generated name."""
        return "".join(self._rng.choices(_SUFFIX, k=5))

    def take_address(self, wanted: str | None = None) -> str:
        """Reserve ``wanted`` or a free address. Raises ``ValueError`` with the server's complaint."""
        if wanted:
            try:
                address = ipaddress.IPv4Address(wanted)
            except ValueError:
                raise ValueError(f"must be empty, 'None', or a valid IP address: {wanted}") from None
            if address not in self.network:
                raise ValueError(
                    f"failed to allocate IP {wanted}: the provided IP ({wanted}) is not in the valid range. "
                    f"The range of valid IPs is {self.network}"
                )
            if wanted in self._addresses:
                raise ValueError(f"failed to allocate IP {wanted}: provided IP is already allocated")
            self._addresses.add(wanted)
            return wanted
        # The lower part of the range is left to addresses that are asked for by name (KEP-3070).
        reserved = min(max(16, self.network.num_addresses // 16), 256, self.network.num_addresses // 2)
        for _ in range(4096):
            drawn = str(self.network[self._rng.randrange(reserved, self.network.num_addresses - 1)])
            if drawn not in self._addresses:
                self._addresses.add(drawn)
                return drawn
        raise ValueError("failed to allocate a serviceIP: range is full")

    def take_port(self, protocol: str, wanted: int | None = None) -> int:
        """Reserve ``wanted`` or a free node port. Raises ``ValueError`` with the server's complaint."""
        if wanted:
            if wanted not in NODE_PORTS:
                raise ValueError("provided port is not in the valid range. The range of valid ports is 30000-32767")
            if (protocol, wanted) in self._ports:
                raise ValueError("provided port is already allocated")
            self._ports.add((protocol, wanted))
            return wanted
        for _ in range(100_000):
            drawn = self._rng.randrange(30086, 32768)
            if (protocol, drawn) not in self._ports:
                self._ports.add((protocol, drawn))
                return drawn
        raise ValueError("failed to allocate a nodePort: range is full")

    def give_back(self, spec: dict[str, Any]) -> None:
        """Free everything that a Service's spec holds."""
        self._addresses.difference_update(spec.get("clusterIPs") or [spec.get("clusterIP")])
        for port in spec.get("ports") or ():
            if "nodePort" in port:
                self._ports.discard((port.get("protocol", "TCP"), port["nodePort"]))
        if spec.get("healthCheckNodePort"):
            self._ports.discard(("TCP", spec["healthCheckNodePort"]))
