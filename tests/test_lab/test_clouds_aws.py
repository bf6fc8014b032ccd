"""AWS of the lab as boto3 sees it: what moto lacks or does otherwise, credentials, denials, dry runs, one truth."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backends.lab.topology import aks, eks, peering, vpn
from backends.lab.world import LabCluster, World
from tests.test_lab.cloud_lab import Aws, addresses, cloud_world, send


class Account:
    """A world with one EKS cluster behind a VPN, and a signed-in caller."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cluster: LabCluster = eks(world, "eks-tokyo")
        self.azure = aks(world, "aks-east")
        vpn(world, self.cluster, self.azure)
        self.aws = Aws(world)

    async def ask(self, question: Callable[[Aws], Any]) -> Any:
        """Call AWS from a thread, as programs do."""
        return await asyncio.to_thread(question, self.aws)

    async def code(self, question: Callable[[Aws], Any]) -> str:
        """The error code that a call meets."""
        with pytest.raises(ClientError) as caught:
            await self.ask(question)
        return str(caught.value.response["Error"]["Code"])


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    async with cloud_world(tmp_path, serve=True) as world:
        yield Account(world)


async def test_the_cluster_is_told_with_its_network(account: Account) -> None:
    cluster = (await account.ask(lambda aws: aws.eks.describe_cluster(name="eks-tokyo")))["cluster"]
    facts = account.cluster.facts
    assert cluster["endpoint"] == account.cluster.server_url
    assert cluster["version"] == "1.26"
    assert cluster["arn"].startswith(f"arn:aws:eks:ap-northeast-1:{account.cluster.account}:cluster/")
    assert cluster["resourcesVpcConfig"]["vpcId"] == facts["vpc_id"]
    assert cluster["resourcesVpcConfig"]["clusterSecurityGroupId"] == facts["cluster_group"]
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "10.100.0.0/16"
    assert (await account.ask(lambda aws: aws.sts.get_caller_identity()))["Account"] == account.cluster.account


async def test_nodes_are_instances_whose_interfaces_have_the_nodes_addresses(account: Account) -> None:
    nodes = account.cluster.objects.list(account.cluster.objects.resources["", "nodes"])
    ids = [node["spec"]["providerID"].rpartition("/")[2] for node in nodes]
    answer = await account.ask(lambda aws: aws.ec2.describe_instances(InstanceIds=ids))
    instances = {one["InstanceId"]: one for row in answer["Reservations"] for one in row["Instances"]}
    for node, identifier in zip(nodes, ids, strict=True):
        card = instances[identifier]["NetworkInterfaces"][0]
        assert card["PrivateIpAddress"] == node["status"]["addresses"][0]["address"]
        assert card["Attachment"]["DeviceIndex"] == 0
        assert [group["GroupId"] for group in card["Groups"]] == [account.cluster.facts["worker_group"]]
        assert instances[identifier]["PrivateDnsName"] == node["metadata"]["name"]


async def test_a_vpn_connection_has_telemetry_options_routes_and_a_key(account: Account) -> None:
    answer = await account.ask(lambda aws: aws.ec2.describe_vpn_connections())
    (connection,) = answer["VpnConnections"]
    assert [row["Status"] for row in connection["VgwTelemetry"]] == ["UP", "UP"]
    assert connection["Options"]["StaticRoutesOnly"] is True
    assert [row["DestinationCidrBlock"] for row in connection["Routes"]] == ["10.224.0.0/12"]
    outside = {tunnel["OutsideIpAddress"] for tunnel in connection["Options"]["TunnelOptions"]}
    assert outside == {row["OutsideIpAddress"] for row in connection["VgwTelemetry"]}
    assert "pre_shared_key" in connection["CustomerGatewayConfiguration"]


async def test_propagated_routes_follow_the_connection(account: Account) -> None:
    table = account.cluster.facts["route_tables"][0]
    gateway = account.cluster.facts["vpn_gateway"]

    def routes(aws: Aws) -> dict[str, Any]:
        found = aws.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
        return {row["DestinationCidrBlock"]: (row["Origin"], row["State"]) for row in found["Routes"]}

    assert (await account.ask(routes))["10.224.0.0/12"] == ("EnableVgwRoutePropagation", "active")
    await account.ask(lambda aws: aws.ec2.disable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway))
    assert "10.224.0.0/12" not in await account.ask(routes)
    assert not send(account.world, account.cluster, addresses(account.azure)[0], "udp", 8472).delivered
    await account.ask(lambda aws: aws.ec2.enable_vgw_route_propagation(RouteTableId=table, GatewayId=gateway))
    assert send(account.world, account.cluster, addresses(account.azure)[0], "udp", 8472).delivered
    connection = account.cluster.facts["vpn_connections"][0]
    prefix = {"VpnConnectionId": connection, "DestinationCidrBlock": "172.16.9.1/24"}
    await account.ask(lambda aws: aws.ec2.create_vpn_connection_route(**prefix))
    assert "172.16.9.0/24" in await account.ask(routes)
    await account.ask(lambda aws: aws.ec2.delete_vpn_connection_route(**prefix))
    assert "172.16.9.0/24" not in await account.ask(routes)


