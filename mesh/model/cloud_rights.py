"""Which actions of the clouds reading and joining need, as data, and the policy or role that grants exactly these.

``sts:GetCallerIdentity`` is asked too and needs no right. EC2's ``Describe…`` cannot be limited to resources.
"""

import json
from collections.abc import Sequence
from typing import Final

_NETWORK: Final = "Microsoft.Network"

AWS_CHECK: Final[tuple[str, ...]] = (
    "ec2:DescribeCustomerGateways",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTransitGatewayAttachments",
    "ec2:DescribeTransitGatewayVpcAttachments",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
    # Its answer discloses pre-shared keys. Where it is withheld, the VPN is unknown and all else is not affected.
    "ec2:DescribeVpnConnections",
    "ec2:DescribeVpnGateways",
    "ec2:GetManagedPrefixListEntries",
    "ec2:SearchTransitGatewayRoutes",
    "eks:DescribeCluster",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
)
AWS_APPLY: Final = (
    *AWS_CHECK,
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
)
AZURE_CHECK: Final[tuple[str, ...]] = (
    "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read",
    "Microsoft.ContainerService/managedClusters/read",
    f"{_NETWORK}/connections/read",
    f"{_NETWORK}/loadBalancers/read",
    f"{_NETWORK}/localNetworkGateways/read",
    f"{_NETWORK}/locations/operationResults/read",
    f"{_NETWORK}/locations/operations/read",
    f"{_NETWORK}/locations/serviceTags/read",
    f"{_NETWORK}/networkInterfaces/read",
    f"{_NETWORK}/networkSecurityGroups/read",
    f"{_NETWORK}/publicIPAddresses/read",
    f"{_NETWORK}/routeTables/read",
    # Not part of Reader. Where it is withheld, what a gateway has learned by BGP is unknown.
    f"{_NETWORK}/virtualNetworkGateways/getLearnedRoutes/action",
    f"{_NETWORK}/virtualNetworkGateways/read",
    # Not part of Reader either. Where it is withheld, whether an admin rule comes before the NSGs is unknown.
    f"{_NETWORK}/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action",
    f"{_NETWORK}/virtualNetworks/read",
)
AZURE_APPLY: Final = (
    *AZURE_CHECK,
    "Microsoft.ContainerService/managedClusters/write",
    f"{_NETWORK}/networkSecurityGroups/securityRules/read",
    f"{_NETWORK}/networkSecurityGroups/securityRules/write",
)


def iam_policy(actions: Sequence[str], name: str) -> str:
    """An IAM policy document."""
    statement = {
        "Sid": "".join(part.capitalize() for part in name.split("-")),
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2) + "\n"


def azure_role(actions: Sequence[str], name: str, purpose: str) -> str:
    """A custom role as ``az role definition create --role-definition @FILE`` takes it; the subscription is to be
    filled in.
    """
    role = {
        "Name": name,
        "IsCustom": True,
        "Description": f"What Meshwright needs for {purpose}.",
        "Actions": list(actions),
        "NotActions": [],
        "AssignableScopes": ["/subscriptions/SUBSCRIPTION"],
    }
    return json.dumps(role, indent=2) + "\n"


def granting(cloud: str, purpose: str) -> str:
    """The document for ``aws`` or ``azure`` that grants what ``check`` or ``apply`` needs."""
    name = f"meshwright-{purpose}"
    if cloud == "aws":
        return iam_policy(AWS_APPLY if purpose == "apply" else AWS_CHECK, name)
    actions = AZURE_APPLY if purpose == "apply" else AZURE_CHECK
    return azure_role(actions, name, "joining" if purpose == "apply" else "reading")
