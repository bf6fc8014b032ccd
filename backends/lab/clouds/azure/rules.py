"""Network security groups as ARM keeps them: the six default rules, and what a rule must be to be stored."""

import re
from typing import Any, Final

from backends.lab.clouds.azure.errors import ArmError, bad
from backends.lab.clouds.azure.subscription import Document

_DEFAULTS: Final = (
    (
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        "Inbound",
        65000,
        "VirtualNetwork",
        "VirtualNetwork",
    ),
    (
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "Inbound",
        65001,
        "AzureLoadBalancer",
        "*",
    ),
    ("DenyAllInBound", "Deny all inbound traffic", "Inbound", 65500, "*", "*"),
    (
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        "Outbound",
        65000,
        "VirtualNetwork",
        "VirtualNetwork",
    ),
    ("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", "Outbound", 65001, "*", "Internet"),
    ("DenyAllOutBound", "Deny all outbound traffic", "Outbound", 65500, "*", "*"),
)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?")
_PROTOCOLS: Final = ("tcp", "udp", "icmp", "esp", "ah", "*")
_REQUIRED: Final = ("protocol", "access", "direction", "priority")
_PLURALS: Final = ("sourcePortRanges", "destinationPortRanges", "sourceAddressPrefixes", "destinationAddressPrefixes")


def default_rules() -> list[Document]:
    """The rules every group has and nobody can change."""
    return [
        {
            "name": name,
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {
                "description": description,
                "protocol": "*",
                "sourcePortRange": "*",
                "destinationPortRange": "*",
                "sourceAddressPrefix": source,
                "destinationAddressPrefix": destination,
                "access": "Deny" if name.startswith("Deny") else "Allow",
                "priority": priority,
                "direction": direction,
                **{field: [] for field in _PLURALS},
            },
        }
        for name, description, direction, priority, source, destination in _DEFAULTS
    ]


def normal_rule(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The rule's properties as they will be stored. Raises ``ArmError`` 400 for what ARM refuses."""
    if not _NAME.fullmatch(name):
        raise bad("InvalidResourceName", f"Resource name {name} is invalid. The name can be up to 80 characters long.")
    kept = {key: value for key, value in properties.items() if value is not None and key != "provisioningState"}
    for field in _REQUIRED:
        if field not in kept:
            raise bad("InvalidRequestFormat", f"Required property '{field}' not found in JSON of security rule {name}.")
    _check_words(name, kept)
    if not isinstance(kept["priority"], int) or not 100 <= kept["priority"] <= 4096:
        raise bad(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Priority number should be between 100 and 4096. Rule {name} has "
            f"{kept['priority']}.",
        )
    if len(str(kept.get("description", ""))) > 140:
        raise bad(
            "SecurityRuleDescriptionTooLong", f"Security rule {name}: the description is longer than 140 characters."
        )
    for side in ("source", "destination"):
        _check_side(name, side, kept)
    for field in _PLURALS:
        kept.setdefault(field, [])
    return kept


def _check_words(name: str, kept: dict[str, Any]) -> None:
    allowed = {"protocol": _PROTOCOLS, "access": ("allow", "deny"), "direction": ("inbound", "outbound")}
    for field, words in allowed.items():
        if str(kept[field]).lower() not in words:
            raise bad("InvalidRequestFormat", f"Security rule {name} has an invalid {field}: {kept[field]}.")


def _check_side(name: str, side: str, kept: dict[str, Any]) -> None:
    groups = kept.get(f"{side}ApplicationSecurityGroups")
    if not kept.get(f"{side}AddressPrefix") and not kept.get(f"{side}AddressPrefixes") and not groups:
        raise bad(
            "SecurityRuleParameterMissing",
            f"Security rule parameter {side}AddressPrefix or {side}AddressPrefixes is missing in rule {name}.",
        )
    if not kept.get(f"{side}PortRange") and not kept.get(f"{side}PortRanges"):
        raise bad(
            "SecurityRuleParameterMissing",
            f"Security rule parameter {side}PortRange or {side}PortRanges is missing in rule {name}.",
        )


def conflict(name: str, properties: dict[str, Any], rules: list[Document]) -> ArmError | None:
    """The failure that the operation reports when another rule has this priority and direction."""
    for other in rules:
        held = other["properties"]
        same_way = str(held["direction"]).lower() == str(properties["direction"]).lower()
        if other["name"].lower() != name.lower() and same_way and held["priority"] == properties["priority"]:
            return ArmError(
                400,
                "SecurityRuleConflict",
                f"Security rule {name} conflicts with rule {other['name']}. "
                "Rules cannot have the same Priority and Direction.",
            )
    return None
