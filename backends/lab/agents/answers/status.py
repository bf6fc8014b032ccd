"""``cilium-dbg status``: JSON, text and the one word of ``--brief``, in the shapes of 1.15 and of later versions."""

from collections.abc import Mapping, Sequence
from typing import Any

from backends.lab.agents.answers import machine as parts
from backends.lab.agents.answers.clusters import remote_cluster, stamp, text_lines
from backends.lab.agents.answers.machine import Machine
from backends.lab.agents.health import NodeHealth
from backends.lab.agents.mesh.links import Link


def _identity_range(machine: Machine) -> tuple[int, int]:
    bits = 15 if machine.settings.get("max-connected-clusters") == "511" else 16
    number = int(machine.settings.get("cluster-id") or 0)
    lowest = (number << bits) or 256
    return lowest, (number << bits) + (1 << bits) - 1


def peer_controllers(links: Sequence[Link]) -> dict[str, dict[str, Any]]:
    """Status of the controllers that keep each peer's connection and configuration."""
    found: dict[str, dict[str, Any]] = {}
    for link in links:
        never = {"last-failure-timestamp": stamp(0), "last-success-timestamp": stamp(0)}
        if link.config_at:
            good = {**never, "last-success-timestamp": stamp(link.config_at), "success-count": 1 + link.failures}
            found[f"remote-etcd-{link.peer}"] = good
        elif link.denied:
            found[f"remote-etcd-{link.peer}"] = _failing(link.tried_at, "etcdserver: permission denied")
        elif link.rejected:
            found[f"remote-etcd-{link.peer}"] = _failing(link.rejected_since, link.rejected)
        else:
            found[f"remote-etcd-{link.peer}"] = never
            if link.attempt is not None:
                old = link.minor <= 15
                why = "cluster configuration expected to be present but not found" if old else "not found"
                found[f"remote-etcd-{link.peer}-cluster-config"] = _failing(link.tried_at, why)
    return found


def _failing(since: float, why: str) -> dict[str, Any]:
    return {
        "consecutive-failure-count": 1,
        "failure-count": 1,
        "last-failure-msg": why,
        "last-failure-timestamp": stamp(since),
        "last-success-timestamp": stamp(0),
    }


def cluster_mesh(machine: Machine, links: Sequence[Link] | None) -> dict[str, Any] | None:
    """``cluster-mesh``; None (absent) where the cluster has no id. Without peers ``clusters`` is null."""
    if links is None:
        return None
    body: dict[str, Any] = {"clusters": [remote_cluster(link, machine.now) for link in links] or None}
    shared = global_services(links)
    if machine.minor <= 18 and shared:
        body["num-global-services"] = shared
    return body


def global_services(links: Sequence[Link]) -> int:
    """Services that any peer shares."""
    return len({key for link in links if link.seen for key in link.seen.services})


def _health_state(machine: Machine) -> str:
    return "Disabled" if machine.settings.get("enable-health-checking") == "false" else "Ok"


