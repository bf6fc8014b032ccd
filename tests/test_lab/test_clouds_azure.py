"""Azure Resource Manager of the lab as the real SDKs see it: reads, pages, writes, operations, refusals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from backends.lab.clouds.logins import ARM_RESOURCE
from backends.lab.storage.resources import DAEMONSETS
from backends.lab.topology import aks, eks, peering, vpn
from backends.lab.world import World
from tests.test_lab.cloud_lab import addresses, arm_clients, cloud_world, send

GROUP, NODES = "aks-east-rg", "MC_aks-east-rg_aks-east_japaneast"


class Tenant:
    """A world with one AKS cluster, and the SDKs' clients."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.azure = world.clouds.azure
        self.azure.retry_after = 0  # the client's own interval, which is short here
        self.cluster = aks(world, "aks-east")

    async def ask(self, question: Callable[[Any, Any], Any], **clients: Any) -> Any:
        """Call Azure from a thread, as programs do."""

        def run() -> Any:
            with arm_clients(self.world, **clients) as (network, containers):
                return question(network, containers)

        return await asyncio.to_thread(run)

    async def refusal(self, question: Callable[[Any, Any], Any], **clients: Any) -> HttpResponseError:
        """The error that a call meets."""
        with pytest.raises(HttpResponseError) as caught:
            await self.ask(question, **clients)
        return caught.value


def code_of(error: HttpResponseError) -> str:
    """The code in the error's body."""
    return str(error.error.code) if error.error is not None else ""


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    # Fast, because long-running operations take lab time.
    async with cloud_world(tmp_path, serve=True, speed=200.0) as world:
        yield Tenant(world)


async def test_the_cluster_with_its_pools(tenant: Tenant) -> None:
    def read(network: Any, containers: Any) -> Any:
        (listed,) = containers.managed_clusters.list()
        pools = list(containers.agent_pools.list(GROUP, "aks-east"))
        return listed, containers.managed_clusters.get(GROUP, "AKS-EAST"), pools

    listed, got, pools = await tenant.ask(read)
    assert listed.node_resource_group == NODES
    assert got.network_profile.network_plugin == "none"
    assert got.network_profile.service_cidr == "10.201.0.0/16"
    assert got.id == tenant.cluster.facts["cluster_id"], "ids keep their case, paths do not matter"
    assert [(pool.name, pool.count) for pool in pools] == [("np1", 3)]
    assert pools[0].vnet_subnet_id == tenant.cluster.facts["subnet_id"]


async def test_nics_of_a_scale_set(tenant: Tenant) -> None:
    def read(network: Any, _: Any) -> Any:
        return list(network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(NODES, "aks-np1-vmss"))

    nics = await tenant.ask(read)
    assert [nic.ip_configurations[0].private_ip_address for nic in nics] == addresses(tenant.cluster)
    assert {nic.network_security_group.id for nic in nics} == {tenant.cluster.facts["nic_nsg"]}
    assert {nic.ip_configurations[0].subnet.id for nic in nics} == {tenant.cluster.facts["subnet_id"]}
    provider_ids = [
        node["spec"]["providerID"]
        for node in tenant.cluster.objects.list(tenant.cluster.objects.resources["", "nodes"])
    ]
    assert [f"azure://{nic.virtual_machine.id}" for nic in nics] == provider_ids


