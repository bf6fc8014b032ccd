"""The parts of ``cilium-dbg status`` that do not speak of the mesh: maps, datapath, addresses, controllers."""

import hashlib
import ipaddress
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.agents.answers.clusters import stamp
from backends.lab.controllers.cilium.release import text_of, version_of
from backends.lab.controllers.kubelet.runtime import PodRuntime, Process

_MAPS: Final = (
    ("Auth", 524288),
    ("Non-TCP connection tracking", 110861),
    ("TCP connection tracking", 221723),
    ("Endpoints", 65535),
    ("IP cache", 512000),
    ("IPv4 masquerading agent", 16384),
    ("IPv6 masquerading agent", 16384),
    ("IPv4 fragmentation", 8192),
    ("IPv4 service", 65536),
    ("IPv6 service", 65536),
    ("IPv4 service backend", 65536),
    ("IPv6 service backend", 65536),
    ("IPv4 service reverse NAT", 65536),
    ("IPv6 service reverse NAT", 65536),
    ("Metrics", 1024),
    ("Ratelimit metrics", 64),
    ("NAT", 221723),
    ("Neighbor table", 221723),
    ("Endpoint policy", 16384),
    ("Policy stats", 65536),
    ("Session affinity", 65536),
    ("Sock reverse NAT", 110861),
)
_OLD_MAPS: Final = (
    *_MAPS[:3],
    ("Endpoint policy", 65535),
    *_MAPS[4:15],
    *_MAPS[16:18],
    ("Global policy", 16384),
    *_MAPS[20:],
    ("Tunnel", 65536),
)
_APIS: Final = (
    "cilium/v2::CiliumClusterwideNetworkPolicy",
    "cilium/v2::CiliumCIDRGroup",
    "core/v1::Pods",
    "cilium/v2::CiliumEndpoint",
    "cilium/v2::CiliumNode",
    "networking.k8s.io/v1::NetworkPolicy",
    "cilium/v2::CiliumNetworkPolicy",
)
_OLD_APIS: Final = (
    "core/v1::Service",
    "core/v1::Namespace",
    "EndpointSliceOrEndpoint",
    "core/v1::Pods",
    "networking.k8s.io/v1::NetworkPolicy",
    "cilium/v2::CiliumNetworkPolicy",
    "cilium/v2::CiliumClusterwideNetworkPolicy",
    "cilium/v2alpha1::CiliumCIDRGroup",
    "cilium/v2::CiliumNode",
    "cilium/v2::CiliumEndpoint",
)