def status_json(machine: Machine, links: Sequence[Link] | None) -> dict[str, Any]:
    """The whole document."""
    lowest, highest = _identity_range(machine)
    big = {"maxGRO": 65536, "maxGSO": 65536}
    written = "successfully wrote CNI configuration file to /host/etc/cni/net.d/05-cilium.conflist"
    body: dict[str, Any] = {
        "auth-certificate-provider": {"state": "Disabled"},
        "bandwidth-manager": {"devices": None},
        "bpf-maps": parts.bpf_maps(machine),
        "cilium": {"msg": parts.build(machine), "state": "Ok"},
        "clock-source": {"mode": "ktime"},
        "cluster": {
            "ciliumHealth": {"state": _health_state(machine)},
            "nodes": None,
            "self": f"{machine.settings.get('cluster-name', 'default')}/{machine.runtime.node}",
        },
        "cni-chaining": {"mode": machine.settings.get("cni-chaining-mode", "none")},
        "cni-file": {"msg": written, "state": "Ok"},
        "controllers": parts.controllers(machine, peer_controllers(links or ())),
        "encryption": parts.encryption(machine),
        "host-firewall": {"devices": ["eth0"], "mode": "Disabled"},
        "hubble": parts.hubble(machine),
        "identity-range": {"max-identity": highest, "min-identity": lowest},
        "ipam": parts.ipam(machine),
        "ipv4-big-tcp": dict(big),
        "ipv6-big-tcp": dict(big),
        "kube-proxy-replacement": parts.proxy_replacement(machine),
        "kubernetes": parts.kubernetes(machine),
        "kvstore": {"state": "Disabled"} if machine.modern else {"msg": "Disabled", "state": "Ok"},
        "masquerading": parts.masquerading(machine),
        "srv6": {"srv6EncapMode": "reduced"},
    }
    mesh = cluster_mesh(machine, links)
    if mesh is not None:
        body["cluster-mesh"] = mesh
    body.update(_by_version(machine))
    return dict(sorted(body.items()))


def _by_version(machine: Machine) -> dict[str, Any]:
    if not machine.modern:
        return {"host-routing": {"mode": parts.routing(machine)["intra-host-routing-mode"]}}
    return {
        "attach-mode": "tcx",
        "configured-datapath-mode": "veth",
        "datapath-mode": "veth",
        "hubble-metrics": {"state": "Disabled"},
        "proxy": {
            "envoy-deployment-mode": "external" if machine.on("external-envoy-proxy") else "embedded",
            "ip": machine.router,
            "port-range": "10000-20000",
            "redirects": None,
        },
        "routing": parts.routing(machine),
    }


# -- text --------------------------------------------------------------------------------------------------------


def _row(label: str, *cells: str) -> str:
    return f"{label + ':':<24}{''.join(cells)}"


def mesh_lines(machine: Machine, links: Sequence[Link] | None, everything: bool) -> list[str]:
    """The ``ClusterMesh:`` line, and with ``everything`` four lines per peer."""
    if links is None:
        return []
    good = sum(1 for link in links if link.ready(machine.now))
    text = f"{good}/{len(links)} remote clusters ready"
    if machine.minor <= 18:
        text += f", {global_services(links)} global-services"
    lines = [_row("ClusterMesh", text)]
    for link in links if everything else ():
        lines += text_lines(link, machine.now)
    return lines


def health_lines(machine: Machine, nodes: Sequence[NodeHealth], when: str, interval: str) -> list[str]:
    """``Cluster health:`` with a row for each node that is not fully reachable."""
    sick = [node for node in nodes if not _well(node)]
    text = f"{len(nodes) - len(sick)}/{len(nodes)} reachable   ({when})"
    if not machine.modern:
        lines = [f"{'Cluster health:':<24} {text}"]
        if sick:
            lines.append("  Name                   IP              Node        Endpoints")
        for node in sick:
            cells = f"{'reachable' if _fine(node, 'host') else 'unreachable':<12}"
            cells += "reachable" if _fine(node, "endpoint") else "unreachable"
            lines.append(f"  {node.name:<22} {node.host.address:<15} {cells}")
        return lines
    lines = [f"{'Cluster health:':<24} {text}   (Probe interval: {interval})"]
    lines.append("Name                     IP              Node                     Endpoints")
    for node in sick:
        host = "1/1" if _fine(node, "host") else "0/1"
        lines.append(
            f"  {node.name:<22} {node.host.address:<15} {host:<24} {'1/1' if _fine(node, 'endpoint') else '0/1'}"
        )
    return lines


def _fine(node: NodeHealth, kind: str) -> bool:
    probed = node.host if kind == "host" else node.endpoint
    return probed is None or (probed.outcome.icmp == "" and probed.outcome.http == "")


def _well(node: NodeHealth) -> bool:
    return _fine(node, "host") and _fine(node, "endpoint")


