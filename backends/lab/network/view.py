"""All networks of a lab at one moment, put together from both clouds and the sites."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.lab.network import vnet, vpc
from backends.lab.network.balancers import aws_balancers, azure_balancers
from backends.lab.network.places import Balancer, Domain, Interface, TunnelEnd
from backends.lab.network.prefixes import number
from backends.lab.network.site import Site, SiteConfig, site_tunnels
from backends.lab.storage.resources import NODES

if TYPE_CHECKING:
    from backends.lab.cluster import LabCluster
    from backends.lab.world import World


@dataclass(slots=True)
class View:
    """``homes`` is the domain of each cluster's nodes; ``public`` what answers at public addresses."""

    domains: dict[str, Domain] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    tunnels: list[TunnelEnd] = field(default_factory=list)
    balancers: list[Balancer] = field(default_factory=list)
    hostnames: dict[str, Balancer] = field(default_factory=dict)
    public: dict[int, tuple[Domain, Interface]] = field(default_factory=dict)


def home_of(cluster: "LabCluster") -> str:
    """The id of the domain that a cluster's nodes are in."""
    facts = cluster.facts
    if "site" in facts:
        return f"site/{facts['site']}"
    return str(facts.get("vpc_id") or facts.get("vnet_id") or "").lower()


def compose(world: "World", sites: Mapping[str, SiteConfig]) -> View:
    """Read everything anew."""
    view = View()
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for cluster in world.clusters.values():
        home = view.homes[cluster.name] = home_of(cluster)
        for node in cluster.objects.view(NODES):
            for row in node.get("status", {}).get("addresses") or ():
                if row["type"] == "InternalIP":
                    owners[home, row["address"]] = (cluster.name, node["metadata"]["name"])

    def owner(domain: str, address: str) -> tuple[str, str]:
        return owners.get((domain, address), ("", ""))

    if world.clouds is not None:
        _clouds(world, view, owner)
    _sites(view, sites, owners)
    for balancer in view.balancers:
        if balancer.hostname:
            view.hostnames[balancer.hostname] = balancer
    return view


def _clouds(world: "World", view: View, owner: vpc.Owners) -> None:
    aws, azure = world.clouds.aws, world.clouds.azure
    with aws.lock:
        vpcs = vpc.read_vpcs(aws, owner)
        view.tunnels += vpc.read_tunnels(aws)
        view.balancers += aws_balancers(aws, vpcs)
    vnets = vnet.read_vnets(azure, owner)
    view.tunnels += vnet.read_tunnels(azure)
    view.balancers += azure_balancers(azure, vnets)
    for domain in (*vpcs, *vnets):
        view.domains[domain.id] = domain
        for card in domain.interfaces.values():
            if card.public:
                view.public[card.public] = (domain, card)
    for cluster in world.clusters.values():
        home = view.domains.get(home_of(cluster))
        if isinstance(home, vnet.Vnet) and cluster.facts.get("outbound_address"):
            home.outbound = number(cluster.facts["outbound_address"])
    _public_front_ends(view, vnets)


def _public_front_ends(view: View, vnets: list[vnet.Vnet]) -> None:
    """A public front end of Azure answers in the VNet of its machines."""
    for balancer in view.balancers:
        if balancer.kind != "azure":
            continue
        members = next((pool.targets for pool in balancer.listeners.values() if pool.targets), [])
        for address in balancer.addresses:
            home = next(
                (one for one in vnets if any(one.interfaces.get(card.address) is card for card, _ in members)), None
            )
            if home is not None and address not in home.interfaces:
                card = Interface(address, balancer.id, members[0][0].subnet, balancer=balancer)
                view.public[address] = (home, card)


def _sites(view: View, sites: Mapping[str, SiteConfig], owners: Mapping[tuple[str, str], tuple[str, str]]) -> None:
    theirs: list[TunnelEnd] = []
    for config in sites.values():
        site = Site(config)
        for (domain, address), (cluster, node) in owners.items():
            if domain == site.id:
                site.interfaces[number(address)] = Interface(number(address), node, None, cluster, node)
        view.domains[site.id] = site
        owned = {identifier: domain.prefixes for identifier, domain in view.domains.items()}
        theirs += site_tunnels(config, view.tunnels, owned, sites)
    view.tunnels += theirs
