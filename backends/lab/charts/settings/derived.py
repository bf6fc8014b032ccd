"""Keys of ``cilium-config`` that follow from several values at once."""

import json
from collections.abc import Mapping
from typing import Any, Final

from backends.lab.charts.context import ChartError, Context, refuse
from backends.lab.charts.trees import text

Data = dict[str, Any]

# Line and column of each refusal in cilium-configmap.yaml per minor version (1.17 as 1.18).
_PLACES: Final[Mapping[str, Mapping[int, str]]] = {
    "kpr": {15: "70:5", 16: "71:5", 17: "82:5", 19: "79:5", 20: "77:5"},
    "gke": {15: "459:8", 16: "462:8", 17: "520:8", 19: "531:8", 20: "547:8"},
    "aks": {15: "465:8", 16: "468:8", 17: "525:8", 19: "536:8", 20: "552:8"},
    "native4": {17: "536:12", 19: "547:12", 20: "563:12"},
    "native6": {17: "542:10", 19: "553:10", 20: "569:10"},
    "oldpool": {15: "972:8", 16: "1011:8", 17: "1097:8"},
    "taints": {15: "1145:5", 16: "1190:5", 17: "1283:5", 19: "1363:5", 20: "1399:5"},
    "onepool": {20: "1212:4"},
}


def refused(context: Context, key: str, message: str) -> ChartError:
    """The refusal ``key`` of the ConfigMap's template."""
    places = _PLACES[key]
    return refuse(f"cilium-configmap.yaml:{places[max(minor for minor in places if minor <= context.minor)]}", message)


def chaining_mode(context: Context) -> str:
    """The CNI chaining mode: ``none`` unless a mode or a target is given."""
    if context.get("cni.chainingMode") is not None:
        return context.text("cni.chainingMode")
    return "generic-veth" if context.get("cni.chainingTarget") is not None else "none"


def datapath(context: Context) -> Data:
    """Routing mode and tunnel, masquerading, kube-proxy replacement, CNI file and health."""
    data: Data = {**_routing(context), **_masquerade(context), **_kube_proxy(context), **_cni(context)}
    chaining = chaining_mode(context)
    managed = any(context.on(f"{cloud}.enabled") for cloud in ("azure", "eni", "gke")) or chaining != "none"
    data["install-no-conntrack-iptables-rules"] = (
        "false" if managed else context.text("installNoConntrackIptablesRules")
    )
    healthy = context.on("endpointHealthChecking.enabled") and chaining in ("none", "portmap")
    data["enable-endpoint-health-checking"] = text(healthy)
    data["enable-well-known-identities"] = text(context.on("wellKnownIdentities.enabled"))
    ratio = context.get("bpf.mapDynamicSizeRatio")
    data["bpf-map-dynamic-size-ratio"] = text(ratio) if ratio else "0.0025"
    data["enable-bpf-clock-probe"] = context.text("bpfClockProbe") if context.has("bpfClockProbe") else "true"
    if context.get("bpf.hostLegacyRouting") is None and chaining != "none":
        data["enable-host-legacy-routing"] = "true"
    if not context.on("securityContext.privileged"):
        data["procfs"] = "/host/proc"
    return data


def _routing(context: Context) -> Data:
    data: Data = {}
    mode = context.text("routingMode")
    if context.on("gke.enabled"):
        if mode not in ("", "native"):
            raise refused(context, "gke", "RoutingMode must be set to native when gke.enabled=true")
        data["enable-endpoint-routes"] = "true"
    elif context.on("aksbyocni.enabled") and mode not in ("", "tunnel"):
        raise refused(context, "aks", "RoutingMode must be set to tunnel when aksbyocni.enabled=true")
    if context.minor >= 17:
        native = context.on("gke.enabled") or (context.minor >= 19 and context.on("eni.enabled"))
        data["routing-mode"] = mode or ("native" if native else "tunnel")
        data["tunnel-protocol"] = context.text("tunnelProtocol") or "vxlan"
        _need_native_cidr(context, mode)
        return data
    if context.on("gke.enabled"):
        data["routing-mode"] = "native"
    elif context.on("aksbyocni.enabled") or not mode:
        data.update({"routing-mode": "tunnel", "tunnel-protocol": "vxlan"})
    else:
        data["routing-mode"] = mode
    if context.on("tunnelProtocol"):
        data["tunnel-protocol"] = context.text("tunnelProtocol")
    return data


