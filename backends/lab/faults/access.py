"""Faults of access: rights and logins of whoever looks."""

from typing import Final

from backends.lab.api.identity import Identity
from backends.lab.faults.acting import target_of
from backends.lab.faults.fault import Fault, Undo, Undoing
from backends.lab.storage.resources import RESOURCES
from backends.lab.world import LabCluster, World

_LAYER: Final = "access"
_RBAC: Final = "rbac.authorization.k8s.io"
_ALL: Final = ["*"]


def _rules(*, secrets: bool, execute: bool) -> list[dict[str, list[str]]]:
    """Everything but Secrets or exec: RBAC only ever adds, so all other resources are named."""
    core = (
        "bindings configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes "
        "pods pods/log pods/status pods/eviction podtemplates replicationcontrollers resourcequotas serviceaccounts "
        "services"
    ).split()
    if secrets:
        core.append("secrets")
    if execute:
        core.append("pods/exec")
    groups = (
        "admissionregistration.k8s.io apiextensions.k8s.io apps autoscaling batch certificates.k8s.io cilium.io "
        "coordination.k8s.io discovery.k8s.io networking.k8s.io policy rbac.authorization.k8s.io "
        "scheduling.k8s.io storage.k8s.io"
    ).split()
    return [
        {"apiGroups": [""], "resources": core, "verbs": _ALL},
        {"apiGroups": groups, "resources": _ALL, "verbs": _ALL},
    ]


def _limit(target: LabCluster, name: str, rules: list[dict[str, list[str]]]) -> Undo:
    """Take every identity of the cluster out of the administrators and give it these rules instead."""
    roles, bindings = RESOURCES[_RBAC, "clusterroles"], RESOURCES[_RBAC, "clusterrolebindings"]
    store, group = target.objects, f"lab:{name}"
    store.apply(roles, {"metadata": {"name": name}, "rules": rules})
    subject = {"apiGroup": _RBAC, "kind": "Group", "name": group}
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    store.apply(bindings, {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})
    before = dict(target.identities.all())
    for token, identity in before.items():
        kept = tuple(one for one in identity.groups if one != "system:masters")
        target.identities.add(token, Identity(identity.name, (*kept, group), identity.uid, identity.extra))

    def undo() -> None:
        for token, identity in before.items():
            target.identities.add(token, identity)
        for resource in (bindings, roles):
            if store.stored(resource, None, name) is not None:
                store.delete(resource, None, name)

    return undo


def _denied(name: str, title: str, *, secrets: bool, execute: bool) -> Fault:
    undoing = Undoing()

    def inject(world: World, target: str = "") -> None:
        here = target_of(world, target, "aks")
        undoing.add(world, _limit(here, name, _rules(secrets=secrets, execute=execute)))

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
    _denied("exec-denied", "pods/exec denied", secrets=True, execute=False),
    _denied("secrets-denied", "Secrets denied", secrets=False, execute=True),
)