async def test_a_static_route_cannot_replace_the_local_one(account: Account) -> None:
    arguments = {
        "RouteTableId": account.cluster.facts["route_tables"][0],
        "DestinationCidrBlock": "192.168.0.0/16",
        "GatewayId": account.cluster.facts["vpn_gateway"],
    }
    assert await account.code(lambda aws: aws.ec2.create_route(**arguments)) == "RouteAlreadyExists"


def permission(cidr: str, port: int = 8472, protocol: str = "udp") -> list[dict[str, Any]]:
    ranges = [{"CidrIp": cidr, "Description": "a note"}]
    return [{"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": ranges}]


async def test_a_rule_opens_the_way_and_its_id_closes_it(account: Account) -> None:
    group = account.cluster.facts["worker_group"]
    node = addresses(account.cluster)[0]
    answer = await account.ask(
        lambda aws: aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permission("10.224.7.7/12"))
    )
    (rule,) = answer["SecurityGroupRules"]
    assert rule["CidrIpv4"] == "10.224.0.0/12", "host bits are cleared"
    assert rule["GroupOwnerId"] == account.cluster.account
    assert send(account.world, account.azure, node, "udp", 8472).delivered
    again = permission("10.224.0.0/12")
    code = await account.code(lambda aws: aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=again))
    assert code == "InvalidPermission.Duplicate"
    ids = [rule["SecurityGroupRuleId"]]
    await account.ask(lambda aws: aws.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids))
    assert not send(account.world, account.azure, node, "udp", 8472).delivered


async def test_a_dry_run_changes_nothing(account: Account) -> None:
    table, gateway = account.cluster.facts["route_tables"][0], account.cluster.facts["vpn_gateway"]
    before = account.world.clouds.aws.changes.number
    for question in (
        lambda aws: aws.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", GatewayId=gateway, DryRun=True
        ),
        lambda aws: aws.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", DryRun=True),
        lambda aws: aws.ec2.authorize_security_group_ingress(
            GroupId=account.cluster.facts["worker_group"], IpPermissions=permission("1.2.3.0/24"), DryRun=True
        ),
    ):
        assert await account.code(question) == "DryRunOperation"
    assert account.world.clouds.aws.changes.number == before


async def test_reading_is_no_change_and_writing_is(account: Account) -> None:
    before = account.world.clouds.version
    await account.ask(lambda aws: aws.ec2.describe_vpcs())
    assert account.world.clouds.version == before
    await account.ask(lambda aws: aws.ec2.create_security_group(GroupName="x", Description="x"))
    assert account.world.clouds.version > before


async def test_what_is_denied_is_refused_in_each_service_own_words(account: Account) -> None:
    account.world.clouds.aws.denied |= {"ec2:DescribeVpcs", "eks:Describe*", "elasticloadbalancing:*"}
    with pytest.raises(ClientError, match=r"is not authorized to perform: ec2:DescribeVpcs"):
        await account.ask(lambda aws: aws.ec2.describe_vpcs())
    assert await account.code(lambda aws: aws.ec2.describe_vpcs()) == "UnauthorizedOperation"
    assert await account.code(lambda aws: aws.eks.describe_cluster(name="x")) == "AccessDeniedException"
    assert await account.code(lambda aws: aws.elbv2.describe_load_balancers()) == "AccessDenied"
    assert await account.ask(lambda aws: aws.ec2.describe_subnets())
    assert await account.ask(lambda aws: aws.sts.get_caller_identity()), "needs no permission"


async def test_an_ended_login_is_refused_everywhere_until_it_is_renewed(account: Account) -> None:
    logins = account.world.clouds.logins
    logins.set_valid("aws-lab", False)
    assert await account.code(lambda aws: aws.ec2.describe_vpcs()) == "RequestExpired"
    assert await account.code(lambda aws: aws.eks.list_clusters()) == "ExpiredTokenException"
    assert await account.code(lambda aws: aws.sts.get_caller_identity()) == "ExpiredToken"
    logins.set_valid("aws-lab", True)
    assert await account.ask(lambda aws: aws.ec2.describe_vpcs())


