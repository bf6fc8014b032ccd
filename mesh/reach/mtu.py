"""The largest packet that crosses a way whole, with the arithmetic, and the MTU to set in Cilium (§4.7)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from mesh.reach.hops import Way

# Inner packet of an AWS Site-to-Site VPN by ESP algorithm, without and with NAT traversal.
IPSEC: Final[Mapping[str, tuple[int, int]]] = {
    "AES-GCM-16": (1446, 1438),
    "AES-CBC-SHA1": (1438, 1422),
    "AES-CBC-SHA2-256": (1438, 1422),
    "AES-CBC-SHA2-384": (1422, 1422),
    "AES-CBC-SHA2-512": (1422, 1406),
}
SMALLEST: Final = min(size for pair in IPSEC.values() for size in pair)
# Every row of the table fits it, and it is what Azure advises for tunnels.
ADVISED: Final = 1400
TGW: Final = 8500
# A virtual private gateway and a VPN attachment carry packets up to this before they encrypt them.
INTERNET: Final = 1500
TCP_HEADERS: Final = {4: 40, 6: 60}
_LEAST: Final = {4: 576, 6: 1280}


class Segment(Struct, frozen=True):
    """A part of a way and the largest packet it carries; None = not known. ``note`` says where the number is from."""

    name: str
    mtu: int | None
    note: str = ""
    assumed: bool = False


class Overhead(Struct, frozen=True):
    """What Cilium adds to a packet between nodes: ``vxlan``, ``geneve`` or no tunnel (""), WireGuard."""

    tunnel: str = "vxlan"
    wireguard: bool = False
    family: int = 4

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Names and bytes."""
        found: list[tuple[str, int]] = []
        if self.tunnel:
            header = 20 if self.family == 4 else 40
            found += ((f"IPv{self.family}", header), ("UDP", 8), (self.tunnel.upper(), 8), ("inner Ethernet", 14))
        if self.wireguard:
            found.append(("WireGuard", 80))
        return tuple(found)

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(size for _, size in self.parts)


class PathMtu(Struct, frozen=True):
    """``path`` is the largest packet between nodes (None = not known), ``sure`` unless an assumption went into it.

    ``set`` is the value for Helm's ``MTU`` on both sides, ``pod`` the route MTU that pods then get, ``mss`` their TCP
    segment. ``too_large`` are the sites whose packets are larger now; ``unknown`` those whose size was not read.
    """

    path: int | None
    sure: bool
    set: int | None
    pod: int | None
    mss: int | None
    too_large: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def ipsec_segment(name: str, algorithm: str = "", nat_traversal: bool | None = None) -> Segment:
    """A VPN tunnel: by what was negotiated, else the least of what it may be."""
    if algorithm not in IPSEC:
        return Segment(name, SMALLEST, "what was negotiated cannot be read: the least of AWS's table", assumed=True)
    off, on = IPSEC[algorithm]
    if nat_traversal is None:
        return Segment(name, min(off, on), f"{algorithm}, NAT traversal not known", assumed=off != on)
    return Segment(name, on if nat_traversal else off, f"{algorithm}, NAT-T {'on' if nat_traversal else 'off'}")


def segments_of(way: Way, algorithm: str = "", nat_traversal: bool | None = None) -> tuple[Segment, ...]:
    """What a way's hops limit: its VPN, its transit gateway."""
    found = []
    for hop in way.hops:
        if hop.kind == "VPN":
            found.append(ipsec_segment(hop.object or "VPN", algorithm, nat_traversal))
        elif hop.kind == "gateway" and hop.object.startswith("tgw-"):
            found.append(Segment(hop.object, TGW, "transit gateway"))
    return tuple(dict.fromkeys(found))


def path_mtu(
    nodes: Mapping[str, int | None],
    segments: Iterable[Segment],
    overhead: Overhead | None = None,
    in_force: Mapping[str, int | None] | None = None,
    measured: int | None = None,
) -> PathMtu:
    """The path MTU between two sites and what to set.

    ``nodes`` are the device MTUs of the sites, ``in_force`` the MTU that Cilium builds its outer packets for (the
    device's own where it was not set), ``measured`` what a probe found: it wins over the arithmetic.
    """
    overhead = overhead or Overhead()
    parts = (*(Segment(f"nodes of {name}", mtu, "device") for name, mtu in nodes.items()), *segments)
    known = [part for part in parts if part.mtu is not None]
    least = min(known, key=lambda part: part.mtu or 0, default=None)
    sizes = dict(nodes if in_force is None else in_force)
    lines = [_segment_line(part) for part in parts]
    if measured is not None:
        path: int | None = measured
        lines.append(f"path = {measured} as measured" + _differs(measured, least))
    else:
        path = least.mtu if least else None
        lines.append(f"path = min of these = {path}" if path is not None else "path: nothing of it is known")
    sure = measured is not None or (len(known) == len(parts) and not any(part.assumed for part in known))
    if path is None or path < _LEAST[overhead.family] + overhead.bytes:
        lines += [] if path is None else [f"too small: {overhead.bytes} bytes are Cilium's own"]
        return PathMtu(path, sure, None, None, None, unknown=_unread(sizes), lines=tuple(lines))
    return _to_set(path, sure, overhead, sizes, lines, any(part.mtu == path and part.assumed for part in known))


def _to_set(
    path: int, sure: bool, overhead: Overhead, sizes: dict[str, int | None], lines: Sequence[str], assumed: bool
) -> PathMtu:
    # A tunnel's MTU moves with what is negotiated next time: the advised value holds for all of it.
    chosen = ADVISED if ADVISED <= path < INTERNET else path
    pod = chosen - overhead.bytes
    mss = pod - TCP_HEADERS[overhead.family if not overhead.tunnel else 4]
    added = " − ".join(f"{size} {name}" for name, size in overhead.parts)
    large = tuple(name for name, size in sizes.items() if size is not None and size > path)
    made = [*lines]
    for name, size in sizes.items():
        if size is None:
            made.append(f"{name}: MTU in force not read")
        else:
            verdict = "too large by " + str(size - path) if size > path else "fits"
            made.append(f"{name}: packets up to {size} {'>' if size > path else '≤'} {path}: {verdict}")
    because = " (fits whatever the VPN negotiates)" if chosen != path else " (assumed)" if assumed else ""
    made.append(f"set MTU = {chosen} on both sides{because}")
    made.append(f"pods: {chosen}{' − ' + added if added else ''} = {pod}; TCP segment {mss}")
    return PathMtu(path, sure, chosen, pod, mss, large, _unread(sizes), tuple(made))


def _unread(sizes: Mapping[str, int | None]) -> tuple[str, ...]:
    return tuple(name for name, size in sizes.items() if size is None)


def _segment_line(part: Segment) -> str:
    size = "not known" if part.mtu is None else str(part.mtu)
    notes = ", ".join(filter(None, (part.note, "assumed" if part.assumed else "")))
    return f"{part.name}: {size}" + (f" ({notes})" if notes else "")


def _differs(measured: int, least: Segment | None) -> str:
    if least is None or least.mtu is None or least.mtu == measured:
        return ""
    way = "less" if measured < least.mtu else "more"
    return f", {abs(least.mtu - measured)} {way} than the {least.mtu} of {least.name}"
