"""Arithmetic on addresses and CIDRs: sets of addresses as sorted, disjoint intervals on one line.

IPv4 lies at the start of the line and IPv6 behind it, so that one set holds both families and they never meet.
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from typing import Final

Ranges = tuple[tuple[int, int], ...]

_V6: Final = 1 << 33
_END: Final = 1 << 129
NOTHING: Final[Ranges] = ()
EVERYTHING: Final[Ranges] = ((0, (1 << 32) - 1), (_V6, _V6 + (1 << 128) - 1))


class AddressError(ValueError):
    """A text that should be an address or a CIDR and is none."""


@lru_cache(maxsize=65536)
def interval(text: str) -> tuple[int, int]:
    """First and last address of a CIDR or a single address. Raises ``AddressError``; host bits are ignored."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise AddressError(f"{text!r} is not an address or CIDR") from error
    base = 0 if network.version == 4 else _V6
    return base + int(network.network_address), base + int(network.broadcast_address)


@lru_cache(maxsize=65536)
def ranges(texts: tuple[str, ...]) -> Ranges:
    """The addresses in any of these CIDRs. Raises ``AddressError``."""
    return _merged(interval(text) for text in texts)


def _merged(intervals: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1 and not merged[-1][1] < _V6 <= low:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _with(one: Ranges, low: int, high: int) -> Ranges:
    """One interval more, without going through all the others."""
    first = bisect_right(one, (low, _END))
    while first and one[first - 1][1] + 1 >= low and not one[first - 1][1] < _V6 <= low:
        first -= 1
        low, high = min(low, one[first][0]), max(high, one[first][1])
    last = first
    while last < len(one) and one[last][0] <= high + 1 and not high < _V6 <= one[last][0]:
        high = max(high, one[last][1])
        last += 1
    return (*one[:first], (low, high), *one[last:])


def union(*sets: Ranges) -> Ranges:
    """Addresses in any of the sets."""
    if len(sets) == 2 and len(sets[1]) == 1:
        return _with(sets[0], *sets[1][0])
    return _merged(item for one in sets for item in one)


def overlap(one: Ranges, other: Ranges) -> Ranges:
    """Addresses in both sets."""
    if not one or not other or one[-1][1] < other[0][0] or other[-1][1] < one[0][0]:
        return NOTHING
    found: list[tuple[int, int]] = []
    # A few addresses against a long list is the common case: what lies before them is skipped at once.
    i = max(0, bisect_right(one, (other[0][0], _END)) - 1)
    j = max(0, bisect_right(other, (one[0][0], _END)) - 1)
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def meets(one: Ranges, other: Ranges) -> bool:
    """Whether any address is in both sets."""
    if not one or not other:
        return False
    first, last = other[0][0], other[-1][1]
    i = max(0, bisect_right(one, (first, _END)) - 1)
    while i < len(one) and one[i][0] <= last:
        low, high = one[i]
        if high >= first:
            j = bisect_right(other, (high, _END)) - 1
            if j >= 0 and other[j][1] >= low:
                return True
        i += 1
    return False


def minus(one: Ranges, other: Ranges) -> Ranges:
    """Addresses of ``one`` that are not in ``other``."""
    if not one or not other:
        return one
    left: list[tuple[int, int]] = []
    j = max(0, bisect_right(other, (one[0][0], _END)) - 1)
    for low, high in one:
        while j < len(other) and other[j][1] < low:
            j += 1
        at, k = low, j
        while k < len(other) and other[k][0] <= high:
            if other[k][0] > at:
                left.append((at, other[k][0] - 1))
            at = other[k][1] + 1
            k += 1
        if at <= high:
            left.append((at, high))
    return tuple(left)


def covers(outer: Ranges, inner: Ranges) -> bool:
    """Whether every address of ``inner`` is in ``outer``; true for an empty ``inner``."""
    return not minus(inner, outer)


def cidrs(addresses: Ranges) -> tuple[str, ...]:
    """The fewest CIDRs that are exactly this set, IPv4 first."""
    texts: list[str] = []
    for low, high in addresses:
        if low < _V6:
            texts += map(str, summarize_address_range(IPv4Address(low), IPv4Address(high)))
        else:
            texts += map(str, summarize_address_range(IPv6Address(low - _V6), IPv6Address(high - _V6)))
    return tuple(texts)


def sample(addresses: Ranges) -> str:
    """One address and how many more there are: ``10.224.0.4 and 2 more``; a single CIDR as it is."""
    texts = cidrs(addresses)
    if len(texts) == 1 and addresses[0][0] != addresses[0][1]:
        return texts[0]
    first = cidrs(((addresses[0][0], addresses[0][0]),))[0].partition("/")[0] if addresses else "no address"
    rest = sum(high - low + 1 for low, high in addresses) - 1
    return f"{first} and {rest:,} more" if rest > 0 else first


def collapse(texts: Iterable[str]) -> tuple[str, ...]:
    """The same addresses in the fewest CIDRs. Raises ``AddressError``."""
    return cidrs(ranges(tuple(texts)))


def meeting(one: Iterable[str], other: Iterable[str]) -> tuple[str, str] | None:
    """The first CIDR of each side that overlap, in the given order. Raises ``AddressError``."""
    others = tuple(other)
    for left in one:
        low, high = interval(left)
        for right in others:
            start, end = interval(right)
            if low <= end and start <= high:
                return left, right
    return None


def relation(one: str, other: str) -> str:
    """How two overlapping CIDRs lie: ``equals``, ``covers`` or ``is inside``."""
    left, right = interval(one), interval(other)
    if left == right:
        return "equals"
    return "covers" if left[0] <= right[0] and left[1] >= right[1] else "is inside"


_PRIVATE: Final = ranges(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))


def is_private(text: str) -> bool:
    """Whether all of it is RFC 1918, shared (RFC 6598) or unique local (RFC 4193) space. Raises ``AddressError``."""
    return covers(_PRIVATE, (interval(text),))


def free_block(taken: Ranges) -> str:
    """A private /16 that meets none of the taken addresses, for a proposal; "" when there is none."""
    for block in (
        *(f"10.{n}.0.0/16" for n in (*range(120, 256), *range(120))),
        *(f"172.{n}.0.0/16" for n in range(16, 32)),
    ):
        if not overlap(ranges((block,)), taken):
            return block
    return ""


def is_own_machine(host: str) -> bool:
    """Whether a host names the machine that asks: loopback, unspecified, ``localhost``, or no host at all."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return name in ("", "localhost", "localhost.localdomain") or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
