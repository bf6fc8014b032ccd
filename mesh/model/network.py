"""What is read of the clouds: where a cluster is, its prefixes, its nodes' rules, its load balancer, its VPN."""

from typing import Final

from msgspec import Struct

from mesh.model.context import Provider

_PREFIX: Final = "service.beta.kubernetes.io/"


class CloudIdentity(Struct, frozen=True):
    """Account/subscription, region and name of the managed cluster, proven by its endpoint (cloud-network §1).

    ``endpoint`` is the API server's host as the cloud knows it; ``resource_id`` the ARN or ARM id of the cluster;
    ``kube_proxy_enabled`` AKS's ``kubeProxyConfig`` where the API tells it.
    """

    provider: Provider
    account: str = ""
    region: str = ""
    name: str = ""
    resource_group: str = ""
    node_resource_group: str = ""
    network_id: str = ""
    network_plugin: str = ""
    resource_id: str = ""
    endpoint: str = ""
    kube_proxy_enabled: bool | None = None
    caller: str = ""
    version: str = ""
    proven: bool = False


class CloudNetwork(Struct, frozen=True):
    """VPC or VNet of the nodes: all its prefixes, the nodes' subnets, the Service range as the cloud knows it."""

    id: str
    prefixes: tuple[str, ...] = ()
    node_subnets: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    peer_prefixes: tuple[str, ...] = ()


class FirewallRule(Struct, frozen=True, order=True):
    """One rule in common words.

    ``direction`` is ``in`` or ``out``, seen from the node. ``protocol`` is ``tcp``, ``udp``, ``icmp``, ``icmpv6``,
    ``esp``, another protocol's number, or ``*``. Ports are destination ports, inclusive (0-65535 = all; for ICMP the
    type in ``from_port``, -1 = any). ``sources`` and ``destinations`` are CIDRs; ``peers`` are what is not an address
    at the far end (source of an ``in`` rule, destination of an ``out`` rule): group ids, service tags, prefix lists not
    expanded. A far end with neither CIDR nor peer is any address (in a security group: none), an empty near end any.
    ``near`` is what is not an address at the near end: an NSG's tags and ASGs, but for ``VirtualNetwork``, which nodes
    are always in.
    ``source_ports`` other than all narrows a rule to a part of a flow. AWS rules have priority 0 and allow only. A rule
    with several port ranges becomes several of one id and priority.
    """

    id: str
    direction: str
    allow: bool
    protocol: str
    from_port: int = 0
    to_port: int = 65535
    sources: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    priority: int = 0
    name: str = ""
    source_ports: tuple[int, int] = (0, 65535)
    near: tuple[str, ...] = ()


class FirewallGroup(Struct, frozen=True, order=True):
    """A security group or NSG and the nodes it covers.

    ``kind`` is ``sg``, ``nsg-subnet`` or ``nsg-nic``; ``managed_by`` names what owns it (``AKS``, ``EKS``, an
    infrastructure-as-code tag); ``tag_prefixes`` resolves service tags (``VirtualNetwork``) as computed for these
    nodes, None for a tag that could not be computed.
    """

    id: str
    name: str
    kind: str
    nodes: tuple[str, ...] = ()
    rules: tuple[FirewallRule, ...] = ()
    managed_by: str = ""
    tag_prefixes: dict[str, tuple[str, ...] | None] = {}
    resource_id: str = ""


class Firewall(Struct, frozen=True):
    """All groups on the nodes of a cluster. ``unguarded`` are nodes without any group (Azure: allowed; AWS: cannot
    be).
    """

    groups: tuple[FirewallGroup, ...] = ()
    unguarded: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class VpnConnection(Struct, frozen=True, order=True):
    """A site-to-site connection as one cloud sees it: state, tunnels up of all, remote prefixes it knows."""

    id: str
    state: str
    tunnels_up: int = 0
    tunnels: int = 0
    static_prefixes: tuple[str, ...] = ()
    detail: str = ""


class LoadBalancer(Struct, frozen=True):
    """The load balancer behind ``clustermesh-apiserver``: ``internal`` as the cloud says, its addresses, its own
    groups.

    ``preserves_client_ip``: the node's rules see the peer's address; else the load balancer's.
    """

    id: str
    internal: bool | None = None
    addresses: tuple[str, ...] = ()
    groups: tuple[FirewallGroup, ...] = ()
    target_port: int = 0
    preserves_client_ip: bool = True
    kind: str = ""
    subnets: tuple[str, ...] = ()


def internal_annotations(provider: Provider) -> dict[str, str]:
    """Annotations that make the load balancer private whichever controller serves it (cilium-clustermesh §3.2).

    The two AWS annotations belong to two controllers; setting both is safe for either.
    """
    if provider is Provider.EKS:
        return {
            _PREFIX + "aws-load-balancer-type": "nlb",
            _PREFIX + "aws-load-balancer-scheme": "internal",
            _PREFIX + "aws-load-balancer-internal": "true",
        }
    if provider is Provider.AKS:
        return {_PREFIX + "azure-load-balancer-internal": "true"}
    if provider is Provider.GKE:
        return {
            "networking.gke.io/load-balancer-type": "Internal",
            "networking.gke.io/internal-load-balancer-allow-global-access": "true",
        }
    return {}
