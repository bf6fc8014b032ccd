"""The address ranges a cluster occupies, from its facts: of pods, of nodes and their networks, of Services.

What is known is given together with what is missing: an overlap is decided by what is known, its absence needs all.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

from mesh import catalogue as fact
from mesh.addresses import Ranges, ranges
from mesh.facts import FactKey, FactName, Known, Reason
from mesh.finding import Missing
from mesh.model.cilium import CiliumNode, CiliumSettings
from mesh.model.kubernetes import Node, Service
from mesh.model.network import CloudNetwork
from mesh.subject import OfCluster
from mesh.view import View

# Pods take addresses of the nodes' own subnets: their lying in the VPC or VNet is meant.
NATIVE_IPAM: Final = frozenset(("eni", "azure", "alibabacloud", "delegated-plugin"))


class Range(Struct, frozen=True, order=True):
    """A CIDR or address and what it is: ``pool``, ``allocated``, ``subnet``, ``node NAME``, ``network``…"""

    cidr: str
    role: str


class Footprint(Struct, frozen=True):
    """Ranges in the order of their weight as evidence, as texts and as one set, and what is not known of them."""

    ranges: tuple[Range, ...] = ()
    missing: tuple[Missing, ...] = ()
    cidrs: tuple[str, ...] = ()
    addresses: Ranges = ()

    def role(self, cidr: str) -> str:
        """What the range of that text is."""
        return next((item.role for item in self.ranges if item.cidr == cidr), "")


def footprint(found: Iterable[Range], missing: Iterable[Missing] = ()) -> Footprint:
    """A footprint of these ranges, each once. Raises ``AddressError``."""
    kept = tuple(dict.fromkeys(found))
    cidrs = tuple(item.cidr for item in kept)
    return Footprint(kept, tuple(missing), cidrs, ranges(cidrs))


class _Notes:
    """Reads facts of one cluster, and notes which were read and which are missing."""

    def __init__(self, view: View, cluster: str) -> None:
        self._view = view
        self._subject = OfCluster(cluster)
        self.read: list[FactName[Any]] = []
        self.missing: list[Missing] = []

    def known(self, name: FactName[Any]) -> Any:
        """The value, or None where it is not known (and then noted as missing)."""
        self.read.append(name)
        got = self._view.known(name, self._subject)
        if isinstance(got, Known):
            return got.value
        self.lacks(name, got.reason, got.detail, got.lift)
        return None

    def lacks(self, name: FactName[Any], reason: Reason, detail: str, lift: str = "") -> None:
        """Note a fact as missing."""
        self.missing.append(Missing(FactKey(name.name, self._subject), reason, detail, lift))


def _kept(view: View, cluster: str, kind: str, make: Callable[[View, str, _Notes], list[Range]]) -> Footprint:
    """A footprint made once per run; whoever asks again has read the same facts."""

    def build() -> tuple[Footprint, tuple[FactName[Any], ...]]:
        notes = _Notes(view, cluster)
        found = make(view, cluster, notes)
        return footprint(found, notes.missing), tuple(notes.read)

    kept, read = view.once((kind, cluster), build)
    for name in read:
        view.known(name, OfCluster(cluster))
    return kept


def takes_subnets(settings: CiliumSettings) -> bool:
    """Whether pods get addresses of the nodes' own subnets."""
    return settings.ipam in NATIVE_IPAM or settings.cni_chaining_mode == "aws-cni"


def pods(view: View, cluster: str) -> Footprint:
    """Ranges pods get addresses from: the pools configured and what nodes hold. Empty where Cilium is absent.

    Reads ``SETTINGS``, and as the IPAM mode wants ``CILIUM_NODES``, ``NODES`` or ``CLOUD_NETWORK``.
    """
    return _kept(view, cluster, "pods", _pods)


def _pods(view: View, cluster: str, notes: _Notes) -> list[Range]:
    settings: CiliumSettings | None = notes.known(fact.SETTINGS)
    if settings is None:
        return []
    found: list[Range] = []
    if takes_subnets(settings):
        network: CloudNetwork | None = notes.known(fact.CLOUD_NETWORK)
        found += (Range(cidr, "subnet") for cidr in (network.node_subnets if network else ()))
    else:
        found += (Range(cidr, "pool") for cidr in settings.pod_cidrs)
        if settings.ipam == "kubernetes":
            members: tuple[Node, ...] = notes.known(fact.NODES) or ()
            found += (Range(cidr, "allocated") for node in members for cidr in node.pod_cidrs)
        if not view.planned(fact.SETTINGS, cluster):
            held: tuple[CiliumNode, ...] = notes.known(fact.CILIUM_NODES) or ()
            found += (Range(cidr, "allocated") for node in held for cidr in node.pod_cidrs)
    if not found and not notes.missing:
        notes.lacks(fact.SETTINGS, Reason.INVALID, "no pod range is configured or held by a node")
    return found


def nodes(view: View, cluster: str) -> Footprint:
    """Addresses of nodes and all prefixes of their VPC or VNet. Reads ``NODES`` and ``CLOUD_NETWORK``."""
    return _kept(view, cluster, "nodes", _nodes)


def _nodes(_: View, __: str, notes: _Notes) -> list[Range]:
    network: CloudNetwork | None = notes.known(fact.CLOUD_NETWORK)
    members: tuple[Node, ...] = notes.known(fact.NODES) or ()
    found: list[Range] = []
    if network is not None:
        found += (Range(cidr, "network") for cidr in network.prefixes)
        found += (Range(cidr, "subnet of nodes") for cidr in network.node_subnets)
    return found + [Range(address, f"node {node.name}") for node in members for address in node.internal_ips]


def services(view: View, cluster: str) -> Footprint:
    """The Service range as the cloud tells it, else the ClusterIPs there are. Reads ``CLOUD_NETWORK``, ``SERVICES``."""
    return _kept(view, cluster, "services", _services)


def _services(_: View, __: str, notes: _Notes) -> list[Range]:
    network: CloudNetwork | None = notes.known(fact.CLOUD_NETWORK)
    if network is not None and network.service_cidrs:
        return [Range(cidr, "Services") for cidr in network.service_cidrs]
    listed: tuple[Service, ...] = notes.known(fact.SERVICES) or ()
    return [
        Range(item.cluster_ip, f"ClusterIP of {item.namespace}/{item.name}")
        for item in listed
        if item.cluster_ip not in ("", "None")
    ]


def beyond(view: View, cluster: str) -> Footprint:
    """Networks peered with the cluster's own. Reads ``CLOUD_NETWORK``."""
    return _kept(view, cluster, "beyond", _beyond)


def _beyond(_: View, __: str, notes: _Notes) -> list[Range]:
    network: CloudNetwork | None = notes.known(fact.CLOUD_NETWORK)
    return [Range(cidr, "network beyond") for cidr in (network.peer_prefixes if network else ())]
