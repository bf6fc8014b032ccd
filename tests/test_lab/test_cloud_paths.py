"""What is read of a lab's clouds tells of each flow what the lab's own packets do, in few calls, and bears faults."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.lab.clouds.aws.answers import Failure
from backends.lab.clouds.azure.errors import ArmError
from backends.lab.topology import aks, eks, open_mesh, vpn
from mesh import catalogue as fact
from mesh.facts import FactStore, Known, Reason, Unknown
from mesh.model.site import CloudPaths
from mesh.model.unread import Unread
from mesh.reach.hops import Passage
from mesh.reach.reach import Reach
from mesh.reach.rules import ECHO, Flow
from mesh.reach.sites import site_of
from mesh.snapshot import dump, load
from mesh.subject import OfCluster
from tests.test_lab.cloud_facts import Reading
from tests.test_lab.cloud_lab import addresses, cloud_world, send
from tests.test_lab.test_network_faults import AKS, BY_NAME, EKS, Mesh

FLOWS = (Flow("udp", 8472), Flow("tcp", 4240), ECHO)
PAIRS = ((EKS, AKS), (AKS, EKS))


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    async with cloud_world(tmp_path, serve=True) as world:
        yield Mesh(world)


@pytest.fixture
def reading(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(mesh.world, monkeypatch)


def paths_of(store: FactStore, cluster: str) -> CloudPaths:
    found = store.get(fact.CLOUD_PATHS, OfCluster(cluster))
    assert isinstance(found, Known), found
    assert isinstance(found.value, CloudPaths)
    return found.value


def judged(store: FactStore) -> dict[tuple[str, str, Flow], Passage]:
    reach = Reach(site_of(store, name) for name in (EKS, AKS))
    found = {}
    for source, target in PAIRS:
        for flow in FLOWS:
            verdict = reach.verdict(source, target, flow)
            assert verdict is not None
            found[source, target, flow] = verdict.passage
    return found


def walked(mesh: Mesh) -> dict[tuple[str, str, Flow], Passage]:
    """What happens to packets between every pair of nodes."""
    clusters = {cluster.name: cluster for cluster in mesh.clusters}
    found = {}
    for source, target in PAIRS:
        for flow in FLOWS:
            port = 0 if flow.protocol == "icmp" else flow.port
            arrives = [
                send(mesh.world, clusters[source], there, flow.protocol, port, node=node).delivered
                for there in addresses(clusters[target])
                for node in range(len(addresses(clusters[source])))
            ]
            found[source, target, flow] = Passage.OPEN if all(arrives) else Passage.CLOSED
    return found


FAULTS = [
    *((name, {}) for name in ("vxlan-one-way", "vxlan-both-ways", "health-closed", "vpn-tunnel-down")),
    ("vxlan-one-way", {"source": EKS, "target": AKS}),
    ("health-closed", {"target": AKS}),
    ("route-missing-back", {}),
    ("route-missing-back", {"target": AKS}),
    ("mesh-api-closed", {}),
    ("mesh-api-closed", {"target": AKS}),
    ("public-load-balancer", {}),
    ("small-path-mtu", {}),
    ("pod-cidr-inside-vpc", {"target": EKS, "cidr": "10.120.0.0/16"}),
    ("pod-cidr-inside-vpc", {"target": AKS, "cidr": "10.120.0.0/16"}),
]


async def test_a_healthy_mesh_is_open_as_its_packets_say(mesh: Mesh, reading: Reading) -> None:
    store = await reading.read(*mesh.clusters)
    assert paths_of(store, EKS).unread == paths_of(store, AKS).unread == ()
    assert judged(store) == walked(mesh)
    assert set(judged(store).values()) == {Passage.OPEN}


@pytest.mark.parametrize(("name", "where"), FAULTS, ids=lambda value: str(value))
async def test_a_fault_is_judged_as_the_packets_fare(
    mesh: Mesh, reading: Reading, name: str, where: dict[str, str]
) -> None:
    BY_NAME[name].inject(mesh.world, **where)
    assert judged(await reading.read(*mesh.clusters)) == walked(mesh)
    BY_NAME[name].clear(mesh.world)
    assert set(judged(await reading.read(*mesh.clusters)).values()) == {Passage.OPEN}


# -- calls -----------------------------------------------------------------------------------------------------------

# Asked for more than once, each time for other rows: either side of a peering, both generations of load balancers,
# the groups and the subnets of the load balancer beside those of the nodes.
TWICE = {
    "ec2:DescribeVpcPeeringConnections",
    "elasticloadbalancing:DescribeLoadBalancers",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSubnets",
}


async def test_a_reading_takes_few_calls_at_most_eight_at_once(mesh: Mesh, reading: Reading) -> None:
    store = await reading.read(*mesh.clusters)
    assert [key for key, value in store.items() if not isinstance(value, Known)] == []
    assert len(reading.aws) <= 26 and len(reading.azure) <= 16
    assert {call for call in reading.aws if reading.aws.count(call) > 1} == TWICE
    assert len(set(reading.azure)) == len(reading.azure)
    assert 1 < reading.most <= 8


@pytest.mark.parametrize("bgp", [False, True])
async def test_as_many_calls_for_many_nodes_as_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bgp: bool
) -> None:
    counted = []
    for number in (2, 120):
        async with cloud_world(tmp_path / str(number), serve=True) as world:
            world.clouds.azure.page_size = 200
            pair = (eks(world, EKS, nodes=number), aks(world, AKS, nodes=number))
            vpn(world, *pair, bgp=bgp)
            reading = Reading(world, monkeypatch)
            store = await reading.read(*pair)
            places = paths_of(store, EKS).places
            assert isinstance(places, tuple) and len(places) == number and all(place.subnet for place in places)
            polls = [call for call in reading.azure if "/operation" in call]
            counted.append((sorted(reading.aws), len(reading.azure) - len(polls)))
            assert bool(polls) is bgp
        monkeypatch.undo()
    assert counted[0] == counted[1]
    assert counted[0][1] <= 16


async def test_a_later_reading_asks_anew(mesh: Mesh, reading: Reading) -> None:
    before = await reading.read(*mesh.clusters)
    BY_NAME["vpn-tunnel-down"].inject(mesh.world)
    after = await reading.read(*mesh.clusters, only=(fact.CLOUD_PATHS.name,), base=before)
    network = paths_of(after, EKS).aws
    assert network is not None and not isinstance(network.vpns, Unread)
    assert {tunnel.status for vpn_ in network.vpns for tunnel in vpn_.tunnels} == {"DOWN"}
    assert after.get(fact.CLOUD, OfCluster(EKS)) == before.get(fact.CLOUD, OfCluster(EKS))


# -- what is kept ----------------------------------------------------------------------------------------------------


async def test_no_shared_key_is_kept(mesh: Mesh, reading: Reading) -> None:
    ec2 = mesh.world.clouds.aws.ec2(mesh.clusters[0].region)
    keys = [o["PreSharedKey"] for c in ec2.vpn_connections.values() for o in c.options["TunnelOptions"]]
    assert len(keys) == 2
    connection = mesh.world.clouds.azure.need(mesh.clusters[1].facts["connections"][0])
    connection["properties"]["sharedKey"] = "open-sesame"
    store = await reading.read(*mesh.clusters)
    written = dump(store, (EKS, AKS)).decode()
    for secret in (*keys, "open-sesame", "PreSharedKey", "pre_shared_key", "CustomerGatewayConfiguration"):
        assert secret not in written
    held = repr([one.once._values for one in reading.readers._readers.values()])
    assert "vpn-" in held and not any(key in held for key in (*keys, "pre_shared_key", "open-sesame"))


async def test_a_snapshot_keeps_the_paths_and_one_without_them_is_unknown(mesh: Mesh, reading: Reading) -> None:
    store = await reading.read(*mesh.clusters)
    again, _ = load(dump(store, (EKS, AKS)))
    assert paths_of(again, EKS) == paths_of(store, EKS) and paths_of(again, AKS) == paths_of(store, AKS)
    older = store.without(key for key, _ in store.items() if key.name == fact.CLOUD_PATHS.name)
    found = judged(older)
    assert set(found.values()) == {Passage.UNKNOWN}


# -- faults ----------------------------------------------------------------------------------------------------------

DENIED = Failure(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
THROTTLED = Failure(503, "RequestLimitExceeded", "Request limit exceeded.")
BROKEN = Failure(500, "InternalError", "An internal error has occurred")
EXPIRED = Failure(400, "RequestExpired", "Request has expired.")

# Which lists of AwsNetwork a call that fails takes with it.
AWS_LISTS = {
    "ec2:DescribeNetworkAcls": {"nacls"},
    "ec2:DescribeRouteTables": {"route_tables"},
    "ec2:DescribeSubnets": {"subnets"},
    "ec2:DescribeVpcs": {"vpcs"},
    "ec2:DescribeVpcPeeringConnections": {"peerings"},
    "ec2:DescribeVpnGateways": {"vgws", "vpns"},
    "ec2:DescribeVpnConnections": {"vpns"},
    "ec2:DescribeCustomerGateways": {"vpns"},
    "ec2:DescribeTransitGatewayVpcAttachments": {"tgw_attachments", "tgw_route_tables"},
    "ec2:DescribeInstances": {"places"},
}
AZURE_LISTS = {
    "virtualNetworkGateways": {"gateways", "connections", "local_gateways"},
    "connections": {"connections", "local_gateways"},
    "localNetworkGateways": {"local_gateways"},
    "virtualMachineScaleSets/aks-np1-vmss/networkInterfaces": {"places"},
    "publicIPAddresses": set(),
}


def lost(paths: CloudPaths) -> dict[str, Unread]:
    cloud: Any = paths.aws or paths.azure
    parts = {"places": paths.places} | {name: getattr(cloud, name) for name in cloud.__struct_fields__}
    return {name: part for name, part in parts.items() if isinstance(part, Unread)}


@pytest.mark.parametrize("action", AWS_LISTS)
async def test_a_call_of_aws_that_fails_loses_its_own_lists(mesh: Mesh, reading: Reading, action: str) -> None:
    failing = EXPIRED
    reading.aws_fault = lambda asked: failing if asked == action else None
    for failing in (EXPIRED, DENIED, THROTTLED, BROKEN):
        reading.aws.clear()
        found = lost(paths_of(await reading.read(mesh.clusters[0]), EKS))
        assert set(found) == AWS_LISTS[action]
        assert {(part.right, part.why) for part in found.values()} == {(action, failing.code)}
        assert all(part.call for part in found.values())
        # Refused, it is not asked again by the other rows; the SDK itself tries five times what may pass.
        tries = 5 if failing in (THROTTLED, BROKEN) else 1
        assert reading.aws.count(action) <= (2 * tries if action in TWICE else tries)


@pytest.mark.parametrize("kind", AZURE_LISTS)
async def test_a_call_of_azure_that_fails_loses_its_own_lists(mesh: Mesh, reading: Reading, kind: str) -> None:
    error = ArmError(403, "AuthorizationFailed", "no")
    reading.azure_fault = lambda method, path: error if path.partition("?")[0].endswith(f"/{kind}") else None
    for error in (
        ArmError(403, "AuthorizationFailed", "no"),
        ArmError(401, "ExpiredAuthenticationToken", "no"),
        ArmError(429, "TooManyRequests", "no", {"Retry-After": "0"}),
        ArmError(500, "InternalServerError", "no"),
    ):
        paths = paths_of(await reading.read(mesh.clusters[1]), AKS)
        found = lost(paths)
        assert set(found) == AZURE_LISTS[kind]
        assert {part.why for part in found.values()} <= {error.code}
        assert all(part.right.endswith("/read") for part in found.values())
        if kind == "publicIPAddresses":
            assert paths.azure is not None and not isinstance(paths.azure.gateways, Unread)
            assert [gateway.addresses for gateway in paths.azure.gateways] == [None]


@pytest.mark.parametrize("denied", ["ec2:DescribeNetworkAcls", "ec2:DescribeVpnConnections", "ec2:DescribeRouteTables"])
async def test_what_is_denied_is_unknown_with_the_right_and_never_open(
    mesh: Mesh, reading: Reading, denied: str
) -> None:
    mesh.world.clouds.aws.denied |= {denied}
    store = await reading.read(*mesh.clusters)
    reach = Reach(site_of(store, name) for name in (EKS, AKS))
    for source, target in PAIRS:
        verdict = reach.verdict(source, target, FLOWS[1])
        assert verdict is not None and verdict.passage is Passage.UNKNOWN
        assert any(hop.missing == denied for hop in (*verdict.way.hops, *verdict.way.reply))
    assert all(isinstance(store.get(name, OfCluster(EKS)), Known) for name in (fact.CLOUD, fact.FIREWALL))


async def test_learned_routes_that_may_not_be_asked_for_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cloud_world(tmp_path, serve=True) as world:
        pair = (eks(world, EKS), aks(world, AKS))
        vpn(world, *pair, bgp=True)
        open_mesh(world, *pair)
        world.clouds.azure.denied |= {"*/getLearnedRoutes/action"}
        store = await Reading(world, monkeypatch).read(*pair)
        network = paths_of(store, AKS).azure
        assert network is not None and not isinstance(network.gateways, Unread)
        (gateway,) = network.gateways
        assert isinstance(gateway.learned, Unread) and gateway.learned.why == "AuthorizationFailed"
        assert set(judged(store).values()) == {Passage.UNKNOWN}


async def test_a_login_that_ends_in_the_middle_keeps_what_came_before(mesh: Mesh, reading: Reading) -> None:
    def ends(asked: str) -> Failure | None:
        return EXPIRED if reading.aws.count("ec2:DescribeVpnConnections") and asked.startswith("ec2:") else None

    reading.aws_fault = ends
    store = await reading.read(mesh.clusters[0])
    found = store.get(fact.CLOUD_PATHS, OfCluster(EKS))
    if isinstance(found, Known):
        assert {part.why for part in lost(found.value).values()} == {"RequestExpired"}
    vpn_row = store.get(fact.VPN, OfCluster(EKS))
    assert isinstance(vpn_row, Unknown) and vpn_row.reason is Reason.EXPIRED


async def test_a_page_that_is_lost_loses_the_whole_list(mesh: Mesh, reading: Reading) -> None:
    mesh.world.clouds.azure.page_size = 1
    broken = ArmError(500, "InternalServerError", "no")
    reading.azure_fault = lambda method, path: (
        broken if "localNetworkGateways" in path and "skiptoken" in path else None
    )
    found = lost(paths_of(await reading.read(mesh.clusters[1]), AKS))
    assert set(found) == {"local_gateways"}
    reading.azure_fault = lambda method, path: None
    network = paths_of(await reading.read(mesh.clusters[1]), AKS).azure
    assert network is not None and not isinstance(network.local_gateways, Unread)
    assert len(network.local_gateways) == 2


async def test_a_connection_deleted_between_two_calls_is_unread(mesh: Mesh, reading: Reading) -> None:
    gone = ArmError(404, "ResourceNotFound", "gone")
    reading.azure_fault = lambda method, path: gone if "/connections/con-" in path else None
    found = lost(paths_of(await reading.read(mesh.clusters[1]), AKS))
    assert found["connections"].why == "ResourceNotFound"


async def test_an_instance_that_is_gone_leaves_the_others_their_places(mesh: Mesh, reading: Reading) -> None:
    cluster = mesh.clusters[0]
    ec2 = mesh.world.clouds.aws.ec2(cluster.region)
    first = addresses(cluster)[0]
    gone = cluster.facts["instances"][first]
    for reservation in ec2.reservations.values():
        reservation.instances = [one for one in reservation.instances if one.id != gone]
    places = paths_of(await reading.read(cluster), EKS).places
    assert isinstance(places, tuple)
    assert {place.addresses[0] for place in places if not place.subnet} == {first}


async def test_words_newer_than_this_program_are_never_taken_for_open(mesh: Mesh, reading: Reading) -> None:
    region = mesh.clusters[0].region
    ec2 = mesh.world.clouds.aws.ec2(region)
    for connection in ec2.vpn_connections.values():
        for entry in connection.vgw_telemetry:
            entry["Status"] = "HALF_UP"
    assert Passage.OPEN not in judged(await reading.read(*mesh.clusters)).values()
    for acl in ec2.network_acls.values():
        for entry in acl.network_acl_entries:
            entry.rule_action = "mirror"
    found = lost(paths_of(await reading.read(mesh.clusters[0]), EKS))
    assert set(found) == {"nacls"} and "mirror" in found["nacls"].why


async def test_an_answer_out_of_shape_loses_its_own_list(mesh: Mesh, reading: Reading) -> None:
    table = mesh.world.clouds.azure
    vnet = table.need(mesh.clusters[1].facts["vnet_id"])
    base = vnet["id"].partition("/virtualNetworks/")[0]
    udr = f"{base}/routeTables/odd"
    table.put(udr, {"location": "japaneast", "properties": {"routes": [{"name": "r", "properties": {}}]}})
    vnet["properties"]["subnets"][0]["properties"]["routeTable"] = {"id": udr}
    found = lost(paths_of(await reading.read(mesh.clusters[1]), AKS))
    assert set(found) == {"route_tables"} and "not understood" in found["route_tables"].why


async def test_the_paths_are_read_although_the_managed_cluster_is_not(mesh: Mesh, reading: Reading) -> None:
    mesh.world.clouds.aws.denied |= {"eks:DescribeCluster"}
    store = await reading.read(*mesh.clusters)
    assert lost(paths_of(store, EKS)) == {}
    assert isinstance(store.get(fact.CLOUD, OfCluster(EKS)), Unknown)
    assert judged(store) == walked(mesh)
