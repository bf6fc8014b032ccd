"""Which cloud, region, account and cluster a context means, from its words alone (cloud-network §1.1)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from backends.credentials.login import option
from mesh.model.context import Provider

_ARN: Final = re.compile(r"arn:aws[\w-]*:eks:(?P<region>[\w-]+):(?P<account>\d{12}):cluster/(?P<name>[\w.-]+)")
_EKSCTL: Final = re.compile(r"(?:^|@)(?P<name>[\w-]+)\.(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d)\.eksctl\.io$")
_GKE: Final = re.compile(r"^gke_(?P<account>[^_]+)_(?P<region>[^_]+)_(?P<name>.+)$")
_REGION: Final = r"[a-z]{2,}(?:-[a-z]+)+-\d"
# eks.amazonaws.com with China's forms; eks-cluster.….api.aws for IPv6 clusters.
_EKS_HOST: Final = re.compile(
    rf"\.(?P<region>{_REGION})\.eks\.(?:amazonaws\.com(?:\.cn)?|amazonwebservices\.com\.cn)$"
    rf"|\.eks-cluster\.(?P<region6>{_REGION})\.api\.(?:aws|amazonwebservices\.com\.cn)$"
)
_AKS_HOST: Final = re.compile(
    r"\.(?:hcp|privatelink)\.(?P<region>[a-z0-9]+)\."
    r"(?:azmk8s\.io|cx\.prod\.service\.azk8s\.cn|cx\.aks\.containerservice\.azure\.us)$"
)
_AKS_APPLICATION: Final = "6dae42f8-4368-4678-94ff-3960e28e3630"
# As ``az aks get-credentials`` names the user: clusterUser_GROUP_CLUSTER.
_AKS_USER: Final = re.compile(r"cluster(?:User|Admin)_(?P<rest>.+_.+)")
_LOOPBACK: Final = re.compile(r"^(?:localhost|127\.[\d.]+|::1|0\.0\.0\.0|host\.docker\.internal)$")


class Place(Struct, frozen=True):
    """Where a cluster is, as far as a kubeconfig tells."""

    provider: Provider = Provider.OTHER
    region: str = ""
    account: str = ""
    name: str = ""
    group: str = ""


def place_of(names: Sequence[str], server: str, argv: Sequence[str], environment: Mapping[str, str]) -> Place:
    """The place from the names of cluster entry, user and context (in this order), the server's URL and the plugin."""
    host = (urlsplit(server).hostname or "") if "//" in server else server.partition(":")[0]
    tool = argv[0].rsplit("/", 1)[-1] if argv else ""
    for find in (_eks, _aks, _gke):
        place = find(names, host, tool, argv, environment)
        if place:
            return place
    if _LOOPBACK.match(host) and any(name.startswith("kind-") for name in names):
        found = next(name for name in names if name.startswith("kind-"))
        return Place(Provider.KIND, name=found.removeprefix("kind-"))
    return Place()


def _eks(
    names: Sequence[str], host: str, tool: str, argv: Sequence[str], environment: Mapping[str, str]
) -> Place | None:
    matches = [found for name in names if (found := _ARN.search(name) or _EKSCTL.search(name))]
    by_host = _EKS_HOST.search(host)
    by_plugin = tool == "aws-iam-authenticator" or (tool.startswith("aws") and "eks" in argv and "get-token" in argv)
    if not (matches or by_host or by_plugin):
        return None
    words = matches[0].groupdict() if matches else {}
    by_name = option(argv, "--cluster-name", "-i", "--cluster-id")
    region = words.get("region") or option(argv, "--region")
    if not region and by_host:
        region = by_host["region"] or by_host["region6"]
    if not region:
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    return Place(Provider.EKS, region, words.get("account") or "", words.get("name") or by_name)


def _aks(
    names: Sequence[str], host: str, tool: str, argv: Sequence[str], environment: Mapping[str, str]
) -> Place | None:
    by_host = _AKS_HOST.search(host)
    azure_plugin = tool in ("kubelogin", "kubectl-login") and option(argv, "--server-id") == _AKS_APPLICATION
    by_user = next((found for name in names if (found := _AKS_USER.match(name))), None)
    if not (by_host or azure_plugin or (by_user and not _LOOPBACK.match(host))):
        return None
    cluster = names[0] if names else ""
    # Both words may hold underscores: only where the second is the cluster's name is the first known.
    group = by_user["rest"].removesuffix(f"_{cluster}") if by_user and cluster else ""
    group = "" if by_user and group == by_user["rest"] else group
    return Place(Provider.AKS, by_host["region"] if by_host else "", "", cluster, group)


def _gke(
    names: Sequence[str], host: str, tool: str, argv: Sequence[str], environment: Mapping[str, str]
) -> Place | None:
    found = next((match for name in names if (match := _GKE.match(name))), None)
    if found:
        return Place(Provider.GKE, found["region"], found["account"], found["name"])
    if tool == "gke-gcloud-auth-plugin" or host.endswith(".gke.goog"):
        return Place(Provider.GKE)
    return None


def short_name(context: str) -> str:
    """A context's name in short: the cluster's own name where the long form is a known one, else the name itself."""
    for pattern in (_ARN, _EKSCTL, _GKE):
        found = pattern.search(context)
        if found:
            return found["name"]
    return context
