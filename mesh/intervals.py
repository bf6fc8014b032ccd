"""A function over all addresses that changes at few of them: which route, or which entry, an address meets.

Worked out once per table; asking it costs a bisection per interval, however long the table is.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from mesh.addresses import Ranges

T = TypeVar("T")
Rank = tuple[int, ...]


class Steps(Generic[T]):
    """Disjoint intervals in order, each with its value; between them there is none."""

    __slots__ = ("_lows", "parts")

    def __init__(self, parts: list[tuple[int, int, T]]) -> None:
        self.parts = parts
        self._lows = [low for low, _, _ in parts]

    def over(self, addresses: Ranges) -> list[tuple[T | None, Ranges]]:
        """The addresses by the value they meet, None where there is none, in the order of the first of each."""
        if addresses:
            place = bisect_right(self._lows, addresses[0][0]) - 1
            if place >= 0 and self.parts[place][1] >= addresses[-1][1]:
                return [(self.parts[place][2], addresses)]
        found: dict[int, tuple[T | None, list[tuple[int, int]]]] = {}
        for low, high in addresses:
            for start, end, value in self._across(low, high):
                found.setdefault(id(value), (value, []))[1].append((start, end))
        return [(value, tuple(pieces)) for value, pieces in found.values()]

    def _across(self, low: int, high: int) -> Iterable[tuple[int, int, T | None]]:
        place = max(0, bisect_right(self._lows, low) - 1)
        while low <= high and place < len(self.parts):
            start, end, value = self.parts[place]
            place += 1
            if end < low:
                continue
            if start > high:
                break
            if start > low:
                yield low, start - 1, None
                low = start
            yield low, min(end, high), value
            low = end + 1
        if low <= high:
            yield low, high, None


def layered(layers: Iterable[tuple[Ranges, Rank, T]]) -> Steps[T]:
    """The value of the highest rank at each address; of equal ranks, the first given."""
    starts: list[tuple[int, int, tuple[int, ...], int, T]] = []
    for number, (addresses, rank, value) in enumerate(layers):
        starts += ((low, high, tuple(-part for part in rank), number, value) for low, high in addresses)
    starts.sort(key=lambda item: item[0])
    bounds = sorted({item[0] for item in starts} | {item[1] + 1 for item in starts})
    parts: list[tuple[int, int, T]] = []
    heap: list[tuple[tuple[int, ...], int, int, Any]] = []
    at = 0
    for bound, following in itertools.pairwise(bounds):
        while at < len(starts) and starts[at][0] == bound:
            _, high, rank, number, value = starts[at]
            heappush(heap, (rank, number, high, value))
            at += 1
        while heap and heap[0][2] < bound:
            heappop(heap)
        if heap:
            _extend(parts, bound, following - 1, heap[0][3])
    return Steps(parts)


def _extend(parts: list[tuple[int, int, T]], low: int, high: int, value: T) -> None:
    if parts and parts[-1][1] == low - 1 and parts[-1][2] is value:
        parts[-1] = (parts[-1][0], high, value)
    else:
        parts.append((low, high, value))
