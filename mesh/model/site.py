"""One end of a path: a cluster's nodes, where they stand, and the network around them."""

from msgspec import Struct

from mesh.model.network import Firewall
from mesh.model.unread import Unread
from mesh.model.vnet import AzureNetwork
from mesh.model.vpc import AwsNetwork


class NodePlace(Struct, frozen=True, order=True):
    """A node, or a load balancer's front end, and the subnet of its interface (an id; "" = not known).

    ``addresses`` are those that the flows go to: all of them are judged.

    AWS: ``describe_instances`` → ``NetworkInterfaces[].{SubnetId,PrivateIpAddresses}``; Azure: the NIC's
    ``ipConfigurations[].{subnet.id,privateIPAddress}``.
    """

    name: str
    addresses: tuple[str, ...]
    subnet: str = ""


class CloudPaths(Struct, frozen=True):
    """What a cloud tells of the way from a cluster's nodes to its edge: where they stand, and the network around them.

    ``network`` is the id of the nodes' VPC or VNet; one of ``aws`` and ``azure`` is there. What could not be read is
    ``Unread`` by itself, so that one missing right loses one list.
    """

    network: str
    places: tuple[NodePlace, ...] | Unread = ()
    aws: AwsNetwork | None = None
    azure: AzureNetwork | None = None

    @property
    def unread(self) -> tuple[Unread, ...]:
        """All that could not be read."""
        cloud = self.aws or self.azure
        parts = (self.places, *(getattr(cloud, name) for name in cloud.__struct_fields__)) if cloud else (self.places,)
        return tuple(part for part in parts if isinstance(part, Unread))


class Premises(Struct, frozen=True):
    """A network of one's own as ``meshwright.toml`` describes it; nothing of it can be read.

    ``flows`` are what it is declared to let in and out (``udp/8472``, ``icmp``); ``gateways`` the public addresses of
    its VPN devices; ``appliances`` what lies before it and is not modelled.
    """

    prefixes: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    appliances: tuple[str, ...] = ()


class Site(Struct, frozen=True):
    """Nodes and what is known of their network: one of ``aws``, ``azure`` and ``premises``, or none of them.

    ``network`` is the id of the VPC or VNet, or of the one network of clusters on one host. ``firewall`` None = not
    read, and ``lacks`` says why.
    """

    name: str
    nodes: tuple[NodePlace, ...] = ()
    network: str = ""
    firewall: Firewall | None = None
    lacks: Unread | None = None
    aws: AwsNetwork | None = None
    azure: AzureNetwork | None = None
    premises: Premises | None = None
