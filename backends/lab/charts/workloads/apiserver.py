"""Deployment ``clustermesh-apiserver``: the mesh's etcd, its writer and the cache (cilium-clustermesh §2.5)."""

from backends.lab.charts.context import Context, Object, refuse
from backends.lab.charts.peers import host_aliases
from backends.lab.charts.trees import text
from backends.lab.charts.workloads.pods import (
    SECRET_MODE,
    certificate_sources,
    config_env,
    field_env,
    marked,
    mesh_secrets,
    mount,
    port,
    priority_class,
    strings,
    without_empty,
)

ROOT = "clustermesh.apiserver"
LABELS = {
    "k8s-app": "clustermesh-apiserver",
    "app.kubernetes.io/part-of": "cilium",
    "app.kubernetes.io/name": "clustermesh-apiserver",
}


def apiserver(context: Context) -> list[Object]:
    """The Deployment, when the release has a mesh server."""
    if not context.mesh_server:
        return []
    if context.text(f"{ROOT}.tls.authMode") not in ("legacy", "migration", "cluster"):
        raise refuse(
            "clustermesh-apiserver/deployment.yaml:3:4",
            ".Values.clustermesh.apiserver.tls.authMode must be one of legacy, migration, cluster",
        )
    annotations = context.table(f"{ROOT}.podAnnotations")
    if context.minor >= 18:
        annotations["kubectl.kubernetes.io/default-container"] = "apiserver"
    labels = {**context.labels(LABELS), **context.table(f"{ROOT}.podLabels")}
    strategy = context.table(f"{ROOT}.updateStrategy") if context.internal_store else {"type": "Recreate"}
    spec = {
        "replicas": context.get(f"{ROOT}.replicas"),
        "selector": {"matchLabels": {"k8s-app": "clustermesh-apiserver"}},
        "strategy": strategy,
        "template": {
            "metadata": marked(annotations, labels),
            "spec": _pod(context),
        },
    }
    metadata = context.metadata("clustermesh-apiserver", LABELS, context.table("clustermesh.annotations"))
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}]


def _caches(context: Context) -> bool:
    return context.on(f"{ROOT}.kvstoremesh.enabled")


def _pod(context: Context) -> Object:
    containers: list[Object] = []
    if context.internal_store:
        containers.append(_etcd(context))
    if context.minor < 17 or context.crd_identities:
        containers.append(_writer(context))
    if _caches(context):
        containers.append(_cache(context))
    aliases = []
    if context.on("clustermesh.config.enabled") and _caches(context):
        aliases = host_aliases(context)
    return without_empty(
        {
            "imagePullSecrets": context.items("imagePullSecrets"),
            "securityContext": context.table(f"{ROOT}.podSecurityContext"),
            "initContainers": [_etcd_init(context)] if context.internal_store else [],
            "containers": containers,
            "volumes": _volumes(context),
            "restartPolicy": "Always",
            "priorityClassName": priority_class(context, f"{ROOT}.priorityClassName", "system-cluster-critical"),
            "serviceAccountName": context.text("serviceAccounts.clustermeshApiserver.name"),
            "automountServiceAccountToken": context.get("serviceAccounts.clustermeshApiserver.automount"),
            "terminationGracePeriodSeconds": context.get(f"{ROOT}.terminationGracePeriodSeconds"),
            "affinity": context.table(f"{ROOT}.affinity"),
            "nodeSelector": context.table(f"{ROOT}.nodeSelector"),
            "tolerations": context.items(f"{ROOT}.tolerations"),
            "hostAliases": aliases,
        }
    )


def _container(context: Context, name: str, **parts: object) -> Object:
    return without_empty(
        {
            "name": name,
            "image": context.image(f"{ROOT}.image"),
            "imagePullPolicy": context.text(f"{ROOT}.image.pullPolicy"),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **parts,
        }
    )


def _debug(context: Context) -> list[str]:
    return ["--debug"] if context.on("debug.enabled") else []


def _etcd_init(context: Context) -> Object:
    return _container(
        context,
        "etcd-init",
        command=["/usr/bin/clustermesh-apiserver"],
        args=[
            "etcdinit",
            *_debug(context),
            "--etcd-cluster-name=clustermesh-apiserver",
            "--etcd-initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)",
            "--etcd-data-dir=/var/run/etcd",
            *strings(context.items(f"{ROOT}.etcd.init.extraArgs")),
        ],
        env=[
            config_env("CILIUM_CLUSTER_NAME", "cluster-name"),
            field_env("INITIAL_CLUSTER_TOKEN", "metadata.uid", versioned=False),
            *context.items(f"{ROOT}.etcd.init.extraEnv"),
        ],
        volumeMounts=[mount("etcd-data-dir", "/var/run/etcd"), *context.items(f"{ROOT}.extraVolumeMounts")],
    )


