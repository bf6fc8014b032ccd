"""Documents as ARM answers them: with what follows from other documents, expanded, and without what lists leave out."""

import copy
from collections.abc import Iterable
from typing import Any, Final

from backends.lab.clouds.azure.paths import ArmPath, parse
from backends.lab.clouds.azure.subscription import AzureSubscription, Document

_NIC: Final = "microsoft.network/networkinterfaces"
_SCALE_SET_NIC: Final = "microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces"
_ONLY_IN_GET: Final = (
    "connectionStatus",
    "tunnelConnectionStatus",
    "ingressBytesTransferred",
    "egressBytesTransferred",
)


def interfaces(subscription: AzureSubscription) -> Iterable[Document]:
    """Every NIC: standalone ones and those of scale sets."""
    yield from subscription.of_type(_NIC)
    yield from subscription.of_type(_SCALE_SET_NIC)


def subnets(subscription: AzureSubscription) -> Iterable[Document]:
    """Every subnet of every VNet."""
    for vnet in subscription.of_type("microsoft.network/virtualnetworks"):
        yield from vnet["properties"]["subnets"]


def configurations(nic: Document) -> list[Document]:
    """The IP configurations of a NIC."""
    found: list[Document] = nic["properties"].get("ipConfigurations", [])
    return found


def reference(document: Document, field: str) -> str:
    """The lower-case id that ``properties.FIELD.id`` refers to, or ""."""
    return str((document.get("properties", {}).get(field) or {}).get("id", "")).lower()


def one(subscription: AzureSubscription, document: Document, expand: str = "") -> Document:
    """The answer to a GET of this document."""
    kind = str(document["type"]).lower()
    answer = copy.deepcopy(document)
    answer.pop("learned", None)
    properties = answer["properties"]
    if kind == "microsoft.network/networksecuritygroups":
        properties["subnets"] = _pointing(subnets(subscription), "networkSecurityGroup", answer["id"])
        properties["networkInterfaces"] = _pointing(interfaces(subscription), "networkSecurityGroup", answer["id"])
    elif kind == "microsoft.network/routetables":
        properties["subnets"] = _pointing(subnets(subscription), "routeTable", answer["id"])
    elif kind == "microsoft.network/virtualnetworks":
        for subnet in properties["subnets"]:
            _with_configurations(subscription, subnet)
    elif kind == "microsoft.network/virtualnetworks/subnets":
        _with_configurations(subscription, answer)
        for field in expand.split(","):
            _expanded(subscription, properties, field.strip())
    return answer


def many(subscription: AzureSubscription, documents: Iterable[Document]) -> list[Document]:
    """The items of a list answer."""
    answers = [one(subscription, document) for document in documents]
    for answer in answers:
        if str(answer["type"]).lower() == "microsoft.network/connections":
            for field in _ONLY_IN_GET:
                answer["properties"].pop(field, None)
    return answers


def agent_pool(cluster: Document, profile: Document) -> Document:
    """An agent pool as its own resource, from the cluster's profile of it."""
    return {
        "id": f"{cluster['id']}/agentPools/{profile['name']}",
        "name": profile["name"],
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "properties": {key: value for key, value in copy.deepcopy(profile).items() if key != "name"},
    }


def collection(subscription: AzureSubscription, path: ArmPath) -> list[Document] | None:
    """The documents of a list path; None where its parent does not exist."""
    kind = path.type_key
    if len(path.segments) == 1:
        return many(subscription, subscription.of_type(kind, path.group))
    parent = subscription.find(path.cut(len(path.segments) - 1))
    embedded = subscription.children(path) if len(path.segments) == 3 else None
    if embedded is not None:
        return many(subscription, embedded)
    if kind in ("microsoft.compute/virtualmachinescalesets/networkinterfaces", _SCALE_SET_NIC):
        return _scale_set_nics(subscription, path)
    if parent is None:
        return None
    if kind == "microsoft.network/virtualnetworkgateways/connections":
        rows = subscription.of_type("microsoft.network/connections")
        return many(subscription, [row for row in rows if reference(row, "virtualNetworkGateway1") == path.cut(2).key])
    if kind == "microsoft.containerservice/managedclusters/agentpools":
        return [agent_pool(parent, profile) for profile in parent["properties"].get("agentPoolProfiles", [])]
    under = [
        document
        for key, document in subscription.resources.items()
        if key.startswith(path.key + "/") and "/" not in key[len(path.key) + 1 :]
    ]
    return many(subscription, under)


def single(subscription: AzureSubscription, path: ArmPath, expand: str = "") -> Document | None:
    """The document at a path, or None."""
    if path.type_key == "microsoft.containerservice/managedclusters/agentpools":
        return _pool(subscription, path)
    found = subscription.find(path)
    return None if found is None else one(subscription, found, expand)


def _pool(subscription: AzureSubscription, path: ArmPath) -> Document | None:
    cluster = subscription.find(path.cut(2))
    for profile in cluster["properties"].get("agentPoolProfiles", []) if cluster else ():
        if cluster is not None and profile["name"].lower() == path.names[1].lower():
            return agent_pool(cluster, profile)
    return None


def _scale_set_nics(subscription: AzureSubscription, path: ArmPath) -> list[Document] | None:
    scale_set = path.cut(2).key
    if scale_set not in subscription.resources:
        return None
    prefix = scale_set + "/virtualmachines/"
    if len(path.segments) == 5:
        prefix += path.segments[3].lower() + "/"
    rows = [nic for nic in subscription.of_type(_SCALE_SET_NIC) if str(nic["id"]).lower().startswith(prefix)]
    return many(subscription, rows)


def _pointing(documents: Iterable[Document], field: str, identifier: str) -> list[dict[str, Any]]:
    return [{"id": document["id"]} for document in documents if reference(document, field) == identifier.lower()]


def _with_configurations(subscription: AzureSubscription, subnet: Document) -> None:
    found = [
        {"id": configuration["id"]}
        for nic in interfaces(subscription)
        for configuration in configurations(nic)
        if reference(configuration, "subnet") == str(subnet["id"]).lower()
    ]
    if found:
        subnet["properties"]["ipConfigurations"] = found


def _expanded(subscription: AzureSubscription, properties: Document, field: str) -> None:
    if field not in ("networkSecurityGroup", "routeTable") or not properties.get(field):
        return
    path = parse(str(properties[field]["id"]))
    target = subscription.find(path) if path else None
    if target is not None:
        properties[field] = one(subscription, target)