@dataclass(frozen=True)
class Machine:
    """One agent and its node as status describes them; ``pods`` are (address, ns/name, endpoint number)."""

    runtime: PodRuntime
    node_address: str
    kubernetes: str
    """``gitVersion`` of the API server."""
    pod_cidrs: tuple[str, ...]
    router: str
    health: str
    pods: tuple[tuple[str, str, int], ...]
    now: float

    @property
    def process(self) -> Process:
        """The agent."""
        return self.runtime.processes["cilium-agent"]

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings it runs with."""
        return self.process.settings

    @property
    def minor(self) -> int:
        """Minor version of Cilium."""
        return version_of(self.process.image)[1]

    @property
    def modern(self) -> bool:
        """Whether status has the fields that came after 1.15."""
        return self.minor > 15

    def on(self, key: str, usual: bool = False) -> bool:
        """A boolean setting."""
        return self.settings.get(key, str(usual)).lower() == "true"

    @property
    def replaces_kube_proxy(self) -> bool:
        """Whether the agent serves node ports itself."""
        return self.settings.get("kube-proxy-replacement", "false").lower() in ("true", "strict")

    @property
    def allocations(self) -> dict[str, str]:
        """Addresses in use on the node, by what uses them."""
        found = {address: name for address, name, _ in self.pods}
        if self.router:
            found[self.router] = "router"
        if self.health:
            found[self.health] = "health"
        return dict(sorted(found.items()))


def bpf_maps(machine: Machine) -> dict[str, Any]:
    """``bpf-maps``."""
    rows = _MAPS if machine.modern else _OLD_MAPS
    return {"dynamic-size-ratio": 0.0025, "maps": [{"name": name, "size": size} for name, size in rows]}


def build(machine: Machine) -> str:
    """Version with its commit: ``1.15.19 (v1.15.19-4fa6b1c2)``."""
    version = text_of(machine.process.image)
    return f"{version} (v{version}-{hashlib.sha256(version.encode()).hexdigest()[:8]})"


def kubernetes(machine: Machine) -> dict[str, Any]:
    """``kubernetes``: the watched kinds, and version of the API server as ``1.34 (v1.34.4) [linux/amd64]``."""
    parts = machine.kubernetes.removeprefix("v").split(".")
    text = f"{parts[0]}.{parts[1]} ({machine.kubernetes}) [linux/amd64]"
    return {"k8s-api-versions": list(_APIS if machine.modern else _OLD_APIS), "msg": text, "state": "Ok"}


def ipam(machine: Machine) -> dict[str, Any]:
    """``ipam`` with every address given out on the node."""
    used = machine.allocations
    body: dict[str, Any] = {
        "allocations": used,
        "ipv4": sorted(used, key=_number),
        "ipv6": None,
        "status": ipam_text(machine),
    }
    return body


def _number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def ipam_text(machine: Machine) -> str:
    """``IPv4: 3/254 allocated from 10.111.0.0/24, ``."""
    room = sum(max(0, ipaddress.IPv4Network(cidr).num_addresses - 2) for cidr in machine.pod_cidrs)
    return f"IPv4: {len(machine.allocations)}/{room} allocated from {', '.join(machine.pod_cidrs)}, "


def proxy_replacement(machine: Machine) -> dict[str, Any]:
    """``kube-proxy-replacement``."""
    on = machine.replaces_kube_proxy

    def flag(also: Mapping[str, Any] | None = None, enabled: bool | None = None) -> dict[str, Any]:
        return {"enabled": True, **(also or {})} if (on if enabled is None else enabled) else {}

    mac = hashlib.sha256(machine.node_address.encode()).hexdigest()
    local = f"fe80::{mac[:4]}:{mac[4:6]}ff:fe{mac[6:8]}:{mac[8:12]}"
    ports = {"algorithm": "Random", "mode": "SNAT", "port-max": 32767, "port-min": 30000}
    features: dict[str, Any] = {
        "externalIPs": flag(),
        "hostPort": flag(),
        "nat46X64": {},
        "nodePort": flag(ports),
        "sessionAffinity": flag(enabled=on or machine.modern),
        "socketLB": flag(),
        "socketLBTracing": flag(),
    }
    if machine.modern:
        features["annotations"] = None
    else:
        features["gracefulTermination"] = {"enabled": True}
    return {
        "deviceList": [{"ip": ["", "", machine.node_address, local], "name": "eth0"}],
        "devices": ["eth0"],
        "directRoutingDevice": "eth0",
        "features": dict(sorted(features.items())),
        "mode": "True" if on else "False",
    }


def masquerading(machine: Machine) -> dict[str, Any]:
    """``masquerading``; nothing but an empty ``enabledProtocols`` when it is off."""
    if not machine.on("enable-ipv4-masquerade", True):
        return {"enabledProtocols": {}}
    body: dict[str, Any] = {
        "enabled": True,
        "enabledProtocols": {"ipv4": True},
        "mode": "BPF" if machine.on("enable-bpf-masquerade") else "iptables",
    }
    native = machine.settings.get("ipv4-native-routing-cidr", "")
    body["snat-exclusion-cidr-v4"] = native or ", ".join(machine.pod_cidrs)
    return body


def encryption(machine: Machine) -> dict[str, Any]:
    """``encryption``."""
    if machine.on("enable-wireguard"):
        interface = {"listen-port": 51871, "name": "cilium_wg0", "peer-count": 0}
        return {"mode": "Wireguard", "wireguard": {"interfaces": [interface], "node-encryption": "Disabled"}}
    return {"mode": "IPsec"} if machine.on("enable-ipsec") else {"mode": "Disabled"}


def hubble(machine: Machine) -> dict[str, Any]:
    """``hubble``; its observer only where it is enabled."""
    if not machine.on("enable-hubble"):
        return {"state": "Disabled"}
    seconds = max(1.0, machine.now - machine.runtime.started_at)
    seen = int(seconds * 7) + 20
    observer = {
        "current-flows": min(seen, 4095),
        "max-flows": 4095,
        "seen-flows": seen,
        "uptime": int(seconds * 1e9),
    }
    body: dict[str, Any] = {"observer": observer, "state": "Ok"}
    return body if machine.modern else {"metrics": {"state": "Disabled"}, **body}


def routing(machine: Machine) -> dict[str, Any]:
    """``routing`` (after 1.15)."""
    native = machine.settings.get("routing-mode", "tunnel") == "native"
    host = "BPF" if machine.on("enable-bpf-masquerade") and machine.replaces_kube_proxy else "Legacy"
    body = {
        "inter-host-routing-mode": "Native" if native else "Tunnel",
        "intra-host-routing-mode": host,
    }
    if not native:
        body["tunnel-protocol"] = machine.settings.get("tunnel-protocol") or "vxlan"
    return body


def controllers(machine: Machine, peers: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """``controllers``; ``peers`` gives the status of each ``remote-etcd-…`` controller."""
    started, found = machine.runtime.started_at, []

    def add(name: str, every: float, text: str = "", status: Mapping[str, Any] | None = None) -> None:
        runs = 1 + int((machine.now - started) // every) if every else 1
        usual = {
            "last-failure-timestamp": stamp(0),
            "last-success-timestamp": stamp(started + (runs - 1) * every + 0.5),
            "success-count": runs,
        }
        configuration: dict[str, Any] = {"error-retry": True, **({"interval": text} if text else {})}
        body = {"configuration": configuration, "name": name, "status": dict(status or usual)}
        found.append(
            {**body, "uuid": str(uuid.uuid5(uuid.UUID(machine.runtime.uid), f"{machine.runtime.boot}/{name}"))}
        )

    add("k8s-heartbeat", 30.0, "30s")
    add("cilium-health-ep", 60.0, "1m0s")
    add("endpoint-gc", 300.0, "5m0s")
    add("ipcache-inject-labels", 0.0)
    add("ct-map-pressure" if machine.modern else "sync-utime", 30.0 if machine.modern else 60.0, "30s")
    for address, name, number in machine.pods:
        add(f"resolve-identity-{number}", 300.0, "5m0s")
        add(f"sync-policymap-{number}", 900.0, "15m0s")
        add(f"sync-to-k8s-ciliumendpoint ({number})", 10.0, "10s")
        if address:
            add(f"resolve-labels-{name}", 0.0)
    for name, status in peers.items():
        add(name, 0.0, status=status)
    return found