async def test_subnets_groups_and_what_points_at_them(tenant: Tenant) -> None:
    def read(network: Any, _: Any) -> Any:
        plain = network.subnets.get(GROUP, "aks-east-vnet", "aks-subnet")
        whole = network.subnets.get(GROUP, "aks-east-vnet", "aks-subnet", expand="networkSecurityGroup,routeTable")
        group = network.network_security_groups.get(GROUP, "aks-agentpool-nsg")
        nodes = network.network_security_groups.get(NODES, tenant.cluster.facts["nic_nsg"].rpartition("/")[2])
        return plain, whole, group, nodes

    plain, whole, group, nodes = await tenant.ask(read)
    assert not plain.network_security_group.security_rules
    assert len(whole.network_security_group.security_rules) == 2
    assert [rule.name for rule in group.default_security_rules] == [
        "AllowVnetInBound",
        "AllowAzureLoadBalancerInBound",
        "DenyAllInBound",
        "AllowVnetOutBound",
        "AllowInternetOutBound",
        "DenyAllOutBound",
    ]
    assert [subnet.id for subnet in group.subnets] == [plain.id]
    assert len(nodes.network_interfaces) == 3
    assert len(plain.ip_configurations) == 3


async def test_lists_come_in_pages(tenant: Tenant) -> None:
    tenant.azure.page_size = 2

    def read(network: Any, _: Any) -> Any:
        rows = network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(NODES, "aks-np1-vmss")
        return [len(list(page)) for page in rows.by_page()]

    assert await tenant.ask(read) == [2, 1]


async def test_vpn_objects_and_what_the_gateway_knows(tenant: Tenant) -> None:
    other = eks(tenant.world, "eks-tokyo")
    vpn(tenant.world, other, tenant.cluster)

    def read(network: Any, _: Any) -> Any:
        (gateway,) = network.virtual_network_gateways.list(GROUP)
        rows = list(network.virtual_network_gateway_connections.list(GROUP))
        one = network.virtual_network_gateway_connections.get(GROUP, rows[0].name)
        local = network.local_network_gateways.get(GROUP, "lng-eks-tokyo-tunnel1")
        learned = network.virtual_network_gateways.begin_get_learned_routes(GROUP, gateway.name).result(60)
        peers = network.virtual_network_gateways.begin_get_bgp_peer_status(GROUP, gateway.name).result(60)
        joined = list(network.virtual_network_gateways.list_connections(GROUP, gateway.name))
        return gateway, rows, one, local, learned, peers, joined

    gateway, rows, one, local, learned, peers, joined = await tenant.ask(read)
    assert len(rows) == len(joined) == 2
    assert one.connection_status == "Connected"
    assert rows[0].connection_status is None, "the status is in the single answer only"
    assert local.local_network_address_space.address_prefixes == ["192.168.0.0/16"]
    connection = tenant.world.clouds.aws.ec2(other.region).vpn_connections[other.facts["vpn_connections"][0]]
    assert local.gateway_ip_address == connection.options["TunnelOptions"][0]["OutsideIpAddress"]
    assert {row.network for row in learned.value} == {"10.224.0.0/12", "192.168.0.0/16"}
    assert peers.value == []
    assert gateway.ip_configurations[0].subnet.id.endswith("/subnets/GatewaySubnet")


async def test_bgp_peers_and_their_routes(tenant: Tenant) -> None:
    other = eks(tenant.world, "eks-tokyo")
    vpn(tenant.world, other, tenant.cluster, bgp=True)

    def read(network: Any, _: Any) -> Any:
        (gateway,) = network.virtual_network_gateways.list(GROUP)
        return (
            network.virtual_network_gateways.begin_get_bgp_peer_status(GROUP, gateway.name).result(60).value,
            network.virtual_network_gateways.begin_get_learned_routes(GROUP, gateway.name).result(60).value,
            network.virtual_network_gateway_connections.get(GROUP, "con-eks-tokyo-tunnel1").as_dict(),
        )

    peers, learned, connection = await tenant.ask(read)
    assert {(peer.state, peer.routes_received) for peer in peers} == {("Connected", 1)}
    assert {row.origin for row in learned if row.network == "192.168.0.0/16"} == {"EBgp"}
    assert "learned" not in connection


def rule(priority: int, **more: Any) -> dict[str, Any]:
    properties = {
        "protocol": "Udp",
        "sourceAddressPrefixes": ["192.168.1.0/24"],
        "sourceAddressPrefix": None,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "8472",
        "access": "Deny",
        "direction": "Inbound",
        "priority": priority,
        "description": "a note",
        **more,
    }
    return {"properties": properties}