def status_text(
    machine: Machine,
    links: Sequence[Link] | None,
    nodes: Sequence[NodeHealth],
    when: str,
    interval: str,
    everything: bool,
) -> str:
    """The text form of ``status`` (``everything``: with ``--all-clusters`` or ``--verbose``)."""
    cube = parts.kubernetes(machine)
    proxy = parts.proxy_replacement(machine)
    apis = ", ".join(f'"{name}"' for name in sorted(cube["k8s-api-versions"]))
    device = f"[eth0   {machine.node_address} {proxy['deviceList'][0]['ip'][3]} (Direct Routing)]"
    replaced = f"{proxy['mode']:<8}" + (device if proxy["mode"] == "True" or not machine.modern else "")
    modern = machine.modern
    lines = [
        _row("KVStore", "Disabled   " if modern else "Ok   Disabled"),
        _row("Kubernetes", "Ok         " if modern else "Ok   ", cube["msg"]),
        _row("Kubernetes APIs", f"[{apis}]"),
        _row("KubeProxyReplacement", replaced),
        _row("Host firewall", "Disabled"),
        _row("SRv6", "Disabled"),
        _row("CNI Chaining", machine.settings.get("cni-chaining-mode", "none")),
        _row("CNI Config file", "successfully wrote CNI configuration file to /host/etc/cni/net.d/05-cilium.conflist"),
        _row("Cilium", "Ok   ", parts.build(machine)),
        _row("NodeMonitor", "Disabled"),
        _row("Cilium health daemon", f"{_health_state(machine)}   "),
        _row("IPAM", parts.ipam_text(machine)),
        *mesh_lines(machine, links, everything),
        *_datapath_lines(machine),
        *health_lines(machine, nodes, when, interval),
        f"{'Modules Health:':<24} Stopped(0) Degraded(0) OK({70 if modern else 11})",
    ]
    return "\n".join(lines) + "\n"


def _datapath_lines(machine: Machine) -> list[str]:
    lowest, highest = _identity_range(machine)
    modern, route = machine.modern, parts.routing(machine)
    masks: Mapping[str, Any] = parts.masquerading(machine)
    masked = (
        f"{masks['mode']}   [eth0]   {masks['snat-exclusion-cidr-v4']} [IPv4: Enabled, IPv6: Disabled]"
        if "mode" in masks
        else "Disabled"
    )
    count = len(parts.controllers(machine, {}))

    def row(label: str, text: str) -> str:
        return f"{label + ':':<24} {text}"

    tunnel = f" [{route['tunnel-protocol']}]" if "tunnel-protocol" in route else ""
    host = route["intra-host-routing-mode"]
    observed = parts.hubble(machine)
    hubble = "Disabled"
    if "observer" in observed:
        flows = observed["observer"]
        hubble = f"Ok              Current/Max Flows: {flows['current-flows']}/{flows['max-flows']}"
    lines = [row("IPv4 BIG TCP", "Disabled"), row("IPv6 BIG TCP", "Disabled"), row("BandwidthManager", "Disabled")]
    if modern:
        lines.append(row("Routing", f"Network: {route['inter-host-routing-mode']}{tunnel}   Host: {host}"))
        lines += [row("Attach Mode", "TCX"), row("Device Mode", "veth")]
    else:
        lines.append(row("Host Routing", str(host)))
    envoy = "external" if machine.on("external-envoy-proxy") else "embedded"
    old = "No managed proxy redirect"
    lines += [
        row("Masquerading", masked),
        row("Controller Status", f"{count}/{count} healthy"),
        row(
            "Proxy Status",
            f"OK, ip {machine.router}, 0 redirects active on ports 10000-20000, Envoy: {envoy}" if modern else old,
        ),
        row("Global Identity Range", f"min {lowest}, max {highest}"),
        row("Hubble", f"{hubble:<15} Metrics: Disabled" if modern else hubble),
        row("Encryption", f"{parts.encryption(machine)['mode']}        "),
    ]
    return lines
