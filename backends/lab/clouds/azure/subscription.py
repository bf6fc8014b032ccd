"""The state of one Azure subscription: resource groups and documents in REST form, keyed by lower-case id."""

import copy
import fnmatch
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from backends.lab.clouds.azure.paths import ArmPath, parse
from backends.lab.clouds.changes import Changes
from backends.lab.clouds.logins import Logins

Document: TypeAlias = dict[str, Any]

CHILDREN: Final[dict[str, dict[str, str]]] = {
    "microsoft.network/virtualnetworks": {
        "subnets": "subnets",
        "virtualnetworkpeerings": "virtualNetworkPeerings",
    },
    "microsoft.network/networksecuritygroups": {
        "securityrules": "securityRules",
        "defaultsecurityrules": "defaultSecurityRules",
    },
    "microsoft.network/routetables": {"routes": "routes"},
    "microsoft.network/loadbalancers": {
        "frontendipconfigurations": "frontendIPConfigurations",
        "backendaddresspools": "backendAddressPools",
        "loadbalancingrules": "loadBalancingRules",
        "probes": "probes",
    },
}
"""Children that live inside their parent's ``properties``, by parent type and child type."""


class AzureSubscription:
    """``id`` and ``tenant`` are GUIDs. ``resources`` holds top-level documents (and NICs of scale sets); children live
    inside them (``CHILDREN``). Whoever writes calls ``changes.bump()`` or uses ``put`` and ``remove``.

    ``denied`` holds actions that the caller lacks (patterns such as ``*/write``); ``locked_groups`` node resource
    groups under lockdown; ``throttled`` and ``busy`` are how many of the next requests (writes) answer 429 (409).
    ``retry_after`` is the seconds that answers ask pollers to wait. ``on_kube_proxy`` is called with an AKS cluster's
    name and whether AKS shall keep kube-proxy there.
    """

    def __init__(
        self, identifier: str, tenant: str, logins: Logins, rng: random.Random, name: str = "mesh-lab"
    ) -> None:
        self.id = identifier
        self.tenant = tenant
        self.name = name
        self.logins = logins
        self.changes = Changes()
        self.groups: dict[str, Document] = {}
        self.resources: dict[str, Document] = {}
        self.denied: set[str] = set()
        self.locked_groups: set[str] = set()
        self.throttled = 0
        self.busy = 0
        self.page_size = 100
        self.retry_after = 1
        self.on_kube_proxy: list[Callable[[str, bool], None]] = []
        self._rng = rng

    def new_guid(self) -> str:
        """A GUID from the seeded source."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def etag(self) -> str:
        """A fresh entity tag."""
        return f'W/"{self.new_guid()}"'

    def add_group(self, name: str, location: str, managed_by: str = "") -> None:
        """A resource group."""
        group: Document = {
            "id": f"/subscriptions/{self.id}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "properties": {"provisioningState": "Succeeded"},
        }
        if managed_by:
            group["managedBy"] = managed_by
        self.groups[name.lower()] = group
        self.changes.bump()

    def put(self, identifier: str, body: Document) -> Document:
        """Store a top-level document under its id, with name, type, etag and state; returns the stored one."""
        path = parse(identifier)
        if path is None or not path.names:
            raise ValueError(f"not a resource id: {identifier}")
        document = copy.deepcopy(body)
        old = self.resources.get(path.key, {})
        document.update({"id": old.get("id", path.id), "name": path.names[-1], "type": path.type, "etag": self.etag()})
        properties = document.setdefault("properties", {})
        properties["provisioningState"] = "Succeeded"
        properties.setdefault("resourceGuid", old.get("properties", {}).get("resourceGuid") or self.new_guid())
        for kind, field in CHILDREN.get(path.type_key, {}).items():
            children = properties.setdefault(field, [])
            for child in children:
                complete_child(document, path, kind, child, self.etag())
        self.resources[path.key] = document
        self.changes.bump()
        return document

    def get(self, identifier: str) -> Document | None:
        """The stored document or child, or None; not a copy."""
        path = parse(identifier)
        return self.find(path) if path is not None else None

    def need(self, identifier: str) -> Document:
        """As ``get``. Raises ``KeyError``."""
        found = self.get(identifier)
        if found is None:
            raise KeyError(identifier)
        return found

    def find(self, path: ArmPath) -> Document | None:
        """The stored document or child at a path."""
        document = self.resources.get(path.key)
        if document is not None or len(path.segments) != 4:
            return document
        children = self.children(path.cut(3))
        name = path.names[1].lower()
        return next((child for child in children or () if str(child["name"]).lower() == name), None)

    def children(self, path: ArmPath) -> list[Document] | None:
        """The list of embedded children that a three-segment path names; None where there is no such list."""
        parent = self.resources.get(path.cut(2).key)
        field = CHILDREN.get(path.cut(2).type_key, {}).get(path.segments[2].lower())
        if parent is None or field is None:
            return None
        found: list[Document] = parent["properties"].setdefault(field, [])
        return found

    def put_child(self, identifier: str, body: Document) -> Document:
        """Create or replace an embedded child. Raises ``KeyError`` where the parent is missing."""
        path = parse(identifier)
        children = self.children(path.cut(3)) if path is not None and len(path.segments) == 4 else None
        if path is None or children is None:
            raise KeyError(identifier)
        parent = self.resources[path.cut(2).key]
        child = {**copy.deepcopy(body), "name": path.names[1]}
        complete_child(parent, path.cut(2), path.segments[2], child, self.etag())
        kept = [other for other in children if str(other["name"]).lower() != path.names[1].lower()]
        children[:] = [*kept, child]
        parent["etag"] = self.etag()
        self.changes.bump()
        return child

    def remove(self, identifier: str) -> bool:
        """Delete a document (with what lies under it) or a child; whether it was there."""
        path = parse(identifier)
        if path is None:
            return False
        doomed = [key for key in self.resources if key == path.key or key.startswith(path.key + "/")]
        for key in doomed:
            del self.resources[key]
        if not doomed and len(path.segments) == 4:
            children = self.children(path.cut(3)) or []
            kept = [child for child in children if str(child["name"]).lower() != path.names[1].lower()]
            if len(kept) == len(children):
                return False
            children[:] = kept
        elif not doomed:
            return False
        self.changes.bump()
        return True

    def of_type(self, kind: str, group: str = "") -> Iterator[Document]:
        """Documents of a type (``microsoft.network/virtualnetworks``), of one resource group if given."""
        for key, document in list(self.resources.items()):
            if str(document["type"]).lower() != kind.lower():
                continue
            if group and f"/resourcegroups/{group.lower()}/" not in key:
                continue
            yield document

    def is_denied(self, action: str) -> bool:
        """Whether the caller lacks this action."""
        return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in self.denied)


def complete_child(parent: Document, path: ArmPath, kind: str, child: Document, etag: str) -> None:
    """Give an embedded child its id, type, etag and state."""
    given = child.get("type") or f"{path.type}/{kind}"
    child["id"] = f"{parent['id']}/{kind}/{child['name']}"
    child["type"] = given
    child["etag"] = etag
    child.setdefault("properties", {})["provisioningState"] = "Succeeded"
