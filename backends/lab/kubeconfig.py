"""One kubeconfig for all clusters of a lab, in the forms that the providers' own commands write."""

import base64
import os
from pathlib import Path
from typing import Any, Final

import yaml

from backends.lab.api.identity import ADMIN
from backends.lab.world import LabCluster, World

AKS_SERVER_ID: Final = "6dae42f8-4368-4678-94ff-3960e28e3630"
_EXEC_API: Final = "client.authentication.k8s.io/v1beta1"
_KUBELOGIN_HINT: Final = (
    "\nkubelogin is not installed which is required to connect to AAD enabled cluster.\n\n"
    "To learn more, please go to https://aka.ms/aks/kubelogin\n"
)


def arn(cluster: LabCluster) -> str:
    """The name under which ``aws eks update-kubeconfig`` files a cluster."""
    return f"arn:aws:eks:{cluster.region}:{cluster.account}:cluster/{cluster.cloud_name}"


def entries(cluster: LabCluster) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The cluster, user and context entries of one cluster; the context has the cluster's name in the lab."""
    name, user_name, user = _names_and_user(cluster)
    ca = base64.b64encode(cluster.authority.pem).decode()
    server = {"certificate-authority-data": ca, "server": cluster.server_url}
    return (
        {"name": name, "cluster": server},
        {"name": user_name, "user": user},
        {"name": cluster.name, "context": {"cluster": name, "user": user_name}},
    )


def _names_and_user(cluster: LabCluster) -> tuple[str, str, dict[str, Any]]:
    if cluster.provider == "eks":
        return arn(cluster), arn(cluster), {"exec": _aws(cluster)}
    if cluster.provider == "aks":
        group = cluster.resource_group or f"rg-{cluster.cloud_name}"
        return cluster.cloud_name, f"clusterUser_{group}_{cluster.cloud_name}", {"exec": _kubelogin()}
    name = f"kind-{cluster.cloud_name}"
    token = cluster.identities.first() or cluster.identities.issue(ADMIN)
    return name, name, {"token": token}


def _aws(cluster: LabCluster) -> dict[str, Any]:
    args = ["--region", cluster.region, "eks", "get-token", "--cluster-name", cluster.cloud_name, "--output", "json"]
    profile = str(cluster.facts.get("aws_profile", "lab"))
    env = [{"name": "AWS_PROFILE", "value": profile}]
    return {
        "apiVersion": _EXEC_API,
        "args": args,
        "command": "aws",
        "env": env,
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }


def _kubelogin() -> dict[str, Any]:
    return {
        "apiVersion": _EXEC_API,
        "args": ["get-token", "--login", "azurecli", "--server-id", AKS_SERVER_ID],
        "command": "kubelogin",
        "env": None,
        "installHint": _KUBELOGIN_HINT,
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }


def document(world: World) -> dict[str, Any]:
    """The kubeconfig of a world; the current context is the first cluster. Equal entries are written once."""
    clusters: dict[str, dict[str, Any]] = {}
    users: dict[str, dict[str, Any]] = {}
    contexts: list[dict[str, Any]] = []
    for cluster in world.clusters.values():
        server, user, context = entries(cluster)
        clusters.setdefault(server["name"], server)
        users.setdefault(user["name"], user)
        contexts.append(context)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": list(clusters.values()),
        "users": list(users.values()),
        "contexts": contexts,
        "current-context": contexts[0]["name"] if contexts else "",
    }


def contexts(paths: str) -> list[str]:
    """The names of all contexts in the files of a ``KUBECONFIG``, in their order; equal names stay."""
    files = [yaml.safe_load(Path(path).read_text("utf-8")) for path in paths.split(os.pathsep)]
    return [context["name"] for file in files for context in file["contexts"]]


def write(world: World, path: Path) -> None:
    """Write the kubeconfig, readable by its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(document(world), file, sort_keys=False)
