"""Pieces of pod templates that the chart's workloads share."""

from collections.abc import Iterable
from typing import Any

from backends.lab.charts.context import Context, Object
from backends.lab.charts.trees import text

SECRET_MODE = 0o400


def field_env(name: str, path: str, *, versioned: bool = True) -> Object:
    """An environment variable from a field of the pod."""
    ref: Object = {"fieldPath": path}
    if versioned:
        ref["apiVersion"] = "v1"
    return {"name": name, "valueFrom": {"fieldRef": ref}}


def config_env(name: str, key: str, *, optional: bool = False) -> Object:
    """An environment variable from a key of ``cilium-config``, read once at pod start."""
    ref: Object = {"name": "cilium-config", "key": key}
    if optional:
        ref["optional"] = True
    return {"name": name, "valueFrom": {"configMapKeyRef": ref}}


def node_env() -> list[Object]:
    """The two variables every Cilium process on a node gets."""
    return [
        field_env("K8S_NODE_NAME", "spec.nodeName"),
        field_env("CILIUM_K8S_NAMESPACE", "metadata.namespace"),
    ]


def api_server_env(context: Context) -> list[Object]:
    """How the process reaches the API server without kube-proxy; empty unless a host is given (R22)."""
    env: list[Object] = []
    host, key = context.get("k8sServiceHostRef.name"), context.get("k8sServiceHostRef.key")
    if context.minor >= 18 and host and key:
        ref = {"name": host, "key": key}
        env.append({"name": "KUBERNETES_SERVICE_HOST", "valueFrom": {"configMapKeyRef": ref}})
        env.append({"name": "KUBERNETES_SERVICE_PORT", "value": context.text("k8sServicePort")})
    if context.on("k8sServiceHost"):
        env.append({"name": "KUBERNETES_SERVICE_HOST", "value": context.text("k8sServiceHost")})
        if context.minor > 15:
            env.append({"name": "KUBERNETES_SERVICE_PORT", "value": context.text("k8sServicePort")})
    if context.minor == 15 and context.on("k8sServicePort"):
        env.append({"name": "KUBERNETES_SERVICE_PORT", "value": context.text("k8sServicePort")})
    return env


def port(name: str, number: Any, *, host: bool = False) -> Object:
    """A container port; ``host`` also binds it on the node."""
    found: Object = {"name": name, "containerPort": int(number), "protocol": "TCP"}
    if host:
        found["hostPort"] = int(number)
    return found


def mount(name: str, path: str, *, read_only: bool | None = None, propagation: str | None = None) -> Object:
    """A volume mount."""
    found: Object = {"name": name, "mountPath": path}
    if read_only is not None:
        found["readOnly"] = read_only
    if propagation:
        found["mountPropagation"] = propagation
    return found


def privileged(context: Context, path: str = "securityContext.privileged", *, always: bool = False) -> Object:
    """``securityContext`` of a container that may need every right; empty for the chart's finer capabilities."""
    return {"securityContext": {"privileged": True}} if always or context.on(path) else {}


def host_path(name: str, path: str, kind: str | None = "DirectoryOrCreate") -> Object:
    """A volume that is a path of the node."""
    source: Object = {"path": path}
    if kind:
        source["type"] = kind
    return {"name": name, "hostPath": source}


def secret_source(name: str, items: Iterable[tuple[str, str]] = (), *, optional: bool = True) -> Object:
    """One source of a projected volume; without items every key becomes a file."""
    secret: Object = {"name": name}
    if optional:
        secret["optional"] = True
    found = [{"key": key, "path": path} for key, path in items]
    if found:
        secret["items"] = found
    return {"secret": secret}


def certificate_sources(context: Context, secret: str, prefix: str, ca_file: str) -> list[Object]:
    """Key, certificate and trusted CA of a leaf secret as files; the CA comes from the bundle where one is on."""
    pair = [("tls.key", f"{prefix}.key"), ("tls.crt", f"{prefix}.crt")]
    if not prefix.endswith("client"):
        pair.reverse()
    if not context.on("tls.caBundle.enabled"):
        return [secret_source(secret, [*pair, ("ca.crt", ca_file)])]
    kind = "secret" if context.on("tls.caBundle.useSecret") else "configMap"
    bundle = {
        "name": context.text("tls.caBundle.name"),
        "optional": True,
        "items": [{"key": context.text("tls.caBundle.key"), "path": ca_file}],
    }
    return [secret_source(secret, pair), {kind: bundle}]


def mesh_secrets(context: Context, peers: str = "cilium-clustermesh", *, local: bool = True) -> Object:
    """Projected volume of peer entries and client certificates (cilium-clustermesh §2.2)."""
    sources = [secret_source(peers)]
    remote = "clustermesh-apiserver-remote-cert"
    sources += certificate_sources(context, remote, "common-etcd-client", "common-etcd-client-ca.crt")
    if local and context.minor >= 16:
        name = "clustermesh-apiserver-local-cert"
        sources += certificate_sources(context, name, "local-etcd-client", "local-etcd-client-ca.crt")
    name = "clustermesh-secrets" if peers == "cilium-clustermesh" else "kvstoremesh-secrets"
    return {"name": name, "projected": {"defaultMode": SECRET_MODE, "sources": sources}}


def priority_class(context: Context, path: str, usual: str) -> str:
    """The pod's priority class: the given one, else the usual critical one."""
    given = context.text(path)
    return given or (usual if context.on("enableCriticalPriorityClass") else "")


def host_users(context: Context, value: bool = True) -> Object:
    """``hostUsers`` where chart and cluster know it (1.20 on Kubernetes 1.33)."""
    return {"hostUsers": value} if context.minor >= 20 and context.kube_minor >= 33 else {}


def marked(annotations: dict[str, str], labels: dict[str, str]) -> Object:
    """A pod template's metadata. No annotations are a null: helm's merge then takes those of others away, such as the
    one of ``kubectl rollout restart``.
    """
    return {"annotations": annotations or None, "labels": labels}


def without_empty(found: Object) -> Object:
    """The object without keys whose value is null or an empty list, table or string."""
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def strings(values: Iterable[Any]) -> list[str]:
    """Items as a template prints them."""
    return [text(value) for value in values]