def write(name: str, body: dict[str, Any]) -> Callable[[Any, Any], Any]:
    return lambda network, _: network.security_rules.begin_create_or_update(
        GROUP, "aks-agentpool-nsg", name, body
    ).result(60)


async def test_a_rule_is_written_read_judged_and_deleted(tenant: Tenant) -> None:
    other = eks(tenant.world, "eks-tokyo")
    vpn(tenant.world, other, tenant.cluster)
    assert send(tenant.world, other, addresses(tenant.cluster)[0], "udp", 8472).delivered
    made = await tenant.ask(write("no-vxlan", rule(300)))
    assert (made.provisioning_state, made.source_address_prefixes) == ("Succeeded", ["192.168.1.0/24"])
    assert made.source_address_prefix is None
    assert not send(tenant.world, other, addresses(tenant.cluster)[0], "udp", 8472).delivered
    group = await tenant.ask(lambda network, _: network.network_security_groups.get(GROUP, "aks-agentpool-nsg"))
    assert "no-vxlan" in [one.name for one in group.security_rules]
    await tenant.ask(
        lambda network, _: network.security_rules.begin_delete(GROUP, "aks-agentpool-nsg", "no-vxlan").result(60)
    )
    assert send(tenant.world, other, addresses(tenant.cluster)[0], "udp", 8472).delivered
    error = await tenant.refusal(lambda network, _: network.security_rules.get(GROUP, "aks-agentpool-nsg", "no-vxlan"))
    assert (error.status_code, code_of(error)) == (404, "NotFound")


async def test_equal_priorities_fail_at_the_end_of_the_operation(tenant: Tenant) -> None:
    await tenant.ask(write("one", rule(300)))
    error = await tenant.refusal(write("two", rule(300)))
    assert (error.status_code, code_of(error)) == (200, "SecurityRuleConflict")
    assert await tenant.ask(write("three", rule(300, direction="Outbound")))
    assert await tenant.ask(write("one", rule(300, destinationPortRange="4240"))), "the same rule may be written again"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("low", rule(99), "SecurityRuleInvalidPriority"),
        ("long", rule(300, description="x" * 141), "SecurityRuleDescriptionTooLong"),
        ("word", rule(300, protocol="sctp"), "InvalidRequestFormat"),
        ("side", rule(300, sourceAddressPrefixes=None), "SecurityRuleParameterMissing"),
        ("n" * 81, rule(300), "InvalidResourceName"),
    ],
)
async def test_rules_that_are_refused_at_once(tenant: Tenant, name: str, body: dict[str, Any], code: str) -> None:
    error = await tenant.refusal(write(name, body))
    assert (error.status_code, code_of(error)) == (400, code)


async def test_local_gateways_and_route_tables_are_written(tenant: Tenant) -> None:
    other = eks(tenant.world, "eks-tokyo")
    vpn(tenant.world, other, tenant.cluster)

    def change(network: Any, _: Any) -> Any:
        local = network.local_network_gateways.get(GROUP, "lng-eks-tokyo-tunnel1")
        local.local_network_address_space.address_prefixes = ["192.168.0.0/16", "172.30.0.0/16"]
        network.local_network_gateways.begin_create_or_update(GROUP, local.name, local).result(60)
        table = {"location": "japaneast", "properties": {"disableBgpRoutePropagation": True}}
        network.route_tables.begin_create_or_update(GROUP, "udr", table).result(60)
        route = {"properties": {"addressPrefix": "172.30.0.0/16", "nextHopType": "VirtualNetworkGateway"}}
        network.routes.begin_create_or_update(GROUP, "udr", "to-aws", route).result(60)
        return network.route_tables.get(GROUP, "udr"), network.local_network_gateways.get(GROUP, local.name)

    table, local = await tenant.ask(change)
    assert [(row.name, row.next_hop_type) for row in table.routes] == [("to-aws", "VirtualNetworkGateway")]
    assert table.disable_bgp_route_propagation is True
    assert local.local_network_address_space.address_prefixes[-1] == "172.30.0.0/16"


