"""What lies on a node besides its pods: the CNI configuration, service rules, pulled images."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Final

from backends.lab.controllers import reading
from backends.lab.objects import Object, ObjectStore
from backends.lab.storage.resources import NODES, PODS

CILIUM: Final = "cilium"
AWS: Final = "aws"
BRIDGE: Final = "bridge"


@dataclass(slots=True)
class Host:
    """A node's file system and kernel, as far as anybody can tell from outside.

    ``cni`` is the plugin whose configuration file is first in /etc/cni/net.d ("" = none). ``set_aside`` holds
    configurations that an agent renamed to ``*.cilium_bak``. ``iptables`` tells whether kube-proxy ever wrote its rules
    (they stay when it goes); ``agent`` is the uid of the running, ready Cilium agent ("" = none).
    """

    name: str
    cni: str = ""
    set_aside: str = ""
    iptables: bool = False
    agent: str = ""
    kube_proxy: bool = False
    aws_node: bool = False
    replaces_kube_proxy: bool = False
    images: set[str] = field(default_factory=set)

    def reaches_services(self) -> bool:
        """Whether ClusterIPs are translated here, by kube-proxy's rules or by the agent."""
        return self.iptables or (bool(self.agent) and self.replaces_kube_proxy)


class NoAddress(Exception):
    """A pod got no address: the container runtime's sentence; ``quiet`` when the node itself says why."""

    def __init__(self, sentence: str, *, quiet: bool = False) -> None:
        super().__init__(sentence)
        self.quiet = quiet


NOT_INITIALIZED: Final = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


class Addresses:
    """Gives pods their addresses: the node's, one of the VPC under aws-node, one of the node's pool under Cilium."""

    def __init__(self, store: ObjectStore, provider: str, node_subnets: tuple[str, ...]) -> None:
        self._store = store
        self._provider = provider
        self._subnets = tuple(ipaddress.IPv4Network(text) for text in node_subnets)

    def assign(self, pod: Object, host: Host) -> str:
        """The address for a new sandbox. Raises ``NoAddress``."""
        node = self._store.stored(NODES, None, host.name)
        if node is None:
            raise NoAddress(f'node "{host.name}" not found')
        if reading.host_network(pod):
            return reading.internal_ip(node)
        sandbox = hashlib.sha256(f"{pod['metadata']['uid']}/{host.name}".encode()).hexdigest()
        if host.cni == CILIUM:
            return self._from_pool(host, sandbox)
        if host.cni == AWS:
            return self._from_vpc(host, node, sandbox)
        if host.cni == BRIDGE:
            return self._free(ipaddress.IPv4Network(node["spec"]["podCIDR"]), skip=2)
        raise NoAddress(f"network is not ready: {NOT_INITIALIZED}", quiet=True)

    def _from_pool(self, host: Host, sandbox: str) -> str:
        if not host.agent:
            raise _sandbox_failure(
                sandbox,
                'plugin type="cilium-cni" failed (add): unable to connect to Cilium agent: failed to create cilium '
                'agent client after 30.000000 seconds timeout: Get "http://localhost/v1/config": '
                "dial unix /var/run/cilium/cilium.sock: connect: no such file or directory",
            )
        resource = self._store.resources.get(("cilium.io", "ciliumnodes"))
        own = self._store.stored(resource, None, host.name) if resource else None
        if own is None:
            raise NoAddress(f'ciliumnodes.cilium.io "{host.name}" not found')
        kept = {entry["ip"] for entry in own["spec"].get("addresses") or ()}
        kept.add((own["spec"].get("health") or {}).get("ipv4", ""))
        if self._provider == "eks" and own["spec"].get("eni"):
            node = self._store.stored(NODES, None, host.name)
            return self._from_vpc(host, node or {}, sandbox)
        for cidr in own["spec"].get("ipam", {}).get("podCIDRs") or ():
            address = self._free(ipaddress.IPv4Network(cidr), skip=2, kept=kept, scatter=host.name)
            if address:
                return address
        raise _sandbox_failure(
            sandbox,
            'plugin type="cilium-cni" failed (add): unable to allocate IP via local cilium agent: '
            "[POST /ipam][502] postIpamFailure  No more IPs available",
        )

    def _from_vpc(self, host: Host, node: Object, sandbox: str) -> str:
        if not host.aws_node and not host.agent:
            raise _sandbox_failure(
                sandbox,
                'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC call: '
                'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: '
                'dial tcp 127.0.0.1:50051: connect: connection refused"',
            )
        own = ipaddress.IPv4Address(reading.internal_ip(node))
        subnet = next((net for net in self._subnets if own in net), ipaddress.IPv4Network(f"{own}/24", strict=False))
        return self._free(subnet, skip=16, scatter=host.name)

    def _free(self, net: ipaddress.IPv4Network, *, skip: int, kept: set[str] | None = None, scatter: str = "") -> str:
        taken = set(kept or ())
        for pod in self._store.view(PODS):
            if not reading.finished(pod):
                taken.add(reading.pod_ip(pod))
        for node in self._store.view(NODES):
            taken.add(reading.internal_ip(node))
        room = net.num_addresses - skip - 1
        if room <= 0:
            return ""
        start = int(reading.share(f"{scatter}/{net}", 0, room)) if scatter else 0
        # Real allocators do not count up either; a stride that divides the room would not reach all of it.
        stride = 37 if room % 37 else 1
        for step in range(room):
            address = str(net[skip + (start + step * stride) % room])
            if address not in taken:
                return address
        return ""


def _sandbox_failure(sandbox: str, why: str) -> NoAddress:
    return NoAddress(
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
        f'"{sandbox}": {why}'
    )
