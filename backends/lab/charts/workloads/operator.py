"""Deployment ``cilium-operator``."""

from backends.lab.charts.context import Context, Object
from backends.lab.charts.peers import host_aliases
from backends.lab.charts.workloads.agent import settings_checksum
from backends.lab.charts.workloads.pods import (
    api_server_env,
    config_env,
    host_users,
    mesh_secrets,
    mount,
    node_env,
    port,
    priority_class,
    strings,
    without_empty,
)

LABELS = {
    "io.cilium/app": "operator",
    "name": "cilium-operator",
    "app.kubernetes.io/part-of": "cilium",
    "app.kubernetes.io/name": "cilium-operator",
}


def operator(context: Context) -> list[Object]:
    """The Deployment, and its PodDisruptionBudget where one is asked for."""
    if not context.on("operator.enabled"):
        return []
    annotations: dict[str, str] = {}
    if context.on("operator.rollOutPods"):
        annotations["cilium.io/cilium-configmap-checksum"] = settings_checksum(context)
    if context.on("operator.prometheus.enabled") and not context.on("operator.prometheus.serviceMonitor.enabled"):
        annotations["prometheus.io/port"] = context.text("operator.prometheus.port")
        annotations["prometheus.io/scrape"] = "true"
    annotations.update(context.table("operator.podAnnotations"))
    labels = {**context.labels(LABELS), **context.table("operator.podLabels")}
    spec = {
        "replicas": context.get("operator.replicas"),
        "selector": {"matchLabels": {"io.cilium/app": "operator", "name": "cilium-operator"}},
        "strategy": _strategy(context),
        "template": {
            "metadata": without_empty({"annotations": annotations, "labels": labels}),
            "spec": _pod(context),
        },
    }
    metadata = context.metadata("cilium-operator", LABELS, context.table("operator.annotations"))
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}]


def imports_slices(context: Context) -> bool:
    """Whether the operator itself reads remote clusters: EndpointSlice synchronisation or the MCS API."""
    slices = context.minor >= 16 and context.on("clustermesh.enableEndpointSliceSynchronization")
    return slices or (context.minor >= 17 and context.mcs_api)


def _strategy(context: Context) -> Object:
    given = context.table("operator.updateStrategy")
    if context.text("operator.replicas") == "1" and given.get("type") == "RollingUpdate":
        surge = context.get("operator.updateStrategy.rollingUpdate.maxSurge")
        return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": "100%"}}
    return given


def _flavour(context: Context) -> str:
    for cloud, name in (("eni", "aws"), ("azure", "azure"), ("alibabacloud", "alibabacloud")):
        if context.on(f"{cloud}.enabled"):
            return name
    return "generic"


def _image(context: Context) -> str:
    path = "operator.image"
    if context.on(f"{path}.override"):
        return context.text(f"{path}.override")
    flavour = _flavour(context)
    digest = context.text(f"{path}.{flavour}Digest") if context.on(f"{path}.useDigest") else ""
    name = f"{context.text(f'{path}.repository')}-{flavour}{context.text(f'{path}.suffix')}"
    tag = context.text(f"{path}.tag")
    return f"{name}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"


def _pod(context: Context) -> Object:
    volumes: list[Object] = [{"name": "cilium-config-path", "configMap": {"name": "cilium-config"}}]
    volumes += context.items("operator.extraVolumes")
    aliases: list[Object] = []
    if imports_slices(context):
        volumes.append(mesh_secrets(context))
        if context.on("clustermesh.config.enabled") and not context.kvstoremesh:
            aliases = host_aliases(context)
    tolerations = context.items("operator.tolerations")
    if context.minor >= 17 and context.has("agentNotReadyTaintKey"):
        tolerations.append({"key": context.text("agentNotReadyTaintKey"), "operator": "Exists"})
    host_network = context.minor == 15 or context.on("operator.hostNetwork")
    return without_empty(
        {
            "imagePullSecrets": context.items("imagePullSecrets"),
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}} if context.minor >= 18 else {},
            "containers": [_container(context, host_network)],
            "hostNetwork": host_network,
            **host_users(context, context.get("operator.hostUsers", True)),
            "dnsPolicy": context.text("operator.dnsPolicy"),
            "restartPolicy": "Always",
            "priorityClassName": priority_class(context, "operator.priorityClassName", "system-cluster-critical"),
            "serviceAccountName": context.text("serviceAccounts.operator.name"),
            "automountServiceAccountToken": context.get("serviceAccounts.operator.automount"),
            "affinity": context.table("operator.affinity"),
            "nodeSelector": context.table("operator.nodeSelector"),
            "hostAliases": aliases,
            "tolerations": tolerations,
            "volumes": volumes,
        }
    )


def _container(context: Context, host_network: bool) -> Object:
    env = node_env()
    mounts = [mount("cilium-config-path", "/tmp/cilium/config-map", read_only=True)]
    if imports_slices(context):
        env.append({"name": "CILIUM_CLUSTERMESH_CONFIG", "value": "/var/lib/cilium/clustermesh/"})
        mounts.append(mount("clustermesh-secrets", "/var/lib/cilium/clustermesh", read_only=True))
    env.append(config_env("CILIUM_DEBUG", "debug", optional=True))
    env += [*_cloud_credentials(context), *api_server_env(context), *context.items("operator.extraEnv")]
    ports: list[Object] = []
    if context.minor >= 19:
        health: Object = {"name": "health", "containerPort": 9234}
        ports.append({**health, "hostPort": 9234} if host_network else health)
    if context.on("operator.prometheus.enabled"):
        ports.append(port("prometheus", context.get("operator.prometheus.port"), host=host_network))
    args = ["--config-dir=/tmp/cilium/config-map", "--debug=$(CILIUM_DEBUG)"]
    return without_empty(
        {
            "name": "cilium-operator",
            "image": _image(context),
            "imagePullPolicy": context.text("operator.image.pullPolicy"),
            "command": [f"cilium-operator-{_flavour(context)}"],
            "args": [*args, *strings(context.items("operator.extraArgs"))],
            "env": env,
            "ports": ports,
            "volumeMounts": [*mounts, *context.items("operator.extraVolumeMounts")],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )


def _cloud_credentials(context: Context) -> list[Object]:
    """Keys for the EC2 API in ENI mode, unless the nodes' role is used."""
    if not context.on("eni.enabled") or context.on("eni.iamRole"):
        return []
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "cilium-aws", "key": name, "optional": True}}}
        for name in names
    ]
