"""DaemonSet ``cilium-envoy`` (default since 1.16), its bootstrap ConfigMap and metrics Service."""

import json

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads.pods import (
    SECRET_MODE,
    api_server_env,
    host_path,
    host_users,
    marked,
    mount,
    node_env,
    port,
    priority_class,
    privileged,
    strings,
    without_empty,
)

LABELS = {
    "k8s-app": "cilium-envoy",
    "app.kubernetes.io/part-of": "cilium",
    "app.kubernetes.io/name": "cilium-envoy",
    "name": "cilium-envoy",
}


def envoy(context: Context) -> list[Object]:
    """All objects of the proxy when it runs as its own DaemonSet."""
    if not context.envoy_daemonset or context.on("preflight.enabled"):
        return []
    found = [_bootstrap(context), _daemonset(context)]
    if context.on("envoy.prometheus.enabled"):
        found.append(_service(context))
    return found


def _bootstrap(context: Context) -> Object:
    admin = f"{context.text('daemon.runPath')}/envoy/sockets/admin.sock"
    body = {"admin": {"address": {"pipe": {"path": admin}}}, "node": {"cluster": "ingress-cluster"}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": context.metadata("cilium-envoy-config", None, context.table("envoy.annotations")),
        "data": {"bootstrap-config.json": json.dumps(body, separators=(",", ":"))},
    }


def _daemonset(context: Context) -> Object:
    annotations: dict[str, str] = {}
    if context.kube_minor < 30:
        annotations["container.apparmor.security.beta.kubernetes.io/cilium-envoy"] = "unconfined"
    annotations.update(context.table("envoy.podAnnotations"))
    labels = {**context.labels(LABELS), **context.table("envoy.podLabels")}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": context.metadata("cilium-envoy", LABELS, context.table("envoy.annotations")),
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "cilium-envoy"}},
            "updateStrategy": context.table("envoy.updateStrategy"),
            "template": {
                "metadata": marked(annotations, labels),
                "spec": _pod(context),
            },
        },
    }


def _pod(context: Context) -> Object:
    run = context.text("daemon.runPath")
    config = {
        "name": "cilium-envoy-config",
        "defaultMode": SECRET_MODE,
        "items": [{"key": "bootstrap-config.json", "path": "bootstrap-config.json"}],
    }
    security = {"appArmorProfile": {"type": "Unconfined"}} if context.kube_minor >= 30 else {}
    return without_empty(
        {
            "imagePullSecrets": context.items("imagePullSecrets"),
            "securityContext": security,
            "containers": [_container(context)],
            "restartPolicy": "Always",
            "priorityClassName": priority_class(context, "envoy.priorityClassName", "system-node-critical"),
            "serviceAccountName": context.text("serviceAccounts.envoy.name"),
            "automountServiceAccountToken": context.get("serviceAccounts.envoy.automount"),
            "terminationGracePeriodSeconds": context.get("envoy.terminationGracePeriodSeconds"),
            "hostNetwork": True,
            **host_users(context),
            "affinity": context.table("envoy.affinity"),
            "nodeSelector": context.table("envoy.nodeSelector"),
            "tolerations": context.items("envoy.tolerations"),
            "volumes": [
                host_path("envoy-sockets", f"{run}/envoy/sockets"),
                host_path("envoy-artifacts", f"{run}/envoy/artifacts"),
                {"name": "envoy-config", "configMap": config},
                host_path("bpf-maps", "/sys/fs/bpf"),
            ],
        }
    )


def _container(context: Context) -> Object:
    args = ["--", "-c /var/run/cilium/envoy/bootstrap-config.json"]
    args += [f"--base-id {context.text('envoy.baseID') or '0'}", f"--log-level {_log_level(context)}"]
    if context.minor < 17 or context.on("envoy.log.formatAlways"):
        args.append(f"--log-format {context.text('envoy.log.format')}")
    if context.on("envoy.log.path"):
        args.append(f"--log-path {context.text('envoy.log.path')}")
    if context.on("envoy.securityContext.capabilities.keepCapNetBindService"):
        args.insert(0, "--keep-cap-net-bind-service")
    ports = []
    if context.on("envoy.prometheus.enabled"):
        ports.append(port("envoy-metrics", context.get("envoy.prometheus.port"), host=True))
    return without_empty(
        {
            "name": "cilium-envoy",
            "image": context.image("envoy.image"),
            "imagePullPolicy": context.text("envoy.image.pullPolicy"),
            "command": ["/usr/bin/cilium-envoy-starter"],
            "args": [*args, *strings(context.items("envoy.extraArgs"))],
            "env": [*node_env(), *api_server_env(context), *context.items("envoy.extraEnv")],
            "ports": ports,
            "volumeMounts": [
                mount("envoy-sockets", "/var/run/cilium/envoy/sockets", read_only=False),
                mount("envoy-artifacts", "/var/run/cilium/envoy/artifacts", read_only=True),
                mount("envoy-config", "/var/run/cilium/envoy/", read_only=True),
                mount("bpf-maps", "/sys/fs/bpf", propagation="HostToContainer"),
            ],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **privileged(context, "envoy.securityContext.privileged"),
        }
    )


def _log_level(context: Context) -> str:
    if context.on("debug.enabled"):
        topics = context.text("debug.verbose").split(" ")
        if "envoy" in topics:
            return "trace"
        if "flow" in topics:
            return "debug"
    return context.text("envoy.log.defaultLevel") or "info"


def _service(context: Context) -> Object:
    number = context.text("envoy.prometheus.port")
    target = int(number) if context.minor >= 19 else "envoy-metrics"
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": number}
    if context.on("envoy.prometheus.serviceMonitor.enabled"):
        annotations = {}
    labels = {
        "k8s-app": "cilium-envoy",
        "app.kubernetes.io/name": "cilium-envoy",
        "app.kubernetes.io/part-of": "cilium",
        "io.cilium/app": "proxy",
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata("cilium-envoy", labels, {**annotations, **context.table("envoy.annotations")}),
        "spec": {
            "clusterIP": "None",
            "type": "ClusterIP",
            "selector": {"k8s-app": "cilium-envoy"},
            "ports": [{"name": "envoy-metrics", "port": int(number), "protocol": "TCP", "targetPort": target}],
        },
    }
