"""Numbered packets from node to node, and which of them arrived.

All packets of a set are sent in one go from one processor, where the kernel hands them on in order; a last packet to
every namespace and back, which no rule stops, tells that all others have been handled. Nothing waits for a fixed time.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from tests.real.kernel.documents import NODES, SUBNETS, TCP_PORTS, UDP_PORTS
from tests.real.kernel.hosts import CONTROLS, Hosts

# ICMP types that ask for something: echo and timestamp.
REQUESTS = (8, 13)
_SENDER_PORT, _CONTROL_PORT = 33333, 9
_FORCED_BUFFER = 33
_BUFFER = 16 << 20
_SECONDS = 10.0
_HEAD = struct.Struct("!II")
_ICMP = struct.Struct("!BBHHH")
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Probe:
    """One packet that asks: for ``icmp`` the port is the type. ``client`` is the port that TCP asks from."""

    source: str
    target: str
    protocol: str
    port: int
    client: int = 0


@dataclass(frozen=True)
class Seen:
    """Whether the packet came to its target, and whether what it asks for came back (never for ``udp``)."""

    arrived: bool
    answered: bool


class Wire:
    """Sockets in every node namespace, opened once."""

    def __init__(self, hosts: Hosts, cleanup: ExitStack) -> None:
        self._cleanup = cleanup
        self._hosts = hosts
        self._receivers: list[socket.socket] = []
        self._listeners: list[socket.socket] = []
        self._icmp: dict[str, socket.socket] = {}
        self._tcp: dict[str, socket.socket] = {}
        self._controls: dict[str, socket.socket] = {}
        self._senders: dict[str, socket.socket] = {}
        self._echoes: dict[str, socket.socket] = {}
        for subnet in SUBNETS:
            with hosts.inside(subnet):
                self._open(subnet)

    def _open(self, subnet: str) -> None:
        raw, udp = socket.SOCK_RAW, socket.SOCK_DGRAM
        self._icmp[subnet] = self._socket(raw, ("0.0.0.0", 0), socket.IPPROTO_ICMP)
        self._tcp[subnet] = self._socket(raw, ("0.0.0.0", 0), socket.IPPROTO_TCP)
        self._controls[subnet] = self._socket(udp, (CONTROLS[subnet], _CONTROL_PORT))
        self._receivers += (self._socket(udp, ("0.0.0.0", port)) for port in UDP_PORTS)
        for port in TCP_PORTS:
            listener = self._socket(socket.SOCK_STREAM, ("0.0.0.0", port))
            listener.listen(4096)
            self._listeners.append(listener)
        for name, (place, address) in NODES.items():
            if place == subnet:
                self._senders[name] = self._socket(udp, (address, _SENDER_PORT))
                self._echoes[name] = self._socket(raw, (address, 0), socket.IPPROTO_ICMP)

    def _socket(self, kind: int, address: tuple[str, int], protocol: int = 0) -> socket.socket:
        made = self._cleanup.enter_context(socket.socket(socket.AF_INET, kind, protocol))
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, _FORCED_BUFFER, _BUFFER)
        made.bind(address)
        return made

    def exchange(self, nonce: int, probes: Sequence[Probe]) -> list[Seen]:
        """Send all probes and tell of each what was seen of it. ``nonce`` keeps them apart from those before."""
        with _one_processor(), ExitStack() as connections:
            self._drain()
            clients: dict[int, socket.socket] = {}
            for number, probe in enumerate(probes):
                if probe.protocol == "tcp":
                    clients[number] = self._connect(probe, connections)
                else:
                    self._send(nonce, number, probe)
            self._settle(nonce)
            arrived, answered = self._icmp_seen(nonce)
            arrived |= self._datagrams(nonce)
            asked = self._requests()
            arrived |= {number for number in clients if _request(probes[number]) in asked}
            answered |= _connected(clients)
            self._accept_all(connections)
        return [Seen(number in arrived, number in answered) for number in range(len(probes))]

    def _send(self, nonce: int, number: int, probe: Probe) -> None:
        address, words = NODES[probe.target][1], _HEAD.pack(nonce, number)
        # What the sender's own rules drop, or no route leads to, the kernel may say at once.
        with suppress(PermissionError, OSError):
            if probe.protocol == "udp":
                self._senders[probe.source].sendto(words, (address, probe.port))
            else:
                self._echoes[probe.source].sendto(_icmp_packet(probe.port, number, words), (address, 0))

    def _connect(self, probe: Probe, connections: ExitStack) -> socket.socket:
        with self._hosts.inside(NODES[probe.source][0]):
            client = connections.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.bind((NODES[probe.source][1], probe.client))
        with suppress(BlockingIOError, PermissionError, OSError):
            client.connect((NODES[probe.target][1], probe.port))
        return client

    def _settle(self, nonce: int) -> None:
        """A packet from every namespace to every other and back."""
        waiting = {(one, other) for one in SUBNETS for other in SUBNETS if one != other}
        places = {self._controls[subnet].fileno(): subnet for subnet in SUBNETS}
        names = {address: subnet for subnet, address in CONTROLS.items()}
        for one, other in sorted(waiting):
            self._controls[one].sendto(_HEAD.pack(nonce, 0), (CONTROLS[other], _CONTROL_PORT))
        poll = select.poll()
        for number in places:
            poll.register(number, select.POLLIN)
        end = time.monotonic() + _SECONDS
        while waiting:
            ready = poll.poll(max(0.0, end - time.monotonic()) * 1000)
            assert ready, f"the network itself does not carry packets: {sorted(waiting)}"
            for number, _ in ready:
                here = places[number]
                for words, sender in _received(self._controls[here]):
                    marked, back = _HEAD.unpack(words)
                    if marked == nonce and back:
                        waiting.discard((here, names[sender[0]]))
                    elif marked == nonce:
                        self._controls[here].sendto(_HEAD.pack(nonce, 1), sender)

    # What came

    def _drain(self) -> None:
        for one in (*self._receivers, *self._icmp.values(), *self._tcp.values(), *self._echoes.values()):
            for _ in _received(one):
                pass

    def _datagrams(self, nonce: int) -> set[int]:
        found = set()
        for receiver in self._receivers:
            for words, _ in _received(receiver):
                marked, number = _HEAD.unpack(words)
                found |= {number} if marked == nonce else set()
        return found

    def _icmp_seen(self, nonce: int) -> tuple[set[int], set[int]]:
        arrived: set[int] = set()
        answered: set[int] = set()
        for own in self._icmp.values():
            for packet, _ in _received(own):
                body = packet[(packet[0] & 15) * 4 :]
                if body[0] not in (0, *REQUESTS) or len(body) < _ICMP.size + _HEAD.size:
                    continue
                marked, number = _HEAD.unpack_from(body, _ICMP.size)
                if marked == nonce:
                    (arrived if body[0] in REQUESTS else answered).add(number)
        return arrived, answered

    def _requests(self) -> set[tuple[str, int, str, int]]:
        """Requests for TCP connections that came through: source, its port, target, its port."""
        found = set()
        for own in self._tcp.values():
            for packet, _ in _received(own):
                start = (packet[0] & 15) * 4
                client, port = struct.unpack_from("!HH", packet, start)
                if packet[start + 13] & 0x12 == 0x02:
                    ends = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
                    found.add((ends[0], client, ends[1], port))
        return found

    def _accept_all(self, connections: ExitStack) -> None:
        for listener in self._listeners:
            with suppress(BlockingIOError):
                while True:
                    made, _ = listener.accept()
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    connections.enter_context(made)


def _request(probe: Probe) -> tuple[str, int, str, int]:
    return NODES[probe.source][1], probe.client, NODES[probe.target][1], probe.port


def _connected(clients: Mapping[int, socket.socket]) -> set[int]:
    poll = select.poll()
    numbers = {client.fileno(): number for number, client in clients.items()}
    for handle in numbers:
        poll.register(handle, select.POLLOUT)
    bad = select.POLLERR | select.POLLHUP
    return {numbers[handle] for handle, event in poll.poll(0) if event & select.POLLOUT and not event & bad}


def _received(one: socket.socket) -> Iterator[tuple[bytes, tuple[str, int]]]:
    with suppress(BlockingIOError):
        while True:
            yield one.recvfrom(2048)


def _icmp_packet(kind: int, number: int, words: bytes) -> bytes:
    head = _ICMP.pack(kind, 0, 0, number & 0xFFFF, 1)
    total = sum(struct.unpack(f"!{(len(head) + len(words)) // 2}H", head + words))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return _ICMP.pack(kind, 0, ~total & 0xFFFF, number & 0xFFFF, 1) + words


@contextmanager
def _one_processor() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
