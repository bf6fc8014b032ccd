"""Init containers of the agent's pod. Shell scripts are named by what they run, not quoted."""

from typing import Any

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads.pods import api_server_env, config_env, mount, node_env, privileged, without_empty


def init_containers(context: Context) -> list[Object]:
    """The chain that prepares a node before the agent starts."""
    found = [_config(context)]
    shell = "bash" if context.minor >= 19 else "sh"
    if context.on("cgroup.autoMount.enabled"):
        env = [{"name": "CGROUP_ROOT", "value": context.text("cgroup.hostRoot")}, _bin_path(context)]
        found.append(_host_tool(context, "mount-cgroup", [shell, "-ec", "cilium-mount"], env))
    if context.on("sysctlfix.enabled"):
        found.append(
            _host_tool(context, "apply-sysctl-overwrites", [shell, "-ec", "cilium-sysctlfix"], [_bin_path(context)])
        )
    if context.on("bpf.autoMount.enabled") and not context.on("securityContext.privileged"):
        found.append(_mount_bpf(context))
    if context.on("nodeinit.enabled") and context.on("nodeinit.bootstrapFile"):
        found.append(_wait_for_node_init(context))
    found.append(_clean_state(context))
    kube_proxy_stays = context.replaces_kube_proxy not in ("strict", "true")
    if context.on("waitForKubeProxy") and kube_proxy_stays:
        found.append(
            _container(context, "wait-for-kube-proxy", ["bash", "-c", "wait"], **privileged(context, always=True))
        )
    if context.on("cni.install"):
        mounts = [mount("cni-path", "/host/opt/cni/bin")]
        found.append(_container(context, "install-cni-binaries", ["/install-plugin.sh"], volumeMounts=mounts))
    return [*found, *context.items("extraInitContainers")]


def _container(context: Context, name: str, command: list[str], **more: Any) -> Object:
    return without_empty(
        {
            "name": name,
            "image": context.image("image"),
            "imagePullPolicy": context.text("image.pullPolicy"),
            "command": command,
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **more,
        }
    )


def _bin_path(context: Context) -> Object:
    return {"name": "BIN_PATH", "value": context.text("cni.binPath")}


def _config(context: Context) -> Object:
    command = ["cilium-dbg", "build-config"]
    for flag, path in (
        ("source", "daemon.configSources"),
        ("allow-config-keys", "daemon.allowedConfigOverrides"),
        ("deny-config-keys", "daemon.blockedConfigOverrides"),
    ):
        if context.get(path) is not None:
            command.append(f"--{flag}={context.text(path)}")
    if context.on("kubeConfigPath"):
        command.append(f"--k8s-kubeconfig-path={context.text('kubeConfigPath')}")
    if context.minor >= 18 and context.has("k8s.apiServerURLs"):
        command.append(f"--k8s-api-server-urls={context.text('k8s.apiServerURLs')}")
    env = [*node_env(), *api_server_env(context), *context.items("extraEnv")]
    return _container(context, "config", command, env=env, volumeMounts=[mount("tmp", "/tmp")])


def _host_tool(context: Context, name: str, command: list[str], env: list[Object]) -> Object:
    mounts = [mount("hostproc", "/hostproc"), mount("cni-path", "/hostbin")]
    return _container(context, name, command, env=env, volumeMounts=mounts, **privileged(context))


def _mount_bpf(context: Context) -> Object:
    mounts = [mount("bpf-maps", "/sys/fs/bpf", propagation="Bidirectional")]
    args = ['mount | grep "/sys/fs/bpf type bpf" || mount -t bpf bpf /sys/fs/bpf']
    command = ["/bin/bash", "-c", "--"]
    return _container(
        context, "mount-bpf-fs", command, args=args, volumeMounts=mounts, **privileged(context, always=True)
    )


def _wait_for_node_init(context: Context) -> Object:
    mounts = [mount("cilium-bootstrap-file-dir", "/tmp/cilium-bootstrap.d")]
    shell = "bash" if context.minor >= 19 else "sh"
    return _container(context, "wait-for-node-init", [shell, "-c", "wait"], volumeMounts=mounts)


def _clean_state(context: Context) -> Object:
    env = [
        config_env("CILIUM_ALL_STATE", "clean-cilium-state", optional=True),
        config_env("CILIUM_BPF_STATE", "clean-cilium-bpf-state", optional=True),
        config_env("WRITE_CNI_CONF_WHEN_READY", "write-cni-conf-when-ready", optional=True),
        *api_server_env(context),
        *context.items("extraEnv"),
    ]
    mounts = [
        mount("cilium-cgroup", context.text("cgroup.hostRoot"), propagation="HostToContainer"),
        mount("cilium-run", "/var/run/cilium"),
    ]
    if context.minor >= 17 or context.on("bpf.autoMount.enabled"):
        mounts.insert(0, mount("bpf-maps", "/sys/fs/bpf"))
    return _container(
        context, "clean-cilium-state", ["/init-container.sh"], env=env, volumeMounts=mounts, **privileged(context)
    )
