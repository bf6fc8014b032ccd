"""Role-based access control over the cluster's own Role and Binding objects (rbac.authorization.k8s.io/v1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backends.lab.api.identity import Identity
from backends.lab.objects import ObjectStore
from backends.lab.storage.resources import RESOURCES

_GROUP: Final = "rbac.authorization.k8s.io"
_ROLES: Final = RESOURCES[_GROUP, "roles"]
_CLUSTER_ROLES: Final = RESOURCES[_GROUP, "clusterroles"]
_BINDINGS: Final = RESOURCES[_GROUP, "rolebindings"]
_CLUSTER_BINDINGS: Final = RESOURCES[_GROUP, "clusterrolebindings"]
MASTERS: Final = "system:masters"

_ALWAYS: Final = frozenset({"/healthz", "/livez", "/readyz"})


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is to be done: a verb on a resource, or on a path where ``resource`` is empty."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """``pods`` or ``pods/exec``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Evaluates the roles of one cluster; ``system:masters`` may everything."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def reason(self, who: Identity, what: Attributes) -> str | None:
        """Why the request is allowed, or None where no rule allows it."""
        if MASTERS in who.groups:
            return ""
        if not what.resource and what.path in _ALWAYS:
            return ""
        for rule, why in self.rules(who, what.namespace):
            if _covers(rule, what):
                return why
        return None

    def allows(self, who: Identity, what: Attributes) -> bool:
        """Whether a rule allows the request."""
        return self.reason(who, what) is not None

    def rules(self, who: Identity, namespace: str) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Every rule that holds for the identity in a namespace (cluster-wide ones included), with its origin."""
        for binding in self._store.view(_CLUSTER_BINDINGS):
            subject = _bound(binding, who, "")
            if subject:
                origin = _origin("ClusterRoleBinding", binding["metadata"]["name"], binding["roleRef"], subject)
                for rule in self._role_rules(binding["roleRef"], ""):
                    yield rule, origin
        if not namespace:
            return
        for binding in self._store.view(_BINDINGS, namespace):
            subject = _bound(binding, who, namespace)
            if subject:
                name = f"{binding['metadata']['name']}/{namespace}"
                origin = _origin("RoleBinding", name, binding["roleRef"], subject)
                for rule in self._role_rules(binding["roleRef"], namespace):
                    yield rule, origin

    def _role_rules(self, reference: Mapping[str, Any], namespace: str) -> list[Mapping[str, Any]]:
        if reference.get("kind") == "Role":
            role = self._store.stored(_ROLES, namespace, reference["name"]) if namespace else None
        else:
            role = self._store.stored(_CLUSTER_ROLES, None, reference["name"])
        return list((role or {}).get("rules") or ())


def _origin(kind: str, name: str, reference: Mapping[str, Any], subject: str) -> str:
    return f'RBAC: allowed by {kind} "{name}" of {reference["kind"]} "{reference["name"]}" to {subject}'


def _bound(binding: Mapping[str, Any], who: Identity, namespace: str) -> str:
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == who.name:
            return f'User "{name}"'
        if kind == "Group" and name in who.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            space = subject.get("namespace") or namespace
            if who.name == f"system:serviceaccount:{space}:{name}":
                return f'ServiceAccount "{name}/{space}"'
    return ""


def _covers(rule: Mapping[str, Any], what: Attributes) -> bool:
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and what.verb not in verbs:
        return False
    if not what.resource:
        return any(_path_matches(pattern, what.path) for pattern in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if "*" not in groups and what.group not in groups:
        return False
    if not _resource_matches(rule.get("resources") or (), what):
        return False
    names = rule.get("resourceNames") or ()
    return not names or what.name in names


def _resource_matches(resources: Any, what: Attributes) -> bool:
    if "*" in resources or what.full_resource in resources:
        return True
    return bool(what.subresource) and f"*/{what.subresource}" in resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern == "*" or pattern == path:
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


def denial(who: Identity, what: Attributes) -> str:
    """The sentence of a refused request, as the server writes it after ``… is forbidden: ``."""
    if not what.resource:
        return f'User "{who.name}" cannot {what.verb} path "{what.path}"'
    where = f'in the namespace "{what.namespace}"' if what.namespace else "at the cluster scope"
    return f'User "{who.name}" cannot {what.verb} resource "{what.full_resource}" in API group "{what.group}" {where}'