async def test_strange_keys_and_too_many_requests(account: Account) -> None:
    stranger = Aws(account.world)
    account.world.clouds.logins.add_aws("lab", account.cluster.account, "ap-northeast-1")
    for question, code in (
        (lambda: stranger.ec2.describe_vpcs(), "AuthFailure"),
        (lambda: stranger.sts.get_caller_identity(), "InvalidClientTokenId"),
        (lambda: stranger.eks.list_clusters(), "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as caught:
            await asyncio.to_thread(question)
        assert caught.value.response["Error"]["Code"] == code
    fresh = Aws(account.world)
    account.world.clouds.aws.throttled = 1
    assert await asyncio.to_thread(lambda: fresh.ec2.describe_vpcs()), "the SDK tries again"
    account.world.clouds.aws.throttled = 9
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        await asyncio.to_thread(lambda: fresh.ec2.describe_vpcs())
    account.world.clouds.aws.throttled = 0


async def test_what_the_lab_lacks_is_an_error_of_aws_and_no_page(account: Account) -> None:
    assert await account.code(lambda aws: aws.ec2.describe_network_insights_paths()) == "InvalidAction"


async def test_what_does_not_exist(account: Account) -> None:
    assert await account.code(lambda aws: aws.eks.describe_cluster(name="nobody")) == "ResourceNotFoundException"
    assert (await account.ask(lambda aws: aws.eks.list_addons(clusterName="eks-tokyo")))["addons"] == []
    addon = {"clusterName": "eks-tokyo", "addonName": "vpc-cni"}
    assert await account.code(lambda aws: aws.eks.describe_addon(**addon)) == "ResourceNotFoundException"
    assert await account.code(lambda aws: aws.ec2.describe_vpcs(VpcIds=["vpc-0"])) == "InvalidVpcID.NotFound"


async def test_acl_entries_keep_icmp_types_and_the_last_word(account: Account) -> None:
    def make(aws: Aws) -> Any:
        acl = aws.ec2.create_network_acl(VpcId=account.cluster.facts["vpc_id"])["NetworkAcl"]["NetworkAclId"]
        aws.ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=100,
            Protocol="1",
            RuleAction="allow",
            Egress=True,
            CidrBlock="10.0.0.1/8",
            IcmpTypeCode={"Type": 8, "Code": -1},
        )
        return aws.ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]["Entries"]

    entries = await account.ask(make)
    assert sorted((row["RuleNumber"], row["Egress"]) for row in entries) == [(100, True), (32767, False), (32767, True)]
    own = next(row for row in entries if row["RuleNumber"] == 100)
    assert (own["IcmpTypeCode"], own["CidrBlock"]) == ({"Code": -1, "Type": 8}, "10.0.0.0/8")


async def test_peerings_are_found_by_either_side_with_all_their_ranges(account: Account) -> None:
    osaka = eks(account.world, "eks-osaka", region="ap-northeast-3", vpc="10.50.0.0/16")
    identifier = peering(account.world, account.cluster, osaka)

    def found(aws: Aws, side: str) -> list[Any]:
        filters = [{"Name": f"{side}-vpc-info.vpc-id", "Values": [account.cluster.facts["vpc_id"]]}]
        rows: list[Any] = aws.ec2.describe_vpc_peering_connections(Filters=filters)["VpcPeeringConnections"]
        return rows

    (row,) = await account.ask(lambda aws: found(aws, "requester"))
    assert row["VpcPeeringConnectionId"] == identifier
    assert row["Status"]["Code"] == "active"
    assert row["AccepterVpcInfo"]["CidrBlockSet"] == [{"CidrBlock": "10.50.0.0/16"}]
    assert await account.ask(lambda aws: found(aws, "accepter")) == []


async def test_two_worlds_do_not_share_an_account(account: Account, tmp_path: Path) -> None:
    async with cloud_world(tmp_path / "other", serve=True) as other:
        eks(other, "eks-tokyo")
        assert other.clouds.aws.account != account.world.clouds.aws.account
        answer = await asyncio.to_thread(lambda: Aws(other).ec2.describe_vpn_connections())
        assert answer["VpnConnections"] == []
        keys = account.world.clouds.logins.aws("lab")["access_key"]
        assert other.clouds.logins.by_access_key(keys) is None