def _etcd(context: Context) -> Object:
    new = context.minor >= 19
    listen = "https://0.0.0.0:2379" if new else "https://127.0.0.1:2379,https://[$(HOSTNAME_IP)]:2379"
    advertise = "https://localhost:2379" if new else "https://[$(HOSTNAME_IP)]:2379"
    args = [
        "--data-dir=/var/run/etcd",
        "--name=clustermesh-apiserver",
        "--client-cert-auth",
        "--trusted-ca-file=/var/lib/etcd-secrets/ca.crt",
        "--cert-file=/var/lib/etcd-secrets/tls.crt",
        "--key-file=/var/lib/etcd-secrets/tls.key",
        f"--listen-client-urls={listen}",
        f"--advertise-client-urls={advertise}",
        "--initial-cluster-token=$(INITIAL_CLUSTER_TOKEN)",
        "--auto-compaction-retention=1",
    ]
    env = [{"name": "ETCDCTL_API", "value": "3"}]
    if new:
        args.append("--enable-grpc-gateway=false")
    else:
        env.append(field_env("HOSTNAME_IP", "status.podIP", versioned=False))
    env.append(field_env("INITIAL_CLUSTER_TOKEN", "metadata.uid", versioned=False))
    ports = [port("etcd", 2379)]
    if context.on(f"{ROOT}.metrics.etcd.enabled"):
        number = context.text(f"{ROOT}.metrics.etcd.port")
        args.append(f"--listen-metrics-urls=http://{'0.0.0.0' if new else '[$(HOSTNAME_IP)]'}:{number}")
        args.append(f"--metrics={context.text(f'{ROOT}.metrics.etcd.mode')}")
        ports.append(port("etcd-metrics", number))
    mounts = [mount("etcd-server-secrets", "/var/lib/etcd-secrets", read_only=True)]
    mounts += [mount("etcd-data-dir", "/var/run/etcd"), *context.items(f"{ROOT}.extraVolumeMounts")]
    return _container(context, "etcd", command=["/usr/bin/etcd"], args=args, env=env, ports=ports, volumeMounts=mounts)


def _connected_limit(context: Context) -> list[str]:
    path = "clustermesh.maxConnectedClusters"
    return [f"--max-connected-clusters={context.text(path)}"] if context.has(path) else []


def _writer_args(context: Context) -> list[str]:
    args = ["clustermesh", *_debug(context), "--cluster-name=$(CLUSTER_NAME)", "--cluster-id=$(CLUSTER_ID)"]
    if context.minor == 15:
        args += ["--kvstore-opt", "etcd.config=/var/lib/cilium/etcd-config.yaml"]
    else:
        rate = context.text(f"{ROOT}.etcdQPS") if context.minor >= 20 else "20"
        args += ["--kvstore-opt=etcd.config=/var/lib/cilium/etcd-config.yaml"]
        args += [f"--kvstore-opt=etcd.qps={rate}", "--kvstore-opt=etcd.bootstrapQps=10000"]
    args += _connected_limit(context)
    if context.minor >= 16:
        args.append(f"--health-port={context.text(f'{ROOT}.healthPort')}")
    if context.text(f"{ROOT}.tls.authMode") != "legacy":
        args += ["--cluster-users-enabled", "--cluster-users-config-path=/var/lib/cilium/etcd-config/users.yaml"]
    if context.minor < 18:
        args.append(f"--enable-external-workloads={context.text('externalWorkloads.enabled')}")
    if context.on(f"{ROOT}.metrics.enabled"):
        args += [f"--prometheus-serve-addr=:{context.text(f'{ROOT}.metrics.port')}", "--controller-group-metrics=all"]
    if context.minor >= 17 and context.mcs_api:
        args.append("--clustermesh-enable-mcs-api")
    if context.minor >= 17 and context.on("ciliumEndpointSlice.enabled"):
        args.append("--enable-cilium-endpoint-slice")
    if context.minor >= 20:
        args.append(f"--clustermesh-default-global-namespace={context.text('clustermesh.defaultGlobalNamespace')}")
    return [*args, *strings(context.items(f"{ROOT}.extraArgs"))]


def _writer(context: Context) -> Object:
    env = [config_env("CLUSTER_NAME", "cluster-name"), config_env("CLUSTER_ID", "cluster-id", optional=True)]
    if context.minor == 15:
        env.append(config_env("IDENTITY_ALLOCATION_MODE", "identity-allocation-mode"))
    env.append(config_env("ENABLE_K8S_ENDPOINT_SLICE", "enable-k8s-endpoint-slice", optional=True))
    ports = []
    if context.minor >= 16:
        ports.append(port("apiserv-health", context.get(f"{ROOT}.healthPort")))
    if context.on(f"{ROOT}.metrics.enabled"):
        ports.append(port("apiserv-metrics", context.get(f"{ROOT}.metrics.port")))
    mounts = [mount("etcd-admin-client", "/var/lib/cilium/etcd-secrets", read_only=True)]
    if context.text(f"{ROOT}.tls.authMode") != "legacy":
        mounts.append(mount("etcd-users-config", "/var/lib/cilium/etcd-config", read_only=True))
    parts: Object = {}
    if context.minor >= 16:
        parts["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": "apiserv-health"}}
    return _container(
        context,
        "apiserver",
        command=["/usr/bin/clustermesh-apiserver"],
        args=_writer_args(context),
        env=[*env, *context.items(f"{ROOT}.extraEnv")],
        ports=ports,
        volumeMounts=[*mounts, *context.items(f"{ROOT}.extraVolumeMounts")],
        **parts,
    )


