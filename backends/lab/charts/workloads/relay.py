"""Hubble Relay: Deployment, Service and configuration."""

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads.pods import SECRET_MODE, marked, mount, priority_class, without_empty

ROOT = "hubble.relay"
LABELS = {
    "k8s-app": "hubble-relay",
    "app.kubernetes.io/name": "hubble-relay",
    "app.kubernetes.io/part-of": "cilium",
}


def relay(context: Context) -> list[Object]:
    """All objects of Hubble Relay, when it is on."""
    if not (context.on("hubble.enabled") and context.on(f"{ROOT}.enabled")):
        return []
    return [_config(context), _service(context), _deployment(context)]


def _config(context: Context) -> Object:
    root = "" if context.minor == 15 else "."
    port = 443 if context.on("hubble.tls.enabled") else 80
    peer = f"hubble-peer.{context.home}.svc.{context.text('hubble.peerService.clusterDomain')}{root}:{port}"
    listen = f"{context.text(f'{ROOT}.listenHost')}:{context.text(f'{ROOT}.listenPort')}"
    lines = [f"cluster-name: {context.text('cluster.name')}", f'peer-service: "{peer}"', f"listen-address: {listen}"]
    if context.on("hubble.tls.enabled"):
        folder = "/var/lib/hubble-relay/tls"
        lines += [
            f"tls-hubble-client-cert-file: {folder}/client.crt",
            f"tls-hubble-client-key-file: {folder}/client.key",
        ]
        lines.append(f"tls-hubble-server-ca-files: {folder}/hubble-server-ca.crt")
    else:
        lines.append("disable-client-tls: true")
    if not context.on(f"{ROOT}.tls.server.enabled"):
        lines.append("disable-server-tls: true")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": context.metadata("hubble-relay-config", None, context.table("hubble.annotations")),
        "data": {"config.yaml": "\n".join(lines) + "\n"},
    }


def _service(context: Context) -> Object:
    port: Object = {"protocol": "TCP", "port": 443 if context.on(f"{ROOT}.tls.server.enabled") else 80}
    port["targetPort"] = int(context.get(f"{ROOT}.listenPort")) if context.minor == 15 else "grpc"
    kind = context.text(f"{ROOT}.service.type")
    if kind == "NodePort" and context.on(f"{ROOT}.service.nodePort"):
        port["nodePort"] = int(context.get(f"{ROOT}.service.nodePort"))
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata("hubble-relay", LABELS, context.table("hubble.annotations")),
        "spec": {"type": kind, "selector": {"k8s-app": "hubble-relay"}, "ports": [port]},
    }


def _deployment(context: Context) -> Object:
    labels = {**context.labels(LABELS), **context.table(f"{ROOT}.podLabels")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": context.metadata("hubble-relay", LABELS, context.table(f"{ROOT}.annotations")),
        "spec": {
            "replicas": context.get(f"{ROOT}.replicas"),
            "selector": {"matchLabels": {"k8s-app": "hubble-relay"}},
            "strategy": context.table(f"{ROOT}.updateStrategy"),
            "template": {
                "metadata": marked(context.table(f"{ROOT}.podAnnotations"), labels),
                "spec": _pod(context),
            },
        },
    }


def _pod(context: Context) -> Object:
    volumes: list[Object] = []
    mounts = [mount("config", "/etc/hubble-relay", read_only=True)]
    if context.minor >= 20:
        volumes.append({"name": "tmp-volume", "emptyDir": {}})
        mounts.insert(0, mount("tmp-volume", "/tmp"))
    items = [{"key": "config.yaml", "path": "config.yaml"}]
    volumes.append({"name": "config", "configMap": {"name": "hubble-relay-config", "items": items}})
    if context.on("hubble.tls.enabled"):
        volumes.append(_tls(context))
        mounts.append(mount("tls", "/var/lib/hubble-relay/tls", read_only=True))
    container = {
        "name": "hubble-relay",
        "image": context.image(f"{ROOT}.image"),
        "imagePullPolicy": context.text(f"{ROOT}.image.pullPolicy"),
        "command": ["hubble-relay"],
        "args": ["serve", *(["--debug"] if context.on("debug.enabled") else [])],
        "env": context.items(f"{ROOT}.extraEnv"),
        "ports": [{"name": "grpc", "containerPort": int(context.get(f"{ROOT}.listenPort"))}],
        "volumeMounts": [*mounts, *context.items(f"{ROOT}.extraVolumeMounts")],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return without_empty(
        {
            "imagePullSecrets": context.items("imagePullSecrets"),
            "securityContext": context.table(f"{ROOT}.podSecurityContext"),
            "containers": [without_empty(container)],
            "restartPolicy": "Always",
            "priorityClassName": priority_class(context, f"{ROOT}.priorityClassName", ""),
            "serviceAccountName": context.text("serviceAccounts.relay.name"),
            "automountServiceAccountToken": context.get("serviceAccounts.relay.automount"),
            "terminationGracePeriodSeconds": context.get(f"{ROOT}.terminationGracePeriodSeconds"),
            "affinity": context.table(f"{ROOT}.affinity"),
            "nodeSelector": context.table(f"{ROOT}.nodeSelector"),
            "tolerations": context.items(f"{ROOT}.tolerations"),
            "volumes": [*volumes, *context.items(f"{ROOT}.extraVolumes")],
        }
    )


def _tls(context: Context) -> Object:
    secret = context.text(f"{ROOT}.tls.client.existingSecret") or "hubble-relay-client-certs"
    pair = [{"key": "tls.crt", "path": "client.crt"}, {"key": "tls.key", "path": "client.key"}]
    file = "hubble-server-ca.crt"
    if context.on("tls.caBundle.enabled"):
        kind = "secret" if context.on("tls.caBundle.useSecret") else "configMap"
        items = [{"key": context.text("tls.caBundle.key"), "path": file}]
        bundle = {kind: {"name": context.text("tls.caBundle.name"), "items": items}}
        sources = [{"secret": {"name": secret, "items": pair}}, bundle]
    else:
        sources = [{"secret": {"name": secret, "items": [*pair, {"key": "ca.crt", "path": file}]}}]
    if context.on(f"{ROOT}.tls.server.enabled"):
        items = [{"key": "tls.crt", "path": "server.crt"}, {"key": "tls.key", "path": "server.key"}]
        sources.append({"secret": {"name": "hubble-relay-server-certs", "items": items}})
    return {"name": "tls", "projected": {"defaultMode": SECRET_MODE, "sources": sources}}
