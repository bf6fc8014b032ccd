"""Two networks of namespaces: nodes, the routers of a VPC and of a VNet, and the VPN between them.

    a1 ─┐                     ┌─ b1
        vpc ─── core ─── vnet
    a2 ─┘ └─── void ──────┘  └─ b2

The namespaces have no names: the kernel takes them away with the process that holds them, however it ends.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.real.kernel.compiler import CONTROL, Compiled
from tests.real.kernel.documents import NODES, SUBNETS

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LINKS = (
    ("a1", "vpc"), ("a2", "vpc"), ("b1", "vnet"), ("b2", "vnet"),
    ("vpc", "core"), ("core", "vnet"), ("vpc", "void"), ("vnet", "void"),
)  # fmt: skip
ROUTERS = ("vpc", "core", "vnet")
# One address in each node namespace that every packet reaches, whatever the rules.
CONTROLS = {subnet: f"198.18.0.{number}" for number, subnet in enumerate(SUBNETS, 1)}
_NFT, _IP = ("nft", "-f", "-"), ("ip", "-batch", "-")
# Without ARP both ends of a link must have one hardware address.
_ADDRESS = "02:00:00:00:00:01"
_SETTINGS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/ip_forward": "1",
    # Listeners keep nothing of a handshake that gets no further: no set of rules hears of the one before.
    "net/ipv4/tcp_syncookies": "2",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/netfilter/nf_conntrack_udp_timeout": "5",
    "net/netfilter/nf_conntrack_icmp_timeout": "5",
    "net/netfilter/nf_conntrack_tcp_timeout_syn_sent": "5",
    "net/netfilter/nf_conntrack_tcp_timeout_syn_recv": "5",
}


def lacking() -> str:
    """Why the namespaces cannot be made here; "" = they can."""
    absent = [program for program in ("ip", "nft") if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: iproute2, nftables)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        os.close(_new_namespace())
    except OSError as error:
        return f"network namespaces cannot be made here: {error}"
    return ""


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _new_namespace() -> int:
    """A namespace, held by a descriptor only. The calling thread stays where it is."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _LIBC.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        finally:
            _enter(home)
    finally:
        os.close(home)


class Hosts:
    """The namespaces with their links; rules and routes are put in set by set."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self._spaces: dict[str, int] = {}
        self._routes: Mapping[str, Sequence[str]] = {}

    def __enter__(self) -> "Hosts":
        try:
            self._build()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """The block runs in that namespace: sockets that it opens and programs that it starts stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self._spaces[place])
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def put(self, compiled: Compiled) -> None:
        """Replace all rules and routes by these."""
        jobs = [(place, _NFT, text) for place, text in compiled.rulesets.items()]
        for place, routes in compiled.routes.items():
            old = [f"route del {line}" for line in self._routes.get(place, ())]
            jobs.append((place, _IP, _text([*old, *(f"route add {line}" for line in routes)])))
        # Side by side: most of the time is the kernel's, waiting until nobody uses the old rules.
        self._run(jobs)
        self._routes = compiled.routes

    def _run(self, jobs: Iterable[tuple[str, Sequence[str], str]]) -> None:
        started = [(self._start(place, command, text), place, command, text) for place, command, text in jobs]
        for program, place, command, text in started:
            told = program.communicate(timeout=60)[0]
            assert program.returncode == 0, f"{' '.join(command)} in {place}: {told[:2000]}\n{text[:6000]}"

    def _start(self, place: str, command: Sequence[str], text: str) -> subprocess.Popen[str]:
        # A file, not a pipe: nothing has to be fed while others run.
        with tempfile.TemporaryFile("w+") as file, self.inside(place):
            file.write(text)
            file.seek(0)
            return subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _batch(self, place: str, lines: Sequence[str]) -> None:
        self._run([(place, _IP, _text(lines))])

    def _build(self) -> None:
        for place in dict.fromkeys(place for link in _LINKS for place in link):
            self._spaces[place] = _new_namespace()
            self._cleanup.callback(os.close, self._spaces[place])
            with self.inside(place):
                for name, value in _SETTINGS.items():
                    self._set(name, "0" if place == "void" and name.endswith("ip_forward") else value)
        for one, other in _LINKS:
            there = f"/proc/{os.getpid()}/fd/{self._spaces[other]}"
            link = f"link add {other} address {_ADDRESS} type veth peer name {one} address {_ADDRESS} netns {there}"
            self._batch(one, [link, f"link set {other} arp off up"])
            self._batch(other, [f"link set {one} arp off up"])
        for subnet in SUBNETS:
            self._node(subnet)
        for router in ROUTERS:
            self._router(router)

    def _set(self, name: str, value: str) -> None:
        file = Path("/proc/sys", name)
        # A kernel that lacks a time-out of connections only keeps more of them.
        if file.exists():
            file.write_text(value)

    def _node(self, subnet: str) -> None:
        own = [address for place, address in NODES.values() if place == subnet]
        lines = [f"address add {address}/32 dev lo" for address in (*own, CONTROLS[subnet])]
        self._batch(subnet, ["link set lo up", *lines, f"route add default dev {_router_of(subnet)}"])

    def _router(self, router: str) -> None:
        """Policy: the tables of the subnets first, then what lies in the network itself."""
        steps = {"vpc": ("a1", "a2"), "vnet": ("b1", "b2"), "core": ("vpc", "vnet")}[router]
        lines = [f"rule add pref 1 to {CONTROL} lookup 250"]
        lines += [f"rule add pref {100 + n} iif {name} lookup {100 + n}" for n, name in enumerate(steps, 1)]
        lines.append("rule add pref 200 lookup 110")
        if router != "core":
            lines += [f"route add {SUBNETS[subnet]} dev {subnet} table 110" for subnet in steps]
        lines.append("route add unreachable default table 110")
        for subnet, address in CONTROLS.items():
            lines.append(f"route add {address} dev {_toward(router, subnet)} table 250")
        self._batch(router, ["link set lo up", *lines])


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _router_of(subnet: str) -> str:
    return "vpc" if subnet.startswith("a") else "vnet"


def _toward(router: str, subnet: str) -> str:
    if router == _router_of(subnet):
        return subnet
    return _router_of(subnet) if router == "core" else "core"