def _need_native_cidr(context: Context, mode: str) -> None:
    if mode != "native" or context.on("ipMasqAgent.enabled"):
        return
    pool = (
        context.minor >= 20 and ipam_mode(context) == "cluster-pool" and context.on("nativeRoutingCIDRFromClusterPool")
    )
    cloud = ipam_mode(context) in ("eni", "alibabacloud")
    four = context.on("ipv4.enabled") and context.on("enableIPv4Masquerade")
    if four and not cloud and not pool and not context.on("ipv4NativeRoutingCIDR"):
        raise refused(context, "native4", " ipv4NativeRoutingCIDR must be set when routingMode is native")
    six = context.on("ipv6.enabled") and context.on("enableIPv6Masquerade")
    if six and not pool and not context.on("ipv6NativeRoutingCIDR"):
        raise refused(context, "native6", "ipv6NativeRoutingCIDR must be set when routingMode is native")


def _masquerade(context: Context) -> Data:
    given = context.get("enableIPv4Masquerade")
    if given is None:
        eni = context.minor >= 18 and context.on("eni.enabled") and context.compatible(18)
        return {"enable-ipv4-masquerade": text(not eni)}
    return {"enable-ipv4-masquerade": text(given)}


def _kube_proxy(context: Context) -> Data:
    mode = context.replaces_kube_proxy
    old = ("disabled", "partial", "strict") if context.minor == 15 else ()
    if mode not in ("true", "false", *old):
        choice = "true, false, disabled (deprecated), partial (deprecated), or strict (deprecated)"
        raise refused(
            context,
            "kpr",
            "kubeProxyReplacement must be explicitly set to a valid value "
            f"({choice if old else 'true or false'}) to continue.",
        )
    data: Data = {"kube-proxy-replacement": mode}
    if (context.minor < 18 and mode != "disabled") or mode == "true":
        data["kube-proxy-replacement-healthz-bind-address"] = context.text("kubeProxyReplacementHealthzBindAddr")
    if mode in ("false", "partial"):
        if context.minor < 17:
            data["enable-host-port"] = context.text("hostPort.enabled")
            data["enable-external-ips"] = context.text("externalIPs.enabled")
        if context.minor < 19:
            data["enable-node-port"] = context.text("nodePort.enabled")
    if context.minor == 16 and not context.has("socketLB.terminatePodConnections"):
        data["bpf-lb-sock-terminate-pod-connections"] = context.text("socketLB.enabled")
    return data


def _cni(context: Context) -> Data:
    data: Data = {"custom-cni-conf": context.text("cni.customConf")}
    target = f"{context.text('cni.hostConfDirMountPath')}/05-cilium.conflist"
    if context.on("cni.configMap"):
        data["read-cni-conf"] = f"{context.text('cni.confFileMountPath')}/{context.text('cni.configMapKey')}"
        if context.on("cni.customConf"):
            data["write-cni-conf-when-ready"] = target
    elif context.on("cni.readCniConf"):
        data["read-cni-conf"] = context.text("cni.readCniConf")
    if not context.on("cni.customConf") and context.on("cni.install"):
        data["write-cni-conf-when-ready"] = target
        data["cni-exclusive"] = context.text("cni.exclusive")
        data["cni-log-file"] = context.text("cni.logFile")
    if context.on("cni.uninstall"):
        data["cni-uninstall"] = "true"
    for key, path in (("cni-chaining-target", "cni.chainingTarget"), ("cni-external-routing", "cni.externalRouting")):
        if context.get(path) is not None:
            data[key] = context.text(path)
    chaining = chaining_mode(context)
    if chaining != "none":
        data["cni-chaining-mode"] = chaining
        if chaining != "portmap":
            data["enable-local-node-route"] = "false"
    return data


