"""Faults of access: rights and logins of whoever looks."""

from typing import Final
from weakref import WeakKeyDictionary

from backends.lab.api.identity import Identity
from backends.lab.faults.acting import target_of
from backends.lab.faults.fault import Fault, Undo, Undoing
from backends.lab.storage.resources import RESOURCES
from backends.lab.world import LabCluster, World

_LAYER: Final = "access"
_RBAC: Final = "rbac.authorization.k8s.io"
_ALL: Final = ["*"]
_LIMITED: Final = "limited"


def _rules(withheld: set[str]) -> list[dict[str, list[str]]]:
    """Everything but what is withheld: RBAC only ever adds, so all other resources are named."""
    core = (
        "bindings configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes "
        "pods pods/exec pods/log pods/status pods/eviction podtemplates replicationcontrollers resourcequotas secrets "
        "serviceaccounts services"
    ).split()
    groups = (
        "admissionregistration.k8s.io apiextensions.k8s.io apps autoscaling batch certificates.k8s.io cilium.io "
        "coordination.k8s.io discovery.k8s.io networking.k8s.io policy rbac.authorization.k8s.io "
        "scheduling.k8s.io storage.k8s.io"
    ).split()
    return [
        {"apiGroups": [""], "resources": [name for name in core if name not in withheld], "verbs": _ALL},
        {"apiGroups": groups, "resources": _ALL, "verbs": _ALL},
    ]


class _Limits:
    """What is withheld of one cluster: one role for all of it, since two would give each other's part back."""

    def __init__(self, target: LabCluster) -> None:
        self._target = target
        self._before: dict[str, Identity] = {}
        self._withheld: set[str] = set()

    def withhold(self, resource: str) -> Undo:
        """Take one resource from every identity of the cluster, administrators too."""
        if not self._withheld:
            self._before = dict(self._target.identities.all())
        self._withheld.add(resource)
        self._apply()

        def undo() -> None:
            if resource in self._withheld:
                self._withheld.remove(resource)
                self._apply()

        return undo

    def _apply(self) -> None:
        roles, bindings = RESOURCES[_RBAC, "clusterroles"], RESOURCES[_RBAC, "clusterrolebindings"]
        store = self._target.objects
        if not self._withheld:
            for token, identity in self._before.items():
                self._target.identities.add(token, identity)
            for resource in (bindings, roles):
                store.delete(resource, None, _LIMITED)
            return
        store.apply(roles, {"metadata": {"name": _LIMITED}, "rules": _rules(self._withheld)})
        subject = {"apiGroup": _RBAC, "kind": "Group", "name": f"lab:{_LIMITED}"}
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": _LIMITED}
        store.apply(bindings, {"metadata": {"name": _LIMITED}, "roleRef": reference, "subjects": [subject]})
        for token, identity in self._before.items():
            kept = tuple(one for one in identity.groups if one != "system:masters")
            limited = Identity(identity.name, (*kept, f"lab:{_LIMITED}"), identity.uid, identity.extra)
            self._target.identities.add(token, limited)


_LIMITS: Final[WeakKeyDictionary[LabCluster, _Limits]] = WeakKeyDictionary()


def _denied(name: str, title: str, resource: str) -> Fault:
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, "aks")
        undoing.add(world, _LIMITS.setdefault(here, _Limits(here)).withhold(resource))

    return Fault(name, title, _LAYER, inject, undoing.clear)


def _login_ended() -> Fault:
    undoing = Undoing()

    def inject(world: World, login: str = "") -> None:
        logins = world.logins
        names = list(logins.names()) if logins is not None else []
        if not names or (login and login not in names):
            raise ValueError(f"no login {login}; there are: {', '.join(names) or 'none'}")
        chosen = login or next((name for name in names if name.startswith("aws-")), names[0])
        logins.set_valid(chosen, False)
        undoing.add(world, lambda: logins.set_valid(chosen, True))

    return Fault("login-ended", "A login has ended", _LAYER, inject, undoing.clear)


FAULTS: Final[tuple[Fault, ...]] = (
    _login_ended(),
    _denied("exec-denied", "pods/exec denied", "pods/exec"),
    _denied("secrets-denied", "Secrets denied", "secrets"),
)
