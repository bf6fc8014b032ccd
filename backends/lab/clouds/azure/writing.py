"""PUT, PATCH and DELETE: what is checked at once, what happens when the operation ends, and how long that takes."""

import copy
from collections.abc import Callable
from typing import Any, Final

from backends.lab.clouds.azure import rules
from backends.lab.clouds.azure.errors import ArmError, bad, not_found
from backends.lab.clouds.azure.paths import ArmPath
from backends.lab.clouds.azure.subscription import AzureSubscription, Document

_NSG: Final = "microsoft.network/networksecuritygroups"
_CLUSTER: Final = "microsoft.containerservice/managedclusters"
_SECONDS: Final = {_CLUSTER: 25.0, "microsoft.network/localnetworkgateways": 8.0, "microsoft.network/connections": 8.0}
_NOT_KEPT: Final = ("id", "etag", "provisioningState")


def seconds(path: ArmPath) -> float:
    """Lab seconds that a write of this type takes."""
    return _SECONDS.get(path.type_key, 1.5)


def prepare_put(subscription: AzureSubscription, path: ArmPath, body: Any) -> tuple[Document, Callable[[], None]]:
    """What the first answer shows, and the work that stores it. Raises ``ArmError`` for what is refused at once."""
    if not isinstance(body, dict):
        raise bad("InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    if len(path.segments) == 4:
        return _prepare_child(subscription, path, body)
    if len(path.segments) != 2:
        raise bad("InvalidResourceType", f"The resource type '{path.type}' cannot be written here.")
    document = _cleaned(body)
    if path.type_key == _NSG:
        _check_group(document)
    if path.type_key == _CLUSTER:
        _check_cluster(document)
    shown = _shown(document, path)
    return shown, lambda: _store(subscription, path, document)


def prepare_patch(subscription: AzureSubscription, path: ArmPath, body: Any) -> tuple[Document, Callable[[], None]]:
    """As ``prepare_put``, the body being merged into what is there."""
    held = subscription.find(path)
    if held is None:
        raise not_found(path)
    if not isinstance(body, dict):
        raise bad("InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    return prepare_put(subscription, path, merged(held, body))


def prepare_delete(subscription: AzureSubscription, path: ArmPath) -> Callable[[], None]:
    """The work that deletes. Raises ``ArmError`` where something still uses the resource."""
    if path.type_key == _NSG:
        for subnet in _subnets(subscription):
            if (subnet["properties"].get("networkSecurityGroup") or {}).get("id", "").lower() == path.key:
                raise bad(
                    "InUseNetworkSecurityGroupCannotBeDeleted",
                    f"Network security group {path.id} cannot be deleted because it is in use by: {subnet['id']}.",
                )

    def work() -> None:
        subscription.remove(path.id)

    return work


def merged(old: Any, new: Any) -> Any:
    """A JSON merge patch: objects join, None removes, everything else replaces."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    result = copy.deepcopy(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _prepare_child(
    subscription: AzureSubscription, path: ArmPath, body: Document
) -> tuple[Document, Callable[[], None]]:
    children = subscription.children(path.cut(3))
    if children is None:
        parent = path.cut(2)
        raise ArmError(
            404,
            "ParentResourceNotFound",
            f"Failed to perform 'write' on resource(s) of type '{path.type}', because the parent resource "
            f"'{parent.id}' could not be found.",
        )
    if path.type_key.endswith("/defaultsecurityrules"):
        raise ArmError(405, "MethodNotAllowed", "Default security rules cannot be written.")
    child = _cleaned(body)
    if path.type_key == f"{_NSG}/securityrules":
        child["properties"] = rules.normal_rule(path.names[1], child.get("properties") or {})

    def work() -> None:
        present = subscription.children(path.cut(3))
        if present is None:
            raise not_found(path.cut(2))
        if path.type_key == f"{_NSG}/securityrules":
            # Judged at the end: two writers may both have been told that theirs is under way.
            found = rules.conflict(path.names[1], child["properties"], present)
            if found is not None:
                raise found
        subscription.put_child(path.id, child)

    return _shown(child, path), work


def _store(subscription: AzureSubscription, path: ArmPath, document: Document) -> None:
    before = subscription.resources.get(path.key)
    if path.type_key == _NSG:
        document["properties"]["defaultSecurityRules"] = rules.default_rules()
    stored = subscription.put(path.id, document)
    if path.type_key == _CLUSTER:
        _kube_proxy(subscription, stored["name"], before, stored)


def _kube_proxy(subscription: AzureSubscription, name: str, before: Document | None, after: Document) -> None:
    was, now = _keeps_kube_proxy(before), _keeps_kube_proxy(after)
    if was != now:
        for listener in tuple(subscription.on_kube_proxy):
            listener(name, now)


def _keeps_kube_proxy(cluster: Document | None) -> bool:
    profile = ((cluster or {}).get("properties") or {}).get("networkProfile") or {}
    return (profile.get("kubeProxyConfig") or {}).get("enabled", True) is not False


def _check_group(document: Document) -> None:
    seen: list[Document] = []
    for rule in document["properties"].setdefault("securityRules", []):
        name = str(rule.get("name", ""))
        rule["properties"] = rules.normal_rule(name, rule.get("properties") or {})
        clash = rules.conflict(name, rule["properties"], seen)
        if clash is not None:
            raise clash
        seen.append(rule)


def _check_cluster(document: Document) -> None:
    proxy = (document["properties"].get("networkProfile") or {}).get("kubeProxyConfig")
    if proxy is not None and not isinstance(proxy.get("enabled", True), bool):
        raise bad("InvalidParameter", "The value of parameter networkProfile.kubeProxyConfig.enabled is invalid.")
    if not document.get("location"):
        raise bad("LocationRequired", "The location property is required for this definition.")


def _cleaned(body: Document) -> Document:
    document = {key: copy.deepcopy(value) for key, value in body.items() if key not in _NOT_KEPT}
    document["properties"] = {
        key: value
        for key, value in (document.get("properties") or {}).items()
        if value is not None and key not in _NOT_KEPT
    }
    return document


def _shown(document: Document, path: ArmPath) -> Document:
    shown = copy.deepcopy(document)
    shown.update({"id": path.id, "name": path.names[-1], "type": path.type})
    shown["properties"]["provisioningState"] = "Updating"
    return shown


def _subnets(subscription: AzureSubscription) -> list[Document]:
    return [
        subnet
        for vnet in subscription.of_type("microsoft.network/virtualnetworks")
        for subnet in vnet["properties"]["subnets"]
    ]
