"""Sites out of the facts of their clusters. What is not known stays so: it is never an empty list."""

from typing import Any, Final

from mesh import catalogue as fact
from mesh.facts import Fact, FactStore, Known, Unknown
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import Node, provider_of
from mesh.model.network import Firewall
from mesh.model.site import CloudPaths, NodePlace, Site
from mesh.model.unread import Unread
from mesh.model.vnet import AZURE_RIGHTS, AzureNetwork
from mesh.model.vpc import AWS_RIGHTS, AwsNetwork
from mesh.subject import OfCluster

_FIREWALL: Final = {
    Provider.EKS: "ec2:DescribeSecurityGroups",
    Provider.AKS: "Microsoft.Network/networkSecurityGroups/read",
}


def site_of(store: FactStore, cluster: str) -> Site:
    """A cluster's nodes and network. Reads ``CONTEXT``, ``NODES``, ``FIREWALL`` and ``CLOUD_PATHS``."""
    of = OfCluster(cluster)
    nodes: tuple[Node, ...] = store.value(fact.NODES, of) or ()
    ref = store.value(fact.CONTEXT, of) or ContextRef(cluster, cluster, "")
    provider = provider_of(ref, nodes)
    plain = tuple(sorted(NodePlace(node.name, node.internal_ips) for node in nodes))
    if provider not in _FIREWALL:
        return Site(cluster, plain)
    firewall, lacks = _firewall(store.get(fact.FIREWALL, of), _FIREWALL[provider])
    paths = _paths(store.get(fact.CLOUD_PATHS, of), provider)
    places = plain if isinstance(paths.places, Unread) else paths.places
    return Site(cluster, places, paths.network, firewall, lacks, paths.aws, paths.azure)


def _firewall(found: Fact, right: str) -> tuple[Firewall | None, Unread | None]:
    if isinstance(found, Unknown):
        return None, _lost(found, right)
    return (found.value, None) if found.value is not None else (None, Unread(right, why="no cloud was read"))


def _paths(found: Fact, provider: Provider) -> CloudPaths:
    """As read; where nothing was, every list is unread, for the same reason."""
    if isinstance(found, Known) and found.value is not None:
        value: CloudPaths = found.value
        return value
    rights = AWS_RIGHTS if provider is Provider.EKS else AZURE_RIGHTS
    lists: dict[str, Any] = {name: _lost(found, right) for name, right in rights.items()}
    nowhere = _lost(found, "")
    if provider is Provider.EKS:
        return CloudPaths("", nowhere, aws=AwsNetwork(**lists))
    return CloudPaths("", nowhere, azure=AzureNetwork(**lists))


def _lost(found: Fact, right: str) -> Unread:
    """A login that lacks is what would lift it; else the right of the call."""
    if isinstance(found, Unknown):
        return Unread(found.lift or right, why=found.detail or found.reason.value)
    return Unread(right, why="no cloud was read")
