"""Volumes of the agent's pod and where its main container mounts them."""

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads.pods import (
    SECRET_MODE,
    certificate_sources,
    host_path,
    mesh_secrets,
    mount,
)


def hubble_tls(context: Context) -> bool:
    """Whether the agent serves Hubble with a certificate."""
    wanted = context.on("hubble.enabled") and context.on("hubble.tls.enabled")
    return wanted and context.has("hubble.listenAddress")


def pod_namespaces(context: Context) -> bool:
    """Whether the agent sees the pods' network namespaces: always since 1.17, with socket load balancing in 1.16."""
    if context.minor >= 17:
        return True
    ends = context.get("socketLB.terminatePodConnections")
    return context.minor == 16 and context.on("socketLB.enabled") and (ends is None or bool(ends))


def _ipsec(context: Context) -> bool:
    return context.on("encryption.enabled") and context.text("encryption.type") == "ipsec"


def _bpf_mounted(context: Context) -> bool:
    return context.minor >= 17 or context.on("bpf.autoMount.enabled")


def agent_mounts(context: Context) -> list[Object]:
    """Mounts of container ``cilium-agent``."""
    unprivileged = not context.on("securityContext.privileged")
    found: list[Object] = []
    if context.envoy_daemonset:
        found.append(mount("envoy-sockets", "/var/run/cilium/envoy/sockets", read_only=False))
    if unprivileged:
        found.append(mount("host-proc-sys-net", "/host/proc/sys/net"))
        found.append(mount("host-proc-sys-kernel", "/host/proc/sys/kernel"))
    if _bpf_mounted(context):
        propagation = "HostToContainer" if unprivileged else "Bidirectional"
        found.append(mount("bpf-maps", "/sys/fs/bpf", propagation=propagation))
    if "/run/cilium/cgroupv2" not in context.text("cgroup.hostRoot"):
        found.append(mount("cilium-cgroup", context.text("cgroup.hostRoot")))
    found.append(mount("cilium-run", "/var/run/cilium"))
    if pod_namespaces(context):
        found.append(mount("cilium-netns", "/var/run/cilium/netns", propagation="HostToContainer"))
    found.append(mount("etc-cni-netd", context.text("cni.hostConfDirMountPath")))
    found.append(mount("clustermesh-secrets", "/var/lib/cilium/clustermesh", read_only=True))
    if context.on("ipMasqAgent.enabled"):
        found.append(mount("ip-masq-agent", "/etc/config", read_only=True))
    if context.on("cni.configMap"):
        found.append(mount("cni-configuration", context.text("cni.confFileMountPath"), read_only=True))
    found.append(mount("lib-modules", "/lib/modules", read_only=True))
    found.append(mount("xtables-lock", "/run/xtables.lock"))
    if _ipsec(context):
        path = context.text("encryption.ipsec.mountPath") or context.text("encryption.mountPath")
        found.append(mount("cilium-ipsec-secrets", path))
    if hubble_tls(context):
        found.append(mount("hubble-tls", "/var/lib/cilium/tls/hubble", read_only=True))
    found.append(mount("tmp", "/tmp"))
    found += [
        mount(item["name"], item["mountPath"], read_only=bool(item.get("readOnly")))
        for item in context.items("extraHostPathMounts")
    ]
    return [*found, *context.items("extraVolumeMounts")]


def agent_volumes(context: Context) -> list[Object]:
    """Volumes of the pod."""
    run = context.text("daemon.runPath")
    found: list[Object] = [{"name": "tmp", "emptyDir": {}}, host_path("cilium-run", run)]
    if pod_namespaces(context):
        found.append(host_path("cilium-netns", "/var/run/netns"))
    if _bpf_mounted(context):
        found.append(host_path("bpf-maps", "/sys/fs/bpf"))
    if context.on("cgroup.autoMount.enabled") or context.on("sysctlfix.enabled"):
        found.append(host_path("hostproc", "/proc", "Directory"))
    found.append(host_path("cilium-cgroup", context.text("cgroup.hostRoot")))
    found.append(host_path("cni-path", context.text("cni.binPath")))
    found.append(host_path("etc-cni-netd", context.text("cni.confPath")))
    found.append(host_path("lib-modules", "/lib/modules", None))
    found.append(host_path("xtables-lock", "/run/xtables.lock", "FileOrCreate"))
    if context.envoy_daemonset:
        found.append(host_path("envoy-sockets", f"{run}/envoy/sockets"))
    if context.on("nodeinit.enabled") and context.on("nodeinit.bootstrapFile"):
        folder = context.text("nodeinit.bootstrapFile").rpartition("/")[0]
        found.append(host_path("cilium-bootstrap-file-dir", folder))
    found.append(mesh_secrets(context))
    found += _optional_volumes(context)
    return [*found, *context.items("extraVolumes")]


def _optional_volumes(context: Context) -> list[Object]:
    found: list[Object] = []
    if context.on("ipMasqAgent.enabled"):
        items = [{"key": "config", "path": "ip-masq-agent"}]
        found.append(
            {"name": "ip-masq-agent", "configMap": {"name": "ip-masq-agent", "optional": True, "items": items}}
        )
    if _ipsec(context):
        secret = context.text("encryption.ipsec.secretName") or context.text("encryption.secretName")
        found.append({"name": "cilium-ipsec-secrets", "secret": {"secretName": secret}})
    if context.on("cni.configMap"):
        found.append({"name": "cni-configuration", "configMap": {"name": context.text("cni.configMap")}})
    if not context.on("securityContext.privileged"):
        found.append(host_path("host-proc-sys-net", "/proc/sys/net", "Directory"))
        found.append(host_path("host-proc-sys-kernel", "/proc/sys/kernel", "Directory"))
    if hubble_tls(context):
        secret = context.text("hubble.tls.server.existingSecret") or "hubble-server-certs"
        sources = certificate_sources(context, secret, "server", "client-ca.crt")
        found.append({"name": "hubble-tls", "projected": {"defaultMode": SECRET_MODE, "sources": sources}})
    for item in context.items("extraHostPathMounts"):
        found.append(host_path(item["name"], item["hostPath"], item.get("hostPathType")))
    return found