def platform(context: Context) -> Data:
    """ENI, Azure and Alibaba modes, bandwidth manager, local redirect policies."""
    data: Data = {}
    if context.on("eni.enabled"):
        if context.minor == 15 or not context.on("endpointRoutes.enabled"):
            data["enable-endpoint-routes"] = "true"
        data["auto-create-cilium-node-resource"] = "true"
        data["ec2-api-endpoint"] = context.text("eni.ec2APIEndpoint")
        data["eni-tags"] = json.dumps(context.table("eni.eniTags"), separators=(",", ":"))
        for key, path in (
            ("update-ec2-adapter-limit-via-api", "eni.updateEC2AdapterLimitViaAPI"),
            ("aws-release-excess-ips", "eni.awsReleaseExcessIPs"),
            ("aws-enable-prefix-delegation", "eni.awsEnablePrefixDelegation"),
        ):
            if context.on(path):
                data[key] = "true"
    if context.on("azure.enabled"):
        data.update({"enable-endpoint-routes": "true", "auto-create-cilium-node-resource": "true"})
        data["azure-use-primary-address"] = context.text("azure.usePrimaryAddress") or "false"
    if context.on("alibabacloud.enabled"):
        data.update({"enable-endpoint-routes": "true", "auto-create-cilium-node-resource": "true"})
    if context.on("bandwidthManager.enabled"):
        data["enable-bandwidth-manager"] = "true"
        data["enable-bbr"] = context.text("bandwidthManager.bbr")
        if context.minor >= 17:
            data["enable-bbr-hostns-only"] = context.text("bandwidthManager.bbrHostNamespaceOnly")
    if context.minor >= 18 and (context.on("localRedirectPolicies.enabled") or context.on("localRedirectPolicy")):
        data["enable-local-redirect-policy"] = "true"
    if int(context.get("healthPort", 9879)) != 9879:
        data["agent-health-port"] = context.text("healthPort")
    return data


def encryption(context: Context) -> Data:
    """IPsec, WireGuard and strict mode; nothing at all while encryption is off."""
    data: Data = {}
    if context.on("encryption.enabled"):
        kind = context.text("encryption.type")
        if kind == "ipsec":
            data.update(_ipsec(context))
        elif kind == "wireguard":
            data["enable-wireguard"] = "true"
            if context.minor < 17 and context.on("encryption.wireguard.userspaceFallback"):
                data["enable-wireguard-userspace-fallback"] = "true"
            if context.on("encryption.wireguard.persistentKeepalive"):
                data["wireguard-persistent-keepalive"] = context.text("encryption.wireguard.persistentKeepalive")
        elif kind == "ztunnel" and context.minor >= 19:
            data["enable-ztunnel"] = "true"
        if context.on("encryption.nodeEncryption"):
            data["encrypt-node"] = "true"
    return {**data, **_strict(context)}


def _ipsec(context: Context) -> Data:
    data: Data = {"enable-ipsec": "true"}
    path, key = context.text("encryption.ipsec.mountPath"), context.text("encryption.ipsec.keyFile")
    if not (path and key) and context.minor == 15:
        path, key = context.text("encryption.mountPath"), context.text("encryption.keyFile")
    if path and key:
        data["ipsec-key-file"] = f"{path}/{key}"
    interface = context.text("encryption.ipsec.interface") or context.text("encryption.interface")
    if interface and context.minor < 20:
        data["encrypt-interface"] = interface
    if context.has("encryption.ipsec.keyWatcher"):
        data["enable-ipsec-key-watcher"] = context.text("encryption.ipsec.keyWatcher")
    if context.on("encryption.ipsec.keyRotationDuration"):
        data["ipsec-key-rotation-duration"] = context.text("encryption.ipsec.keyRotationDuration")
    if 16 <= context.minor < 20:
        data["enable-ipsec-encrypted-overlay"] = context.text("encryption.ipsec.encryptedOverlay")
    return data