@pytest.mark.parametrize("way", ["put", "patch"])
async def test_aks_takes_its_kube_proxy_away_and_brings_it_back(tenant: Tenant, way: str) -> None:
    store = tenant.cluster.objects
    assert store.stored(DAEMONSETS, "kube-system", "kube-proxy")
    told: list[tuple[str, bool]] = []
    tenant.azure.on_kube_proxy.append(lambda name, kept: told.append((name, kept)))
    url = f"{tenant.world.clouds.azure_endpoint}{tenant.cluster.facts['cluster_id']}?api-version=2024-09-02-preview"
    headers = {"Authorization": f"Bearer {tenant.world.clouds.logins.azure()['tokens'][ARM_RESOURCE]}"}
    for enabled in (False, True):
        async with aiohttp.ClientSession(headers=headers) as session:
            body: Any = {"properties": {"networkProfile": {"kubeProxyConfig": {"enabled": enabled}}}}
            if way == "put":
                async with session.get(url) as answer:
                    body = await answer.json()
                body["properties"]["networkProfile"]["kubeProxyConfig"] = {"enabled": enabled}
            async with session.request(way, url, json=body) as answer:
                assert answer.status == 200
                operation = answer.headers["Azure-AsyncOperation"]
            for _ in range(200):
                async with session.get(operation) as answer:
                    if (await answer.json())["status"] != "InProgress":
                        break
                await asyncio.sleep(0.02)
        assert (store.stored(DAEMONSETS, "kube-system", "kube-proxy") is not None) is enabled
    assert told == [("aks-east", False), ("aks-east", True)]
    networks = (await tenant.ask(lambda _, aks: aks.managed_clusters.get(GROUP, "aks-east"))).network_profile
    assert networks.pod_cidr == "10.200.0.0/16", "the rest of the cluster is as before"


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        (lambda network, _: network.virtual_networks.get(GROUP, "none"), 404, "ResourceNotFound"),
        (lambda network, _: network.virtual_networks.get("none", "x"), 404, "ResourceGroupNotFound"),
        (lambda network, _: network.subnets.get(GROUP, "aks-east-vnet", "none"), 404, "NotFound"),
        (
            lambda network, _: network.security_rules.begin_create_or_update(GROUP, "none", "r", rule(300)),
            404,
            "ParentResourceNotFound",
        ),
    ],
)
async def test_what_does_not_exist(tenant: Tenant, question: Any, status: int, code: str) -> None:
    error = await tenant.refusal(question)
    assert (error.status_code, code_of(error)) == (status, code)


async def test_another_subscription_is_not_found(tenant: Tenant) -> None:
    error = await tenant.refusal(lambda network, _: list(network.virtual_networks.list_all()), subscription="1234")
    assert isinstance(error, ResourceNotFoundError)
    assert code_of(error) == "SubscriptionNotFound"


async def test_logins_that_are_unknown_or_have_ended(tenant: Tenant) -> None:
    def read(network: Any, _: Any) -> Any:
        return list(network.virtual_networks.list_all())

    error = await tenant.refusal(read, token="nobody")
    assert isinstance(error, ClientAuthenticationError)
    assert (error.status_code, code_of(error)) == (401, "InvalidAuthenticationToken")
    tenant.world.clouds.logins.set_valid("azure", False)
    error = await tenant.refusal(read)
    assert (error.status_code, code_of(error)) == (401, "ExpiredAuthenticationToken")
    tenant.world.clouds.logins.set_valid("azure", True)
    assert await tenant.ask(read)


