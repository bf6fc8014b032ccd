"""DaemonSet ``cilium``: the agent on every node."""

import hashlib
import json

from backends.lab.charts.context import Context, Object
from backends.lab.charts.peers import host_aliases
from backends.lab.charts.settings.config_map import settings
from backends.lab.charts.workloads.agent_init import init_containers
from backends.lab.charts.workloads.agent_volumes import agent_mounts, agent_volumes
from backends.lab.charts.workloads.pods import (
    api_server_env,
    host_users,
    marked,
    node_env,
    port,
    priority_class,
    privileged,
    strings,
    without_empty,
)

LABELS = {
    "k8s-app": "cilium",
    "app.kubernetes.io/part-of": "cilium",
    "app.kubernetes.io/name": "cilium-agent",
}


def agent(context: Context) -> list[Object]:
    """The DaemonSet, unless the agent is left out of the release."""
    if not context.on("agent") or context.on("preflight.enabled"):
        return []
    spec: Object = {
        "selector": {"matchLabels": {"k8s-app": "cilium"}},
        "updateStrategy": context.table("updateStrategy"),
        "template": {
            "metadata": marked(_annotations(context), _pod_labels(context)),
            "spec": _pod(context),
        },
    }
    name = context.text("name") if context.minor >= 17 else "cilium"
    metadata = context.metadata(name, LABELS, context.table("annotations"))
    return [{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}]


def settings_checksum(context: Context) -> str:
    """Digest of ``cilium-config`` that rolls pods when ``rollOutPods`` is on."""
    return hashlib.sha256(json.dumps(settings(context), sort_keys=True).encode()).hexdigest()


def _annotations(context: Context) -> dict[str, str]:
    found: dict[str, str] = {}
    if context.on("prometheus.enabled") and not context.on("prometheus.serviceMonitor.enabled"):
        found.update({"prometheus.io/port": context.text("prometheus.port"), "prometheus.io/scrape": "true"})
    if context.on("rollOutCiliumPods"):
        found["cilium.io/cilium-configmap-checksum"] = settings_checksum(context)
    if not context.on("securityContext.privileged") and context.kube_minor < 30:
        confined = ["cilium-agent", "clean-cilium-state"]
        if context.on("cgroup.autoMount.enabled"):
            confined += ["mount-cgroup", "apply-sysctl-overwrites"]
        for container in confined:
            found[f"container.apparmor.security.beta.kubernetes.io/{container}"] = "unconfined"
    found.update(context.table("podAnnotations"))
    if context.minor >= 18:
        found["kubectl.kubernetes.io/default-container"] = "cilium-agent"
    return found


def _pod_labels(context: Context) -> dict[str, str]:
    return {**context.labels(LABELS), **context.table("podLabels")}


def _pod(context: Context) -> Object:
    account = "serviceAccounts.cilium"
    security: Object = {}
    if context.kube_minor >= 30:
        security["appArmorProfile"] = {"type": "Unconfined"}
    if context.minor >= 17:
        security["seccompProfile"] = {"type": "Unconfined"}
    aliases = []
    if context.on("clustermesh.config.enabled") and not context.kvstoremesh:
        aliases = host_aliases(context)
    return without_empty(
        {
            "imagePullSecrets": context.items("imagePullSecrets"),
            "securityContext": security,
            "containers": [_container(context), *context.items("extraContainers")],
            "initContainers": init_containers(context),
            "restartPolicy": "Always",
            "priorityClassName": priority_class(context, "priorityClassName", "system-node-critical"),
            "serviceAccountName": context.text(f"{account}.name"),
            "automountServiceAccountToken": context.get(f"{account}.automount"),
            "terminationGracePeriodSeconds": context.get("terminationGracePeriodSeconds"),
            "hostNetwork": True,
            **host_users(context),
            "dnsPolicy": context.text("dnsPolicy"),
            "affinity": context.table("affinity"),
            "nodeSelector": context.table("nodeSelector"),
            "tolerations": context.items("tolerations"),
            "hostAliases": aliases,
            "volumes": agent_volumes(context),
        }
    )


def _container(context: Context) -> Object:
    env = [
        *node_env(),
        {"name": "CILIUM_CLUSTERMESH_CONFIG", "value": "/var/lib/cilium/clustermesh/"},
        {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1"}}},
        *api_server_env(context),
    ]
    backoff = "k8sClientExponentialBackoff"
    if context.minor >= 18 and context.on(f"{backoff}.enabled"):
        env.append({"name": "KUBE_CLIENT_BACKOFF_BASE", "value": context.text(f"{backoff}.backoffBaseSeconds")})
        seconds = context.text(f"{backoff}.backoffMaxDurationSeconds")
        env.append({"name": "KUBE_CLIENT_BACKOFF_DURATION", "value": seconds})
    return without_empty(
        {
            "name": "cilium-agent",
            "image": context.image("image"),
            "imagePullPolicy": context.text("image.pullPolicy"),
            "command": ["cilium-agent"],
            "args": ["--config-dir=/tmp/cilium/config-map", *strings(context.items("extraArgs"))],
            "env": [*env, *context.items("extraEnv")],
            "ports": _ports(context),
            "volumeMounts": agent_mounts(context),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **privileged(context),
        }
    )


def _ports(context: Context) -> list[Object]:
    hubble = context.items("hubble.metrics.enabled")
    metrics = context.on("prometheus.enabled")
    found: list[Object] = []
    if context.minor >= 19:
        found.append(port("health", context.get("healthPort"), host=True))
        if context.on("hubble.enabled"):
            found.append(port("peer-service", context.get("hubble.peerService.targetPort"), host=True))
    elif metrics or hubble:
        found.append(port("peer-service", context.get("hubble.peerService.targetPort"), host=True))
    if metrics:
        found.append(port("prometheus", context.get("prometheus.port"), host=True))
        if context.on("envoy.prometheus.enabled") and not context.envoy_daemonset:
            number = context.get("proxy.prometheus.port") or context.get("envoy.prometheus.port")
            found.append(port("envoy-metrics", number, host=True))
        found += _proxy_admin(context)
    if hubble:
        found.append(port("hubble-metrics", context.get("hubble.metrics.port"), host=True))
    return found


def _proxy_admin(context: Context) -> list[Object]:
    """The proxy's admin port; 1.16 opens it whether or not it is enabled."""
    admin = "envoy.debug.admin"
    enabled = context.minor == 16 or context.on(f"{admin}.enabled")
    if context.minor == 15 or context.envoy_daemonset or not enabled or not context.on(f"{admin}.port"):
        return []
    return [port("envoy-admin", context.get(f"{admin}.port"), host=True)]
