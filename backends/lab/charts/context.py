"""What a chart sees while it renders: values, release, cluster capabilities, lookups and the clock."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backends.lab.charts.trees import MISSING, Tree, dig, text
from backends.lab.charts.version import ChartVersion

if TYPE_CHECKING:
    from backends.lab.charts.trust.certificates import KeyKind

Object = dict[str, Any]
Lookup = Callable[[str, str, str], Object | None]
"""``(kind, namespace, name)`` to the live object or ``None``; ``kind`` as in ``Secret`` or ``ConfigMap``."""


class ChartError(Exception):
    """The chart refuses the values; ``str()`` is helm's text after ``Error: ``, without its command prefix."""


def refuse(template: str, message: str) -> ChartError:
    """A ``fail`` call in a template; ``template`` is ``<path>:<line>:<column>`` under ``cilium/templates``."""
    return ChartError(f"execution error at (cilium/templates/{template}): {message}")


@dataclass(slots=True)
class Context:
    """One rendering. ``authority`` caches the CA so that every certificate of a rendering has the same issuer."""

    version: ChartVersion
    values: Tree
    release: str
    namespace: str
    is_install: bool
    kube_minor: int
    lookup: Lookup
    now: datetime
    authority: Any = None
    keys: "KeyKind" = "rsa"
    api_versions: frozenset[str] = field(default_factory=frozenset)

    @property
    def minor(self) -> int:
        """The chart's minor version: 15 … 20."""
        return self.version.minor

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path."""
        return dig(self.values, path, default)

    def has(self, path: str) -> bool:
        """Whether the key exists, be its value null."""
        return dig(self.values, path, MISSING) is not MISSING

    def on(self, path: str) -> bool:
        """Whether the value is true for a template: not missing, null, false, zero or empty."""
        return bool(self.get(path))

    def text(self, path: str) -> str:
        """The value as a template prints it."""
        return text(self.get(path))

    def table(self, path: str) -> Tree:
        """The value at a path where the chart wants a table; an empty one where there is none."""
        value = self.get(path)
        return dict(value) if isinstance(value, Mapping) else {}

    def items(self, path: str) -> list[Any]:
        """The value at a path where the chart wants a list; empty where there is none."""
        value = self.get(path)
        return list(value) if isinstance(value, list) else []

    def compatible(self, minor: int) -> bool:
        """Whether ``upgradeCompatibility`` is unset or at least 1.<minor>."""
        given = self.text("upgradeCompatibility")
        match = re.match(r"v?1\.(\d+)", given)
        return match is None or int(match[1]) >= minor

    @property
    def home(self) -> str:
        """The namespace of Cilium's objects: the release's unless overridden (1.17 and later)."""
        return self.text("namespaceOverride") or self.namespace

    @property
    def mesh_server(self) -> bool:
        """Whether ``clustermesh-apiserver`` is part of the release."""
        return self.on("clustermesh.useAPIServer") or (self.minor < 18 and self.on("externalWorkloads.enabled"))

    @property
    def internal_store(self) -> bool:
        """Whether the mesh's etcd runs in the ``clustermesh-apiserver`` pod (all but ``kvstoreMode: external``)."""
        mode = self.get("clustermesh.apiserver.kvstoremesh.kvstoreMode", "internal")
        return self.minor < 18 or mode == "internal"

    @property
    def kvstoremesh(self) -> bool:
        """Whether the agents read remote clusters through the local cache."""
        return self.on("clustermesh.useAPIServer") and self.on("clustermesh.apiserver.kvstoremesh.enabled")

    @property
    def mcs_api(self) -> bool:
        """Whether the Multi-Cluster Services API is on."""
        old = self.minor < 20 and self.on("clustermesh.enableMCSAPISupport")
        return old or (self.minor >= 19 and self.on("clustermesh.mcsapi.enabled"))

    @property
    def crd_identities(self) -> bool:
        """Whether identities are kept as custom resources (also) and so exported by the apiserver."""
        mode = self.text("identityAllocationMode")
        return mode == "crd" or (self.minor >= 17 and mode in ("doublewrite-readkvstore", "doublewrite-readcrd"))

    @property
    def envoy_daemonset(self) -> bool:
        """Whether the proxy runs as its own DaemonSet."""
        given = self.get("envoy.enabled")
        if self.minor == 15:
            return bool(given)
        if not self.on("l7Proxy"):
            return False
        return bool(given) if given is not None else self.compatible(16)

    @property
    def replaces_kube_proxy(self) -> str:
        """``kube-proxy-replacement`` as the chart prints it."""
        return self.text("kubeProxyReplacement") or "false"

    def labels(self, fixed: Mapping[str, str], *, chart: bool = True) -> dict[str, str]:
        """Labels of an object: the fixed ones, the chart's own (1.20) and ``commonLabels`` (1.17 and later)."""
        merged = dict(fixed)
        if chart and self.minor >= 20:
            merged["helm.sh/chart"] = f"cilium-{self.version}"
        if self.minor >= 17:
            merged.update(self.table("commonLabels"))
        return merged

    def metadata(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        *,
        namespaced: bool = True,
        namespace: str | None = None,
    ) -> Object:
        """``metadata`` of an object; without fixed labels it carries ``commonLabels`` only."""
        meta: Object = {"name": name}
        if namespaced:
            meta["namespace"] = namespace or self.home
        found = self.labels(labels) if labels is not None else self.labels({}, chart=False)
        if found:
            meta["labels"] = found
        if annotations:
            meta["annotations"] = dict(annotations)
        return meta

    def image(self, path: str) -> str:
        """An image reference from its ``override``, ``repository``, ``tag`` and ``digest``."""
        if self.on(f"{path}.override"):
            return self.text(f"{path}.override")
        tag = self.text(f"{path}.tag")
        digest = f"@{self.text(f'{path}.digest')}" if self.on(f"{path}.useDigest") else ""
        return f"{self.text(f'{path}.repository')}{f':{tag}' if tag else ''}{digest}"
