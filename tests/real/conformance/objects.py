"""Objects that the table sends."""

from typing import Any

from tests.real.conformance.request import SPACE

Object = dict[str, Any]


def meta(name: str, **more: Any) -> Object:
    """Metadata in the table's namespace."""
    return {"name": name, "namespace": SPACE, **more}


def namespace(name: str = SPACE) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config(name: str, data: Object, **more: Any) -> Object:
    """A ConfigMap; ``more`` goes into its metadata."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, **more), "data": data}


def secret(name: str, kind: str = "Opaque", **more: Any) -> Object:
    """A Secret; ``more`` is ``data`` or ``stringData``."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta(name), "type": kind, **more}


def service(name: str, port: int = 80, **spec: Any) -> Object:
    """A Service without selector."""
    ports = [{"name": "http", "port": port, "protocol": "TCP"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta(name), "spec": {"ports": ports, **spec}}


def deployment(name: str, selector: str, label: str) -> Object:
    """A Deployment of no pods whose selector and template label may disagree."""
    template = {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "main", "image": "main:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": selector}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name), "spec": spec}


def lease(name: str, holder: str, **more: Any) -> Object:
    """A Lease held for a minute."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": "2026-01-01T00:00:00.000000Z"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta(name, **more),
        "spec": spec,
    }


def access_review(verb: str, resource: str) -> Object:
    """Whether the user may do this in the table's namespace."""
    attributes = {"verb": verb, "resource": resource, "namespace": SPACE}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
