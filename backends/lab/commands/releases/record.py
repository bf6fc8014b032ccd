"""One revision of a release and its Secret (cilium-clustermesh §2.6)."""

import base64
import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from backends.lab.charts.context import Object
from backends.lab.charts.version import ChartVersion

DEPLOYED: Final = "deployed"
SUPERSEDED: Final = "superseded"
FAILED: Final = "failed"
UNINSTALLED: Final = "uninstalled"
UNINSTALLING: Final = "uninstalling"
PENDING_INSTALL: Final = "pending-install"
PENDING_UPGRADE: Final = "pending-upgrade"
PENDING_ROLLBACK: Final = "pending-rollback"
PENDING: Final = (PENDING_INSTALL, PENDING_UPGRADE, PENDING_ROLLBACK)

SECRET_TYPE: Final = "helm.sh/release.v1"
Tree = dict[str, Any]


@dataclass(slots=True)
class Release:
    """A revision: the user's values as ``config``, the chart's own as ``chart["values"]``, the objects as YAML."""

    name: str
    namespace: str
    revision: int
    status: str
    description: str
    chart: Tree
    config: Tree
    manifest: str
    hooks: list[Tree] = field(default_factory=list)
    notes: str = ""
    first_deployed: str = ""
    last_deployed: str = ""
    deleted: str = ""

    @property
    def pending(self) -> bool:
        """Whether an operation on the release has not ended."""
        return self.status in PENDING

    @property
    def chart_label(self) -> str:
        """``cilium-1.15.19``."""
        metadata = self.chart.get("metadata") or {}
        return f"{metadata.get('name', '')}-{metadata.get('version', '')}"

    @property
    def app_version(self) -> str:
        """The chart's ``appVersion``."""
        return str((self.chart.get("metadata") or {}).get("appVersion", ""))

    def json(self) -> Tree:
        """The record as helm stores it."""
        found: Tree = {
            "name": self.name,
            "info": {
                "first_deployed": self.first_deployed,
                "last_deployed": self.last_deployed,
                "deleted": self.deleted,
                "description": self.description,
                "status": self.status,
            },
            "chart": self.chart,
            "config": ordered(self.config),
            "manifest": self.manifest,
            "version": self.revision,
            "namespace": self.namespace,
        }
        if self.notes:
            found["info"]["notes"] = self.notes
        if self.hooks:
            found["hooks"] = self.hooks
        return {key: value for key, value in found.items() if value not in ({}, "")}

    @classmethod
    def from_json(cls, found: Tree) -> "Release":
        """A record read back; absent fields are empty."""
        info = found.get("info") or {}
        return cls(
            name=str(found.get("name", "")),
            namespace=str(found.get("namespace", "")),
            revision=int(found.get("version", 0)),
            status=str(info.get("status", "unknown")),
            description=str(info.get("description", "")),
            chart=dict(found.get("chart") or {}),
            config=dict(found.get("config") or {}),
            manifest=str(found.get("manifest", "")),
            hooks=list(found.get("hooks") or []),
            notes=str(info.get("notes", "")),
            first_deployed=str(info.get("first_deployed", "")),
            last_deployed=str(info.get("last_deployed", "")),
            deleted=str(info.get("deleted", "")),
        )


def ordered(value: Any) -> Any:
    """Tables by key, as Go writes maps."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def secret_name(release: str, revision: int) -> str:
    """``sh.helm.release.v1.cilium.v3``."""
    return f"sh.helm.release.v1.{release}.v{revision}"


def to_secret(release: Release, stamp: tuple[str, float]) -> Object:
    """The Secret of a revision; ``stamp`` is the label ``createdAt`` or ``modifiedAt`` with epoch seconds."""
    packed = gzip.compress(json.dumps(release.json(), separators=(",", ":")).encode(), 9, mtime=0)
    inner = base64.b64encode(packed)
    labels = {
        stamp[0]: str(int(stamp[1])),
        "name": release.name,
        "owner": "helm",
        "status": release.status,
        "version": str(release.revision),
    }
    metadata = {"name": secret_name(release.name, release.revision), "namespace": release.namespace, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": SECRET_TYPE,
        "data": {"release": base64.b64encode(inner).decode()},
    }


def from_secret(secret: Object) -> Release:
    """The revision in a Secret; raises ``ValueError`` when it is none."""
    inner = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    body = gzip.decompress(inner) if inner[:3] == b"\x1f\x8b\x08" else inner
    return Release.from_json(json.loads(body))


def time_text(seconds: float) -> str:
    """Epoch seconds as helm writes them: RFC 3339 with nanoseconds, without trailing zeros."""
    whole = int(seconds)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{int((seconds - whole) * 1_000_000_000):09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def chart_record(version: ChartVersion, values: Tree) -> Tree:
    """The ``chart`` part of a record: metadata and default values; the lab's chart has no template files."""
    return {
        "metadata": {
            "name": "cilium",
            "home": "https://cilium.io/",
            "sources": ["https://github.com/cilium/cilium"],
            "version": str(version),
            "description": "eBPF-based Networking, Security, and Observability",
            "keywords": ["BPF", "eBPF", "Kubernetes", "Networking", "Security", "Observability", "Troubleshooting"],
            "apiVersion": "v2",
            "appVersion": str(version),
            "kubeVersion": version.kube_version,
        },
        "lock": None,
        "templates": [],
        "values": values,
        "schema": None,
        "files": [],
    }


def notes(version: ChartVersion, values: Tree) -> str:
    """The chart's closing words."""
    hubble = values.get("hubble") or {}
    relay = bool((hubble.get("relay") or {}).get("enabled"))
    interface = bool((hubble.get("ui") or {}).get("enabled"))
    part, margin = "", "    "
    if hubble.get("enabled") and relay:
        part, margin = (" with Hubble Relay and Hubble UI" if interface else " with Hubble Relay"), "        "
    elif hubble.get("enabled"):
        part = " with Hubble"
    return (
        f"\n{margin}You have successfully installed Cilium{part}.\n\n"
        f"Your release version is {version}.\n\n"
        f"For any further help, visit https://docs.cilium.io/en/v1.{version.minor}/gettinghelp\n"
    )
