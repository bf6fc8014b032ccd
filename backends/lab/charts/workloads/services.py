"""Services of the mesh server and of Hubble's peers."""

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads.apiserver import LABELS, ROOT


def services(context: Context) -> list[Object]:
    """``clustermesh-apiserver`` and its metrics, ``hubble-peer``, the agents' metrics."""
    return [*_mesh(context), *_mesh_metrics(context), *_hubble_peer(context), *_agent_metrics(context)]


def _mesh(context: Context) -> list[Object]:
    external = context.minor >= 19 and context.on(f"{ROOT}.service.externallyCreated")
    if not context.mesh_server or not context.internal_store or external:
        return []
    service = f"{ROOT}.service"
    kind = context.text(f"{service}.type")
    annotations = {**context.table("clustermesh.annotations"), **context.table(f"{service}.annotations")}
    metadata = context.metadata("clustermesh-apiserver", LABELS, annotations)
    if context.minor >= 17:
        metadata["labels"].update(context.table(f"{service}.labels"))
    port: Object = {"port": 2379}
    if kind == "NodePort" and context.on(f"{service}.nodePort"):
        port["nodePort"] = context.get(f"{service}.nodePort")
    spec: Object = {"type": kind, "selector": {"k8s-app": "clustermesh-apiserver"}, "ports": [port]}
    if kind == "LoadBalancer":
        names = ["loadBalancerClass", "loadBalancerIP"]
        if context.minor >= 17:
            names.append("loadBalancerSourceRanges")
        for name in names:
            if context.on(f"{service}.{name}"):
                spec[name] = context.get(f"{service}.{name}")
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if context.on(f"{service}.{name}"):
            spec[name] = context.get(f"{service}.{name}")
    if context.minor >= 16:
        sticky = context.text(f"{service}.enableSessionAffinity")
        if sticky == "Always" or (sticky == "HAOnly" and int(context.get(f"{ROOT}.replicas")) > 1):
            spec["sessionAffinity"] = "ClientIP"
    return [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}]


def _mesh_metrics(context: Context) -> list[Object]:
    metrics = f"{ROOT}.metrics"
    cache = context.on(f"{ROOT}.kvstoremesh.enabled") and context.on(f"{metrics}.kvstoremesh.enabled")
    ports: list[Object] = []
    if context.on(f"{metrics}.enabled") and context.internal_store and (context.minor < 17 or context.crd_identities):
        ports.append(_named("apiserv-metrics", int(context.get(f"{metrics}.port"))))
    if cache:
        ports.append(_named("kvmesh-metrics", int(context.get(f"{metrics}.kvstoremesh.port"))))
    if context.on(f"{metrics}.etcd.enabled") and context.internal_store:
        ports.append(_named("etcd-metrics", int(context.get(f"{metrics}.etcd.port"))))
    if not context.mesh_server or not ports:
        return []
    labels = {**LABELS, "app.kubernetes.io/component": "metrics"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": context.metadata(
                "clustermesh-apiserver-metrics", labels, context.table("clustermesh.annotations")
            ),
            "spec": {
                "clusterIP": "None",
                "type": "ClusterIP",
                "selector": {"k8s-app": "clustermesh-apiserver"},
                "ports": ports,
            },
        }
    ]


def _named(name: str, number: int) -> Object:
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": name}


def _hubble_peer(context: Context) -> list[Object]:
    if not (context.on("agent") and context.on("hubble.enabled")) or context.on("preflight.enabled"):
        return []
    labels = {
        "k8s-app": "cilium",
        "app.kubernetes.io/part-of": "cilium",
        "app.kubernetes.io/name": "hubble-peer",
    }
    port = context.get("hubble.peerService.servicePort") or (443 if context.on("hubble.tls.enabled") else 80)
    target = int(context.get("hubble.peerService.targetPort"))
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": context.metadata("hubble-peer", labels, context.table("hubble.annotations")),
            "spec": {
                "selector": {"k8s-app": "cilium"},
                "ports": [{"name": "peer-service", "port": int(port), "protocol": "TCP", "targetPort": target}],
                "internalTrafficPolicy": "Local",
            },
        }
    ]


def _agent_metrics(context: Context) -> list[Object]:
    wanted = context.on("agent") and context.on("prometheus.enabled") and not context.on("preflight.enabled")
    monitored = context.on("prometheus.serviceMonitor.enabled") or (
        context.minor >= 17 and context.on("prometheus.metricsService")
    )
    number = int(context.get("proxy.prometheus.port") or context.get("envoy.prometheus.port"))
    proxy = context.on("envoy.prometheus.enabled") and not context.envoy_daemonset
    if not wanted or not (monitored or proxy):
        return []
    ports = [_named("envoy-metrics", number)] if not context.envoy_daemonset else []
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": str(number)}
    if monitored:
        ports.insert(0, {**_named("metrics", int(context.get("prometheus.port"))), "targetPort": "prometheus"})
        annotations = context.table("annotations")
    labels = {
        "k8s-app": "cilium",
        "app.kubernetes.io/name": "cilium-agent",
        "app.kubernetes.io/part-of": "cilium",
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": context.metadata("cilium-agent", labels, annotations),
            "spec": {"clusterIP": "None", "type": "ClusterIP", "selector": {"k8s-app": "cilium"}, "ports": ports},
        }
    ]