async def test_what_is_denied_names_the_action(tenant: Tenant) -> None:
    tenant.azure.denied |= {"Microsoft.Network/*/write", "Microsoft.Network/virtualNetworks/read"}
    error = await tenant.refusal(lambda network, _: list(network.virtual_networks.list_all()))
    assert (error.status_code, code_of(error)) == (403, "AuthorizationFailed")
    assert "'Microsoft.Network/virtualNetworks/read'" in str(error)
    error = await tenant.refusal(write("x", rule(300)))
    assert "'Microsoft.Network/networkSecurityGroups/securityRules/write'" in str(error)
    assert await tenant.ask(lambda network, _: network.network_security_groups.get(GROUP, "aks-agentpool-nsg"))


async def test_a_reader_may_not_act(tenant: Tenant) -> None:
    other = eks(tenant.world, "eks-tokyo")
    vpn(tenant.world, other, tenant.cluster)
    tenant.azure.denied |= {"*/action"}
    error = await tenant.refusal(
        lambda network, _: network.virtual_network_gateways.begin_get_learned_routes(GROUP, "aks-east-vpngw")
    )
    assert "virtualNetworkGateways/getLearnedRoutes/action" in str(error)


async def test_a_locked_node_group_may_be_read_only(tenant: Tenant) -> None:
    tenant.azure.locked_groups.add(NODES.lower())
    name = tenant.cluster.facts["nic_nsg"].rpartition("/")[2]
    error = await tenant.refusal(
        lambda network, _: network.security_rules.begin_create_or_update(NODES, name, "x", rule(300))
    )
    assert (error.status_code, code_of(error)) == (403, "DenyAssignmentAuthorizationFailed")
    assert await tenant.ask(lambda network, _: network.network_security_groups.get(NODES, name))


async def test_throttled_and_busy(tenant: Tenant) -> None:
    tenant.azure.throttled = 1
    assert await tenant.ask(lambda network, _: list(network.virtual_networks.list_all())), "the SDK tries again"
    tenant.azure.busy = 1
    error = await tenant.refusal(write("x", rule(300)))
    assert (error.status_code, code_of(error)) == (409, "AnotherOperationInProgress")
    assert await tenant.ask(write("x", rule(300)))


async def test_a_request_needs_a_version_and_an_existing_path(tenant: Tenant) -> None:
    headers = {"Authorization": f"Bearer {tenant.world.clouds.logins.azure()['tokens'][ARM_RESOURCE]}"}
    endpoint = tenant.world.clouds.azure_endpoint
    expected = {
        f"/subscriptions/{tenant.azure.id}": 400,
        f"/subscriptions/{tenant.azure.id}?api-version=1": 200,
        "/subscriptions?api-version=1": 200,
        f"/subscriptions/{tenant.azure.id}/resourceGroups?api-version=1": 200,
        f"/subscriptions/{tenant.azure.id}/resourcegroups/{GROUP.upper()}?api-version=1": 200,
        "/nothing?api-version=1": 404,
    }
    async with aiohttp.ClientSession(headers=headers) as session:
        for path, status in expected.items():
            async with session.get(endpoint + path) as answer:
                assert (path, answer.status) == (path, status)
    async with aiohttp.ClientSession() as session, session.get(endpoint + "/subscriptions?api-version=1") as answer:
        assert answer.status == 401
        assert "authorization_uri" in answer.headers["WWW-Authenticate"]


async def test_peerings_are_listed_with_the_remote_prefixes(tenant: Tenant) -> None:
    other = aks(tenant.world, "aks-west", region="japanwest", vnet="10.60.0.0/16")
    peering(tenant.world, tenant.cluster, other)
    (row,) = await tenant.ask(lambda network, _: list(network.virtual_network_peerings.list(GROUP, "aks-east-vnet")))
    assert (row.peering_state, row.remote_address_space.address_prefixes) == ("Connected", ["10.60.0.0/16"])
