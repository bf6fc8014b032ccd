"""Keys of ``cilium-config`` for the operator, Hubble, the proxy and the Kubernetes features that need it."""

from typing import Any

from backends.lab.charts.context import Context
from backends.lab.charts.settings.derived import chaining_mode, refused
from backends.lab.charts.trees import text

Data = dict[str, Any]


def reads_only_secrets_namespace(context: Context) -> bool:
    """Whether agents read TLS secrets of policies from the secrets namespace alone (1.17 and later)."""
    given = context.get("tls.readSecretsOnlyFromSecretsNamespace")
    if given is not None:
        return bool(given)
    backend = context.get("tls.secretsBackend")
    return backend is None or backend == "local"


def syncs_secrets(context: Context) -> bool:
    """Whether the operator copies those secrets there."""
    given = context.get("tls.secretSync.enabled")
    return bool(given) if given is not None else context.compatible(17)


def exposure(context: Context) -> Data:
    """Proxy DaemonSet, ingress, Gateway API, BGP, API client limits and metrics ports."""
    data: Data = {}
    envoy = context.envoy_daemonset
    data["external-envoy-proxy"] = text(envoy)
    if context.minor >= 20 and (context.get("envoy.xdsMode") is not None or context.compatible(20)):
        data["envoy-xds-mode"] = context.text("envoy.xdsMode") or "ads"
    wanted = context.on("envoy.prometheus.enabled") and (context.minor >= 16 or context.on("proxy.prometheus.enabled"))
    if not envoy and wanted:
        port = context.text("proxy.prometheus.port") if context.minor == 15 else ""
        data["proxy-prometheus-port"] = port or context.text("envoy.prometheus.port")
    if context.on("prometheus.enabled"):
        data["prometheus-serve-addr"] = f":{context.text('prometheus.port')}"
        if context.items("prometheus.metrics"):
            data["metrics"] = " ".join(text(item) for item in context.items("prometheus.metrics"))
        groups = context.items("prometheus.controllerGroupMetrics")
        if groups:
            data["controller-group-metrics"] = " ".join(text(item) for item in groups)
    data.update(_gateways(context))
    if context.on("bgpControlPlane.enabled"):
        data["enable-bgp-control-plane"] = "true"
        data["bgp-secrets-namespace"] = context.text("bgpControlPlane.secretsNamespace.name")
    elif context.minor == 15:
        data["enable-bgp-control-plane"] = "false"
    if context.minor < 17:
        fast = context.kube_minor >= 27
        data["k8s-client-qps"] = context.text("k8sClientRateLimit.qps") or ("10" if fast else "5")
        data["k8s-client-burst"] = context.text("k8sClientRateLimit.burst") or ("20" if fast else "10")
    return data


def _gateways(context: Context) -> Data:
    data: Data = {}
    features = ("envoyConfig.enabled", "ingressController.enabled", "gatewayAPI.enabled")
    if any(context.on(path) for path in features) or context.text("loadBalancer.l7.backend") == "envoy":
        data["enable-envoy-config"] = "true"
        if context.on("envoyConfig.enabled"):
            data["envoy-secrets-namespace"] = context.text("envoyConfig.secretsNamespace.name")
    if context.on("ingressController.enabled"):
        data["enable-ingress-controller"] = "true"
        data["ingress-secrets-namespace"] = context.text("ingressController.secretsNamespace.name")
        data["enable-ingress-secrets-sync"] = context.text("ingressController.secretsNamespace.sync")
    if context.on("gatewayAPI.enabled"):
        data["enable-gateway-api"] = "true"
        data["gateway-api-secrets-namespace"] = context.text("gatewayAPI.secretsNamespace.name")
        data["enable-gateway-api-secrets-sync"] = context.text("gatewayAPI.secretsNamespace.sync")
    if context.minor >= 17 and reads_only_secrets_namespace(context):
        data["policy-secrets-only-from-secrets-namespace"] = "true"
        data["policy-secrets-namespace"] = context.text("tls.secretsNamespace.name")
        if syncs_secrets(context):
            data["enable-policy-secrets-sync"] = "true"
    return data


def operator(context: Context) -> Data:
    """Operator addresses and intervals, node taints, endpoint slices, mesh API switches, transparent DNS."""
    data: Data = {}
    data["operator-api-serve-addr"] = "127.0.0.1:9234" if context.on("ipv4.enabled") else "[::1]:9234"
    if context.on("operator.prometheus.enabled"):
        data["operator-prometheus-serve-addr"] = f":{context.text('operator.prometheus.port')}"
        data["enable-metrics"] = "true"
    sets, removes = context.get("operator.setNodeTaints"), context.on("operator.removeNodeTaints")
    if sets and not removes:
        raise refused(
            context,
            "taints",
            "Cannot have operator.setNodeTaintsMaxNodes and not operator.removeNodeTaints = false",
        )
    if sets or (sets is None and removes):
        data["set-cilium-node-taints"] = "true"
    interval = "0"
    if context.on("operator.unmanagedPodWatcher.restart"):
        seconds = context.text("operator.unmanagedPodWatcher.intervalSeconds")
        interval = f"{seconds}s" if context.minor >= 19 else seconds
    data["unmanaged-pod-watcher-interval"] = interval
    if context.get("disableEndpointCRD") is True:
        data["disable-endpoint-crd"] = "true"
    slices = context.on("ciliumEndpointSlice.enabled")
    if slices or (context.minor < 18 and context.on("enableCiliumEndpointSlice")):
        data["enable-cilium-endpoint-slice"] = "true"
    if context.minor >= 19:
        data["clustermesh-enable-mcs-api"] = text(context.mcs_api)
    if context.has("dnsProxy.enableTransparentMode"):
        data["dnsproxy-enable-transparent-mode"] = context.text("dnsProxy.enableTransparentMode")
    elif chaining_mode(context) == "none":
        data["dnsproxy-enable-transparent-mode"] = "true"
    return data


def hubble(context: Context) -> Data:
    """Whether Hubble is on, its TLS files and its metrics."""
    if not context.on("hubble.enabled"):
        return {} if context.minor < 17 else {"enable-hubble": "false"}
    data: Data = {"enable-hubble": "true"}
    if context.has("hubble.listenAddress"):
        data["hubble-disable-tls"] = text(not context.on("hubble.tls.enabled"))
        if context.on("hubble.tls.enabled"):
            folder = "/var/lib/cilium/tls/hubble"
            data["hubble-tls-cert-file"] = f"{folder}/server.crt"
            data["hubble-tls-key-file"] = f"{folder}/server.key"
            data["hubble-tls-client-ca-files"] = f"{folder}/client-ca.crt"
    metrics = context.items("hubble.metrics.enabled")
    if metrics:
        data["hubble-metrics-server"] = f":{context.text('hubble.metrics.port')}"
        data["hubble-metrics"] = " ".join(text(item) for item in metrics)
        data["enable-hubble-open-metrics"] = context.text("hubble.metrics.enableOpenMetrics") or "false"
        if context.minor >= 16:
            data["hubble-metrics-server-enable-tls"] = context.text("hubble.metrics.tls.enabled")
    if context.on("hubble.preferIpv6") or (context.minor >= 17 and not context.on("ipv4.enabled")):
        data["hubble-prefer-ipv6"] = "true"
    return data
