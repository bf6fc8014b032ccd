"""The address ranges a cluster occupies, from its facts: of pods, of nodes and their networks, of Services.

What is known is given together with what is missing: an overlap is decided by what is known, its absence needs all.
"""

from typing import Any, Final

from msgspec import Struct

from mesh import catalogue as fact
from mesh.addresses import Ranges, ranges
from mesh.facts import Fact, FactKey, FactName, Known, Reason, Unknown
from mesh.finding import Missing
from mesh.model.cilium import CiliumSettings
from mesh.subject import OfCluster
from mesh.view import View

# Pods take addresses of the nodes' own subnets: their lying in the VPC or VNet is meant.
NATIVE_IPAM: Final = frozenset(("eni", "azure", "alibabacloud", "delegated-plugin"))


class Range(Struct, frozen=True, order=True):
    """A CIDR or address and what it is: ``pool``, ``allocated``, ``subnet``, ``node``, ``network``, ``Services``…"""

    cidr: str
    role: str


class Footprint(Struct, frozen=True):
    """Ranges in the order of their weight as evidence, and the facts without which there may be more."""

    ranges: tuple[Range, ...] = ()
    missing: tuple[Missing, ...] = ()

    @property
    def cidrs(self) -> tuple[str, ...]:
        """The ranges' texts."""
        return tuple(item.cidr for item in self.ranges)

    @property
    def addresses(self) -> Ranges:
        """The ranges as one set. Raises ``AddressError``."""
        return ranges(self.cidrs)

    def role(self, cidr: str) -> str:
        """What the range of that text is."""
        return next((item.role for item in self.ranges if item.cidr == cidr), "")


class _Notes:
    """Reads facts and notes what is missing."""

    def __init__(self, view: View, cluster: str) -> None:
        self._view = view
        self._subject = OfCluster(cluster)
        self.missing: list[Missing] = []

    def read(self, name: FactName[Any]) -> Fact:
        got = self._view.known(name, self._subject)
        if isinstance(got, Unknown):
            self.lacks(name, got.reason, got.detail, got.lift)
        return got

    def lacks(self, name: FactName[Any], reason: Reason, detail: str, lift: str = "") -> None:
        self.missing.append(Missing(FactKey(name.name, self._subject), reason, detail, lift))


def takes_subnets(settings: CiliumSettings) -> bool:
    """Whether pods get addresses of the nodes' own subnets."""
    return settings.ipam in NATIVE_IPAM or settings.cni_chaining_mode == "aws-cni"


def pods(view: View, cluster: str) -> Footprint:
    """Ranges pods get addresses from: the pools configured and what nodes hold. Empty where Cilium is absent.

    Reads ``SETTINGS``, and as the IPAM mode wants ``CILIUM_NODES``, ``NODES`` or ``CLOUD_NETWORK``.
    """
    notes = _Notes(view, cluster)
    settings = notes.read(fact.SETTINGS)
    if not isinstance(settings, Known) or settings.value is None:
        return Footprint((), tuple(notes.missing))
    found: list[Range] = []
    if takes_subnets(settings.value):
        network = notes.read(fact.CLOUD_NETWORK)
        if isinstance(network, Known) and network.value is not None:
            found += (Range(cidr, "subnet") for cidr in network.value.node_subnets)
    else:
        found += (Range(cidr, "pool") for cidr in settings.value.pod_cidrs)
        if settings.value.ipam == "kubernetes":
            nodes = notes.read(fact.NODES)
            if isinstance(nodes, Known):
                found += (Range(cidr, "allocated") for node in nodes.value for cidr in node.pod_cidrs)
        if not view.planned(fact.SETTINGS, cluster):
            held = notes.read(fact.CILIUM_NODES)
            if isinstance(held, Known):
                found += (Range(cidr, "allocated") for node in held.value or () for cidr in node.pod_cidrs)
    if not found and not notes.missing:
        notes.lacks(fact.SETTINGS, Reason.INVALID, "no pod range is configured or held by a node")
    return Footprint(tuple(dict.fromkeys(found)), tuple(notes.missing))


def nodes(view: View, cluster: str) -> Footprint:
    """Addresses of nodes and all prefixes of their VPC or VNet. Reads ``NODES`` and ``CLOUD_NETWORK``."""
    notes = _Notes(view, cluster)
    network, members = notes.read(fact.CLOUD_NETWORK), notes.read(fact.NODES)
    found: list[Range] = []
    if isinstance(network, Known) and network.value is not None:
        found += (Range(cidr, "network") for cidr in network.value.prefixes)
        found += (Range(cidr, "node subnet") for cidr in network.value.node_subnets)
    if isinstance(members, Known):
        found += (Range(address, f"node {node.name}") for node in members.value for address in node.internal_ips)
    return Footprint(tuple(dict.fromkeys(found)), tuple(notes.missing))


def services(view: View, cluster: str) -> Footprint:
    """The Service range as the cloud tells it, else the ClusterIPs there are. Reads ``CLOUD_NETWORK``, ``SERVICES``."""
    notes = _Notes(view, cluster)
    network = notes.read(fact.CLOUD_NETWORK)
    if isinstance(network, Known) and network.value is not None and network.value.service_cidrs:
        return Footprint(tuple(Range(cidr, "Services") for cidr in network.value.service_cidrs))
    listed = notes.read(fact.SERVICES)
    found: list[Range] = []
    if isinstance(listed, Known):
        found += (
            Range(item.cluster_ip, f"ClusterIP of {item.namespace}/{item.name}")
            for item in listed.value
            if item.cluster_ip not in ("", "None")
        )
    return Footprint(tuple(dict.fromkeys(found)), tuple(notes.missing))
