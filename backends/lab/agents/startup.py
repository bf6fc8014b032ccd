"""The first lines that programs write when they start."""

from collections.abc import Iterator

from backends.lab.agents.wording import line
from backends.lab.controllers.cilium.release import text_of, version_of
from backends.lab.controllers.kubelet.runtime import PodRuntime, Process


def _agent(runtime: PodRuntime, process: Process) -> Iterator[tuple[float, str]]:
    minor, at, settings = version_of(process.image)[1], process.started_at, process.settings

    def say(after: float, message: str, **fields: object) -> tuple[float, str]:
        return at + after, line(minor, at + after, "info", message, "agent", "daemon", fields)

    for key in ("cluster-id", "cluster-name", "routing-mode", "tunnel-protocol", "kube-proxy-replacement", "mtu"):
        if settings.get(key):
            yield say(0.0, f"  --{key}='{settings[key]}'")
    yield say(0.1, f"Cilium {text_of(process.image)} go version go1.22.7 linux/amd64")
    yield say(0.3, "Establishing connection to apiserver", host=process.environment.get("KUBERNETES_SERVICE_HOST", ""))
    yield say(0.4, "Connected to apiserver")
    yield say(1.2, "Retrieved node information from cilium node", nodeName=runtime.node)
    yield say(2.6, "Daemon initialization completed", bootstrapTime="2.5s")


def _server(runtime: PodRuntime, process: Process) -> Iterator[tuple[float, str]]:
    minor, at = version_of(process.image)[1], process.started_at
    if process.name == "etcd":
        yield at, '{"level":"info","msg":"serving client traffic securely","traffic":"grpc+http","address":"[::]:2379"}'
        return
    name, number = process.environment.get("CLUSTER_NAME", ""), process.environment.get("CLUSTER_ID", "")
    fields = {"clusterName": name, "clusterID": number}
    program = "Starting clustermesh-apiserver..." if process.name == "apiserver" else "Starting kvstoremesh..."
    yield at, line(minor, at, "info", program, "clustermesh", "clustermesh", fields)


def first_lines(runtime: PodRuntime, process: Process) -> Iterator[tuple[float, str]]:
    """Time and text of each line; nothing for programs that start silently."""
    if process.name == "cilium-agent":
        yield from _agent(runtime, process)
    elif "etcd" in runtime.processes:
        yield from _server(runtime, process)
    elif process.name == "cilium-operator":
        minor, at = version_of(process.image)[1], process.started_at
        version = f"Cilium Operator {text_of(process.image)} go version go1.22.7 linux/amd64"
        yield at, line(minor, at, "info", version, "operator", "cilium-operator", {})
        lease = {"lease": "kube-system/cilium-operator-resource-lock"}
        yield (
            at + 1.0,
            line(minor, at + 1.0, "info", "Leading the operator HA deployment", "operator", "cilium-operator", lease),
        )
    elif process.name == "coredns":
        yield process.started_at, ".:53"
        yield process.started_at, f"CoreDNS-{process.image.rpartition(':')[2].lstrip('v')}"
    elif "nginx" in process.image:
        yield process.started_at, "/docker-entrypoint.sh: Configuration complete; ready for start up"
