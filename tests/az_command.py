"""An ``az`` command line held against what Azure CLI documents and, for rules, against the SDK's own model.

There is no model of the CLI to read as there is one of AWS: commands and flags are those of its reference pages
(https://learn.microsoft.com/cli/azure/), values of rules those of ``azure-mgmt-network``. Not held: what the CLI does
with flags that contradict each other, extensions' versions, whether an id names anything.
"""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from tests.aws_command import BadCommand, flags

# Flags that every command has.
GLOBAL = {"--subscription", "-o", "--output", "--query", "--only-show-errors"}
_GROUP = {"-g", "--resource-group"}
_NAME = {"-n", "--name"}
# A rule's flags and the properties of a rule that they set.
RULE = {
    "--priority": "priority",
    "--direction": "direction",
    "--access": "access",
    "--protocol": "protocol",
    "--source-address-prefixes": "source_address_prefixes",
    "--destination-address-prefixes": "destination_address_prefixes",
    "--destination-port-ranges": "destination_port_ranges",
}
COMMANDS: dict[tuple[str, ...], set[str]] = {
    ("login",): {"--tenant", "-t"},
    ("account", "show"): _NAME,
    ("aks", "get-credentials"): {*_GROUP, *_NAME, "--file", "-f", "--overwrite-existing"},
    # Of the extension aks-preview.
    ("aks", "update"): {*_GROUP, *_NAME, "--kube-proxy-config"},
    ("network", "lb", "list"): _GROUP,
    ("network", "local-gateway", "list"): _GROUP,
    ("network", "nsg", "show"): {*_GROUP, *_NAME, "--ids"},
    ("network", "nsg", "rule", "create"): {*_GROUP, *_NAME, "--nsg-name", *RULE},
}
_REQUIRED: dict[tuple[str, ...], tuple[set[str], ...]] = {
    ("aks", "get-credentials"): (_GROUP, _NAME),
    ("aks", "update"): (_GROUP, _NAME),
    ("network", "local-gateway", "list"): (_GROUP,),
    ("network", "nsg", "rule", "create"): (_GROUP, _NAME, {"--nsg-name"}, {"--priority"}),
}
_SEVERAL = {name for name, field in RULE.items() if field.endswith("s")}


def check(argv: Sequence[str]) -> None:
    """Raises ``BadCommand`` for words, flags or values that the CLI does not take."""
    command = command_of(argv)
    if argv[0] != "az" or "" in argv or command not in COMMANDS:
        raise BadCommand(f"az has no such command, or a word is empty: {argv}")
    given = flags(argv[1 + len(command) :])
    for flag, words in given:
        if flag not in COMMANDS[command] | GLOBAL:
            raise BadCommand(f"{flag} is no flag of az {' '.join(command)}")
        if not words or (len(words) > 1 and flag not in _SEVERAL):
            raise BadCommand(f"{flag} takes {'values' if flag in _SEVERAL else 'one value'}, not {words}")
    names = {flag for flag, _ in given}
    for one in _REQUIRED.get(command, ()):
        if not one & names:
            raise BadCommand(f"az {' '.join(command)} needs {sorted(one)}")
    if command == ("network", "nsg", "rule", "create"):
        _rule(dict(given))


def command_of(argv: Sequence[str]) -> tuple[str, ...]:
    """The words before the first flag."""
    return tuple(takewhile(lambda word: not word.startswith("-"), argv[1:]))


def _rule(given: dict[str, list[str]]) -> None:
    from azure.mgmt.network import models

    fields: Any = models.SecurityRulePropertiesFormat
    values: dict[str, Any] = {
        "--direction": models.SecurityRuleDirection,
        "--access": models.SecurityRuleAccess,
        "--protocol": models.SecurityRuleProtocol,
    }
    for flag, words in given.items():
        if flag in RULE and not hasattr(fields, RULE[flag]) and RULE[flag] not in fields.__annotations__:
            raise BadCommand(f"a rule has no {RULE[flag]}")
        if flag in values and words[0] not in [one.value for one in values[flag]]:
            raise BadCommand(f"{flag} {words[0]}")
    # Source: https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
    if not 100 <= int(given["--priority"][0]) <= 4096:
        raise BadCommand(f"--priority {given['--priority'][0]}")
    name = given.get("-n") or given["--name"]
    if not re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,78}\w)?", name[0], re.ASCII):
        raise BadCommand(f"-n {name[0]}")
