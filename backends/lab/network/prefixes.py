"""IPv4 prefixes as pairs of integers: fast enough for thousands of packets a second."""

import ipaddress
from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar

Prefix: TypeAlias = tuple[int, int]
"""(network, mask)."""

T = TypeVar("T")
EVERYWHERE: Prefix = (0, 0)


def number(address: str) -> int:
    """An address as an integer. Raises ``ValueError``."""
    return int(ipaddress.IPv4Address(address))


def text(address: int) -> str:
    """The dotted form."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def prefix(cidr: str) -> Prefix:
    """A CIDR or single address; host bits are cleared. Raises ``ValueError``."""
    network = ipaddress.IPv4Network(cidr, strict=False)
    return int(network.network_address), int(network.netmask)


def prefixes(cidrs: Iterable[str]) -> tuple[Prefix, ...]:
    """Several of them; what is no IPv4 prefix is left out."""
    found = []
    for cidr in cidrs:
        try:
            found.append(prefix(cidr))
        except ValueError:
            continue
    return tuple(found)


def inside(address: int, ranges: Iterable[Prefix]) -> bool:
    """Whether one of the ranges holds the address."""
    return any(address & mask == network for network, mask in ranges)


def within(inner: Prefix, outer: Prefix) -> bool:
    """Whether the whole of ``inner`` lies in ``outer``."""
    return inner[1] & outer[1] == outer[1] and inner[0] & outer[1] == outer[0]


class Longest(Generic[T]):
    """Values by prefix; ``find`` gives those of the longest prefix that holds an address, best rank first."""

    def __init__(self, rows: Iterable[tuple[Prefix, int, T]]) -> None:
        """``rows`` are (prefix, rank, value); lower ranks win among equal prefixes."""
        self._rows = sorted(((network, mask, rank, value) for (network, mask), rank, value in rows), key=_order)

    def find(self, address: int) -> T | None:
        """The winning value, or None."""
        for network, mask, _, value in self._rows:
            if address & mask == network:
                return value
        return None


def _order(row: tuple[int, int, int, object]) -> tuple[int, int]:
    return (-row[1], row[2])
