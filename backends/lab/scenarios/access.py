"""Who may do what in a scenario: a viewer, a login that has ended, two contexts of one cluster."""

import copy
import os
from pathlib import Path
from typing import Any, Final

import yaml

from backends.lab import kubeconfig
from backends.lab.api.identity import ADMIN, Identity
from backends.lab.scenarios import places
from backends.lab.scenarios.living import at_rest, past, populate, settle
from backends.lab.scenarios.meshes import Member, install_release, place_authority, values
from backends.lab.scenarios.worlds import EAST_PODS, NEW, pair
from backends.lab.storage.resources import RESOURCES
from backends.lab.world import LabCluster, World

_RBAC: Final = "rbac.authorization.k8s.io"
VIEWERS: Final = "mesh-viewers"
_READ: Final = ["get", "list", "watch"]
_CORE: Final = (
    "configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims pods pods/log pods/status "
    "replicationcontrollers resourcequotas serviceaccounts services"
).split()
_GROUPS: Final = (
    "apps batch autoscaling cilium.io coordination.k8s.io discovery.k8s.io networking.k8s.io policy "
    "apiextensions.k8s.io storage.k8s.io"
).split()


def viewer_rules(*, secrets: bool = False, execute: bool = False) -> list[dict[str, Any]]:
    """Rules that let everything be read, Secrets and exec only where asked for."""
    rules: list[dict[str, Any]] = [{"apiGroups": [""], "resources": list(_CORE), "verbs": list(_READ)}]
    rules += [{"apiGroups": [group], "resources": ["*"], "verbs": list(_READ)} for group in _GROUPS]
    if secrets:
        rules.append({"apiGroups": [""], "resources": ["secrets"], "verbs": list(_READ)})
    if execute:
        rules.append({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]})
    return rules


def grant(cluster: LabCluster, name: str, group: str, rules: list[dict[str, Any]]) -> None:
    """A ClusterRole and its binding to a group."""
    store = cluster.objects
    store.apply(RESOURCES[_RBAC, "clusterroles"], {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group}],
    }
    store.apply(RESOURCES[_RBAC, "clusterrolebindings"], binding)


def denied(world: World) -> None:
    """The joined pair, but the context of aks-east may only look: no Secrets, no exec."""
    pair(world, viewer=Identity("viewer@mesh-lab.example", (VIEWERS,)))
    grant(world.clusters[places.EAST], "mesh-viewer", VIEWERS, viewer_rules())


def expired(world: World) -> None:
    """The joined pair; the AWS login of eks-tokyo has ended."""
    pair(world)
    world.clouds.logins.set_valid("aws-lab", False)


def twins(world: World) -> None:
    """One AKS cluster with Cilium, and two kubeconfig files that each have a context ``admin`` for it."""
    with past(world, 9):
        member = Member(places.east(world), 1, EAST_PODS)
        populate(world)
        place_authority([member])
        install_release(world, member, NEW, values(member))
        settle(world, "Cilium", lambda: at_rest(member.cluster))
    cluster = member.cluster
    server, user, _ = kubeconfig.entries(cluster)
    static = {"name": "break-glass", "user": {"token": cluster.identities.issue(ADMIN)}}
    other = copy.deepcopy(server)
    # The same server under another of its names: only what the cluster says of itself shows that it is the same.
    other["cluster"]["server"] = other["cluster"]["server"].replace("127.0.0.1", "localhost")
    paths = [
        _write(world.state_dir / "team.yaml", server, user),
        _write(world.state_dir / "break-glass.yaml", other, static),
    ]
    world.environment["KUBECONFIG"] = os.pathsep.join(str(path) for path in paths)


def _write(path: Path, server: dict[str, Any], user: dict[str, Any]) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [server],
        "users": [user],
        "contexts": [{"name": "admin", "context": {"cluster": server["name"], "user": user["name"]}}],
        "current-context": "admin",
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
    return path