def _strict(context: Context) -> Data:
    base, prefix, flag = "encryption.strictMode", "encryption-strict-mode", "enable-encryption-strict-mode"
    if context.minor >= 19:
        prefix, flag = "encryption-strict-egress", "enable-encryption-strict-mode-egress"
        if context.on(f"{base}.egress.enabled"):
            base = f"{base}.egress"
    data: Data = {}
    if context.on(f"{base}.enabled"):
        data = {
            flag: "true",
            f"{prefix}-cidr": context.text(f"{base}.cidr"),
            f"{prefix}-allow-remote-node-identities": context.text(f"{base}.allowRemoteNodeIdentities"),
        }
    if context.minor >= 19 and context.on("encryption.strictMode.ingress.enabled"):
        data["enable-encryption-strict-mode-ingress"] = "true"
    return data


def ipam_mode(context: Context) -> str:
    """The IPAM mode in force: ENI mode follows from ``eni.enabled`` since 1.19."""
    if context.minor >= 19 and context.on("eni.enabled"):
        return "eni"
    return context.text("ipam.mode") or "cluster-pool"


def ipam(context: Context) -> Data:
    """IPAM mode and the operator's pools."""
    data: Data = {}
    mode = ipam_mode(context)
    given = context.text("ipam.mode")
    if not context.on("aksbyocni.enabled"):
        data["ipam"] = mode
    elif context.minor < 19 or given in ("", "cluster-pool"):
        data["ipam"] = "cluster-pool"
    elif given == "multi-pool":
        data["ipam"] = "multi-pool"
    if mode == "cluster-pool":
        for family in ("4", "6"):
            if not context.on(f"ipv{family}.enabled"):
                continue
            if context.minor < 19 and context.has(f"ipam.operator.clusterPoolIPv{family}PodCIDR"):
                name = f"ipam.operator.clusterPoolIPv{family}PodCIDR"
                raise refused(context, "oldpool", f"Value {name} removed, use {name}List instead")
            pools = context.get(f"ipam.operator.clusterPoolIPv{family}PodCIDRList")
            joined = " ".join(text(pool) for pool in pools) if isinstance(pools, list) else text(pools)
            data[f"cluster-pool-ipv{family}-cidr"] = joined
            data[f"cluster-pool-ipv{family}-mask-size"] = context.text(f"ipam.operator.clusterPoolIPv{family}MaskSize")
            if context.minor >= 20 and context.on("nativeRoutingCIDRFromClusterPool"):
                data.update(_native_from_pool(context, family, joined))
    if mode == "multi-pool":
        data["auto-create-cilium-pod-ip-pools"] = _pod_pools(context)
    return data


def _native_from_pool(context: Context, family: str, pools: str) -> Data:
    if context.on(f"ipv{family}NativeRoutingCIDR"):
        return {}
    if len(pools.split()) != 1:
        list_name = f"ipam.operator.clusterPoolIPv{family}PodCIDRList"
        raise refused(
            context,
            "onepool",
            f"nativeRoutingCIDRFromClusterPool requires exactly one CIDR in {list_name}; "
            f"set ipv{family}NativeRoutingCIDR explicitly instead",
        )
    return {f"ipv{family}-native-routing-cidr": pools}


def _pod_pools(context: Context) -> str:
    pools = []
    for name, spec in sorted(context.table("ipam.operator.autoCreateCiliumPodIPPools").items()):
        parts = []
        for family in ("ipv4", "ipv6"):
            if isinstance(spec, Mapping) and family in spec:
                parts.append(f"{family}-cidrs:{','.join(spec[family]['cidrs'])}")
                parts.append(f"{family}-mask-size:{text(spec[family]['maskSize'])}")
        pools.append(f"{name}={';'.join(parts)}")
    return ",".join(pools)
