"""The Cilium chart, 1.15 … 1.20: values in, Kubernetes objects out, in every field that a reader of a mesh looks at."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from backends.lab.charts.access import access
from backends.lab.charts.context import ChartError, Context, Lookup, Object
from backends.lab.charts.defaults import default_values
from backends.lab.charts.peers import peer_secrets, remote_users
from backends.lab.charts.schema import check_types
from backends.lab.charts.settings.config_map import cilium_config
from backends.lab.charts.trees import coalesce
from backends.lab.charts.trust.certgen import certgen
from backends.lab.charts.trust.secrets import certificates
from backends.lab.charts.validate import validate
from backends.lab.charts.version import ChartVersion
from backends.lab.charts.workloads.agent import agent
from backends.lab.charts.workloads.apiserver import apiserver
from backends.lab.charts.workloads.budgets import budgets
from backends.lab.charts.workloads.envoy import envoy
from backends.lab.charts.workloads.operator import operator
from backends.lab.charts.workloads.relay import relay
from backends.lab.charts.workloads.services import services

if TYPE_CHECKING:
    from backends.lab.charts.trust.certificates import KeyKind

INSTALL_ORDER: Final = (
    "Namespace",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Deployment",
    "Job",
    "CronJob",
)

_PARTS: Final[tuple[Callable[[Context], Iterable[Object]], ...]] = (
    certificates,
    certgen,
    services,
    relay,
    peer_secrets,
    remote_users,
    apiserver,
    budgets,
    access,
    envoy,
    operator,
    agent,
)


def render(
    version: str,
    values: Mapping[str, Any],
    *,
    release: str = "cilium",
    namespace: str = "kube-system",
    revision: int = 1,
    is_install: bool = True,
    lookup: Lookup,
    now: datetime,
    kube_version: str,
    keys: "KeyKind" = "rsa",
    defaults: Mapping[str, Any] | None = None,
    keep_null: bool = True,
) -> list[Object]:
    """The chart's objects in helm's install order, hooks among them (annotation ``helm.sh/hook``).

    ``values`` are the user's; ``defaults`` replaces the chart's own (helm's ``--reuse-values`` does). ``lookup`` finds
    live objects, ``kube_version`` is the API server's (``v1.34.4``), ``now`` dates the certificates. ``revision`` is
    part of the release and changes nothing here. A field that is null is one that helm's merge takes away. Raises
    ``ChartError`` with helm's text, ``UnknownVersion``.
    """
    del revision
    parsed = ChartVersion.parse(version)
    kube_minor = require_kubernetes(parsed, kube_version)
    base = default_values(parsed) if defaults is None else defaults
    context = Context(
        version=parsed,
        values=coalesce(base, values, keep_null=keep_null),
        release=release,
        namespace=namespace,
        is_install=is_install,
        kube_minor=kube_minor,
        lookup=lookup,
        now=now,
        keys=keys,
    )
    check_types(context)
    # Templates run from the deepest folder up, so their own refusals come before those of validate.yaml.
    found = [item for part in _PARTS for item in part(context)]
    validate(context)
    config = cilium_config(context)
    found += [config] if config is not None else []
    return sorted(found, key=_place)


def require_kubernetes(version: ChartVersion, kube_version: str) -> int:
    """The minor version of ``v1.<minor>.<patch>``; raises ``ChartError`` when the chart's constraint excludes it."""
    digits = kube_version.lstrip("v").split(".")
    try:
        major, minor = int(digits[0]), int("".join(char for char in digits[1] if char.isdigit()))
    except (ValueError, IndexError):
        raise ChartError(f"invalid Kubernetes version {kube_version}") from None
    if (major, minor) < version.oldest_kubernetes:
        raise ChartError(
            f"chart requires kubeVersion: {version.kube_version} which is incompatible with Kubernetes {kube_version}"
        )
    return minor


def _place(found: Object) -> tuple[int, str, str]:
    metadata = found["metadata"]
    return INSTALL_ORDER.index(found["kind"]), metadata["name"], metadata.get("namespace", "")