def _cache_args(context: Context) -> list[str]:
    args = ["kvstoremesh", *_debug(context), "--cluster-name=$(CLUSTER_NAME)", "--cluster-id=$(CLUSTER_ID)"]
    rate = context.text(f"{ROOT}.kvstoremesh.etcdQPS") if context.minor >= 20 else "100"
    args += ["--kvstore-opt=etcd.config=/var/lib/cilium/etcd-config.yaml", f"--kvstore-opt=etcd.qps={rate}"]
    if context.minor >= 16 and context.internal_store:
        args.append("--kvstore-opt=etcd.bootstrapQps=10000")
    args += ["--kvstore-opt=etcd.maxInflight=10", "--clustermesh-config=/var/lib/cilium/clustermesh"]
    args += _connected_limit(context)
    if context.minor >= 19:
        args.append(f"--clustermesh-cache-ttl={context.text('clustermesh.cacheTTL')}")
    if context.minor >= 16:
        args.append(f"--health-port={context.text(f'{ROOT}.kvstoremesh.healthPort')}")
    if context.on(f"{ROOT}.metrics.kvstoremesh.enabled"):
        number = context.text(f"{ROOT}.metrics.kvstoremesh.port")
        args += [f"--prometheus-serve-addr=:{number}", "--controller-group-metrics=all"]
    if context.minor >= 18:
        args.append(f"--enable-heartbeat={text(not context.crd_identities)}")
    return [*args, *strings(context.items(f"{ROOT}.kvstoremesh.extraArgs"))]


def _cache(context: Context) -> Object:
    ports = []
    parts: Object = {}
    if context.minor >= 16:
        ports.append(port("kvmesh-health", context.get(f"{ROOT}.kvstoremesh.healthPort")))
        parts["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": "kvmesh-health"}}
    if context.on(f"{ROOT}.metrics.kvstoremesh.enabled"):
        ports.append(port("kvmesh-metrics", context.get(f"{ROOT}.metrics.kvstoremesh.port")))
    mounts = []
    if context.internal_store:
        mounts.append(mount("etcd-admin-client", "/var/lib/cilium/etcd-secrets", read_only=True))
    mounts.append(mount("kvstoremesh-secrets", "/var/lib/cilium/clustermesh", read_only=True))
    if not context.internal_store:
        mounts.append(mount("etcd-config", "/var/lib/cilium", read_only=True))
    env = [config_env("CLUSTER_NAME", "cluster-name"), config_env("CLUSTER_ID", "cluster-id")]
    return _container(
        context,
        "kvstoremesh",
        command=["/usr/bin/clustermesh-apiserver"],
        args=_cache_args(context),
        env=[*env, *context.items(f"{ROOT}.kvstoremesh.extraEnv")],
        ports=ports,
        volumeMounts=[*mounts, *context.items(f"{ROOT}.kvstoremesh.extraVolumeMounts")],
        **parts,
    )


def _own_certificate(context: Context, volume: str, secret: str) -> Object:
    sources = certificate_sources(context, secret, "tls", "ca.crt")
    for source in sources:
        for item in source.values():
            item.pop("optional", None)
    return {"name": volume, "projected": {"defaultMode": SECRET_MODE, "sources": sources}}


def _volumes(context: Context) -> list[Object]:
    found: list[Object] = []
    if context.internal_store:
        found.append(_own_certificate(context, "etcd-server-secrets", "clustermesh-apiserver-server-cert"))
        found.append(_own_certificate(context, "etcd-admin-client", "clustermesh-apiserver-admin-cert"))
        if context.text(f"{ROOT}.tls.authMode") != "legacy":
            users = {"name": "clustermesh-remote-users", "defaultMode": SECRET_MODE}
            found.append({"name": "etcd-users-config", "configMap": users})
        memory = context.text(f"{ROOT}.etcd.storageMedium") == "Memory"
        found.append({"name": "etcd-data-dir", "emptyDir": {"medium": "Memory"} if memory else {}})
    if _caches(context):
        found.append(mesh_secrets(context, "cilium-kvstoremesh", local=False))
        if not context.internal_store:
            items = [{"key": "etcd-config", "path": "etcd-config.yaml"}]
            source = {"name": "cilium-config", "defaultMode": SECRET_MODE, "items": items}
            found.append({"name": "etcd-config", "configMap": source})
    return [*found, *context.items(f"{ROOT}.extraVolumes")]
