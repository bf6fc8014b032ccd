"""Renderings of the lab's Cilium chart for tests, and what is in them."""

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from backends.lab.charts import Lookup, Object, render
from backends.lab.charts.trees import overlay

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MINORS = ("1.15.19", "1.16.5", "1.17.4", "1.18.3", "1.19.5", "1.20.2")
MEMBER: Mapping[str, Any] = {
    "cluster": {"name": "east", "id": 1},
    "clustermesh": {"useAPIServer": True, "config": {"enabled": True}},
}


def rendered(version: str, *values: Mapping[str, Any], lookup: Lookup | None = None, **more: Any) -> list[Object]:
    """The chart for these values, the later over the earlier ones."""
    merged: dict[str, Any] = {}
    for each in values:
        merged = overlay(merged, each)
    return render(
        version,
        merged,
        lookup=lookup or (lambda kind, namespace, name: None),
        now=NOW,
        kube_version=more.pop("kube_version", "v1.34.4"),
        keys="ec",
        **more,
    )


def find(objects: Iterable[Object], kind: str, name: str) -> Object | None:
    """One object, or ``None``."""
    return next((item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name), None)


def need(objects: Iterable[Object], kind: str, name: str) -> Object:
    """One object that must be there."""
    found = find(objects, kind, name)
    assert found is not None, f"no {kind} {name}"
    return found


def config(version: str, *values: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The data of ``cilium-config``."""
    data: dict[str, Any] = need(rendered(version, *values, **more), "ConfigMap", "cilium-config")["data"]
    return data


def certificate(secret: Object, key: str = "tls.crt") -> x509.Certificate:
    """A certificate of a Secret."""
    return x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))


def common_name(found: x509.Certificate) -> str:
    """Its subject's common name."""
    return str(found.subject.rfc4514_string()).removeprefix("CN=")


def hosts(found: x509.Certificate) -> list[str]:
    """Its subject alternative names, none without the extension."""
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key made the leaf's signature."""
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True


def peer(secret: Object, name: str) -> Any:
    """The etcd configuration of one peer."""
    return yaml.safe_load(base64.b64decode(secret["data"][name]))


def container(workload: Object, name: str, group: str = "containers") -> Object:
    """A container of a workload's pods."""
    found: Object = next(item for item in workload["spec"]["template"]["spec"][group] if item["name"] == name)
    return found


def env(found: Object) -> dict[str, str]:
    """Its plain environment variables."""
    return {item["name"]: item["value"] for item in found.get("env", []) if "value" in item}
